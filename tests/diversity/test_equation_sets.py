"""One spelling for one equation, whatever the words; a bounded cost on hostile text."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from s2l_lab.diversity.equation_sets import equation_diversity, equations
from s2l_lab.policies.tiny.traces import Step

SAME = {
    "3+4=7": [
        "3 + 4 = 7",
        "4+3=7",
        "7 = 4 + 3",
        "so 3 plus 4 is 7.",
        "let 3+4 be 7",
        "then 4 plus 3 makes 7",
        "3 plus 4 equals 7",
        "3 plus 4 is equal to 7",
        "$3 + 4 = 7$",
        r"\(3 + 4 = \boxed{7}\)",
        "**3 + 4 = 7**",
        "- 3 + 4 = 7",
        "1. 3 + 4 = 7",
        "(3 + 4 = 7)",
        "((3)) + 4 = 7",
        "03 + 4.0 = 7",
        "3 + 4\n= 7",
        "3 ＋ 4 ＝ 7",
        "3 - -4 = 7",
        "so (3 + 4 = 7 and",
        "3 + 4 == 7",
        "3 + 4 &= 7",
        "Total: 3 + 4 = 7 - done",
        "12 3 + 4 = 7 5",
    ],
    "7*8=56": [
        "7 × 8 = 56",
        r"8 \times 7 = 56",
        r"7 \cdot 8 = 56",
        "7 times 8 is 56",
        "7 multiplied by 8 is 56",
        "7 x 8 = 56",
        "7⋅8=56",
        "7(8) = 56",
    ],
    "12/3=4": [
        "12 over 3 is 4",
        "12 divided by 3 is 4",
        r"\frac{12}{3} = 4",
        r"\dfrac{12} {3} = 4",
        "12 ÷ 3 = 4",
        r"12 \div 3 = 4",
        "4 = 12/3",
    ],
    "12-5=7": [
        "12 - 5 = 7",
        "12 minus 5 is 7",
        "12 − 5 = 7",
        "-5 + 12 = 7",
        "minus 5 plus 12 is 7",
    ],
    "2*(1+x)=4": [
        "2(x + 1) = 4",
        r"2\left(1+x\right) = 4",
        "(x+1)*2 = 4",
    ],
    "10-3-4=3": [
        "10 - (3 + 4) = 3",
        "10 - 4 - 3 = 3",
    ],
    "x^2-1=0": [
        "x^2 - 1 = 0",
        "x^{2} - 1 = 0",
        "x² - 1 = 0",
        "x**2 - 1 = 0",
    ],
    "2*π=r": [
        r"r = 2\pi",
        "r = 2π",
    ],
    "1000+2000.5=3000.5": [
        "1,000 + 2,000.50 = 3,000.5",
    ],
    "3+x_12=4": [
        "x_{12} + 3 = 4",
        "3 + x_12 = 4",
    ],
    "2*6/3/4=1": [
        "2*6/(3*4) = 1",
        "2/3*6/4 = 1",
        r"\frac{2}{3} * \frac{6}{4} = 1",
    ],
}


@pytest.mark.parametrize(("spelling", "text"), [(s, t) for s, texts in SAME.items() for t in texts])
def test_one_spelling_for_all_phrasings(spelling: str, text: str) -> None:
    assert equations(text) == {spelling}
    assert equations(spelling) == {spelling}


@pytest.mark.parametrize("phrasing", range(4))
@pytest.mark.parametrize(("op", "spelling"), [("+", "3+12=7"), ("-", "12-3=7"), ("*", "3*12=7"), ("/", "12/3=7")])
def test_the_embedded_family_s_four_phrasings_are_one_equation(phrasing: int, op: str, spelling: str) -> None:
    # The result is wrong on purpose: nothing is computed.
    assert equations(f"{Step(12, op, 3, 7, phrasing)}\n#### 12*3-4") == {spelling}


def test_chains_and_several_statements() -> None:
    assert equations("1 + 5 = 6 = 2 * 3 = x") == {"1+5=6", "2*3=6", "2*3=x"}
    assert equations("1 + 2 is 3. Then 4 + 5 is 9, and 7-7 = 0") == {"1+2=3", "4+5=9", "7-7=0"}
    assert equations("48/2 = <<48/2=24>>24 clips; 3+4=7 => 7*5=35") == {"48/2=24", "3+4=7", "5*7=35"}
    assert equations("3+4=7\n7*5=35\n- 35-1 = 34\n* 34/2 = 17") == {"3+4=7", "5*7=35", "35-1=34", "34/2=17"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 5",
        "the answer is 5",
        "#### 7*8-12/3",
        "3 + 4",
        "3 + = 7",
        "3 apples + 4 = 7",
        "5 apples - 3 * 2 = 4",
        "3 + 4 != 7",
        "3 + 4 <= 7",
        "3 + 4 ≈ 7",
        r"3 + 4 \neq 7",
        "3 + 4 is not 7",
        "3 + 4\n7",
        "3 + (4 = 7",
        "total_cost + 3 = 4",
        "1.2.3 + 4 = 7",
        r"\frac{1}2 + \text{so} = 3",
        "3 4 = 12",
        "()=1+",
        "3 + 4 > 7 = 7",
    ],
)
def test_what_states_no_equation(text: str) -> None:
    assert equations(text) == frozenset()


def test_different_equations_stay_different() -> None:
    texts = [
        "8-3=5",
        "3-8=5",
        "8+3=5",
        "8*3=5",
        "8/3=5",
        "3/8=5",
        "8^3=5",
        "3^8=5",
        "2*(8+3)=5",
        "2*8+3=5",
        "X+1=5",
        "x+1=5",
    ]
    assert len({equations(text) for text in texts}) == len(texts)


numbers = st.integers(1, 12).map(str)
expressions = st.recursive(
    numbers,
    lambda inner: (
        st.tuples(st.sampled_from("+-*/"), inner, inner).map(lambda t: f"({t[1]}){t[0]}({t[2]})")
        | inner.map(lambda one: f"-({one})")
    ),
    max_leaves=7,
)


def value(expression: str) -> Fraction:
    """By Python's own grammar; the text is ours."""
    return eval(re.sub(r"\d+", r"Fraction(\g<0>)", expression), {"Fraction": Fraction})  # type: ignore[no-any-return]


