"""Distinct prefixes: rollouts whose text so far is equal share one row of the model's batch.

Rows are prefixes, and rollouts point at rows. After a step, two rollouts share a row iff they shared one before and
drew the same token, so prefixes form a tree that grows level by level and is never searched. A parent's first child
inherits its row, so that `reorder_cache` copies branches only (see row_cache).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Children:
    """The distinct prefixes after one more token: C of them, from B rollouts."""

    parent_C: NDArray[np.int64]
    """Row of the prefix that each extends."""
    token_C: NDArray[np.int64]
    """The token that each adds."""
    member_C: NDArray[np.int64]
    """A rollout (0 to B - 1) that has this prefix."""
    child_B: NDArray[np.int64]
    """The prefix (0 to C - 1) of each rollout."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Where prefixes stand in the next batch of R rows."""

    parent_R: NDArray[np.int64]
    """The index for `reorder_cache`: which old row each new one extends."""
    token_R: NDArray[np.int64]
    """The tokens to feed."""
    row_B: NDArray[np.int64]
    """The row of each rollout."""


def extend(row_B: NDArray[np.int64], token_B: NDArray[np.int64], merge: bool) -> Children:
    """Prefixes after rollout i, on row row_B[i], drew token_B[i]. Without `merge` every rollout has its own prefix."""
    if not merge:
        member_C = np.argsort(row_B, kind="stable")
        child_B = np.empty_like(member_C)
        child_B[member_C] = np.arange(len(member_C))
        return Children(row_B[member_C], token_B[member_C], member_C, child_B)
    span = int(token_B.max(initial=0)) + 1
    key_C, member_C, child_B = np.unique(row_B * span + token_B, return_index=True, return_inverse=True)
    return Children(key_C // span, token_B[member_C], member_C, child_B)


def place(children: Children, multiple: int) -> Rows:
    """Rows for all prefixes, each on its parent's row where that is free, filled up to a multiple of `multiple`.

    The filling repeats row 0; it exists for the matrix kernels (sampler.ROW_MULTIPLE) and no rollout points at it.
    """
    count = len(children.parent_C)
    first_C = np.ones(count, dtype=bool)
    first_C[1:] = children.parent_C[1:] != children.parent_C[:-1]  # prefixes are sorted by parent
    stays_C = first_C & (children.parent_C < count)
    slot_C = children.parent_C.copy()
    free = np.ones(count, dtype=bool)
    free[slot_C[stays_C]] = False
    slot_C[~stays_C] = np.flatnonzero(free)
    total = -(-count // multiple) * multiple
    child_R = np.zeros(total, dtype=np.int64)
    child_R[slot_C] = np.arange(count)
    child_R[count:] = child_R[0]
    return Rows(children.parent_C[child_R], children.token_C[child_R], slot_C[children.child_B])
