"""Strategy counts: rarefied distinct classes, and the share of all that exist."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.strategies import distinct_strategies, strategy_coverage
from s2l_lab.errors import UsageError
from s2l_lab.verifiers import verify

METADATA = {"numbers": [3, 7, 8, 12], "target": 52}


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=7), st.data())
def test_it_is_the_mean_over_all_subsets_of_m_rollouts(strategies: list[str | None], data: st.DataObject) -> None:
    m = data.draw(st.integers(1, len(strategies)))
    subsets = list(combinations(strategies, m))
    by_hand = sum(len(set(subset) - {None}) for subset in subsets) / len(subsets)
    assert distinct_strategies(strategies, m) == pytest.approx(by_hand, abs=1e-12)
    assert strategy_coverage(strategies, 5, m) == pytest.approx(by_hand / 5, abs=1e-12)


def test_hand_numbers() -> None:
    # a, a, b: of the three pairs two hold both classes, one only a: (2 + 2 + 1) / 3.
    assert distinct_strategies(["a", "a", "b"], 2) == pytest.approx(5 / 3)
    assert distinct_strategies(["a", "a", "b"]) == 2
    # A wrong rollout takes a place: pairs of (a, b, wrong) hold 2, 1 and 1 classes.
    assert distinct_strategies(["a", "b", None], 2) == pytest.approx(4 / 3)
    assert strategy_coverage(["a", "a", "b"], 8) == 0.25


def test_wordings_and_orders_of_one_solution_are_one_strategy_and_another_solution_is_a_second() -> None:
    texts = (
        "let 7*8 be 56\n12 over 3 is 4\nthen 56-4 makes 52\n#### 7*8-12/3",
        "12/3=4\n8 times 7 is 56\n56-4=52\n#### 8*7-12/3",
        "#### -12/3 + (8*7)",
        "#### 52 = 52",
        "#### 12*7-8*(7-3)",
    )
    verdicts = [verify(text, "7*8-12/3", "countdown", metadata=METADATA) for text in texts]
    correct = [v.canonical for v in verdicts if v.outcome.name == "CORRECT"]
    assert len(correct) == 3
    assert distinct_strategies(correct) == 1
    other = verify("#### 12*7-8*(7-3)", "84-32", "countdown", metadata={"numbers": [3, 7, 7, 8, 12], "target": 52})
    assert other.outcome.name == "CORRECT"
    assert distinct_strategies([*correct, other.canonical]) == 2


def test_nothing_found_is_zero_and_nothing_looked_at_is_nan() -> None:
    assert distinct_strategies([None, None]) == 0
    assert strategy_coverage([None], 3) == 0
    assert math.isnan(distinct_strategies([]))
    assert math.isnan(distinct_strategies([], 4))
    assert math.isnan(strategy_coverage([], 3))


def test_what_cannot_be_is_refused() -> None:
    for m in (0, 3):
        with pytest.raises(UsageError, match=f"m = {m}"):
            distinct_strategies(["a", None], m)
    with pytest.raises(UsageError, match="2 distinct strategies were found and n_classes = 1"):
        strategy_coverage(["a", "b", "b"], 1)
    with pytest.raises(UsageError, match="n_classes = 0"):
        strategy_coverage([], 0)
