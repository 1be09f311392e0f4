"""Gaffke's ends: their known special cases, their place between value and support, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from s2l_lab.estimators.gaffke import gaffke_ends
from s2l_lab.estimators.units import make_units


def ends(values: np.ndarray, support: tuple[float, float], alpha: float = 0.05, seed: int = 0) -> tuple[float, float]:
    units = make_units(values[:, None], np.ones(values.size, np.int64))
    [(lower, upper)] = gaffke_ends(units, support, (alpha,), np.random.default_rng(seed))
    return float(lower[0]), float(upper[0])


@pytest.mark.parametrize(("hits", "n"), [(1, 12), (3, 30), (15, 30), (29, 30), (7, 100)])
def test_for_0_and_1_they_are_clopper_and_pearsons(hits: int, n: int) -> None:
    exact = stats.binomtest(hits, n).proportion_ci(method="exact")
    # The quantile of 10,000 draws has a level of .975 +- .0016: allow three of them.
    low = [stats.beta.ppf(q, hits, n - hits + 1) for q in (0.025 - 0.0047, 0.025 + 0.0047)]
    high = [stats.beta.ppf(q, hits + 1, n - hits) for q in (0.975 - 0.0047, 0.975 + 0.0047)]
    lower, upper = ends((np.arange(n) < hits).astype(float), (0.0, 1.0))
    assert low[0] <= lower <= low[1]
    assert high[0] <= upper <= high[1]
    assert low[0] <= exact.low <= low[1]


@pytest.mark.parametrize("n", [2, 30, 400])
def test_for_equal_values_they_are_exact(n: int) -> None:
    share = 1 - 0.025 ** (1 / n)
    assert ends(np.zeros(n), (-1.0, 1.0)) == pytest.approx((-share, share))
    assert ends(np.zeros(n), (0.0, 1.0)) == pytest.approx((0.0, share))
    assert ends(np.full(n, 0.5), (-1.0, 1.0)) == pytest.approx((0.5 - 1.5 * share, 0.5 + 0.5 * share))


def test_a_smaller_alpha_is_wider_and_a_support_is_never_left() -> None:
    values = np.random.default_rng(1).uniform(-1, 1, 8) ** 3
    units = make_units(values[:, None], np.ones(8, np.int64))
    wide, narrow = gaffke_ends(units, (-1.0, 1.0), (0.001, 0.1), np.random.default_rng(0))
    assert -1 <= wide[0] < narrow[0] < values.mean() < narrow[1] < wide[1] <= 1


def test_pooled_cells_are_problems_written_once() -> None:
    """Weights 1 and 1 with 28 zeros: as 30 problems."""
    pooled = make_units(np.array([[0.9], [-0.4], [0.0]]), np.array([1, 1, 28]))
    [(lower, upper)] = gaffke_ends(pooled, (-1.0, 1.0), (0.05,), np.random.default_rng(0))
    one_by_one = ends(np.r_[0.9, -0.4, np.zeros(28)], (-1.0, 1.0), seed=1)
    assert (lower[0], upper[0]) == pytest.approx(one_by_one, abs=0.01)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("repetitions", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_they_cover_rare_large_values_where_students_t_does_not(rate: float, repetitions: int) -> None:
    rng, hits, student, n = np.random.default_rng(2), 0, 0, 30
    size = 0.8
    for _ in range(repetitions):
        values = size * (rng.random(n) < rate)
        lower, upper = ends(values, (-1.0, 1.0), seed=int(rng.integers(2**31)))
        hits += lower <= size * rate <= upper
        reach = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
        student += abs(values.mean() - size * rate) <= reach
    assert hits / repetitions >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / repetitions)
    if rate < 0.05:
        assert student / repetitions < 0.5
