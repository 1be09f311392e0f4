"""What a persistence study finds, as plain records; `persistence` makes them, figures render them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.contrast_arms import Role
    from s2l_lab.studies.matching import Match


@dataclass(frozen=True, slots=True)
class ByLag:
    """One statistic at several lags, horizons or positions; arrays have shape (L,)."""

    at: NDArray[np.int64]
    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    n: NDArray[np.int64]
    """What stands behind each value: pairs of tokens for a lag, rollouts that reach the horizon, traces still alive."""

    @classmethod
    def of(cls, at: Sequence[int], estimates: Sequence[Estimate], n: Sequence[int]) -> ByLag:
        """One estimate and its n for each place."""
        value, lower, upper = (np.array([getattr(e, end) for e in estimates]) for end in ("value", "lower", "upper"))
        return cls(np.array(at), value, lower, upper, np.array(n))


@dataclass(frozen=True, slots=True)
class Survival:
    """Prefix survival of one policy along greedy traces: an exact product, no sampling."""

    trace: str
    """Whose greedy trace: the learner's, or the policy's own."""
    curve: ByLag
    """Mean over problems of the probability of the first t tokens of the trace, t = 0, 1, ...; S(0) = 1."""
    hazard: Estimate
    """Pooled chance per token of leaving the trace."""
    constant: NDArray[np.float64]
    """What a constant hazard would give over the same traces: mean of (1 - hazard)^min(t, T), at the t of the curve."""


@dataclass(frozen=True, slots=True)
class ScoreCovariance:
    """Cov(z_t, z_s) of `head` score functions along a fixed direction, by lag, beside the paper's bounds."""

    covariance: ByLag
    bound: NDArray[np.float64]
    """5 B^2 Pr(M_t = 0), averaged over the same pairs (Corollary E.3)."""
    cauchy_schwarz: float
    """B^2: what |Cov| cannot exceed whatever the policy."""
    direction: str
    """Where the direction comes from, in words."""


@dataclass(frozen=True, slots=True)
class PersistenceRow:
    """One behaviour policy, scored by the learner at temperature 1."""

    name: str
    role: Role
    temperature: float
    matches: str | None
    n_rollouts: int
    n_tokens: int
    kl: Estimate
    """KL(b || learner), nats per token, pooled along b's own rollouts."""
    drift: Estimate
    """sum e / sum T: surprisal minus entropy, nats per token."""
    persistent_drift: Estimate
    """sum d / sum T: the part that persists; equals `drift` in expectation."""
    variance_ratio: ByLag
    """VR(q) of e."""
    variance_ratio_m: ByLag
    """VR(q) of m, whose expectation is 1 for every behaviour policy: the check on the instrument."""
    variance_ratio_own: ByLag | None
    """VR(q) of e when the learner scores at the arm's own temperature (1 in expectation); None for other policies."""
    autocorrelation: ByLag
    """Of e, from uncentred products."""
    autocovariance_d: ByLag
    """Of d around the problem's mean."""
    icc: Estimate
    """Intraclass correlation of e within rollouts."""
    survival: tuple[Survival, ...]
    """Along the learner's greedy traces, and along the policy's own."""
    score_covariance: ScoreCovariance | None


@dataclass(frozen=True, slots=True)
class Persistence:
    """The study's result."""

    learner: str
    rows: tuple[PersistenceRow, ...]
    """The learner first: the null."""
    matches: tuple[Match, ...]
