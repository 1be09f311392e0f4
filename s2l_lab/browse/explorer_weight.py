"""What of the explorer arrives in the update, over the rounds of an arm: slots, tokens, effective weight.

The effective weight is the explorer's share of the completion tokens (a token-mean loss weighs by it) times the mean
factor before A grad log pi over its tokens: correction weight times ratio, 0 where the ratio is clipped. Two logged
numbers of one step are multiplied; a step that lacks one has no effective weight, which is not the same as 0. After
the explorer's last round neither is logged, and the line ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2l_lab.browse.training_metrics import Band, Metrics, seed_band
from s2l_lab.browse.training_runs import Arm, TrainingRun, group_size, planned_slots, rounds_of

SLOTS, TOKENS, FACTOR = "explorer/slots", "explorer/token_share", "explorer/weight"
EFFECTIVE = "explorer/effective_weight"
_SLOT_SHARE = "explorer/slot_share"


@dataclass(frozen=True, slots=True)
class Annealing:
    """One arm. Planned arrays have shape (R,): the rounds of its first run."""

    name: str
    planned_step_R: NDArray[np.int64]
    """The first optimiser step that is made on the round."""
    planned_share_R: NDArray[np.float64]
    """Of a group's slots, by the plan."""
    slots: Band
    """Of a group's slots, as logged."""
    tokens: Band
    """Of the completion tokens."""
    effective: Band


def annealing(arm: Arm, of_seeds: Sequence[Metrics]) -> Annealing:
    """The schedule of an arm; `of_seeds` are the metrics of its runs."""
    run = arm.runs[0]
    size = group_size(run)
    logged = [_with_shares(one, size) for one in of_seeds]
    rounds = _rounds(run, of_seeds)
    rhythm = rounds_of(run)
    first = np.arange(rounds, dtype=np.int64) * rhythm.micro_steps_per_round // rhythm.accumulation + 1
    return Annealing(
        name=arm.name,
        planned_step_R=first,
        planned_share_R=planned_slots(run, rounds) / size,
        slots=seed_band(logged, _SLOT_SHARE),
        tokens=seed_band(logged, TOKENS),
        effective=seed_band(logged, EFFECTIVE),
    )


def _with_shares(metrics: Metrics, size: int) -> Metrics:
    """The same with the share of slots and the effective weight among its metrics."""
    step, value = dict(metrics.step), dict(metrics.value)
    if SLOTS in value:
        step[_SLOT_SHARE], value[_SLOT_SHARE] = step[SLOTS], value[SLOTS] / size
    if TOKENS in value and FACTOR in value:
        shared, at_tokens, at_factor = np.intersect1d(step[TOKENS], step[FACTOR], return_indices=True)
        step[EFFECTIVE] = shared
        value[EFFECTIVE] = value[TOKENS][at_tokens] * value[FACTOR][at_factor]
    return Metrics(step, value, metrics.torn, metrics.last_step)


def _rounds(run: TrainingRun, of_seeds: Sequence[Metrics]) -> int:
    """Rounds of the whole run: reported, else planned, else as many as were logged."""
    if run.report is not None:
        return run.report.rounds
    rhythm, steps = rounds_of(run), run.plan.training.get("max_steps")
    if isinstance(steps, int) and steps > 0:
        return -(-steps * rhythm.accumulation // rhythm.micro_steps_per_round)
    return max((int(m.value["round"].max()) for m in of_seeds if m.value.get("round") is not None), default=0)
