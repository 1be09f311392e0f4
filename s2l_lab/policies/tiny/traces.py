"""Step-by-step Countdown solutions in words: what the embedded family learns to write.

A trace is three steps and the expression that they add up to:

    let 7*8 be 56
    12 over 3 is 4
    then 56-4 makes 52
    #### 7*8-12/3

Three independent draws make it: the *strategy* (a whole solution class, uniformly), the order of its steps (uniformly
among the operations that can be done next), and for each step its *phrasing* (uniformly among four, from a generator
of its own). So text varies in two ways whose truth is known, and a diversity metric can be asked which it follows.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TypeVar

from s2l_lab.problems.countdown_solver import Product, Sum

WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "over"}
PHRASINGS = ("{a}{op}{b}={r}", "{a} {word} {b} is {r}", "then {a}{op}{b} makes {r}", "let {a}{op}{b} be {r}")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: a op b = result, with the index of its phrasing."""

    a: int
    op: str
    b: int
    result: int
    phrasing: int

    def __str__(self) -> str:
        return PHRASINGS[self.phrasing].format(a=self.a, op=self.op, b=self.b, r=self.result, word=WORDS[self.op])


@dataclass(frozen=True, slots=True)
class Trace:
    """A completion's content."""

    steps: tuple[Step, ...]
    expression: str

    def __str__(self) -> str:
        return "\n".join([*map(str, self.steps), f"#### {self.expression}"])


@dataclass(slots=True)
class _Value:
    """A number that is given or has been worked out, and the expression that made it."""

    number: int
    text: str
    is_sum: bool = False


@dataclass(slots=True)
class _Open:
    """A sum or product still to be worked out: parts with +1 (added, multiplied) or -1 (subtracted, divided by)."""

    is_sum: bool
    parts: list[tuple[int, _Value | _Open]]


def _pick(rng: random.Random, options: list[_T]) -> _T:
    return options[int(rng.random() * len(options))]  # random() is the one draw that Python promises never to change


def _open(node: Sum | Product | int) -> _Value | _Open:
    if isinstance(node, int):
        return _Value(node, str(node))
    if isinstance(node, Sum):
        parts = [(term.sign, _open(term)) for term in node.terms]
    else:
        parts = [(1, _open(f)) for f in node.numerators] + [(-1, _open(f)) for f in node.denominators]
    return parts[0][1] if len(parts) == 1 else _Open(isinstance(node, Sum), parts)


def _doable(node: _Open) -> list[tuple[_Open, int, int]]:
    """Pairs (node, i, j): part j can be added to, subtracted from, multiplied with or divided out of part i now.

    Parts that are subtracted or divided by are never put together first, so a sum stays positive and a product whole.
    There is always a way on: adding or multiplying what is left with +1 ends in a value that the -1 parts fit into.
    """
    found = [pair for _, part in node.parts if isinstance(part, _Open) for pair in _doable(part)]
    for i, (sign, x) in enumerate(node.parts):
        for j, (other, y) in enumerate(node.parts):
            if i == j or sign < 0 or isinstance(x, _Open) or isinstance(y, _Open):
                continue
            if other > 0:
                if (x.number, x.text, -i) > (y.number, y.text, -j):  # the larger operand is written first
                    found.append((node, i, j))
            elif x.number > y.number if node.is_sum else x.number % y.number == 0:
                found.append((node, i, j))
    return found


def _do(node: _Open, i: int, j: int, phrasing: int) -> Step:
    x, (sign, y) = node.parts[i][1], node.parts[j]
    assert isinstance(x, _Value)
    assert isinstance(y, _Value)
    op = ("+" if sign > 0 else "-") if node.is_sum else ("*" if sign > 0 else "/")
    number = {"+": x.number + y.number, "-": x.number - y.number, "*": x.number * y.number, "/": x.number // y.number}
    texts = [x.text, y.text] if node.is_sum else [f"({v.text})" if v.is_sum else v.text for v in (x, y)]
    node.parts[i] = (1, _Value(number[op], op.join(texts), node.is_sum))
    del node.parts[j]
    return Step(x.number, op, y.number, number[op], phrasing)


def _collapse(node: _Open) -> _Value | _Open:
    node.parts = [(sign, _collapse(p) if isinstance(p, _Open) else p) for sign, p in node.parts]
    return node.parts[0][1] if len(node.parts) == 1 else node


def draw_trace(classes: tuple[Sum, ...], seed: str) -> Trace:
    """A trace of one of these whole classes; a function of the classes and the seed text alone."""
    strategy, wording = random.Random(f"{seed} strategy"), random.Random(f"{seed} phrasing")
    node = _open(_pick(strategy, list(classes)))
    steps = []
    while isinstance(node, _Open):
        steps.append(_do(*_pick(strategy, _doable(node)), int(wording.random() * len(PHRASINGS))))
        node = _collapse(node)
    return Trace(tuple(steps), node.text)


_NUMBER = r"(\d{1,9})"
_STEP_PATTERNS = tuple(
    re.compile(
        re.escape(phrasing)
        .replace(r"\{a\}", _NUMBER)
        .replace(r"\{b\}", _NUMBER)
        .replace(r"\{r\}", _NUMBER)
        .replace(r"\{op\}", r"([-+*/])")
        .replace(r"\{word\}", f"({'|'.join(WORDS.values())})")
    )
    for phrasing in PHRASINGS
)


def parse_trace(text: str) -> Trace | None:
    """The steps, phrasings and expression of a completion in the trained format; None where it is not in it.

    Nothing is checked: arithmetic may be wrong and the expression need not follow from the steps.
    """
    *lines, last = text.split("\n")
    steps = [_parse_step(line) for line in lines]
    if not last.startswith("#### ") or any(step is None for step in steps):
        return None
    return Trace(tuple(step for step in steps if step is not None), last.removeprefix("#### "))


def _parse_step(line: str) -> Step | None:
    for phrasing, pattern in enumerate(_STEP_PATTERNS):
        if match := pattern.fullmatch(line):
            a, op, b, result = match.groups()
            symbol = next((s for s, word in WORDS.items() if word == op), op)
            return Step(int(a), symbol, int(b), int(result), phrasing)
    return None
