"""What a figure still owes: per run and member, the rollouts that are wanted and those that are stored.

Read from run directories alone, so that the plan of a figure can be had without models, hub or GPU. Rollouts count
under the member's name (a run directory has one set of sampling parameters); that the weights behind the name are still
the same is checked by the run itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2l_lab.rollouts import RolloutStore
from s2l_lab.rollouts.listing import is_run

if TYPE_CHECKING:
    from s2l_lab.figures.experiment import Experiment, PairPanel
    from s2l_lab.passk.request import PasskRequest


@dataclass(frozen=True, slots=True)
class MemberPlan:
    """One member in one run."""

    name: str
    wanted: int
    """Number of rollouts wanted: problems times N."""
    stored: int
    mean_length: float
    """Tokens per stored completion; NaN where none is stored."""

    @property
    def owed(self) -> int:
        """Rollouts to sample."""
        return self.wanted - self.stored


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run with the panels that it serves."""

    request: PasskRequest
    panels: tuple[PairPanel, ...]
    members: tuple[MemberPlan, ...]


def plan_runs(experiment: Experiment) -> list[RunPlan]:
    """Every run of the figure, in the order of its panels. Raises DataError for a run directory that cannot be read."""
    return [RunPlan(request, panels, _members(request)) for request, panels in experiment.runs().items()]


def tokens_owed(member: MemberPlan, max_tokens: int) -> tuple[int, bool]:
    """Tokens to sample, and whether that is an estimate from stored lengths (else it is the most they can be)."""
    if math.isfinite(member.mean_length):
        return round(member.owed * member.mean_length), True
    return member.owed * max_tokens, member.owed == 0


def _members(request: PasskRequest) -> tuple[MemberPlan, ...]:
    names = request.members or ()
    wanted = (request.problems or 0) * request.rollouts
    path = request.run_directory
    if not is_run(path):
        return tuple(MemberPlan(name, wanted, 0, math.nan) for name in names)
    found = dict.fromkeys(names, (0, math.nan))
    with RolloutStore(path) as store:
        ids = [problem.id for problem in store.problems()[: request.problems]]
        for origin in store.origins():
            if origin.policy in found:
                totals = store.totals(origin, ids, request.rollouts)
                most = (totals.rollouts, totals.mean_length)
                found[origin.policy] = max(found[origin.policy], most, key=lambda pair: pair[0])
    return tuple(MemberPlan(name, wanted, stored, length) for name, (stored, length) in found.items())
