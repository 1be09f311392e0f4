r"""Whether two answers say the same, and the string under which equal answers are counted.

The first answer is the gold one, and the other follows its form: an answer `x = 5` to the gold answer 5 is 5, a bare 5
to the gold answer `x = 5` too, but `y = 5` is another answer. A bare list is compared without order, a pair in order; a
bare list or braces for a pair are read in the order in which they are written. An inequality is the interval that
solves it.

A percentage equals its number ("50%" and 50, as where the percent sign is left out) and its value (1/2), but no other
unit's. A missing unit is no contradiction, another one is.
"""

from __future__ import annotations

from fractions import Fraction

from s2l_lab.verifiers.maths_answer import (
    EMPTY,
    Matrix,
    Numeral,
    Ratio,
    Reals,
    Relation,
    Scalar,
    Segment,
    Series,
    Value,
    Words,
    as_reals,
    compare,
    has_applied,
    rounds_to,
    substituted,
)
from s2l_lab.verifiers.maths_grammar import EULER, IMAGINARY, Call, Node, Num, Sym, is_applied, negative, unknowns
from s2l_lab.verifiers.maths_number import (
    RefusedError,
    canonical_value,
    exact,
    points,
    primitive_form,
    same_value,
    sealed,
)
from s2l_lab.verifiers.maths_units import NO_UNIT, agree

_OPERATIONS = frozenset({"+", "*", "^", "!", "root", "binom", "mod"})
"""Calls that are no functions by name."""
_HUNDREDTH = Num(Fraction(1, 100))


def equal(gold: tuple[Value, ...], answer: tuple[Value, ...]) -> bool:
    """Whether two answers agree in one of their readings. Raises RefusedError where none does and one is not known."""
    refused: RefusedError | None = None
    for wanted in gold:
        for given in answer:
            try:
                if same(wanted, given):
                    return True
            except RefusedError as error:
                refused = error
    if refused is not None:
        raise refused
    return False


def same(gold: Value, answer: Value) -> bool:  # noqa: PLR0911 - one return a kind
    """Whether two values agree."""
    if gold == answer:
        return True
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return _same_relation(gold, answer)
    if isinstance(gold, Scalar) and isinstance(answer, Scalar):
        return _same_scalar(gold, answer)
    if isinstance(gold, Series) and isinstance(answer, Series):
        for alone, several in ((gold, answer), (answer, gold)):
            if alone.kind == "{}" and len(alone.items) == 1 and several.kind not in ("{}", "list"):
                return same(alone.items[0], several)
        return _same_series(gold, answer)
    if isinstance(gold, Reals) or isinstance(answer, Reals):
        return _same_reals(as_reals(gold), as_reals(answer))
    if isinstance(gold, Matrix) and isinstance(answer, Matrix):
        return [len(row) for row in gold.rows] == [len(row) for row in answer.rows] and all(
            same(a, b) for rows in zip(gold.rows, answer.rows, strict=True) for a, b in zip(*rows, strict=True)
        )
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, Series) and one.kind in ("{}", "list") and len(one.items) == 1:
            return same(one.items[0], other)
        if isinstance(one, Ratio):
            return _same_ratio(one, other)
        if isinstance(one, Numeral) and isinstance(other, Scalar) and not other.unit:
            return one.digits.isdecimal() and other.node == Num(Fraction(int(one.digits)))
    return False


def _same_scalar(gold: Scalar, answer: Scalar) -> bool:
    a, b = gold.unit, answer.unit
    if not agree(a, b):
        return False
    left, right = gold.node, answer.node
    if same_value(left, right):
        return True
    if a.is_percent and not b:
        return same_value(Call("*", (left, _HUNDREDTH)), right)
    if b.is_percent and not a:
        return same_value(left, Call("*", (right, _HUNDREDTH)))
    return False


def _same_series(gold: Series, answer: Series) -> bool:
    if "{}" in (gold.kind, answer.kind) and {gold.kind, answer.kind} <= {"{}", "list"}:
        return _covers(gold, answer) and _covers(answer, gold, turned=True)
    if len(gold.items) != len(answer.items):
        return False
    free = {gold.kind, answer.kind} <= {"{}", "list"}
    if free and not (_names_parts(gold) ^ _names_parts(answer)):
        return _matched(gold.items, answer.items)
    if not free and gold.kind != answer.kind:
        ordered = gold.kind if gold.kind not in ("{}", "list") else answer.kind
        other = answer.kind if ordered == gold.kind else gold.kind
        if other not in ("{}", "list") or ordered != "()":
            return False
    return all(same(a, b) for a, b in zip(gold.items, answer.items, strict=True))


