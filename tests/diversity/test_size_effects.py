"""Small or merely different: over models, exact, silent for six models of one size and loud for a planted effect."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.diversity.decomposition import decompose
from s2l_lab.diversity.distances import squared_euclidean
from s2l_lab.diversity.size_effects import SizeEffect, mean_difference, size_effect
from s2l_lab.errors import UsageError

THREE = [True] * 3 + [False] * 3


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def loop(between_MM: np.ndarray, small: set[int]) -> float:
    large = [y for y in range(len(between_MM)) if y not in small]
    cross = np.mean([between_MM[x, y] for x in small for y in large])
    return float(cross - np.mean([between_MM[x, y] for x, y in itertools.combinations(large, 2)]))


def some_matrix(models: int, seed: int) -> np.ndarray:
    upper = np.triu(rng(seed).normal(size=(models, models)), 1)
    return upper + upper.T + np.diag(np.full(models, np.nan))


@given(st.integers(1, 4), st.integers(2, 4), st.integers(0, 50))
@settings(max_examples=40)
def test_value_and_exact_p_are_those_of_a_loop_over_all_splits(n_small: int, n_large: int, seed: int) -> None:
    models = n_small + n_large
    between_MM, order = some_matrix(models, seed), rng(seed).permutation(models)
    small = {int(i) for i in order[:n_small]}
    seen = size_effect(between_MM, [i in small for i in range(models)])
    value = loop(between_MM, small)
    every = [loop(between_MM, set(chosen)) for chosen in itertools.combinations(range(models), n_small)]
    assert seen.value == pytest.approx(value)
    assert seen.small - seen.large == pytest.approx(value)
    assert seen.splits == len(every)
    assert seen.least_p == 1 / len(every)
    assert seen.p_value == pytest.approx(np.mean(np.array(every) >= value - 1e-9))


def test_by_hand() -> None:
    # Models 0, 1, 2 small. All cross pairs 5 but (0, 3) at 14: mean 6. Large pairs 1, 2, 3: mean 2. theta = 4.
    between_MM = np.full((6, 6), 5.0)
    between_MM[0, 3] = between_MM[3, 0] = 14.0
    between_MM[3:, 3:] = [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
    seen = size_effect(between_MM, THREE)
    assert (seen.small, seen.large, seen.value) == (6.0, 2.0, 4.0)
    # Without 0, 1, 2: 3, 4.5, 4.5; without 3, 4, 5: 5 - 3, 6.5 - 2, 6.5 - 1.
    # Variances 2/3 * 1.5 = 1 and 2/3 * 6.5 = 13/3 (mean 4: 4 + .25 + 2.25).
    degrees = (1 + 13 / 3) ** 2 / (1 / 2 + (13 / 3) ** 2 / 2)
    reach = stats.t.ppf(0.975, degrees) * np.sqrt(1 + 13 / 3)
    assert (seen.lower, seen.upper) == pytest.approx((4 - reach, 4 + reach))
    assert (seen.splits, seen.n_small, seen.n_large, seen.level) == (20, 3, 3, 0.95)


@given(st.lists(st.floats(0, 10), min_size=5, max_size=9), st.integers(2, 3), st.sampled_from([0.8, 0.95]))
@settings(max_examples=40)
def test_for_sums_of_model_effects_it_is_welchs_test_of_the_models(u: list[float], n_small: int, level: float) -> None:
    """between(x, y) = u_x + u_y: theta is the difference of the means of u, its jackknife Welch's interval."""
    effect_M, small_M = np.array(u), np.arange(len(u)) < n_small
    seen = size_effect(effect_M[:, None] + effect_M, small_M, level=level)  # type: ignore[arg-type]  # an array
    welch = mean_difference(effect_M, small_M, level=level)  # type: ignore[arg-type]
    assert seen.value == pytest.approx(welch.value, abs=1e-9)
    if len(u) - n_small > 2:
        assert (seen.lower, seen.upper) == pytest.approx((welch.lower, welch.upper), abs=1e-6)


