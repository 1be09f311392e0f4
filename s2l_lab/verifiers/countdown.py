r"""Countdown's rules: does an expression use each given number exactly once and reach the target?

A policy's text is read by the grammar below and by nothing else, in exact fractions and within fixed bounds, so that a
hostile answer costs microseconds. Intermediate results may be fractions, zero or negative, as in the solver, whose
solution class is the verdict's canonical answer.

    expression = ["+" | "-"] term (("+" | "-") term)*
    term       = factor (("*" | "/") factor)*
    factor     = ["+" | "-"] factor | number | "(" expression ")" | "\frac{" expression "}{" expression "}"

Accepted besides: × · ÷ − and their LaTeX commands, `$` around the whole, a final full stop, and a trailing `= value`
(the expression decides, not the value). Powers, decimals, factorials and concatenated digits are not in the grammar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2l_lab.problems.countdown_solver import Sum, add, divide, multiply, negate, number
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CHARACTERS = 300
MAX_NUMBERS = 16
MAX_DIGITS = 9
MAX_DEPTH = 20

_SYMBOLS = {
    "×": "*",
    "·": "*",
    "⋅": "*",
    "∗": "*",
    "÷": "/",
    "∕": "/",
    "−": "-",
    "–": "-",
    "\\times": "*",
    "\\cdot": "*",
}
_SYMBOLS |= {"\\div": "/", "\\left": "", "\\right": "", "\\dfrac": "\\frac", "\\tfrac": "\\frac"}
_SYMBOL = re.compile(r"\\[a-z]+|[×·⋅∗÷∕−–]")
_TOKEN = re.compile(r"\s*([0-9]+|\\frac|[-+*/(){}])")
_TRAILING_VALUE = re.compile(r"=\s*-?[0-9]{1,9}$")


class UnreadableExpressionError(ValueError):
    """The text is not an expression of the grammar, or beyond its bounds. The message says why in a few words."""


class _Reader:
    """Recursive descent over a list of tokens, with the depth counted."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.numbers: list[int] = []

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else "the end"

    def take(self, expected: str) -> None:
        if self.next != expected:
            raise UnreadableExpressionError(f"{expected!r} expected, {self.next[:MAX_DIGITS]!r} found")
        self.at += 1

    def expression(self) -> Sum:
        value = self.term()
        while (op := self.next) in ("+", "-"):
            self.at += 1
            right = self.term()
            value = add(value, right if op == "+" else negate(right))
        return value

    def term(self) -> Sum:
        value = self.factor()
        while (op := self.next) in ("*", "/"):
            self.at += 1
            value = (multiply if op == "*" else divide)(value, self.factor())
        return value

    def factor(self) -> Sum:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UnreadableExpressionError("nested too deeply")
        value = self.unnested_factor()
        self.depth -= 1
        return value

    def unnested_factor(self) -> Sum:
        token = self.next
        self.at += 1
        if token == "-":
            return negate(self.factor())
        if token == "+":
            return self.factor()
        if token == "(":
            return self.enclosed(")")
        if token == "\\frac":
            self.take("{")
            above = self.enclosed("}")
            self.take("{")
            return divide(above, self.enclosed("}"))
        if not token.isdecimal():
            raise UnreadableExpressionError(f"a number expected, {token!r} found")
        if len(token) > MAX_DIGITS or len(self.numbers) == MAX_NUMBERS:
            raise UnreadableExpressionError("a number too long" if len(token) > MAX_DIGITS else "too many numbers")
        self.numbers.append(int(token))
        return number(int(token))

    def enclosed(self, closing: str) -> Sum:
        value = self.expression()
        self.take(closing)
        return value


def read_expression(text: str) -> tuple[Sum, list[int]]:
    """The canonical form of an expression and the numbers in it, in order.

    Raises UnreadableExpressionError for text outside the grammar or its bounds, and ZeroDivisionError.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableExpressionError("too long")
    plain = _SYMBOL.sub(lambda match: _SYMBOLS.get(match[0], match[0]), text.strip().strip("$").rstrip(". \n"))
    plain = _TRAILING_VALUE.sub("", plain).rstrip()
    tokens, at = [], 0
    while at < len(plain):
        match = _TOKEN.match(plain, at)
        if match is None:
            raise UnreadableExpressionError(f"{plain[at : at + 12]!r} is not arithmetic")
        tokens.append(match[1])
        at = match.end()
    reader = _Reader(tokens)
    form = reader.expression()
    if reader.at < len(tokens):
        raise UnreadableExpressionError(f"{reader.next[:MAX_DIGITS]!r} left over")
    return form, reader.numbers


def verify_expression(expression: str, numbers: Sequence[int], target: int) -> Verdict:
    """CORRECT or INCORRECT; never raises for any text.

    The canonical answer is the solution class, or the stripped and shortened text where it is no expression.
    """
    try:
        form, used = read_expression(expression)
    except (UnreadableExpressionError, ZeroDivisionError) as problem:
        detail = str(problem) if isinstance(problem, UnreadableExpressionError) else "division by zero"
        return Verdict(Outcome.INCORRECT, expression, expression.strip()[:MAX_CHARACTERS], detail)
    if sorted(used) != sorted(numbers):
        return Verdict(Outcome.INCORRECT, expression, form.text, f"uses {sorted(used)}, given {sorted(numbers)}")
    if form.value != target:
        return Verdict(Outcome.INCORRECT, expression, form.text, f"equals {form.value}, target {target}")
    return Verdict(Outcome.CORRECT, expression, form.text)
