"""Training: S2L-PO and its controls on TRL's GRPOTrainer. Nothing heavy is imported before it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from s2l_lab.training.schedule import AnnealingSchedule, explorer_slots

if TYPE_CHECKING:
    from s2l_lab.training.alternate import train_alternate
    from s2l_lab.training.bank import RolloutBank, bank_path, fill_bank
    from s2l_lab.training.budget import FlopsBudget
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.explorer import FunctionExplorer
    from s2l_lab.training.perturbed import LearnerCopy, PrunedLayers, RoundedWeights, WeightNoise
    from s2l_lab.training.plan import TrainingPlan, read_plan
    from s2l_lab.training.report import TrainingReport, read_report
    from s2l_lab.training.retokenised import RetokenisedExplorer
    from s2l_lab.training.rewards import VerifiedReward, problem_rows
    from s2l_lab.training.run import train
    from s2l_lab.training.served import ServedExplorer
    from s2l_lab.training.stops import TrainingStoppedError, last_whole_checkpoint
    from s2l_lab.training.text_bank import TextBank
    from s2l_lab.training.trainer import S2LPOTrainer

_LAZY = {
    "FlopsBudget": "budget",
    "FunctionExplorer": "explorer",
    "LearnerCopy": "perturbed",
    "PrunedLayers": "perturbed",
    "RetokenisedExplorer": "retokenised",
    "RolloutBank": "bank",
    "RoundedWeights": "perturbed",
    "S2LPOConfig": "config",
    "S2LPOTrainer": "trainer",
    "ServedExplorer": "served",
    "TextBank": "text_bank",
    "TrainingPlan": "plan",
    "TrainingReport": "report",
    "TrainingStoppedError": "stops",
    "VerifiedReward": "rewards",
    "WeightNoise": "perturbed",
    "bank_path": "bank",
    "fill_bank": "bank",
    "last_whole_checkpoint": "stops",
    "problem_rows": "rewards",
    "read_plan": "plan",
    "read_report": "report",
    "train": "run",
    "train_alternate": "alternate",
}

__all__ = [
    "AnnealingSchedule",
    "FlopsBudget",
    "FunctionExplorer",
    "LearnerCopy",
    "PrunedLayers",
    "RetokenisedExplorer",
    "RolloutBank",
    "RoundedWeights",
    "S2LPOConfig",
    "S2LPOTrainer",
    "ServedExplorer",
    "TextBank",
    "TrainingPlan",
    "TrainingReport",
    "TrainingStoppedError",
    "VerifiedReward",
    "WeightNoise",
    "bank_path",
    "explorer_slots",
    "fill_bank",
    "last_whole_checkpoint",
    "problem_rows",
    "read_plan",
    "read_report",
    "train",
    "train_alternate",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
