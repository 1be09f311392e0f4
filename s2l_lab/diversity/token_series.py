"""One number per token, over all rollouts of all problems: flat, with sums by rollout and by problem.

Lengths differ, so nothing is padded: a pair (t, t + lag) is two places of one flat array that belong to one rollout.
Everything that a statistic clusters by is a sum within a problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2l_lab.diversity.over_problems import ratio_over_problems
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Estimate, Floats, Ints


@dataclass(frozen=True, slots=True)
class TokenSeries:
    """Values of N tokens of R rollouts of P problems; a rollout without tokens keeps its place."""

    value_N: Floats
    rollout_N: Ints
    """Index of each token's rollout, ascending from 0."""
    position_N: Ints
    """Position of each token in its rollout, from 0."""
    length_R: Ints
    problem_R: Ints
    """Index of each rollout's problem, (R,), 0 to P - 1."""
    n_problems: int
    cluster_P: Ints | None = None
    """Index of each problem's cluster, (P,); None where every problem stands alone."""

    @classmethod
    def of(
        cls,
        value_R: Sequence[NDArray[np.floating]],
        problem_R: ArrayLike,
        cluster_R: Sequence[object] | None = None,
    ) -> TokenSeries:
        """From one array (T,) per rollout, the problem of each, an integer (or any label), and its problem's cluster.

        Raises UsageError for different lengths, DataError for a value that is NaN or infinite.
        """
        problem_R = np.asarray(problem_R)
        if problem_R.shape != (len(value_R),):
            raise UsageError(
                f"one problem per rollout is needed; given: {len(value_R)} rollouts and problems {problem_R.shape}."
            )
        length_R = np.array([len(value_T) for value_T in value_R], dtype=np.int64)
        value_N = np.concatenate([np.zeros(0), *value_R]).astype(np.float64)
        rollout_N = np.repeat(np.arange(len(length_R)), length_R)
        if not np.isfinite(value_N).all():
            bad = rollout_N[np.flatnonzero(~np.isfinite(value_N))[0]]
            raise DataError(f"rollout {bad} has a value that is NaN or infinite; score it again, or leave it out.")
        position_N = np.arange(len(value_N)) - (np.cumsum(length_R) - length_R)[rollout_N]
        names, first_P, number_R = np.unique(problem_R, return_index=True, return_inverse=True)
        cluster_P = None
        if cluster_R is not None:
            code_R = cluster_codes(cluster_R, len(value_R))
            if (code_R != code_R[first_P][number_R]).any():
                raise UsageError("a problem has rollouts of two clusters; a problem lies in one cluster.")
            cluster_P = code_R[first_P]
        return cls(value_N, rollout_N, position_N, length_R, number_R.astype(np.int64), len(names), cluster_P)

    def by_rollout(self, value_N: Floats, rollout_N: Ints) -> Floats:
        """(R,) sums of values that stand at these rollouts."""
        return sums(value_N, rollout_N, len(self.length_R))

    def by_problem(self, value_R: ArrayLike) -> Floats:
        """(P,) sums of what rollouts have."""
        return sums(value_R, self.problem_R, self.n_problems)

    def ratio(
        self, numerator_P: Floats, denominator_P: Floats, n_rollouts: int, *, largest: float | None = None
    ) -> Estimate:
        """`ratio_over_problems` of sums by problem, with these problems' clusters."""
        return ratio_over_problems(numerator_P, denominator_P, n_rollouts, largest=largest, cluster=self.cluster_P)

    def pairs(self, lag: int) -> Pairs:
        """All pairs (t, t + lag) within a rollout."""
        first = slice(None, max(len(self.value_N) - lag, 0))
        alive = self.rollout_N[first] == self.rollout_N[lag:]
        return Pairs(
            self.value_N[first][alive],
            self.value_N[lag:][alive],
            self.rollout_N[first][alive],
            self.position_N[first][alive],
        )


@dataclass(frozen=True, slots=True)
class Pairs:
    """Q pairs of tokens of one rollout, a fixed lag apart."""

    head_Q: Floats
    """Value of the earlier token of each pair, (Q,)."""
    tail_Q: Floats
    rollout_Q: Ints
    position_Q: Ints
    """Position of the earlier token of each pair in its rollout, (Q,), from 0."""


def sums(value_N: ArrayLike, group_N: Ints, n_groups: int) -> Floats:
    """(n_groups,) sums of values by the number of their group; 0 for a group that has none."""
    weights = np.asarray(value_N, np.float64)
    total: Floats = np.bincount(group_N, weights=weights, minlength=n_groups).astype(np.float64)
    return total
