"""What training runs spent, part by part: from a finished run's report, else from what it has logged so far.

Only runs that are finished spent what they were going to spend; a row says which it is. A part that was not logged is
NaN: unknown is not free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2l_lab.browse.training_metrics import Metrics
from s2l_lab.browse.training_runs import TrainingRun

PARTS = ("explorer", "learner", "updates")
"""Sampling by the explorer, sampling by the learner, updates of the learner."""
RELATIVE = "cost/rollout_compute_relative_to_grpo"
SHARE = "cost/explorer_share"


@dataclass(frozen=True, slots=True)
class CostRow:
    """One run. Dictionaries are by PARTS."""

    label: str
    seed: int
    finished: bool
    last_step: int | None
    tokens: dict[str, float]
    flops: dict[str, float]
    seconds: dict[str, float]
    relative: float
    """Rollout FLOPs over those of GRPO on the same rollouts, the explorer's included; NaN where unknown."""
    explorer_share: float
    """Of the rollout FLOPs."""


def cost_row(run: TrainingRun, metrics: Metrics) -> CostRow:
    """The row of a run."""
    report = run.report
    if report is not None:
        parts = {name: getattr(report.cost, name) for name in PARTS}
        return CostRow(
            label=run.label,
            seed=run.seed,
            finished=True,
            last_step=report.steps,
            tokens={name: float(part.tokens) for name, part in parts.items()},
            flops={name: part.flops for name, part in parts.items()},
            seconds={name: part.seconds for name, part in parts.items()},
            relative=_known(report.relative_rollout_compute),
            explorer_share=_known(report.explorer_share),
        )
    found = {unit: {name: _last(metrics, f"cost/{name}/{unit}") for name in PARTS} for unit in UNITS}
    return CostRow(
        label=run.label,
        seed=run.seed,
        finished=False,
        last_step=metrics.last_step,
        tokens=found["tokens"],
        flops=found["flops"],
        seconds=found["seconds"],
        relative=_last(metrics, RELATIVE),
        explorer_share=_last(metrics, SHARE),
    )


UNITS = ("tokens", "flops", "seconds")


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _last(metrics: Metrics, name: str) -> float:
    values = metrics.value.get(name)
    return math.nan if values is None or not values.size else float(values[-1])
