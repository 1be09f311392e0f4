"""The seeds interval: crossed with problems, honest about few seeds. (Coverage: test_calibration.py.)"""

from __future__ import annotations

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import pass_at_k, seed_difference, seeds_curve


def runs(seeds: int, problems: int = 40, lift: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 2, problems) + rng.normal(0, 0.5, (seeds, 1)) + lift
    return rng.binomial(32, 1 / (1 + np.exp(-logit))), np.full((seeds, problems), 32)


def test_value_is_the_mean_over_seeds_and_the_counts_are_named() -> None:
    correct, total = runs(10)
    seen = seeds_curve(correct, total, [1, 8], rng=np.random.default_rng(0))
    np.testing.assert_allclose(seen.value, pass_at_k(correct.ravel(), total.ravel(), [1, 8]))
    assert (seen.interval, seen.n_seeds, seen.n_problems, seen.n_rollouts) == ("seeds", 10, 40, 32)
    assert (seen.lower < seen.value).all()
    assert (seen.value < seen.upper).all()


@pytest.mark.parametrize(("seeds", "mark"), [(9, True), (10, False)])
def test_under_ten_seeds_it_cannot_tell(seeds: int, mark: bool) -> None:
    correct, total = runs(seeds)
    curve = seeds_curve(correct, total, [1], rng=np.random.default_rng(0))
    difference = seed_difference((correct, total), runs(seeds, seed=1), 1)
    assert ("cannot tell" in curve.method[0]) is mark
    assert ("cannot tell" in difference.method) is mark


def test_one_seed_or_one_problem_has_no_interval() -> None:
    for correct, total in (runs(1), runs(5, problems=1)):
        assert np.isnan(seeds_curve(correct, total, [1], rng=np.random.default_rng(0)).upper).all()


def test_more_seeds_do_not_remove_the_problems_share() -> None:
    """Crossed: with equal seeds the interval keeps the width that problems give; nested it would shrink."""
    one, total = runs(1)
    few, many = (
        seeds_curve(np.repeat(one, n, 0), np.repeat(total, n, 0), [1], rng=np.random.default_rng(0)) for n in (10, 40)
    )
    assert (many.upper - many.lower)[0] == pytest.approx((few.upper - few.lower)[0], rel=0.15)


def test_seed_level_and_replicates_matter() -> None:
    correct, total = runs(10)

    def width(seed: int = 0, level: float = 0.95, replicates: int = 2_000) -> float:
        rng = np.random.default_rng(seed)
        seen = seeds_curve(correct, total, None, rng=rng, level=level, replicates=replicates)
        return float((seen.upper - seen.lower).sum())

    assert width() == width()
    assert width(level=0.99) > width() > width(level=0.8)
    assert len({width(), width(seed=1), width(replicates=500)}) == 3


def test_wrong_shapes_are_refused() -> None:
    correct, total = runs(3)
    with pytest.raises(UsageError, match=r"\(S, P\)"):
        seeds_curve(correct[0], total[0], [1], rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match=r"1\.\.32"):
        seeds_curve(correct, total, [33], rng=np.random.default_rng(0))
