"""The bundled small run has something for every view, and is small enough to ship."""

from __future__ import annotations

import ast
from pathlib import Path

from s2l_lab.browse.catalog import bundled_runs, find_runs
from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import page, read_rollout
from s2l_lab.browse.solve_rates import solve_rates
from s2l_lab.browse.store import open_store
from s2l_lab.browse.tokens import strip
from s2l_lab.training.arms import group_arms, read_run, rounds_of
from s2l_lab.training.logged import metrics
from s2l_lab.training.results import evaluation_levels


def sample() -> Path:
    path = bundled_runs()
    assert path is not None
    return path


def test_it_is_small_and_holds_no_weights() -> None:
    files = [path for path in sample().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 700_000
    assert not [path for path in files if path.suffix == ".safetensors" or "checkpoint" in path.as_posix()]


def test_every_run_of_it_is_done_and_whole() -> None:
    found = find_runs(sample())
    assert {entry.kind for entry in found.entries} == {"pass@k", "training", "evaluation"}
    assert {(entry.state, entry.trouble) for entry in found.entries} == {("done", ())}


def test_completions_can_be_read_token_by_token() -> None:
    store = open_store(sample() / "passk-tiny-countdown")
    found = page(store, RolloutFilter(outcomes=("correct",)))
    assert found.total > 0
    whole = read_rollout(store, found.rows[0].address)
    shown = strip(whole, decoder_of(store, whole.row.policy), store.sampling())
    assert shown.notes == ()
    assert any(span.forking for span in shown.spans)
    rates = solve_rates(store)
    assert rates.correct_PM.shape == (12, 3)
    assert (rates.total_PM == 16).all()


def test_training_has_two_seeds_with_rollouts_of_both_sources_and_evaluations() -> None:
    runs = [read_run(entry.path) for entry in find_runs(sample()).entries if entry.kind == "training"]
    (arm,) = group_arms(runs)
    assert [run.seed for run in arm.runs] == [0, 1]
    assert [level.step for level in evaluation_levels(arm, "countdown", 8)] == [0, 3, 6]
    for run in runs:
        rounds = rounds_of(run)
        assert (rounds.group_size, rounds.groups_per_round, rounds.exact) == (4, 4, True)
        assert {"explorer/slots", "explorer/reward", "learner/reward", "cost/explorer_share"} <= set(
            metrics(run.path).names
        )
        store = open_store(run.path / "rollouts")
        assert page(store, RolloutFilter()).total == 6 * 16
        mixed = page(store, RolloutFilter(min_step=3, max_step=3), rounds)
        assert (mixed.total, {row.step for row in mixed.rows}) == (16, {3})
        assert {row.source for row in mixed.rows} == {"explorer", "learner"}
        assert page(store, RolloutFilter(source="explorer"), rounds).total == mixed_slots(run.path)


def mixed_slots(path: Path) -> int:
    """Explorer rollouts, from the slots that were logged: 4 groups a round."""
    return int(4 * metrics(path).value["explorer/slots"].sum())


def test_its_maker_can_be_read() -> None:
    ast.parse((sample() / "make.py").read_text(encoding="utf-8"))
