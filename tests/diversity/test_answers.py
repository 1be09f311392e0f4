"""Unique answers: failures are one class, and the number of rollouts does not matter."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.answers import answer_entropy, unique_answer_ratio
from s2l_lab.errors import UsageError

some_answers = st.lists(st.one_of(st.none(), st.sampled_from("abcd")), min_size=2, max_size=8)


def test_by_hand_with_failures_in_one_class() -> None:
    answers = ["7", "7", None, None, "8", None]  # classes of 2, 3 and 1
    assert unique_answer_ratio(answers) == pytest.approx(3 / 6)
    # pairs: 15, of which alike 1 + 3: (4 * 1 + 11 * 2) / 15 labels, over 2
    assert unique_answer_ratio(answers, 2) == pytest.approx(26 / 30)
    assert answer_entropy(answers) == pytest.approx(-(math.log(1 / 3) / 3 + math.log(1 / 2) / 2 + math.log(1 / 6) / 6))
    assert answer_entropy(answers, 2) == pytest.approx(11 / 15 * math.log(2))
    assert unique_answer_ratio([None] * 5) == pytest.approx(1 / 5)  # not 1: a policy that never answers is not diverse
    assert answer_entropy([None] * 5) == 0


@given(some_answers, st.data())
def test_ratio_is_the_mean_over_subsets_whatever_the_order_and_the_names(
    answers: list[str | None], data: st.DataObject
) -> None:
    m = data.draw(st.integers(1, len(answers)))
    exact = float(np.mean([len(set(s)) / m for s in combinations(answers, m)]))
    assert unique_answer_ratio(answers, m) == pytest.approx(exact, abs=1e-12)
    renamed = [None if a is None else f"answer {a}" for a in reversed(answers)]
    assert unique_answer_ratio(renamed, m) == pytest.approx(exact, abs=1e-12)
    assert answer_entropy(renamed, m) == pytest.approx(answer_entropy(answers, m), abs=1e-12)
    assert 1 / m - 1e-12 <= exact <= 1


def test_honest_repeats_stay() -> None:
    # Were equal answers taken for one rollout, both would be 1.
    assert unique_answer_ratio(["a"] * 8) == pytest.approx(1 / 8)
    twice = ["a", "b", "c"] * 2
    assert unique_answer_ratio(twice) == pytest.approx(1 / 2)
    assert answer_entropy(twice) == pytest.approx(answer_entropy(["a", "b", "c"]))


def test_more_rollouts_are_not_more_diversity() -> None:
    rng = np.random.default_rng(0)
    few, many = (
        np.array([unique_answer_ratio([str(a) for a in rng.geometric(0.2, n)], 16) for _ in range(200)])
        for n in (32, 256)
    )
    assert abs(few.mean() - many.mean()) < 4 * math.sqrt(few.var() / 200 + many.var() / 200)


def test_undefined_is_nan_and_a_bad_m_is_refused() -> None:
    for answers in ([], ["a"], [None]):
        assert math.isnan(unique_answer_ratio(answers))
        assert math.isnan(answer_entropy(answers))
    for statistic in (unique_answer_ratio, answer_entropy):
        with pytest.raises(UsageError, match="m = 3 of 2 rollouts"):
            statistic(["a", "b"], 3)
        with pytest.raises(UsageError, match="m = 0 of 2 rollouts"):
            statistic(["a", "b"], 0)
