"""Cover@tau: its bias, its smoothed form, and its tie to pass@k."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from s2l_lab.errors import UsageError
from s2l_lab.estimators import at_least_j_of_k, cover_at_tau, cover_curve, pass_at_k


def test_pass_at_k_is_the_weighted_integral_of_cover_for_true_solve_rates() -> None:
    rates = np.array([0.0, 0.1, 0.1, 0.6, 1.0])
    for k in (1, 2, 8, 64):
        steps = np.unique(rates)
        pieces = [
            quad(lambda t, k=k: k * (1 - t) ** (k - 1) * (rates >= t).mean(), low, high)[0]
            for low, high in itertools.pairwise(steps)
        ]
        assert sum(pieces) == pytest.approx((1 - (1 - rates) ** k).mean(), abs=1e-9)


def test_plug_in_is_the_share_at_or_above_tau() -> None:
    correct, total = [0, 1, 3, 7, 10], [10] * 5
    assert cover_at_tau(correct, total, 0.3) == pytest.approx(3 / 5)
    np.testing.assert_allclose(cover_at_tau(correct, total, [0.1, 0.7, 0.71, 1.0]), [4 / 5, 2 / 5, 1 / 5, 1 / 5])
    # 0.1 * 3 is 0.30000000000000004: a count must not fall under its own tau.
    assert cover_at_tau([3], [10], 0.1 * 3) == 1.0


def test_plug_in_is_biased_and_smoothing_repairs_it() -> None:
    """2,000 problems, N = 16: where few rates exceed tau, c / N says more than twice as many."""
    rng = np.random.default_rng(0)
    rates = rng.beta(2, 18, 2_000)
    tau, truth = 0.25, float(beta.sf(0.25, 2, 18))
    seen = cover_curve(rng.binomial(16, rates), np.full(2_000, 16), [tau], rng=rng)
    assert seen.plug_in[0] > 1.5 * truth
    assert seen.plug_in_lower[0] > truth
    assert abs(seen.smoothed[0] - truth) < 0.3 * (seen.plug_in[0] - truth)


def test_at_least_j_of_k_is_unbiased_where_plug_in_is_not() -> None:
    """Mean over draws against the binomial tail of the true rate: p = .2, N = 16, 2 of 8."""
    correct = np.random.default_rng(1).binomial(16, 0.2, 20_000)
    truth = 1 - 0.8**8 - 8 * 0.2 * 0.8**7
    values = np.array([at_least_j_of_k([c], [16], 2, 8) for c in range(17)])[correct]
    assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(values.size)
    assert abs(cover_at_tau(correct, np.full(20_000, 16), 2 / 8) - truth) > 0.05
    assert at_least_j_of_k([3], [9], 1, 4) == pytest.approx(pass_at_k([3], [9], 4))


def test_smoothed_falls_with_tau_lies_in_its_ends_and_has_no_value_at_1() -> None:
    rng = np.random.default_rng(2)
    correct, total = rng.binomial(32, rng.beta(0.3, 1, 60)), np.full(60, 32)
    seen = cover_curve(correct, total, [1 / 32, 0.1, 0.3, 0.5, 0.9, 1.0], rng=rng)
    assert (np.diff(seen.smoothed[:-1]) < 0).all()
    assert np.isnan(seen.smoothed[-1])
    assert np.isfinite(seen.plug_in[-1])
    assert (seen.smoothed_lower[:-1] < seen.smoothed[:-1]).all()
    assert (seen.smoothed[:-1] < seen.smoothed_upper[:-1]).all()
    assert (seen.plug_in_lower <= seen.plug_in).all()
    assert (seen.n_problems, seen.n_rollouts) == (60, 32)


def test_seed_level_and_replicates_matter() -> None:
    def ends(seed: int = 0, level: float = 0.95, replicates: int = 2_000) -> bytes:
        correct, total = np.array([0] * 9 + [1, 2, 3, 4, 5, 6, 7, 9]), np.full(17, 32)  # skewed: t* exceeds Student's t
        rng = np.random.default_rng(seed)
        seen = cover_curve(correct, total, [0.1, 0.2], rng=rng, level=level, replicates=replicates)
        return seen.smoothed_upper.tobytes() + seen.plug_in_upper.tobytes()

    assert ends() == ends()
    assert len({ends(), ends(level=0.8), ends(replicates=200), ends(seed=1)}) == 4


@pytest.mark.parametrize("tau", [0.0, 1 / 17, 1.01, -0.1, float("nan"), []])
def test_a_tau_that_no_rollout_can_show_is_refused(tau: object) -> None:
    with pytest.raises(UsageError, match="1/16"):
        cover_at_tau([3], [16], tau)  # type: ignore[call-overload]  # lists and floats alike


def test_one_problem_that_carries_the_mean_does_not_blow_up_the_interval() -> None:
    """A share of one in 30 was shown as .033 [.00, 1.00]: the studentised t explodes where one problem is the mean."""
    seen = cover_curve([0] * 29 + [32], [32] * 30, [0.5], rng=np.random.default_rng(0))
    assert seen.plug_in_upper[0] == pytest.approx(0.1722, abs=1e-4)  # Clopper-Pearson of 1 in 30
    assert seen.smoothed_upper[0] < 0.25


@pytest.mark.parametrize("repetitions", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_problems_of_a_kind_that_was_not_seen_are_allowed_for(repetitions: int) -> None:
    """A twentieth of the problems is solved at .9, the rest at .1: 30 problems hold none of the former one time in
    five, and the ends must not say then that there are none."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(repetitions):
        correct = rng.binomial(32, np.where(rng.random(30) < 0.05, 0.9, 0.1))
        seen = cover_curve(correct, [32] * 30, [0.5], rng=rng, replicates=200)
        held += seen.smoothed_lower[0] <= 0.05 <= seen.smoothed_upper[0]
    assert held / repetitions > 0.93 - 2 * np.sqrt(0.93 * 0.07 / repetitions)


@given(st.lists(st.integers(0, 16), min_size=2, max_size=40), st.permutations(range(1, 16)))
def test_ends_fall_in_tau_as_the_share_does(correct: list[int], places: list[int]) -> None:
    """In any order of tau, smoothed or not; where less than one problem lies above (or below) tau, the end is at least
    that of 0 in P."""
    taus = np.array(places) / 16
    seen = cover_curve(correct, [16] * len(correct), taus, rng=np.random.default_rng(0), replicates=200)
    rising = np.argsort(taus)
    for value, lower, upper in (
        (seen.plug_in, seen.plug_in_lower, seen.plug_in_upper),
        (seen.smoothed, seen.smoothed_lower, seen.smoothed_upper),
    ):
        assert (np.diff(lower[rising]) <= 0).all()
        assert (np.diff(upper[rising]) <= 0).all()
        assert ((lower <= value + 1e-12) & (value <= upper + 1e-12)).all()
        rare = 0.025 ** (1 / len(correct))
        assert (upper[value * len(correct) < 1] >= 1 - rare - 1e-12).all()
        assert (lower[(1 - value) * len(correct) < 1] <= rare + 1e-12).all()
