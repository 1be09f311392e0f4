"""G-Pass@k and mG-Pass@k: by enumeration of subsets, beside their neighbours, and their interval's coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.estimators import at_least_j_of_k, g_pass_at_k, mg_pass_at_k, pass_at_k, pass_hat_k

counts = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=5).map(
    lambda rows: ([c for c, _ in rows], [max(6, c) + more for c, more in rows])
)


def by_subsets(correct: int, total: int, k: int, wanted: int) -> float:
    """Share of all k-subsets of a problem's rollouts with at least `wanted` correct ones."""
    outcomes = [1] * correct + [0] * (total - correct)
    subsets = list(itertools.combinations(outcomes, k))
    return sum(sum(one) >= wanted for one in subsets) / len(subsets)


@given(counts, st.integers(1, 6), st.sampled_from([0.01, 0.25, 0.5, 0.6, 0.75, 0.8, 1.0]))
def test_g_pass_is_the_share_of_subsets(table, k: int, tau: float) -> None:
    correct, total = table
    wanted = math.ceil(round(tau * k, 9))
    expected = np.mean([by_subsets(c, n, k, wanted) for c, n in zip(correct, total, strict=True)])
    seen = g_pass_at_k(correct, total, k, tau, replicates=200)
    assert seen.value == pytest.approx(expected, abs=1e-12)
    assert seen.value == pytest.approx(at_least_j_of_k(correct, total, wanted, k), abs=1e-12)


@given(counts, st.integers(2, 6))
def test_mg_pass_is_the_papers_sum(table, k: int) -> None:
    correct, total = table
    steps = range(math.ceil(k / 2) + 1, k + 1)
    expected = 2 / k * sum(at_least_j_of_k(correct, total, i, k) for i in steps)
    assert mg_pass_at_k(correct, total, k, replicates=200).value == pytest.approx(expected, abs=1e-12)


@given(counts, st.sampled_from([2, 4, 6]))
def test_mg_pass_is_twice_the_integral_for_even_k(table, k: int) -> None:
    correct, total = table
    middles = 0.5 + (np.arange(60) + 0.5) / 120  # 120 divides into steps of 1 / k for these k
    integral = np.mean([g_pass_at_k(correct, total, k, tau, replicates=200).value for tau in middles])
    assert mg_pass_at_k(correct, total, k, replicates=200).value == pytest.approx(integral, abs=1e-12)


def test_neighbours_and_a_threshold_that_rounding_would_move() -> None:
    correct, total = [0, 3, 40, 100, 55], [100] * 5
    assert g_pass_at_k(correct, total, 8, 0.001).value == pytest.approx(pass_at_k(correct, total, 8))
    assert g_pass_at_k(correct, total, 8, 1).value == pytest.approx(pass_hat_k(correct, total, 8))
    # .55 * 100 is 55.00000000000001 in floating point
    assert g_pass_at_k(correct, total, 100, 0.55).value == pytest.approx(2 / 5)
    assert mg_pass_at_k([1000] * 3, [1000] * 3, 512).value == pytest.approx(1)


@pytest.mark.parametrize("repetitions", [100, pytest.param(300, marks=pytest.mark.slow)])
def test_the_interval_covers_and_the_counts_are_named(repetitions: int) -> None:
    hits = 0
    rates = np.random.default_rng(5).beta(0.5, 0.5, 200_000)
    truth = np.mean([2 / 8 * sum(math.comb(8, x) * (x - 4) * rates**x * (1 - rates) ** (8 - x) for x in range(5, 9))])
    for i in range(repetitions):
        rng = np.random.default_rng(i)
        seen = mg_pass_at_k(rng.binomial(32, rng.beta(0.5, 0.5, 40)), [32] * 40, 8, rng=rng, replicates=200)
        hits += seen.lower <= truth <= seen.upper
    assert hits / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)
    assert (seen.interval, seen.n_problems, seen.n_rollouts) == ("problems", 40, 40 * 32)
    assert g_pass_at_k([3, 4], [8, 8], 4, 0.5) == g_pass_at_k([3, 4], [8, 8], 4, 0.5, rng=np.random.default_rng(0))
    assert np.isnan(g_pass_at_k([3], [8], 4, 0.5).lower)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: g_pass_at_k([1], [4], 2, 0), r"tau = 0 was asked.*\(0, 1\]"),
        (lambda: g_pass_at_k([1], [4], 2, 1.5), "tau = 1.5"),
        (lambda: g_pass_at_k([1], [4], 2, math.nan), "tau = nan"),
        (lambda: g_pass_at_k([1], [4], 5, 0.5), "k = 5 was asked"),
        (lambda: g_pass_at_k([1], [4], [2, 3], 0.5), "at one k"),
        (lambda: mg_pass_at_k([1], [4], 1), "needs k >= 2"),
        (lambda: mg_pass_at_k([5], [4], 2), "5 correct of 4"),
    ],
)
def test_wrong_input_gets_one_message(call, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
