"""A laboratory bench for policy-level diversity: pass@k over model families, diversity, and S2L-PO training.

    import s2l_lab as s2l

gives the names of __all__, for notebooks and scripts: arrays, lists and frames in, records with `to_frame` out. Each is
imported when it is first used, so that importing this package imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2l_lab.diversity.measure import measure_diversity
    from s2l_lab.estimators.compare import compare
    from s2l_lab.estimators.curve import pass_at_k_curve
    from s2l_lab.figures.plots import plot_difference, plot_passk, plot_solve_rates
    from s2l_lab.rollouts.run import open_run
    from s2l_lab.rollouts.sampled import sample
    from s2l_lab.studies.frames import persistence, policy_share
    from s2l_lab.training.config import S2LPOConfig
    from s2l_lab.training.trainer import S2LPOTrainer

__version__ = "0.1.0"
__all__ = [
    "S2LPOConfig",
    "S2LPOTrainer",
    "compare",
    "measure_diversity",
    "open_run",
    "pass_at_k_curve",
    "persistence",
    "plot_difference",
    "plot_passk",
    "plot_solve_rates",
    "policy_share",
    "sample",
]

_MODULES = {
    "S2LPOConfig": "training.config",
    "S2LPOTrainer": "training.trainer",
    "compare": "estimators.compare",
    "measure_diversity": "diversity.measure",
    "open_run": "rollouts.run",
    "pass_at_k_curve": "estimators.curve",
    "persistence": "studies.frames",
    "plot_difference": "figures.plots",
    "plot_passk": "figures.plots",
    "plot_solve_rates": "figures.plots",
    "policy_share": "studies.frames",
    "sample": "rollouts.sampled",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
