r"""Whether two expressions have the same value: exactly where both are exact, and without computing monsters.

In this order, the first that applies decides:

1. the same tree;
2. both rational numbers of at most BITS bits: compared as fractions;
3. both rational in their unknowns: compared modulo two primes of 127 bits at fixed, arbitrary points (a wrong "equal"
   has a chance of about degree / 2^250), so that 2^{10^{10}} and (x+1)^{10^6} cost nothing;
4. everything else (roots, logarithms, pi, symbolic exponents): values with an error bound, at POINTS where unknowns
   stand, with more and more digits until they differ for certain or DIGITS that the numbers written in them can matter
   are the same.

A decimal x stands for what rounds or is cut to it: it equals y where |x - y| <= RELATIVE |y| and, for a decimal alone
or times exact numbers, |x - y| is below one unit of its last written digit. So .333333 is 1/3 and .3333 is not,
1234567.5 is not 1234567, and 1.6e-19 is not 9.1e-31.

Functions of real unknowns are compared where they are real; x^2 under a root is |x|, not x. What is too large to be
computed is `RefusedError`: not known, never "different", unless a bound tells the two apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from mpmath import MPContext
from mpmath.libmp import NoConvergence

from s2l_lab.verifiers.maths_grammar import (
    EULER,
    IMAGINARY,
    INFINITY,
    PI,
    Call,
    Node,
    Num,
    Sym,
    is_applied,
    negative,
    unknowns,
)

RELATIVE = Fraction(1, 10**6)
BITS = 400_000
FACTORIAL = 30_000
"""Largest argument of a factorial that is computed exactly."""
DIGITS = (40, 120)
"""Working precisions, in turn; a last one grows with the numbers that are written, to MOST_DIGITS."""
MOST_DIGITS = 12_000
POINTS = 9
_PRIMES = (0x5B2C9E3177A4D80F1C63E5B90A7D4305, 0x6E9104C7B3F52A8DD47B190E8C36F5EF)
_MOST_STEPS = 200_000
"""Largest factorial modulo a prime."""
_HUGE = 1 << 62


class RefusedError(Exception):
    """Too large, or undefined: no value."""


class NotRationalError(Exception):
    """No rational number."""


class NotRealError(Exception):
    """No real number here."""


# ---------------------------------------------------------------------------------------------- exact


def exact(node: Node) -> Fraction:  # noqa: PLR0911 - one return a kind
    """The value of a rational constant. Raises NotRationalError, or RefusedError above BITS bits."""
    if isinstance(node, Num):
        return node.value
    if isinstance(node, Sym):
        raise NotRationalError
    if node.name == "+":
        return _bounded(sum(map(exact, node.args), Fraction(0)))
    if node.name == "*":
        product = Fraction(1)
        for arg in node.args:
            product = _bounded(product * exact(arg))
        return product
    values = [exact(arg) for arg in node.args]
    if node.name == "^":
        return _power(*values)
    if node.name == "root":
        base, degree = values
        if degree == 0:
            raise RefusedError("a root of degree 0")
        return _power(base, 1 / degree)
    if node.name == "!":
        return Fraction(math.factorial(_whole(values[0], FACTORIAL)))
    if node.name == "binom":
        top, bottom = (_whole(value, FACTORIAL) for value in values)
        return Fraction(math.comb(top, bottom))
    return _exact_function(node.name, values)


def _exact_function(name: str, values: list[Fraction]) -> Fraction:  # noqa: PLR0911 - one return a kind
    if name == "abs":
        return abs(values[0])
    if name == "floor":
        return Fraction(math.floor(values[0]))
    if name == "ceil":
        return Fraction(math.ceil(values[0]))
    if name == "mod" and values[1] != 0:
        return values[0] % values[1]
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    if name in ("gcd", "lcm") and all(value.denominator == 1 for value in values):
        whole = [value.numerator for value in values]
        return Fraction(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))
    if name in ("sin", "tan", "arcsin", "arctan", "sinh", "tanh") and values[0] == 0:
        return Fraction(0)
    if name in ("cos", "exp", "cosh") and values[0] == 0:
        return Fraction(1)
    if name == "log" and values[0] == 1:
        return Fraction(0)
    raise NotRationalError


def is_undefined(node: Node) -> bool:
    """Whether a part of the expression divides by an exact 0, so that the whole has no value."""
    if not isinstance(node, Call):
        return False
    if any(map(is_undefined, node.args)):
        return True
    if node.name != "^":
        return False
    try:
        base, exponent = map(exact, node.args)
    except (NotRationalError, RefusedError):
        return False
    return base == 0 and exponent < 0


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > BITS:
        raise RefusedError("a number too large")
    return value


def _whole(value: Fraction, most: int) -> int:
    if value.denominator != 1 or value < 0:
        raise NotRationalError
    if value > most:
        raise RefusedError("a number too large")
    return value.numerator


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """A rational power where it is rational; a root of a negative number only where its degree is odd."""
    if base == 0:
        if exponent <= 0:
            raise RefusedError("0 to a power that is not positive")
        return base
    if abs(base) == 1 and exponent.denominator == 1:
        return base if exponent.numerator % 2 else Fraction(1)
    if exponent.denominator > 10_000:
        raise NotRationalError
    if exponent.denominator != 1:
        if base < 0 and exponent.denominator % 2 == 0:
            raise NotRationalError
        root = [_root(abs(part), exponent.denominator) for part in (base.numerator, base.denominator)]
        base = Fraction(-root[0] if base < 0 else root[0], root[1])
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(base) != 1 and size * abs(exponent.numerator) > BITS:
        raise RefusedError("a number too large")
    return base**exponent.numerator


def _root(value: int, degree: int) -> int:
    """The whole root of a whole number, or NotRational."""
    if degree == 2:
        root = math.isqrt(value)
    elif value < 2:
        root = value
    elif degree >= value.bit_length():
        raise NotRationalError
    else:
        low, high = 1, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        root = low
    if root**degree != value:
        raise NotRationalError
    return root


# ---------------------------------------------------------------------------------------------- modulo a prime


def residue(node: Node, prime: int, values: Mapping[str, int]) -> int:  # noqa: PLR0911 - one return a kind
    """The value modulo a prime of what is made of + - * / and whole powers. Raises NotRationalError or RefusedError."""
    if isinstance(node, Num):
        return node.value.numerator * _inverse(node.value.denominator, prime) % prime
    if isinstance(node, Sym):
        if node.name not in values:
            raise NotRationalError
        return values[node.name]
    if node.name == "+":
        return sum(residue(arg, prime, values) for arg in node.args) % prime
    if node.name == "*":
        product = 1
        for arg in node.args:
            product = product * residue(arg, prime, values) % prime
        return product
    if node.name == "^":
        exponent = exact(node.args[1])
        if exponent == 0:
            raise NotRationalError  # 0^0 has no value, and a power that is 1 anywhere else is no reason to guess
        if exponent.denominator == 1:
            base = residue(node.args[0], prime, values)
            return pow(_inverse(base, prime) if exponent < 0 else base, abs(exponent.numerator), prime)
    if node.name == "!":
        product = 1
        for i in range(2, _whole(exact(node.args[0]), _MOST_STEPS) + 1):
            product = product * i % prime
        return product
    value = exact(node)  # raises where it is not rational
    return value.numerator * _inverse(value.denominator, prime) % prime


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise RefusedError("division by zero")
    return pow(value, -1, prime)


def residues(node: Node, names: frozenset[str]) -> tuple[int, int]:
    """The value modulo both primes, unknowns at fixed arbitrary points. Raises as `residue`."""
    found = []
    for prime in _PRIMES:
        points = {
            name: int.from_bytes(hashlib.sha256(f"{name} {prime}".encode()).digest(), "big") % prime for name in names
        }
        found.append(residue(node, prime, points))
    return found[0], found[1]


# ---------------------------------------------------------------------------------------------- numerically


class Ball(NamedTuple):
    """A value and a bound of its error."""

    middle: Any
    radius: Any


class Calculator:
    """Evaluates trees with error bounds at a given number of digits and values of the unknowns."""

    def __init__(self, digits: int, values: Mapping[str, Fraction], *, real: bool) -> None:
        self.mp = MPContext()
        self.mp.dps = digits
        self._eps = self.mp.mpf(10) ** (2 - digits)
        self._values = values
        self._real = real

    def __call__(self, node: Node) -> Ball:  # noqa: PLR0911 - one return a kind
        mp = self.mp
        if isinstance(node, Num):
            return self._exactly(mp.mpf(node.value.numerator) / node.value.denominator)
        if isinstance(node, Sym):
            return self._symbol(node)
        if node.name == "+":
            return self._sum([self(arg) for arg in node.args])
        if node.name == "*":
            product = self(node.args[0])
            for arg in node.args[1:]:
                product = self._times(product, self(arg))
            return product
        if node.name == "^":
            return self._to_the(node.args[0], node.args[1])
        if node.name == "root":
            base, degree = self(node.args[0]), exact(node.args[1])
            if degree.denominator == 1 and degree.numerator % 2 and base.middle.real < 0 and not self._imaginary(base):
                ball = self._raised(Ball(-base.middle, base.radius), self._exactly(1 / mp.mpf(degree.numerator)))
                return Ball(-ball.middle, ball.radius)
            if degree == 0:
                raise RefusedError("a root of degree 0")
            return self._raised(base, self._exactly(mp.mpf(degree.denominator) / degree.numerator))
        return self._function(node.name, [self(arg) for arg in node.args])

    def _exactly(self, middle: Any) -> Ball:
        return Ball(middle, abs(middle) * self._eps)

    def _symbol(self, node: Sym) -> Ball:
        mp = self.mp
        if node == PI:
            return self._exactly(+mp.pi)
        if node == EULER:
            return self._exactly(+mp.e)
        if node == IMAGINARY:
            return Ball(mp.mpc(0, 1), mp.mpf(0))
        if node == INFINITY:
            raise RefusedError("infinity is no number")
        value = self._values[node.name]
        return self._exactly(mp.mpf(value.numerator) / value.denominator)

    def _sum(self, balls: list[Ball]) -> Ball:
        middle = sum((ball.middle for ball in balls), self.mp.mpf(0))
        largest = max(abs(ball.middle) for ball in balls)
        return Ball(middle, sum((ball.radius for ball in balls), self.mp.mpf(0)) + largest * self._eps)

    def _times(self, a: Ball, b: Ball) -> Ball:
        middle = a.middle * b.middle
        radius = abs(a.middle) * b.radius + abs(b.middle) * a.radius + a.radius * b.radius
        return Ball(middle, radius + abs(middle) * self._eps)

    def _imaginary(self, ball: Ball) -> bool:
        return bool(abs(self.mp.im(ball.middle)) > ball.radius)

    def _to_the(self, base_node: Node, exponent_node: Node) -> Ball:
        base = self(base_node)
        try:
            exponent = exact(exponent_node)
        except NotRationalError:
            return self._raised(base, self(exponent_node))
        mp = self.mp
        if exponent.denominator != 1:
            if exponent.denominator > _HUGE or abs(exponent.numerator) > _HUGE:
                raise RefusedError("an exponent too large")
            return self._raised(base, self._exactly(mp.mpf(exponent.numerator) / exponent.denominator))
        n = exponent.numerator
        if abs(n) > _HUGE:
            raise RefusedError("a number too large")
        if abs(base.middle) <= base.radius:
            if n <= 0:
                raise RefusedError("division by zero")
            return Ball(mp.mpf(0), (2 * base.radius) ** n)
        middle = base.middle**n
        relative = abs(n) * (base.radius / abs(base.middle) + self._eps)
        if relative > 1:
            raise RefusedError("too many digits are needed")
        return Ball(middle, 2 * abs(middle) * relative)

    def _raised(self, base: Ball, exponent: Ball) -> Ball:
        mp = self.mp
        if abs(base.middle) <= base.radius:
            if mp.re(exponent.middle) <= exponent.radius:
                raise RefusedError("division by zero")
            return Ball(mp.mpf(0), (2 * base.radius) ** mp.re(exponent.middle))
        if self._real and (self._imaginary(base) or mp.re(base.middle) < 0):
            nearest = mp.nint(mp.re(exponent.middle))
            if abs(exponent.middle - nearest) > exponent.radius:
                raise NotRealError
        logarithm = mp.log(base.middle)
        size = abs(exponent.middle * logarithm)
        if size > _HUGE:
            raise RefusedError("a number too large")
        middle = mp.exp(exponent.middle * logarithm)
        if self._real:
            middle = mp.re(middle)
        relative = exponent.radius * abs(logarithm) + abs(exponent.middle) * (
            base.radius / abs(base.middle) + self._eps
        )
        return Ball(middle, 2 * abs(middle) * (relative + self._eps * (1 + size)))

    def _function(self, name: str, balls: list[Ball]) -> Ball:
        mp = self.mp
        middles = [ball.middle for ball in balls]
        if any(abs(middle) > mp.mpf(2) ** 62 for middle in middles) and name not in ("abs", "log", "max", "min"):
            raise RefusedError("a number too large")
        if name in ("floor", "ceil", "mod"):
            return self._stepwise(name, balls)
        function = _FUNCTIONS.get(name)
        if function is None:
            raise RefusedError(f"{name} has no value")
        if self._real and any(self._imaginary(ball) for ball in balls):
            raise NotRealError
        try:
            middle = function(mp, *middles)
            spread = mp.mpf(0)
            for i, ball in enumerate(balls):
                for sign in (1, -1):
                    moved = [m + sign * ball.radius if j == i else m for j, m in enumerate(middles)]
                    spread += abs(function(mp, *moved) - middle)
        except (ValueError, ZeroDivisionError, OverflowError, NoConvergence) as error:
            raise RefusedError("undefined") from error
        if not mp.isfinite(middle):
            raise RefusedError("undefined")
        radius = 2 * spread + abs(middle) * self._eps
        if self._real and abs(mp.im(middle)) > radius:
            raise NotRealError
        return Ball(mp.re(middle) if self._real else middle, radius)

    def _stepwise(self, name: str, balls: list[Ball]) -> Ball:
        mp = self.mp
        if name == "mod":
            if abs(balls[1].middle) <= balls[1].radius:
                raise RefusedError("division by zero")
            quotient = self._times(balls[0], self._to_ball_inverse(balls[1]))
            steps = self._stepwise("floor", [quotient])
            part = self._times(balls[1], steps)
            return self._sum([balls[0], Ball(-part.middle, part.radius)])
        value = mp.re(balls[0].middle)
        nearest = mp.nint(value)
        if abs(value - nearest) <= balls[0].radius:
            return self._exactly(nearest)
        return self._exactly(mp.floor(value) if name == "floor" else mp.ceil(value))

    def _to_ball_inverse(self, ball: Ball) -> Ball:
        middle = 1 / ball.middle
        return Ball(middle, 2 * abs(middle) * (ball.radius / abs(ball.middle) + self._eps))


_FUNCTIONS: dict[str, Any] = {
    "sin": lambda mp, x: mp.sin(x),
    "cos": lambda mp, x: mp.cos(x),
    "tan": lambda mp, x: mp.tan(x),
    "cot": lambda mp, x: mp.cot(x),
    "sec": lambda mp, x: mp.sec(x),
    "csc": lambda mp, x: mp.csc(x),
    "arcsin": lambda mp, x: mp.asin(x),
    "arccos": lambda mp, x: mp.acos(x),
    "arctan": lambda mp, x: mp.atan(x),
    "arccot": lambda mp, x: mp.acot(x),
    "sinh": lambda mp, x: mp.sinh(x),
    "cosh": lambda mp, x: mp.cosh(x),
    "tanh": lambda mp, x: mp.tanh(x),
    "coth": lambda mp, x: mp.coth(x),
    "exp": lambda mp, x: mp.exp(x),
    "abs": lambda mp, x: abs(x),
    "log": lambda mp, x, base: mp.log(x) / mp.log(base),
    "!": lambda mp, x: mp.gamma(x + 1),
    "binom": lambda mp, n, k: mp.binomial(n, k),
    "max": lambda mp, *xs: max(xs),
    "min": lambda mp, *xs: min(xs),
}


def points(names: frozenset[str]) -> list[dict[str, Fraction]]:
    """POINTS assignments that depend on the names alone: whole numbers, positive and mixed fractions."""
    found: list[dict[str, Fraction]] = []
    for i in range(POINTS):
        at = {}
        for name in names:
            draw = int.from_bytes(hashlib.sha256(f"{name} at {i}".encode()).digest()[:8], "big")
            if i % 3 == 0:
                at[name] = Fraction(2 + draw % 11)
            else:
                size = Fraction(draw % 9973 + 997, 3989)
                at[name] = -size if i % 3 == 2 and draw >> 40 & 1 else size
        found.append(at)
    if names and all(value > 0 for at in found for value in at.values()):
        found[-1] = {name: -value for name, value in found[-1].items()}
    return found


# ---------------------------------------------------------------------------------------------- together


def same_value(a: Node, b: Node) -> bool:
    """Whether two expressions are equal, as the module says. Raises RefusedError where that cannot be known."""
    a, b = sealed(a), sealed(b)
    if a == b:
        return True
    if has_infinity(a) or has_infinity(b):
        return signed_infinity(a) is not None and signed_infinity(a) == signed_infinity(b)
    rough = has_decimal(a) or has_decimal(b)
    try:
        left, right = exact(a), exact(b)
        return left == right or (rough and _close(left, right, [(a, left), (b, right)]))
    except (NotRationalError, RefusedError):
        pass
    names = unknowns(a) | unknowns(b)
    if not rough:
        try:
            return residues(a, names) == residues(b, names)
        except (NotRationalError, RefusedError):
            pass
    return _same_numerically(a, b, names, rough=rough)


def _close(left: Any, right: Any, sides: list[tuple[Node, Any]]) -> bool:
    """The rule for decimals."""
    distance = abs(left - right)
    exact_side = [value for node, value in sides if not has_decimal(node)]
    reference = abs(exact_side[0]) if exact_side else max(abs(left), abs(right))
    if isinstance(distance, Fraction):
        if distance > RELATIVE * reference:
            return False
    elif distance * RELATIVE.denominator > reference * (1 + 1e-9):
        return False
    units = [unit for node, _ in sides if has_decimal(node) and (unit := last_digit(node)) is not None]
    if not units:
        return True
    unit = max(units)
    return bool(distance * unit.denominator < unit.numerator)


def last_digit(node: Node) -> Fraction | None:
    """The unit of the last written digit of a decimal, alone or times exact numbers; None for anything else."""
    if isinstance(node, Num):
        return node.last_digit
    if isinstance(node, Call) and node.name == "*":
        decimals = [arg for arg in node.args if has_decimal(arg)]
        if len(decimals) == 1 and (unit := last_digit(decimals[0])) is not None:
            try:
                for arg in node.args:
                    if arg is not decimals[0]:
                        unit *= abs(exact(arg))
            except (NotRationalError, RefusedError):
                return None
            return unit
    return None


def has_decimal(node: Node) -> bool:
    if isinstance(node, Call):
        return any(map(has_decimal, node.args))
    return isinstance(node, Num) and node.last_digit is not None


def _has(node: Node, symbol: Sym) -> bool:
    return any(_has(arg, symbol) for arg in node.args) if isinstance(node, Call) else node == symbol


def has_infinity(node: Node) -> bool:
    return _has(node, INFINITY)


def signed_infinity(node: Node) -> int | None:
    """1 or -1 for plus or minus infinity, None for everything else."""
    if node == INFINITY:
        return 1
    return -1 if node == negative(INFINITY) else None


def sealed(node: Node) -> Node:
    """With every applied f, g and h as an unknown of its own, named by its argument's canonical form."""
    if not isinstance(node, Call):
        return node
    args = tuple(map(sealed, node.args))
    if is_applied(node.name):
        return Sym(f"{node.name}({', '.join(map(canonical_value, args))})")
    return Call(node.name, args)


