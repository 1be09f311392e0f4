r"""Expressions in LaTeX or plain text as trees: what a human reader would agree on, and nothing else.

A refusal is an answer here: `UnreadableError` where two numbers stand side by side without an operator, where a word or
a command is unknown, where anything is left over. Nothing is evaluated; a number keeps its exact value and, where it
was written as a decimal, the unit of its last digit.

`a/bc` is a/(bc), as in print. A letter before a bracket is a factor, but for f, g and h, which are functions. Letters
are unknowns, but for e and i.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from s2l_lab.verifiers.maths_spelling import WORDS_BEGIN, WORDS_END


class UnreadableError(Exception):
    """No expression, or one with more than one reading."""


@dataclass(frozen=True, slots=True)
class Num:
    """A number as written."""

    value: Fraction
    last_digit: Fraction | None = None
    """The unit of a decimal's last written digit; None for an exact number."""


@dataclass(frozen=True, slots=True)
class Sym:
    """An unknown, or one of the constants CONSTANTS."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation: `+`, `*`, `^`, `!`, or a function by name."""

    name: str
    args: tuple[Node, ...]


Node: TypeAlias = "Num | Sym | Call"

PI, EULER, IMAGINARY, INFINITY = Sym("\\pi"), Sym("e"), Sym("i"), Sym("\\infty")
APPLIED = frozenset({"f", "g", "h"})
"""Letters that are functions before a bracket."""
INVERSE = "^-1"
CONSTANTS = frozenset({PI, EULER, IMAGINARY, INFINITY})

