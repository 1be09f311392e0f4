"""Laws of solve rates for scripted policies: `beta(0.3,1)`, `point(0.5)`, and mixtures of them.

A mixture is weights times laws: `0.3*point(0)+0.7*beta(0.5,1)` (30 % unsolvable problems, the rest spread). A problem's
rate is the law's quantile at a uniform hashed from (law, problem id): known in advance, equal for every policy of one
law whatever its name, seed or engine, and not a sample that has to be stored.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from s2l_lab.errors import UsageError

_NUMBER = r"(\d+\.?\d*|\.\d+)"
_TERM = re.compile(rf"(?:{_NUMBER}\*)?(?:beta\({_NUMBER},{_NUMBER}\)|point\({_NUMBER}\))")
_EXAMPLES = "Examples: beta(0.3,1); point(0.5); 0.3*point(0)+0.7*beta(0.5,1)."


@dataclass(frozen=True, slots=True)
class _Part:
    weight: float
    a: float
    b: float
    """Parameters of a beta; b = 0 marks a point mass at a."""


@dataclass(frozen=True, slots=True)
class RateLaw:
    """A law on [0, 1]."""

    text: str
    parts: tuple[_Part, ...]

    def of(self, problem_id: str) -> float:
        """The solve rate of this problem, in [0, 1]."""
        from scipy.stats import beta

        word = hashlib.blake2b(f"{self.text} {problem_id}".encode(), digest_size=16).digest()
        which, where = (int.from_bytes(half, "little") / 2**64 for half in (word[:8], word[8:]))
        for part in self.parts:
            which -= part.weight
            if which < 0:
                break
        return part.a if part.b == 0 else float(beta.ppf(where, part.a, part.b))


def parse_solve_rates(text: str) -> RateLaw:
    """The law that `text` names. Raises UsageError for what is not one, and for weights that do not sum to 1."""
    compact = text.replace(" ", "")
    parts: list[_Part] = []
    for term in compact.split("+"):
        match = _TERM.fullmatch(term)
        if match is None:
            raise UsageError(f"{text!r} is not a law of solve rates: {term!r} is not understood. {_EXAMPLES}")
        weight, a, b, point = match.groups()
        part = _Part(float(weight or 1), float(point if a is None else a), 0.0 if a is None else float(b))
        if (a is None and part.a > 1) or (a is not None and min(part.a, part.b) <= 0):
            raise UsageError(f"{text!r}: point(p) needs p from 0 to 1, beta(a,b) needs a and b above 0. {_EXAMPLES}")
        parts.append(part)
    if abs(sum(part.weight for part in parts) - 1) > 1e-9:
        raise UsageError(
            f"{text!r}: the weights of a mixture sum to 1, these to {sum(p.weight for p in parts):g}. {_EXAMPLES}"
        )
    return RateLaw(compact, tuple(parts))
