"""Validity: metrics whose truth is known get the mark and the numbers that they must."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
from scipy.stats import f_oneway, spearmanr

from s2l_lab.diversity.validity import NOTICEABLE, Factor, Validity, validity
from s2l_lab.errors import UsageError

ITEMS, REPLICATES = 12, 4
SHAPE = (ITEMS, 3, 3, 2, REPLICATES)
STRATEGIES, PHRASINGS, ORDER = (
    np.broadcast_to(np.array(levels, dtype=float).reshape([-1 if a == axis else 1 for a in range(5)]), SHAPE)
    for axis, levels in ((1, [1, 2, 4]), (2, [1, 2, 4]), (3, [0, 1]))
)


def noise(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def standardised(value: np.ndarray) -> np.ndarray:
    return (value - value.mean()) / value.std()


def test_the_number_of_strategies_follows_strategies_and_nothing_else() -> None:
    seen = validity(STRATEGIES)
    assert seen.mark == "strategy"
    assert (seen.strategies.follows.value, seen.strategies.share.value) == pytest.approx((1, 1))
    # Items that agree leave what the rule of three leaves: never width 0.
    assert seen.strategies.follows.lower == pytest.approx(2 * 0.025 ** (1 / ITEMS) - 1)
    assert seen.strategies.follows.upper == pytest.approx(1)
    for other in (seen.phrasing, seen.order):
        assert (other.follows.value, other.share.value) == pytest.approx((0, 0))
        assert not other.moves
    assert seen.rest.value == pytest.approx(0)
    assert (seen.n_items, seen.n_constant, seen.n_undefined) == (ITEMS, 0, 0)
    assert seen.strategies.follows.n_problems == ITEMS
    assert seen.strategies.follows.n_rollouts == ITEMS * 3 * 3 * 2 * REPLICATES * 16
    assert validity(STRATEGIES, rollouts_per_cell=2).strategies.follows.n_rollouts == ITEMS * 3 * 3 * 2 * REPLICATES * 2


def test_the_number_of_phrasings_is_marked_phrasing_only_with_noise_too() -> None:
    for value in (PHRASINGS, PHRASINGS + noise()):
        seen = validity(value)
        assert seen.mark == "phrasing only"
        assert seen.phrasing.follows.value > 0.7
    assert validity(PHRASINGS).phrasing.share.value == pytest.approx(1)


def test_order_alone_and_noise_alone_are_neither() -> None:
    seen = validity(ORDER)
    assert seen.mark == "neither"
    assert (seen.order.follows.value, seen.order.share.value) == pytest.approx((1, 1))
    for seed in range(5):
        assert validity(noise(seed)).mark == "neither"


def test_the_sum_of_standardised_strategies_and_phrasings_is_both() -> None:
    seen = validity(standardised(STRATEGIES) + standardised(PHRASINGS))
    assert seen.mark == "both"
    assert (seen.strategies.share.value, seen.phrasing.share.value) == pytest.approx((0.5, 0.5))
    assert (seen.strategies.follows.value, seen.phrasing.follows.value) == pytest.approx((1, 1))
    assert validity(STRATEGIES + PHRASINGS + noise()).mark == "both"


def test_a_metric_where_lower_is_more_diverse_is_turned_by_its_sign_and_scale_never_matters() -> None:
    value = STRATEGIES + 0.3 * PHRASINGS + 0.5 * noise()
    up, down, scaled = validity(value), validity(7 - 3 * value, up=False), validity(1e-3 * value)
    for turned in (down, scaled):
        assert turned.mark == up.mark == "both"
        for name in ("strategies", "phrasing", "order"):
            assert getattr(turned, name).follows.value == pytest.approx(getattr(up, name).follows.value, abs=1e-6)
            assert getattr(turned, name).share.value == pytest.approx(getattr(up, name).share.value, abs=1e-6)
    wrong = validity(-STRATEGIES)
    assert wrong.mark == "neither"  # it falls as strategies are added, and says so
    assert wrong.strategies.follows.value == pytest.approx(-1)
    assert validity(-PHRASINGS).mark == "phrasing only"  # phrasing disturbs in either direction


def test_a_sure_but_tiny_share_is_not_noticeable() -> None:
    sure = validity(standardised(STRATEGIES) + 0.15 * standardised(PHRASINGS) + 1e-6 * noise())
    assert sure.phrasing.follows.lower > 0
    assert sure.phrasing.share.value < NOTICEABLE
    assert sure.mark == "strategy"
    assert validity(standardised(STRATEGIES) + 0.3 * standardised(PHRASINGS) + 1e-6 * noise()).mark == "both"
    # A share without a sure sign is not followed either: phrasing pulls up on half of the items, down on the others.
    torn = STRATEGIES + np.where(np.arange(ITEMS) % 2, 1, -1)[:, None, None, None, None] * PHRASINGS
    seen = validity(torn)
    assert seen.phrasing.share.value > 0.3
    assert seen.mark == "strategy"


def test_correlation_and_shares_by_loops_over_cells() -> None:
    value = STRATEGIES * (1 + 0.5 * ORDER) + 0.4 * PHRASINGS + noise(3)
    rho: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for item in value:
        for axis, means in rho.items():
            levels = np.moveaxis(item, axis - 1, 0)  # (L, other, other, REPLICATES)
            across = []
            for a in range(levels.shape[1]):
                for b in range(levels.shape[2]):
                    points = levels[:, a, b]
                    across.append(spearmanr(np.repeat(np.arange(len(points)), REPLICATES), points.ravel()).statistic)
            means.append(np.mean(across))
    seen = validity(value)
    for axis, factor in ((1, seen.strategies), (2, seen.phrasing), (3, seen.order)):
        assert factor.follows.value == pytest.approx(np.mean(rho[axis]))
    # One item, by sums of squares: strategies' 2 degrees of freedom less the variance within cells.
    item = value[0]
    total = ((item - item.mean()) ** 2).sum()
    between = sum(item[s].size * (item[s].mean() - item.mean()) ** 2 for s in range(3))
    within = np.mean([item[s, f, o].var(ddof=1) for s in range(3) for f in range(3) for o in range(2)])
    pair = validity(np.stack([item, item]))
    assert pair.strategies.share.value == pytest.approx((between - 2 * within) / total)
    shares = [f.share.value for f in (pair.strategies, pair.phrasing, pair.order)]
    assert sum(shares) + pair.rest.value == pytest.approx(1)


def test_shares_of_noise_are_zero_on_average_where_plain_eta_squared_is_not() -> None:
    items = 400
    value = noise(4, (items, 3, 3, 2, 2))
    seen = validity(value)
    for factor in (seen.strategies, seen.phrasing, seen.order):
        assert factor.share.lower < 0 < factor.share.upper
        assert factor.share.value < 0.01
    flat = value.reshape(items, 3, 12)
    f = np.array([f_oneway(*item).statistic for item in flat])
    assert np.mean(2 * f / (2 * f + 33)) > NOTICEABLE  # eta^2 = df F / (df F + df_rest)


def test_what_does_not_move_is_nan_and_counted_and_touches_nothing_else() -> None:
    value = (STRATEGIES + noise()).copy()
    value[2] = 0.25
    value[3] = 0.1 + 1e-13 * noise()[3]  # rounding is no movement
    value[5, 1, 1, 0, 2] = np.nan
    value[6] = np.inf
    seen = validity(value)
    assert (seen.n_items, seen.n_constant, seen.n_undefined) == (ITEMS - 4, 2, 2)
    kept = np.delete(value, [2, 3, 5, 6], axis=0)
    assert same(seen, validity(kept))
    for nothing in (np.zeros(SHAPE), np.full(SHAPE, np.nan), np.zeros((0, 3, 3, 2, REPLICATES))):
        seen = validity(nothing)
        assert seen.mark == "undetermined"
        assert math.isnan(seen.strategies.follows.value)
        assert math.isnan(seen.rest.value)
        assert not seen.phrasing.moves
    one = validity(STRATEGIES[:1])
    assert one.mark == "undetermined"
    assert one.strategies.follows.value == pytest.approx(1)
    assert math.isnan(one.strategies.follows.lower)


def test_a_factor_along_which_an_item_stands_still_in_places_counts_zero_there() -> None:
    # Strategies are counted only where the order is fixed: rho is 1 in half of the slices, 0 in the others.
    assert validity(STRATEGIES * (1 - ORDER)).strategies.follows.value == pytest.approx(0.5)


def same(a: Validity, b: Validity) -> bool:
    """Equal but for the counts of items left out."""

    def numbers(v: Validity) -> list[object]:
        parts = [getattr(v, f.name) for f in fields(v) if not f.name.startswith("n_")]
        return [x for p in parts for x in ((p.follows, p.share) if isinstance(p, Factor) else (p,))]

    return numbers(a) == numbers(b)


def test_permuting_items_or_replicates_changes_nothing_and_seed_and_level_matter() -> None:
    value = STRATEGIES + noise(7)
    rng = np.random.default_rng(0)
    assert same(validity(value), validity(value[rng.permutation(ITEMS)]))
    again = validity(value[..., rng.permutation(REPLICATES)])
    assert again.strategies.follows.value == pytest.approx(validity(value).strategies.follows.value)
    assert not same(validity(value), validity(value, seed=1))
    narrow, wide = (validity(value, level=level).strategies.follows for level in (0.8, 0.99))
    assert narrow.level == 0.8
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_intervals_stay_within_what_is_possible() -> None:
    seen = validity(np.concatenate([STRATEGIES[:1], noise(9)[:1]]))  # two items say next to nothing
    for one in (seen.strategies.follows, seen.strategies.share):
        assert -1 <= one.lower < -0.7
        assert 0.9 < one.upper <= 1


def population(items: int, rng: np.random.Generator) -> np.ndarray:
    """Items that differ in how much the metric follows strategies."""
    strength = rng.gamma(1.0, 0.5, size=(items, 1, 1, 1, 1))
    return strength * np.log2(np.array([1.0, 2, 4]))[None, :, None, None, None] + rng.normal(size=(items, 3, 3, 2, 2))


@pytest.mark.parametrize("repetitions", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_intervals_cover_the_mean_over_items(repetitions: int) -> None:
    rng = np.random.default_rng(5)
    truth = validity(population(1_000, rng)).strategies
    hits = np.zeros(2)
    for _ in range(repetitions):
        seen = validity(population(20, rng)).strategies
        hits += [e.lower <= t.value <= e.upper for e, t in ((seen.follows, truth.follows), (seen.share, truth.share))]
    assert (hits >= repetitions * 0.95 - 3 * math.sqrt(repetitions * 0.95 * 0.05)).all(), hits


@pytest.mark.parametrize("shape", [(4, 3, 3, 2), (4, 1, 3, 2, 2), (4, 3, 1, 2, 2), (4, 3, 3, 1, 2), (4, 3, 3, 2, 1)])
def test_another_design_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="two levels of each factor"):
        validity(np.zeros(shape))
