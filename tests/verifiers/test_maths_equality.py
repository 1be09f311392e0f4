"""Equality of answers: pairs with known truth, units, laws, and what must not be computed."""

import json
from fractions import Fraction
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.verifiers import Outcome
from s2l_lab.verifiers.maths_process import Status
from s2l_lab.verifiers.maths_worker import canonical, canonical_of, compare

PAIRS = json.loads((Path(__file__).parent / "equality_pairs.json").read_text(encoding="utf-8"))
READINGS = json.loads((Path(__file__).parent / "reading_cases.json").read_text(encoding="utf-8"))
UNITS = json.loads((Path(__file__).parent / "unit_cases.json").read_text(encoding="utf-8"))


def is_equal(gold: str, answer: str) -> bool:
    return compare(gold, answer)[0] is Status.EQUAL


def is_wrong(gold: str, answer: str) -> bool:
    """Graded, and not right."""
    return compare(gold, answer)[0] in (Status.DIFFERENT, Status.UNREADABLE)


@pytest.mark.parametrize(("one", "other", "equal"), PAIRS, ids=lambda value: str(value)[:30])
def test_pairs_with_known_truth_in_both_directions(one, other, equal):
    assert is_equal(one, other) is equal
    assert is_equal(other, one) is equal


@pytest.mark.parametrize(("one", "other", "equal"), PAIRS, ids=lambda value: str(value)[:30])
def test_different_answers_never_share_a_canonical_form(one, other, equal):
    if not equal:
        assert canonical(one) != canonical(other)
        gold, answer = canonical_of(Status.EQUAL, one, one), canonical_of(Status.DIFFERENT, one, other)
        assert gold != answer


@pytest.mark.parametrize(("gold", "answer", "equal"), READINGS, ids=lambda value: str(value)[:30])
def test_readings_of_an_answer_to_a_gold_answer(gold, answer, equal):
    assert is_equal(gold, answer) if equal else is_wrong(gold, answer)


# ---------------------------------------------------------------------------------------------- units


@pytest.mark.parametrize("unit", UNITS["everyday"])
def test_a_number_with_an_everyday_unit_is_its_number(pool, unit):
    assert pool.verify(f"Answer: 12 {unit}", "12").outcome is Outcome.CORRECT
    assert pool.verify(f"Answer: 13 {unit}", "12").outcome is Outcome.INCORRECT


def test_there_are_at_least_eighty_everyday_units():
    assert len(set(UNITS["everyday"])) >= 80


@pytest.mark.parametrize("answer", UNITS["written"])
def test_a_number_with_a_unit_in_other_places_and_forms(answer):
    assert is_equal("12", answer)


@pytest.mark.parametrize(("one", "other"), UNITS["same"])
def test_spellings_of_one_unit_agree(one, other):
    assert is_equal(one, other)
    assert is_equal(other, one)


@pytest.mark.parametrize(("one", "other"), UNITS["contradicting"])
def test_a_unit_that_contradicts_the_golds_is_wrong(one, other):
    assert is_wrong(one, other)
    assert is_wrong(other, one)
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("answer", UNITS["no_unit"])
def test_words_that_change_the_number_are_no_unit(answer):
    assert not is_equal("12", answer)


def test_a_letter_right_behind_a_number_is_a_unit_only_for_a_number():
    assert is_equal("5", "5m")
    assert is_wrong("5m", "5")
    assert is_equal("5m", "5 m")
    assert is_wrong("5", "5x")


# ---------------------------------------------------------------------------------------------- laws

WHOLE = st.integers(-(10**12), 10**12)
SMALL = st.integers(2, 999)


@given(WHOLE, st.sampled_from([",", "{,}", r"\,", " ", "\u2009", "\u202f", r"\ ", "~", r",\!", "'", "，"]))
@settings(deadline=None)
def test_thousands_separators_change_nothing(n, separator):
    assert is_equal(str(n), f"{n:,}".replace(",", separator))


@given(st.integers(10**3, 10**9), st.sampled_from([",", r"\,", " "]))
@settings(deadline=None)
def test_a_number_is_not_the_number_that_a_reader_makes_of_it_by_dropping(n, separator):
    text = f"{n:,}".replace(",", separator)
    for part in text.split(separator):
        assert not is_equal(part.lstrip("0") or "0", text)
    product = 1
    for part in text.split(separator):
        product *= int(part)
    assert product == n or not is_equal(str(product), text)


