"""The generator: items that depend on (seed, split, i) alone, splits that share nothing, and nothing unsolvable."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import islice, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.problems.countdown import Split, countdown_benchmark, countdown_items, split_of
from s2l_lab.problems.problem import Problem

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def key(problem: Problem) -> tuple[tuple[int, ...], int]:
    return tuple(sorted(problem.metadata["numbers"])), problem.metadata["target"]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**40), st.sampled_from(SPLITS))
def test_a_longer_benchmark_begins_with_a_shorter_one(n: int, m: int, seed: int, split: Split) -> None:
    a, b = (countdown_benchmark(size, seed, split).problems for size in (n, m))
    shared = min(n, m)
    assert a[:shared] == b[:shared]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40))
def test_splits_share_no_item_whatever_the_seeds(seed: int) -> None:
    keys = [{key(p) for p in countdown_benchmark(40, seed + i, split).problems} for i, split in enumerate(SPLITS)]
    assert not keys[0] & keys[1]
    assert not keys[0] & keys[2]
    assert not keys[1] & keys[2]


def test_the_split_is_a_property_of_the_item() -> None:
    """So training data of any size and seed is clean: membership is never decided by what was drawn before."""
    for split in SPLITS:
        for item in islice(countdown_items(split, seed=5), 20):
            assert {split_of(numbers, item.target) for numbers in permutations(item.numbers)} == {split}


def test_one_item_in_sixteen_is_held_out_for_each_purpose() -> None:
    found = [
        split_of((a, b, c, 13), t) for a in range(1, 8) for b in range(a, 14) for c in (2, 9) for t in range(10, 60)
    ]
    for split in ("test", "validation"):
        assert found.count(split) / len(found) == pytest.approx(1 / 16, abs=0.01)  # 7,000 draws: 3.5 standard errors


@pytest.mark.parametrize("split", SPLITS)
def test_every_item_is_new_solvable_and_in_range(split: Split) -> None:
    benchmark = countdown_benchmark(150, split=split)
    assert len({key(p) for p in benchmark.problems}) == 150
    assert len({p.id for p in benchmark.problems}) == 150
    for problem in benchmark.problems:
        numbers, target = problem.metadata["numbers"], problem.metadata["target"]
        assert len(numbers) == 4
        assert all(1 <= n <= 13 for n in numbers)
        assert 10 <= target <= 99
        assert sorted(map(int, re.findall(r"\d+", problem.answer))) == sorted(numbers)
        assert eval_exactly(problem.answer) == target


def test_held_out_items_are_hard_and_half_of_the_training_draw_is() -> None:
    for split in ("validation", "test"):
        for item in islice(countdown_items(split, seed=1), 60):
            assert item.hard
            assert not [c for c in item.whole_classes if "(" not in c.text]
    share = sum(item.hard for item in islice(countdown_items("train"), 400)) / 400
    assert share == pytest.approx(0.5, abs=0.08)  # 3 standard errors


def eval_exactly(expression: str) -> Fraction:
    """By another route: Python's own arithmetic, in fractions, on our own generator's text."""
    return eval(re.sub(r"(\d+)", r"Fraction(\1)", expression), {"Fraction": Fraction})


def test_seeds_and_splits_give_different_problems() -> None:
    sets = [countdown_benchmark(30, seed, split).digest for seed in (0, 1) for split in SPLITS]
    assert len(set(sets)) == 6


def test_the_prompt_states_numbers_target_and_form() -> None:
    problem = countdown_benchmark(1).problems[0]
    for n in problem.metadata["numbers"]:
        assert str(n) in problem.prompt
    assert f"equals {problem.metadata['target']}." in problem.prompt
    assert problem.prompt.endswith("#### expression")
    assert problem.kind == "countdown"


def test_golden_first_test_problems() -> None:
    """Published numbers stand on these items: a change of the generator must change its VERSION, and this test."""
    benchmark = countdown_benchmark(3)
    assert benchmark.provenance == {"generator": "countdown-1", "seed": "0", "split": "test"}
    assert [(p.metadata["numbers"], p.metadata["target"]) for p in benchmark.problems] == GOLDEN


GOLDEN = [([9, 9, 1, 9], 18), ([4, 2, 8, 11], 68), ([13, 9, 13, 10], 14)]


@pytest.mark.parametrize("n", [0, -1, 1_001])
def test_a_size_out_of_range_is_refused_with_the_range(n: int) -> None:
    with pytest.raises(UsageError, match=r"1 to 1,000 test problems"):
        countdown_benchmark(n)


def test_an_unknown_split_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown split 'tests'\. Did you mean test\?"):
        countdown_benchmark(3, split="tests")  # type: ignore[arg-type]
