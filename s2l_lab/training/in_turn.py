"""Which of a problem's kept rollouts come next: without replacement, in an order of the problem's own.

The order is a permutation keyed by (training seed, problem, cycle), so a draw is a function of what was drawn before it
alone: a resumed run equals an uninterrupted one, and two processes draw what one would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kept = TypeVar("Kept")


def in_turn(kept: Sequence[Kept], seed: int, problem: str, start: int, end: int) -> list[Kept]:
    """Numbers `start` to `end` - 1, from 0, of the problem's draws; a next permutation begins where one is used up."""
    cycles = range((end - 1) // len(kept) + 1)
    order = np.concatenate([_permutation(seed, problem, cycle, len(kept)) for cycle in cycles])
    return [kept[i] for i in order[start:end]]


def _permutation(seed: int, problem: str, cycle: int, n: int) -> NDArray[np.int64]:
    key = hashlib.blake2b(f"{seed} {problem} {cycle}".encode(), digest_size=16, person=b"bank draw")
    return np.random.default_rng(int.from_bytes(key.digest(), "little")).permutation(n)
