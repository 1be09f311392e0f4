"""What training runs logged: metrics.jsonl as arrays, their means over the seeds of an arm, and what each run spent.

A run may be in the middle of a line, and a killed one may have left half a line: such lines are counted and left out.
null is NaN. Where a step stands twice (a metric that is logged by training and again beside an evaluation), the last
value counts. What a run spent is its report's once it is finished, and until then what it has logged so far. A part
that was not logged is NaN: unknown is not free.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2l_lab.errors import DataError
from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM
from s2l_lab.training.report import METRICS
from s2l_lab.training.results import StepCurve

if TYPE_CHECKING:
    from s2l_lab.training.arms import TrainingRun

Floats = NDArray[np.float64]
PARTS = ("explorer", "learner", "updates")
"""Sampling by the explorer, sampling by the learner, updates of the learner."""
_RELATIVE = "cost/rollout_compute_relative_to_grpo"
_SHARE = "cost/explorer_share"
_UNITS = ("tokens", "flops", "seconds")
_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a run logged. By metric: optimiser steps, rising, and values, both of shape (S,)."""

    step: dict[str, NDArray[np.int64]]
    value: dict[str, Floats]
    torn: int
    """Lines that could not be read."""
    last_step: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """Metrics in order of first appearance."""
        return tuple(self.value)


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
    """Explorer's share of the rollout FLOPs, 0 to 1."""


def metrics(path: Path) -> Metrics:
    """What the run in `path` has logged so far; nothing where there is no file. Raises DataError for one that cannot be
    opened."""
    try:
        lines = (path / METRICS).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as cause:
        raise DataError(f"{path / METRICS} cannot be read: {cause.strerror}.") from cause
    found: dict[str, dict[int, float]] = {}
    torn, last = 0, None
    for line in lines:
        record = _record(line)
        if record is None:
            torn += 1
            continue
        step = record.pop("step")
        last = step if last is None else max(last, step)
        for name, value in record.items():
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
                found.setdefault(name, {})[step] = math.nan if value is None else float(value)
    ordered = {name: dict(sorted(values.items())) for name, values in found.items()}
    return Metrics(
        step={name: np.array(list(values), np.int64) for name, values in ordered.items()},
        value={name: np.array(list(values.values()), np.float64) for name, values in ordered.items()},
        torn=torn,
        last_step=last,
    )


def seed_band(of_seeds: Sequence[Metrics], name: str) -> StepCurve:
    """Mean of a metric over seeds with a 95 % interval of Student's t, at the steps that all have it."""
    series = [dict(zip(m.step[name].tolist(), m.value[name], strict=True)) for m in of_seeds if name in m.value]
    seeds = len(series)
    shared = sorted(set.intersection(*(set(values) for values in series))) if series else []
    value_NS = np.array([[values[step] for step in shared] for values in series]).reshape(seeds, len(shared))
    mean_S = value_NS.mean(axis=0) if seeds else np.zeros(0)
    reach_S = np.full(len(shared), np.nan)
    if seeds > 1:
        reach_S = student_t(_LEVEL, seeds - 1) * value_NS.std(axis=0, ddof=1) / math.sqrt(seeds)
    steps = np.array(shared, np.int64)
    return StepCurve(steps, mean_S, mean_S - reach_S, mean_S + reach_S, seeds, _method(seeds))


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
            flops={name: _known(part.flops) for name, part in parts.items()},
            seconds={name: part.seconds for name, part in parts.items()},
            relative=_known(report.relative_rollout_compute),
            explorer_share=_known(report.explorer_share),
        )
    found = {unit: {name: _last(metrics, f"cost/{name}/{unit}") for name in PARTS} for unit in _UNITS}
    return CostRow(
        label=run.label,
        seed=run.seed,
        finished=False,
        last_step=metrics.last_step,
        tokens=found["tokens"],
        flops=found["flops"],
        seconds=found["seconds"],
        relative=_last(metrics, _RELATIVE),
        explorer_share=_last(metrics, _SHARE),
    )


def _record(line: str) -> dict[str, Any] | None:
    """One line's values, or None for what is no whole record."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        return None
    return value


def _method(seeds: int) -> str:
    if seeds < 2:
        return "one seed: no interval"
    few = "" if seeds >= SEEDS_FOR_A_CLAIM else ", cannot tell"
    return f"Student's t over {seeds} seeds{few}"


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _last(metrics: Metrics, name: str) -> float:
    values = metrics.value.get(name)
    return math.nan if values is None or not values.size else float(values[-1])
