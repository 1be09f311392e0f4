r"""What an answer says: a value with a unit, several values, a set of reals, a relation, a matrix, a time, or words.

`read` gives the ways in which a text can be understood, most likely first, and none where it is no answer that
anything here knows. A text can have two: `12 m` is twelve metres or 12 times m. Parts of an answer are read by the same
rules, so units, mixed numbers and intervals may stand inside lists and pairs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cmp_to_key
from typing import TYPE_CHECKING, TypeAlias

from s2l_lab.verifiers.maths_grammar import (
    INFINITY,
    Call,
    Node,
    Num,
    Sym,
    UnreadableError,
    is_applied,
    is_too_long,
    negative,
    parse,
    unknowns,
)
from s2l_lab.verifiers.maths_number import (
    Calculator,
    NotRationalError,
    NotRealError,
    RefusedError,
    exact,
    has_infinity,
    last_digit,
    same_value,
    signed_infinity,
)
from s2l_lab.verifiers.maths_spelling import DOTS, WORDS_BEGIN, WORDS_END, spelled
from s2l_lab.verifiers.maths_units import NO_UNIT, Unit, based, quantities
from s2l_lab.verifiers.maths_vocabulary import MULTIPLES, NUMBER_WORDS, PARTS, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number or an expression, with its unit."""

    node: Node
    unit: Unit = NO_UNIT


@dataclass(frozen=True, slots=True)
class Words:
    """Plain words, in small letters, one blank between two."""

    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """Several values."""

    kind: str
    """`list` (bare, order free), `{}` (order and repeats free), or the two brackets of an ordered one: `()`, `[]`,
    `(]`, `[)`; `compound` for 5 feet 6 inches."""
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """An interval of real numbers, or a point."""

    low: Node
    low_closed: bool
    high: Node
    high_closed: bool