def _same_numerically(a: Node, b: Node, names: frozenset[str], *, rough: bool) -> bool:
    real = not (_has(a, IMAGINARY) or _has(b, IMAGINARY))
    for only_real in (True, False) if real else (False,):
        agreed = 0
        for at in points(names) if names else [{}]:
            same = _same_at(a, b, at, real=only_real, rough=rough)
            if same is False:
                return False
            agreed += same is True
        if agreed >= (2 if names else 1):
            if not rough and not _is_settled(Call("+", (a, b))):
                raise RefusedError("the numbers are too large to be compared to the last digit")
            return True
    return _tell_apart_by_size(a, b)


def _same_at(a: Node, b: Node, at: Mapping[str, Fraction], *, real: bool, rough: bool) -> bool | None:  # noqa: PLR0911 - one return a kind
    """Whether they agree at a point; None where one of them has no value there."""
    last = max(DIGITS[-1], 3 * (_written_digits(a) + _written_digits(b)))
    for digits in (*DIGITS, last) if DIGITS[-1] < last <= MOST_DIGITS else DIGITS:
        try:
            calculator = Calculator(digits, at, real=real)
            left, right = calculator(a), calculator(b)
        except NotRealError:
            return None
        except RefusedError:
            return None
        except NotRationalError:
            return None
        if not (_means_something(left) and _means_something(right)):
            if digits == last or (digits == DIGITS[-1] and last > MOST_DIGITS):
                return None
            continue
        distance = abs(left.middle - right.middle)
        if rough:
            return _close(left.middle, right.middle, [(a, left.middle), (b, right.middle)])
        if distance > left.radius + right.radius:
            return False
    return True


