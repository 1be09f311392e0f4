"""What a run costs: tokens, FLOPs and seconds of explorer rollouts, learner rollouts and updates.

FLOPs are counted, not measured (estimators/compute.py): a rollout is a pass over its prompt and one for every further
token, an update three or four forwards and one each for a reference and an old-logprob pass. The measure of the paper's
"less rollout compute" is

    rollout compute relative to GRPO = (explorer FLOPs + learner FLOPs) / FLOPs of the same rollouts, all by the learner

token for token, so that it does not depend on how long the learner's own rollouts would have been; and the explorer's
share of what was spent stands beside it, since the paper's number leaves the explorer's cost out. A prompt's pass is
shared by the rollouts of its group, whoever samples them and whether or not the engine at hand shares it: an explorer
of the learner's size gives exactly 1. A rollout from a bank counts in full each time it is drawn. FLOPs of an explorer
whose size nobody said are NaN, and so is what is made of them; logs leave them out.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from s2l_lab.estimators.compute import rollout_flops, update_flops

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.estimators.compute import Shape


@dataclass(slots=True)
class Spent:
    """Of one part of a run."""

    tokens: int = 0
    """Completion tokens of rollouts; prompt and completion tokens of updates."""
    flops: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class Cost:
    """Running totals of one process's run."""

    explorer: Spent = field(default_factory=Spent)
    learner: Spent = field(default_factory=Spent)
    updates: Spent = field(default_factory=Spent)
    grpo_rollout_flops: float = 0.0
    """FLOPs of the same rollouts if the learner had sampled all of them."""

    @property
    def relative_rollout_compute(self) -> float:
        """Rollout FLOPs over GRPO's; NaN before the first rollout."""
        spent = self.explorer.flops + self.learner.flops
        return spent / self.grpo_rollout_flops if self.grpo_rollout_flops else math.nan

    @property
    def explorer_share(self) -> float:
        """Of the rollout FLOPs; NaN before the first rollout."""
        spent = self.explorer.flops + self.learner.flops
        return self.explorer.flops / spent if spent else math.nan

    def add_rollouts(
        self,
        part: Spent,
        lengths: Sequence[tuple[int, int]],
        *,
        shape: Shape | None,
        learner: Shape,
        group_size: int,
        seconds: float,
    ) -> None:
        """Count rollouts of (prompt tokens, completion tokens) by a model of this shape, in groups of `group_size`."""
        part.tokens += sum(completion for _, completion in lengths)
        part.seconds += seconds
        for prompt, completion in lengths:
            part.flops += (
                rollout_flops(shape, prompt, completion, rollouts_per_prefill=group_size) if shape else math.nan
            )
            self.grpo_rollout_flops += rollout_flops(learner, prompt, completion, rollouts_per_prefill=group_size)

    def add_updates(
        self, lengths: Sequence[tuple[int, int]], *, shape: Shape, checkpointing: bool, reference: bool, old: bool
    ) -> None:
        """Count one update on each of these sequences; `reference` and `old` name the further passes that were made."""
        for prompt, completion in lengths:
            tokens = prompt + completion
            self.updates.tokens += tokens
            self.updates.flops += update_flops(
                shape, tokens, checkpointing=checkpointing, reference=reference, old_logprobs=old
            )

    def metrics(self) -> dict[str, float]:
        """The totals under the names that are logged, as far as they are known."""
        parts = {"explorer": self.explorer, "learner": self.learner, "updates": self.updates}
        named = {f"cost/{name}/{k}": float(v) for name, part in parts.items() for k, v in asdict(part).items()}
        ratios = {
            "cost/rollout_compute_relative_to_grpo": self.relative_rollout_compute,
            "cost/explorer_share": self.explorer_share,
        }
        return {name: value for name, value in (named | ratios).items() if not math.isnan(value)}

    def summary(self) -> str:
        """One line for the end of a run."""
        if not self.grpo_rollout_flops:
            return "no rollouts were sampled."
        if math.isnan(self.relative_rollout_compute):
            return (
                "rollout compute relative to GRPO: unknown, because the size of the explorer's model is. Seconds: "
                f"explorer {self.explorer.seconds:.1f}, learner {self.learner.seconds:.1f}, updates "
                f"{self.updates.seconds:.1f}."
            )
        return (
            f"rollout compute relative to GRPO: {self.relative_rollout_compute:.3f} (counted FLOPs; of what was spent "
            f"on rollouts, {self.explorer_share:.1%} is the explorer's). Seconds: explorer "
            f"{self.explorer.seconds:.1f}, learner {self.learner.seconds:.1f}, updates {self.updates.seconds:.1f}."
        )

    def to_dict(self) -> dict[str, float | dict[str, float]]:
        """JSON-like, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, float | Mapping[str, float]]) -> Cost:
        """The inverse of `to_dict`."""
        parts = {name: Spent(**saved[name]) for name in ("explorer", "learner", "updates")}  # type: ignore[arg-type]
        return cls(**parts, grpo_rollout_flops=float(saved["grpo_rollout_flops"]))  # type: ignore[arg-type]


class CostCallback(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers has no types
    """Keeps `trainer.cost` complete: seconds of updates, the line at the end of a run, totals that survive a resume.

    They are kept in the checkpoint's trainer_state.json, as transformers keeps the state of its own callbacks.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._step_began = self._round_seconds = 0.0

    def state(self) -> dict[str, Any]:
        """For trainer_state.json."""
        return {"args": {}, "attributes": {"cost": self._trainer.cost.to_dict()}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        saved = (state.stateful_callbacks or {}).get(type(self).__name__)
        if saved:
            self._trainer.cost = Cost.from_dict(saved["attributes"]["cost"])

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._step_began, self._round_seconds = time.perf_counter(), self._trainer.round_seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        elapsed = time.perf_counter() - self._step_began
        self._trainer.cost.updates.seconds += elapsed - (self._trainer.round_seconds - self._round_seconds)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            print(self._trainer.cost.summary())  # the run's own report