@dataclass(frozen=True, slots=True)
class Reals:
    """A union of parts, ordered and disjoint; of one unknown where a relation said so."""

    parts: tuple[Segment, ...]
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """Two sides and what stands between them: `=`, `<`, `<=` or `!=`. Chains of equations keep first and last side."""

    operator: str
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Numbers with colons between them; a time of day where they look like one."""

    parts: tuple[Node, ...]
    is_time: bool
    unit: Unit = NO_UNIT


@dataclass(frozen=True, slots=True)
class Numeral:
    """Digits in a base other than ten, as written."""

    digits: str
    base: int


Value: TypeAlias = "Scalar | Words | Series | Reals | Relation | Matrix | Ratio | Numeral"

ALL_REALS = Reals((Segment(negative(INFINITY), False, INFINITY, False),))
EMPTY = Series("{}", ())
_SETS: dict[str, Value] = {r"\mathbb{R}": ALL_REALS, r"\mathbf{R}": ALL_REALS, r"\emptyset": EMPTY}
_EVERYTHING = frozenset(
    {"all real numbers", "all reals", "all real number", "the set of all real numbers", "real numbers"}
)
_NAMED: dict[str, Value] = {
    **dict.fromkeys(_EVERYTHING, ALL_REALS),
    **dict.fromkeys(("infinity", "positive infinity"), Scalar(INFINITY)),
    "negative infinity": Scalar(negative(INFINITY)),
    **dict.fromkeys(
        ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set"), EMPTY
    ),
}
"""Values that have names of their own."""
_SHORT_WORDS = frozenset(
    [
        "yes",
        "no",
        "odd",
        "dne",
        "all",
        "any",
        "none",
        "true",
    ]
)
_LETTERS_ONLY = re.compile(r"(?:[^\W\d_]|[\s'’-])+")
_AROUND_WORDS = " \t()[]{}.,;:!?\"'*" + WORDS_BEGIN + WORDS_END
_RELATION = re.compile(r"<=|>=|==|\\le(?![a-zA-Z])|\\ge(?![a-zA-Z])|\\ne(?![a-zA-Z])|\\approx(?![a-zA-Z])|!=|[<>=]")
_OPERATORS = {"<=": "<=", "\\le": "<=", ">=": ">=", "\\ge": ">=", "\\ne": "!=", "!=": "!=", "==": "=", "\\approx": "="}
_SEPARATORS = re.compile(r",|;|\\and(?![a-zA-Z])|\\or(?![a-zA-Z])")
_SET_OPERATORS = re.compile(r"\\cup(?![a-zA-Z])|\\cap(?![a-zA-Z])|\\setminus(?![a-zA-Z])")
_IN = re.compile(r"\\in(?![a-zA-Z])")
_MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}", re.DOTALL)
_COLUMNS = re.compile(r"^\s*\((.*)\)\s*\^\s*(?:\{\s*\\?(?:T|top|intercal|mathsf)\s*\}|T)\s*$", re.DOTALL)
_CLOCK = re.compile(r"\d{1,2}(?::[0-5]\d){1,2}")
_COMPOUND = re.compile(
    rf"(\d+(?:\.\d+)?)\s*({WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END}|[^\W\d_]+|\\?\$)\s*(?:,\s*|\\and\s*)?"
)
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, frozenset(")]}")
_COMPOUND_LONGEST = 200
_DEEPEST = 12
_ONE = Fraction(1)
_LONGEST = 25_000
"""Characters of an answer that is looked at; no benchmark has a longer one."""


def read(answer: str) -> tuple[Value, ...]:
    """The ways to understand an answer; none where there is no way."""
    if len(answer) > _LONGEST:
        return ()
    text = spelled(answer)
    if DOTS in text or not text:
        return ()
    try:
        return tuple(_read(text, 0))
    except (UnreadableError, RecursionError):
        return ()


def loose(answer: str) -> str:
    """The spelling of an answer without blanks, case and marks, in which unreadable answers are compared."""
    if len(answer) > _LONGEST:
        return answer.strip()
    text = spelled(answer).replace(WORDS_BEGIN, "").replace(WORDS_END, "")
    text = re.sub(r"\{\s*(\w)\s*\}", r"\1", text)  # a group of one character is that character
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text).casefold().strip(".,;:")


def _read(text: str, depth: int) -> list[Value]:
    """Readings of a spelled text. Raises UnreadableError where there is none."""
    text = text.strip().removesuffix(",").removeprefix("\\approx ").strip()
    if depth > _DEEPEST or not text or is_too_long(text):
        raise UnreadableError("too deep, too long or empty")
    words = _words(text)
    if words is not None and len(words.text) == 1 and not re.search(r"[!'\"]", text):
        text = text.replace(WORDS_BEGIN, "").replace(WORDS_END, "").strip(_AROUND_WORDS)
    settled = _settled(words, depth) if words is not None else None
    if settled is not None:
        return settled
    readers: tuple[Callable[[str, int], Value | None], ...] = (
        _compound, _several, _set_operation, _member, _relation, _bracketed, _matrix, _plus_minus, _ratio,
    )  # fmt: skip
    for reader in readers:
        found = reader(text, depth)
        if found is not None:
            return [found]
    numeral = based(text)
    if numeral is not None:
        return [Numeral(*numeral)]
    readings: list[Value] = []
    guessed = False
    for quantity in quantities(text):
        try:
            inner = _read(quantity.number, depth + 1)[0]
        except UnreadableError:
            continue
        value = _with_unit(inner, quantity.unit, quantity.factor)
        if value is not None:
            readings.append(value)
            guessed = quantity.unit.guessed
            break
    try:
        expression = Scalar(parse(text if not readings else text.replace("°", "\\degree")))  # a unit once is enough
        readings.insert(0 if guessed else len(readings), expression)
    except UnreadableError:
        pass
    if words is not None and (len(words.text) == 1 or not (len(words.text) == 2 or text.isupper())):
        readings.append(words)  # AB is no word that ab is too
    if not readings:
        raise UnreadableError(text)
    return readings


def _with_unit(inner: Value, unit: Unit, factor: Fraction = _ONE) -> Value | None:
    if isinstance(inner, Scalar) and not inner.unit:
        node = inner.node
        if factor != 1:
            node = Call("*", (node, Num(factor)))
        return Scalar(node, unit)
    if isinstance(inner, Ratio) and factor == 1:
        return Ratio(inner.parts, inner.is_time, unit)
    if isinstance(inner, Series) and inner.kind == "list" and factor == 1:
        return Series("list", tuple(_with_unit(item, unit) or item for item in inner.items))
    if isinstance(inner, Relation) and isinstance(inner.right, Scalar) and factor == 1:
        return Relation(inner.operator, inner.left, Scalar(inner.right.node, unit))
    return None


def _settled(words: Words, depth: int) -> list[Value] | None:
    """The readings of words that are no product of letters: names of numbers and sets, and longer words."""
    text = words.text
    if text in _NAMED:
        return [_NAMED[text]]
    if text in NUMBER_WORDS:
        return [Scalar(Num(Fraction(NUMBER_WORDS[text])))]
    first, _, rest = text.replace("-", " ").partition(" ")
    if first in NUMBER_WORDS and rest in ("quarter", "quarters"):
        return [Scalar(Num(Fraction(NUMBER_WORDS[first], 4)))]  # no coins, as they are behind digits
    if first in NUMBER_WORDS and rest and all(word in UNITS | MULTIPLES | PARTS for word in rest.split()):
        return _read(f"{NUMBER_WORDS[first]} {rest}", depth + 1)  # twelve dollars, two million
    return [words] if len(text) > 3 or text in _SHORT_WORDS or not text.isascii() else None


def _words(text: str) -> Words | None:
    """The text as words, where it is nothing but letters."""
    bare = text.replace(WORDS_BEGIN, " ").replace(WORDS_END, " ").strip(_AROUND_WORDS)
    if not bare or not _LETTERS_ONLY.fullmatch(bare):
        return None
    return Words(" ".join(bare.casefold().split()))


# ---------------------------------------------------------------------------------------------- several values


def _split(text: str, pattern: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The parts between what the pattern finds outside all brackets, and what it found."""
    parts, found = [], []
    depth, begin, at = 0, 0, 0
    while at < len(text):
        c = text[at]
        if c == "\\" and at + 1 < len(text) and text[at + 1] in "{}":
            depth += 1 if text[at + 1] == "{" else -1
            at += 2
            continue
        if c in _OPENING:
            depth += 1
        elif c in _CLOSING:
            depth -= 1
        elif c == WORDS_BEGIN:
            at = max(at, text.find(WORDS_END, at))
        elif depth == 0 and (match := pattern.match(text, at)):
            parts.append(text[begin:at])
            found.append(match.group())
            begin = at = match.end()
            continue
        at += 1
    return [*parts, text[begin:]], found


