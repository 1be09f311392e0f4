"""A round: one generation, what is known of it while its updates last, and which of a run's recorded rollouts are its.

`recording` numbers a rollout (number of its group in the run) x G + slot; `round_of` and `Rounds` undo it. A filter by
steps needs the inverse, so that the store can be asked for a range of sample indices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s2l_lab.training.schedule import drawn_before, explorer_mask, round_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from s2l_lab.estimators.compute import Shape
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.cost import Cost
    from s2l_lab.training.metrics import ExplorerTokens


@dataclass(slots=True)
class Round:
    """B rows of this process, in groups of G."""

    index: int
    """Number of the round, from 1."""
    slots: int
    """Number of explorer slots in every group."""
    explorer_G: tuple[bool, ...]
    drawn: int | None
    """Explorer rollouts of a prompt in earlier epochs, at most."""
    lengths_B: list[tuple[int, int]] = field(default_factory=list)
    """Tokens of (prompt, completion)."""
    completions_B: list[list[int]] = field(default_factory=list)
    """Token ids of every completion."""
    behaviour_B: list[tuple[float, ...]] = field(default_factory=list)
    """The explorer's log-probabilities in nats; empty in the learner's rows."""
    rewards_per_func: torch.Tensor | None = None
    """(rows of all processes, reward functions)."""
    learner_seconds: float = 0.0
    explorer_seconds: float = 0.0
    tokens: ExplorerTokens | None = None
    """Sums of the pass over the round that is under way."""


def round_of(index: int, group_size: int, groups_per_round: int) -> int:
    """The round, from 1, of a recorded rollout by its sample index. `groups_per_round`: of all processes together."""
    return index // group_size // groups_per_round + 1


@dataclass(frozen=True, slots=True)
class Rounds:
    """The rhythm of one training run."""

    group_size: int
    groups_per_round: int
    """Number of groups per round, over all processes."""
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


def begin(config: S2LPOConfig, global_step: int, forward_passes: int, max_steps: int, prompts: int | None) -> Round:
    """The round that generates now.

    `global_step` counts optimiser steps of the run, `forward_passes` those since this process began (a resume begins at
    an optimiser step), `max_steps` is the run's length; `prompts` of the dataset, None where it has no length.
    """
    accumulation, G = config.gradient_accumulation_steps, config.num_generations
    index = round_index(
        global_step,
        forward_passes % accumulation,
        accumulation=accumulation,
        micro_steps_per_round=config.micro_steps_per_round,
    )
    schedule = config.annealing(config.rounds(max_steps))
    slots = schedule.slots(G, index)
    drawn = None
    if slots and prompts is not None:
        drawn = drawn_before(schedule, G, index, prompts // (config.generation_batch_size // G))
    return Round(index, slots, explorer_mask(G, slots), drawn)


def count(
    cost: Cost,
    this: Round,
    lengths: Sequence[tuple[int, int]],
    explorer: Sequence[bool],
    *,
    learner_shape: Shape,
    explorer_shape: Shape | None,
) -> None:
    """Add a round's rollouts to the cost. `lengths` and `explorer` are of the rows of all processes."""
    for part, is_explorer, shape, seconds in (
        (cost.learner, False, learner_shape, this.learner_seconds),
        (cost.explorer, True, explorer_shape, this.explorer_seconds),
    ):
        rows = [row for row, its in zip(lengths, explorer, strict=True) if its is is_explorer]
        cost.add_rollouts(
            part, rows, shape=shape, learner=learner_shape, group_size=len(this.explorer_G), seconds=seconds
        )
