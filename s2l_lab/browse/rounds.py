"""Which round and optimiser step a rollout that was trained on belongs to, and back: steps to sample indices.

`training.recording` numbers a rollout (number of its group in the run) x G + slot; `training.rounds.round_of` undoes
it. A filter by steps needs the inverse, so that the store can be asked for a range of sample indices.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s2l_lab.training.rounds import round_of

_EVALUATED = re.compile(r"step-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rhythm of one training run."""

    group_size: int
    groups_per_round: int
    """Of all processes."""
    micro_steps_per_round: int = 1
    """Forward passes that one generation serves."""
    accumulation: int = 1
    """Forward passes of an optimiser step."""
    exact: bool = True
    """False where the number of groups is taken from the plan for one process, because no report says how many there
    were."""

    def of(self, sample_index: int) -> int:
        """The round, from 1."""
        return round_of(sample_index, self.group_size, self.groups_per_round)

    def step(self, sample_index: int) -> int:
        """The first optimiser step, from 1, that was made on the rollout."""
        return (self.of(sample_index) - 1) * self.micro_steps_per_round // self.accumulation + 1

    def indices(self, first: int | None, last: int | None) -> range:
        """Sample indices of the rounds that serve any of the optimiser steps `first` to `last`, both included; None is
        an open end. Step 0 is before training and has no round."""
        per_round = self.group_size * self.groups_per_round
        start = (max(first or 1, 1) - 1) * self.accumulation // self.micro_steps_per_round
        stop = -(-last * self.accumulation // self.micro_steps_per_round) if last is not None else 2**31 // per_round
        return range(start * per_round, max(start, stop) * per_round)


def evaluated_step(policy: str) -> int | None:
    """The optimiser step in the name of an evaluated learner, `step-20`; None for another name."""
    match = _EVALUATED.fullmatch(policy)
    return int(match[1]) if match else None


def source_of(policy: str) -> str | None:
    """`explorer` or `learner` where a policy's name says it, an evaluated learner's included; else None."""
    if policy in ("explorer", "learner"):
        return policy
    return None if evaluated_step(policy) is None else "learner"