def _several(text: str, depth: int) -> Value | None:
    parts, between = _split(text, _SEPARATORS)
    if not between:
        return None
    values: list[Value] = []
    for part in parts:
        values += flattened(_read(part, depth + 1)[0])
    sets = [as_reals(value) for value in values]
    if all(
        isinstance(value, Reals) or (isinstance(value, Relation) and value.operator != "=") for value in values
    ) and all(sets):
        found = [part for part in sets if part is not None]
        if len({part.unknown for part in found}) == 1:
            either = "\\or" in between
            meet = intersection(found)
            whole = union(found) if either or not meet.parts else meet
            return Reals(whole.parts, found[0].unknown)
    return Series("list", tuple(values))


def flattened(value: Value) -> tuple[Value, ...]:
    """The items of a bare list, or the value alone."""
    return value.items if isinstance(value, Series) and value.kind == "list" else (value,)


def _compound(text: str, depth: int) -> Value | None:
    """5 feet 6 inches."""
    found = list(_COMPOUND.finditer(text)) if len(text) < _COMPOUND_LONGEST else []
    if len(found) < 2 or "".join(match.group() for match in found) != text:
        return None
    items: list[Value] = []
    for match in found:
        taken = quantities(f"{match[1]} {match[2]}")
        if not taken or not taken[0].unit.measured:
            return None
        items.append(Scalar(parse(taken[0].number), taken[0].unit))
    return Series("compound", tuple(items))


