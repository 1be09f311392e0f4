"""A pretrained learner and a smaller sibling, in small on the embedded family."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.pretrained_pair import (
    pair_table,
    pretrained_pair_figure,
    pretrained_pair_numbers,
    pretrained_pair_printed,
)
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.studies.contrast_arms import validation_problems
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.pretrained_pair import ENTROPY, PretrainedPlan, measure
from s2l_lab.studies.study import Measured, Watch

PLAN = PretrainedPlan(
    family="tiny",
    learner="tiny-360k",
    explorer="tiny-60k",
    benchmarks=("countdown",),
    problems=4,
    rollouts=8,
    temperatures=(0.8, 1.0, 1.3),
    validation_problems=4,
    validation_rollouts=8,
    max_tokens=60,
    embedder="none",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("pair"))
        return measure(PLAN, "a test", Watch())


def test_every_condition_has_both_members_in_both_readings(found: Measured) -> None:
    (part,) = found.result.parts
    names = [condition.name for condition in part.conditions]
    assert names[:3] == ["T = 0.8", "T = 1", "T = 1.3"]
    assert set(names[3:]) <= {ENTROPY}
    for condition in part.conditions:
        for curves in condition.curves.values():
            assert list(curves) == ["tiny-60k", "tiny-360k"]
            assert all(list(curve.k) == list(range(1, 9)) and curve.n_problems == 4 for curve in curves.values())


def test_what_is_read_strictly_is_read_leniently_too(found: Measured) -> None:
    """Leniency finds more answers, never fewer, on Countdown: curves cannot fall."""
    for condition in found.result.parts[0].conditions:
        for member, strict in condition.curves["strict"].items():
            assert np.all(condition.curves["lenient"][member].value >= strict.value - 1e-12)


def test_the_share_and_the_curves_rest_on_the_same_rollouts(found: Measured) -> None:
    """pass@1 of the learner at T = 1 stands in the curve and in the policy share."""
    (part,) = found.result.parts
    native = next(condition for condition in part.conditions if condition.name == "T = 1")
    assert part.share.learner_accuracy.value == pytest.approx(native.curves["strict"]["tiny-360k"].value[0])
    explorer = next(row for row in part.share.rows if row.role == "explorer")
    assert explorer.accuracy.value == pytest.approx(native.curves["strict"]["tiny-60k"].value[0])
    assert part.persistence.rows[0].name == part.share.learner == "tiny-360k"


def test_numbers_tables_and_figure_agree(found: Measured) -> None:
    numbers = json.loads(as_json(pretrained_pair_numbers(found.result, found.about) | found.provenance))
    assert numbers["plan"]["benchmarks"] == ["countdown"]
    table = pair_table(numbers)
    assert len(table.rows) == 2 * len(found.result.parts[0].conditions)
    assert all(row.cells[1] in ("tiny-60k", "tiny-360k") for row in table.rows)
    printed = pretrained_pair_printed(None, numbers)
    assert any(line.startswith("countdown, T = 1: strict: ") for line in printed.lines)
    figure = pretrained_pair_figure(found.result, found.about)
    panels = 2 * len(found.result.parts[0].conditions)
    assert sum(1 for trace in figure.data if trace.name == "tiny-60k") == panels


def test_validation_items_are_no_test_items() -> None:
    """coin_flip-sized sets repeat items across seeds; a temperature may not be found on a test problem."""
    plan = ContrastPlan(
        benchmark="reasoning-gym:count_bits",
        validation="reasoning-gym:count_bits",
        validation_seed=1,
        problems=20,
        validation_problems=10,
    )
    test = {problem.id for problem in load_benchmark(plan.benchmark, n=20).problems}
    found = validation_problems(plan).problems
    assert len(found) == 10
    assert test.isdisjoint(problem.id for problem in found)


def test_the_same_items_cannot_validate() -> None:
    with pytest.raises(ValidationError, match="found on the problems"):
        ContrastPlan(benchmark="countdown", validation="countdown")


@pytest.mark.parametrize("given", [(1.0,), (0.5, 1.5), (1.0, 0.6, 1.4), (0.0, 1.0, 1.4), (1.0, 1.0, 1.4)])
def test_temperatures_are_in_order_with_one_among_them(given: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="temperatures are ascending"):
        PretrainedPlan(family="tiny", learner="a", explorer="b", benchmarks=("countdown",), temperatures=given)


def test_a_plan_says_what_it_samples() -> None:
    assert "at most 288 rollouts of at most 60 tokens" in PLAN.describe()
