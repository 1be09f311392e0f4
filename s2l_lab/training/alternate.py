"""The alternate runner: a run as the released script makes it, one trainer for each phase (phases.py says which).

Model, optimiser with its state, learning-rate schedule and reference of the KL term go from trainer to trainer, and
there is one explorer, one cost and one sequence of steps, rounds and groups: each phase's trainer counts from 1, and
its numbers become the run's here (rounds and groups as plain GRPO counts them, so that an explorer half and the learner
half after it are in the same round). Groups, batches and updates never hold both sources. The reference stays the
learner before training. Explorer and learner halves take their prompts from two orders of their own, as the
script's halves have nothing to do with each other either. Unlike the script, which draws anew from one pool in every
step, an explorer bank is drawn from without replacement through the whole run.

What would surprise: TRL's trainer seeds the global generators when it is made, so every phase but the first has a seed
derived from the run's; otherwise all would sample with the same noise. There are no checkpoints: a run that stops
begins anew. A config without explorer slots is one phase on the config and dataset as they are: plain GRPO.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers import TrainerCallback, get_scheduler
from transformers.integrations import get_reporting_integration_callbacks
from trl.trainer.utils import RepeatSampler

from s2l_lab.errors import UsageError
from s2l_lab.training.arguments import check_explorer, explorer_of
from s2l_lab.training.cost import Cost, CostCallback
from s2l_lab.training.phases import Phase, lone_halves, phase_config, phases_of
from s2l_lab.training.trainer import S2LPOTrainer

if TYPE_CHECKING:
    from s2l_lab.policies import ModelShape, SamplingParams
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.explorer import ExplorerRollout, Learner, Request
    from s2l_lab.training.recording import RecordedRollout

OnRound = Callable[[list["RecordedRollout"]], None]


@dataclass(frozen=True, slots=True)
class AlternateResult:
    """Of a finished run."""

    model: Any
    """The given model, after training."""
    phases: tuple[Phase, ...]
    updates: int
    """Number of optimiser steps."""
    cost: Cost
    log_history: list[dict[str, Any]]
    """Logged entries of all phases in the run's `step` and `round`; `phase` is `explorer` or `learner`."""


def train_alternate(
    config: S2LPOConfig,
    model: Any,
    tokenizer: Any,
    reward: Any,
    dataset: Any,
    explorer: Any,
    *,
    callbacks: Sequence[TrainerCallback] = (),
    on_phase: Callable[[S2LPOTrainer, Phase], None] = lambda trainer, phase: None,
    on_round: OnRound | None = None,
) -> AlternateResult:
    """Train `model` in place through the phases of the config's schedule.

    `dataset` has a length and a column `prompt`; `explorer` is as S2LPOTrainer takes it. Adapters are trained where
    `model` is a peft model already. Callbacks hear of one run with steps that go on; `on_phase` is shown each trainer
    before it trains; `on_round` gets a round's rows, as S2LPOTrainer.on_round.

    Raises UsageError for options that this runner cannot keep: checkpoints, a vLLM learner, a moving reference,
    sharding, rounds that cannot be halved.
    """
    phases = phases_of(config)
    _check(config, dataset, phases)
    check_explorer(config, explorer)
    if lone := lone_halves(config):
        warnings.warn(
            f"{lone} half-steps with one rollout of a prompt are left out: they have no baseline.", stacklevel=2
        )
    trackers = [tracker() for tracker in get_reporting_integration_callbacks(config.report_to)]
    run = OneRun(config, phases, (*trackers, *callbacks), model)
    if phases[0].source == "explorer" and explorer is not None:
        run.explorer = OneExplorer(explorer_of(explorer, config), config, phases, dataset)
    orders = {
        "learner": _order(dataset, config, phases[0].prompts, config.seed),
        "explorer": _order(dataset, config, phases[0].prompts, _derived_seed(config.seed, 0)),
    }
    for place, phase in enumerate(phases):
        options = phase_config(config, phase, _derived_seed(config.seed, place) if place else config.seed)
        rows = dataset
        if len(phases) > 1:
            rows = dataset.select(list(islice(orders[phase.source], phase.prompts * phase.rounds)))
            options.shuffle_dataset = False
        trainer = _trainer(run, phase, options, tokenizer, reward, rows)
        if on_round is not None:
            trainer.on_round = _numbered(run, phase, on_round)
        on_phase(trainer, phase)
        trainer.train()
        run.cost = trainer.cost
        _undress(model)
    return AlternateResult(model, phases, run.updates, run.cost, run.history)


