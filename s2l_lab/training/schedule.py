"""The annealing schedule: how many of a group's slots the explorer fills in each round.

Algorithm 1 of arXiv 2605.30789: in round i <= T_mix the explorer fraction is alpha = 1 - (i - 1)/(T_mix - 1) and the
explorer fills Gw = ceil(alpha G) of the G slots; afterwards none. All of it is exact: fractions are `Fraction`, so no
float puts a slot too many (G = 7, T_mix = 8, round 7 is exactly 1; the released script's floats say 2).

What would surprise: a *round* is one generation, not one optimiser step. Slots of the explorer are spread evenly over
a group, so that a group that is cut anywhere holds both sources in nearly the schedule's proportion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from s2l_lab.errors import UsageError, unknown_name

Kind = Literal["linear", "cosine", "step", "step_equal_slots", "constant"]
"""How the explorer fraction falls over the rounds 1 .. T_mix.

linear            the paper's Algorithm 1
cosine            half a cosine; its ends are those of `linear`
step              abrupt switch (Fig. 6): the whole fraction up to and in round T_mix
step_equal_slots  abrupt switch with as many explorer slots in all as `linear` at this T_mix (67 for G = 16, T_mix = 8)
constant          the same fraction in every round: 1 is small-only (Fig. 5), 0 is GRPO
"""
Rounding = Literal["exact", "released"]
"""`exact`, or `released`: the floats of the authors' launch script, which may give a slot more."""

_COSINE_SLACK = 1e-9  # a cosine is not rational: what is a whole number but for rounding counts as that number


def explorer_slots(group_size: int, mix_steps: int, step: int) -> int:
    """Slots of the explorer in round `step` (from 1) by Algorithm 1: ceil(G (T_mix - i)/(T_mix - 1)), 0 after T_mix.

    G for the only round of T_mix = 1, where the paper's formula divides by zero. Raises UsageError for a group size,
    T_mix or step below 1.
    """
    return AnnealingSchedule(mix_steps=mix_steps).slots(group_size, step)


@dataclass(frozen=True, slots=True)
class AnnealingSchedule:
    """Explorer fraction over the rounds of a run. Raises UsageError for values out of range."""

    kind: Kind = "linear"
    mix_steps: int = 1
    """T_mix, in rounds, 1 or more; it does not matter to `constant`."""
    fraction: Fraction = Fraction(1)
    """Explorer fraction in the first round, from 0 to 1; Algorithm 1 begins with 1."""
    rounding: Rounding = "exact"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise unknown_name("schedule", self.kind, get_args(Kind))
        if self.rounding not in get_args(Rounding):
            raise unknown_name("rounding", self.rounding, get_args(Rounding))
        if self.mix_steps < 1:
            raise UsageError(f"mix_steps counts rounds and is 1 or more, {self.mix_steps} was given.")
        if not 0 <= self.fraction <= 1:
            raise UsageError(
                f"the explorer cannot fill more slots than a group has: its fraction lies between 0 and 1, "
                f"{float(self.fraction):g} was given."
            )
        if self.rounding == "released" and (self.kind != "linear" or self.fraction != 1):
            raise UsageError("rounding 'released' mimics the authors' script, which knows only linear from fraction 1.")

    def slots(self, group_size: int, step: int) -> int:
        """Slots of the explorer among `group_size` in round `step` (from 1), from 0 to group_size."""
        if group_size < 1 or step < 1:
            raise UsageError(f"group size and step are 1 or more, {group_size} and {step} were given.")
        most = math.ceil(group_size * self.fraction)
        if self.kind == "constant":
            return most
        if self.kind == "step_equal_slots":
            return max(0, min(most, self._linear_total(group_size) - (step - 1) * most))
        if step > self.mix_steps:
            return 0
        if self.kind == "step" or step == 1:
            return most
        return self._falling(group_size, step)

    def _falling(self, group_size: int, step: int) -> int:
        """Slots of `linear` and `cosine` in a round after the first and up to T_mix."""
        if self.kind == "linear" and self.rounding == "exact":
            return math.ceil(group_size * self.fraction * Fraction(self.mix_steps - step, self.mix_steps - 1))
        past = (step - 1) / (self.mix_steps - 1)
        if self.kind == "linear":
            return math.ceil((1.0 - past) * group_size)
        if step == self.mix_steps:
            return 0
        share = (1 + math.cos(math.pi * past)) / 2
        return math.ceil(group_size * float(self.fraction) * share - _COSINE_SLACK)

    def _linear_total(self, group_size: int) -> int:
        linear = AnnealingSchedule("linear", self.mix_steps, self.fraction)
        return sum(linear.slots(group_size, step) for step in range(1, self.mix_steps + 1))


def drawn_before(schedule: AnnealingSchedule, group_size: int, step: int, rounds_per_epoch: int) -> int:
    """Explorer rollouts that a prompt can have had in the epochs before the one of round `step`, at most.

    Every epoch visits a prompt once. Slots never grow from round to round, so an epoch's first round bounds it.
    """
    epoch = (step - 1) // rounds_per_epoch
    return sum(schedule.slots(group_size, e * rounds_per_epoch + 1) for e in range(epoch))


def released_learner_slots(group_size: int, mix_steps: int, step: int) -> int:
    """Learner rollouts in logical step `step` of the released script, ceil((1 - ratio) G) in floats.

    With `rounding="released"` explorer slots they sum to G + 1 in most steps (G = 16, T_mix = 8: in six of eight).
    """
    if step > mix_steps:
        return group_size
    ratio = 1.0 if mix_steps <= 1 else 1.0 - (step - 1) / (mix_steps - 1)
    return math.ceil((1.0 - ratio) * group_size)


def explorer_mask(group_size: int, slots: int) -> tuple[bool, ...]:
    """(G,) True where the slot is the explorer's: slot j iff floor((j + 1) Gw / G) > floor(j Gw / G)."""
    if not 0 <= slots <= group_size:
        raise UsageError(f"a group of {group_size} slots can give 0 to {group_size} to the explorer, not {slots}.")
    return tuple((j + 1) * slots // group_size > j * slots // group_size for j in range(group_size))


def round_index(global_step: int, micro_step: int, *, accumulation: int, micro_steps_per_round: int) -> int:
    """The round (from 1) that generates at this point of a run.

    `global_step` counts finished optimiser steps, `micro_step` the forward passes since the last one, `accumulation`
    the forward passes of an optimiser step; a round lasts steps_per_generation * num_iterations forward passes.
    """
    return (global_step * accumulation + micro_step) // micro_steps_per_round + 1