def _bracketed(text: str, depth: int) -> Value | None:  # noqa: PLR0911 - one return a kind
    """Pairs, tuples, intervals and sets: one bracket around the whole, commas inside."""
    for opening, closing, left, right in (
        ("\\{", "\\}", "{", "}"),
        ("{", "}", "{", "}"),
        ("(", ")", "(", ")"),
        ("[", "]", "[", "]"),
        ("(", "]", "(", "]"),
        ("[", ")", "[", ")"),
        ("]", "[", "(", ")"),
        ("]", "]", "(", "]"),
        ("[", "[", "[", ")"),
    ):
        if not (text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing)):
            continue
        inner = text[len(opening) : len(text) - len(closing)]
        if not _balanced(inner):
            continue
        if left == "{" and not inner.strip():
            return EMPTY
        builder = (
            re.match(r"\s*([a-zA-Z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?[|:](.*)$", inner, re.DOTALL)
            if left == "{"
            else None
        )
        if builder:
            condition = _read(builder[2], depth + 1)[0]
            found = as_reals(condition)
            return Reals(found.parts, None) if found is not None else None
        parts, between = _split(inner, re.compile(r"[,;]"))
        if not between:
            if opening == "\\{":
                return Series("{}", flattened(_read(inner, depth + 1)[0]))
            if opening == "{" or (left, right) not in (("(", ")"), ("[", "]")):
                return _read(inner, depth + 1)[0] if opening == "{" else None
            values = _read(inner, depth + 1)
            return values[0] if not isinstance(values[0], Scalar) or values[0].unit else None
        items: list[Value] = []
        for part in parts:
            value = _read(part, depth + 1)[0]
            items += flattened(value) if left == "{" else (value,)
        kind = "()" if len(items) > 2 and left == "[" and right == "]" else left + right  # no interval has three ends
        return Series(kind, tuple(items))
    return None


def _balanced(text: str) -> bool:
    depth = 0
    for match in re.finditer(r"\\[{}]|[()\[\]{}]", text):
        depth += 1 if match.group()[-1] in _OPENING else -1
        if depth < 0:
            return False
    return depth == 0


def _plus_minus(text: str, depth: int) -> Value | None:
    if "\\pm" not in text and "\\mp" not in text:
        return None
    items: list[Value] = []
    for plus, minus in (("+", "-"), ("-", "+")):
        one = re.sub(r"\\pm(?![a-zA-Z])", plus, re.sub(r"\\mp(?![a-zA-Z])", minus, text))
        items.append(_read(one, depth + 1)[0])
    return Series("list", tuple(items))


def _matrix(text: str, depth: int) -> Value | None:
    match = _MATRIX.fullmatch(text)
    if not match:
        return None
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", match[2]) if row.strip() and row.strip() != "\\hline"]
    return Matrix(tuple(tuple(_read(cell, depth + 1)[0] for cell in row.split("&")) for row in rows))


def _ratio(text: str, depth: int) -> Value | None:
    parts, between = _split(text, re.compile(":"))
    if not between:
        return None
    if _CLOCK.fullmatch(text):
        return Ratio(tuple(Num(Fraction(int(part))) for part in parts), is_time=True)
    if re.fullmatch(r".*\d\s*:\s*\d+\s*(?:[^\d\s].*)", text) and quantities(text):
        return None  # a time and its unit
    return Ratio(tuple(map(parse, parts)), is_time=False)


# ---------------------------------------------------------------------------------------------- relations and sets


def _member(text: str, depth: int) -> Value | None:
    """`x \\in S` says S."""
    parts, between = _split(text, _IN)
    if len(between) != 1:
        return None
    return _read(parts[1], depth + 1)[0]


