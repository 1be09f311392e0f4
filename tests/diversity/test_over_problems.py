"""From values of problems to one number: coverage, equivariance, hand numbers, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.diversity.over_problems import mean_over_problems, ratio_over_problems
from s2l_lab.errors import UsageError

SKEWED = np.random.default_rng(0).exponential(1.0, 30)


def three_errors(share: float, repetitions: int) -> float:
    return 3 * float(np.sqrt(share * (1 - share) / repetitions))


def test_undefined_problems_are_left_out_and_the_counts_say_so() -> None:
    seen = mean_over_problems([1.0, np.nan, 3.0, 5.0], 640)
    assert seen.value == 3.0  # (1 + 3 + 5) / 3, never (1 + 0 + 3 + 5) / 4
    assert (seen.n_problems, seen.n_rollouts, seen.interval, seen.level) == (3, 640, "problems", 0.95)
    assert seen == mean_over_problems([1.0, 3.0, 5.0], 640)


def test_one_problem_has_no_interval_and_none_no_value() -> None:
    one, none = mean_over_problems([2.0, np.nan], 8), mean_over_problems([np.nan], 8)
    assert one.value == 2.0
    assert np.isnan([one.lower, one.upper, none.value, none.lower, none.upper]).all()
    assert (one.n_problems, none.n_problems) == (1, 0)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
@pytest.mark.parametrize("repetitions", [100, pytest.param(300, marks=pytest.mark.slow)])
def test_intervals_of_means_cover(draw: str, repetitions: int) -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(repetitions):
        value_P = rng.normal(1, 2, 30) if draw == "normal" else rng.exponential(1.0, 30)
        seen = mean_over_problems(value_P, 1)
        hits += seen.lower <= 1.0 <= seen.upper
    assert abs(hits / repetitions - 0.95) < 0.02 + three_errors(0.95, repetitions)


@pytest.mark.parametrize("repetitions", [100, pytest.param(300, marks=pytest.mark.slow)])
def test_intervals_of_shares_cover_and_stay_inside(repetitions: int) -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(repetitions):
        seen = mean_over_problems(rng.beta(0.3, 1, 30), 1, bounds=(0.0, 1.0))
        hits += seen.lower <= 0.3 / 1.3 <= seen.upper
        assert 0 <= seen.lower <= seen.value <= seen.upper <= 1
    assert hits / repetitions > 0.93 - three_errors(0.93, repetitions)


def test_values_without_spread_have_the_exact_ends_that_their_bounds_leave_and_none_without_bounds() -> None:
    """A width of 0 was said of values that merely agree."""
    none, alike = mean_over_problems(np.zeros(20), 1, bounds=(0.0, 1.0)), mean_over_problems(np.full(20, 0.1), 1)
    assert none.lower == 0.0
    assert none.upper == pytest.approx(1 - 0.025 ** (1 / 20))  # (1 - p)^20 = .025
    assert alike.value == pytest.approx(0.1)
    assert np.isnan([alike.lower, alike.upper]).all()
    same = mean_over_problems(np.zeros(20), 1, bounds=(-1.0, 1.0))
    assert (same.lower, same.upper) == pytest.approx((0.025 ** (1 / 20) - 1, 1 - 0.025 ** (1 / 20)))


def test_one_large_value_among_small_ones_does_not_explode() -> None:
    """[-59, 59] before."""
    value_P = np.r_[0.9, np.random.default_rng(0).normal(0, 1e-3, 29)]
    free, bounded = mean_over_problems(value_P, 1), mean_over_problems(value_P, 1, bounds=(-1.0, 1.0))
    for seen in (free, bounded):
        assert -0.2 < seen.lower < 0.03 < seen.upper < 0.35


@pytest.mark.parametrize(("shift", "scale"), [(5.0, 1.0), (0.0, 1000.0), (0.0, 1e-11), (-2.0, -3.0)])
def test_ends_follow_a_change_of_units(shift: float, scale: float) -> None:
    plain, moved = mean_over_problems(SKEWED, 1), mean_over_problems(shift + scale * SKEWED, 1)
    ends = sorted([shift + scale * plain.lower, shift + scale * plain.upper])
    assert [moved.lower, moved.upper] == pytest.approx(ends, rel=1e-6, abs=0)


def test_seed_level_and_share_matter_and_one_seed_is_one_result() -> None:
    share_P = SKEWED / SKEWED.max()
    base = mean_over_problems(share_P, 1)
    assert base == mean_over_problems(share_P, 1)
    assert base.upper != mean_over_problems(share_P, 1, seed=1).upper
    assert (
        mean_over_problems(share_P, 1, level=0.99).lower < base.lower < mean_over_problems(share_P, 1, level=0.8).lower
    )
    logit = mean_over_problems(share_P, 1, bounds=(0.0, 1.0))
    assert logit.upper - logit.value > logit.value - logit.lower  # longer towards 1/2
    assert base.upper - base.value == pytest.approx(base.value - base.lower)


def test_other_bounds_are_a_change_of_units() -> None:
    share_P = SKEWED / SKEWED.max()
    plain, moved = (
        mean_over_problems(v, 1, bounds=b) for v, b in ((share_P, (0.0, 1.0)), (1 + 3 * share_P, (1.0, 4.0)))
    )
    assert [moved.lower, moved.upper] == pytest.approx([1 + 3 * plain.lower, 1 + 3 * plain.upper], rel=1e-6)


def test_values_that_differ_by_rounding_alone_are_equal() -> None:
    """Six equal problems but for the last bits, and one other: replicates without it had a t of a million."""
    value_P = np.array([1, 1 + 2e-12, 1, 1 - 1e-12, 1, 1 + 1e-12, 2.6])
    seen = mean_over_problems(value_P, 1)
    assert seen.upper - seen.lower < 10


def test_what_is_no_share_is_refused() -> None:
    with pytest.raises(UsageError, match=r"between 0 and 1; given: -0.5 to 0.5"):
        mean_over_problems([-0.5, 0.5], 1, bounds=(0.0, 1.0))
    assert mean_over_problems([0.0, 1.0 + 1e-12], 1, bounds=(0.0, 1.0)).upper <= 1


def test_a_ratio_by_hand() -> None:
    seen = ratio_over_problems([1.0, 3.0], [2.0, 2.0], 10)
    # value 4/4; residuals 1 - 2 and 3 - 2; SE sqrt(2/1 * (1 + 1)) / 4 = 1/2; t(1) at .975 = 12.7062
    assert seen.value == 1.0
    assert [seen.lower, seen.upper] == pytest.approx([1 - 6.3531, 1 + 6.3531], abs=1e-4)
    assert (seen.n_problems, seen.n_rollouts, seen.interval) == (2, 10, "problems")


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=20), st.floats(0.1, 10), st.sampled_from([0.8, 0.95]))
@settings(max_examples=50, deadline=None)
def test_with_equal_denominators_a_ratio_is_the_mean_and_never_tighter_than_students_t(
    numerators: list[float], denominator: float, level: float
) -> None:
    """Nor wider than three times it, whatever the values: one that differs among equal ones gave [-59, 59]."""
    seen = ratio_over_problems(numerators, [denominator] * len(numerators), 1, level=level)
    values = np.array(numerators) / denominator
    if np.isnan(seen.lower):  # problems that are all equal, of which nothing says how else they could be
        assert np.ptp(values) <= 1e-9 * np.abs(values).max()
        return
    reach = stats.t.ppf(0.5 + level / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size)
    slack = 1e-7 * np.abs(values).max()
    for one in (seen.value - seen.lower, seen.upper - seen.value):
        assert reach - slack <= one <= 3 * reach + slack
    assert seen.value == pytest.approx(values.mean(), abs=1e-9)


SKEWED_RATIOS = {
    "log-normal effect": lambda rng, size: np.exp(1.2 * rng.standard_normal(size)),
    "one in ten": lambda rng, size: np.where(rng.random(size) < 0.1, 6.0, 1.0),
}


@pytest.mark.parametrize("kind", SKEWED_RATIOS)
def test_intervals_of_skewed_ratios_cover_where_students_t_does_not(kind: str) -> None:
    """30 problems, sizes and effects skewed: .92 of the time, where the delta method covers .85."""
    rng, ours, students, repetitions = np.random.default_rng(4), 0, 0, 300
    effect = SKEWED_RATIOS[kind](rng, 400_000)
    size = rng.gamma(3, 1, effect.size)
    truth = (effect * size).sum() / size.sum()
    for _ in range(repetitions):
        size_P = rng.gamma(3, 1, 30)
        sum_P = size_P * SKEWED_RATIOS[kind](rng, 30)
        seen = ratio_over_problems(sum_P, size_P, 1, largest=1e6)
        ours += seen.lower <= truth <= seen.upper
        residual_P = sum_P - seen.value * size_P
        reach = stats.t.ppf(0.975, 29) * np.sqrt(30 / 29 * (residual_P**2).sum()) / size_P.sum()
        students += abs(seen.value - truth) <= reach
    assert ours / repetitions > 0.92 - three_errors(0.92, repetitions)
    assert students < ours - 0.03 * repetitions


def test_a_ratio_that_is_bounded_keeps_its_ends_inside() -> None:
    seen = ratio_over_problems([9.0, 10.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], 1, largest=10.0)
    assert 0 < seen.lower < seen.value < seen.upper == 10.0
    skewed = ratio_over_problems(SKEWED, np.ones(30), 1)
    assert skewed.upper - skewed.value > 1.1 * (skewed.value - skewed.lower)  # longer towards the long tail
    zero = ratio_over_problems([0.0, 0.0, 1.0], [1.0, 1.0, 1.0], 1, largest=10.0)  # without the third it would be 0
    assert zero.lower == 0.0
    assert np.isfinite(zero.upper)


def test_a_ratio_of_sums_covers_where_the_mean_of_ratios_is_biased() -> None:
    """Length depends on what is measured: 1.5 a token on 10 tokens, or .5 on 30. The mean of ratios says 1."""
    rng, hits, naive, repetitions = np.random.default_rng(3), 0, [], 400
    for _ in range(repetitions):
        long_P = rng.random(40) < 0.5
        tokens_P = np.where(long_P, 30.0, 10.0)
        sum_P = tokens_P * np.where(long_P, 0.5, 1.5) + rng.normal(0, 2, 40)
        seen = ratio_over_problems(sum_P, tokens_P, 1)
        hits += seen.lower <= 0.75 <= seen.upper  # (10 * 1.5 + 30 * .5) / (10 + 30)
        naive.append((sum_P / tokens_P).mean())
    assert abs(hits / repetitions - 0.95) < 0.02 + three_errors(0.95, repetitions)
    assert np.mean(naive) == pytest.approx(1.0, abs=0.02)


def test_ratios_leave_out_what_is_undefined_or_empty() -> None:
    plain = ratio_over_problems([1.0, 2.0, 4.0], [2.0, 3.0, 4.0], 1)
    assert plain == ratio_over_problems([1.0, np.nan, 2.0, 5.0, 0.0, 4.0], [2.0, 1.0, 3.0, np.nan, 0.0, 4.0], 1)
    assert ratio_over_problems([1.0], [2.0], 1).value == 0.5
    assert np.isnan(ratio_over_problems([1.0], [2.0], 1).lower)
    assert np.isnan(ratio_over_problems([], [], 1).value)
    assert np.isnan(ratio_over_problems([1.0, 2.0], [1.0, -1.0], 1).value)
    with pytest.raises(UsageError, match="2 and 1 values"):
        ratio_over_problems([1.0, 2.0], [1.0], 1)
