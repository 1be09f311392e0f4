"""Mutual information: against loops and enumeration, biased as a plug-in value and 0 when centred."""

from __future__ import annotations

import itertools
from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.diversity.decomposition import decompose
from s2l_lab.diversity.distances import label_distance
from s2l_lab.diversity.information import Information, gini_simpson, mutual_information
from s2l_lab.errors import UsageError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def draws(problems: int, n: int, labels: int, seed: int) -> list[list[int]]:
    return rng(seed).integers(0, labels, (problems, n)).tolist()


def by_definition(a: list[object], b: list[object]) -> float:
    """Sum over policies and labels of p(policy, label) ln [p(policy, label) / (p(policy) p(label))]."""
    total, pooled, information = len(a) + len(b), Counter([*a, *b]), 0.0
    for side in (a, b):
        for label, count in Counter(side).items():
            information += count / total * log(count / total / (len(side) / total * pooled[label] / total))
    return information


SAMPLES = st.integers(2, 5).flatmap(
    lambda n: st.tuples(*(st.lists(st.sampled_from(["a", "b", None, 3]), min_size=n, max_size=n) for _ in range(2)))
)


@given(SAMPLES)
@settings(max_examples=60)
def test_plug_in_is_the_definition_and_centring_takes_the_mean_of_all_permutations(
    samples: tuple[list[object], list[object]],
) -> None:
    a, b = samples
    seen = mutual_information([a] * 2, [b] * 2, rng=rng(), permutations=500)  # type: ignore[list-item]
    assert seen.plug_in.value == pytest.approx(by_definition(a, b), abs=1e-12)
    assert seen.centred.value == pytest.approx(seen.plug_in.value - seen.null_mean, abs=1e-12)
    pooled, everyone = [*a, *b], range(2 * len(a))
    exact = np.array(
        [
            by_definition([pooled[i] for i in chosen], [pooled[i] for i in everyone if i not in chosen])
            for chosen in itertools.combinations(everyone, len(a))
        ]
    )
    assert abs(seen.null_mean - exact.mean()) <= 5 * exact.std() / np.sqrt(1000) + 1e-12


def test_by_hand() -> None:
    # A: x x y y, B: x y y y. H((p_A + p_B) / 2) = H(3/8), H(p_A) = ln 2, H(p_B) = H(1/4).
    entropy = [-(p * log(p) + (1 - p) * log(1 - p)) for p in (3 / 8, 1 / 2, 1 / 4)]
    seen = mutual_information([list("xxyy")] * 3, [list("xyyy")] * 3, rng=rng())
    assert seen.plug_in.value == pytest.approx(entropy[0] - (entropy[1] + entropy[2]) / 2)
    assert (seen.centred.n_problems, seen.centred.n_rollouts, seen.plug_in.n_rollouts) == (3, 24, 24)


def test_disjoint_labels_say_ln_2_and_all_different_ones_nothing() -> None:
    disjoint = mutual_information([["x"] * 64] * 3, [["y"] * 64] * 3, rng=rng())
    assert disjoint.plug_in.value == pytest.approx(log(2))
    assert disjoint.centred.value == pytest.approx(log(2) - 1 / 256, abs=1e-3)  # the bias of one free count: 1 / (4 N)
    assert disjoint.p_value == 1 / 200
    unseen = mutual_information([[*range(64)]] * 3, [[*range(64, 128)]] * 3, rng=rng())
    assert unseen.plug_in.value == pytest.approx(log(2))
    assert unseen.centred.value == pytest.approx(0.0, abs=1e-12)
    assert unseen.p_value == 1.0  # all ties, whatever their rounding


def test_one_policy_under_two_names_has_plug_in_40_and_centred_0() -> None:
    """Broad labels, 115 of them equally likely, at N = 64: the plug-in value is bias throughout."""
    seen = mutual_information(draws(200, 64, 115, 1), draws(200, 64, 115, 2), rng=rng(), permutations=50)
    assert seen.plug_in.value == pytest.approx(0.4, abs=0.03)
    error = (seen.centred.upper - seen.centred.value) / 1.97
    assert abs(seen.centred.value) < 4 * error
    assert error < 0.005


