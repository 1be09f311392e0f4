"""Training: S2L-PO and its controls on TRL's GRPOTrainer. Nothing heavy is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from s2l_lab.training.schedule import AnnealingSchedule, explorer_slots

if TYPE_CHECKING:
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.perturbed import LearnerCopy, PrunedLayers, RoundedWeights, WeightNoise
    from s2l_lab.training.trainer import S2LPOTrainer

_LAZY = {
    "LearnerCopy": "perturbed",
    "PrunedLayers": "perturbed",
    "RoundedWeights": "perturbed",
    "S2LPOConfig": "config",
    "S2LPOTrainer": "trainer",
    "WeightNoise": "perturbed",
}

__all__ = [
    "AnnealingSchedule",
    "LearnerCopy",
    "PrunedLayers",
    "RoundedWeights",
    "S2LPOConfig",
    "S2LPOTrainer",
    "WeightNoise",
    "explorer_slots",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
