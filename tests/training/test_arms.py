"""Training runs on disk: numbering of rollouts, arms, logged metrics with torn lines, seed bands."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from s2l_lab.browse.metric_words import EXPLAINED, explain
from s2l_lab.browse.rows import evaluated_step, source_of
from s2l_lab.errors import DataError
from s2l_lab.estimators.seeds import seeds_curve
from s2l_lab.figures.numbers import plain
from s2l_lab.training.arms import TrainingRun, evaluations, group_arms, group_size, planned_slots, read_run, rounds_of
from s2l_lab.training.config import S2LPOConfig
from s2l_lab.training.logged import metrics, seed_band
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.report import EvaluationReport
from s2l_lab.training.results import Level, evaluation_curve, evaluation_levels, seed_counts
from s2l_lab.training.rounds import Rounds, round_of

POSITIVE = st.integers(1, 5)


def plan(**training: Any) -> TrainingPlan:
    return plan_of({"explorer": {"member": "tiny-60k"}, "training": {"max_steps": 6, **training}}, "here")


def run_in(path: Path, one: TrainingPlan) -> TrainingRun:
    path.mkdir(parents=True)
    (path / "plan.json").write_text(one.model_dump_json())
    return read_run(path)


@given(POSITIVE, POSITIVE, POSITIVE, POSITIVE, st.integers(0, 500))
def test_rounds_are_those_of_the_recorder_and_of_the_config(
    size: int, groups: int, micro: int, accumulation: int, index: int
) -> None:
    rounds = Rounds(size, groups, micro, accumulation)
    assert rounds.of(index) == round_of(index, size, groups)
    serves = {(pass_ // accumulation) + 1 for pass_ in range((rounds.of(index) - 1) * micro, rounds.of(index) * micro)}
    assert rounds.step(index) == min(serves)
    for step in range(0, 9):
        assert (index in rounds.indices(step, step)) == (step in serves)
        assert (index in rounds.indices(step, None)) == (max(serves) >= step)
        assert (index in rounds.indices(None, step)) == (min(serves) <= step)


def test_names_say_sources_and_steps() -> None:
    assert [source_of(name) for name in ("explorer", "learner", "step-3", "step-x", "tiny")] == [
        "explorer",
        "learner",
        "learner",
        None,
        None,
    ]
    assert [evaluated_step(name) for name in ("step-0", "step-120", "learner", "step-1x")] == [0, 120, None, None]


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"num_generations": 4, "per_device_train_batch_size": 8},
        {"num_generations": 4, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 2},
        {"num_generations": 4, "per_device_train_batch_size": 8, "num_iterations": 3, "save_strategy": "no"},
        {"num_generations": 4, "per_device_train_batch_size": 8, "steps_per_generation": 4, "save_strategy": "no"},
        {"num_generations": 4, "per_device_train_batch_size": 8, "generation_batch_size": 16, "save_strategy": "no"},
    ],
)
def test_a_plan_alone_gives_the_rhythm_that_the_trainer_would_have(tmp_path: Path, training: dict[str, Any]) -> None:
    config: S2LPOConfig = plan(**training).config(tmp_path)
    rounds = rounds_of(run_in(tmp_path / "run", plan(**training)))
    assert rounds.group_size == config.num_generations == group_size(read_run(tmp_path / "run"))
    assert rounds.groups_per_round == config.generation_batch_size // config.num_generations
    assert rounds.micro_steps_per_round == config.micro_steps_per_round
    assert rounds.accumulation == config.gradient_accumulation_steps
    assert not rounds.exact
    slots = planned_slots(read_run(tmp_path / "run"), 5)
    schedule = config.annealing(5)
    assert slots.tolist() == [schedule.slots(config.num_generations, i + 1) for i in range(5)]


def test_plain_grpo_plans_no_slots(tmp_path: Path) -> None:
    assert planned_slots(run_in(tmp_path / "run", plan(explorer_fraction=0)), 3).tolist() == [0, 0, 0]


def test_arms_are_plans_without_their_seed(tmp_path: Path) -> None:
    plans = [plan(seed=3), plan(seed=1), plan(seed=1, mix_steps=2), plan(seed=2, explorer_fraction=0)]
    arms = group_arms([run_in(tmp_path / str(i), one) for i, one in enumerate(plans)])
    assert [[run.seed for run in arm.runs] for arm in arms] == [[1, 3], [1], [2]]
    assert [arm.name for arm in arms] == [
        "explorer.member = tiny-60k",
        "explorer.member = tiny-60k, mix_steps = 2",
        "explorer_fraction = 0",
    ]
    (only,) = group_arms(arms[0].runs)
    assert only.name == "all"
    assert [run.label for run in only.runs] == [f"tiny-2m, explorer tiny-60k, seed {seed}" for seed in (1, 3)]


@pytest.mark.parametrize("content", [None, "", "[]", '{"learner": {"colour": 1}}'])
def test_a_plan_that_cannot_be_read_is_an_error_in_words(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "plan.json").write_text(content)
    with pytest.raises(DataError, match=r"cannot be read|another release"):
        read_run(tmp_path)


def test_metrics_of_a_run_that_is_being_written(tmp_path: Path) -> None:
    lines = [
        {"step": 1, "reward": 0.5, "loss": None},
        {"step": 3, "reward": 1, "words": "text", "flag": True},
        {"step": 2, "reward": 0.25},
        {"step": 3, "eval/x": 0.75, "reward": 0.875},
    ]
    text = "\n".join([*map(json.dumps, lines), "[1]", '{"step": "4"}', '{"step": 4, "rewa'])
    (tmp_path / "metrics.jsonl").write_text(text)
    found = metrics(tmp_path)
    assert found.names == ("reward", "loss", "eval/x")
    assert found.step["reward"].tolist() == [1, 2, 3]
    assert found.value["reward"].tolist() == [0.5, 0.25, 0.875]
    assert math.isnan(found.value["loss"][0])
    assert (found.torn, found.last_step) == (3, 3)
    assert metrics(tmp_path / "nowhere").names == ()


def test_a_seed_band_is_students_t_at_the_shared_steps(tmp_path: Path) -> None:
    series = ([0.1, 0.4, 0.2], [0.3, 0.5, 0.9], [0.2, 0.6])
    for seed, values in enumerate(series):
        (tmp_path / str(seed)).mkdir()
        lines = [json.dumps({"step": i + 1, "reward": value}) for i, value in enumerate(values)]
        (tmp_path / str(seed) / "metrics.jsonl").write_text("\n".join(lines))
    logged = [metrics(tmp_path / str(seed)) for seed in range(3)]
    band = seed_band(logged, "reward")
    assert band.step_S.tolist() == [1, 2]
    for i in range(2):
        test = ttest_1samp([values[i] for values in series], 0).confidence_interval(0.95)
        assert (band.lower_S[i], band.upper_S[i]) == pytest.approx((test.low, test.high))
    assert (band.n_seeds, "cannot tell" in band.method) == (3, True)
    alone = seed_band(logged[:1], "reward")
    assert alone.value_S.tolist() == series[0]
    assert np.isnan(alone.lower_S).all()
    assert alone.method == "one seed: no interval"
    assert seed_band(logged, "none").step_S.size == 0
    assert seed_band([], "none").n_seeds == 0


def report(
    step: int, correct: tuple[int, ...], total: int = 8, unknown: tuple[int, ...] | None = None
) -> EvaluationReport:
    one = (0.0,)
    n = len(correct)
    return EvaluationReport(
        benchmark="countdown",
        step=step,
        problem_ids=tuple(f"p{i}" for i in range(n)),
        correct=correct,
        total=(total,) * n,
        unknown=unknown or (0,) * n,
        k=(1,),
        value=one,
        lower=one,
        upper=one,
        data="d",
        sampling="s",
        verifier_version="countdown-1",
        rollouts="x",
    )


def steps(levels: Sequence[Level]) -> list[int]:
    return [level.step for level in levels]


def test_levels_of_an_evaluation_are_the_seeds_curve(tmp_path: Path) -> None:
    first = run_in(tmp_path / "1", plan(seed=1))
    second = run_in(tmp_path / "2", plan(seed=2))
    counts = {0: ((1, 0, 3), (1, 0, 3)), 2: ((4, 1, 8), (2, 0, 5)), 4: ((4, 1, 8), (2, 0, 5))}
    for place, run in enumerate((first, second)):
        made = [
            report(step, pair[place], total=2 * step + 4 + place) for step, pair in counts.items() if step < 4 + place
        ]
        torn = '{"benchmark": "coun'
        (run.path / "evaluations.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in made) + torn)
    assert [one.step for one in evaluations(second)] == [0, 2, 4]
    (arm,) = group_arms([first, second])
    levels = evaluation_levels(arm, "countdown", 4)
    assert steps(levels) == [0, 2]
    curve = seeds_curve([counts[2][0], counts[2][1]], [[8] * 3, [9] * 3], [4], rng=np.random.default_rng(0))
    assert levels[1].estimate.value == pytest.approx(curve.value[0])
    assert levels[1].estimate.n_seeds == 2
    assert "seeds" in levels[1].estimate.method
    assert steps(evaluation_levels(arm, "countdown", 5)) == [2]
    assert evaluation_levels(arm, "aime", 1) == ()
    (alone,) = group_arms([first])
    assert evaluation_levels(alone, "countdown", 1)[0].estimate.interval == "problems"
    assert {level.estimate.given for level in levels} == {""}


def test_levels_of_runs_that_share_a_bank_say_so(tmp_path: Path) -> None:
    bank = {"kind": "bank", "member": "tiny-60k", "rollouts": 8}
    runs = []
    for seed in (1, 2):
        drawn = {"explorer": bank, "training": {"max_steps": 6, "seed": seed}}
        runs.append(run_in(tmp_path / str(seed), plan_of(drawn, "here")))
        (runs[-1].path / "evaluations.jsonl").write_text(report(2, (4, seed, 8)).model_dump_json() + "\n")
    (arm,) = group_arms(runs)
    assert evaluation_levels(arm, "countdown", 1)[0].estimate.given == "for this bank"


def evaluated(run: TrainingRun, made: list[EvaluationReport]) -> TrainingRun:
    (run.path / "evaluations.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in made))
    return run


def test_the_apps_number_is_the_figures_and_unknown_is_not_wrong(tmp_path: Path) -> None:
    """With more than one seed the app counted rollouts that the verifier failed on as wrong."""
    unknown = {1: (2, 0, 1), 2: (0, 0, 3)}
    made = {
        1: [report(0, (1, 0, 3)), report(2, (4, 1, 5), unknown=unknown[1])],
        2: [report(0, (2, 0, 3)), report(2, (2, 0, 5), unknown=unknown[2])],
    }
    runs = [evaluated(run_in(tmp_path / str(seed), plan(seed=seed)), found) for seed, found in made.items()]
    (arm,) = group_arms(runs)
    for k in (1, 4, 8):
        levels = evaluation_levels(arm, "countdown", k)
        assert [(level.step, level.k, level.unknown) for level in levels] == [(0, k, 0), (2, k, 6)]
        for place, estimate in enumerate(level.estimate for level in levels):
            counts = seed_counts((1, 2), [[found[place]] for found in made.values()], (None, None))
            assert plain(estimate) == plain(counts.estimate(k))  # NaN as None
        known, unsure = (level.estimate for level in levels)
        ends = [
            seeds_curve([(4, 1, 5), (2, 0, 5)], [[8] * 3] * 2, [k], rng=np.random.default_rng(0)),
            seeds_curve([(6, 1, 6), (2, 0, 8)], [[8] * 3] * 2, [k], rng=np.random.default_rng(0)),
        ]
        assert math.isfinite(known.value)
        assert math.isnan(unsure.value) is (k < 8)  # with all eight the unsure problems are solved in any case
        assert (unsure.lower, unsure.upper) == (ends[0].lower[0], ends[1].upper[0])


def test_one_seeds_interval_is_that_of_its_report(tmp_path: Path) -> None:
    correct, total, unknown = (1, 0, 3, 8, 2), (8,) * 5, (0, 1, 0, 0, 2)
    curve = evaluation_curve("d", 2, correct, total, unknown, [1, 4])
    one = report(2, correct, unknown=unknown).model_copy(update={"k": (1, 4)})
    (arm,) = group_arms([evaluated(run_in(tmp_path / "1", plan(seed=1)), [one])])
    for place, k in enumerate((1, 4)):
        (level,) = evaluation_levels(arm, "countdown", k)
        estimate = level.estimate
        assert math.isnan(estimate.value)
        assert (estimate.lower, estimate.upper) == (curve.lower[place], curve.upper[place])


def test_every_metric_of_ours_has_its_sentence() -> None:
    assert all(explain(name) == words for name, words in EXPLAINED.items())
    assert explain("grad_norm") != ""
    assert explain("eval/countdown/pass@8/lower") == (
        "Lower end of the 95 % CI of pass@8 of the learner on held-out problems of countdown."
    )
    assert explain("no/such/metric") == ""
