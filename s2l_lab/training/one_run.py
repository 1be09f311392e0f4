"""What makes the phases of an alternate run one run: one explorer, one cost, one sequence of steps, rounds and groups.

Each phase has a trainer that counts from 1. Here its numbers become the run's: optimiser steps over all phases; rounds
and groups as plain GRPO counts them, so that an explorer half and the learner half after it are in the same round.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from s2l_lab.training.cost import Cost
from s2l_lab.training.cost_callback import CostCallback

if TYPE_CHECKING:
    from s2l_lab.policies import ModelShape, SamplingParams
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.explorer import ExplorerRollout, Learner, Request
    from s2l_lab.training.phases import Phase
    from s2l_lab.training.recording import RecordedRollout

OnRound = Callable[[list["RecordedRollout"]], None]


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

    def __init__(self, explorer: Any, config: S2LPOConfig, phases: Sequence[Phase], prompts: int) -> None:
        """`prompts` of the dataset."""
        self.phase = phases[0]
        self._explorer, self._config, self._bound = explorer, config, False
        self._slots = [p.num_generations for p in phases if p.source == "explorer" for _ in range(p.rounds)]
        self._rounds_per_epoch = prompts // self.phase.prompts

    @property
    def name(self) -> str:
        return str(self._explorer.name)

    @property
    def shape(self) -> ModelShape:
        shape: ModelShape = self._explorer.shape
        return shape

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """The first phase's binding counts: a perturbed copy is one of the learner before training."""
        if not self._bound:
            self._explorer.bind(learner, self._config.explorer_sampling)
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
