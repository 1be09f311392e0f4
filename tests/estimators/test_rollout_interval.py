"""Laws of the `rollouts` interval: what holds for every table of counts, and the tables that broke it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s2l_lab.estimators import Curve, pass_at_k_curve


def curve(correct: list[int], total: list[int], ks: list[int] | None = None, unknown: list[int] | None = None) -> Curve:
    lost = None if unknown is None else np.array(unknown)
    return pass_at_k_curve(np.array(correct), np.array(total), ks, interval="rollouts", unknown_P=lost)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[int], list[int]]:
    """Correct, total and unknown of 1 to 40 problems: few kinds, often all wrong or all right, N equal or not."""
    base = draw(st.integers(1, 40) | st.sampled_from([64, 128, 256]))
    rows: list[tuple[int, int, int]] = []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.just(base) | st.integers(base, 2 * base))
        c = draw(st.sampled_from([0, 1, n // 2, n - 1, n]) | st.integers(0, n))
        rows += [(max(c, 0), n, draw(st.just(0) | st.integers(0, n - max(c, 0))))] * draw(st.integers(1, 10))
    return [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]


@settings(max_examples=150)
@given(tables(), st.booleans())
@example(([121] * 6 + [0] * 24, [128] * 30, [0] * 30), False)
@example(([63] * 5, [64] * 5, [0] * 5), False)
@example(([60] * 10 + [0] * 20, [64] * 30, [0] * 30), False)
def test_ends_are_finite_ordered_around_the_value_and_rise_with_k(
    table: tuple[list[int], list[int], list[int]], with_unknown: bool
) -> None:
    correct, total, unknown = table
    seen = curve(correct, total, unknown=unknown if with_unknown else None)
    assert np.isfinite([seen.lower, seen.upper]).all()
    assert (seen.lower >= 0).all()
    assert (seen.lower <= seen.bound_low + 1e-12).all()
    assert (seen.bound_high <= seen.upper + 1e-12).all()
    assert (seen.upper <= 1).all()
    assert (np.diff(seen.lower) >= 0).all()
    assert (np.diff(seen.upper) >= 0).all()
    assert seen.upper[0] > seen.lower[0]  # at a large k an end may be nearer to 1 than a float is


@settings(max_examples=40)
@given(tables(), st.data())
def test_an_end_does_not_depend_on_which_ks_are_asked(
    table: tuple[list[int], list[int], list[int]], data: st.DataObject
) -> None:
    """It moved by up to .018."""
    correct, total, _ = table
    every = curve(correct, total)
    asked = sorted(data.draw(st.sets(st.integers(1, min(total)), min_size=1, max_size=5)))
    some, at = curve(correct, total, asked), np.array(asked) - 1
    assert some.lower.tobytes() == every.lower[at].tobytes()
    assert some.upper.tobytes() == every.upper[at].tobytes()
    assert some.method == tuple(every.method[i] for i in at)


def test_all_wrong_problems_keep_what_they_can_still_do() -> None:
    """[.33324, .33339] at k = 16: twenty problems without a correct rollout of 64 said that they never have one."""
    seen = curve([60] * 10 + [0] * 20, [64] * 30, [16])
    # Twenty problems with rates of .0029 each leave no rollout correct with a chance of .025.
    assert seen.upper[0] - seen.value[0] > 0.025
    assert seen.value[0] - seen.lower[0] < 1e-3


def test_all_right_problems_keep_what_they_can_still_lose() -> None:
    seen = curve([64] * 20 + [20] * 10, [64] * 30, [1, 48])
    loss = 20 / 30 * (1 - 0.025 ** (1 / (64 * 20)))  # at k = 1, twenty equal rates with a chance of .025
    assert seen.value[0] - seen.lower[0] > loss
    assert 1 - seen.lower[1] > 1 / 30 * (1 - 0.025 ** (1 / 64)) ** 48


def test_partly_solved_problems_at_large_k_are_not_certain() -> None:
    """[1 - 1e-7, 1] at k = N for thirty problems at rate .5."""
    seen = curve([32] * 30, [64] * 30, [40])
    assert seen.value[0] == 1
    assert 1 - seen.lower[0] > 0.45**40


def test_a_population_in_two_parts_is_covered() -> None:
    """Ten problems at .95 and twenty at .0003: covered in .29 of runs at k = 8 to 32."""
    rng, rollouts, repetitions = np.random.default_rng(0), 64, 150
    for easy, hard, shares in ((0.95, 0.0003, (10, 20)), (0.9998, 0.3, (20, 10)), (0.2, 0.001, (10, 20))):
        rates = np.repeat([easy, hard], shares)
        ks = np.arange(1, rollouts + 1)
        truth = 1 - ((1 - rates)[:, None] ** ks).mean(0)
        hits = np.zeros(rollouts)
        for _ in range(repetitions):
            seen = curve(rng.binomial(rollouts, rates).tolist(), [rollouts] * 30)
            hits += (seen.lower <= truth + 1e-9) & (truth <= seen.upper + 1e-9)
        error = 3 * np.sqrt(0.08 * 0.92 / repetitions)
        assert (hits[:32] / repetitions).min() >= 0.92 - error, (easy, hard)
        assert (hits[32:] / repetitions).min() >= 0.90 - error, (easy, hard)


def test_beyond_half_of_n_a_prior_that_was_too_narrow_stays_widened() -> None:
    """Seventy problems at .01 and thirty at .95: no beta distribution has both, and coverage fell to .80 past N/2."""
    rng, repetitions, rates = np.random.default_rng(1), 100, np.repeat([0.01, 0.95], [70, 30])
    ks = np.arange(1, 65)
    truth, hits = 1 - ((1 - rates)[:, None] ** ks).mean(0), np.zeros(64)
    for _ in range(repetitions):
        seen = curve(rng.binomial(64, rates).tolist(), [64] * 100)
        hits += (seen.lower <= truth) & (truth <= seen.upper)
    assert hits[32:].min() / repetitions >= 0.90 - 3 * np.sqrt(0.09 / repetitions)


@pytest.mark.parametrize("rollouts", [3000])
def test_thousands_of_rollouts_are_no_matter(rollouts: int) -> None:
    seen = curve([1, rollouts // 2], [rollouts] * 2, [1, rollouts])
    assert (seen.upper > seen.lower).all()
