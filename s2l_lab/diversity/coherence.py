"""Step-to-step coherence: does a rollout keep its own direction from one step to the next?

With v_it the embedding of step t of rollout i, mu the mean over all steps of all rollouts of the problem, and
r_it = v_it - mu (what is said beyond the problem's topic),

    coherence = mean of cos(r_it, r_i,t+1) over all pairs of consecutive steps of all rollouts.

It is above 0 for dull reasons too: the second step of every rollout looks like a second step. So it is read against the
*matched null*, the same cosine with the next step of another rollout, cos(r_it, r_j,t+1) averaged over all j != i that
have one: same problem, same positions, same mean, no common author. What is left, `excess`, is 0 where steps depend on
their position alone.

What would surprise: pairs are pooled, so a long rollout counts by its pairs (a mean of rollouts' means would be
dominated by short ones). Residuals from a common mean are negatively correlated, about -1 / steps; that too is in the
null, not in the excess. A step that *is* the mean has no direction, and pairs with it are left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONG_LINE = 200
"""Characters beyond which a text of one line is cut into sentences."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_NO_LENGTH = 1e-6


def steps(text: str) -> tuple[str, ...]:
    """The non-empty lines of a text, stripped; its sentences where it is one line longer than LONG_LINE characters."""
    lines = tuple(stripped for line in text.splitlines() if (stripped := line.strip()))
    if len(lines) == 1 and len(lines[0]) > LONG_LINE:
        return tuple(sentence for sentence in _SENTENCE_END.split(lines[0]) if sentence)
    return lines


def mean_step(step_vectors_N: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """The problem's mean step (D,), over all steps of all rollouts, each of shape (S, D). NaN rows are left out.

    NaN for no steps at all. At least one rollout must be given, if only with shape (0, D).
    """
    every_SD = np.concatenate([np.asarray(steps_SD, dtype=np.float64) for steps_SD in step_vectors_N])
    every_SD = every_SD[np.isfinite(every_SD).all(1)]
    return every_SD.mean(0) if len(every_SD) else np.full(every_SD.shape[1], np.nan)


def step_coherence(step_vectors_N: Sequence[NDArray[np.floating]], problem_mean_D: NDArray[np.floating]) -> float:
    """Mean cosine between residuals of consecutive steps, over all pairs of N rollouts of shape (S, D): -1 to 1.

    NaN where no rollout has two steps with a direction.
    """
    unit_N = _unit_residuals(step_vectors_N, problem_mean_D)
    cosines = [np.sum(unit_SD[:-1] * unit_SD[1:], axis=1) for unit_SD in unit_N]
    return _mean(np.concatenate([*cosines, np.zeros(0)]))


@dataclass(frozen=True, slots=True)
class MatchedCoherence:
    """Coherence against its null, both over the pairs that have one. NaN where none has."""

    observed: float
    """Mean cosine of a step and the next step of the same rollout, -1 to 1."""
    null: float
    """Mean cosine of a step and the next step of the problem's other rollouts, -1 to 1."""
    excess: float
    """`observed` minus `null`; 0 where steps depend on nothing but their position."""
    pairs: int
    """Number of pairs of consecutive steps behind all three: those where another rollout has the second step too."""


def matched_coherence(
    step_vectors_N: Sequence[NDArray[np.floating]], problem_mean_D: NDArray[np.floating]
) -> MatchedCoherence:
    """Step coherence of N rollouts of shape (S, D) beside its matched null."""
    unit_N = _unit_residuals(step_vectors_N, problem_mean_D)
    observed, null = [np.zeros(0)], [np.zeros(0)]
    for t in range(max((len(unit_SD) for unit_SD in unit_N), default=0) - 1):
        pairs = [(unit_SD[t], unit_SD[t + 1]) for unit_SD in unit_N if len(unit_SD) > t + 1]
        here_AD, next_AD = (np.array(side) for side in zip(*pairs, strict=True))
        cosine_AA = here_AD @ next_AD.T
        own_A = np.diagonal(cosine_AA).copy()
        np.fill_diagonal(cosine_AA, np.nan)
        others_A = np.isfinite(cosine_AA).sum(1)
        matched_A = np.isfinite(own_A) & (others_A > 0)
        observed.append(own_A[matched_A])
        null.append(np.nansum(cosine_AA, axis=1)[matched_A] / others_A[matched_A])
    own, other = np.concatenate(observed), np.concatenate(null)
    return MatchedCoherence(_mean(own), _mean(other), _mean(own - other), own.size)


def _unit_residuals(
    step_vectors_N: Sequence[NDArray[np.floating]], problem_mean_D: NDArray[np.floating]
) -> list[NDArray[np.float64]]:
    """Residuals from the mean, of length 1; NaN for a step that is NaN or the mean itself."""
    units = []
    for steps_SD in step_vectors_N:
        residual_SD = np.asarray(steps_SD, dtype=np.float64) - problem_mean_D
        length_S1 = np.linalg.norm(residual_SD, axis=1, keepdims=True)
        units.append(residual_SD / np.where(length_S1 > _NO_LENGTH, length_S1, np.nan))
    return units


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")
