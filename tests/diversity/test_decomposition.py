"""The between-part: against loops and enumeration, unbiased, with p-values that are uniform where policies agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.diversity.decomposition import Decomposition, decompose, split_half
from s2l_lab.diversity.distances import euclidean, label_distance, squared_euclidean
from s2l_lab.errors import UsageError
from s2l_lab.policies import Draws, SamplingParams
from s2l_lab.policies.scripted import ScriptedPolicy, parse_script
from s2l_lab.problems import Problem


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def features(n_a: int, n_b: int, seed: int, shift: float = 0.0, dims: int = 3) -> np.ndarray:
    """Rollouts of A about 0, and of B about `shift` on the first axis."""
    feature_ND = rng(seed).normal(size=(n_a + n_b, dims))
    feature_ND[n_a:, 0] += shift
    return feature_ND


def uniform(p_values: list[float]) -> bool:
    return bool(stats.kstest(p_values, "uniform").pvalue > 0.005)


def loop(distance_NN: np.ndarray, a: list[int], b: list[int]) -> tuple[float, float, float]:
    """D_AA, D_BB and D_AB, pair by pair."""
    return (
        float(np.mean([distance_NN[i, j] for i in a for j in a if i != j])),
        float(np.mean([distance_NN[i, j] for i in b for j in b if i != j])),
        float(np.mean([distance_NN[i, j] for i in a for j in b])),
    )


@given(st.lists(st.tuples(st.integers(2, 4), st.integers(2, 4)), min_size=1, max_size=4), st.integers(0, 9))
@settings(max_examples=30)
def test_every_part_is_that_of_a_loop_over_pairs(sizes: list[tuple[int, int]], seed: int) -> None:
    distances = [euclidean(features(n_a, n_b, seed + p)) for p, (n_a, n_b) in enumerate(sizes)]
    seen = decompose(distances, [n_a for n_a, _ in sizes], rng=rng(), permutations=19)
    parts = np.array(
        [loop(d, list(range(n_a)), list(range(n_a, n_a + n_b))) for d, (n_a, n_b) in zip(distances, sizes, strict=True)]
    )
    between_P = parts[:, 2] - parts[:, :2].mean(1)
    total_P = parts[:, 2] / 2 + parts[:, :2].sum(1) / 4
    np.testing.assert_allclose(seen.between_P, between_P, atol=1e-12)
    means = [seen.within_a.value, seen.within_b.value, seen.cross.value]
    np.testing.assert_allclose(means, parts.mean(0))
    assert seen.between.value == pytest.approx(between_P.mean(), abs=1e-12)
    assert seen.share.value == pytest.approx(between_P.sum() / 2 / total_P.sum(), abs=1e-12)
    assert (seen.n_problems, seen.n_a, seen.n_b) == (len(sizes), *np.sum(sizes, 0))
    assert (seen.within_a.n_rollouts, seen.within_b.n_rollouts, seen.cross.n_rollouts) == (
        seen.n_a,
        seen.n_b,
        seen.n_a + seen.n_b,
    )


def test_by_hand() -> None:
    # On a line: A at 0 and 2, B at 5 and 6. D_AA = 2, D_BB = 1, D_AB = (5 + 6 + 3 + 4) / 4 = 4.5.
    # between = 4.5 - 1.5 = 3; T = 2.25 + .75 = 3; share = 1.5 / 3.
    seen = decompose([euclidean([[0.0], [2.0], [5.0], [6.0]])] * 2, [2, 2], rng=rng())
    assert (seen.within_a.value, seen.within_b.value, seen.cross.value) == (2.0, 1.0, 4.5)
    assert (seen.between.value, seen.share.value) == (3.0, 0.5)


def test_share_is_1_for_two_constants_and_undefined_where_all_rollouts_are_alike() -> None:
    apart, alike = label_distance(["x"] * 3 + ["y"] * 4), np.zeros((7, 7))
    seen = decompose([apart, apart, alike], [3, 3, 3], rng=rng())
    assert seen.share.value == pytest.approx(1.0)
    assert (seen.share.n_problems, seen.between.n_problems) == (2, 3)
    assert seen.between_P.tolist() == pytest.approx([1.0, 1.0, 0.0])
    nothing = decompose([alike, alike], [3, 3], rng=rng())
    assert np.isnan(nothing.share.value)
    assert (nothing.between.value, nothing.p_value) == (0.0, 1.0)


def test_squared_euclidean_between_is_the_squared_distance_of_means_without_bias() -> None:
    distances = [squared_euclidean(features(5, 7, seed, shift=0.8)) for seed in range(1000)]
    seen = decompose(distances, [5] * 1000, rng=rng(), permutations=19)
    error = seen.between_P.std() / np.sqrt(1000)
    assert abs(seen.between.value - 0.8**2) < 4 * error
    plug_in = [d[:5, 5:].mean() - (d[:5, :5].mean() + d[5:, 5:].mean()) / 2 for d in distances]
    # With i = j the variance of each mean stays in: + 3 / 5 + 3 / 7.
    assert np.mean(plug_in) - 0.8**2 == pytest.approx(3 / 5 + 3 / 7, abs=4 * error)


def test_euclidean_between_is_half_the_energy_distance() -> None:
    x_N, y_N = rng(1).normal(0, 1, 6), rng(2).normal(1, 2, 9)
    seen = decompose([euclidean(np.concatenate([x_N, y_N])[:, None])], [6], rng=rng())
    # scipy's is the plug-in one, rooted: its within-means hold the pairs i = j, (n - 1) / n of ours.
    plug_in = seen.cross.value - (5 / 6 * seen.within_a.value + 8 / 9 * seen.within_b.value) / 2
    assert plug_in == pytest.approx(stats.energy_distance(x_N, y_N) ** 2 / 2)


def test_label_between_is_half_the_squared_distance_of_label_shares() -> None:
    p_a, p_b, draws = [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], rng()
    labels = [[*draws.choice(3, 6, p=p_a), *draws.choice(3, 6, p=p_b)] for _ in range(1000)]
    seen = decompose([label_distance(label_N) for label_N in labels], [6] * 1000, rng=rng(), permutations=19)
    assert abs(seen.between.value - (0.3**2 + 0.3**2) / 2) < 4 * seen.between_P.std() / np.sqrt(1000)


def test_squares_see_means_only_and_the_energy_distance_sees_spread() -> None:
    wide = [features(12, 12, seed) * np.r_[np.ones(12), np.full(12, 3.0)][:, None] for seed in range(40)]
    blind, seeing = (decompose([d(x) for x in wide], [12] * 40, rng=rng()) for d in (squared_euclidean, euclidean))
    assert blind.between.lower < 0 < blind.between.upper
    assert seeing.between.lower > 0
    assert seeing.p_value == 1 / 1000


def test_one_policy_under_two_names_has_between_0_and_the_plug_in_has_not() -> None:
    distances = [label_distance(rng(seed).integers(0, 4, 12).tolist()) for seed in range(1000)]
    seen = decompose(distances, [6] * 1000, rng=rng(), permutations=19)
    assert abs(seen.between.value) < 4 * seen.between_P.std() / np.sqrt(1000)
    assert (seen.between_P < 0).mean() > 0.3  # unbiased values are negative by chance, and stay so
    plug_in = np.mean([d[:6, 6:].mean() - (d[:6, :6].mean() + d[6:, 6:].mean()) / 2 for d in distances])
    assert plug_in == pytest.approx(0.75 / 6, abs=0.01)  # (1 - 1/4) / N


def test_p_values_are_uniform_where_problems_shift_both_policies_together() -> None:
    """Two problems 10 apart, with 8 + 2 rollouts of A and B on one and 2 + 8 on the other: permuted across problems,
    every run says that the policies differ, because the problems do."""
    within, across = [], []
    for seed in range(250):
        one, two = features(8, 2, 2 * seed), features(2, 8, 2 * seed + 1) + 10
        within.append(decompose([euclidean(one), euclidean(two)], [8, 2], rng=rng(seed), permutations=199).p_value)
        pooled = euclidean(np.concatenate([one[:8], two[:2], one[8:], two[2:]]))
        across.append(decompose([pooled], [10], rng=rng(seed), permutations=199).p_value)
    assert uniform(within)
    assert np.mean(across) < 0.05


def test_the_permutation_null_is_that_of_all_permutations() -> None:
    distances, n_a = [euclidean(features(2, 3, 1)), label_distance(["x", "y", "x", "x"])], [2, 2]
    nulls = []
    for distance_NN, size in zip(distances, n_a, strict=True):
        everyone = range(len(distance_NN))
        parts = [
            loop(distance_NN, list(a), [i for i in everyone if i not in a])
            for a in itertools.combinations(everyone, size)
        ]
        nulls.append([cross - (aa + bb) / 2 for aa, bb, cross in parts])
    exact = np.add.outer(*nulls).ravel() / 2  # 10 * 6 equally likely means over two problems
    seen = decompose(distances, n_a, rng=rng(), permutations=20_000, level=0.9)
    reached = (exact >= exact.reshape(10, 6)[0, 0] - 1e-12).mean()
    assert abs(seen.p_value - reached) < 4 * np.sqrt(reached * (1 - reached) / 20_000)
    assert seen.null_mean == pytest.approx(exact.mean(), abs=4 * exact.std() / np.sqrt(20_000))
    assert np.quantile(exact, 0.89) <= seen.null_upper <= np.quantile(exact, 0.91)
    assert exact.mean() == pytest.approx(0.0, abs=1e-12)  # over all splits of given rollouts, by algebra


@given(st.permutations(range(5)), st.permutations(range(4)))
@settings(max_examples=20)
def test_order_within_a_policy_does_not_matter_and_policies_can_change_places(a: list[int], b: list[int]) -> None:
    distance_NN = euclidean(features(5, 4, 3))
    mixed, swapped = [*a, *(5 + i for i in b)], [*(5 + i for i in b), *a]
    plain, other, reverse = (
        decompose([distance_NN[np.ix_(order, order)]], [n_a], rng=rng(), permutations=19)
        for order, n_a in ((list(range(9)), 5), (mixed, 5), (swapped, 4))
    )
    for again in (other, reverse):
        assert again.between.value == pytest.approx(plain.between.value)
        assert again.share.value == pytest.approx(plain.share.value)
    assert reverse.within_a.value == pytest.approx(plain.within_b.value)
    assert other.within_a.value == pytest.approx(plain.within_a.value)


@given(st.sampled_from([1e-6, 0.5, 3.0, 1e6]))
def test_a_change_of_units_moves_distances_and_neither_share_nor_p(unit: float) -> None:
    distances = [euclidean(features(5, 5, seed, shift=0.5)) for seed in range(4)]
    plain = decompose(distances, [5] * 4, rng=rng(), permutations=99)
    other = decompose([unit * d for d in distances], [5] * 4, rng=rng(), permutations=99)
    assert (other.share.value, other.share.lower) == pytest.approx((plain.share.value, plain.share.lower))
    assert other.p_value == plain.p_value
    for name in ("between", "within_a", "cross"):
        old, new = getattr(plain, name), getattr(other, name)
        assert [new.value, new.lower, new.upper] == pytest.approx([unit * x for x in (old.value, old.lower, old.upper)])
    assert other.null_upper == pytest.approx(unit * plain.null_upper)


@pytest.mark.parametrize(("distance", "problems", "n_a", "n_b"), [(0.1, 5, 16, 17), (1 / 3, 10, 8, 8), (0.7, 7, 4, 7)])
def test_sums_that_differ_by_rounding_are_ties(distance: float, problems: int, n_a: int, n_b: int) -> None:
    """Every split has the same between-part, summed in another order; compared bit by bit, p was .005."""
    distance_NN = distance * (1 - np.eye(n_a + n_b))
    assert decompose([distance_NN] * problems, [n_a] * problems, rng=rng(), permutations=199).p_value == 1.0


def test_rounding_on_the_diagonal_is_no_distance() -> None:
    distance_NN = euclidean(features(3, 3, 1))
    rough = decompose([distance_NN + 1e-7 * np.eye(6)], [3], rng=rng())
    assert rough.between.value == decompose([distance_NN], [3], rng=rng()).between.value


def test_a_difference_is_found_and_shared_arguments_matter() -> None:
    distances = [euclidean(features(8, 8, seed, shift=1.0)) for seed in range(20)]

    def run(seed: int = 0, permutations: int = 199, level: float = 0.95) -> Decomposition:
        return decompose(distances, [8] * 20, rng=rng(seed), permutations=permutations, level=level)

    assert run().p_value == 1 / 200
    assert run(permutations=99).p_value == 1 / 100
    assert run().between.lower > 0
    assert run().between.value > run().null_upper > run(level=0.5).null_upper
    assert run(level=0.5).share.upper < run().share.upper < run(level=0.99).share.upper
    assert run(level=0.5).within_a.level == 0.5
    assert run().null_mean == run().null_mean != run(seed=1).null_mean


def test_problems_with_fewer_than_two_rollouts_of_a_policy_are_left_out_and_counted() -> None:
    full = [euclidean(features(3, 4, seed)) for seed in range(3)]
    short = [euclidean(features(1, 6, 9)), euclidean(features(6, 1, 9)), np.zeros((0, 0))]
    plain = decompose(full, [3] * 3, rng=rng())
    seen = decompose([short[0], *full, *short[1:]], [1, 3, 3, 3, 6, 0], rng=rng())
    assert np.isnan(seen.between_P).tolist() == [True, False, False, False, True, True]
    assert (seen.n_problems, seen.n_a, seen.n_b) == (3, 9, 12)
    assert (seen.between, seen.share, seen.p_value) == (plain.between, plain.share, plain.p_value)


@pytest.mark.parametrize("distances", [[], [euclidean(features(1, 6, 9))]])
def test_no_problem_left_is_nan_and_never_0(distances: list[np.ndarray]) -> None:
    seen = decompose(distances, [1] * len(distances), rng=rng())
    numbers = [seen.between.value, seen.share.value, seen.cross.value, seen.null_mean, seen.null_upper, seen.p_value]
    assert np.isnan(numbers).all()
    assert (seen.n_problems, seen.n_a, seen.n_b) == (0, 0, 0)


@pytest.mark.parametrize(
    ("distance", "n_a", "says"),
    [
        (np.zeros((4, 3)), 2, r"\(N, N\)"),
        (np.where(np.eye(4) > 0, 0, np.nan), 2, "NaN or infinite"),
        (np.eye(4), 2, "Was a similarity given"),
        (np.eye(4) - 1, 2, "never negative"),
        (np.triu(np.ones((4, 4)), 1), 2, r"\(D \+ D.T\) / 2"),
        (np.zeros((4, 4)), 5, "n_a = 5"),
        (np.zeros((4, 4)), -1, "n_a = -1"),
    ],
)
def test_what_is_no_distance_matrix_is_refused(distance: np.ndarray, n_a: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        decompose([np.zeros((4, 4)), distance], [2, n_a], rng=rng())


def test_other_bad_input_is_refused() -> None:
    good = [np.zeros((4, 4))]
    with pytest.raises(UsageError, match="1 matrices and 2 numbers"):
        decompose(good, [2, 2], rng=rng())
    with pytest.raises(UsageError, match="fewer than 19"):
        decompose(good, [2], rng=rng(), permutations=18)
    for run in (lambda: decompose(good, [2], rng=rng(), level=95), lambda: split_half(good, rng=rng(), level=95)):
        with pytest.raises(UsageError, match=r"0\.95"):
            run()
    with pytest.raises(UsageError, match="at least one"):
        split_half(good, rng=rng(), splits=0)
    with pytest.raises(UsageError, match="problem 0"):
        split_half([np.eye(4)], rng=rng())


def test_split_halves_mean_0_over_repetitions() -> None:
    values = []
    for seed in range(400):
        distances = [euclidean(features(9, 0, 10 * seed + p) * (1 + p)) for p in range(3)]
        values.append(split_half(distances, rng=rng(seed), splits=1).value)
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(400)


def test_split_half_ends_are_those_of_one_split_and_hold_it_as_often_as_they_say() -> None:
    """Averaged over more splits the value goes to 0 by algebra; ends that shrink with it would be no null at all."""
    hits, repetitions = 0, 300
    for seed in range(repetitions):
        distances = [label_distance(rng(100 * seed + p).integers(0, 5, 16).tolist()) for p in range(12)]
        null, one = (split_half(distances, rng=rng(seed + n), splits=n) for n in (20, 1))
        reach = null.upper - null.value
        hits += abs(one.value) <= reach
        if seed == 0:
            many = split_half(distances, rng=rng(), splits=500)
            assert many.upper - many.value == pytest.approx(reach, rel=0.25)
            assert abs(many.value) < reach / 5
    assert abs(hits / repetitions - 0.95) < 0.02 + 3 * np.sqrt(0.95 * 0.05 / repetitions)


def test_split_half_counts_what_it_used() -> None:
    distances = [euclidean(features(n, 0, n)) for n in (3, 4, 9)]
    seen = split_half(distances, rng=rng(), splits=7)
    assert (seen.n_problems, seen.n_rollouts, seen.interval, seen.level) == (2, 13, "problems", 0.95)
    assert "7 splits" in seen.method
    assert seen == split_half(distances, rng=rng(), splits=7) != split_half(distances, rng=rng(1), splits=7)
    assert split_half(distances, rng=rng(), level=0.99, splits=7).upper > seen.upper
    assert np.isnan(split_half(distances[1:2], rng=rng()).lower)
    assert np.isnan(split_half(distances[:1], rng=rng()).value)


def labels_of(policy: ScriptedPolicy, problems: list[Problem], seed: int) -> list[list[str]]:
    draws = policy.sample([Draws(p, tuple(range(8))) for p in problems], SamplingParams(seed=seed))
    texts = [draw.completion.text for draw in draws]
    return [texts[8 * p : 8 * p + 8] for p in range(len(problems))]


@pytest.mark.parametrize("repetitions", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_two_names_of_one_scripted_policy_differ_in_outcomes_and_not_in_law(repetitions: int) -> None:
    """Rollouts that share their uniforms (one name twice) are coupled: the test never rejects, p-values sit at 1."""
    problems = [Problem.make(str(i), "gold", "exact", "test", {}) for i in range(8)]
    script = parse_script("0.3*point(0.2)+0.7*point(0.6);wrong=3;no_answer=0.2")
    x, y = ScriptedPolicy("x", script), ScriptedPolicy("y", script)

    def p_value(first: list[list[str]], second: list[list[str]], seed: int) -> float:
        distances = [label_distance(a + b) for a, b in zip(first, second, strict=True)]
        return decompose(distances, [8] * 8, rng=rng(seed), permutations=199).p_value

    independent, coupled = [], []
    for seed in range(repetitions):
        first, second = labels_of(x, problems, seed), labels_of(y, problems, seed)
        assert first != second
        independent.append(p_value(first, second, seed))
        if seed < 20:
            coupled.append(p_value(first, first, seed))
    assert uniform(independent)
    assert min(coupled) > 0.9