def _relation(text: str, depth: int) -> Value | None:  # noqa: PLR0911 - one return a kind
    sides, between = _split(text, _RELATION)
    if not between:
        return None
    operators = [_OPERATORS.get(found, found) for found in between]
    if set(operators) == {"="}:
        left, right = _side(sides[0], depth), _side(sides[-1], depth)
        for middle in [_side(side, depth) for side in sides[1:-1]]:
            if _contradicts(middle, right):
                left = middle
        if isinstance(left, Scalar) and isinstance(right, Scalar) and _is_true(left.node, right.node):
            return right
        if isinstance(right, Series) and right.kind == "list":
            return Series("list", tuple(Relation("=", left, item) for item in right.items))
        return Relation("=", left, right)
    values = [_side(side, depth) for side in sides]
    turned = {">": "<", ">=": "<="}
    found = [
        Relation(turned[operator], b, a) if operator in turned else Relation(operator, a, b)
        for a, operator, b in zip(values, operators, values[1:], strict=False)
    ]
    if len(found) == 1:
        return found[0]
    sets = [as_reals(one) for one in found]
    if all(sets):
        meet = intersection([one for one in sets if one is not None])
        return Reals(meet.parts, sets[0].unknown if sets[0] else None)
    return Series("()", tuple(found))


def _contradicts(side: Value, right: Value) -> bool:
    """Whether two sides are different numbers, neither a rounded form of the other nor in another unit."""
    if not (isinstance(side, Scalar) and isinstance(right, Scalar)) or bool(side.unit or right.unit):
        return False
    if unknowns(side.node) or unknowns(right.node) or has_applied(side.node):
        return False
    return not (same_value(side.node, right.node) or rounds_to(side.node, right.node))


def has_applied(node: Node) -> bool:
    """Whether a function without a definition is in it: f(3) is not known."""
    return isinstance(node, Call) and (is_applied(node.name) or any(map(has_applied, node.args)))


def rounds_to(value: Node, decimal: Node) -> bool:
    """Whether a decimal is the value to its last digit: 0.667 for 2/3."""
    digit = last_digit(decimal)
    if digit is None:
        return False
    low, high = (compare(value, Call("+", (decimal, Num(d)))) for d in (-digit, digit))
    return low is not None and high is not None and low >= 0 >= high


def _is_true(left: Node, right: Node) -> bool:
    return not unknowns(left) | unknowns(right) and same_value(left, right)


def _side(text: str, depth: int) -> Value:
    r"""One side of a relation; `f(x)`, `\angle ABC` and the like may stand on the left."""
    try:
        values = _read(text, depth + 1)
    except UnreadableError:
        name = re.sub(r"\s+", "", text)
        if re.fullmatch(r"\\?(?:angle|triangle|operatorname)?[A-Za-z0-9_{}\\()' ]*[A-Za-z][A-Za-z0-9_{}\\()']*", name):
            return Scalar(Sym(name))
        raise
    scalars = [value for value in values if isinstance(value, Scalar) and not value.unit]
    return scalars[0] if scalars and not isinstance(values[0], Scalar) else values[0]


def as_reals(value: Value) -> Reals | None:  # noqa: PLR0911 - one return a kind
    """The set of reals that a value describes, where it describes one."""
    if isinstance(value, Reals):
        return value
    if value == EMPTY:
        return Reals(())
    if isinstance(value, Series) and len(value.items) == 2 and value.kind in ("()", "[]", "(]", "[)"):
        low, high = value.items
        if isinstance(low, Scalar) and isinstance(high, Scalar):
            part = Segment(low.node, value.kind[0] == "[", high.node, value.kind[1] == "]")
            return Reals((part,)) if _rises(part) else None
        return None
    if isinstance(value, Series) and value.kind == "{}" and all(isinstance(item, Scalar) for item in value.items):
        try:
            return union([Reals((Segment(i.node, True, i.node, True),)) for i in value.items if isinstance(i, Scalar)])
        except UnreadableError:
            return None
    if isinstance(value, Relation) and value.operator != "=":
        return _solved(value)
    return None


