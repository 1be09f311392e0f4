"""Persistence: each statistic has its null on a Markov chain that ends itself, and each naive variant of it has not."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import markov_policy as chain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.diversity.temporal import (
    Surprise,
    autocorrelation,
    autocovariance,
    drift,
    intraclass_correlation,
    pooled_mean,
    split,
    variance_ratio,
)
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.problem_interval import student_t

if TYPE_CHECKING:
    from s2l_lab.estimators import Estimate

LEARNER = chain.policy(chain.LEARNER_VD)
BEHAVIOURS = {
    "on policy": LEARNER,
    "temperature": chain.policy(chain.LEARNER_VD, 1.5),
    "explorer": chain.policy(chain.EXPLORER_VD),
}
STATISTICS = {
    "drift": (drift, 0.0),
    "VR(2)": (lambda v, p: variance_ratio(v, p, 2), 1.0),
    "VR(20)": (lambda v, p: variance_ratio(v, p, 20), 1.0),
    "autocorrelation(1)": (lambda v, p: autocorrelation(v, p, [1])[0], 0.0),
    "autocorrelation(5)": (lambda v, p: autocorrelation(v, p, [5])[0], 0.0),
    "ICC": (intraclass_correlation, 0.0),
    "autocovariance(3)": (lambda v, p: autocovariance(v, p, [3])[0], 0.0),
}
"""Each with its value for martingale differences."""


@functools.cache
def rollouts(name: str) -> chain.Rollouts:
    """1,000 problems with 100 rollouts on policy, which the naive variants need to be seen wrong, and 40 else."""
    return chain.sample(BEHAVIOURS[name], problems=1000, rollouts=100 if name == "on policy" else 40, seed=1)


@functools.cache
def surprise(name: str) -> Surprise:
    """Flat, over all tokens."""
    return split(*chain.scores(rollouts(name), LEARNER, BEHAVIOURS[name]))


def series(name: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    return rollouts(name).by_rollout(getattr(surprise(name), part)), rollouts(name).problem_R


def error(estimate: Estimate) -> float:
    reach = (estimate.upper - estimate.lower) / 2
    return reach / student_t(estimate.level, estimate.n_problems - 1)


def z(estimate: Estimate, null: float) -> float:
    return (estimate.value - null) / error(estimate)


@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("statistic", STATISTICS)
def test_m_has_no_drift_and_no_memory_whoever_sampled(name: str, statistic: str) -> None:
    measure, null = STATISTICS[statistic]
    assert abs(z(measure(*series(name, "m")), null)) < 4


def test_on_policy_d_is_0_and_e_is_m() -> None:
    here = surprise("on policy")
    assert not here.d.any()
    assert np.array_equal(here.e, here.m)


@pytest.mark.parametrize("name", ["temperature", "explorer"])
def test_temperature_persists_as_an_explorer_does_and_all_of_it_is_in_d(name: str) -> None:
    here = surprise(name)
    assert np.allclose(here.e, here.m + here.d)
    assert z(drift(*series(name, "e")), 0) > 100
    assert drift(*series(name, "d")).value == pytest.approx(drift(*series(name, "e")).value, rel=0.02)
    assert variance_ratio(*series(name, "e"), 20).lower > 1.5
    assert variance_ratio(*series(name, "d"), 20).lower > 5
    assert autocorrelation(*series(name, "e"), [2])[0].lower > 0.04
    assert intraclass_correlation(*series(name, "e")).lower > 0.04
    assert abs(z(autocovariance(*series(name, "d"), [1])[0], 0)) > 50  # d is a function of the state


def test_rollouts_scored_at_their_own_temperature_are_on_policy() -> None:
    hot = BEHAVIOURS["temperature"]
    there = rollouts("temperature")
    e = there.by_rollout(split(*chain.scores(there, hot, hot)).e)
    assert abs(z(variance_ratio(e, there.problem_R, 20), 1)) < 4


def z_of_mean(value_R: np.ndarray, null: float) -> float:
    return float((value_R.mean() - null) / (value_R.std(ddof=1) / len(value_R) ** 0.5))


def within_rollouts(values: list[np.ndarray]) -> list[np.ndarray]:
    return [v - v.mean() for v in values]


def survivors(values: list[np.ndarray], problem_R: np.ndarray, least: int) -> tuple[list[np.ndarray], np.ndarray]:
    long = np.array([len(v) >= least for v in values])
    return [v for v, keep in zip(values, long, strict=True) if keep], problem_R[long]


def icc_of_each(values: list[np.ndarray]) -> np.ndarray:
    mean_square = sum(v @ v for v in values) / sum(map(len, values))
    return np.array([(v.sum() ** 2 - v @ v) / len(v) / (len(v) - 1) for v in values if len(v) > 1]) / mean_square


NAIVE = {
    "drift: mean of per-rollout means": lambda v, p: z_of_mean(np.array([x.mean() for x in v]), 0),
    "drift: without EOS": lambda v, p: z(drift([x[:-1] for x in v], p), 0),
    "VR: survivors only": lambda v, p: z(variance_ratio(*survivors(v, p, 20), 20), 1),
    "VR: centred within rollouts": lambda v, p: z(variance_ratio(within_rollouts(v), p, 20), 1),
    "VR: without EOS": lambda v, p: z(variance_ratio([x[:-1] for x in v], p, 20), 1),
    "autocorrelation: centred within rollouts": lambda v, p: z(autocorrelation(within_rollouts(v), p, [5])[0], 0),
    "autocorrelation: survivors only": lambda v, p: z(autocorrelation(*survivors(v, p, 20), [1])[0], 0),
    "autocorrelation: mean of per-rollout ones": lambda v, p: z_of_mean(
        np.array([x[:-1] @ x[1:] / (x @ x) for x in v if len(x) > 1]), 0
    ),
    "ICC: centred within rollouts": lambda v, p: z(intraclass_correlation(within_rollouts(v), p), 0),
    "ICC: survivors only": lambda v, p: z(intraclass_correlation(*survivors(v, p, 40)), 0),
    "ICC: mean of per-rollout ones": lambda v, p: z_of_mean(icc_of_each(v), 0),
    "autocovariance: centred within rollouts": lambda v, p: z(autocovariance(within_rollouts(v), p, [3])[0], 0),
}


@pytest.mark.parametrize("variant", NAIVE)
def test_naive_variants_see_drift_or_memory_where_there_is_none(variant: str) -> None:
    assert abs(NAIVE[variant](*series("on policy", "e"))) > 4


def test_with_entropy_for_cross_entropy_m_is_no_martingale() -> None:
    """e itself is what one gets; it passes on policy only."""
    assert abs(z(variance_ratio(*series("explorer", "e"), 20), 1)) > 4


@pytest.mark.parametrize("problems", [3_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_the_plug_in_mean_of_two_rollouts_shows_noise_as_negative_covariance(problems: int) -> None:
    there = chain.sample(LEARNER, problems=problems, rollouts=2, seed=2)
    m = there.by_rollout(split(*chain.scores(there, LEARNER, LEARNER)).m)
    assert abs(z(autocovariance(m, there.problem_R, [2])[0], 0)) < 4
    centred = []
    for a, b in zip(m[::2], m[1::2], strict=True):
        mean = np.concatenate([a, b]).mean()
        centred += [a - mean, b - mean]
    products = [float(v[:-2] @ v[2:]) for v in centred]
    assert z_of_mean(np.array(products), 0) < -4


def test_persistence_between_rollouts_is_measured_whole_with_two_of_them() -> None:
    """Every rollout has a level of its own, variance 1: the plug-in mean of two would show half of it."""
    rng = np.random.default_rng(3)
    level_R = rng.normal(5, 1, 4000)
    found = autocovariance([np.full(8, level) for level in level_R], np.arange(4000) // 2, [0, 3, 7])
    assert all(abs(z(estimate, 1.0)) < 4 for estimate in found)
    assert error(found[0]) < 0.06


def test_a_constant_is_persistence_to_all_but_the_covariance() -> None:
    values, problem_R = [np.full(10, 0.3)] * 6, np.arange(6) // 2
    assert drift(values, problem_R).value == pytest.approx(0.3)
    assert variance_ratio(values, problem_R, 4).value == pytest.approx(4)
    assert variance_ratio(values, problem_R, 99).value == pytest.approx(10)  # no rollout is longer
    assert [e.value for e in autocorrelation(values, problem_R, [1, 9])] == pytest.approx([1, 1])
    assert intraclass_correlation(values, problem_R).value == pytest.approx(1)
    assert [e.value for e in autocovariance(values, problem_R, [0, 4])] == pytest.approx([0, 0])


def test_noise_with_a_mean() -> None:
    """Mean .5, variance 1, ten tokens: uncentred correlations are mu^2 / (mu^2 + 1) = .2, VR(5) is 1 + 4 * .2."""
    noise = np.random.default_rng(4).normal(0.5, 1, (20_000, 10))
    values, problem_R = list(noise), np.arange(20_000) // 20
    assert abs(z(drift(values, problem_R), 0.5)) < 4
    assert abs(z(autocorrelation(values, problem_R, [3])[0], 0.2)) < 4
    assert abs(z(intraclass_correlation(values, problem_R), 0.2)) < 4
    assert abs(z(variance_ratio(values, problem_R, 5), 1.8)) < 4
    at_0, at_3 = autocovariance(values, problem_R, [0, 3])
    assert abs(z(at_0, 1.0)) < 4
    assert abs(z(at_3, 0.0)) < 4


def test_shifts_of_whole_problems_are_not_covariance_within_them() -> None:
    values = [v + 7 * (i // 20) for i, v in enumerate(np.random.default_rng(5).normal(0, 1, (400, 10)))]
    shifted = autocovariance(values, np.arange(400) // 20, [1])[0]
    plain = autocovariance([v - 7 * (i // 20) for i, v in enumerate(values)], np.arange(400) // 20, [1])[0]
    assert shifted.value == pytest.approx(plain.value, abs=1e-9)
    assert abs(autocovariance(values, np.zeros(400), [1])[0].value) > 1000  # one problem: they would be


SERIES = st.lists(st.tuples(st.lists(st.floats(-3, 3), max_size=6), st.integers(0, 3)), min_size=1, max_size=10).map(
    lambda pairs: ([np.array(v, np.float32) for v, _ in pairs], [p for _, p in pairs])
)


def close(value: float, numerator: float, denominator: float) -> bool:
    if denominator == 0:
        return bool(np.isnan(value))
    return value == pytest.approx(numerator / denominator, rel=1e-6, abs=1e-9)


@given(SERIES, st.integers(1, 4), st.integers(1, 7))
@settings(max_examples=150)
def test_every_statistic_is_its_definition(given_: tuple[list[np.ndarray], list[int]], lag: int, horizon: int) -> None:
    values, problems = given_
    x = [[float(v) for v in value] for value in values]
    tokens, squares = sum(map(len, x)), sum(v * v for row in x for v in row)
    assert close(drift(values, problems).value, sum(map(sum, x)), tokens)
    sums = sum(sum(row[:horizon]) ** 2 for row in x)
    assert close(variance_ratio(values, problems, horizon).value, sums, sum(v * v for row in x for v in row[:horizon]))
    pairs = [(row[t], row[t + lag]) for row in x for t in range(len(row) - lag)]
    products, mean_square = sum(a * b for a, b in pairs), squares / tokens if tokens else 0.0
    found = autocorrelation(values, problems, [lag])[0]
    assert close(found.value, products / max(len(pairs), 1), mean_square if pairs else 0.0)
    all_pairs = [row[s] * row[t] for row in x for s in range(len(row)) for t in range(len(row)) if s != t]
    icc = intraclass_correlation(values, problems).value
    assert close(icc, sum(all_pairs) / max(len(all_pairs), 1), mean_square if all_pairs else 0.0)


@given(SERIES, st.integers(0, 4))
@settings(max_examples=150)
def test_autocovariance_is_its_definition(given_: tuple[list[np.ndarray], list[int]], lag: int) -> None:
    """Means multiplied across rollouts, by loops over all tokens of all ordered pairs of rollouts."""
    values, problems = given_
    total, weight = 0.0, 0
    for problem in set(problems):
        x = [v.astype(float) for v, p in zip(values, problems, strict=True) if p == problem]
        heads, tails = [v[: max(len(v) - lag, 0)] for v in x], [v[lag:] for v in x]
        pairs = [a * b for head, tail in zip(heads, tails, strict=True) for a, b in zip(head, tail, strict=True)]

        def across(left: list[np.ndarray], right: list[np.ndarray]) -> list[float]:
            return [a * b for i, u in enumerate(left) for j, v in enumerate(right) if i != j for a in u for b in v]

        products = across(x, x), across(x, heads), across(x, tails)
        if pairs and all(products):
            both, head, tail = map(np.mean, products)
            total, weight = total + len(pairs) * (np.mean(pairs) - head - tail + both), weight + len(pairs)
    assert close(autocovariance(values, problems, [lag])[0].value, float(total), weight)


def test_standard_errors_are_those_of_leaving_problems_out() -> None:
    """The jackknife over problems, whose rollouts share a level and differ in number and length."""
    rng = np.random.default_rng(6)
    values, problems = [], []
    for problem in range(60):
        level = rng.normal(0.3, 0.5)
        for _ in range(rng.integers(2, 8)):
            values.append(rng.normal(level, 1, rng.integers(1, 15)))
            problems.append(problem)
    problem_R = np.array(problems)
    for measure, _ in STATISTICS.values():
        left_out = np.array(
            [
                measure([v for v, q in zip(values, problems, strict=True) if q != p], problem_R[problem_R != p]).value
                for p in range(60)
            ]
        )
        jackknife = (59 / 60 * ((left_out - left_out.mean()) ** 2).sum()) ** 0.5
        clustered = measure(values, problem_R)
        assert 0.97 * jackknife <= error(clustered) <= 1.3 * jackknife  # at least Student's t of it
        assert (clustered.n_problems, clustered.interval) == (60, "problems")


def test_split_by_hand() -> None:
    """Surprisal 2; H .5; CE .8: e 1.5, m 1.2, d .3."""
    here = split(np.array([-2.0], np.float32), np.array([0.5]), np.array([0.8]))
    assert (here.e[0], here.m[0], here.d[0]) == pytest.approx((1.5, 1.2, 0.3))


def test_empty_rollouts_count_for_nothing_and_nothing_is_undefined() -> None:
    values = [np.array([1.0, 2.0]), np.zeros(0), np.array([3.0])]
    assert drift(values, [0, 0, 1]).value == pytest.approx(2)
    assert drift(values, [0, 1, 2]).n_problems == 2
    assert drift(values, [0, 0, 1]).n_rollouts == 3
    assert autocorrelation(values, [0, 0, 1], [1])[0].n_rollouts == 1
    assert pooled_mean([], []).n_problems == 0
    undefined = [
        drift([np.zeros(0)], [0]),
        variance_ratio([np.zeros(4)], [0], 2),
        autocorrelation(values, [0, 0, 1], [2])[0],
        intraclass_correlation([np.ones(1)], [0]),
        *autocovariance(values, [0, 1, 2], [0]),  # no problem has two rollouts
        *autocovariance(values, [0, 0, 0], [2]),
    ]
    assert all(np.isnan(e.value) for e in undefined)
    assert np.isnan(drift([np.ones(2)], [0]).lower)  # one problem says nothing of others
    assert drift([np.ones(2)], [0]).value == 1


def test_bad_input() -> None:
    two = [np.ones(2), np.ones(3)]
    with pytest.raises(UsageError, match="2 rollouts and problems"):
        drift(two, [0])
    with pytest.raises(DataError, match="rollout 1 has a value that is NaN"):
        drift([np.ones(2), np.array([1.0, np.nan])], [0, 1])
    with pytest.raises(UsageError, match="horizon 0"):
        variance_ratio(two, [0, 1], 0)
    with pytest.raises(UsageError, match=r"lags \[1, 0\] were asked; each must be at least 1"):
        autocorrelation(two, [0, 1], [1, 0])
    with pytest.raises(UsageError, match="at least 0"):
        autocovariance(two, [0, 1], [-1])
