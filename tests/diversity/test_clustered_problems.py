"""Diversity over problems that come in clusters (variants of one template): clusters are resampled whole.

Before, every problem counted as evidence of its own, so intervals of values that clusters share covered about half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from s2l_lab.diversity.decomposition import decompose
from s2l_lab.diversity.information import gini_simpson, mutual_information
from s2l_lab.diversity.over_problems import mean_over_problems, ratio_over_problems
from s2l_lab.diversity.score_functions import score_covariance
from s2l_lab.diversity.survival import survival_curve
from s2l_lab.diversity.temporal import autocorrelation, autocovariance, drift, intraclass_correlation, variance_ratio
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2l_lab.estimators import Estimate

COPIES = 4
BOUNDS = [None, (0.0, 1.0), (-1.0, 1.0)]
"""The three rules for a mean: without bounds, of shares, of differences."""


def ends(estimate: Estimate) -> list[float]:
    return [estimate.value, estimate.lower, estimate.upper]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_copies_of_problems_add_nothing_to_a_mean(bounds: tuple[float, float] | None) -> None:
    value_P = np.random.default_rng(0).beta(1, 2, 15)
    alone = mean_over_problems(value_P, 1, bounds=bounds)
    copied = np.repeat(value_P, COPIES)
    whole = mean_over_problems(copied, 1, bounds=bounds, cluster=np.repeat(np.arange(15), COPIES).tolist())
    assert ends(whole) == pytest.approx(ends(alone), rel=1e-6)
    assert whole.n_problems == 15 * COPIES
    assert "of 15 clusters" in whole.method
    taken_for_evidence = mean_over_problems(copied, 1, bounds=bounds)
    assert taken_for_evidence.upper - taken_for_evidence.lower < 0.6 * (whole.upper - whole.lower)


@pytest.mark.parametrize("largest", [None, 10.0])
def test_copies_of_problems_add_nothing_to_a_ratio(largest: float | None) -> None:
    rng = np.random.default_rng(1)
    length_P = rng.integers(1, 9, 12).astype(float)
    sum_P = length_P * rng.uniform(0.2, 2, 12)
    alone = ratio_over_problems(sum_P, length_P, 1, largest=largest)
    labels = [f"template {p}" for p in np.repeat(np.arange(12), COPIES)]
    whole = ratio_over_problems(
        np.repeat(sum_P, COPIES), np.repeat(length_P, COPIES), 1, largest=largest, cluster=labels
    )
    assert ends(whole) == pytest.approx(ends(alone), rel=1e-6)
    assert "12 clusters" in whole.method


@pytest.mark.parametrize("repetitions", [30, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "kind", ["share", "ratio", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("mean", "difference"))]
)
def test_intervals_of_clustered_problems_cover(kind: str, repetitions: int) -> None:
    """Fifteen clusters of eight problems that share most of their value: nominal .95."""
    rng = np.random.default_rng(2)
    hits = dict.fromkeys(("clusters", "problems"), 0)
    cluster = np.repeat(np.arange(15), 8).tolist()
    true = 0.0 if kind == "difference" else 0.5
    for _ in range(repetitions):
        value_P = true + np.repeat(rng.uniform(-0.4, 0.4, 15), 8) + rng.uniform(-0.1, 0.1, 120)
        for name, labels in (("clusters", cluster), ("problems", None)):
            if kind == "ratio":
                length_P = rng.integers(4, 12, 120).astype(float)
                found = ratio_over_problems(value_P * length_P, length_P, 1, cluster=labels)
            else:
                bounds = {"mean": None, "share": (0.0, 1.0), "difference": (-1.0, 1.0)}[kind]
                found = mean_over_problems(value_P, 1, bounds=bounds, cluster=labels)
            hits[name] += found.lower <= true <= found.upper
    error = 3 * np.sqrt(0.92 * 0.08 / repetitions)
    assert hits["clusters"] / repetitions > 0.92 - error
    assert hits["problems"] < hits["clusters"]
    assert hits["problems"] / repetitions < 0.85


def test_undefined_problems_leave_their_clusters() -> None:
    value_P, cluster = [0.1, np.nan, 0.4, 0.3, np.nan, np.nan], ["a", "a", "b", "b", "c", "c"]
    assert ends(mean_over_problems(value_P, 1, cluster=cluster)) == ends(
        mean_over_problems([0.1, 0.4, 0.3], 1, cluster=["a", "b", "b"])
    )


def test_one_cluster_has_a_value_and_no_interval() -> None:
    for found in (
        mean_over_problems([0.1, 0.3], 1, cluster=["a", "a"]),
        ratio_over_problems([0.1, 0.3], [1.0, 1.0], 1, cluster=["a", "a"]),
    ):
        assert found.value == pytest.approx(0.2)
        assert np.isnan([found.lower, found.upper]).all()
        assert found.method == "too few clusters"


def test_labels_are_checked() -> None:
    with pytest.raises(UsageError, match="2 labels for 3 problems"):
        mean_over_problems([0.1, 0.2, 0.3], 1, cluster=["a", "b"])
    with pytest.raises(UsageError, match="two clusters"):
        drift([np.ones(2), np.ones(2)], [0, 0], ["a", "b"])


SERIES: list[Callable[..., Estimate]] = [
    drift,
    lambda x, p, c=None: variance_ratio(x, p, 3, c),
    lambda x, p, c=None: autocorrelation(x, p, [1], c)[0],
    intraclass_correlation,
    lambda x, p, c=None: autocovariance(x, p, [1], c)[0],
    lambda x, p, c=None: score_covariance(x, np.ones(len(x), int), p, [1], 1.0, c)[0].covariance,
]


@pytest.mark.parametrize("statistic", SERIES)
def test_copies_of_problems_add_nothing_to_statistics_of_series(statistic: Callable[..., Estimate]) -> None:
    rng = np.random.default_rng(3)
    value_R = [rng.normal(rng.normal(), 1, 6) for _ in range(24)]
    problem_R = np.repeat(np.arange(8), 3)
    alone = statistic(value_R, problem_R)
    problems = np.concatenate([problem_R + 8 * copy for copy in range(COPIES)])
    whole = statistic(value_R * COPIES, problems, np.tile(problem_R, COPIES).tolist())
    assert ends(whole) == pytest.approx(ends(alone), rel=1e-6)
    single = statistic(value_R, problem_R, problem_R.tolist())
    assert ends(single) == pytest.approx(ends(alone), rel=1e-9)


def test_copies_of_problems_add_nothing_to_the_between_part_nor_to_information() -> None:
    rng = np.random.default_rng(4)
    a_P = [rng.integers(0, 3, 4).tolist() for _ in range(9)]
    b_P = [rng.integers(0, 5, 4).tolist() for _ in range(9)]
    cluster = list(range(9)) * COPIES
    alone, copied = (
        gini_simpson(a_P * n, b_P * n, rng=np.random.default_rng(0), permutations=19, cluster=labels)
        for n, labels in ((1, None), (COPIES, cluster))
    )
    for part in ("between", "within_a", "within_b", "cross", "share"):
        assert ends(getattr(copied, part)) == pytest.approx(ends(getattr(alone, part)), rel=1e-6), part
    said = mutual_information(a_P * COPIES, b_P * COPIES, rng=rng, permutations=19, cluster=cluster)
    assert "of 9 clusters" in said.plug_in.method
    same = decompose([np.zeros((4, 4))] * 3, [2] * 3, rng=rng, permutations=19, cluster=["x", "x", "x"])
    assert np.isnan([same.between.lower, same.between.upper]).all()


def test_copies_of_problems_add_nothing_to_survival() -> None:
    rng = np.random.default_rng(5)
    trace_P = [-rng.exponential(0.2, int(rng.integers(2, 6))) for _ in range(10)]
    alone = survival_curve(trace_P, [True] * 10)
    whole = survival_curve(trace_P * COPIES, [True] * 10 * COPIES, cluster=list(range(10)) * COPIES)
    for part in ("survival_T1", "lower_T1", "upper_T1"):
        assert getattr(whole, part) == pytest.approx(getattr(alone, part), rel=1e-6)
    assert ends(whole.pooled_hazard) == pytest.approx(ends(alone.pooled_hazard), rel=1e-6)
    assert ends(whole.hazard[0]) == pytest.approx(ends(alone.hazard[0]), rel=1e-6)
