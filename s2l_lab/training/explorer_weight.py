"""What of the explorer arrives in the update, over the rounds of an arm: slots, tokens, effective weight.

The effective weight is the explorer's share of the completion tokens (a token-mean loss weighs by it) times the mean
factor before A grad log pi over its tokens: correction weight times ratio, 0 where the ratio is clipped. Two logged
numbers of one step are multiplied; a step that lacks one has no effective weight, which is not the same as 0, and says
why. Seeds may lack it at different steps, so each is kept beside the band of the steps that all have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2l_lab.training.arms import Arm, TrainingRun, group_size, planned_slots, rounds_of
from s2l_lab.training.logged import Metrics, seed_band
from s2l_lab.training.results import StepCurve

SLOTS, TOKENS, FACTOR = "explorer/slots", "explorer/token_share", "explorer/weight"
EFFECTIVE = "explorer/effective_weight"
_SLOT_SHARE = "explorer/slot_share"
NO_SLOT = "the explorer has no slot"
EQUAL_REWARDS = (
    "the rewards of every group were equal, so no token had an advantage and there is no factor to take a mean of"
)
NOT_LOGGED = "no token share or no factor was logged"


@dataclass(frozen=True, slots=True)
class SeedWeight:
    """The effective weight of one seed: `step_S` and `value_S`, both (S,), are the steps that have one."""

    seed: int
    step_S: NDArray[np.int64]
    value_S: NDArray[np.float64]
    undefined: dict[str, tuple[int, ...]]
    """By reason (one of the sentences above), the trained steps that have none, rising."""


@dataclass(frozen=True, slots=True)
class Annealing:
    """One arm. Planned arrays have shape (R,): the rounds of its first run."""

    name: str
    planned_step_R: NDArray[np.int64]
    """First optimiser step of each round."""
    planned_share_R: NDArray[np.float64]
    """Planned share of a group's slots that the explorer fills in each round, 0 to 1."""
    slots: StepCurve
    """Logged share of a group's slots that the explorer filled, over steps."""
    tokens: StepCurve
    """Logged share of the completion tokens that the explorer sampled, over steps."""
    effective: StepCurve
    """At the steps where every seed has one."""
    seeds: tuple[SeedWeight, ...]


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
        seeds=tuple(_seed_weight(run.seed, one) for run, one in zip(arm.runs, logged, strict=True)),
    )


def undefined_words(arm: Annealing) -> tuple[str, ...]:
    """A sentence for each reason why some step has no effective weight, with the steps of each seed."""
    reasons = dict.fromkeys(reason for one in arm.seeds for reason in one.undefined)
    return tuple(
        f"No effective weight: {reason} ("
        + "; ".join(f"seed {one.seed}, {_spans(one.undefined[reason])}" for one in arm.seeds if reason in one.undefined)
        + ")."
        for reason in reasons
    )


def _seed_weight(seed: int, metrics: Metrics) -> SeedWeight:
    step_S = metrics.step.get(EFFECTIVE, np.zeros(0, np.int64))
    value_S = metrics.value.get(EFFECTIVE, np.zeros(0))
    slots, equal = _by_step(metrics, SLOTS), _by_step(metrics, "zero_variance_groups")
    missing: dict[str, list[int]] = {}
    for step in sorted(slots.keys() - set(step_S.tolist())):
        reason = NO_SLOT if slots[step] == 0 else EQUAL_REWARDS if equal.get(step) == 1 else NOT_LOGGED
        missing.setdefault(reason, []).append(step)
    return SeedWeight(seed, step_S, value_S, {reason: tuple(steps) for reason, steps in missing.items()})


def _by_step(metrics: Metrics, name: str) -> dict[int, float]:
    if name not in metrics.value:
        return {}
    return dict(zip(metrics.step[name].tolist(), metrics.value[name].tolist(), strict=True))


def _spans(steps: Sequence[int]) -> str:
    """Rising whole numbers in words, as "steps 3 to 5 and 9"."""
    spans: list[list[int]] = []
    for step in steps:
        if spans and step == spans[-1][1] + 1:
            spans[-1][1] = step
        else:
            spans.append([step, step])
    words = [str(first) if first == last else f"{first} to {last}" for first, last in spans]
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return f"step{'s' if len(steps) > 1 else ''} {listed}"


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
