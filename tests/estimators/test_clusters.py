"""Clustered problems: variants of one template are drawn together, everywhere that problems are drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import (
    Counts,
    Votes,
    at_least_j_of_k_curve,
    compare_counts,
    cover_curve,
    equal_compute,
    maj_at_k,
    pass_at_k_curve,
    pass_hat_k_curve,
    seed_difference,
    seeds_curve,
)
from s2l_lab.estimators.units import cluster_codes, make_units

N = 32


def clustered(rng: np.random.Generator, clusters: int, size: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Solve rates of variants of templates, which decide most of them, with the templates' labels."""
    template = rng.beta(0.5, 0.8, clusters).repeat(size)
    rates = np.clip(template + 0.05 * rng.standard_normal(clusters * size), 0, 1)
    return rates, rng.binomial(N, rates), np.repeat(np.arange(clusters), size).tolist()


def test_clusters_of_one_are_problems() -> None:
    rng = np.random.default_rng(0)
    correct = rng.binomial(N, rng.beta(0.3, 1, 30))
    alone = pass_at_k_curve(correct, np.full(30, N), ks=[1, 4], cluster=list(range(30)), rng=0)
    plain = pass_at_k_curve(correct, np.full(30, N), ks=[1, 4], rng=0)
    np.testing.assert_allclose(alone.value, plain.value)
    np.testing.assert_allclose([alone.lower, alone.upper], [plain.lower, plain.upper], atol=0.02)
    assert (alone.n_clusters, plain.n_clusters) == (30, None)


def test_the_standard_error_is_the_ratio_estimators() -> None:
    """By hand: clusters {1, 0}, {1, 1, 1}, {0}: mean 4/6, residuals -1/3, 1, -2/3."""
    units = make_units(np.array([[1.0], [0], [1], [1], [1], [0]]), np.ones(6, np.int64), np.array([0, 0, 1, 1, 1, 2]))
    assert units.mean[0] == pytest.approx(4 / 6)
    assert units.residual[:, 0] == pytest.approx([1 - 2 * 4 / 6, 3 - 3 * 4 / 6, -4 / 6])
    assert units.se[0] == pytest.approx(np.sqrt(3 / 2 * (1 / 9 + 1 + 4 / 9)) / 6)


@pytest.mark.parametrize(("clusters", "size"), [(8, 12), (20, 5), (40, 8)])
@pytest.mark.parametrize("repetitions", [40, pytest.param(120, marks=pytest.mark.slow)])
def test_whole_clusters_cover_and_single_problems_do_not(clusters: int, size: int, repetitions: int) -> None:
    rng, truth = np.random.default_rng(1), 0.5 / 1.3
    hits = {"clusters": 0, "problems": 0}
    for _ in range(repetitions):
        rates, correct, labels = clustered(rng, clusters, size)
        for name, cluster in (("clusters", labels), ("problems", None)):
            seen = pass_at_k_curve(correct, np.full(rates.size, N), [1], cluster=cluster, rng=rng, replicates=300)
            hits[name] += bool(seen.lower[0] <= truth <= seen.upper[0])
    assert hits["clusters"] / repetitions >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / repetitions)
    assert hits["problems"] / repetitions < 0.7


@pytest.mark.parametrize("repetitions", [30, pytest.param(80, marks=pytest.mark.slow)])
def test_differences_are_drawn_by_cluster_too(repetitions: int) -> None:
    rng = np.random.default_rng(2)
    hits = {True: 0, False: 0}
    for _ in range(repetitions):
        rates, correct, labels = clustered(rng, 15, 6)
        # What b gains or loses belongs to the template.
        moved = np.clip(rates + (0.2 * rng.standard_normal(15)).repeat(6), 0, 1)
        ids, total = tuple(map(str, range(rates.size))), np.full(rates.size, N)
        a, b = (Counts(ids, c, total, np.zeros_like(c)) for c in (correct, rng.binomial(N, moved)))
        for by_cluster in hits:
            cluster = tuple(map(str, labels)) if by_cluster else None
            pair = (dataclasses.replace(one, cluster=cluster) for one in (a, b))
            seen = compare_counts(*pair, [1], rng=rng, replicates=300)
            assert seen.n_clusters == (15 if by_cluster else None)
            # The mean shift before cutting at 0 and 1 is 0; what cutting leaves is simulated below.
            hits[by_cluster] += bool(seen.lower[0] <= TRUTH <= seen.upper[0])
    assert hits[True] / repetitions >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / repetitions)
    assert hits[False] / repetitions < 0.8