@given(st.integers(1, 99), SMALL, SMALL, st.sampled_from(["{n} {a}/{b}", r"{n}\frac{{{a}}}{{{b}}}", r"{n} \dfrac{{{a}}}{{{b}}}", r"{n}\,\tfrac{{{a}}}{{{b}}}"]), st.booleans())  # fmt: skip  # noqa: E501
@settings(deadline=None)
def test_mixed_numbers(n, a, b, form, minus):
    sign = "-" if minus else ""
    text = sign + form.format(n=n, a=a, b=b)
    value = Fraction(n * b + a, b)
    if a < b:
        assert is_equal(f"{sign}{value.numerator}/{value.denominator}", text)
        assert not is_equal(str(n), text)
    elif not ("/" in text and a > 99):  # 12 345/5 has a thousands separator
        assert compare("1", text)[0] is Status.UNREADABLE  # an improper fraction: a sum for some, a product for others


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from([r"\frac{{{a}}}{{{b}}}", r"\dfrac{{{a}}}{{{b}}}", "{a}/{b}", "{a} / {b}", r"{a} \div {b}", r"{a}\cdot{b}^{{-1}}"]))  # fmt: skip  # noqa: E501
@settings(deadline=None)
def test_forms_of_a_fraction_are_equal_and_share_a_canonical_form(a, b, form):
    text = form.format(a=a, b=b)
    assert is_equal(rf"\frac{{{2 * a}}}{{{2 * b}}}", text)
    assert canonical(text) == str(Fraction(a, b))
    assert is_wrong(rf"\frac{{{a}}}{{{b + 1}}}", text)


@given(st.integers(1, 10**40), st.integers(1, 10**40))
@settings(deadline=None)
def test_exact_numbers_are_equal_only_if_they_are(a, b):
    for form in ("{}", r"\frac{{1}}{{{}}}", r"\sqrt{{{}}}", "2-{}^{{-1}}", r"\pi+{}"):
        one, other = form.format(a), form.format(b)
        assert is_equal(one, other) is (a == b)
        assert (canonical(one) == canonical(other)) is (a == b)
        assert is_wrong(one, form.format(a + 1))


@given(st.integers(1, 10**9), st.integers(0, 9))
@settings(deadline=None)
def test_decimals_are_their_fractions(n, places):
    text = f"{n // 10**places}.{n % 10**places:0{places}d}" if places else f"{n}.0"
    value = Fraction(n, 10**places) if places else Fraction(n)
    assert is_equal(f"{value.numerator}/{value.denominator}", text)
    assert canonical(text) == str(value)


@given(st.integers(1, 10**6), st.integers(2, 10**6), st.integers(1, 12))
@settings(deadline=None)
def test_a_decimal_is_right_from_a_millionth_on(a, b, places):
    value = Fraction(a, b)
    cut = Fraction(int(value * 10**places), 10**places)
    text = f"{int(cut)}.{int(cut * 10**places) % 10**places:0{places}d}"
    close = abs(cut - value) <= value / 10**6 and abs(cut - value) < Fraction(1, 10**places)
    assert is_equal(rf"\frac{{{a}}}{{{b}}}", text) is close


@given(st.integers(0, 999), st.text("0123456789", max_size=3), st.text("0123456789", min_size=1, max_size=4))
@settings(deadline=None)
def test_repeating_decimals(whole, fixed, block):
    scale, nines = 10 ** len(fixed), 10 ** len(block) - 1
    value = whole + Fraction(int(fixed or "0"), scale) + Fraction(int(block), scale * nines)
    for text in (
        rf"{whole}.{fixed}\overline{{{block}}}",
        f"{whole}.{fixed}({block})",
        rf"{whole}.{fixed}\bar{{{block}}}",
    ):
        assert is_equal(f"{value.numerator}/{value.denominator}", text)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=4, unique=True), st.data())
