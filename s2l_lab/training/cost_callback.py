"""Seconds of updates, the cost line at the end of a run, and cost totals that survive a resume.

The totals are kept in the checkpoint's trainer_state.json, as transformers keeps the state of its own callbacks.
"""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from s2l_lab.training.cost import Cost


class CostCallback(TrainerCallback, ExportableState):  # type: ignore[misc]  # transformers has no types
    """Keeps `trainer.cost` complete."""

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
