"""metrics.jsonl of a training run as arrays, and bands over the seeds of an arm.

A run may be in the middle of a line, and a killed one may have left half a line: such lines are counted and left out.
null is NaN. Where a step stands twice (a metric that is logged by training and again beside an evaluation), the last
value counts.
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
from s2l_lab.estimators import Estimate
from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM
from s2l_lab.figures.training_results import seed_counts
from s2l_lab.sweeps.banks import bank_of
from s2l_lab.training.evaluation_curve import evaluation_curve
from s2l_lab.training.report import METRICS

if TYPE_CHECKING:
    from s2l_lab.browse.training_runs import Arm, TrainingRun
    from s2l_lab.training.report import EvaluationReport

Floats = NDArray[np.float64]
LEVEL = 0.95


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
class Band:
    """A metric over the seeds of an arm. Arrays have shape (S,): the steps that every seed has."""

    step_S: NDArray[np.int64]
    mean_S: Floats
    lower_S: Floats
    upper_S: Floats
    """NaN for a single seed."""
    n_seeds: int
    method: str


@dataclass(frozen=True, slots=True)
class EvaluationBand:
    """pass@k of an arm on one benchmark, at each evaluated step that every seed has."""

    steps: tuple[int, ...]
    estimates: tuple[Estimate, ...]
    """One for each step."""
    unknown: tuple[int, ...]
    """Rollouts at each step that no verifier could judge."""


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


def seed_band(of_seeds: Sequence[Metrics], name: str) -> Band:
    """Mean of a metric over seeds with a 95 % interval of Student's t, at the steps that all have it."""
    series = [dict(zip(m.step[name].tolist(), m.value[name], strict=True)) for m in of_seeds if name in m.value]
    seeds = len(series)
    shared = sorted(set.intersection(*(set(values) for values in series))) if series else []
    value_NS = np.array([[values[step] for step in shared] for values in series]).reshape(seeds, len(shared))
    mean_S = value_NS.mean(axis=0) if seeds else np.zeros(0)
    reach_S = np.full(len(shared), np.nan)
    if seeds > 1:
        reach_S = student_t(LEVEL, seeds - 1) * value_NS.std(axis=0, ddof=1) / math.sqrt(seeds)
    steps = np.array(shared, np.int64)
    return Band(steps, mean_S, mean_S - reach_S, mean_S + reach_S, seeds, _method(seeds))


def evaluation_band(arm: Arm, benchmark: str, k: int) -> EvaluationBand:
    """pass@k over the arm's seeds, other training runs being resampled with other problems, as the figures have it; of
    one seed the interval is that run's own, over problems, and its method says so. Steps where k exceeds some seed's N
    are left out. `given` names a bank that all draw from. Rollouts without a verdict leave a value open between its
    ends: it is NaN."""
    from s2l_lab.browse.training_runs import evaluations

    by_seed = [(run, {e.step: e for e in evaluations(run) if e.benchmark == benchmark}) for run in arm.runs]
    by_seed = [(run, found) for run, found in by_seed if found]
    shared = sorted(set.intersection(*(set(found) for _, found in by_seed))) if by_seed else []
    steps, estimates, unknown = [], [], []
    for step in shared:
        reports = [found[step] for _, found in by_seed]
        if k <= min(min(report.total) for report in reports) and len({report.problem_ids for report in reports}) == 1:
            steps.append(step)
            estimates.append(_estimate([run for run, _ in by_seed], reports, k))
            unknown.append(sum(sum(report.unknown) for report in reports))
    return EvaluationBand(tuple(steps), tuple(estimates), tuple(unknown))


def _estimate(runs: Sequence[TrainingRun], reports: Sequence[EvaluationReport], k: int) -> Estimate:
    if len(reports) > 1:
        banks = [bank_of(run.plan.model_dump(mode="json")) for run in runs]
        return seed_counts([run.seed for run in runs], [[report] for report in reports], banks).estimate(k)
    (one,) = reports
    ks = sorted({*one.k, k})
    curve = evaluation_curve(one.data, one.step, one.correct, one.total, one.unknown, ks)
    place = ks.index(k)
    return Estimate(
        value=float(curve.value[place]),
        lower=float(curve.lower[place]),
        upper=float(curve.upper[place]),
        level=curve.level,
        method=curve.method[place],
        interval=curve.interval,
        n_problems=curve.n_problems,
        n_rollouts=sum(one.total),
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