def test_mean_difference_is_scipys_welch_and_exact_test() -> None:
    value_M, small_M = rng(1).normal(size=7), np.array([True, False, True, True, False, False, False])
    seen = mean_difference(value_M, small_M, level=0.9)  # type: ignore[arg-type]  # an array
    small, large = value_M[small_M], value_M[~small_M]
    ends = stats.ttest_ind(small, large, equal_var=False).confidence_interval(0.9)
    exact = stats.permutation_test(
        (small, large), lambda x, y: abs(x.mean() - y.mean()), n_resamples=np.inf, alternative="greater"
    )
    assert (seen.lower, seen.upper) == pytest.approx((ends.low, ends.high))
    assert seen.p_value == pytest.approx(exact.pvalue)
    assert (seen.small, seen.large) == pytest.approx((small.mean(), large.mean()))
    assert (seen.splits, seen.least_p) == (35, 1 / 35)


def test_mean_difference_by_hand() -> None:
    seen = mean_difference([5.0, 6.0, 7.0, 1.0, 2.0, 3.0], THREE)
    # Two-sided: the split and its mirror image of 20. SE sqrt(1/3 + 1/3), t(4) = 2.7764.
    assert (seen.value, seen.p_value, seen.least_p) == (4.0, 0.1, 0.1)
    assert seen.upper == pytest.approx(4 + 2.7764 * np.sqrt(2 / 3), abs=1e-4)
    mirrored = mean_difference([-5.0, -6.0, -7.0, -1.0, -2.0, -3.0], THREE)
    assert (mirrored.value, mirrored.p_value, mirrored.lower) == (-4.0, 0.1, pytest.approx(-seen.upper))


def spread_uniformly(seen: SizeEffect, seed: int) -> float:
    """A p that is a multiple of 1 / splits, spread over its step: exactly uniform where every split is alike."""
    return seen.p_value - rng(seed).random() * seen.least_p


def test_six_models_of_one_size_split_at_random_show_no_size_effect() -> None:
    p_values, means, covered = [], [], 0
    for seed in range(400):
        model_MD, draws = rng(seed).normal(size=(6, 4)), rng(1000 + seed)
        small_M = draws.permutation(THREE)
        seen = size_effect(squared_euclidean(model_MD), small_M)  # type: ignore[arg-type]  # an array
        p_values.append(spread_uniformly(seen, seed))
        covered += seen.lower <= 0 <= seen.upper
        numbers = mean_difference(model_MD[:, 0], small_M)  # type: ignore[arg-type]
        means.append(spread_uniformly(numbers, seed))
    for values in (p_values, means):
        assert stats.kstest(values, "uniform").pvalue > 0.005
    assert covered / 400 > 0.93


def test_a_planted_size_effect_is_found_from_rollouts_and_a_merely_different_seed_is_not() -> None:
    """Pretraining seeds move a model by about 1 on each problem and axis; small ones are 3 away besides."""

    def matrix(gap: float) -> np.ndarray:
        draws, between_MM = rng(3), np.full((6, 6), np.nan)
        centre_MPD = draws.normal(0, 1, (6, 5, 2)) + gap * np.array(THREE)[:, None, None]
        rollout_MPND = centre_MPD[:, :, None] + draws.normal(size=(6, 5, 8, 2))
        for x, y in itertools.combinations(range(6), 2):
            both = np.concatenate([rollout_MPND[x], rollout_MPND[y]], axis=1)
            seen = decompose([squared_euclidean(one) for one in both], [8] * 5, rng=draws, permutations=99)
            assert seen.p_value <= 0.02  # all six models differ: a small p is no size effect
            between_MM[x, y] = between_MM[y, x] = seen.between.value
        return between_MM

    planted, absent = size_effect(matrix(3.0), THREE), size_effect(matrix(0.0), THREE)
    assert planted.p_value == planted.least_p == 1 / 20
    assert 0 < planted.lower < 18 < planted.upper  # two axes of 3^2
    assert absent.p_value > 1 / 20
    assert absent.lower < 0 < absent.upper


