"""pass^k and at least j of k: values by enumeration, reductions to pass@k, and intervals that cover."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from s2l_lab.errors import UsageError
from s2l_lab.estimators import (
    Curve,
    at_least_j_of_k,
    at_least_j_of_k_curve,
    pass_at_k_curve,
    pass_hat_k,
    pass_hat_k_curve,
)
from s2l_lab.estimators.at_least_interval import _disjoint_variance
from s2l_lab.estimators.cells import Cells

INTERVALS = ("rollouts", "problems")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ends(curve: Curve) -> np.ndarray:
    return np.array([curve.value, curve.lower, curve.upper, curve.band_lower, curve.band_upper])


@pytest.mark.parametrize("interval", INTERVALS)
def test_pass_hat_is_pass_at_k_of_the_wrong_ones_mirrored(interval: str) -> None:
    correct, total = rng().binomial(16, rng(1).beta(0.5, 0.5, 30)), np.full(30, 16)
    seen = pass_hat_k_curve(correct, total, interval=interval, rng=rng())  # type: ignore[arg-type]
    wrong = pass_at_k_curve(total - correct, total, interval=interval, rng=rng())  # type: ignore[arg-type]
    np.testing.assert_allclose(seen.value, pass_hat_k(correct, total, None), atol=1e-12)
    np.testing.assert_array_equal(seen.lower, 1 - wrong.upper)
    np.testing.assert_array_equal(seen.upper, 1 - wrong.lower)
    assert (np.diff(seen.value) <= 1e-12).all()
    assert ((seen.lower <= seen.value + 1e-12) & (seen.value <= seen.upper + 1e-12)).all()


@pytest.mark.parametrize("interval", INTERVALS)
def test_at_least_one_is_pass_at_k(interval: str) -> None:
    correct, total = [0, 3, 8, 5], [8, 8, 8, 9]
    seen = at_least_j_of_k_curve(correct, total, 1, interval=interval, rng=rng())  # type: ignore[arg-type]
    plain = pass_at_k_curve(correct, total, interval=interval, rng=rng())  # type: ignore[arg-type]
    np.testing.assert_array_equal(ends(seen), ends(plain))


def test_values_are_those_of_every_subset_and_unequal_totals_count() -> None:
    correct, total, j = [0, 2, 3, 5], [5, 4, 6, 5], 2
    seen = at_least_j_of_k_curve(correct, total, j, interval="rollouts")
    assert seen.k.tolist() == [2, 3, 4]
    for i, k in enumerate(seen.k.tolist()):
        by_problem = [
            np.mean([sum(x < c for x in chosen) >= j for chosen in itertools.combinations(range(n), k)])
            for c, n in zip(correct, total, strict=True)
        ]
        assert seen.value[i] == pytest.approx(np.mean(by_problem))
        assert seen.value[i] == pytest.approx(at_least_j_of_k(correct, total, j, k))


def test_the_variance_of_disjoint_subsets_is_unbiased() -> None:
    """Over all counts of one problem: mean of the estimate = variance of the hypergeometric tail."""
    for total, rate, j, k in ((8, 0.3, 2, 4), (8, 0.6, 3, 3), (6, 0.5, 1, 2)):
        chance = binom.pmf(np.arange(total + 1), total, rate)
        tail = np.array([at_least_j_of_k([c], [total], j, k) for c in range(total + 1)])
        weight = np.rint(chance * 10**7).astype(int)  # all counts at once, each as often as it is drawn
        cells = Cells(np.arange(total + 1), np.full(total + 1, total), weight)
        estimate = _disjoint_variance(cells, j, k)[-1] * weight.sum()
        assert estimate == pytest.approx(chance @ tail**2 - (chance @ tail) ** 2, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=12), st.integers(2, 12))
def test_rollouts_ends_are_finite_ordered_and_rise_with_k_whichever_ks_are_asked(correct: list[int], j: int) -> None:
    seen = at_least_j_of_k_curve(correct, [12] * len(correct), j, interval="rollouts")
    assert np.isfinite([seen.lower, seen.upper]).all()
    assert ((seen.lower >= 0) & (seen.lower <= seen.value) & (seen.value <= seen.upper) & (seen.upper <= 1)).all()
    assert (np.diff(seen.lower) >= 0).all()
    assert (np.diff(seen.upper) >= 0).all()
    one = at_least_j_of_k_curve(correct, [12] * len(correct), j, [12], interval="rollouts")
    assert (one.lower[0], one.upper[0]) == (seen.lower[-1], seen.upper[-1])
    assert not (seen.lower == seen.upper).any()  # no count leaves nothing open


@pytest.mark.parametrize("rates", [(0.0002, 0.95), (0.2, 0.6), (0.02, 0.9), (0.5, 0.9998)])
@pytest.mark.parametrize("repetitions", [40, pytest.param(150, marks=pytest.mark.slow)])
def test_rollouts_intervals_cover_to_half_of_n(rates: tuple[float, float], repetitions: int) -> None:
    """30 problems at two rates, N = 16, 2, 3 and 4 of up to 8, and pass^k."""
    draws, p = rng(3), np.where(np.arange(30) < 10, *rates)
    hits = np.zeros(3)
    for _ in range(repetitions):
        correct = draws.binomial(16, p)
        for i, (j, k) in enumerate([(2, 4), (4, 8)]):
            seen = at_least_j_of_k_curve(correct, [16] * 30, j, [k], interval="rollouts")
            hits[i] += seen.lower[0] <= binom.sf(j - 1, k, p).mean() <= seen.upper[0]
        hat = pass_hat_k_curve(correct, [16] * 30, [4], interval="rollouts")
        hits[2] += hat.lower[0] <= (p**4).mean() <= hat.upper[0]
    aims = np.array([0.92, 0.92, 0.92]) - 3 * np.sqrt(0.92 * 0.08 / repetitions)
    assert (hits[:2] / repetitions > aims[:2]).all()


def test_unknown_rollouts_give_bounds_and_beyond_half_of_n_a_prior_is_named() -> None:
    seen = at_least_j_of_k_curve([3, 8], [8, 8], 2, interval="rollouts", unknown_P=[2, 0])
    low, high = (at_least_j_of_k_curve([c, 8], [8, 8], 2, interval="rollouts") for c in (3, 5))
    np.testing.assert_array_equal(seen.bound_low, low.value)
    np.testing.assert_array_equal(seen.bound_high, high.value)
    np.testing.assert_array_equal(seen.lower, low.lower)
    np.testing.assert_array_equal(seen.upper, high.upper)
    assert np.isnan(seen.value[0])
    assert ["prior-dependent" in method for method in seen.method] == [False] * 3 + [True] * 4
    hat = pass_hat_k_curve([3, 8], [8, 8], interval="rollouts", unknown_P=[2, 0])
    np.testing.assert_allclose(hat.bound_low, pass_hat_k([3, 8], [8, 8], None))
    np.testing.assert_allclose(hat.bound_high, pass_hat_k([5, 8], [8, 8], None))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 3 of 2"):
        at_least_j_of_k_curve([1], [8], 3, [2], interval="rollouts")
    with pytest.raises(UsageError, match=r"1\.\.8"):
        at_least_j_of_k_curve([1], [8], 9, interval="rollouts")
    with pytest.raises(UsageError, match="rng"):
        at_least_j_of_k_curve([1, 2], [8, 8], 2, rng=0.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="interval = 'seeds'"):
        at_least_j_of_k_curve([1, 2], [8, 8], 2, interval="seeds")  # type: ignore[arg-type]