@settings(deadline=None)
def test_sets_are_free_and_tuples_bound(items, data):
    other = data.draw(st.sampled_from(list(permutations(items))))
    bare, moved = ", ".join(map(str, items)), ", ".join(map(str, other))
    for one in (bare, rf"\{{{bare}\}}", bare.replace(", ", r" \text{ and } "), bare.replace(", ", "; ")):
        assert is_equal(one, moved)
        assert is_equal(moved, one)
        assert canonical(one) == canonical(moved)
        assert is_wrong(one, str(items[0]))
        assert is_wrong(one, f"{bare}, 77")
    assert is_equal(f"({bare})", f"({moved})") is (list(other) == items)
    assert (canonical(f"({bare})") == canonical(f"({moved})")) is (list(other) == items)


@given(st.integers(-50, 50), st.integers(1, 50), st.booleans(), st.booleans())
@settings(deadline=None)
def test_an_interval_is_its_inequality(low, width, low_closed, high_closed):
    high = low + width
    interval = f"{'[' if low_closed else '('}{low},{high}{']' if high_closed else ')'}"
    less, more = r"\le" if low_closed else "<", r"\leq" if high_closed else "<"
    for text in (
        f"{low} {less} x {more} {high}",
        rf"x \in {interval}",
        f"{high} {'>=' if high_closed else '>'} x {'>=' if low_closed else '>'} {low}",
        rf"x {'≥' if low_closed else '>'} {low} \text{{ and }} x {'≤' if high_closed else '<'} {high}",
    ):
        assert is_equal(interval, text)
        other = f"{'(' if low_closed else '['}{low},{high}{']' if high_closed else ')'}"
        assert is_wrong(other, text)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_a_gold_answer_letter_by_letter_is_right_whatever_it_says(text):
    assert is_equal(text, text)
    assert is_equal(f"  {text} ", text)


@given(st.text(alphabet="0123456789.,+-*/^_(){}[]\\fracsqtpi x=<>%$&|! ", max_size=24))
@settings(deadline=None, max_examples=300)
def test_no_text_raises(text):
    status, detail = compare("7", text)
    assert "raised" not in detail
    assert status in (Status.EQUAL, Status.DIFFERENT, Status.UNREADABLE, Status.ERROR)
    assert isinstance(canonical(text), str)


@given(st.integers(0, 999), st.integers(0, 999))
@settings(deadline=None)
def test_two_numbers_without_an_operator_are_no_value(a, b):
    if len(str(b)) != 3:
        for text in (f"{a} {b}", rf"{a}\,{b}", rf"{a}\quad {b}"):
            assert compare("1", text)[0] is Status.UNREADABLE
            assert is_equal(text, text)


# ---------------------------------------------------------------------------------------------- monsters

TOWER = "9^{9^{9^{9}}}"
MONSTERS = [TOWER, "(10^9)!", "10^9!", "7^{10^{10}}", r"\frac{1}{7^{10^{10}}}", "(x+1)^{10^{6}}", "(x+y+z+w)^{60}", r"\binom{10^9}{5\cdot10^8}", "e^{e^{e^{e^{e}}}}", "((" * 40 + "1", "x^{x^{x^{x}}}", "9" * 20_000, "1+" * 2_000 + "1", "2^" * 50 + "2"]  # fmt: skip  # noqa: E501


@pytest.mark.parametrize("text", MONSTERS, ids=lambda text: text[:20])
def test_monsters_are_refused_or_told_apart_without_being_computed(pool, text):
    # in a worker: the clock of the pool is what would end a computation, with a verdict of its own
    verdict = pool.verify(f"Answer: {text}", "3")
    assert verdict.outcome in (Outcome.INCORRECT, Outcome.VERIFIER_ERROR)
    assert "no verdict in" not in verdict.detail
    assert verdict.canonical is not None
    assert pool.verify(f"Answer: {text}", text).outcome is Outcome.CORRECT


def test_numbers_too_large_to_write_down_are_compared_by_their_structure():
    assert is_equal("2^{10^{10}}", r"2\cdot 2^{10^{10}-1}")
    assert is_wrong("2^{10^{10}}", "2^{10^{10}}+1")
    assert is_wrong("3", TOWER)
    assert compare("(10^9)!", "(10^9)!+1")[0] is Status.ERROR  # nobody knows, and nobody guesses