def _trainer(run: OneRun, phase: Phase, options: S2LPOConfig, tokenizer: Any, reward: Any, rows: Any) -> S2LPOTrainer:
    """The trainer of a phase, with what the one before left."""
    first, beta = run.optimizer is None, options.beta
    if not first:
        options.beta = 0.0  # or TRL would load a reference again, and of adapters take one as they are now
    if run.explorer is not None:
        run.explorer.phase = phase
    trainer = S2LPOTrainer(
        run.model,
        reward,
        options,
        rows,
        processing_class=tokenizer,
        optimizers=(run.optimizer, run.scheduler),
        explorer=run.explorer if options.explorer_fraction > 0 else None,
    )
    if first:
        _begin(run, trainer)
    options.beta = trainer.beta = beta
    trainer.ref_model, trainer.cost = run.reference, run.cost
    trainer.remove_callback(CostCallback)
    trainer.add_callback(CostOfAll(trainer, last=phase is run.phases[-1]))
    trainer.add_callback(OneSequence(run, phase))
    return trainer


def _begin(run: OneRun, trainer: S2LPOTrainer) -> None:
    """Optimiser, learning-rate schedule over all phases, and reference, of the first trainer."""
    if trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        raise UsageError("the alternate runner hands an optimiser on, which FSDP and DeepSpeed keep to themselves.")
    run.optimizer, run.reference = trainer.create_optimizer(), trainer.ref_model
    run.scheduler = trainer.lr_scheduler = get_scheduler(
        run.config.lr_scheduler_type,
        run.optimizer,
        num_warmup_steps=run.config.get_warmup_steps(run.updates),
        num_training_steps=run.updates,
        scheduler_specific_kwargs=run.config.lr_scheduler_kwargs,
    )


def _numbered(run: OneRun, phase: Phase, on_round: OnRound) -> OnRound:
    return lambda rows: on_round(run.recorded(phase, rows))


def _order(dataset: Any, config: S2LPOConfig, prompts: int, seed: int) -> Iterator[int]:
    """Rows of the dataset, epoch after epoch, in the order in which TRL would take them at this seed."""
    sampler = RepeatSampler(dataset, 1, batch_size=prompts, shuffle=config.shuffle_dataset, seed=seed)
    while True:
        yield from sampler


def _derived_seed(seed: int, place: int) -> int:
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0]) >> 1