def _means_something(ball: Ball) -> bool:
    """Whether the bound says more than "some number", as it does not at a pole."""
    return bool(ball.radius < max(abs(ball.middle), 1) * 1e-12)


def _written_digits(node: Node) -> int:
    """About how many digits the long numbers in it have, powers and factorials computed; short ones count nothing."""
    if isinstance(node, Num):
        return _long_digits(node.value)
    if isinstance(node, Sym):
        return 0
    try:
        value = exact(node)
    except NotRationalError:
        return sum(map(_written_digits, node.args))
    except RefusedError as refused:
        return sum(map(_written_digits, node.args)) + (MOST_DIGITS if "too large" in str(refused) else 0)
    return _long_digits(value)


def _long_digits(value: Fraction) -> int:
    digits = (value.numerator.bit_length() + value.denominator.bit_length()) // 3
    return digits if digits > 15 else 0


def _is_settled(node: Node) -> bool:
    """Whether MOST_DIGITS are enough to tell it from anything else as short."""
    return 3 * _written_digits(node) <= MOST_DIGITS


def _tell_apart_by_size(a: Node, b: Node) -> bool:
    """False where one is a tower that no machine holds and the other a number; else Refused."""
    sizes = []
    for node in (a, b):
        try:
            Calculator(DIGITS[0], points(unknowns(node))[0], real=False)(node)
            sizes.append("a number")
        except RefusedError as error:
            tower = "too large" in str(error) and _grows(node)
            sizes.append("a tower" if tower else "unknown")
        except (NotRationalError, NotRealError):
            sizes.append("unknown")
    if sorted(sizes) == ["a number", "a tower"]:
        return False
    raise RefusedError("no value could be compared")


