"""Edit diversity equals the plain recursion over all pairs."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.edit import edit_distances, edit_diversity

Tokens = list[list[int]]
ids = st.sampled_from([0, 1, 2, 0xD800, 0xDFFF, 0x110000, 2**40, 2**62 + 1])  # surrogates, and beyond all characters
some_tokens = st.lists(st.lists(ids, max_size=7), min_size=2, max_size=6)


def levenshtein(a: list[int], b: list[int]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


def slow(tokens: Tokens) -> float:
    return float(np.mean([levenshtein(a, b) / max(len(a), len(b), 1) for a, b in combinations(tokens, 2)]))


@given(some_tokens, st.randoms())
def test_equals_the_loop_in_any_order_and_under_any_names(tokens: Tokens, random: object) -> None:
    if not any(tokens):
        assert math.isnan(edit_diversity(tokens))
        return
    value = edit_diversity(tokens)
    assert value == pytest.approx(slow(tokens), abs=1e-12)
    assert 0 <= value <= 1
    named = [[f"token {t}" for t in completion] for completion in tokens]
    random.shuffle(named)  # type: ignore[attr-defined]  # hypothesis' Random
    assert edit_diversity(named) == pytest.approx(value, abs=1e-12)


def test_long_completions_equal_the_loop() -> None:
    rng = np.random.default_rng(0)
    tokens = [(rng.zipf(1.3, rng.integers(60, 200)) % 40_000).tolist() for _ in range(6)]
    assert edit_diversity(tokens) == pytest.approx(slow(tokens), abs=1e-12)


def test_by_hand() -> None:
    # kitten, sitting: 3 of 7; kitten, empty: 6 of 6; sitting, empty: 7 of 7
    assert edit_diversity(["kitten", "sitting", ""]) == pytest.approx((3 / 7 + 1 + 1) / 3)
    assert edit_distances(["kitten", "sitting"]).tolist() == [[0, 3 / 7], [3 / 7, 0]]
    # two empty ones are equal; each is as far from `ab` as can be
    assert edit_diversity(["", "", "ab"]) == pytest.approx((0 + 1 + 1) / 3)


def test_honest_repeats_stay() -> None:
    tokens = np.random.default_rng(1).integers(0, 9, (5, 20)).tolist()
    # of 45 pairs of ten rollouts 5 are a rollout and its double, the other 40 are four times the ten pairs of five
    assert edit_diversity(tokens + tokens) == pytest.approx(40 / 45 * edit_diversity(tokens))
    assert edit_diversity([tokens[0]] * 4) == 0


def test_undefined_is_nan() -> None:
    for tokens in ([], [[1, 2]], [[], [], []]):
        assert math.isnan(edit_diversity(tokens))