def _rises(part: Segment) -> bool:
    order = compare(part.low, part.high)
    return order is not None and (order < 0 or (order == 0 and part.low_closed and part.high_closed))


def compare(a: Node, b: Node) -> int | None:
    """The sign of a - b for real numbers and infinities; None where it cannot be known."""
    left, right = signed_infinity(a), signed_infinity(b)
    if left or right:
        return (left or 0) - (right or 0)
    if has_infinity(a) or has_infinity(b) or unknowns(a) or unknowns(b):
        return None
    try:
        first, second = exact(a), exact(b)
        return (first > second) - (first < second)
    except (NotRationalError, RefusedError):
        pass
    try:
        if same_value(a, b):
            return 0
        calculator = Calculator(60, {}, real=True)
        difference = calculator(a).middle - calculator(b).middle
    except (RefusedError, NotRealError):
        return None
    return int(difference > 0) - int(difference < 0)


def _solved(relation: Relation) -> Reals | None:  # noqa: PLR0911 - one return a kind
    """The solutions of an inequality that is linear in its only unknown."""
    if not (isinstance(relation.left, Scalar) and isinstance(relation.right, Scalar)):
        return None
    left, right = relation.left.node, relation.right.node
    names = unknowns(left) | unknowns(right)
    if len(names) != 1 or any(has_infinity(side) and unknowns(side) for side in (left, right)):
        return None
    (name,) = names
    if has_infinity(left) or has_infinity(right):
        if isinstance(left, Sym) or isinstance(right, Sym):
            boundary, rises = (right, True) if left == Sym(name) else (left, False)
            return _half(relation.operator, boundary, rises=rises, name=name)
        return None
    if left == Sym(name) and name not in unknowns(right):
        return _half(relation.operator, right, rises=True, name=name)
    if right == Sym(name) and name not in unknowns(left):
        return _half(relation.operator, left, rises=False, name=name)
    if isinstance(left, Call) and left.name == "abs" and name not in unknowns(right):
        both = [_solved(Relation(relation.operator, Scalar(inside), relation.right)) for inside in _signs(left)]
        return _met(both, name)
    if isinstance(right, Call) and right.name == "abs" and name not in unknowns(left):
        either = [_solved(Relation(relation.operator, relation.left, Scalar(inside))) for inside in _signs(right)]
        return _met(either, name) if relation.operator == "!=" else _joined(either, name)
    difference = Call("+", (left, negative(right)))
    places = [Fraction(x, y) for x, y in ((0, 1), (1, 1), (7, 1), (-3, 1), (5, 2), (-1001, 7))]
    try:
        at = [exact(substituted(difference, {name: Num(x)})) for x in places]
    except (NotRationalError, RefusedError):
        return None
    slope = at[1] - at[0]
    if slope == 0 or any(value != at[0] + slope * x for x, value in zip(places, at, strict=True)):
        return None
    return _half(relation.operator, Num(-at[0] / slope), rises=slope > 0, name=name)


def _signs(absolute: Call) -> tuple[Node, Node]:
    return absolute.args[0], negative(absolute.args[0])


def _met(sets: list[Reals | None], name: str) -> Reals | None:
    known = [one for one in sets if one is not None]
    return Reals(intersection(known).parts, name) if len(known) == len(sets) else None


def _joined(sets: list[Reals | None], name: str) -> Reals | None:
    known = [one for one in sets if one is not None]
    return Reals(union(known).parts, name) if len(known) == len(sets) else None


def _half(operator: str, boundary: Node, *, rises: bool, name: str) -> Reals:
    """What is below (rises) or above a boundary, or all but it."""
    low = negative(INFINITY)
    if operator == "!=":
        return Reals((Segment(low, False, boundary, False), Segment(boundary, False, INFINITY, False)), name)
    closed = operator == "<="
    if rises:
        return Reals((Segment(low, False, boundary, closed),), name)
    return Reals((Segment(boundary, closed, INFINITY, False),), name)


