"""Every way to reach a Countdown target: the ground truth of what a *strategy* is.

Two expressions are one solution class if commutativity and associativity of + and * turn one into the other, where
a - b is read as a + (-b), a / b as a * (1/b), and a sign moves freely through a product. So `8*7-(12-8)`, `8+7*8-12`
and `(8-12)+8*7` are one class; `7*1+5` and `7/1+5` are two: identities such as x*1 = x/1 are not used.
A class is written as its *canonical form*, a sum of products whose parts are sorted, which is itself an expression.

Intermediate results may be fractions, zero or negative, so that no valid answer of a policy falls outside the list.
Because signs move freely, each class has an evaluation without negative results, which is all that the search visits.
*Whole* classes can be evaluated with positive whole numbers throughout, the rule of the television game.

What would surprise: the sign of a product that is zero is dropped (`9+0*x` and `9-0*x` are one class), and equal given
numbers are interchangeable. With distinct, generic numbers the classes are exactly the read-once rational functions
(OEIS A140606: 1, 6, 68, 1170 for one to four numbers).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Product:
    """sign * product of numerators / product of denominators. Sums among the factors are at least 0."""

    sign: int
    numerators: tuple[int | Sum, ...]
    denominators: tuple[int | Sum, ...]
    value: Fraction
    """Value of the product, with its sign."""
    text: str
    """Text of the product, without its sign."""

    def negated(self) -> Product:
        sign = -self.sign if self.value else 1
        return Product(sign, self.numerators, self.denominators, -self.value, self.text)


@dataclass(frozen=True, slots=True)
class Sum:
    """A canonical form: the sum of its terms, sorted, positive ones first."""

    terms: tuple[Product, ...]
    value: Fraction
    text: str

    @property
    def whole(self) -> bool:
        """True if some order of evaluation meets positive whole numbers only.

        It does exactly if each product, and each sum inside one, is a whole number other than 0: then add before
        subtracting and multiply before dividing.
        """
        factors = [f for term in self.terms for f in (*term.numerators, *term.denominators)]
        inner = [f for f in factors if isinstance(f, Sum)]
        values = [self.value, *(term.value for term in self.terms)]
        return all(v and v.denominator == 1 for v in values) and all(f.whole for f in inner)


def number(n: int) -> Sum:
    """The canonical form of a given number."""
    value = Fraction(n)
    return Sum((Product(1, (n,), (), value, str(n)),), value, str(n))


def negate(a: Sum) -> Sum:
    """The canonical form of -a."""
    return _sum([term.negated() for term in a.terms])


def add(a: Sum, b: Sum) -> Sum:
    """The canonical form of a + b."""
    return _sum([*a.terms, *b.terms])


def multiply(a: Sum, b: Sum) -> Sum:
    """The canonical form of a * b."""
    x, y = _as_product(a), _as_product(b)
    return _product(x.sign * y.sign, x.numerators + y.numerators, x.denominators + y.denominators, x.value * y.value)


def divide(a: Sum, b: Sum) -> Sum:
    """The canonical form of a / b. Raises ZeroDivisionError where b is 0."""
    x, y = _as_product(a), _as_product(b)
    return _product(x.sign * y.sign, x.numerators + y.denominators, x.denominators + y.numerators, x.value / y.value)


def _length_then_text(text: str) -> tuple[int, str]:
    return len(text), text


def _sum(terms: list[Product]) -> Sum:
    terms = sorted(terms, key=lambda term: (-term.sign, *_length_then_text(term.text)))
    signed = "".join(("+" if term.sign > 0 else "-") + term.text for term in terms)
    return Sum(tuple(terms), sum((term.value for term in terms), Fraction(0)), signed.removeprefix("+"))


def _product(sign: int, above: tuple[int | Sum, ...], below: tuple[int | Sum, ...], value: Fraction) -> Sum:
    above, below = (tuple(sorted(side, key=lambda f: _length_then_text(_factor_text(f)))) for side in (above, below))
    text = "*".join(map(_factor_text, above)) + "".join("/" + _factor_text(f) for f in below)
    return _sum([Product(sign if value else 1, above, below, value, text)])


def _factor_text(factor: int | Sum) -> str:
    return str(factor) if isinstance(factor, int) else f"({factor.text})"


def _as_product(a: Sum) -> Product:
    """A sum as one factor of a product: its sign pulled out; where it is 0, the smaller of its two writings."""
    if len(a.terms) == 1:
        return a.terms[0]
    flipped = negate(a)
    keep = a.value > 0 or (a.value == 0 and a.text <= flipped.text)
    sign, factor = (1, a) if keep else (-1, flipped)
    return Product(sign if a.value else 1, (factor,), (), a.value, _factor_text(factor))


class _Node(NamedTuple):
    """An evaluation without negative results: value = above / below, below > 0."""

    above: int
    below: int
    op: str
    parts: tuple[_Node, _Node] | None


def _combine(a: _Node, b: _Node) -> Iterator[_Node]:
    """All results of one operation on a and b, in either order, that are at least 0."""
    x, y, below = a.above * b.below, b.above * a.below, a.below * b.below
    yield _Node(x + y, below, "+", (a, b))
    yield _Node(a.above * b.above, below, "*", (a, b))
    yield _Node(x - y, below, "-", (a, b)) if x >= y else _Node(y - x, below, "-", (b, a))
    if y:
        yield _Node(x, y, "/", (a, b))
    if x:
        yield _Node(y, x, "/", (b, a))


def _splits(mask: int) -> Iterator[tuple[int, int]]:
    """The ways to part a set of positions in two, each once: the lowest position stays in the first part."""
    low = mask & -mask
    part = (mask - 1) & mask
    while part:
        if part & low:
            yield part, mask ^ part
        part = (part - 1) & mask


def _form(node: _Node, given: dict[int, Sum]) -> Sum:
    if node.parts is None:
        return given[node.above]
    a, b = (_form(part, given) for part in node.parts)
    match node.op:
        case "+":
            return add(a, b)
        case "-":
            return add(a, negate(b))
        case "*":
            return multiply(a, b)
        case _:
            return divide(a, b)


def solution_classes(numbers: tuple[int, ...], target: int) -> tuple[Sum, ...]:
    """Every class of expressions that use each given number exactly once and equal the target, shortest text first.

    numbers: two or more, positive; target: positive. About .5 ms for four numbers; the cost grows like the number of
    classes (at most 6, 68, 1,170, 27,142 for two to five numbers).
    """
    if target < 1 or len(numbers) < 2 or min(numbers) < 1:
        raise ValueError(f"two or more positive numbers and a positive target are needed, got {numbers} and {target}")
    full = (1 << len(numbers)) - 1
    reached = {1 << i: [_Node(n, 1, "", None)] for i, n in enumerate(numbers)}
    for mask in range(1, full):
        if mask not in reached:
            pairs = ((a, b) for left, right in _splits(mask) for a in reached[left] for b in reached[right])
            reached[mask] = [node for a, b in pairs for node in _combine(a, b)]
    hits = [hit for left, right in _splits(full) for hit in _hits(reached[left], reached[right], target)]
    given = {n: number(n) for n in numbers}
    classes = {form.text: form for form in (_form(hit, given) for hit in hits)}
    return tuple(classes[text] for text in sorted(classes, key=_length_then_text))


def _hits(left: list[_Node], right: list[_Node], target: int) -> Iterator[_Node]:
    """The last operation, tested before anything is built: nearly all pairs miss."""
    for a in left:
        for b in right:
            x, y, goal = a.above * b.below, b.above * a.below, target * a.below * b.below
            if goal in (x + y, x - y, y - x, a.above * b.above) or x == target * y or y == target * x:
                yield from (node for node in _combine(a, b) if node.above == target * node.below)
