"""The Sharpening Tax: the paper's formulae written out, its laws, and its intervals' coverage."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Counts, sharpening_tax


def counted(correct, total=16, unknown=0) -> Counts:
    problems = len(correct)
    ids = tuple(f"p{i}" for i in range(problems))
    return Counts(ids, np.asarray(correct), np.full(problems, total), np.full(problems, unknown))


def curve(correct, total: int, top: int) -> list[float]:
    return [float(np.mean([1 - comb(total - int(c), k) / comb(total, k) for c in correct])) for k in range(1, top + 1)]


pairs = st.integers(2, 6).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 16), min_size=n, max_size=n) for _ in range(2)))
)


@given(pairs, st.integers(2, 16))
def test_both_taxes_and_the_areas_are_the_papers_sums(pair, top: int) -> None:
    base, post = (curve(correct, 16, top) for correct in pair)
    seen = sharpening_tax(counted(pair[0]), counted(pair[1]), top, replicates=200)
    raw = [sum(one[-1] - value for value in one[:-1]) for one in (base, post)]
    assert seen.area.value == pytest.approx(raw[0] - raw[1], abs=1e-10)
    if max(base[0], post[0]) < 1:
        shares = [a / ((top - 1) * (1 - one[0])) for a, one in zip(raw, (base, post), strict=True)]
        assert seen.calibrated.value == pytest.approx(shares[0] - shares[1], abs=1e-10)
        assert -1 <= seen.calibrated.lower <= seen.calibrated.upper <= 1
    else:
        assert np.isnan([seen.calibrated.value, seen.calibrated.lower]).all()
    gap = np.array(base) - np.array(post)
    signed = np.trapezoid(gap, np.log(np.arange(1, top + 1))) / np.log(top)
    assert seen.base_ahead.value - seen.post_ahead.value == pytest.approx(signed, abs=1e-10)
    for area in (seen.base_ahead, seen.post_ahead):
        assert 0 <= area.lower <= area.value + 1e-12
        assert area.value <= area.upper + 1e-12
        assert area.upper <= 1


@given(pairs)
def test_the_tax_turns_over_with_the_models(pair) -> None:
    a, b = counted(pair[0]), counted(pair[1])
    there, back = sharpening_tax(a, b, replicates=200), sharpening_tax(b, a, replicates=200)
    assert there.area.value == pytest.approx(-back.area.value, abs=1e-10)
    assert there.calibrated.value == pytest.approx(-back.calibrated.value, abs=1e-10, nan_ok=True)
    assert there.base_ahead.value == pytest.approx(back.post_ahead.value, abs=1e-10)


def test_a_model_that_is_sharper_and_crossed_pays() -> None:
    """Sure on half of the problems and hopeless on the others, against one that reaches all of them with tries."""
    seen = sharpening_tax(counted([3] * 40), counted([16] * 20 + [0] * 20), replicates=500)
    assert seen.area.lower > 0
    assert seen.calibrated.lower > 0
    assert seen.base_ahead.value > 0.05
    assert seen.post_ahead.value > 0.05


@pytest.mark.parametrize("repetitions", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_the_intervals_cover(repetitions: int) -> None:
    def population(rng: np.random.Generator, problems: int) -> tuple[np.ndarray, np.ndarray]:
        base = rng.beta(0.3, 1, problems)
        logit = 1.6 * np.log(base / (1 - base)) + 1.5 + rng.normal(0, 0.5, problems)
        return base, 1 / (1 + np.exp(-logit))

    top, problems = 16, 40
    many = population(np.random.default_rng(1), 100_000)
    curves = [np.array([np.mean(1 - (1 - rates) ** k) for k in range(1, top + 1)]) for rates in many]
    raw = [(one[-1] - one[:-1]).sum() for one in curves]
    shares = [a / ((top - 1) * (1 - one[0])) for a, one in zip(raw, curves, strict=True)]
    log_k = np.log(np.arange(1, top + 1))
    ahead = [np.trapezoid(np.maximum(s * (curves[0] - curves[1]), 0), log_k) / log_k[-1] for s in (1, -1)]
    truths = [raw[0] - raw[1], shares[0] - shares[1], *ahead]
    hits = np.zeros(4)
    for i in range(repetitions):
        rng = np.random.default_rng(i)
        a, b = (counted(rng.binomial(32, rates), 32) for rates in population(rng, problems))
        seen = sharpening_tax(a, b, top, rng=rng, replicates=200)
        estimates = (seen.area, seen.calibrated, seen.base_ahead, seen.post_ahead)
        hits += [e.lower <= truth <= e.upper for e, truth in zip(estimates, truths, strict=True)]
    assert (hits / repetitions > 0.95 - 3 * np.sqrt(0.95 * 0.05 / repetitions)).all()


def test_counts_seed_and_single_problem() -> None:
    base, post = counted([3, 9, 0, 16, 2]), counted([8, 8, 0, 16, 1])
    seen = sharpening_tax(base, post)
    assert (seen.k, seen.area.n_problems, seen.area.n_rollouts, seen.area.interval) == (16, 5, 160, "problems")
    assert seen == sharpening_tax(base, post, 16, rng=np.random.default_rng(0))
    assert seen != sharpening_tax(base, post, rng=1)
    assert np.isnan(sharpening_tax(counted([3]), counted([5])).area.lower)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: sharpening_tax(counted([3, 4]), counted([3, 4]), 17), "k = 17 was asked"),
        (lambda: sharpening_tax(counted([3, 4]), counted([3, 4]), 1), "needs k >= 2"),
        (lambda: sharpening_tax(counted([3, 4]), counted([3])), "differ in 1 of them"),
        (lambda: sharpening_tax(counted([3, 4]), counted([3, 4], unknown=1)), "2 rollouts have no verdict"),
        (lambda: sharpening_tax(counted([3, 4]), counted([3, 4]), level=95), "0.95"),
    ],
)
def test_wrong_input_gets_one_message(call, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        call()