def _true_shift() -> float:
    rng = np.random.default_rng(9)
    rates, _, _ = clustered(rng, 200_000, 1)
    return float((np.clip(rates + 0.2 * rng.standard_normal(rates.size), 0, 1) - rates).mean())


TRUTH = _true_shift()


def test_equal_compute_follows_its_clusters() -> None:
    rng = np.random.default_rng(3)
    rates, correct, labels = clustered(rng, 6, 10)
    ids, total = tuple(map(str, range(60))), np.full(60, N)
    a, b = (Counts(ids, c, total, np.zeros_like(c)) for c in (correct, rng.binomial(N, np.sqrt(rates))))
    in_clusters = [dataclasses.replace(one, cluster=tuple(map(str, labels))) for one in (a, b)]
    alone, together = equal_compute(a, b, 1.0, 2.0, rng=0), equal_compute(*in_clusters, 1.0, 2.0, rng=0)
    assert (together.upper - together.lower > alone.upper - alone.lower).all()


def test_training_runs_are_crossed_with_clusters() -> None:
    """No true difference, and what a method changes belongs to the template: single problems exclude 0 too often."""
    rng, repetitions, shape = np.random.default_rng(4), 60, (10, 60)
    hits, labels, total = {True: 0, False: 0}, np.repeat(np.arange(12), 5), np.full(shape, N)
    for _ in range(repetitions):
        logit = rng.standard_normal(60) + 0.1 * rng.standard_normal((10, 1))
        moved = logit + (0.6 * rng.standard_normal(12))[labels]
        a, b = (rng.binomial(N, 1 / (1 + np.exp(-one))) for one in (logit, moved))
        for by_cluster in hits:
            seen = seed_difference((a, total), (b, total), 1, cluster=labels.tolist() if by_cluster else None)
            hits[by_cluster] += seen.lower <= 0 <= seen.upper
            assert (seen.n_problems, seen.value) == (60, pytest.approx((b - a).mean() / N))
    assert hits[True] / repetitions >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / repetitions)
    assert hits[False] < hits[True]
    alone, together = (seeds_curve(b, total, [1], cluster=c) for c in (None, labels.tolist()))
    assert together.value[0] == pytest.approx(alone.value[0])
    assert (alone.n_clusters, together.n_clusters) == (None, 12)


def test_whatever_draws_problems_draws_clusters() -> None:
    """Equal problems in clusters of ten: ends as wide as those of one problem from each."""
    rng = np.random.default_rng(6)
    one = rng.binomial(N, rng.beta(0.5, 0.8, 12))
    many, labels = one.repeat(10), np.repeat(np.arange(12), 10).tolist()

    def widths(correct: np.ndarray, cluster: list[int] | None) -> np.ndarray:
        total = np.full(correct.size, N)
        votes = [Votes({"7": int(c), "8": N - int(c)} if 0 < c < N else {"7": N}, frozenset({"7"})) for c in correct]
        curves = [
            pass_at_k_curve(correct, total, [2], cluster=cluster),
            pass_hat_k_curve(correct, total, [2], cluster=cluster),
            at_least_j_of_k_curve(correct, total, 2, [3], cluster=cluster),
            maj_at_k(votes, [3], cluster=cluster),
        ]
        cover = cover_curve(correct, total, [0.5], cluster=cluster)
        assert {c.n_clusters for c in curves} | {cover.n_clusters} == {None if cluster is None else 12}
        found = [float((c.upper - c.lower)[0]) for c in curves]
        return np.array(
            [*found, (cover.plug_in_upper - cover.plug_in_lower)[0], np.ptp([cover.bounds_lower, cover.bounds_upper])]
        )

    alone, together, apart = widths(one, None), widths(many, labels), widths(many, None)
    np.testing.assert_allclose(together, alone, rtol=0.15)
    assert (apart < 0.75 * together).all()


def test_one_cluster_says_nothing_and_missing_or_differing_labels_are_refused() -> None:
    correct, total = np.array([3, 4, 5]), np.full(3, 8)
    assert np.isnan(pass_at_k_curve(correct, total, cluster=["t", "t", "t"]).lower).all()
    for label in (None, "", float("nan")):
        with pytest.raises(UsageError, match="no cluster label"):
            cluster_codes(["x", label, "y"], 3)
    a, b, c = (
        Counts(("p", "q", "r"), correct, total, np.zeros(3, int), cluster)
        for cluster in (("x", "x", "y"), ("x", "y", "y"), None)
    )
    for other in (b, c):
        with pytest.raises(UsageError, match="different clusters"):
            compare_counts(a, other)