def substituted(node: Node, values: dict[str, Node]) -> Node:
    """The tree with unknowns replaced."""
    if isinstance(node, Sym):
        return values.get(node.name, node)
    if isinstance(node, Call):
        return Call(node.name, tuple(substituted(arg, values) for arg in node.args))
    return node


def union(sets: list[Reals]) -> Reals:
    """All parts, those that touch or overlap as one. Raises UnreadableError where their order is not known."""
    parts = _ordered([part for one in sets for part in one.parts])
    found: list[Segment] = []
    for part in parts:
        if found:
            last = found[-1]
            gap = _order(part.low, last.high)
            if gap < 0 or (gap == 0 and (part.low_closed or last.high_closed)):
                end = _order(part.high, last.high)
                high, closed = (part.high, part.high_closed) if end > 0 else (last.high, last.high_closed)
                found[-1] = Segment(
                    last.low, last.low_closed, high, closed or (end == 0 and (part.high_closed or last.high_closed))
                )
                continue
        found.append(part)
    return Reals(tuple(found))


def intersection(sets: list[Reals]) -> Reals:
    """What all have in common."""
    common = sets[0]
    for other in sets[1:]:
        parts = []
        for a in common.parts:
            for b in other.parts:
                low, low_closed = _tighter((a.low, a.low_closed), (b.low, b.low_closed), 1)
                high, high_closed = _tighter((a.high, a.high_closed), (b.high, b.high_closed), -1)
                part = Segment(low, low_closed, high, high_closed)
                if _rises(part):
                    parts.append(part)
        common = Reals(tuple(parts))
    return common


def _tighter(a: tuple[Node, bool], b: tuple[Node, bool], sign: int) -> tuple[Node, bool]:
    order = _order(a[0], b[0]) * sign
    if order == 0:
        return a[0], a[1] and b[1]
    return a if order > 0 else b


def complement(inner: Reals) -> Reals:
    """All other real numbers."""
    low, closed = negative(INFINITY), False
    parts = []
    for part in inner.parts:
        piece = Segment(low, closed, part.low, not part.low_closed and compare(part.low, negative(INFINITY)) != 0)
        if _rises(piece):
            parts.append(piece)
        low, closed = part.high, not part.high_closed
    piece = Segment(low, closed, INFINITY, False)
    if _rises(piece):
        parts.append(piece)
    return Reals(tuple(parts))


def _order(a: Node, b: Node) -> int:
    order = compare(a, b)
    if order is None:
        raise UnreadableError("the ends of a set cannot be ordered")
    return order


def _ordered(parts: list[Segment]) -> list[Segment]:
    def by_low_end(a: Segment, b: Segment) -> int:
        return _order(a.low, b.low) or (not a.low_closed) - (not b.low_closed)

    return sorted(parts, key=cmp_to_key(by_low_end))


def _set_operation(text: str, depth: int) -> Value | None:
    named = _SETS.get(text)
    if named is not None:
        return named
    parts, between = _split(text, _SET_OPERATORS)
    if not between:
        return None
    values = [_read(part, depth + 1)[0] for part in parts]
    if set(between) == {"\\cup"} and all(isinstance(v, Series) and v.kind == "{}" for v in values):
        return Series("{}", tuple(item for v in values if isinstance(v, Series) for item in v.items))
    sets = [as_reals(value) for value in values]
    found = [one for one in sets if one is not None]
    if len(found) < len(sets):
        raise UnreadableError("no sets of real numbers")
    result = found[0]
    for operator, right in zip(between, found[1:], strict=True):
        if operator == "\\cup":
            result = union([result, right])
        elif operator == "\\cap":
            result = intersection([result, right])
        else:
            result = intersection([result, complement(right)])
    return Reals(result.parts)