ONE_ARGUMENT = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "arccot",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "exp",
        "floor",
        "ceil",
        "abs",
    ]
)
SEVERAL_ARGUMENTS = frozenset({"gcd", "lcm", "max", "min"})
_PLAIN = ONE_ARGUMENT | SEVERAL_ARGUMENTS | {"ln", "log", "lg", "sqrt", "pi", "choose", "mod", "infinity", "inf"}
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
        "hbar",
    ]
)
_ACCENTS = frozenset(["vec", "hat", "bar", "overline", "tilde", "widehat", "overrightarrow"])
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d+|\d+\.(?![.\d])|\.\d+|\d+)(?:[eE][-+]?\d+)?)|(?P<command>\\[a-zA-Z]+|\\[{}|\\])"
    rf"|(?P<words>{WORDS_BEGIN}[^{WORDS_END}]*{WORDS_END})|(?P<letters>[^\W\d_]+)|(?P<sign>.))",
    re.DOTALL,
)
_NAMES = re.compile("|".join(sorted(_PLAIN, key=len, reverse=True)))
_CLOSING = {"(": ")", "[": "]", "{": "}", "\\{": "\\}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_DEEPEST = 60
_LONGEST = 5_000
"""Characters of an expression."""
_MOST_DIGITS = 20_000
_SCIENTIFIC = 10_000
"""Largest exponent of 1e5."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    spaced: bool
    """Whether a blank stands before the token."""


def parse(text: str) -> Node:
    """The tree of a whole text. Raises UnreadableError."""
    if is_too_long(text):
        raise UnreadableError("too long")
    parser = _Parser(_tokens(text))
    node = parser.sum()
    parser.end()
    return node


def is_too_long(text: str) -> bool:
    """Whether nobody means this: a long expression, or a number of more digits still."""
    return len(text) > (_MOST_DIGITS if text.lstrip("-").isdecimal() else _LONGEST)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup or "", match.group(match.lastgroup or 0)
        spaced = match.start(match.lastgroup or 0) > match.start()
        if kind == "sign" and found.isspace():
            continue
        if kind == "letters":
            tokens += _split_letters(found, spaced)
        elif kind == "words":
            tokens.append(_Token("word", found[1:-1].strip(), spaced))
        else:
            tokens.append(_Token(kind, found, spaced))
    return tokens


def _split_letters(run: str, spaced: bool) -> list[_Token]:
    """Known names out of a run of letters, the others one by one. A long run without any is a word, not a product."""
    tokens: list[_Token] = []
    at = unnamed = 0
    while at < len(run):
        named = _NAMES.match(run, at)
        # "pi" in "epi" would be a guess: names start a run, or follow the single letter of a coefficient
        if named and at <= 1:
            tokens.append(_Token("command", "\\" + named.group(), spaced and not tokens))
            at = named.end()
            continue
        tokens.append(_Token("letter", run[at], spaced and not tokens))
        at, unnamed = at + 1, unnamed + 1
    if unnamed > 3:
        return [_Token("word", run, spaced)]
    return tokens


class _Parser:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._bars = 0
        self._angles = 0

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise UnreadableError("it ends too early")
        self._at += 1
        return token

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token is not None and token.text in texts and token.kind not in ("word",)

    def _take(self, *texts: str) -> str | None:
        return self._next().text if self._is(*texts) else None

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise UnreadableError(f"{text} is missing")

    def end(self) -> None:
        if self._peek() is not None:
            raise UnreadableError("something is left over")

    def sum(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnreadableError("too deep")
        terms: list[Node] = []
        sign: str | None = self._take("+", "-")
        while True:
            term = self.product()
            terms.append(negative(term) if sign == "-" else term)
            sign = self._take("+", "-")
            if sign is None:
                break
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Call("+", tuple(terms))

    def product(self) -> Node:
        """Factors with explicit operators between them."""
        factors = [self._signed_factor()]
        while True:
            operator = self._take("*", "\\cdot", "\\times", "/", "\\div", "\\bmod", "\\mod")
            if operator is None:
                return _product(factors)
            right = self._signed_factor()
            if operator in ("/", "\\div"):
                factors.append(Call("^", (right, Num(Fraction(-1)))))
            elif operator in ("\\bmod", "\\mod"):
                factors = [Call("mod", (_product(factors), right))]
            else:
                factors.append(right)

    def _signed_factor(self) -> Node:
        sign = self._take("+", "-")
        node = self._juxtaposed()
        return negative(node) if sign == "-" else node

    def _juxtaposed(self) -> Node:
        """Factors side by side."""
        factors = [self._power()]
        before = self._tokens[self._at - 1]
        while (token := self._peek()) is not None and self._starts_factor(token):
            factors.append(self._beside(factors[-1], before, token))
            before = self._tokens[self._at - 1]
        return _product(factors)

    def _starts_factor(self, token: _Token) -> bool:
        if token.kind in ("number", "letter", "word"):
            return True
        if token.text == "|":
            return self._bars == 0
        if token.kind == "command":
            return token.text in ("\\{", "\\lfloor", "\\lceil", "\\frac", "\\sqrt", "\\binom", "\\pi", "\\infty") or (
                token.text[1:] in _PLAIN - {"choose", "mod"} | _GREEK | _ACCENTS
            )
        return token.text in ("(", "[", "{")

    def _beside(self, left: Node, before: _Token, token: _Token) -> Node:
        """The factor that begins with a token; two numbers without an operator between them could be anything."""
        closing = before.text in (")", "]", "\\}")
        if token.kind == "number":
            after = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
            plain_letter = isinstance(left, Sym) and left.name.isalpha()
            if not closing and (not _has_unknown(left) or (plain_letter and (after is None or after.text != "^"))):
                raise UnreadableError("two numbers without an operator")
        factor = self._power()
        plain = not _has_unknown(factor) and not _has_function(factor)
        if token.text == "\\frac" and isinstance(left, Num) and not closing and plain:
            raise UnreadableError("a number before a fraction, and no mixed number")
        return factor

    def _power(self) -> Node:
        base = self._postfixed(self._primary())
        if not self._take("^"):
            return base
        exponent = self._script()
        node: Node = Call("^", (base, exponent))
        if self._is("^"):
            raise UnreadableError("two exponents")
        return self._postfixed(node)

    def _postfixed(self, node: Node) -> Node:
        while self._take("!"):
            if self._is("!"):
                raise UnreadableError("a double factorial")
            node = Call("!", (node,))
        if self._take("°") and self._angles:  # elsewhere it is a unit, which may be missing
            node = Call("*", (node, PI, Num(Fraction(1, 180))))
        return node

    def _script(self) -> Node:
        """An exponent: braces, brackets of one token, or a signed token."""
        if self._take("{"):
            node = self.sum()
            self._expect("}")
            return node
        sign = self._take("-", "+")
        token = self._peek()
        if token is not None and token.text == "(":
            self._next()
            node = self.sum()
            self._expect(")")
        else:
            node = self._primary(single=True)
        return negative(node) if sign == "-" else node

    def _argument(self) -> Node:
        r"""What follows `\frac` or `\sqrt`: braces, or one token (one digit)."""
        if self._take("{"):
            node = self.sum()
            self._expect("}")
            return node
        if self._is("("):
            return self._primary()
        return self._primary(single=True, digit=True)

    def _primary(self, *, single: bool = False, digit: bool = False) -> Node:
        token = self._next()
        if token.kind == "number":
            if digit and len(token.text) > 1:
                if not token.text.isdecimal():
                    raise UnreadableError("a command before a decimal")
                self._at -= 1
                self._tokens[self._at : self._at + 1] = [_Token("number", c, False) for c in token.text]
                self._next()
                return _number(token.text[0])
            if self._is("_"):
                raise UnreadableError("a number with an index")
            return _number(token.text)
        if token.kind == "letter":
            return self._letter(token.text)
        if token.kind == "word":
            return self._indexed(token.text)
        if token.text in ("(", "[", "{", "\\{") or (token.text in ("|", "\\lfloor", "\\lceil")):
            return self._bracketed(token.text)
        if token.kind == "command":
            return self._command(token.text, single=single)
        raise UnreadableError(f"{token.text} is not known")

    def _bracketed(self, opening: str) -> Node:
        if opening in ("[", "\\{") and self._depth > 1:
            pass  # brackets of brackets
        elif opening == "\\{":
            raise UnreadableError("a set is no number")
        self._bars += opening == "|"
        node = self.sum()
        self._bars -= opening == "|"
        self._expect(_CLOSING[opening])
        names = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceil"}
        return Call(names[opening], (node,)) if opening in names else node

    def _letter(self, letter: str) -> Node:
        primes = 0
        while self._take("'"):
            primes += 1
        if letter in APPLIED:
            ahead = [token.text for token in self._tokens[self._at : self._at + 6]]
            inverse = ahead == ["^", "{", "-", "1", "}", "("]
            self._at += 5 if inverse else 0
            if self._take("("):
                inner = self._list()
                self._expect(")")
                return Call(letter + "'" * primes + INVERSE * inverse, inner)
        if letter == "e" and not primes and not self._is("_"):
            return EULER
        if letter == "i" and not primes and not self._is("_"):
            return IMAGINARY
        return self._indexed(letter + "'" * primes)

    def _list(self) -> tuple[Node, ...]:
        items = [self.sum()]
        while self._take(","):
            items.append(self.sum())
        return tuple(items)

    def _indexed(self, name: str) -> Node:
        """An unknown with its index, if any."""
        if self._take("_"):
            name += "_" + self._raw_script()
        if name.strip("'_") == "" or not re.match(r"[^\W\d_]", name.lstrip("\\")):
            raise UnreadableError(f"{name} is no name")
        return Sym(name)

    def _raw_script(self) -> str:
        token = self._next()
        if token.text != "{":
            if token.kind not in ("number", "letter", "word", "command"):
                raise UnreadableError("an index is missing")
            return token.text
        depth = 1
        parts: list[str] = []
        while True:
            token = self._next()
            depth += (token.text == "{") - (token.text == "}")
            if depth == 0:
                return "".join(parts)
            parts.append(token.text)

    def _command(self, command: str, *, single: bool = False) -> Node:  # noqa: PLR0911 - one return a kind
        name = command[1:]
        if name == "frac":
            top = self._argument()
            return Call("*", (top, Call("^", (self._argument(), Num(Fraction(-1))))))
        if name == "binom":
            top = self._argument()
            return _binomial(top, self._argument())
        if name == "sqrt":
            return self._root()
        if name == "pi":
            return PI
        if name in ("infty", "infinity", "inf"):
            return INFINITY
        if name in _GREEK:
            return self._indexed(command)
        if name in _ACCENTS:
            return self._accent(name)
        if single:
            raise UnreadableError(f"{command} where one token is expected")
        if name in ("ln", "log", "lg"):
            return self._logarithm(name)
        if name in SEVERAL_ARGUMENTS:
            self._expect("(") if self._is("(") else self._expect("\\{")
            items = self._list()
            if self._take(")", "\\}") is None:
                raise UnreadableError("a bracket is missing")
            return Call(name, items)
        if name in ONE_ARGUMENT:
            return self._function(name)
        raise UnreadableError(f"{command} is not known")

    def _accent(self, name: str) -> Node:
        token = self._next()
        if token.text == "{":
            self._at -= 1
            inner = self._raw_script()
        elif token.kind == "letter":
            inner = token.text
        else:
            raise UnreadableError("an accent over nothing")
        if not inner.isalpha():
            raise UnreadableError("an accent over an expression")
        return self._indexed(f"\\{name}{{{inner}}}")

    def _root(self) -> Node:
        degree: Node = Num(Fraction(2))
        if self._take("["):
            degree = self.sum()
            self._expect("]")
        return Call("root", (self._argument(), degree))

    def _logarithm(self, name: str) -> Node:
        base: Node = EULER if name == "ln" else Num(Fraction(10))
        power = self._script() if self._take("^") else None
        if self._take("_"):
            base = self._argument()
        if power is None and self._take("^"):
            power = self._script()
        node: Node = Call("log", (self._function_argument(), base))
        return node if power is None else Call("^", (node, power))

    def _function(self, name: str) -> Node:
        power = self._script() if self._take("^") else None
        argument = self._function_argument()
        if power == Num(Fraction(-1)) or power == negative(Num(Fraction(1))):
            inverse = "arc" + name
            if inverse not in ONE_ARGUMENT:
                raise UnreadableError("an inverse without a name")
            return Call(inverse, (argument,))
        node: Node = Call(name, (argument,))
        return node if power is None else Call("^", (node, power))

    def _function_argument(self) -> Node:
        """The brackets that follow, or all factors up to the next operator or function."""
        self._angles += 1
        node = self._function_argument_inside()
        self._angles -= 1
        return node

    def _function_argument_inside(self) -> Node:
        if self._is("(", "[", "{", "|"):
            return self._postfixed(self._primary())
        sign = self._take("-")
        factors = [self._power()]
        before = self._tokens[self._at - 1]
        while (
            (token := self._peek()) is not None
            and self._starts_factor(token)
            and token.text not in ("(", "[")
            and token.text[1:] not in ONE_ARGUMENT | {"ln", "log", "lg"}
        ):
            factors.append(self._beside(factors[-1], before, token))
            before = self._tokens[self._at - 1]
        node = _product(factors)
        return negative(node) if sign else node


def _product(factors: list[Node]) -> Node:
    return factors[0] if len(factors) == 1 else Call("*", tuple(factors))


def negative(node: Node) -> Node:
    """The tree of -node."""
    if isinstance(node, Num):
        return Num(-node.value, node.last_digit)
    return Call("*", (Num(Fraction(-1)), node))


def is_applied(name: str) -> bool:
    """Whether an operation is one of APPLIED, its derivatives and inverses included."""
    return name.removesuffix(INVERSE).rstrip("'") in APPLIED


def _binomial(top: Node, bottom: Node) -> Node:
    """A polynomial where the lower number is small and the upper one an unknown."""
    few = isinstance(bottom, Num) and bottom.value.denominator == 1 and 0 < bottom.value <= 12
    if not (few and isinstance(bottom, Num) and _has_unknown(top)):
        return Call("binom", (top, bottom))
    k = bottom.value.numerator
    factors = [Call("+", (top, Num(Fraction(-i)))) for i in range(k)]
    return Call("*", (*factors, Num(Fraction(1, math.factorial(k)))))


def _number(text: str) -> Num:
    if len(text) > _MOST_DIGITS:
        raise UnreadableError("too many digits")
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent) > 6 or abs(int(exponent or 0)) > _SCIENTIFIC:
        raise UnreadableError("an exponent out of range")
    scale = Fraction(10) ** int(exponent or 0)
    whole, point, decimals = mantissa.partition(".")
    value = Fraction(int((whole + decimals) or "0"), 10 ** len(decimals)) * scale
    is_decimal = bool(point and decimals)
    return Num(value, scale / 10 ** len(decimals) if is_decimal else None)


def _has_unknown(node: Node) -> bool:
    """Whether a letter stands in it, pi and infinity included."""
    if isinstance(node, Call):
        return any(map(_has_unknown, node.args))
    return isinstance(node, Sym)


def _has_function(node: Node) -> bool:
    if not isinstance(node, Call):
        return False
    return node.name not in ("+", "*", "^") or any(map(_has_function, node.args))


def unknowns(node: Node) -> frozenset[str]:
    """The names of its unknowns, constants left out; an applied f counts as its own name and its argument's."""
    if isinstance(node, Sym):
        return frozenset() if node in CONSTANTS else frozenset({node.name})
    if isinstance(node, Num):
        return frozenset()
    return frozenset().union(*map(unknowns, node.args))
