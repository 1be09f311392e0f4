"""The solver against brute force over all bracketings, and the canonical form against rational functions."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.problems.countdown_solver import Sum, add, divide, multiply, negate, number, solution_classes

OPERATIONS = {"+": add, "-": lambda a, b: add(a, negate(b)), "*": multiply, "/": divide}


def all_expressions(numbers: tuple[int, ...]) -> list[Sum]:
    """The canonical form of every bracketing of every order with every operator: no pruning, no sign argument."""
    if len(numbers) == 1:
        return [number(numbers[0])]
    found = []
    for cut in range(1, len(numbers)):
        for left in itertools.combinations(range(len(numbers)), cut):
            right = tuple(n for i, n in enumerate(numbers) if i not in left)
            for a in all_expressions(tuple(numbers[i] for i in left)):
                for b in all_expressions(right):
                    for name, operation in OPERATIONS.items():
                        if name != "/" or b.value:
                            found.append(operation(a, b))
    return found


@pytest.mark.parametrize("numbers", [(3, 7, 8), (4, 4, 6), (1, 1, 1), (2, 5), (2, 3, 8, 12), (5, 5, 10, 1)])
def test_solver_lists_exactly_the_classes_of_brute_force(numbers: tuple[int, ...]) -> None:
    brute: dict[int, set[str]] = {}
    for form in all_expressions(numbers):
        if form.value > 0 and form.value.denominator == 1:
            brute.setdefault(int(form.value), set()).add(form.text)
    assert brute
    for target in [*brute, 9999]:
        assert {c.text for c in solution_classes(numbers, target)} == brute.get(target, set())


def test_classes_of_generic_numbers_are_the_read_once_rational_functions() -> None:
    """OEIS A140606 counts them: 1, 6, 68, 1170. Values of generic numbers tell two different functions apart."""
    generic = (101, 211, 307, 401)
    for n, expected in ((1, 1), (2, 6), (3, 68), (4, 1170)):
        forms = all_expressions(generic[:n])
        assert len({f.text for f in forms}) == expected
        assert len({f.value for f in forms}) == expected


def is_whole_by_brute_force(numbers: tuple[int, ...], target: int) -> set[str]:
    """Classes that some evaluation reaches with positive whole numbers only."""

    def reach(given: tuple[int, ...]) -> list[Sum]:
        if len(given) == 1:
            return [number(given[0])]
        found = []
        for cut in range(1, len(given)):
            for left in itertools.combinations(range(len(given)), cut):
                right = tuple(n for i, n in enumerate(given) if i not in left)
                for a in reach(tuple(given[i] for i in left)):
                    for b in reach(right):
                        results = [operation(a, b) for operation in OPERATIONS.values()]
                        found += [r for r in results if r.value > 0 and r.value.denominator == 1]
        return found

    return {form.text for form in reach(numbers) if form.value == target}


def test_whole_classes_are_those_with_a_whole_number_evaluation() -> None:
    rng = random.Random(0)
    for _ in range(12):
        numbers, target = tuple(rng.randint(1, 12) for _ in range(4)), rng.randint(1, 40)
        whole = {c.text for c in solution_classes(numbers, target) if c.whole}
        assert whole == is_whole_by_brute_force(numbers, target), (numbers, target)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=4), st.integers(1, 99))
def test_every_listed_class_is_an_expression_of_the_numbers_that_equals_the_target(
    nums: list[int], target: int
) -> None:
    for form in solution_classes(tuple(nums), target):
        assert form.value == target
        words = form.text.translate(str.maketrans("+-*/()", "      ")).split()
        assert sorted(map(int, words)) == sorted(nums)


def test_known_items() -> None:
    # By hand: 7*8 - 12/3 = 56 - 4, and 12 * (7 - 8/3) = 12 * 13/3.
    assert [c.text for c in solution_classes((3, 7, 8, 12), 52)] == ["7*8-12/3", "12*(7-8/3)"]
    assert [c.whole for c in solution_classes((3, 7, 8, 12), 52)] == [True, False]
    assert [c.text for c in solution_classes((8, 3, 8, 3), 24)] == ["8/(3-8/3)"]
    assert solution_classes((1, 1, 1, 1), 99) == ()


def test_a_sum_of_fractions_is_a_class_but_not_a_whole_one() -> None:
    thirds = add(divide(number(8), number(3)), divide(number(4), number(3)))
    assert thirds.value == Fraction(4)
    assert not thirds.whole


@pytest.mark.parametrize(("numbers", "target"), [((1, 2), 0), ((0, 2), 5), ((3,), 3), ((), 3)])
def test_what_the_search_is_not_made_for_is_refused(numbers: tuple[int, ...], target: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        solution_classes(numbers, target)
