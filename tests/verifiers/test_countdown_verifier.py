"""Golden cases, laws of the canonical answer, and hostile text."""

from __future__ import annotations

import json
import random
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s2l_lab.problems.countdown_solver import solution_classes
from s2l_lab.verifiers import Outcome
from s2l_lab.verifiers.countdown import UnreadableExpressionError, read_expression, verify_expression

CASES = json.loads((Path(__file__).parent / "countdown_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["expression"][:40])
def test_golden_cases(case: dict[str, object]) -> None:
    verdict = verify_expression(case["expression"], case["numbers"], case["target"])  # type: ignore[arg-type]
    assert verdict.outcome == case["outcome"]
    assert case.get("detail", "") in verdict.detail
    if "canonical" in case:
        assert verdict.canonical == case["canonical"]


HOSTILE = {
    "tower": "10**10**10",
    "caret tower": "10^10^10",
    "open brackets": "(" * 100_000,
    "balanced brackets": "(" * 140 + "1" + ")" * 140,
    "signs": "-" * 299 + "1",
    "digits": "9" * 250,
    "many digits": "9" * 1_000_000,
    "many numbers": "+".join("1" * 140),
    "product of big numbers": "*".join(["999999999"] * 29),
    "fractions": "\\frac{" * 45 + "1",
    "code": "__import__('os').system('true')",
    "attribute": "(1).__class__",
    "nan": "nan",
    "other digits": "٣*٤",
    "superscript": "2²",
    "control": "\x00\x1b[31m8*7",
    "spaces": " " * 290 + "8",
    "empty": "",
    "blank": " \n ",
    "only a value": "= 52",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_incorrect_at_once(name: str) -> None:
    started = time.process_time()
    verdict = verify_expression(HOSTILE[name], [3, 7, 8, 12], 52)
    assert verdict.outcome is Outcome.INCORRECT
    assert verdict.detail
    assert verdict.canonical is not None
    assert len(verdict.canonical) <= 300
    assert time.process_time() - started < 1  # a hang is what is excluded; no speed is claimed


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="0123456789+-*/()= .×÷−$\\{}fractimes^!", max_size=80))
@example("7*8-12/3=52")
def test_no_text_raises_and_correct_means_correct(text: str) -> None:
    verdict = verify_expression(text, [3, 7, 8, 12], 52)
    if verdict.outcome is Outcome.CORRECT:
        assert verdict.canonical in {c.text for c in solution_classes((3, 7, 8, 12), 52)}


Tree = int | tuple[str, "Tree", "Tree"]


def random_tree(rng: random.Random, numbers: list[int]) -> Tree:
    if len(numbers) == 1:
        return numbers[0]
    cut = rng.randint(1, len(numbers) - 1)
    return rng.choice("+-*/"), random_tree(rng, numbers[:cut]), random_tree(rng, numbers[cut:])


def written(tree: Tree) -> str:
    """Fully bracketed, so that no precedence rule is shared with the reader under test."""
    return str(tree) if isinstance(tree, int) else f"({written(tree[1])}{tree[0]}{written(tree[2])})"


def shuffled(rng: random.Random, tree: Tree) -> Tree:
    """An equal expression: operands of + and * swapped, and brackets of equal operators moved."""
    if isinstance(tree, int):
        return tree
    op, a, b = tree[0], shuffled(rng, tree[1]), shuffled(rng, tree[2])
    if op in "+*" and not isinstance(b, int) and b[0] == op and rng.random() < 0.5:
        a, b = (op, a, b[1]), b[2]
    if op in "+*" and rng.random() < 0.5:
        a, b = b, a
    if op in "-/" and not isinstance(a, int) and a[0] == op and rng.random() < 0.5:  # (x-y)-z = x-(y+z)
        return op, a[1], ("+" if op == "-" else "*", a[2], b)
    return op, a, b


def value_at(tree: Tree, point: dict[int, Fraction]) -> Fraction:
    if isinstance(tree, int):
        return point[tree]
    a, b = value_at(tree[1], point), value_at(tree[2], point)
    return {"+": a + b, "-": a - b, "*": a * b}[tree[0]] if tree[0] != "/" else a / b


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_commuting_and_regrouping_keep_the_class(seed: int) -> None:
    rng = random.Random(seed)
    tree = random_tree(rng, rng.sample([101, 211, 307, 401, 503], 5))
    assert read_expression(written(shuffled(rng, tree)))[0].text == read_expression(written(tree))[0].text


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_two_expressions_share_a_class_exactly_if_they_are_one_function(seed: int) -> None:
    """Each number is used once, so a class is a rational function of the numbers: compared at three random points."""
    rng = random.Random(seed)
    numbers = [101, 211, 307]
    a, b = (random_tree(rng, rng.sample(numbers, 3)) for _ in range(2))
    points = [{n: Fraction(rng.randint(10**6, 10**7)) for n in numbers} for _ in range(3)]
    same_function = all(value_at(a, p) == value_at(b, p) for p in points)
    same_class = read_expression(written(a))[0].text == read_expression(written(b))[0].text
    assert same_class == same_function


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=4, max_size=4), st.integers(10, 99))
def test_every_class_of_the_solver_is_its_own_canonical_answer(numbers: list[int], target: int) -> None:
    for form in solution_classes(tuple(numbers), target):
        verdict = verify_expression(form.text, numbers, target)
        assert verdict.outcome is Outcome.CORRECT
        assert verdict.canonical == form.text


def test_the_answer_is_kept_as_it_stands() -> None:
    assert verify_expression(" 8 * 7 ", [7, 8], 56).answer == " 8 * 7 "


def test_unreadable_says_where() -> None:
    with pytest.raises(UnreadableExpressionError, match=r"'\^2' is not arithmetic"):
        read_expression("8^2")


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(" * 21 + "8" + ")" * 21, "nested too deeply"),
        ("-" * 21 + "8", "nested too deeply"),
        ("9" * 10, "a number too long"),
        ("+".join("1" * 17), "too many numbers"),
        ("8 " * 151, "too long"),
    ],
)
def test_each_bound_is_the_one_that_stops(expression: str, why: str) -> None:
    """So no caller's stack depth decides a verdict, and arithmetic stays small."""
    assert verify_expression(expression, [8], 8).detail == why


def test_text_just_within_the_bounds_is_read() -> None:
    assert verify_expression("(" * 19 + "8" + ")" * 19, [8], 8).outcome is Outcome.CORRECT
    assert verify_expression("+".join("1" * 16), [1] * 16, 16).outcome is Outcome.CORRECT
