"""Counts are checked here once, then pooled into cells.

Every estimator of this package is a mean over problems of a function of (N, c), or of the same pairs of several
policies. Problems with equal counts are therefore interchangeable: they are pooled into C cells with a weight, values
are computed once per cell, and a bootstrap over problems is a multinomial (or a multiplier) draw of the cell weights.
The cost of everything after this module does not grow with the number of problems.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Ints


@dataclass(frozen=True, slots=True)
class Cells:
    """Problems pooled by their counts. Arrays have shape (C,)."""

    correct_C: Ints
    total_C: Ints
    weight_C: Ints
    """How many problems each cell holds; sums to P."""
    cluster_C: Ints | None = None
    """The cluster that a cell's problems lie in; None where problems stand alone."""

    @property
    def effective_units(self) -> float:
        """Units of equal size that the problems are worth: (sum n)^2 / sum n^2 over clusters; P without clusters."""
        if self.cluster_C is None:
            return float(self.n_problems)
        size_G = np.bincount(self.cluster_C, self.weight_C)
        return float(size_G.sum() ** 2 / (size_G**2).sum())

    @property
    def n_units(self) -> int:
        """What a bootstrap over problems draws: clusters, or problems where they stand alone."""
        return self.n_problems if self.cluster_C is None else np.unique(self.cluster_C).size

    @property
    def n_problems(self) -> int:
        return int(self.weight_C.sum())

    @property
    def min_total(self) -> int:
        """Rollouts of the problem that has fewest: the largest k that may be asked."""
        return int(self.total_C.min())


def check_aligned(**named: object) -> None:
    """UsageError where two of the arguments are pandas objects whose indices differ: positions would not match."""
    indexed = [(name, one) for name, one in named.items() if hasattr(one, "index") and not callable(one.index)]
    for (name, one), (other, two) in itertools.pairwise(indexed):
        if len(one.index) != len(two.index) or not (np.asarray(one.index) == np.asarray(two.index)).all():
            raise UsageError(
                f"{name} and {other} have different indices, so their entries belong to different problems. Align them "
                "first (as a.reindex(b.index)), or give plain arrays in one order."
            )


def check_columns(**named: object) -> None:
    """`check_aligned` for tables: rows and columns of pandas objects must match."""
    check_aligned(**named)
    framed = {name: one for name, one in named.items() if hasattr(one, "columns")}
    for (name, one), (other, two) in itertools.pairwise(framed.items()):
        if list(one.columns) != list(two.columns):
            raise UsageError(
                f"{name} and {other} have different columns, so their entries belong to different problems. Align them "
                "first (as a[b.columns]), or give plain arrays in one order."
            )


def refuse_masked(name: str, values: object) -> None:
    """UsageError for a masked array: NumPy would read what lies under the mask."""
    if isinstance(values, np.ma.MaskedArray):
        raise UsageError(
            f"{name} is a masked array. A masked count is no count: give the problems that have one "
            "(as array.compressed(), with the same problems left out everywhere)."
        )


def whole(name: str, values: ArrayLike) -> Ints:
    """The values as a one-dimensional array of integers; UsageError for anything that is not whole numbers."""
    refuse_masked(name, values)
    array: NDArray[np.generic] = np.asarray(values)
    if array.ndim != 1:
        raise UsageError(f"{name} must be one-dimensional, one entry per problem; it has shape {array.shape}.")
    if array.size and array.dtype.kind not in "iu":
        raise UsageError(f"{name} must hold integers, numbers of rollouts; it holds {array.dtype}.")
    return array.astype(np.int64, copy=False)


def check_counts(correct: ArrayLike, total: ArrayLike) -> tuple[Ints, Ints]:
    """Both as (P,) integers, 0 <= correct <= total and total >= 1; UsageError names the first problem at fault.

    A total that is one number holds for every problem.
    """
    check_aligned(correct_P=correct, total_P=total)
    correct_P = whole("correct_P", correct)
    total_P = whole("total_P", total) if np.ndim(total) else np.full(correct_P.size, one_whole("total_P", total))
    if correct_P.shape != total_P.shape:
        raise UsageError(f"correct_P has {correct_P.size} problems, total_P has {total_P.size}; they must match.")
    if correct_P.size == 0:
        raise UsageError("no problem was given; an estimate needs at least one problem with at least one rollout.")
    wrong_P = (correct_P < 0) | (correct_P > total_P) | (total_P < 1)
    if wrong_P.any():
        i = int(wrong_P.argmax())
        raise UsageError(
            f"problem {i} has {correct_P[i]} correct of {total_P[i]} rollouts; a problem needs at least one rollout "
            "and 0 <= correct <= total. Sample what is owed, or count rollouts rather than problems."
        )
    return correct_P, total_P


