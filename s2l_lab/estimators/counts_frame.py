"""Counts from a frame, as `open_run(...).counts()` has them: with their problems, and the clusters of these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_counts, check_unknown
from s2l_lab.estimators.estimate import Counts

if TYPE_CHECKING:
    import pandas as pd


def is_frame(given: Any) -> TypeGuard[pd.DataFrame]:
    """Whether it is a table of columns rather than an array, a list or a column."""
    return hasattr(given, "columns")


def counts_of_frame(frame: pd.DataFrame, name: str = "the frame") -> Counts:
    """One policy's counts: the index holds the problems, the columns are correct, total and, where there are any,
    unknown and cluster (missing throughout where every problem stands alone).

    Raises UsageError for a frame without these columns or of several policies, and for counts that cannot be.
    """
    if not {"correct", "total"} <= set(frame.columns):
        raise UsageError(f"{name} has no columns correct and total; give counts().loc[POLICY] of a run.")
    if frame.index.nlevels > 1:
        raise UsageError(f"{name} holds several policies; give those of one, as counts.loc[POLICY].")
    if not frame.index.is_unique:
        raise UsageError(f"{name} names a problem twice; give one row a problem.")
    correct, total = check_counts(frame["correct"], frame["total"])
    unknown = check_unknown(frame["unknown"], correct, total) if "unknown" in frame else np.zeros_like(correct)
    apart = "cluster" not in frame or bool(frame["cluster"].isna().all())
    return Counts(tuple(map(str, frame.index)), correct, total, unknown, None if apart else tuple(frame["cluster"]))


def policies_of_frame(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The frame of every policy by name, in order of arrival. Raises UsageError where the index is not (policy,
    problem)."""
    if not {"correct", "total"} <= set(frame.columns) or frame.index.nlevels != 2:
        raise UsageError("the frame is none of counts(): it needs the index (policy, problem) and correct, total.")
    return {str(name): one.droplevel(0) for name, one in frame.groupby(level=0, sort=False)}