def _grows(node: Node) -> bool:
    """Whether it is made of whole numbers of at least 2 by operations that only make them larger."""
    if isinstance(node, Num):
        return node.value.denominator == 1 and node.value >= 2
    return isinstance(node, Call) and node.name in ("+", "*", "^", "!") and all(map(_grows, node.args))


# ---------------------------------------------------------------------------------------------- canonical


def canonical_value(node: Node) -> str:
    """The same string for equal values, another for different ones (as far as can be known)."""
    node = sealed(node)
    if (sign := signed_infinity(node)) is not None:
        return "oo" if sign > 0 else "-oo"
    try:
        value = exact(node)
        if value.numerator.bit_length() + value.denominator.bit_length() < 4_000:
            return str(value)
        return "#" + hashlib.sha256(f"{value.numerator:x}/{value.denominator:x}".encode()).hexdigest()
    except (NotRationalError, RefusedError):
        pass
    names = unknowns(node)
    try:
        fingerprint = residues(node, names)
    except (NotRationalError, RefusedError):
        return _numeric_form(node, names)
    return _polynomial_form(node) or f"#{fingerprint[0]:x}{fingerprint[1]:x}"


def _polynomial_form(node: Node) -> str | None:
    """A quotient of expanded polynomials in lowest terms, where that is small."""
    from sympy import cancel

    return str(cancel(_to_sympy(node))) if _is_small(node) else None


