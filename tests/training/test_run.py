"""One training run from plan to report: what it writes, that looking changes nothing, and that a kill loses nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gloo_ranks import run_two_ranks
from safetensors.numpy import load_file

from s2l_lab.browse.metric_words import EXPLAINED, explain
from s2l_lab.errors import UsageError
from s2l_lab.estimators import pass_at_k
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training import S2LPOTrainer
from s2l_lab.training.arms import group_arms, read_run
from s2l_lab.training.opening import fill_plan_bank
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.report import TrainingReport, read_report
from s2l_lab.training.results import evaluation_levels
from s2l_lab.training.rounds import round_of
from s2l_lab.training.run import METRICS, train
from s2l_lab.verifiers import verifier_version

G, GROUPS, STEPS = 8, 4, 4
VALUES: dict[str, Any] = {
    "learner": {"member": "tiny-60k"},
    "explorer": {"member": "tiny-60k"},
    "problems": {"count": 24},
    "evaluation": [{"benchmark": "countdown", "problems": 4, "rollouts": 4, "every": 2, "between": 2, "k": [1, 2, 4]}],
    "training": {
        "max_steps": STEPS,
        "num_generations": G,
        "per_device_train_batch_size": G * GROUPS,
        "mix_steps": 3,
        "learning_rate": 1e-3,
        "max_completion_length": 60,
        "gradient_checkpointing": False,
        "save_strategy": "steps",
        "save_steps": 2,
        "logging_steps": 1,
        "seed": 3,
    },
}


def plan(*changes: str) -> TrainingPlan:
    return plan_of(VALUES, "given", changes)


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / METRICS).read_text().splitlines()]


def weights(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = load_file(run / "model" / "model.safetensors")
    return found


def trained_on(run: Path) -> list[dict[str, Any]]:
    columns = ("policy", "problem_id", "sample_index", "text")
    with RolloutStore(run / "rollouts") as store:
        table = store.read(columns).sort_by([("sample_index", "ascending")])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingReport]:
    run = tmp_path_factory.mktemp("runs") / "whole"
    report = train(plan(), run, command="s2l-lab train")
    assert any(line["reward"] > 0 for line in metrics(run) if "loss" in line), "nothing to learn from: no law is tested"
    return run, report


def test_the_report_says_what_the_stores_hold(whole: tuple[Path, TrainingReport]) -> None:
    run, report = whole
    assert [e.step for e in report.evaluations] == [0, 2, STEPS]
    assert [min(e.total) for e in report.evaluations] == [4, 2, 4]
    for found in report.evaluations:
        with RolloutStore(run / found.rollouts) as store:
            (origin,) = [o for o in store.origins() if o.policy == f"step-{found.step}"]
            counts = store.counts(origin, verifier_version("countdown"), found.problem_ids, min(found.total))
        assert tuple(counts.correct_P) == found.correct
        expected = pass_at_k(np.array(found.correct), np.array(found.total), list(found.k))
        assert found.value == pytest.approx(expected)
        assert all(low <= value <= high for low, value, high in zip(found.lower, found.value, found.upper, strict=True))
    (arm,) = group_arms([read_run(run)])
    for k in report.evaluations[0].k:
        levels = evaluation_levels(arm, "countdown", k)
        shown = {level.step: (e.lower, e.value, e.upper) for level in levels for e in [level.estimate]}
        said = [e for e in report.evaluations if k in e.k]
        at = [e.k.index(k) for e in said]
        assert shown == {e.step: (e.lower[i], e.value[i], e.upper[i]) for e, i in zip(said, at, strict=True)}
    assert report.steps == report.rounds == STEPS
    assert report.relative_rollout_compute == pytest.approx(1)  # an explorer of the learner's own size
    assert read_report(run) == report
    assert plan_of(report.plan, "report").digest == report.digest == plan().digest


def test_a_finished_run_is_read_and_not_trained_again(whole: tuple[Path, TrainingReport]) -> None:
    run, report = whole
    before = (run / METRICS).read_bytes()
    assert train(plan(), run) == report
    assert (run / METRICS).read_bytes() == before


def test_another_plan_in_the_directory_is_refused_and_the_difference_named(whole: tuple[Path, TrainingReport]) -> None:
    with pytest.raises(UsageError, match=r"training\.beta: None there, 0\.5 asked"):
        train(plan("beta=0.5"), whole[0])


def test_every_rollout_that_was_trained_on_is_kept_once_with_its_source(whole: tuple[Path, TrainingReport]) -> None:
    run, _ = whole
    rows = trained_on(run)
    assert [row["sample_index"] for row in rows] == list(range(G * GROUPS * STEPS))
    by_round: dict[int, list[str]] = {}
    for row in rows:
        by_round.setdefault(round_of(row["sample_index"], G, GROUPS), []).append(row["policy"])
    slots = {index: sources.count("explorer") // GROUPS for index, sources in by_round.items()}
    assert slots == {1: 8, 2: 4, 3: 0, 4: 0}
    logged = [line for line in metrics(run) if "explorer/slots" in line and "loss" in line]
    assert [line["explorer/slots"] for line in logged] == [8, 4, 0, 0]
    with RolloutStore(run / "rollouts") as store:
        correct = sum(
            int(store.counts(origin, verifier_version("countdown"), [row["problem_id"]]).correct_P.sum())
            for origin in store.origins()
            for row in {r["problem_id"]: r for r in rows if r["policy"] == origin.policy}.values()
        )
    assert correct == pytest.approx(sum(line["reward"] for line in logged) * G * GROUPS)


def test_every_name_of_ours_that_is_logged_is_explained(whole: tuple[Path, TrainingReport]) -> None:
    ours = re.compile(r"(explorer|learner|cost|eval)/|round$|zero_variance|unscored")
    logged = {name for line in metrics(whole[0]) for name in line if ours.match(name)}
    assert len(logged) > 30
    assert not {name for name in logged if not explain(name)}
    never = {name for name in EXPLAINED if ours.match(name)} - logged
    assert not never, "explained, and never logged"


def test_the_learner_before_training_is_sampled_once_for_all_runs(whole: tuple[Path, TrainingReport]) -> None:
    run, report = whole
    first = report.evaluations[0]
    assert first.rollouts.startswith("../before-training/")
    with RolloutStore(run / first.rollouts) as store:
        sessions = len(store.sessions)
    other = train(plan("seed=4", "max_steps=1"), run.parent / "other")
    assert other.evaluations[0] == first
    with RolloutStore(run / first.rollouts) as store:
        assert len(store.sessions) == sessions


def test_a_run_that_is_evaluated_and_recorded_trains_as_one_that_is_not(whole: tuple[Path, TrainingReport]) -> None:
    run, _ = whole
    unwatched = plan_of({**json.loads(json.dumps(VALUES)), "evaluation": []}, "given")
    train(unwatched, run.parent / "unwatched")
    mine, theirs = weights(run), weights(run.parent / "unwatched")
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_a_killed_run_that_is_resumed_equals_an_uninterrupted_one(
    whole: tuple[Path, TrainingReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, report = whole
    killed = run.parent / "killed"

    def dies(self: Any, *arguments: Any, **named: Any) -> Any:
        if self._round is not None and self._round.index == 4:
            raise KeyboardInterrupt
        return whole_rewards(self, *arguments, **named)

    whole_rewards = S2LPOTrainer._calculate_rewards
    with monkeypatch.context() as fault:
        fault.setattr(S2LPOTrainer, "_calculate_rewards", dies)
        with pytest.raises(KeyboardInterrupt):
            train(plan(), killed)
    assert not (killed / "report.json").exists()
    assert [line["step"] for line in metrics(killed) if "loss" in line] == [1, 2, 3]
    resumed = train(plan(), killed)
    assert resumed.evaluations == report.evaluations
    assert trained_on(killed) == trained_on(run)
    mine, theirs = weights(killed), weights(run)
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    timeless = [
        {k: v for k, v in line.items() if not any(t in k for t in ("seconds", "time", "runtime", "per_second"))}
        for line in metrics(killed)
        if "loss" in line
    ]
    assert [line["step"] for line in timeless] == [1, 2, 3, 4]
    for mine_line, its in zip(timeless, [line for line in metrics(run) if "loss" in line], strict=True):
        assert mine_line == {k: its[k] for k in mine_line}
    assert resumed.cost.explorer.tokens == report.cost.explorer.tokens


def test_a_bank_is_asked_for_filled_and_found(tmp_path: Path) -> None:
    banked = plan("explorer.kind=bank", "explorer.rollouts=10", "max_steps=2", "mix_steps=2", "evaluation=[]")
    config = banked.config(tmp_path / "unused")
    with pytest.raises(UsageError, match="s2l-lab bank"):
        train(banked, tmp_path / "run")
    bank = fill_plan_bank(banked, config, tmp_path)
    assert fill_plan_bank(banked, config, tmp_path) == bank
    train(banked, tmp_path / "run")
    with RolloutStore(bank) as store:
        held = set(store.read(("text",))["text"].to_pylist())
    drawn = {row["text"] for row in trained_on(tmp_path / "run") if row["policy"] == "explorer"}
    assert drawn
    assert drawn <= held
    greedier = plan("explorer.kind=bank", "explorer.rollouts=11", "max_steps=2", "mix_steps=2", "evaluation=[]")
    with pytest.raises(UsageError, match="holds 10 rollouts a problem, the plan wants 11"):
        train(greedier, tmp_path / "greedier")


def test_the_released_scripts_half_steps_are_one_run(tmp_path: Path) -> None:
    changes = ("runner=alternate", "save_strategy=no", "max_steps=3", "mix_steps=3", "slot_rounding=released")
    changes += ("evaluation.0.every=7", "max_completion_length=12")
    report = train(plan(*changes), tmp_path / "run")
    # rounds of explorer 8, learner 0; explorer 4, learner 4; learner 8. An explorer half makes as many updates as it
    # has rollouts of a prompt: 8 + (4 + 1) + 1.
    assert (report.steps, report.rounds) == (14, 3)
    assert [e.step for e in report.evaluations] == [0, 7, 14]
    sources = [row["policy"] for row in trained_on(tmp_path / "run")]
    assert (sources.count("explorer"), sources.count("learner")) == (12 * GROUPS, 12 * GROUPS)
    assert [line["step"] for line in metrics(tmp_path / "run") if "loss" in line] == list(range(1, 15))


def test_a_budget_of_flops_ends_a_run(whole: tuple[Path, TrainingReport]) -> None:
    run, report = whole
    half = sum(part.flops for part in (report.cost.explorer, report.cost.learner, report.cost.updates)) / 2
    short = train(plan(f"budget.flops={half}"), run.parent / "budget")
    assert short.steps == 2
    assert [e.step for e in short.evaluations] == [0, 2]
    assert min(short.evaluations[-1].total) == 4


@pytest.mark.slow
def test_two_processes_of_the_command_write_one_run(tmp_path: Path) -> None:
    """As `accelerate launch` starts them, over gloo. By default test_two_ranks has a smaller run of two processes."""
    (tmp_path / "plan.json").write_text(plan("max_steps=2", "evaluation.0.every=1").model_dump_json())
    run_two_ranks("-m", "s2l_lab", "train", str(tmp_path / "plan.json"), "--out", str(tmp_path / "run"))
    report = read_report(tmp_path / "run")
    assert [e.step for e in report.evaluations] == [0, 1, 2]
    rows = trained_on(tmp_path / "run")
    assert [row["sample_index"] for row in rows] == list(range(2 * G * GROUPS * 2))
