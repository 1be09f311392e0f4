"""Tables and arguments that a reviewer broke the estimators with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from s2l_lab.diversity.over_problems import mean_over_problems, ratio_over_problems
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import (
    Counts,
    Estimate,
    Votes,
    cover_curve,
    leave_unknown_out,
    pass_at_k_curve,
    seed_difference,
    seeds_curve,
    sharpening_tax,
)
from s2l_lab.estimators.decisions import judge
from s2l_lab.estimators.units import cluster_codes


@pytest.mark.parametrize("rollouts", [768, 1024, 2048])
@pytest.mark.parametrize("share", ["one", 0.5, 0.9, 0.99, "all but one"])
def test_many_rollouts_of_easy_and_hard_problems_have_finite_ends(rollouts: int, share: object) -> None:
    """Above N = 768 variances underflowed, and so did the prior's mass near 1: the interval was NaN."""
    c = {"one": 1, "all but one": rollouts - 1}.get(share) or round(rollouts * float(share))  # type: ignore[call-overload,arg-type]
    seen = pass_at_k_curve([c] * 5 + [1], [rollouts] * 6, interval="rollouts")
    assert np.isfinite([seen.lower, seen.upper]).all()
    assert (np.diff(seen.lower) >= 0).all()
    assert np.isfinite(cover_curve([c, 1, rollouts - 1], [rollouts] * 3, [0.5]).smoothed).all()


def test_leaving_unknown_verdicts_out_keeps_the_clusters() -> None:
    lost = np.array([0, 4, 0, 0])
    counts = Counts(tuple("abcd"), np.array([1, 0, 3, 0]), np.full(4, 4), lost, ("x", "x", "y", "y"))
    kept = leave_unknown_out({"p": counts}).counts["p"]
    assert (kept.problem_ids, kept.cluster) == (("a", "c", "d"), ("x", "y", "y"))


@pytest.mark.parametrize(
    ("clusters", "large", "size", "least"), [(30, 0.1, 50, 0.8), (30, 0.3, 20, 0.87), (12, 0.2, 30, 0.75)]
)
def test_few_large_clusters_among_small_ones_count_for_what_they_weigh(
    clusters: int, large: float, size: int, least: float
) -> None:
    """They were taken for as many equal ones: .50 to .78 of nominal .95."""
    rng, hits, repetitions = np.random.default_rng(0), 0, 150
    for _ in range(repetitions):
        sizes = np.where(rng.random(clusters) < large, size, 1)
        solved = (rng.random(clusters) < 0.3).repeat(sizes)
        labels = np.arange(clusters).repeat(sizes).tolist()
        seen = pass_at_k_curve(solved * 16, np.full(solved.size, 16), [1], cluster=labels, rng=rng, replicates=300)
        hits += bool(seen.lower[0] <= 0.3 <= seen.upper[0])
    assert hits / repetitions >= least


def test_the_size_of_a_cluster_is_no_difference() -> None:
    """Every difference exactly .5, in clusters of 4, 1 and 1: [-.58, 1] when sums were taken for values."""
    total, cluster = np.full((10, 6), 4), ["x"] * 4 + ["y", "z"]
    seen = seed_difference((np.zeros((10, 6), int), total), (np.full((10, 6), 2), total), 1, cluster=cluster)
    assert seen.value == pytest.approx(0.5)
    assert "exact ends" in seen.method
    flat = np.random.default_rng(0).binomial(64, 0.3, (10, 177))
    sizes = [50, 50, 50, *[1] * 27]
    labels = np.arange(30).repeat(sizes).tolist()
    curve = seeds_curve(flat, np.full(flat.shape, 64), [1], cluster=labels)
    assert curve.upper[0] - curve.lower[0] < 0.1


def claim(**changed: object) -> Estimate:
    known = {"value": 0.01, "lower": -0.1, "upper": 0.1, "level": 0.95, "method": "", "interval": "seeds"}
    return Estimate(**(known | {"n_problems": 30, "n_rollouts": 1, "n_seeds": 10, "se": 0.1, "df": 9.0} | changed))  # type: ignore[arg-type]


def test_nothing_is_decided_from_what_is_not_known() -> None:
    for unknown in (claim(df=float("nan")), claim(value=float("nan")), claim(se=float("nan"))):
        (verdict,) = judge([unknown], ["above"], 0.02)
        assert verdict.word == "cannot tell"
    for margin in (0.0, -0.02, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="margin"):
            judge([claim()], ["above"], margin)
    with pytest.raises(UsageError, match="alpha"):
        judge([claim()], ["above"], 0.02, alpha=5)
    with pytest.raises(UsageError, match="expects 'over'"):
        judge([claim()], ["over"], 0.02)  # type: ignore[list-item]


def test_tables_and_labels_that_do_not_match_are_refused() -> None:
    frame = pd.DataFrame(np.full((3, 2), 4), columns=["p", "q"])
    mixed = frame[["q", "p"]]
    with pytest.raises(UsageError, match="different columns"):
        seeds_curve(frame, mixed)
    with pytest.raises(UsageError, match="different columns"):
        seed_difference((frame, frame), (mixed, mixed), 1)
    with pytest.raises(UsageError, match="different indices"):
        ratio_over_problems(pd.Series([1.0, 2, 3]), pd.Series([1.0, 2, 3], index=[2, 1, 0]), 5)
    for masked in (np.ma.masked_array([1, 2], [0, 1]), np.ma.masked_array(2, True)):
        with pytest.raises(UsageError, match="masked"):
            pass_at_k_curve([1, 2], [8, 8], masked)
    with pytest.raises(UsageError, match="masked"):
        mean_over_problems(np.ma.masked_array([0.1, 0.2, 99.0], [0, 0, 1]), 5)
    for labels in ("aab", {"a", "b", "c"}, np.ma.masked_array(list("aab"), [0, 1, 0]), [["a"], ["b"], ["c"]]):
        with pytest.raises(UsageError, match="cluster"):
            cluster_codes(labels, 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no cluster label"):
        cluster_codes(pd.array(["a", None, "b"], dtype="string"), 3)  # type: ignore[arg-type]
    assert cluster_codes([1, "1", 1.0], 3).tolist() == [0, 1, 0]


def test_one_k_is_one_k() -> None:
    table = np.full((2, 3), 2), np.full((2, 3), 8)
    with pytest.raises(UsageError, match="one whole number"):
        seed_difference(table, table, [1, 4])  # type: ignore[arg-type]
    counts = Counts(tuple("abc"), np.array([1, 2, 3]), np.full(3, 8), np.zeros(3, int))
    with pytest.raises(UsageError, match="one whole number"):
        sharpening_tax(counts, counts, [2, 4])  # type: ignore[arg-type]
    with pytest.raises(DataError, match="set of answers"):
        Votes({"12": 3}, "12")  # type: ignore[arg-type]


def test_a_ratio_of_equal_problems_has_no_width_0() -> None:
    bounded, free = (
        ratio_over_problems([0.0] * 5, [10.0] * 5, 5, largest=1.0),
        ratio_over_problems([5.0] * 5, [10.0] * 5, 5),
    )
    assert (bounded.lower, bounded.upper) == pytest.approx((0.0, 1 - 0.025 ** (1 / 5)))
    assert free.value == 0.5
    assert np.isnan([free.lower, free.upper]).all()