def primitive_form(node: Node, *, keep_sign: bool) -> str | None:
    """The numerator of a small rational expression without its constant factor (but for the sign where that has to be
    kept); None for anything else."""
    from sympy import Poly, cancel, fraction

    try:
        residues(node, unknowns(node))
    except (NotRationalError, RefusedError):
        return None
    if not _is_small(node):
        return None
    top, bottom = fraction(cancel(_to_sympy(node)))
    if top.is_number or (keep_sign and not bottom.is_number):
        return None
    _, primitive = Poly(top).primitive()
    return str((-primitive if primitive.LC() < 0 and not keep_sign else primitive).as_expr())


def _is_small(node: Node) -> bool:
    names, degree = unknowns(node), _degree(node)
    return bool(names) and degree <= 40 and len(names) <= 50 and (len(names) <= 6 or degree <= 6)


def _degree(node: Node) -> int:
    """A bound of the degrees of numerator and denominator; 1000 where there is none."""
    if isinstance(node, Num):
        return 0
    if isinstance(node, Sym):
        return 1
    if node.name == "*":
        return sum(map(_degree, node.args))
    if node.name == "+":
        return sum(map(_degree, node.args)) if _divides(node) else max(map(_degree, node.args))
    if node.name == "^":
        exponent = exact(node.args[1])
        return min(1000, _degree(node.args[0]) * abs(exponent.numerator))
    return 0