def check_unknown(unknown: ArrayLike, correct_P: Ints, total_P: Ints) -> Ints:
    """Unknown rollouts as (P,) integers >= 0 with correct + unknown <= total, or UsageError."""
    unknown_P = whole("unknown_P", unknown)
    if unknown_P.shape != total_P.shape:
        raise UsageError(f"unknown_P has {unknown_P.size} problems, total_P has {total_P.size}; they must match.")
    wrong_P = (unknown_P < 0) | (correct_P + unknown_P > total_P)
    if wrong_P.any():
        i = int(wrong_P.argmax())
        raise UsageError(
            f"problem {i} has {unknown_P[i]} unknown beside {correct_P[i]} correct of {total_P[i]} rollouts; "
            "the total counts every rollout, unknown ones included."
        )
    return unknown_P


def pool(correct: ArrayLike, total: ArrayLike, cluster_P: Ints | None = None) -> Cells:
    """Pool checked counts into cells: a histogram of c for equal N, the joint histogram of (N, c) otherwise.

    With codes of clusters (`units.cluster_codes`) every cluster has cells of its own.
    """
    correct_P, total_P = check_counts(correct, total)
    if cluster_P is not None:
        rows_3C, weight_C = np.unique(np.stack([cluster_P, total_P, correct_P]), axis=1, return_counts=True)
        return Cells(rows_3C[2], rows_3C[1], weight_C, rows_3C[0])
    if total_P.min() == total_P.max():
        weight = np.bincount(correct_P)
        correct_C = np.flatnonzero(weight)
        return Cells(correct_C, np.full(correct_C.size, total_P[0]), weight[correct_C])
    base = int(total_P.max()) + 1
    key_C, weight_C = np.unique(total_P * base + correct_P, return_counts=True)
    return Cells(key_C % base, key_C // base, weight_C)


def one_whole(name: str, value: object) -> int:
    """A single whole number, also as an array of no dimension; UsageError for anything else."""
    refuse_masked(name, value)
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "iu":
        raise UsageError(f"{name} = {value!r} was given; it is one whole number.")
    return int(array)


def check_ks(ks: int | Sequence[int] | Ints | None, min_total: int) -> Ints:
    """The ks as (K,) integers in 1..min_total; None means all of them. UsageError says which k is out of reach."""
    if ks is None:
        return np.arange(1, min_total + 1)
    refuse_masked("k", ks)
    ks_K = whole("k", np.atleast_1d(np.asarray(ks)))
    if ks_K.size == 0:
        raise UsageError("no k was given; ask for at least one k, or for None to get every k up to N.")
    if ks_K.min() < 1 or ks_K.max() > min_total:
        bad = int(ks_K.min()) if ks_K.min() < 1 else int(ks_K.max())
        raise UsageError(
            f"k = {bad} was asked; k must lie in 1..{min_total}, as the problem with fewest rollouts has {min_total}. "
            f"Ask for a smaller k, or sample at least {max(bad, 1)} rollouts of every problem."
        )
    return ks_K


def check_increasing(ks_K: Ints) -> Ints:
    """Curves are read from left to right: UsageError unless the ks increase strictly."""
    if (np.diff(ks_K) <= 0).any():
        raise UsageError(f"the ks of a curve must increase strictly; given: {ks_K.tolist()}. Sort them, each once.")
    return ks_K


def check_level(level: float) -> float:
    """UsageError unless 0 < level < 1 (the usual slip is 95 for .95)."""
    if not 0 < level < 1:
        slip = f" Did you mean {level / 100:g}?" if 1 <= level < 100 else ""
        raise UsageError(f"level = {level:g} was asked; it is a coverage between 0 and 1, as 0.95.{slip}")
    return level
