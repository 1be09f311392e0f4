"""Leaving unknown verdicts out: an assumption, by name.

A rollout without a verdict (VERIFIER_ERROR) is right or wrong, and bounds say what both would give. Leaving such
rollouts out instead gives one value, and supposes that verdicts are *missing at random*: whether the verifier failed on
a rollout has nothing to do with whether it is correct, given the problem. It often has (long or odd answers make
verifiers fail), so this stands beside the bounds and is said wherever it is used. N of a problem is then its number of
verdicts, and the smallest of them limits k.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.estimate import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

Unknown = Literal["bounds", "missing-at-random"]
"""What rollouts without a verdict count as: wrong and right in turn, or nothing."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Counts of rollouts that have a verdict."""

    counts: dict[str, Counts]
    """By policy, in the given order; unknown_P is 0 throughout, and every policy has the same problems as before but
    those that were left out."""
    left_out: tuple[str, ...]
    """Problems on which some policy has no verdict at all; no policy has them."""

    @property
    def fewest(self) -> int:
        """Verdicts of the problem and policy that have fewest: the largest k that all curves reach."""
        return min(int(one.total_P.min()) for one in self.counts.values())


def leave_unknown_out(counts: Mapping[str, Counts]) -> Verdicts:
    """Counts by policy without unknown rollouts, under the assumption that verdicts are missing at random.

    UsageError where no problem has a verdict of every policy.
    """
    without = {
        problem
        for one in counts.values()
        for problem, known in zip(one.problem_ids, one.total_P - one.unknown_P, strict=True)
        if known == 0
    }
    kept = {}
    for policy, one in counts.items():
        rows = np.array([problem not in without for problem in one.problem_ids], dtype=bool)
        if not rows.any():
            raise UsageError(
                f"no problem has a verdict of every policy ({policy}: all {len(rows)} are without one of some policy). "
                "Verify the rollouts again, or read the bounds."
            )
        ids = tuple(problem for problem in one.problem_ids if problem not in without)
        known_P = (one.total_P - one.unknown_P)[rows]
        cluster = None if one.cluster is None else tuple(itertools.compress(one.cluster, rows))
        kept[policy] = Counts(ids, one.correct_P[rows], known_P, np.zeros_like(known_P), cluster)
    in_order = dict.fromkeys(problem for one in counts.values() for problem in one.problem_ids if problem in without)
    return Verdicts(kept, tuple(in_order))