def _divides(node: Node) -> bool:
    if not isinstance(node, Call):
        return False
    if node.name == "^" and unknowns(node) and exact(node.args[1]) < 0:
        return True
    return any(map(_divides, node.args))


def _to_sympy(node: Node) -> Any:
    from sympy import Add, Integer, Mul, Pow, Rational, Symbol

    if not unknowns(node):
        value = exact(node)
        return Rational(value.numerator, value.denominator)
    if isinstance(node, Sym):
        return Symbol(node.name)
    assert isinstance(node, Call)
    if node.name == "+":
        return Add(*map(_to_sympy, node.args))
    if node.name == "*":
        return Mul(*map(_to_sympy, node.args))
    return Pow(_to_sympy(node.args[0]), Integer(exact(node.args[1]).numerator))


def _numeric_form(node: Node, names: frozenset[str]) -> str:
    """Closed forms of simple numbers, else digits; for expressions, a digest of their values at fixed points."""
    real = not _has(node, IMAGINARY)
    if not _is_settled(node):
        raise RefusedError("a number too large")
    digits = max(80, 3 * _written_digits(node))
    if not names:
        for only_real in (True, False) if real else (False,):
            try:
                calculator = Calculator(digits, {}, real=only_real)
                ball = calculator(node)
            except NotRealError:
                continue
            if not _means_something(ball):
                break
            return _constant(calculator.mp, ball, digits)
        raise RefusedError("no value")
    values = []
    constants = []
    for at in points(names):
        try:
            calculator = Calculator(digits, at, real=real)
            ball = calculator(node)
            values.append(_digits(calculator.mp, ball, digits - 40))
            constants.append(_constant(calculator.mp, ball, digits))
        except (NotRealError, NotRationalError, RefusedError):
            values.append("-")
    if not constants:
        raise RefusedError("no value")
    if len(constants) > 2 and len(set(constants)) == 1:
        return constants[0]
    digest = hashlib.sha256(" ".join(values).encode()).hexdigest()[:24]
    return f"expression in {', '.join(sorted(names))} #{digest}"


