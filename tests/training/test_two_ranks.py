"""Two processes over gloo train as one does: whole groups on each, the explorer's draws those of one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gloo_ranks import run_forked_ranks
from two_ranks import PLANNED, SMALL_ONLY, run

from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.report import read_report

SCRIPT = Path(__file__).with_name("two_ranks.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ranks")
    run_forked_ranks(str(SCRIPT), str(made))
    return made


@pytest.fixture(scope="module")
def ranks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def test_two_ranks_are_one(ranks: list[dict[str, Any]], tmp_path: Path) -> None:
    """Small-only, so that every draw is the explorer's and keyed: one process and two then have the same losses."""
    one = run(tmp_path, SMALL_ONLY)
    two = [rank["small_only"] for rank in ranks]
    assert sorted(two[0]["said"] + two[1]["said"]) == sorted(one["said"])
    assert {(said[0], said[1]) for said in two[0]["said"]} == {(1, 0), (2, 2)}
    assert {(said[0], said[1]) for said in two[1]["said"]} == {(1, 1), (2, 3)}
    assert two[0]["losses"] == pytest.approx(one["losses"], abs=2e-6)
    assert two[0]["parameters"] == two[1]["parameters"] == pytest.approx(one["parameters"], rel=1e-6)
    for name in ("explorer/weight", "explorer/reward", "explorer/advantage", "cost/explorer/tokens"):
        found, expected = ([entry[name] for entry in seen["log"]] for seen in (two[0], one))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_roles_are_right_on_both_ranks(ranks: list[dict[str, Any]]) -> None:
    seen = [rank["annealed"] for rank in ranks]
    for rank in seen:
        assert rank["explorer"] == [[True] * 4, [False, True, False, True]]
        assert len(rank["said"]) == 4 + 2
    assert seen[0]["said"] != seen[1]["said"]
    assert seen[0]["parameters"] == seen[1]["parameters"]


def test_a_group_cut_between_ranks_is_refused(ranks: list[dict[str, Any]]) -> None:
    assert all("a group would be cut between processes" in rank["refusal"] for rank in ranks)


def test_two_processes_write_one_run(folder: Path) -> None:
    report = read_report(folder / "run")
    assert [e.step for e in report.evaluations] == [0, 1, 2]
    with RolloutStore(folder / "run" / "rollouts") as store:
        indices = sorted(store.read(("sample_index",))["sample_index"].to_pylist())
    of_both_ranks = 2 * PLANNED["training"]["per_device_train_batch_size"]
    assert indices == list(range(of_both_ranks * PLANNED["training"]["max_steps"]))
