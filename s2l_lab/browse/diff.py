"""What two completions share and where they part, token by token or word by word.

difflib finds the longest common blocks first, which keeps what is shared together as a reader would; its automatic
junk (frequent elements are ignored in long sequences) is off, because in a completion the frequent tokens are the
spaces and operators that hold the blocks. The time is quadratic at worst, so only the first LONGEST elements of each
are compared and the result says that it was cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

LONGEST = 2_000
"""Elements of each side that are compared: under a second even where nothing fits."""
Kind = Literal["same", "only_a", "only_b", "changed"]
_KINDS: dict[str, Kind] = {"equal": "same", "delete": "only_a", "insert": "only_b", "replace": "changed"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of elements that both sequences have, that only one has, or that differs."""

    kind: Kind
    a: tuple[str, ...]
    b: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diff:
    """Pieces in order. All `a` joined give the compared part of the first sequence, all `b` that of the second."""

    pieces: tuple[Piece, ...]
    similarity: float
    """2 x shared elements / all elements, from 0 to 1; 1 for two empty sequences."""
    cut: bool
    """Whether one of the texts was longer than LONGEST and was cut."""


def diff(a: Sequence[str], b: Sequence[str]) -> Diff:
    """Compare two sequences of tokens."""
    first, second = tuple(a[:LONGEST]), tuple(b[:LONGEST])
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    pieces = tuple(
        Piece(_KINDS[operation], first[a0:a1], second[b0:b1]) for operation, a0, a1, b0, b1 in matcher.get_opcodes()
    )
    return Diff(pieces, matcher.ratio(), cut=max(len(a), len(b)) > LONGEST)


def words(text: str) -> tuple[str, ...]:
    """Words, stretches of white space, and other characters one by one; joined they are the text."""
    return tuple(re.findall(r"\w+|\s+|[^\w\s]", text))