@given(expressions)
@example("1-((1+1)*(1+1))")
@example("1-((1+2)/(3+4))")
def test_spelling_keeps_the_value_and_is_its_own_spelling(expression: str) -> None:
    try:
        expected = value(expression)
    except ZeroDivisionError:
        assume(False)
    assume(re.search(r"\d.*[-+*/]", expression))  # a number alone, signed or not, is no operation
    (spelled,) = equations(f"{expression} = y")
    left, _, right = spelled.partition("=")
    assert right == "y"
    assert value(left) == expected
    assert equations(spelled) == {spelled}


@given(st.lists(numbers, min_size=2, max_size=5), st.sampled_from("+*"), st.randoms())
def test_order_and_grouping_of_sums_and_products_do_not_matter(parts: list[str], op: str, random: object) -> None:
    shuffled = list(parts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    nested = shuffled[0]
    for part in shuffled[1:]:
        nested = f"{part}{op}({nested})"
    assert equations(f"{op.join(parts)} = 9") == equations(f"9 = {nested}") != frozenset()


@given(st.text(alphabet="0123456789+-*/^=(){}$\\,. \nabxy_#&ƒ×frac", max_size=60))
def test_any_text_is_read_and_what_is_found_is_stable(text: str) -> None:
    for spelled in equations(text):
        assert equations(spelled) == {spelled}


@pytest.mark.parametrize(
    "unit",
    [
        "(",
        "1+",
        "1+1=",
        "\n",
        "- ",
        "=",
        " ",
        "x",
        "1,000",
        r"\frac{",
        "(=)",
        "divided ",
        "_",
        "x_{a",
        "*",
        "\\",
        "1.",
        "2^",
        "-",
        "#- ",
    ],
)
def test_hostile_text_costs_what_its_length_says(unit: str) -> None:
    """A pattern that goes back, or a side read from each of its places, would not end here in a lifetime of tests."""
    text = unit * (40_000 // len(unit))
    assert len(equations(text)) <= 1
    assert equations(f"3+4=7\n{text}\n5*6=30") >= {"3+4=7"}


def test_depth_and_length_are_bounded() -> None:
    deep = "(1+" * 15 + "1" + ")" * 15
    assert len(equations(f"{deep}=9")) == 1
    assert equations("(1-" * 300 + "1" + ")" * 300 + "=9") == frozenset()
    assert equations("2^" * 100 + "2=9") == frozenset()
    assert len(equations("1+" * 150 + "1=9")) == 1
    assert equations("1+" * 250 + "1=9") == frozenset()
    assert len(equations("9" * 300 + "+1=2")) == 1  # never turned into an integer


def jaccard(texts: list[str]) -> float:
    sets = [equations(t) for t in texts]
    kept = [(a, b) for a, b in combinations(sets, 2) if a | b]
    return 1 - float(np.mean([len(a & b) / len(a | b) for a, b in kept]))


def test_diversity_by_hand() -> None:
    texts = ["1+2=3\n3*4=12", "2 plus 1 is 3\nthen 5*4 makes 20", "1+2=3\n3*4=12", "no idea"]
    # pairs: 1/3, 1, 0, 1/3, 0, 0 -> 1 - (1/3 + 1 + 1/3) / 6
    assert equation_diversity(texts) == pytest.approx(1 - (5 / 3) / 6)
    assert equation_diversity([*texts, "none"]) == pytest.approx(
        1 - (5 / 3) / 9
    )  # the pair of two empty sets is left out
    assert equation_diversity(["1+2=3", "2+1 is 3"]) == pytest.approx(0)  # phrasing alone
    assert equation_diversity(["1+2=3", "1+3=4"]) == pytest.approx(1)


texts_of_equations = st.lists(
    st.lists(st.sampled_from(["1+1=2", "2*3=6", "9-4=5", "8/2=4"]), max_size=4), min_size=2, max_size=6
)


@given(texts_of_equations, st.randoms())
def test_diversity_equals_the_loop_in_any_order(lines: list[list[str]], random: object) -> None:
    texts = ["\n".join(t) for t in lines]
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    seen = equation_diversity(shuffled)
    if sum(bool(t) for t in texts) == 0:
        assert math.isnan(seen)
    else:
        assert seen == pytest.approx(jaccard(texts), abs=1e-12)
        assert -1e-12 <= seen <= 1


def test_undefined_is_nan() -> None:
    for texts in ([], ["1+2=3"], ["", ""], ["none", "x = 5"]):
        assert math.isnan(equation_diversity(texts))
