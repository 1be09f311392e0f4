"""The half-steps of the released script (arXiv 2605.30789's repository), as a list of phases.

In each round of the mix the script trains on the explorer's rollouts alone, then on the learner's alone, with other
prompts; afterwards on the learner's. Three things about it are easily missed:

- it rounds both halves up, so `slot_rounding="released"` gives G + 1 rollouts in most rounds (G = 16, T_mix = 8: 16/0,
  14/3, 12/5, 10/7, 7/10, 5/12, 3/14, 0/16); `exact` gives the learner what Algorithm 1 does, G - Gw;
- its explorer half makes m times as many optimiser updates as its learner half, m being the rollouts of a prompt, with
  mini-batches m times smaller (its mini-batch counts prompts in one half and rollouts in the other): the default run
  makes 2624 updates where GRPO makes 512;
- a half with one rollout of a prompt has no baseline. It would have advantage 0 and cost rollouts, so it is left out
  (`lone_rollout="zero"`); the script's own choice, the raw reward, is nothing that TRL can be asked for.

Rounds are those of plain GRPO under the same config: max_steps counts *its* updates. Phases of one kind that follow one
another are one phase of several rounds, so a config without explorer slots is one phase: plain GRPO.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from s2l_lab.errors import UsageError
from s2l_lab.training.schedule import released_learner_slots

if TYPE_CHECKING:
    from s2l_lab.training.config import S2LPOConfig


@dataclass(frozen=True, slots=True)
class Phase:
    """Rounds of one source that follow one another, all alike."""

    source: Literal["explorer", "learner"]
    round: int
    """Number in the run of the phase's first round, from 1."""
    rounds: int
    num_generations: int
    """Number of rollouts per prompt."""
    prompts: int
    """Number of prompts per round, over all processes."""
    updates_per_round: int

    @property
    def updates(self) -> int:
        """Optimiser updates of the phase."""
        return self.rounds * self.updates_per_round


def phases_of(config: S2LPOConfig) -> tuple[Phase, ...]:
    """The phases of a run, in order. Raises UsageError where the config's rounds and updates cannot be halved so."""
    passes, whole = divmod(config.steps_per_generation, config.gradient_accumulation_steps)
    if whole:
        raise UsageError(
            f"the alternate runner cuts rounds into updates: steps_per_generation={config.steps_per_generation} must "
            f"be a multiple of gradient_accumulation_steps={config.gradient_accumulation_steps}."
        )
    updates = passes * config.num_iterations
    if config.max_steps <= 0 or config.max_steps % updates:
        raise UsageError(
            f"the alternate runner counts rounds by max_steps, {updates} updates of plain GRPO each; "
            f"max_steps={config.max_steps} is no number of whole rounds. Give a multiple of {updates}."
        )
    halves = [half for i in range(config.max_steps // updates) for half in _halves(config, i + 1, updates)]
    found: list[Phase] = []
    for half in halves:
        last = found[-1] if found else None
        follows = last is not None and half.round == last.round + last.rounds
        if last is not None and follows and replace(half, round=last.round, rounds=last.rounds) == last:
            found[-1] = replace(last, rounds=last.rounds + 1)
        else:
            found.append(half)
    _require_divisible(config, found, passes)
    return tuple(found)


def lone_halves(config: S2LPOConfig) -> int:
    """Half-steps that were left out for having one rollout of a prompt."""
    rounds = config.rounds(config.max_steps)
    return sum(n == 1 for i in range(rounds) for n in _sizes(config, rounds, i + 1))


def phase_config(config: S2LPOConfig, phase: Phase, seed: int) -> S2LPOConfig:
    """The options of the trainer of one phase: its group size and updates, micro-batches no larger than the run's."""
    n, passes = phase.num_generations, config.steps_per_generation // config.gradient_accumulation_steps
    rollouts = _local_prompts(config) * n
    updates = passes * n if phase.source == "explorer" else passes
    accumulation, size = next(
        (a, rollouts // updates // a)
        for a in range(1, rollouts + 1)
        if rollouts // updates % a == 0 and rollouts // updates // a <= config.per_device_train_batch_size
    )
    changes: dict[str, Any] = {
        "explorer_fraction": 1.0 if phase.source == "explorer" else 0.0,
        "schedule": "constant",
        "mix_steps": None,
        "slot_rounding": "exact",
        "num_generations": n,
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": accumulation,
        "steps_per_generation": updates * accumulation,
        "generation_batch_size": None,
        "max_steps": phase.updates,
        "seed": seed,
        "report_to": "none",
    }
    return replace(config, **changes)


def _sizes(config: S2LPOConfig, rounds: int, i: int) -> tuple[int, int]:
    """Rollouts of a prompt in round i, by explorer and learner."""
    schedule, G = config.annealing(rounds), config.num_generations
    explorer = schedule.slots(G, i)
    if config.slot_rounding == "released":
        return explorer, released_learner_slots(G, schedule.mix_steps, i)
    return explorer, G - explorer


def _halves(config: S2LPOConfig, i: int, updates: int) -> list[Phase]:
    m, n = _sizes(config, config.rounds(config.max_steps), i)
    if config.lone_rollout == "released" and 1 in (m, n):
        raise UsageError(
            f"round {i} has a half-step with one rollout of a prompt, whose advantage would be its raw reward under "
            "lone_rollout='released'; TRL makes no group of one. Use mix_steps <= num_generations, which leaves no "
            "such half, or lone_rollout='zero', which leaves it out."
        )
    prompts = _local_prompts(config) * config.world_size
    return [
        half
        for half in (
            Phase("explorer", i, 1, m, prompts, updates * m),
            Phase("learner", i, 1, n, prompts, updates),
        )
        if half.num_generations > 1
    ]


def _local_prompts(config: S2LPOConfig) -> int:
    return int(config.per_device_train_batch_size * config.steps_per_generation) // int(config.num_generations)


def _require_divisible(config: S2LPOConfig, phases: list[Phase], passes: int) -> None:
    prompts = _local_prompts(config)
    if prompts % passes and any(p.source == "explorer" or p.num_generations < config.num_generations for p in phases):
        raise UsageError(
            f"a process has {prompts} prompts a round and {passes} updates for them; the released script cuts a round "
            "by prompts. Make per_device_train_batch_size * steps_per_generation / num_generations a multiple of "
            "steps_per_generation / gradient_accumulation_steps."
        )