def _digits(mp: Any, ball: Ball, count: int) -> str:
    real, imaginary = (
        mp.nstr(part, count) if abs(part) > ball.radius else "0" for part in (mp.re(ball.middle), mp.im(ball.middle))
    )
    return str(real) if imaginary == "0" else f"{real} + {imaginary}*I"


def _constant(mp: Any, ball: Ball, digits: int) -> str:
    """A number by its value alone: p/q, sqrt(p/q), p/q*pi, or 40 digits; real and imaginary part.

    Where long numbers are written in it, further digits count, as a digest."""
    parts = []
    for part in (mp.re(ball.middle), mp.im(ball.middle)):
        parts.append("0" if abs(part) <= ball.radius else _closed_form(mp, part, digits))
    return parts[0] if parts[1] == "0" else f"{parts[0]} + ({parts[1]})*I"


def _closed_form(mp: Any, value: Any, digits: int) -> str:
    if abs(mp.log10(abs(value))) < 12:
        for scaled, form in ((value, "{}"), (value / mp.pi, "{}*pi"), (value * value, "{}sqrt({})")):
            fraction = _fraction(mp, scaled, digits - 20)
            if fraction is not None:
                return form.format(fraction) if form.count("{}") == 1 else form.format("-" * (value < 0), fraction)
    shown = str(mp.nstr(value, 40))
    if digits == 80:
        return shown
    return f"{shown} #{hashlib.sha256(mp.nstr(value, digits - 40).encode()).hexdigest()[:16]}"


def _fraction(mp: Any, value: Any, places: int) -> Fraction | None:
    """The fraction with a small denominator that it is to so many places, if any."""
    scaled = Fraction(int(mp.nint(value * mp.mpf(10) ** places)), 10**places)
    near = scaled.limit_denominator(10**9)
    return near if abs(near - scaled) < Fraction(1, 10 ** (places - 5)) else None
