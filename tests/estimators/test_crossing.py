"""The crossing of two curves: hand-made bands, and how often its set holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_lab.estimators import Counts, Crossing, compare_counts
from s2l_lab.estimators.crossing import find_crossing

K = np.arange(1, 7)


@pytest.mark.parametrize(
    ("value", "half_width", "expected", "shown"),
    [
        # outcome, k, k_set, leader, sign changes; ranges shown
        ([3, 2, 1, -1, -2, -3], 1.5, ("at", 4, (3, 5), "b", 1), "b12 a56"),
        ([-3, -2, -1, 1, 2, 3], 1.5, ("at", 4, (3, 5), "a", 1), "a12 b56"),
        ([3, 3, -3, -3, -3, -3], 1.5, ("at", 3, (3, 3), "b", 1), "b12 a36"),
        ([3, 2, 1, -1, -1, -1], 1.5, ("undetermined", None, (3, None), "b", 1), "b12"),
        ([1, -1, 1, -1, 1, -1], 1.5, ("undetermined", None, (1, None), None, 5), ""),
        # The leader is shown at N: k* is none by N, whatever the band does not say before.
        ([1, 1, 1, 2, 3, 3], 1.5, ("undetermined", None, None, "b", 0), "b46"),
        # Curves that touch at k = 1: the set ends at the crossing, not at the first exclusion.
        ([0, 3, 0, -1, 1, -3], 1.5, ("at", 6, (3, 6), "b", 3), "b22 a66"),
        ([0, 2, 2, -1, -2, -2], 1.5, ("at", 4, (4, 5), "b", 1), "b23 a56"),
        # Two supported changes: the leader is ahead again at N.
        ([2, -2, -2, 2, 2, 2], 1.5, ("at", None, None, "b", 2), "b11 a23 b46"),
        ([2, -2, 2, -1, -2, -2], 1.5, ("at", 4, (4, 5), "b", 3), "b11 a22 b33 a56"),
        # The other side is shown, but not to N.
        ([2, 2, -2, -2, -1, -1], 1.5, ("at", 3, (3, None), "b", 1), "b12 a34"),
        ([2, 2, 2, 2, 2, 2], 1.5, ("ahead", None, None, "b", 0), "b16"),
        ([-2, -2, -2, -2, -2, -2], 1.5, ("none", None, None, "a", 0), "a16"),
        ([0, 0, 0, 0, 0, 0], 0.1, ("undetermined", None, (1, None), None, 0), ""),
        ([0, 0, 0, 0, 0, 0], 0, ("undetermined", None, (1, None), None, 0), ""),
        ([3, np.nan, np.nan, -1, -2, -3], 1.5, ("at", 4, (2, 5), "b", 1), "b11 a56"),
        ([np.nan] * 6, 1.5, ("undetermined", None, (1, None), None, 0), ""),
        # Rounding is no lead.
        ([3, 2, 1e-17, -1, -2, -3], 1.5, ("at", 3, (3, 5), "b", 1), "b12 a56"),
    ],
)
def test_crossings_of_hand_made_bands(value: list[float], half_width: float, expected: tuple, shown: str) -> None:
    value_K = np.array(value, dtype=float)
    seen = find_crossing(K, value_K, value_K - half_width, value_K + half_width)
    assert (seen.outcome, seen.k, seen.k_set, seen.leader, seen.sign_changes) == expected
    assert " ".join(f"{one.ahead}{one.first_k}{one.last_k}" for one in seen.shown) == shown


def test_on_a_coarse_grid_the_set_reaches_down_to_what_lies_between() -> None:
    value_K = np.array([3.0, 3.0, -3.0, -3.0])
    seen = find_crossing(np.array([1, 4, 16, 64]), value_K, value_K - 1, value_K + 1)
    assert (seen.k, seen.k_set) == (5, (5, 16))


def population(name: str, problems: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Solve rates of a and b whose pass@k curves touch at k = 1, or change places as often as named."""
    part = rng.permutation(problems) / problems
    if name == "touch at 1":
        # b is surer, a is never hopeless: equal means of .3, then b ahead, then a.
        return np.full(problems, 0.02) + 0.56 * (part < 0.5), np.where(part < 0.6, 0.5, 0.0)
    if name == "two changes":
        return np.where(part < 0.6, 0.35, 0.0), np.where(part < 0.3, 0.9, 0.02)
    if name == "three changes":
        return np.where(part < 0.6, 0.35, 0.004), np.where(part < 0.3, 0.9, np.where(part < 0.9, 0.02, 0.0))
    return np.where(part < 0.5, 0.9, 0.0), np.where(part < 0.9, 0.08, 0.0)


@pytest.mark.parametrize(
    ("name", "rollouts", "signs"),
    [
        ("one change", 64, [-1, 1]),
        ("touch at 1", 64, [0, 1, -1]),
        ("two changes", 64, [1, -1, 1]),
        ("three changes", 512, [1, -1, 1, -1]),
    ],
)
@pytest.mark.parametrize("problems", [100, 300])
@pytest.mark.parametrize("repetitions", [15, pytest.param(50, marks=pytest.mark.slow)])
def test_the_set_holds_the_crossing(
    name: str, rollouts: int, signs: list[int], problems: int, repetitions: int
) -> None:
    """Where curves touch at k = 1 the set ended at the first exclusion and held the crossing in .15 to .33."""
    rng, covered, supported = np.random.default_rng(5), 0, 0
    a_true, b_true = population(name, 100_000, rng)
    k = np.unique(np.geomspace(1, rollouts, 64).astype(int))
    truth_K = np.array([((1 - a_true) ** i).mean() - ((1 - b_true) ** i).mean() for i in k])
    found = np.sign(np.where(np.abs(truth_K) < 1e-9, 0, truth_K)).astype(int)
    assert found[np.flatnonzero(np.diff(found, prepend=9))].tolist() == signs
    total, ids = np.full(problems, rollouts), tuple(map(str, range(problems)))
    for _ in range(repetitions):
        rates = population(name, 100_000, rng)
        chosen = rng.integers(100_000, size=problems)
        a, b = (Counts(ids, rng.binomial(rollouts, one[chosen]), total, np.zeros_like(total)) for one in rates)
        seen = compare_counts(a, b, k, rng=rng, replicates=300).crossing
        covered += holds(seen, truth_K, k)
        supported += seen.outcome == "at"
    assert covered / repetitions >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / repetitions)
    assert supported > 0


def holds(seen: Crossing, truth_K: np.ndarray, k: np.ndarray) -> bool:
    """Whether k* of the true curves, by the leader that the band shows, lies in the set."""
    if seen.leader is None:
        return seen.k_set == (1, None)
    ahead = np.flatnonzero(truth_K > 1e-9 if seen.leader == "b" else truth_K < -1e-9)
    last = int(ahead[-1]) if ahead.size else -1
    none = last == k.size - 1
    if seen.k_set is None:
        return none
    low, high = seen.k_set
    return high is None if none else low <= k[last + 1] and (high is None or k[last + 1] <= high)