def _names_parts(series: Series) -> bool:
    """Whether it assigns values to different names, so that its order says which is which."""
    names = [item.left for item in series.items if isinstance(item, Relation) and item.operator == "="]
    return len(names) == len(series.items) > 1 and len(set(names)) == len(names)


def _covers(one: Series, other: Series, *, turned: bool = False) -> bool:
    """Whether every item of one is an item of the other."""
    return all(any(same(b, a) if turned else same(a, b) for b in other.items) for a in one.items)


def _matched(gold: tuple[Value, ...], answer: tuple[Value, ...]) -> bool:
    """Whether the items can be paired. Decimals make equality not quite transitive, so this is a matching."""
    if len(gold) > 60:
        left = list(answer)
        for item in gold:
            at = next((i for i, other in enumerate(left) if same(item, other)), None)
            if at is None:
                return False
            left.pop(at)
        return True
    edges = [[j for j, b in enumerate(answer) if same(a, b)] for a in gold]
    owner: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j in edges[i]:
            if j not in seen:
                seen.add(j)
                if j not in owner or place(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    return all(place(i, set()) for i in range(len(gold)))


def _same_reals(gold: Reals | None, answer: Reals | None) -> bool:
    if gold is None or answer is None or len(gold.parts) != len(answer.parts):
        return False
    if gold.unknown and answer.unknown and gold.unknown != answer.unknown:
        return False
    return all(
        (a.low_closed, a.high_closed) == (b.low_closed, b.high_closed)
        and same_value(a.low, b.low)
        and same_value(a.high, b.high)
        for a, b in zip(gold.parts, answer.parts, strict=True)
    )


def _same_ratio(ratio: Ratio, other: Value) -> bool:
    if isinstance(other, Ratio):
        if len(ratio.parts) != len(other.parts) or not agree(ratio.unit, other.unit):
            return False
        if ratio.is_time and other.is_time:
            return ratio.parts == other.parts
        first, second = ratio.parts[0], other.parts[0]
        return all(
            same_value(Call("*", (a, second)), Call("*", (b, first)))
            for a, b in zip(ratio.parts, other.parts, strict=True)
        )
    if isinstance(other, Scalar) and len(ratio.parts) == 2 and not other.unit and not ratio.unit:
        return same_value(_quotient(*ratio.parts), other.node)
    return False


def _quotient(a: Node, b: Node) -> Node:
    return Call("*", (a, Call("^", (b, Num(Fraction(-1))))))


# ---------------------------------------------------------------------------------------------- relations


def _same_relation(gold: Value, answer: Value) -> bool:  # noqa: PLR0911 - one return a kind
    if isinstance(gold, Relation) and isinstance(answer, Relation):
        if gold.operator != answer.operator:
            return False
        if gold.operator == "=":
            return _same_equation(gold, answer)
        sets = as_reals(gold), as_reals(answer)
        if sets[0] is not None and sets[1] is not None:
            return _same_reals(*sets)
        return _proportional(gold, answer, positive=gold.operator != "!=")
    if isinstance(answer, Relation):
        if answer.operator != "=":
            return _same_reals(as_reals(gold), as_reals(answer))
        return _asks_for(answer.left, answer.right) and same(gold, answer.right)
    assert isinstance(gold, Relation)
    if gold.operator != "=":
        return _same_reals(as_reals(gold), as_reals(answer))
    return _is_assigned(gold.left) and same(gold.right, answer)


def _asks_for(left: Value, right: Value) -> bool:  # noqa: PLR0911 - one return a kind
    """Whether `left = right` says that the answer is `right`.

    A left side without unknowns has to be the same. One in several unknowns (a + b + c, |AB|, x/y) is a quantity that
    was asked for, and so is a name or a function of one; any other one in a single unknown (x^2, 1/x) is an equation
    that is not solved."""
    if isinstance(left, Series):
        return all(_asks_for(item, item) for item in left.items)
    if not isinstance(left, Scalar):
        return True
    node = left.node
    if node in (IMAGINARY, EULER) or has_applied(node) or isinstance(right, Series):
        return True
    names = unknowns(node)
    if not names:
        if left.unit and isinstance(right, Scalar) and right.unit and left.unit != right.unit:
            return True  # a conversion is not checked
        return same(left, right) or (isinstance(right, Scalar) and rounds_to(node, right.node))
    if left.unit or len(names) > 1 or isinstance(node, Sym):
        return True  # with a unit it is a working: 2 apples + 3 apples
    assert isinstance(node, Call)
    return node.name not in _OPERATIONS or _is_value_of(node)


def _is_value_of(node: Call) -> bool:
    """Whether a product is a name before a number: P(5), and not 5P or x/2."""
    first, *others = node.args
    return (
        node.name == "*"
        and isinstance(first, Sym)
        and not any(unknowns(arg) or (isinstance(arg, Call) and arg.name == "^") for arg in others)
    )


def _is_assigned(left: Value) -> bool:
    """Whether a side names what the other side is: an unknown, a product of unknowns, f(x), a pair of unknowns."""
    if isinstance(left, Series):
        return all(map(_is_assigned, left.items))
    if not isinstance(left, Scalar) or left.unit:
        return isinstance(left, Words)
    node = left.node
    if isinstance(node, Call):
        applied = is_applied(node.name)
        products = node.name == "*" and all(isinstance(arg, Sym) for arg in node.args)
        return applied or products
    return isinstance(node, Sym)


def _same_equation(gold: Relation, answer: Relation) -> bool:
    for a, b in ((gold, answer), (gold, Relation("=", answer.right, answer.left))):
        renamed = _renamed(a, b)
        if same(renamed.left, b.left) and same(renamed.right, b.right):
            return True
    return _proportional(gold, answer, positive=False) or _solved_for(gold, answer) or _solved_for(answer, gold)


def _renamed(gold: Relation, answer: Relation) -> Relation:
    """The gold equation with the bound unknowns of the answer: f(x) = 2x is f(n) = 2n."""
    pairs = [_applied(side) for side in (gold.left, answer.left)]
    if pairs[0] is None or pairs[1] is None or pairs[0][0] != pairs[1][0] or len(pairs[0][1]) != len(pairs[1][1]):
        return gold
    values: dict[str, Node] = dict(zip(pairs[0][1], map(Sym, pairs[1][1]), strict=True))
    sides = [
        Scalar(substituted(side.node, values), side.unit) if isinstance(side, Scalar) else side
        for side in (gold.left, gold.right)
    ]
    return Relation("=", sides[0], sides[1])


def _applied(side: Value) -> tuple[str, list[str]] | None:
    """Name and bound unknowns of f(x) or P(x, y)."""
    if not isinstance(side, Scalar) or not isinstance(side.node, Call):
        return None
    node = side.node
    if is_applied(node.name) and all(isinstance(arg, Sym) for arg in node.args):
        return node.name, [arg.name for arg in node.args if isinstance(arg, Sym)]
    if node.name == "*" and len(node.args) == 2 and all(isinstance(arg, Sym) for arg in node.args):
        name, bound = (arg.name for arg in node.args if isinstance(arg, Sym))
        return (name, [bound]) if name != bound else None
    return None


def _difference(relation: Relation) -> Node | None:
    left, right = relation.left, relation.right
    if not (isinstance(left, Scalar) and isinstance(right, Scalar)):
        return None
    if isinstance(left.node, Sym) or left.unit == right.unit == NO_UNIT:
        return sealed(Call("+", (left.node, negative(right.node))))
    return None


def _proportional(gold: Relation, answer: Relation, *, positive: bool) -> bool:
    """Whether left minus right of one is a constant times that of the other."""
    a, b = _difference(gold), _difference(answer)
    if a is None or b is None or not unknowns(a) or unknowns(a) != unknowns(b):
        return False
    at: dict[str, Node] = {name: Num(value) for name, value in points(unknowns(a))[1].items()}
    first, second = substituted(a, at), substituted(b, at)
    signs = [compare(value, Num(Fraction(0))) for value in (first, second)]
    if None in signs or 0 in signs or (positive and signs[0] != signs[1]):
        return False
    return same_value(Call("*", (a, second)), Call("*", (b, first)))


def _solved_for(one: Relation, other: Relation) -> bool:  # noqa: PLR0911 - one return a kind
    """Whether one says `y = f` and the other is linear in y with that solution."""
    difference = _difference(other)
    if difference is None or not isinstance(one.left, Scalar) or not isinstance(one.right, Scalar):
        return False
    name = one.left.node
    if not isinstance(name, Sym) or name.name in unknowns(one.right.node) or name.name not in unknowns(difference):
        return False
    if unknowns(difference) != unknowns(one.right.node) | {name.name}:
        return False
    try:
        if not same_value(substituted(difference, {name.name: one.right.node}), Num(Fraction(0))):
            return False
        at = [substituted(difference, {name.name: Num(Fraction(x))}) for x in (0, 1, 2)]
        if same_value(at[0], at[1]):
            return False
        return same_value(Call("+", (at[0], at[2])), Call("*", (Num(Fraction(2)), at[1])))
    except RefusedError:
        return False


# ---------------------------------------------------------------------------------------------- canonical


def canonical_form(value: Value, *, without: Value | None = None) -> str:  # noqa: PLR0911 - one return a kind
    """The string that equal values share and different ones do not; unit and name of `without` left out.

    Raises RefusedError where a value has none."""
    if isinstance(value, Words):
        return value.text
    if isinstance(value, Scalar):
        return _canonical_scalar(value, without)
    if isinstance(value, Numeral):
        return f"{value.digits}_{value.base}"
    if isinstance(value, Ratio):
        return _canonical_ratio(value)
    if isinstance(value, Matrix):
        return "[" + ", ".join("[" + ", ".join(map(canonical_form, row)) + "]" for row in value.rows) + "]"
    if isinstance(value, Relation):
        return _canonical_relation(value, without)
    if isinstance(value, Reals):
        return _canonical_reals(value, without)
    if value == EMPTY:
        return "{}"
    items = [canonical_form(item) for item in value.items]
    if value.kind == "{}" and len(items) == 1:
        return items[0]
    if value.kind in ("{}", "list"):
        return "{" + ", ".join(sorted(set(items)) if value.kind == "{}" else sorted(items)) + "}"
    if value.kind == "compound":
        return " ".join(items)
    return value.kind[0] + ", ".join(items) + value.kind[1]


def _canonical_scalar(value: Scalar, without: Value | None) -> str:
    node, unit = value.node, value.unit
    if unit.is_percent:
        return canonical_value(Call("*", (node, _HUNDREDTH)))
    if not unit or (isinstance(without, Scalar) and without.unit and agree(unit, without.unit)):
        return canonical_value(node)
    return f"{canonical_value(node)} {unit}"


def _canonical_ratio(value: Ratio) -> str:
    unit = f" {value.unit}" if value.unit else ""
    if value.is_time:
        parts = [exact(part).numerator for part in value.parts]
        return ":".join(f"{part:02d}" if i else str(part) for i, part in enumerate(parts)) + unit
    if len(value.parts) == 2:
        return canonical_value(_quotient(*value.parts)) + unit
    return ":".join(canonical_value(_quotient(part, value.parts[0])) for part in value.parts) + unit


def _canonical_reals(value: Reals, without: Value | None) -> str:
    parts = " U ".join(map(_canonical_part, value.parts)) if value.parts else "{}"
    beside = as_reals(without) if without is not None else None
    if value.unknown is None or (beside is not None and beside.unknown in (None, value.unknown)):
        return parts
    return f"{value.unknown} in {parts}"


def _canonical_part(part: Segment) -> str:
    low, high = canonical_value(part.low), canonical_value(part.high)
    if low == high:
        return "{" + low + "}"
    return f"{'[' if part.low_closed else '('}{low}, {high}{']' if part.high_closed else ')'}"


def _canonical_relation(value: Relation, without: Value | None) -> str:
    if value.operator != "=":
        solved = as_reals(value)
        if solved is not None:
            return _canonical_reals(solved, without)
    elif _is_assigned(value.right) and not _is_assigned(value.left):
        return _canonical_relation(Relation("=", value.right, value.left), without)
    elif _is_assigned(value.left):
        right = canonical_form(value.right)
        if isinstance(without, Relation) and without.operator == "=" and without.left == value.left:
            return right
        if not (isinstance(value.right, Scalar) and unknowns(value.right.node)) or _applied(value.left):
            return f"{canonical_form(value.left)} = {right}"
    difference = _difference(value)
    if difference is None:
        return f"{canonical_form(value.left)} {value.operator} {canonical_form(value.right)}"
    return f"{_normalised(difference, keep_sign=value.operator not in ('=', '!='))} {value.operator} 0"


def _normalised(difference: Node, *, keep_sign: bool) -> str:
    """The canonical form of a difference up to a constant factor, a positive one where the sign has to be kept."""
    polynomial = primitive_form(difference, keep_sign=keep_sign)
    if polynomial is not None:
        return polynomial
    at: dict[str, Node] = {name: Num(value) for name, value in points(unknowns(difference))[1].items()}
    scale = substituted(difference, at)
    sign = compare(scale, Num(Fraction(0)))
    if not sign:
        return canonical_value(difference)
    return canonical_value(_quotient(difference, negative(scale) if keep_sign and sign < 0 else scale))
