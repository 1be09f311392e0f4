"""pass@k beyond N: an independent fit as the oracle, populations of the model's own, and populations that are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from s2l_lab.errors import UsageError
from s2l_lab.estimators import extrapolate_pass_at_k, pass_at_k


def draws(seed: int, problems: int, n: int, a: float, b: float, zero: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rates = np.where(rng.random(problems) < zero, 0.0, rng.beta(a, b, problems))
    return rng.binomial(n, rates)


def log_likelihood(parameters, correct, total) -> float:
    """Zero-inflated beta-binomial, written with scipy.stats; parameters are log a, log b and the logit of z."""
    a, b = np.exp(parameters[:2])
    zero = 1 / (1 + np.exp(-parameters[2]))
    chance = (1 - zero) * stats.betabinom.pmf(correct, total, a, b) + zero * (np.asarray(correct) == 0)
    return float(np.log(np.maximum(chance, 1e-300)).sum())


def solved(parameters, k: int) -> float:
    a, b = np.exp(parameters[:2])
    return float((1 - stats.betabinom.pmf(0, k, a, b)) / (1 + np.exp(parameters[2])))


@pytest.mark.parametrize("more", [0, 5])
def test_fit_and_ends_are_those_of_an_independent_optimiser(more: int) -> None:
    total = np.full(60, 16)
    total[::3] += more
    correct = draws(4, 60, 16, 0.6, 1.2, zero=0.3)
    seen = extrapolate_pass_at_k(correct, total, [64, 256])

    def best(start, constraints=()):
        return optimize.minimize(
            lambda x: -log_likelihood(x, correct, total), start, method="SLSQP", constraints=constraints, tol=1e-10
        )

    fit = best([-0.5, 0.2, -0.8])
    np.testing.assert_allclose(seen.value, [solved(fit.x, k) for k in (64, 256)], atol=2e-4)
    assert np.log(seen.a) == pytest.approx(fit.x[0], abs=0.01)
    drop = stats.t.ppf(0.975, 59) ** 2 / 2
    for i, k in enumerate((64, 256)):
        for sign, end in ((1, seen.lower[i]), (-1, seen.upper[i])):
            inside = {"type": "ineq", "fun": lambda x: log_likelihood(x, correct, total) + fit.fun + drop}
            found = [
                optimize.minimize(
                    lambda x, sign=sign, k=k: sign * solved(x, k), fit.x + shift, method="SLSQP", constraints=inside
                )
                for shift in ([0, 0, 0], [0.3, 0.3, 0.3], [-0.3, 0, -2])
            ]
            extreme = min(one.fun for one in found if one.success)
            assert end == pytest.approx(sign * extreme, abs=0.008)


def test_the_papers_fit_without_zeros_reaches_one() -> None:
    correct = draws(0, 200, 32, 0.3, 1)
    plain = extrapolate_pass_at_k(correct, [32] * 200, [64, 10**9], zero_inflated=False)
    assert plain.zero == 0
    assert plain.value[0] == pytest.approx(1 - stats.betabinom.pmf(0, 64, plain.a, plain.b), abs=1e-9)
    assert plain.value[1] > 0.99
    assert "beta-binomial" in plain.method
    assert "zero" not in plain.method
    assert plain.a == pytest.approx(0.3, abs=0.08)
    assert plain.b == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(("a", "b", "zero"), [(0.3, 1.0, 0.0), (0.5, 1.0, 0.3)])
@pytest.mark.parametrize("repetitions", [10, pytest.param(80, marks=pytest.mark.slow)])
def test_the_ends_cover_a_population_of_the_model(a: float, b: float, zero: float, repetitions: int) -> None:
    ks = np.array([32, 256, 1024])
    truth = (1 - zero) * np.array([1 - stats.betabinom.pmf(0, k, a, b) for k in ks])
    hits, free, refuted = np.zeros(3), np.zeros(3), 0
    for i in range(repetitions):
        seen = extrapolate_pass_at_k(draws(i, 60, 16, a, b, zero), [16] * 60, ks, rng=i)
        hits += (seen.lower <= truth) & (truth <= seen.upper)
        free += (seen.free_lower <= truth) & (truth <= seen.free_upper)
        refuted += seen.refuted
    assert (hits / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)).all()
    assert (free / repetitions > 0.95).all()
    assert refuted / repetitions < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repetitions)


def test_two_rates_are_refuted_where_counts_can_show_them() -> None:
    """Half of the problems at .2, half at .6: no beta has two humps, and 100 problems at N = 16 say so."""
    flagged = 0
    for i in range(20):
        rng = np.random.default_rng(i)
        seen = extrapolate_pass_at_k(rng.binomial(16, rng.choice([0.2, 0.6], 100)), [16] * 100, [64], rng=i)
        flagged += seen.refuted
        assert ("refuted by the counts (p = " in seen.method) is seen.refuted
        assert seen.free_lower[0] <= 1 - 0.5 * 0.8**64 <= seen.free_upper[0]
    assert flagged >= 15


def test_what_counts_cannot_show_is_not_refuted_and_only_the_free_ends_hold() -> None:
    """A third of the problems at .95, the others at .0003: none of those is solved in 16 tries, most are in 4,096."""
    rates = np.array([0.95] * 10 + [0.0003] * 20)
    correct = np.append(np.random.default_rng(0).binomial(16, rates[:10]), np.zeros(20, dtype=int))
    seen = extrapolate_pass_at_k(correct, [16] * 30, [4096])
    truth = np.mean(1 - (1 - rates) ** 4096)
    assert not seen.refuted
    assert "model-dependent" in seen.method
    assert seen.upper[0] < truth < seen.free_upper[0]


tables = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.tuples(st.integers(0, n), st.integers(0, 4)), min_size=2, max_size=12).map(
        lambda rows: ([c for c, _ in rows], [n + more for _, more in rows])
    )
)


@given(tables, st.booleans())
@settings(max_examples=25)
def test_ends_are_finite_ordered_and_rise_with_k(table, zero_inflated: bool) -> None:
    correct, total = table
    ks = min(total) + np.array([1, 3, 40, 10_000])
    seen = extrapolate_pass_at_k(correct, total, ks, zero_inflated=zero_inflated)
    for column in (seen.value, seen.lower, seen.upper, seen.free_lower, seen.free_upper):
        assert np.isfinite(column).all()
        assert ((column >= 0) & (column <= 1)).all()
        assert (np.diff(column) >= -1e-9).all()
    assert (seen.lower <= seen.value).all()
    assert (seen.value <= seen.upper).all()
    assert (seen.upper > seen.lower).all()
    assert (seen.free_lower <= pass_at_k(correct, total, min(total)) + 1e-9).all()
    assert 0 < seen.fit_p <= 1


def test_counts_seed_and_single_problem() -> None:
    correct = draws(0, 40, 16, 0.3, 1)
    seen = extrapolate_pass_at_k(correct, [16] * 40, [64])
    assert (seen.n_problems, seen.n_rollouts, seen.level) == (40, 16, 0.95)
    assert seen.fit_p == extrapolate_pass_at_k(correct, [16] * 40, [64], rng=np.random.default_rng(0)).fit_p
    assert np.isnan(extrapolate_pass_at_k([3], [16], [64]).upper).all()
    assert extrapolate_pass_at_k(correct, [16] * 40, [64], level=0.8).upper < seen.upper


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: extrapolate_pass_at_k([1, 2], [8, 9], [8]), "for k above 8"),
        (lambda: extrapolate_pass_at_k([1, 2], [8, 9], []), "for k above 8"),
        (lambda: extrapolate_pass_at_k([1, 2], [8, 8], [64, 32]), "increase strictly"),
        (lambda: extrapolate_pass_at_k([1, 2], [8, 8], [9.5]), "must hold integers"),
        (lambda: extrapolate_pass_at_k([9, 2], [8, 8], [16]), "9 correct of 8"),
        (lambda: extrapolate_pass_at_k([1, 2], [8, 8], [16], level=95), "0.95"),
    ],
)
def test_wrong_input_gets_one_message(call, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
