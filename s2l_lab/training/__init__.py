"""Training: S2L-PO and its controls on TRL's GRPOTrainer. Nothing heavy is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from s2l_lab.training.schedule import AnnealingSchedule, explorer_slots

if TYPE_CHECKING:
    from s2l_lab.training.bank import RolloutBank, bank_path, fill_bank
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.perturbed import LearnerCopy, PrunedLayers, RoundedWeights, WeightNoise
    from s2l_lab.training.rewards import VerifiedReward, problem_rows
    from s2l_lab.training.stops import TrainingStoppedError, last_whole_checkpoint
    from s2l_lab.training.trainer import S2LPOTrainer

_LAZY = {
    "LearnerCopy": "perturbed",
    "PrunedLayers": "perturbed",
    "RolloutBank": "bank",
    "RoundedWeights": "perturbed",
    "S2LPOConfig": "config",
    "S2LPOTrainer": "trainer",
    "TrainingStoppedError": "stops",
    "VerifiedReward": "rewards",
    "WeightNoise": "perturbed",
    "bank_path": "bank",
    "fill_bank": "bank",
    "last_whole_checkpoint": "stops",
    "problem_rows": "rewards",
}

__all__ = [
    "AnnealingSchedule",
    "LearnerCopy",
    "PrunedLayers",
    "RolloutBank",
    "RoundedWeights",
    "S2LPOConfig",
    "S2LPOTrainer",
    "TrainingStoppedError",
    "VerifiedReward",
    "WeightNoise",
    "bank_path",
    "explorer_slots",
    "fill_bank",
    "last_whole_checkpoint",
    "problem_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
