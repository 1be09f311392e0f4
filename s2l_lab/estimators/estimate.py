"""Counts in, Estimates and Curves out: the records of the estimators.

An estimate never travels without its interval, the name of what was resampled, and its counts. Undefined is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Interval = Literal["rollouts", "problems", "seeds"]
"""Which question an interval answers: these problems with other draws; other problems of this kind; other training runs."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Outcomes of one policy on one problem set. All arrays have shape (P,), one entry per problem."""

    problem_ids: tuple[str, ...]
    correct_P: NDArray[np.int64]
    """Rollouts with outcome CORRECT."""
    total_P: NDArray[np.int64]
    """All rollouts, unknown ones included."""
    unknown_P: NDArray[np.int64]
    """Rollouts with outcome VERIFIER_ERROR: correct lies between correct_P and correct_P + unknown_P."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One number with its interval."""

    value: float
    lower: float
    upper: float
    level: float
    """Nominal coverage, as .95."""
    method: str
    """How the interval was made, as `u-statistic`, `eb-beta-binomial (prior-dependent)`, `studentised bootstrap`."""
    interval: Interval
    n_problems: int
    n_rollouts: int
    """Rollouts in all; 0 makes every value NaN."""


@dataclass(frozen=True, slots=True)
class Curve:
    """pass@k for several k over ONE problem set. Arrays have shape (K,)."""

    k: NDArray[np.int64]
    value: NDArray[np.float64]
    """NaN where VERIFIER_ERROR outcomes leave it undetermined; `bound_low`, `bound_high` then say between what."""
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    """Pointwise interval ends at `level`."""
    band_lower: NDArray[np.float64]
    band_upper: NDArray[np.float64]
    """Simultaneous band over all k at `level` (problems only; NaN otherwise)."""
    bound_low: NDArray[np.float64]
    bound_high: NDArray[np.float64]
    """The curve with every unknown rollout wrong, and with every one right; both equal `value` where none is unknown."""
    method: tuple[str, ...]
    """How the interval at each k was made; `prior-dependent` is said where it applies."""
    interval: Interval
    level: float
    n_problems: int
    n_rollouts: int
    """Rollouts per problem (the smallest, where they differ)."""