def test_theta_counts_the_scatter_of_small_models_as_well() -> None:
    """|mu_small - mu_large|^2 + V_small - V_large, here 0 + 4 * 3^2 - 4 * 1: no offset, only wider small seeds."""
    values = []
    for seed in range(300):
        model_MD = rng(seed).normal(size=(6, 4)) * np.r_[3.0, 3, 3, 1, 1, 1][:, None]
        values.append(size_effect(squared_euclidean(model_MD), THREE).value)
    assert abs(np.mean(values) - 32) < 4 * np.std(values) / np.sqrt(300)


@given(st.permutations(range(6)), st.sampled_from([1e-6, 3.0, 1e6]))
@settings(max_examples=20)
def test_order_of_models_and_units_do_not_matter(order: list[int], unit: float) -> None:
    between_MM = squared_euclidean(rng(4).normal(size=(6, 3)))
    plain = size_effect(between_MM, THREE)
    other = size_effect(unit * between_MM[np.ix_(order, order)], [THREE[i] for i in order])
    assert other.p_value == plain.p_value
    assert [other.value, other.lower, other.upper] == pytest.approx(
        [unit * plain.value, unit * plain.lower, unit * plain.upper]
    )


def test_equal_models_tie_and_have_width_0() -> None:
    for seen in (size_effect(np.full((6, 6), 0.1), THREE), mean_difference([0.1] * 6, THREE)):
        assert seen.p_value == 1.0
        assert (seen.lower, seen.value, seen.upper) == pytest.approx((0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("small", "large", "tells", "value", "ends"),
    [
        (3, 3, True, True, True),
        (2, 3, False, True, True),
        (3, 2, False, True, False),  # one large model left has no pair
        (1, 3, False, True, False),
        (3, 1, False, False, False),
    ],
)
def test_too_few_models_cannot_tell(small: int, large: int, tells: bool, value: bool, ends: bool) -> None:
    sizes = [True] * small + [False] * large
    seen = size_effect(squared_euclidean(rng(5).normal(size=(small + large, 2))), sizes)
    assert ("cannot tell" in seen.method) is not tells
    assert np.isfinite([seen.value, seen.p_value]).tolist() == [value, value]
    assert np.isfinite([seen.lower, seen.upper]).tolist() == [ends, ends]
    numbers = mean_difference(rng(5).normal(size=small + large), sizes)
    assert ("cannot tell" in numbers.method) is not tells
    assert np.isfinite(numbers.value)
    assert np.isfinite(numbers.lower) == (min(small, large) > 1)


def test_a_pair_or_model_without_a_value_leaves_none() -> None:
    between_MM = squared_euclidean(rng(6).normal(size=(6, 2)))
    between_MM[0, 4] = between_MM[4, 0] = np.nan
    for seen in (size_effect(between_MM, THREE), mean_difference([1.0, 2.0, np.nan, 3.0, 4.0, 5.0], THREE)):
        assert np.isnan([seen.value, seen.lower, seen.upper, seen.p_value]).all()
        assert seen.splits == 20


def test_level_matters_and_bad_input_is_refused() -> None:
    good = squared_euclidean(rng(7).normal(size=(6, 2)))
    assert size_effect(good, THREE, level=0.99).upper > size_effect(good, THREE).upper
    with pytest.raises(UsageError, match=r"\(M, M\); given: \(6, 6\)"):
        size_effect(good, THREE[:5])
    with pytest.raises(UsageError, match="symmetric"):
        size_effect(np.arange(36.0).reshape(6, 6), THREE)
    with pytest.raises(UsageError, match="5 numbers for 6 models"):
        mean_difference(np.zeros(5), THREE)
    for run in (size_effect, mean_difference):
        data = good if run is size_effect else good[0]
        for sizes, says in (([1, 1, 1, 0, 0, 0], "True or False"), ([True] * 6, "6 small of 6"), ([], "True or False")):
            with pytest.raises(UsageError, match=says):
                run(data, sizes)  # type: ignore[arg-type]  # what is refused
        with pytest.raises(UsageError, match=r"0\.95"):
            run(data, THREE, level=95)
    with pytest.raises(UsageError, match="155,117,520 ways"):
        mean_difference(np.zeros(30), [True] * 15 + [False] * 15)