@pytest.mark.parametrize("repetitions", [80, pytest.param(250, marks=pytest.mark.slow)])
def test_p_values_are_uniform_where_problems_have_labels_of_their_own(repetitions: int) -> None:
    p_values = []
    for seed in range(repetitions):
        a, b = ([[7 * p + x for x in row] for p, row in enumerate(draws(4, 12, 5, 2 * seed + i))] for i in (0, 1))
        p_values.append(mutual_information(a, b, rng=rng(seed)).p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.005


def test_a_difference_is_found_and_every_argument_matters() -> None:
    a, b = draws(20, 16, 4, 1), draws(20, 16, 3, 2)

    def run(seed: int = 0, permutations: int = 199, level: float = 0.95) -> Information:
        return mutual_information(a, b, rng=rng(seed), permutations=permutations, level=level)

    assert run().p_value == 1 / 200
    assert run(permutations=99).p_value == 1 / 100
    assert run().centred.lower > 0
    assert run(level=0.5).centred.upper < run().centred.upper < run(level=0.99).centred.upper
    assert run(level=0.5).plug_in.level == 0.5
    assert run() == run() != run(seed=1)


@given(SAMPLES)
@settings(max_examples=20)
def test_names_order_and_which_policy_is_a_do_not_matter(samples: tuple[list[object], list[object]]) -> None:
    a, b = samples
    renamed = [[f"<{label!r}>" for label in side[::-1]] for side in (b, a)]
    plain = mutual_information([a], [b], rng=rng())  # type: ignore[list-item]
    other = mutual_information([renamed[0]], [renamed[1]], rng=rng())
    assert other.plug_in.value == pytest.approx(plain.plug_in.value, abs=1e-12)


def test_gini_simpson_is_the_decomposition_of_the_label_distance() -> None:
    a, b = draws(5, 6, 3, 1), draws(5, 4, 2, 2)
    seen = gini_simpson(a, b, rng=rng(), permutations=99, level=0.8)
    distances = [label_distance(x + y) for x, y in zip(a, b, strict=True)]
    same = decompose(distances, [6] * 5, rng=rng(), permutations=99, level=0.8)
    assert (seen.between, seen.share, seen.p_value) == (same.between, same.share, same.p_value)
    chances = [1 - sum(c * (c - 1) for c in Counter(x).values()) / 30 for x in a]
    assert seen.within_a.value == pytest.approx(np.mean(chances))
    assert seen.p_value != gini_simpson(a, b, rng=rng(1)).p_value


def test_problems_with_fewer_than_two_rollouts_each_are_left_out() -> None:
    a, b = draws(3, 6, 3, 1), draws(3, 6, 3, 2)
    plain = mutual_information(a, b, rng=rng())
    seen = mutual_information([["x"], *a, []], [["y"], *b, []], rng=rng())
    assert seen == plain
    assert (seen.centred.n_problems, seen.centred.n_rollouts) == (3, 36)
    for nothing in (mutual_information([["x"]], [["y"]], rng=rng()), mutual_information([], [], rng=rng())):
        numbers = [nothing.centred.value, nothing.plug_in.value, nothing.null_mean, nothing.p_value]
        assert np.isnan(numbers).all()


def test_bad_input_is_refused() -> None:
    with pytest.raises(UsageError, match=r"problem 1 has 3 and 2\. .*gini_simpson"):
        mutual_information([["x"] * 3] * 2, [["y"] * 3, ["y"] * 2], rng=rng())
    for run in (mutual_information, gini_simpson):
        with pytest.raises(UsageError, match="2 and 1 problems"):
            run([["x"], ["x"]], [["y"]], rng=rng())
        with pytest.raises(UsageError, match="fewer than 19"):
            run([["x"] * 2], [["y"] * 2], rng=rng(), permutations=5)
        with pytest.raises(UsageError, match=r"0\.95"):
            run([["x"] * 2], [["y"] * 2], rng=rng(), level=95)
