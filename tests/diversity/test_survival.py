"""Prefix survival: exact against sampled, curves over problems against hand-computed ones."""

from __future__ import annotations

import markov_policy as chain
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.survival import (
    hazard,
    matched_length,
    prefix_survival,
    sampled_survival,
    survival_curve,
)
from s2l_lab.errors import DataError, UsageError

BEHAVIOUR = chain.policy(chain.LEARNER_VD, 1.5)
TRACE = np.array([4, 2, chain.EOS])  # ends at its EOS


def trace_logprob(behaviour_SV: np.ndarray, start: int, trace_T: np.ndarray) -> np.ndarray:
    return np.log(behaviour_SV[np.concatenate([[start], trace_T[:-1]]), trace_T])


def test_the_sampled_version_agrees_with_the_exact_one() -> None:
    drawn = chain.sample(BEHAVIOUR, problems=1, rollouts=20_000, seed=3)
    sampled_T1 = sampled_survival(drawn.by_rollout(drawn.token_N), TRACE)
    exact_T1 = prefix_survival(trace_logprob(BEHAVIOUR, 0, TRACE))
    error_T1 = np.sqrt(exact_T1 * (1 - exact_T1) / 20_000)
    assert exact_T1[0] == sampled_T1[0] == 1
    assert (np.abs(sampled_T1 - exact_T1)[1:] < 4 * error_T1[1:]).all()
    assert exact_T1[-1] > 5 * error_T1[-1] > 0  # there is something to agree on at the end


def test_by_hand() -> None:
    """b = .5, then .8: survival 1, .5, .4 and hazards .5, .2."""
    logprob = np.log([0.5, 0.8]).astype(np.float32)
    assert prefix_survival(logprob) == pytest.approx([1, 0.5, 0.4])
    assert hazard(logprob) == pytest.approx([0.5, 0.2])
    assert prefix_survival(np.zeros(0)) == pytest.approx([1])


def test_small_hazards_are_not_rounded_away() -> None:
    assert hazard(np.array([-1e-12])) == pytest.approx([1e-12], rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("rollout", "matched"),
    [([], 0), ([4], 0), ([5], 1), ([5, 6, 7], 3), ([5, 6, 7, 7], 3), ([5, 9, 7], 1), ([5, 6], 2)],
)
def test_matched_length(rollout: list[int], matched: int) -> None:
    assert matched_length(np.array(rollout, np.int32), np.array([5, 6, 7])) == matched


def test_a_rollout_that_returns_to_the_trace_has_left_it_all_the_same() -> None:
    assert sampled_survival([[5, 9, 7], [5, 6, 7], [5, 6]], [5, 6, 7]) == pytest.approx([1, 1, 2 / 3, 1 / 3])


def test_curve_by_hand() -> None:
    """Traces of 1 and 3 tokens. S(2) = (.5 + .9 * .8) / 2, the short carried; p = (.5 + .1 + .2 + .3) / 4 = .275."""
    curve = survival_curve([np.log([0.5]), np.log([0.9, 0.8, 0.7])], [True, True])
    assert curve.survival_T1 == pytest.approx([1, 0.7, (0.5 + 0.72) / 2, (0.5 + 0.504) / 2])
    assert curve.alive_T1.tolist() == [2, 2, 1, 1]
    assert [h.value for h in curve.hazard] == pytest.approx([0.3, 0.2, 0.3])
    assert [h.n_problems for h in curve.hazard] == [2, 1, 1]
    assert curve.pooled_hazard.value == pytest.approx(0.275)
    q = 0.725
    assert curve.constant_T1 == pytest.approx([1, q, (q + q**2) / 2, (q + q**3) / 2])
    assert (curve.n_problems, curve.pooled_hazard.n_problems) == (2, 2)
    assert curve.lower_T1[0] == curve.upper_T1[0] == 1


def test_a_cut_trace_ends_the_curve_and_an_empty_one_leaves_its_problem_out() -> None:
    curve = survival_curve([np.log([0.9, 0.8, 0.7]), np.log([0.9, 0.5]), np.zeros(0)], [True, False, False])
    assert len(curve.survival_T1) == 3
    assert curve.n_problems == 2
    assert curve.pooled_hazard.value == pytest.approx((0.1 + 0.2 + 0.3 + 0.1 + 0.5) / 5)  # of whole traces


@given(st.lists(st.integers(1, 12), min_size=2, max_size=8), st.floats(0.01, 0.9))
def test_where_the_hazard_is_constant_the_constant_curve_is_the_curve(lengths: list[int], p: float) -> None:
    curve = survival_curve([np.full(n, np.log1p(-p)) for n in lengths], [True] * len(lengths))
    assert curve.constant_T1 == pytest.approx(curve.survival_T1)
    assert curve.pooled_hazard.value == pytest.approx(p)
    assert (np.diff(curve.survival_T1) <= 1e-12).all()


def test_traces_that_differ_survive_longer_than_their_mean_hazard_says() -> None:
    """Half of the traces at hazard .01, half at .3, equally long: a mean of powers is above the power of the mean."""
    curve = survival_curve([np.full(20, np.log1p(-p)) for p in (0.01, 0.3) * 10], [True] * 20)
    assert (curve.survival_T1[2:] > curve.constant_T1[2:]).all()


@pytest.mark.parametrize("repetitions", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_the_interval_holds_the_mean_and_covers_it(repetitions: int) -> None:
    """Draws of 30 traces: the true mean of S(5) is covered nearly as often as .95; seed and level count."""
    rng = np.random.default_rng(0)
    truth = np.mean(np.exp(-5 * rng.gamma(2, 0.1, 200_000)))
    covered = 0
    for _ in range(repetitions):
        rate_P = rng.gamma(2, 0.1, 30)
        curve = survival_curve([np.full(5, -rate) for rate in rate_P], [True] * 30)
        assert curve.lower_T1[5] < curve.survival_T1[5] < curve.upper_T1[5]
        covered += curve.lower_T1[5] <= truth <= curve.upper_T1[5]
    assert covered >= 0.9 * repetitions
    args = [np.full(5, -rate) for rate in np.random.default_rng(1).gamma(2, 0.1, 6)], [True] * 6
    curve = survival_curve(*args)
    assert survival_curve(*args, seed=1).lower_T1[5] != survival_curve(*args, seed=2).lower_T1[5]
    narrow = survival_curve(*args, level=0.5)
    assert narrow.lower_T1[5] > curve.lower_T1[5]
    assert narrow.pooled_hazard.level == narrow.level == 0.5


def test_undefined_is_nan() -> None:
    none = survival_curve([], [])
    assert np.isnan(none.survival_T1).all()
    assert np.isnan(none.pooled_hazard.value)
    assert none.n_problems == 0
    one = survival_curve([np.log([0.5])], [True])
    assert one.survival_T1 == pytest.approx([1, 0.5])
    assert np.isnan(one.lower_T1).all()
    assert np.isnan(sampled_survival([], [1, 2])).all()


def test_bad_input() -> None:
    for bad in (np.array([0.5]), np.array([np.nan]), np.zeros((1, 2))):
        with pytest.raises(UsageError, match="log-probabilities in nats, none above 0"):
            prefix_survival(bad)
        with pytest.raises(UsageError, match="none above 0"):
            hazard(bad)
    assert prefix_survival(np.array([1e-7]))[1] == 1  # float32's rounding is forgiven
    with pytest.raises(UsageError, match="1 traces and 0 flags"):
        survival_curve([np.zeros(1)], [])
    with pytest.raises(DataError, match="no token ids"):
        sampled_survival([np.array([1]), None], [1])