def _undress(model: Any) -> None:
    """Take off the forwards that TRL and accelerate hung on the model; the next trainer hangs its own."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    for module in (model, base):
        for name in ("forward", "_original_forward", "_is_accelerate_prepared"):
            vars(module).pop(name, None)


def _check(config: S2LPOConfig, dataset: Any, phases: Sequence[Phase]) -> None:
    refused = {
        "save_strategy": (config.save_strategy != "no", "it has no checkpoints to resume from; use 'no'"),
        "resume_from_checkpoint": (config.resume_from_checkpoint, "it has no checkpoints; begin the run anew"),
        "eval_strategy": (config.eval_strategy != "no", "evaluate in a callback"),
        "use_vllm": (config.use_vllm, "every phase would start an engine of its own on the device"),
        "sync_ref_model": (config.sync_ref_model, "its reference is the learner before training"),
    }
    for name, (given, reason) in refused.items():
        if given:
            raise UsageError(f"{name}={getattr(config, name)!s} cannot be had from the alternate runner: {reason}.")
    if not hasattr(dataset, "__len__") or len(dataset) < phases[0].prompts:
        raise UsageError(
            f"the alternate runner needs a dataset with a length, of {phases[0].prompts} prompts (one round) at least."
        )


@dataclass(slots=True)
class OneRun:
    """What is handed from phase to phase. `optimizer` is None until the first trainer has made it."""

    config: S2LPOConfig
    phases: tuple[Phase, ...]
    callbacks: tuple[TrainerCallback, ...]
    model: Any
    explorer: OneExplorer | None = None
    optimizer: Any = None
    scheduler: Any = None
    reference: Any = None
    cost: Cost = field(default_factory=Cost)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def updates(self) -> int:
        """Optimiser steps of all phases."""
        return sum(phase.updates for phase in self.phases)

    def updates_before(self, phase: Phase) -> int:
        """Optimiser steps of the phases before this one."""
        return sum(earlier.updates for earlier in self.phases[: self.phases.index(phase)])

    def recorded(self, phase: Phase, rows: Sequence[RecordedRollout]) -> list[RecordedRollout]:
        """A round's rows under the run's sample indices: (number of the group in the run) x G + slot."""
        n, G = phase.num_generations, self.config.num_generations
        first = (phase.round - 1) * phase.prompts
        return [replace(row, index=(first + row.index // n) * G + row.index % n) for row in rows]


class OneExplorer:
    """The explorer of the whole run: bound once, to the learner before training; asked under the run's numbers."""

    def __init__(self, explorer: Any, config: S2LPOConfig, phases: Sequence[Phase], dataset: Any) -> None:
        """`dataset` of the whole run; a phase's trainer has its own part."""
        self.phase = phases[0]
        self._explorer, self._config, self._bound = explorer, config, False
        self._slots = [p.num_generations for p in phases if p.source == "explorer" for _ in range(p.rounds)]
        self._dataset, self._rounds_per_epoch = dataset, len(dataset) // self.phase.prompts

    @property
    def name(self) -> str:
        return str(self._explorer.name)

    @property
    def shape(self) -> ModelShape | None:
        shape: ModelShape | None = self._explorer.shape
        return shape

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """The first phase's binding counts: a perturbed copy is one of the learner before training."""
        if not self._bound:
            whole = replace(learner, dataset=self._dataset, most=max(self._slots))
            self._explorer.bind(whole, self._config.explorer_sampling)
        self._bound = True

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        before, phase = self.phase.round - 1, self.phase
        asked = [
            replace(
                request,
                group=request.group + before * phase.prompts,
                round=request.round + before,
                drawn=self._drawn(request.round + before),
            )
            for request in requests
        ]
        answers: list[list[ExplorerRollout]] = self._explorer.explore(asked, self._config.num_generations)
        return answers

    def _drawn(self, round_index: int) -> int:
        """Rollouts of a prompt in earlier epochs of explorer phases, at most. Rounds with such a phase come first."""
        epoch = (round_index - 1) // self._rounds_per_epoch
        return sum(self._slots[e * self._rounds_per_epoch] for e in range(epoch))


class OneSequence(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells the run's callbacks what happens in a phase, in the run's numbers, and keeps what is logged.

    They hear of training's begin and end, of steps and of logs; there are no checkpoints and no evaluations by TRL.
    """

    def __init__(self, run: OneRun, phase: Phase) -> None:
        self._run, self._phase, self._before = run, phase, run.updates_before(phase)

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._phase is self._run.phases[0]:
            self._tell("on_train_begin", state, control, given)

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._tell("on_step_begin", state, control, given)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if state.global_step == state.max_steps:
            control.should_log = True  # a phase can be shorter than logging_steps
        self._tell("on_step_end", state, control, given)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **given: Any) -> None:
        if not logs or "train_runtime" in logs:  # transformers' summary of a phase
            return
        entry = {name: value for name, value in logs.items() if name != "epoch"}
        if "round" in entry:
            entry["round"] += self._phase.round - 1
        self._run.history.append({**entry, "phase": self._phase.source, "step": self._before + state.global_step})
        self._tell("on_log", state, control, {**given, "logs": entry})

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._phase is self._run.phases[-1]:
            self._tell("on_train_end", state, control, given)

    def _tell(self, event: str, state: Any, control: Any, given: dict[str, Any]) -> None:
        here = copy.copy(state)
        here.global_step, here.max_steps = self._before + state.global_step, self._run.updates
        here.log_history = self._run.history
        for callback in self._run.callbacks:
            getattr(callback, event)(self._run.config, here, control, **given)


class CostOfAll(CostCallback):
    """Says the cost at the end of the run, not of every phase."""

    def __init__(self, trainer: Any, *, last: bool) -> None:
        super().__init__(trainer)
        self._last = last

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self._last:
            super().on_train_end(args, state, control, **given)
