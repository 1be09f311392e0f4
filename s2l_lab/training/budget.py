"""An end by counted FLOPs: the control "equal FLOPs", in which S2L-PO may spend what GRPO spent.

Training stops at the first optimiser step that ends a round and by which explorer, learner and updates together have
reached the budget. (A round's updates are counted when it is generated, so within a round the totals run ahead; and a
round that is cut would have paid for rollouts that teach nothing. With one update per generation every step ends one.)

max_steps is only an upper bound then, so nothing may be made of it: mix_steps is given, and the learning rate does not
fall towards the run's end. A run that ends at max_steps with budget left over warns: its FLOPs are not equal.

What would surprise: the step that stops writes no checkpoint. transformers asks whether to stop only after a step, so a
run resumed from there would train one step more; resumed from the checkpoint before, it stops at the same step.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.cost import Cost

STEADY = ("constant", "constant_with_warmup")
"""Learning-rate schedules that do not depend on max_steps."""


def spent_flops(cost: Cost) -> float:
    """Counted FLOPs of explorer rollouts, learner rollouts and updates."""
    return cost.explorer.flops + cost.learner.flops + cost.updates.flops


class FlopsBudget(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """`trainer.add_callback(FlopsBudget(trainer, flops))`: stop when the trainer's cost reaches `flops`."""

    def __init__(self, trainer: Any, flops: float) -> None:
        """Raises UsageError for a budget that is none, and for a config whose schedules depend on max_steps."""
        if not flops > 0:
            raise UsageError(f"a budget is a number of FLOPs above 0, {flops:g} was given.")
        _require_steady(trainer.args)
        if trainer.explorer is not None and trainer.explorer.shape is None:
            raise UsageError(
                f"nobody said how large the model behind explorer {trainer.explorer.name} is, so its FLOPs cannot be "
                "counted against a budget. Leave the budget out, or give an explorer with a shape, as "
                "FunctionExplorer(function, shape=ModelShape(...))."
            )
        self._trainer, self._flops, self._stopped = trainer, flops, False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._stopped = False
        spent = spent_flops(self._trainer.cost)
        if spent >= self._flops:
            raise UsageError(
                f"the checkpoint of step {state.global_step} has spent {spent:.4g} FLOPs already, the budget is "
                f"{self._flops:.4g}. Resume from an earlier checkpoint, or give a larger budget."
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        ends_round = state.global_step * args.gradient_accumulation_steps % args.micro_steps_per_round == 0
        if ends_round and spent_flops(self._trainer.cost) >= self._flops:
            self._stopped, control.should_training_stop = True, True
            control.should_save = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._stopped:
            control.should_save = False

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        spent = spent_flops(self._trainer.cost)
        if not self._stopped and spent < self._flops:
            warnings.warn(
                f"the run ended at step {state.global_step} (max_steps) with {spent / self._flops:.1%} of its budget "
                f"of {self._flops:.4g} FLOPs, so it is no run of equal FLOPs. Raise max_steps.",
                stacklevel=2,
            )


def _require_steady(config: S2LPOConfig) -> None:
    anneals = config.explorer_fraction > 0 and config.schedule != "constant"
    if anneals and config.mix_steps is None:
        raise UsageError(
            "a run with a FLOPs budget ends where the budget does, and max_steps is only an upper bound: half of its "
            "rounds would be no half of the run. Give mix_steps."
        )
    if config.lr_scheduler_type not in STEADY:
        raise UsageError(
            f"lr_scheduler_type {str(getattr(config.lr_scheduler_type, 'value', config.lr_scheduler_type))!r} follows "
            f"max_steps, which a FLOPs budget makes an upper bound. Use {' or '.join(STEADY)}."
        )
