"""Differences of training methods: crossed over seeds and problems, banks as a third factor. (Long form of the
simulations: benchmarks/training_claims.py.)"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_rel

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Estimate, pass_at_k, seed_difference, seed_difference_these_problems
from s2l_lab.estimators.decisions import judge

Runs = tuple[np.ndarray, np.ndarray]
N = 16


def arms(
    rng: np.random.Generator,
    seeds: int,
    problems: int,
    *,
    problem: float = 0.0,
    seed: float = 0.0,
    banks: Sequence[int] = (),
    bank: float = 0.0,
) -> tuple[Runs, Runs]:
    """Two arms of one law, whose true difference is 0: effects of arm x problem, x seed, x bank, in logits (SD)."""
    effect = problem * rng.standard_normal(problems) + seed * rng.standard_normal((seeds, 1))
    if banks:
        effect = effect + bank * rng.standard_normal(max(banks) + 1)[list(banks)][:, None]
    base, total = 2 * rng.standard_normal(problems) - 1, np.full((seeds, problems), N)
    a, b = (rng.binomial(N, 1 / (1 + np.exp(-base - sign * effect / 2)), total.shape) for sign in (-1, 1))
    return (a, total), (b, total)


@st.composite
def tables(draw: st.DrawFn, least: int = 2) -> tuple[Runs, Runs]:
    """Counts of two arms, seeds x problems, with totals of their own."""
    shape = draw(st.integers(least, 6)), draw(st.integers(least, 6))

    def one() -> Runs:
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        total = rng.integers(3, 9, shape)
        return rng.binomial(total, draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))), total

    return one(), one()


def by_definition(a: Runs, b: Runs, k: int) -> tuple[float, float]:
    """Standard error and degrees of freedom from mean squares that are summed cell by cell; of what is equally large
    the first that is no sum, and the fewer degrees."""
    (seeds, problems), (rows, columns) = a[0].shape, (range(a[0].shape[0]), range(a[0].shape[1]))
    d = [
        [pass_at_k([b[0][s, p]], [b[1][s, p]], k) - pass_at_k([a[0][s, p]], [a[1][s, p]], k) for p in columns]
        for s in rows
    ]
    all_ = sum(map(sum, d)) / (seeds * problems)
    of_seed = [sum(d[s]) / problems for s in rows]
    of_problem = [sum(d[s][p] for s in rows) / seeds for p in columns]
    ms_seed = problems * sum((m - all_) ** 2 for m in of_seed) / (seeds - 1)
    ms_problem = seeds * sum((m - all_) ** 2 for m in of_problem) / (problems - 1)
    free = (seeds - 1) * (problems - 1)
    ms_both = sum((d[s][p] - of_seed[s] - of_problem[p] + all_) ** 2 for s in rows for p in columns) / free
    total = ms_seed + ms_problem - ms_both
    largest = max(ms_seed, ms_problem, total)
    parts = ms_seed**2 / (seeds - 1) + ms_problem**2 / (problems - 1) + ms_both**2 / free
    degrees = [df for ms, df in ((ms_seed, seeds - 1), (ms_problem, problems - 1)) if ms >= largest * (1 - 1e-9)]
    df = min(degrees) if degrees else total**2 / parts
    return math.sqrt(largest / (seeds * problems)), df


ONE_CELL = tuple((np.diag([right, 0, 0, 0])[:3], np.full((3, 4), 4)) for right in (0, 1))
"""Counts that differ in a single cell: all mean squares are equal, whatever rounding makes of them."""


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(1, 3))
@example(ONE_CELL, 1)
def test_standard_error_and_degrees_of_freedom_are_those_of_the_definition(pair: tuple[Runs, Runs], k: int) -> None:
    found = seed_difference(*pair, k, level=0.9)
    se, df = by_definition(*pair, k)
    if se < 1e-9:
        assert math.isnan(found.se)
        return
    assert found.se == pytest.approx(se)
    assert found.df == pytest.approx(df, rel=1e-6)
    reach = student.ppf(0.95, df) * se
    ends = max(found.value - reach, -1), min(found.value + reach, 1)
    assert (found.lower, found.upper) == pytest.approx(ends)


@settings(max_examples=60, deadline=None)
@given(tables(), st.integers(1, 3), st.randoms(use_true_random=False))
def test_order_says_nothing_and_swapped_arms_negate(pair: tuple[Runs, Runs], k: int, random: object) -> None:
    found = seed_difference(*pair, k)
    assert -1 <= found.lower < found.value < found.upper <= 1 or abs(found.value) == 1
    back = seed_difference(*pair[::-1], k)
    assert (back.value, back.lower, back.upper) == pytest.approx((-found.value, -found.upper, -found.lower))
    rows, columns = (np.array(random.sample(range(n), n)) for n in pair[0][0].shape)  # type: ignore[attr-defined]
    mixed = seed_difference(*((c[rows][:, columns], t[rows][:, columns]) for c, t in pair), k)
    assert (mixed.lower, mixed.upper) == pytest.approx((found.lower, found.upper))


def test_the_difference_for_these_problems_is_students_t_of_seed_means() -> None:
    a, b = arms(np.random.default_rng(0), 10, 40, seed=0.5)
    found = seed_difference_these_problems(a, b, 4, level=0.9)
    means = [[pass_at_k(c, t, 4) for c, t in zip(*one, strict=True)] for one in (a, b)]
    ends = ttest_rel(means[1], means[0]).confidence_interval(0.9)
    np.testing.assert_allclose([found.lower, found.upper], [ends.low, ends.high])
    assert found.value == pytest.approx(np.mean(means[1]) - np.mean(means[0]))
    assert found.df == 9
    assert "these problems" in found.method
    crossed = seed_difference(a, b, 4, level=0.9)
    assert crossed.value == found.value
    assert (crossed.n_seeds, crossed.n_problems, crossed.n_rollouts) == (10, 40, 2 * 10 * 40 * N)


def coverage(seeds: int, problems: int, repetitions: int = 400, **effects: float) -> tuple[float, float]:
    """Shares of intervals that hold the true 0: crossed, and over seeds alone."""
    rng, hits = np.random.default_rng(3), np.zeros(2)
    for _ in range(repetitions):
        a, b = arms(rng, seeds, problems, **effects)
        for i, found in enumerate((seed_difference(a, b, 1), seed_difference_these_problems(a, b, 1))):
            hits[i] += found.lower <= 0 <= found.upper
    return tuple(hits / repetitions)


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize(("problem", "seed"), [(0.6, 0.1), (0.3, 0.3), (0.0, 0.0), (0.0, 0.3)])
def test_the_true_difference_is_held_whatever_varies(seeds: int, problem: float, seed: float) -> None:
    """400 intervals of nominal .95: binomial error .011."""
    crossed, seeds_alone = coverage(seeds, 40, problem=problem, seed=seed)
    assert crossed >= 0.95 - 3 * 0.011
    if problem > 2 * seed:
        assert seeds_alone < 0.88  # a winner by its problems: every seed agrees on it


def test_equal_counts_are_no_difference_of_width_0() -> None:
    """Rates of .0005 and .002 at N = 4 give equal counts everywhere in one draw of twenty, which proves nothing: of ten
    seeds that agree, others may differ in a share 1 - .025^(1/10) = .308."""
    wrong, total = np.zeros((10, 30), int), np.full((10, 30), 4)
    for correct in (wrong, total):
        found = seed_difference((correct, total), (correct, total), 1)
        assert (found.lower, found.value, found.upper) == pytest.approx((-0.308, 0, 0.308), abs=5e-4)
        assert np.isnan([found.se, found.df]).all()
        assert "exact" in found.method
        for expected in ("above", "below", "equal", "not_below"):
            assert judge([found], [expected], 0.02)[0].word == "cannot tell"
    all_ = seed_difference((wrong, total), (total, total), 1)
    assert (all_.value, all_.upper) == (1, 1)
    assert all_.lower == pytest.approx(1 - 2 * 0.308, abs=1e-3)
    narrow = seed_difference_these_problems((wrong, total), (wrong, total), 1)
    assert narrow.upper == pytest.approx(0.308, abs=5e-4)


def test_rounding_is_no_spread() -> None:
    """At k = 150 of N = 200 a solve rate of .5 gives 1 - 1e-59: what is left of differences is the last bit."""
    rng, total = np.random.default_rng(0), np.full((10, 30), 200)
    a, b = ((rng.integers(least, 200 - least, total.shape), total) for least in (60, 90))
    found = seed_difference(a, b, 150)
    assert found.upper - found.lower > 0.5
    assert math.isnan(found.se)


def test_one_seed_or_one_problem_has_no_interval() -> None:
    for seeds, problems in ((1, 20), (12, 1)):
        a, b = arms(np.random.default_rng(0), seeds, problems)
        found = seed_difference(a, b, 1, bank=[0, 1, 2] * 4 if seeds == 12 else None)
        assert np.isnan([found.lower, found.upper, found.se, found.df]).all()
        assert judge([found], ["above"], 0.02)[0].word == "cannot tell"


def test_pairs_are_narrower_than_strangers() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 0.6, (10, 1))
    total = np.full((10, 60), N)
    a, b = ((rng.binomial(N, 1 / (1 + np.exp(-shared)), total.shape), total) for _ in "ab")
    paired, mixed = seed_difference(a, b, 1), seed_difference(a, (np.roll(b[0], 1, 0), b[1]), 1)
    assert mixed.value == pytest.approx(paired.value)
    assert mixed.upper - mixed.lower > 2 * (paired.upper - paired.lower)


BANK_LABELS = {1: [0] * 10, 2: [0] * 5 + [1] * 5, 3: [0, 1, 2] * 3 + [0], 5: [0, 1, 2, 3, 4] * 2}


def test_few_banks_are_held_fixed_and_said() -> None:
    a, b = arms(np.random.default_rng(2), 10, 30, seed=0.3)
    plain = seed_difference(a, b, 1)
    assert plain.given == ""
    for banks, words in ((1, "for this bank"), (2, "for these 2 banks")):
        found = seed_difference(a, b, 1, bank=BANK_LABELS[banks])
        assert found.given == words
        assert (found.lower, found.upper) == (plain.lower, plain.upper)
        for expected in ("above", "equal"):
            assert words in judge([found], [expected], 0.02)[0].why
        few = seed_difference((a[0][:9], a[1][:9]), (b[0][:9], b[1][:9]), 1, bank=BANK_LABELS[banks][:9])
        assert judge([few], ["above"], 0.02)[0].why == f"9 of the 10 seeds that a claim needs; {words}"
    factor = seed_difference(a, b, 1, bank=BANK_LABELS[3])
    assert factor.given == ""
    assert "3 banks" in factor.method


@settings(max_examples=80, deadline=None)
@given(tables(least=3), st.data())
def test_banks_move_no_value_and_narrow_no_interval(pair: tuple[Runs, Runs], data: st.DataObject) -> None:
    seeds = pair[0][0].shape[0]
    labels = data.draw(st.lists(st.sampled_from("abcd"), min_size=seeds, max_size=seeds))
    plain, found = seed_difference(*pair, 1), seed_difference(*pair, 1, bank=labels)
    assert found.value == plain.value
    assert found.upper - found.lower >= plain.upper - plain.lower - 1e-12
    assert math.isnan(found.se) or (found.se >= plain.se and found.df <= plain.df)
    named = {"a": (1, "x"), "b": None, "c": 3.5, "d": "d"}  # any labels: only which are equal counts
    assert _ends(seed_difference(*pair, 1, bank=[named[label] for label in labels])) == _ends(found)
    assert _ends(seed_difference(*pair, 1, bank=range(seeds))) == _ends(plain)


def _ends(found: Estimate) -> list[float]:
    return np.nan_to_num([found.lower, found.upper, found.se, found.df], nan=-9).tolist()


@pytest.mark.parametrize("banks", [3, 5])
def test_three_banks_or_more_hold_the_truth_over_other_banks(banks: int) -> None:
    """A shift of .3 logit by bank: without labels 0 is excluded too often, with a single bank in three runs of four."""
    rng, labels, hits = np.random.default_rng(5), BANK_LABELS[banks], np.zeros(3)
    for _ in range(300):
        a, b = arms(rng, 10, 40, problem=0.3, banks=labels, bank=0.3)
        one = arms(rng, 10, 40, problem=0.3, banks=[0] * 10, bank=0.3)
        for i, found in enumerate(
            (
                seed_difference(a, b, 1, bank=labels),
                seed_difference(a, b, 1),
                seed_difference(*one, 1, bank=[0] * 10),
            )
        ):
            hits[i] += found.lower <= 0 <= found.upper
    labelled, unlabelled, single = hits / 300
    assert labelled >= 0.95 - 2 * 0.0126
    assert unlabelled < labelled
    assert single < 0.5  # which is why it says "for this bank"


def test_what_cannot_be_paired_is_refused() -> None:
    a, b = arms(np.random.default_rng(0), 3, 5)
    with pytest.raises(UsageError, match="equal shapes"):
        seed_difference(a, (b[0][:2], b[1][:2]), 1)
    with pytest.raises(UsageError, match=rf"1\.\.{N}"):
        seed_difference(a, b, N + 1)
    with pytest.raises(UsageError, match=r"0\.95"):
        seed_difference_these_problems(a, b, 1, level=95)
    for bank in (["x"] * 2, "xyz"):
        with pytest.raises(UsageError, match="one label for each of the 3 seeds"):
            seed_difference(a, b, 1, bank=bank)
