"""Every run is listed with its state, whatever is wrong with its neighbours."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from small_store import ORDER, POLICIES, N, make, manifest

from s2l_lab.browse.catalog import HOW_TO_MAKE_ONE, find_runs
from s2l_lab.browse.store import open_store
from s2l_lab.rollouts import RolloutStore
from s2l_lab.rollouts.parts import SCHEMA_VERSION

ROLLOUTS = len(POLICIES) * 4 * N


@pytest.mark.parametrize(("what", "words"), [("missing", "does not exist"), ("file", "is a file"), ("empty", "no run")])
def test_a_directory_without_runs_says_why_and_what_to_do(tmp_path: Path, what: str, words: str) -> None:
    path = tmp_path / "runs"
    if what == "file":
        path.write_text("x")
    elif what == "empty":
        path.mkdir()
    found = find_runs(path)
    assert found.entries == ()
    assert words in found.trouble
    assert HOW_TO_MAKE_ONE in found.trouble


def test_one_bad_run_never_hides_the_others(tmp_path: Path) -> None:
    first = tmp_path / "good"
    make(first)
    for name in (
        "old",
        "new",
        "torn ledger",
        "no config",
        "torn manifest",
        "cut",
        "no problems",
        "a/deep/good",
    ):
        shutil.copytree(first, tmp_path / name)
    for name, schema in (("old", SCHEMA_VERSION - 1), ("new", SCHEMA_VERSION + 1)):
        ledger = tmp_path / name / "parts.json"
        ledger.write_text(json.dumps(json.loads(ledger.read_text()) | {"schema": schema}))
    (tmp_path / "torn ledger" / "parts.json").write_text('{"schema": 1, "parts": ')
    (tmp_path / "no config" / "config.json").unlink()
    (tmp_path / "torn manifest" / "manifest.json").write_text('{"sessions": 3}')
    part = sorted((tmp_path / "cut" / "rollouts").glob("*.parquet"))[0]
    part.write_bytes(part.read_bytes()[:-7])
    (tmp_path / "no problems" / "problems.parquet").write_bytes(b"no Parquet")
    found = {entry.name: entry for entry in find_runs(tmp_path).entries}
    readable = {"good", "a/deep/good", "no config", "torn manifest", "cut", "no problems"}
    assert set(found) == {"old", "new", "torn ledger"} | readable
    states = {name: entry.state for name, entry in found.items()}
    assert [states[name] for name in ("old", "new", "torn ledger")] == ["older schema", "newer schema", "unreadable"]
    for name in readable:
        assert states[name] == "done"
        assert found[name].readable
        assert [store.name for store in found[name].stores] == [""]
    assert not found["old"].readable
    assert "version 0" in found["old"].trouble[0]
    assert "config.json" in found["no config"].trouble[0]
    assert "manifest.json" in found["torn manifest"].trouble[0]
    assert part.name in found["cut"].trouble[0]
    assert "(damaged)" in found["cut"].label
    (trouble,) = found["no problems"].trouble
    assert (
        trouble
        == f"problems.parquet is left out: {open_store(tmp_path / 'no problems').damaged()['problems.parquet']}."
    )
    assert found["no problems"].rollouts == ROLLOUTS
    good = found["good"]
    assert (good.kind, good.policies, good.problems, good.rollouts) == ("pass@k", ORDER, 4, ROLLOUTS)
    assert good.unverified == len(POLICIES) * 4
    assert good.trouble == ()
    assert found["cut"].rollouts < ROLLOUTS


def test_states_of_a_store(tmp_path: Path) -> None:
    with RolloutStore.open(tmp_path / "run", manifest(), {}) as store:
        (entry,) = find_runs(tmp_path).entries
        assert (entry.state, entry.kind) == ("being written", "rollouts")
        assert str(os.getpid()) in entry.detail
        store.add_problems([])
    (entry,) = find_runs(tmp_path / "run").entries
    assert (entry.name, entry.state) == (".", "empty")
    make(tmp_path / "killed")
    path = tmp_path / "killed" / "manifest.json"
    content = json.loads(path.read_text())
    content["sessions"][-1]["end"] = None
    path.write_text(json.dumps(content))
    entry = find_runs(tmp_path).get("killed")
    assert entry is not None
    assert entry.state == "interrupted"
    assert entry.when is not None
    assert find_runs(tmp_path).get("no such run") is None


def test_a_training_run_is_one_entry_with_its_stores(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "some-run"
    make(run / "rollouts")
    make(run / "evaluation-countdown")
    (run / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (run / "plan.json").write_text("{}")
    (run / "metrics.jsonl").write_text('{"step": 4, "reward": 0.5}\n{"step": 5, "rew')
    (entry,) = find_runs(tmp_path / "runs").entries
    assert (entry.name, entry.kind, entry.state) == ("some-run", "training", "interrupted")
    assert [store.name for store in entry.stores] == ["evaluation-countdown", "rollouts"]
    assert entry.rollouts == 2 * ROLLOUTS
    assert entry.detail == "step 4"
    (run / "report.json").write_text("{}")
    (entry,) = find_runs(tmp_path / "runs").entries
    assert entry.state == "unreadable"
    assert "report.json" in entry.trouble[0]


def test_the_list_and_the_store_name_policies_in_one_order(tmp_path: Path) -> None:
    make(tmp_path / "run")
    (entry,) = find_runs(tmp_path).entries
    assert entry.policies == open_store(tmp_path / "run").policies() == ORDER
