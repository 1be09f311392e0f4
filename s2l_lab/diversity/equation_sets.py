r"""Equations that a maths text states, in one spelling each, and how far rollouts differ in them.

diversity = 1 - mean over pairs of rollouts of |A_i n A_j| / |A_i u A_j|, A the set of equations of a completion. It
needs no judge, and sees through phrasing as far as this grammar goes:

- a chain `a = b = c` states a=b and b=c; a pair of sides counts if one of them has an operation (`x = 5` has none);
- `=`, is, be, makes, equals, equal to; `+ - * / ^` with their Unicode and LaTeX forms and \frac{a}{b}; plus, minus,
  times, over, multiplied by, divided by; `3 x 4`; numbers without digit commas or needless zeros; variables of one
  letter; 2x and 2(x+1) as products;
- sums and products are flattened and sorted, brackets that do nothing go, the side with the operation comes first:
  `7 = 4 + 3` and `let 3 plus 4 be 7` are both 3+4=7. Nothing is computed: a wrong equation is an equation.

What would surprise: any other word ends an expression, so `3 apples + 4 = 7` states nothing. A line ends one too,
unless the next begins with an equals sign. Two rollouts that state nothing are left out, not equal; one that does
against one that does not is as far as can be.

Cost is linear in the text, whatever it holds: no pattern has two ways to match, every side is read once, and a side of
more than 400 characters or 20 nested brackets or powers is no equation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.metric import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST_SIDE = 400
DEEPEST = 20

_LETTER = "A-Za-zα-ω"
_SYMBOLS = str.maketrans(
    {**dict.fromkeys("×·⋅∙∗✕", "*"), **dict.fromkeys("÷∕⁄", "/"), **dict.fromkeys("−–－", "-"), "ƒ": "#"}
    | {"＋": "+", "＝": "=", "（": "(", "）": ")", "²": "^2", "³": "^3", "$": " ", "&": " "}
)
_COMMANDS = (
    {"times": "*", "cdot": "*", "div": "/", "\\": "\n"}
    | dict.fromkeys(("frac", "dfrac", "tfrac"), "ƒ")
    | dict.fromkeys(("left", "right", "displaystyle", "boxed", ",", ";", ":", "!"), "")
    | dict.fromkeys(("(", ")", "[", "]", "quad"), " ")
    | {"alpha": "α", "beta": "β", "gamma": "γ", "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "sigma": "σ"}
)
_WORDS = {"plus": "+", "minus": "-", "times": "*", "over": "/", "divided": "/", "multiplied": "*"} | dict.fromkeys(
    ("is", "be", "makes", "equals", "equal"), "="
)

_Replacement = str | Callable[[re.Match[str]], str]
_STEPS: tuple[tuple[str, _Replacement], ...] = (
    (r"\\([A-Za-z]+|.)", lambda match: _COMMANDS.get(match[1], "#")),
    (rf"(?<=[0-9{_LETTER})])\*\*(?=[0-9{_LETTER}(])", "^"),
    (r"\*\*", " "),  # bold type
    (r"(?m:^)[ \t]*[-+*][ \t]+", ""),  # a bullet is no sign
    (r"==>|=>|->|<=|>=|!=|:=", "#"),
    (r"(?i:\b(divided|multiplied)\s+by\b|\b(equals?)\s+to\b)", lambda match: match[1] or match[2]),
    (r"(?<![_A-Za-z])[A-Za-z]{2,}", lambda match: _WORDS.get(match.group().lower(), "#")),
    (r"_\{([0-9A-Za-z]{1,8})\}", r"_\1"),
    (r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", ""),
    (rf"\.(?![0-9])|[^0-9{_LETTER}ƒ\s.+\-*/^=(){{}}_]", "#"),
    (r"\s+", lambda match: "\n" if "\n" in match.group() else " "),
    (r"\n(?==)", " "),
    (r"\} \{", "}{"),
    (r"(?<=[0-9)]) [xX] (?=[0-9(])|(?<=[0-9])[xX](?=[0-9])", "*"),
    (rf"(?<=[0-9{_LETTER})}}]) (?=[0-9{_LETTER}.({{ƒ])", "#"),  # two operands side by side are no product
    (r"# ?[-+] ", "#/"),  # nor is `3 apples - 2` minus 2: no side can begin with a slash
    (r" ", ""),
    (r"\{", "("),
    (r"\}", ")"),
    (r"=+", "="),  # "is equal to"
)
"""Replacements, in order, that turn any text into digits, letters, ƒ for a fraction, operators and brackets; # replaces
what cannot stand in an equation."""

_TOKEN = re.compile(rf"[0-9]*\.?[0-9]+|[{_LETTER}](?:_[0-9A-Za-z]+)?|[-+*/^()ƒ]")


def equations(text: str) -> frozenset[str]:
    """The equations stated in a text, in canonical spelling without spaces; empty where there are none."""
    plain = text.translate(_SYMBOLS)
    for pattern, replacement in _STEPS:
        plain = re.sub(pattern, replacement, plain, flags=re.DOTALL)
    found = set()
    for statement in _statements(plain):
        *sides, last = statement.split("=")
        read = [_read(side) for side in (*sides, last.rstrip("-*"))]  # a dash or a star may follow the statement
        for left, right in pairwise(read):
            if left and right and (left.has_operation or right.has_operation):
                first, second = sorted((left, right), key=lambda s: (not s.has_operation, len(s.text), s.text))
                found.add(f"{first.text}={second.text}")
    return frozenset(found)


def equation_diversity(text_N: Sequence[str]) -> float:
    """1 - mean Jaccard similarity of the equation sets of all pairs of completions, in [0, 1].

    Pairs of two completions without equations are left out; NaN where no pair is left, and for fewer than two. A mean
    over pairs needs no rarefaction.
    """
    from scipy.sparse import csr_array

    sets = [equations(text) for text in text_N]
    names: dict[str, int] = {}
    column = np.array([names.setdefault(name, len(names)) for found in sets for name in found], dtype=np.int64)
    size_N = np.array([len(found) for found in sets], dtype=np.int64)
    row = np.repeat(np.arange(size_N.size), size_N)
    holds = csr_array((np.ones(row.size), (row, column)), shape=(size_N.size, len(names)))
    i, j = np.triu_indices(size_N.size, k=1)
    shared = (holds @ holds.T).toarray()[i, j]
    union = size_N[i] + size_N[j] - shared
    some = union > 0
    return float(1.0 - (shared[some] / union[some]).mean()) if some.any() else float("nan")


def _statements(plain: str) -> Iterator[str]:
    """Pieces between breaks, cut also at brackets that pair with nothing or hold an equals sign."""
    for piece in re.split(r"[#\n]", plain):
        cuts, opened, holding = set(), list[int](), set[int]()
        for at, character in enumerate(piece):
            if character == "(":
                opened.append(at)
            elif character == "=" and opened:
                holding.add(opened[-1])
            elif character == ")":
                start = opened.pop() if opened else at
                if start in holding or start == at:
                    cuts |= {start, at}
                    holding |= set(opened[-1:])
        cuts.update(opened)
        yield from "".join("#" if at in cuts else character for at, character in enumerate(piece)).split("#")


@dataclass(frozen=True, slots=True)
class _Side:
    text: str
    has_operation: bool


@dataclass(frozen=True, slots=True)
class _Term:
    """A signed product, sign * above / below, of factors in canonical spelling."""

    sign: int
    above: tuple[str, ...]
    below: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(["*".join(sorted(self.above, key=_by_size)), *sorted(self.below, key=_by_size)])


_Sum = tuple[_Term, ...]


def _by_size(text: str) -> tuple[int, str]:
    return len(text), text


def _spelled(terms: _Sum) -> str:
    """What is added, sorted, then what is subtracted, sorted."""
    added, subtracted = (sorted((str(t) for t in terms if t.sign == sign), key=_by_size) for sign in (1, -1))
    return "-".join(["+".join(added), *subtracted])


class _UnreadableError(Exception):
    """The characters are no expression."""


def _read(side: str) -> _Side | None:
    """A side of an equation in canonical spelling; None where it is no expression."""
    tokens = _TOKEN.findall(side)
    if len(side) > LONGEST_SIDE or "".join(tokens) != side:
        return None
    parser = _Parser(tokens)
    try:
        terms = parser.sum(0)
    except _UnreadableError:
        return None
    text = _spelled(terms)
    return None if parser.left else _Side(text, any(sign in text[1:] for sign in "+-*/^"))


class _Parser:
    """Recursive descent over the tokens of one side, last token first in `left`."""

    def __init__(self, tokens: list[str]) -> None:
        self.left = tokens[::-1]

    def next_in(self, tokens: str) -> bool:
        return bool(self.left) and self.left[-1] in tokens

    def sum(self, depth: int) -> _Sum:
        terms = self.product(depth)
        while self.next_in("+-"):
            terms += self.product(depth)  # its sign is read as the product's own
        return terms

    def product(self, depth: int) -> _Sum:
        """Its first sign is that of all of it: -(1+1)*2 is -((1+1)*2)."""
        negative = self.signs()
        total = self.factor(depth)
        while self.left:
            if self.next_in("*/"):
                operation = self.left.pop()
            elif self.next_in("(ƒ") or self.left[-1][0].isalpha():
                operation = "*"
            else:
                break
            total = _multiplied(total, self.factor(depth), inverse=operation == "/")
        return _negated(total) if negative else total

    def signs(self) -> bool:
        """Take signs; whether they make negative."""
        negative = False
        while self.next_in("+-"):
            negative ^= self.left.pop() == "-"
        return negative

    def factor(self, depth: int) -> _Sum:
        """Signs, then a number, a letter, a fraction or a bracket, then a power."""
        if depth > DEEPEST:
            raise _UnreadableError
        negative = self.signs()
        base = self.primary(depth)
        if self.next_in("^"):
            self.left.pop()
            exponent = self.factor(depth + 1)
            base = (_Term(1, (f"{_as_factor(base)}^{_as_factor(exponent)}",)),)
        return _negated(base) if negative else base

    def primary(self, depth: int) -> _Sum:
        token = self.left.pop() if self.left else ""
        if token == "ƒ":
            return _multiplied(self.group(depth), self.group(depth), inverse=True)
        if token == "(":
            self.left.append(token)
            return self.group(depth)
        if not token or token in "+-*/^)":
            raise _UnreadableError
        return (_Term(1, (_number(token) if token[0] in ".0123456789" else token,)),)

    def group(self, depth: int) -> _Sum:
        if not self.next_in("("):
            raise _UnreadableError
        self.left.pop()
        inside = self.sum(depth + 1)
        if not self.next_in(")"):
            raise _UnreadableError
        self.left.pop()
        return inside


def _negated(terms: _Sum) -> _Sum:
    return tuple(_Term(-t.sign, t.above, t.below) for t in terms)


def _number(text: str) -> str:
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{decimals}" if decimals else "")


def _as_factor(terms: _Sum) -> str:
    """A sum as one factor: in brackets unless it is a single positive factor."""
    text = _spelled(terms)
    return text if len(terms) == 1 and terms[0] == _Term(1, terms[0].above[:1]) else f"({text})"


def _multiplied(a: _Sum, b: _Sum, *, inverse: bool) -> _Sum:
    """a * b, or a / b; sums of several terms become one factor in brackets, products are flattened."""
    x, y = (t[0] if len(t) == 1 else _Term(1, (_as_factor(t),)) for t in (a, b))
    over, under = (y.below, y.above) if inverse else (y.above, y.below)
    return (_Term(x.sign * y.sign, x.above + over, x.below + under),)


METRICS = (
    Metric(
        name="equations",
        value=lambda s: equation_diversity(s.rollouts.text_N),
        title="equation diversity",
        level="text",
        up=True,
        most="1",
        span="0 to 1",
        measures="1 - Jaccard overlap of the sets of equations in two rollouts, mean over pairs that have any.",
        fooled_by="Wrong arithmetic makes new equations; orders of equal steps do not count.",
    ),
)
