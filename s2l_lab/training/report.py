"""TrainingReport: what a finished training run says. `report.json` is written last: its being there means finished."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from s2l_lab.errors import DataError
from s2l_lab.plans import faults, read_values

PLAN, METRICS, EVALUATIONS, REPORT = "plan.json", "metrics.jsonl", "evaluations.jsonl", "report.json"
CHECKPOINTS, MODEL, LOCK = "checkpoints", "model", "training.lock"
"""Names in a training run's directory (run.py says what each is)."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EvaluationReport(_Record):
    """pass@k of the learner at one optimiser step on one benchmark. P problems, K values of k."""

    benchmark: str
    step: int
    """Optimiser steps done; 0 is before training."""
    problem_ids: tuple[str, ...]
    """(P,) ids of the problems."""
    correct: tuple[int, ...]
    """(P,) rollouts that are correct, of `total` that were judged; `unknown` are those no verifier could judge."""
    total: tuple[int, ...]
    unknown: tuple[int, ...]
    k: tuple[int, ...]
    value: tuple[float, ...]
    """(K,) unbiased pass@k, 0 to 1."""
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    """(K,) 95 % intervals about other problems of this kind. Not about other training seeds."""
    data: str
    """Digest of the problems."""
    sampling: str
    """Digest of the sampling parameters."""
    verifier_version: str
    rollouts: str
    """The store that holds them, from the run directory; before training it is one that all runs of a learner share."""

    def in_words(self) -> str:
        """One line."""
        values = zip(self.k, self.value, self.lower, self.upper, strict=True)
        parts = ", ".join(f"pass@{k} {value:.3f} [{low:.3f}, {high:.3f}]" for k, value, low, high in values)
        return (
            f"step {self.step}: {parts} (n = {len(self.problem_ids)} problems of {self.benchmark}, N = "
            f"{min(self.total)}; 95 %, problems like these)"
        )


class SpentReport(_Record):
    """What a part of a run spent."""

    tokens: int
    flops: float | None
    """None where the size of the model is not known, as of one that is served or that wrote texts."""
    seconds: float

    @field_validator("flops")
    @classmethod
    def _unknown_is_none(cls, flops: float | None) -> float | None:
        return None if flops is None or math.isnan(flops) else flops


class CostReport(_Record):
    """See cost.py."""

    explorer: SpentReport
    learner: SpentReport
    updates: SpentReport
    grpo_rollout_flops: float


class TrainingReport(_Record):
    """A finished run."""

    schema_version: int = 1
    digest: str
    """Digest of the plan."""
    plan: dict[str, Any]
    command: str
    steps: int
    """Number of optimiser steps."""
    rounds: int
    evaluations: tuple[EvaluationReport, ...]
    """Evaluations, sorted by benchmark and step."""
    cost: CostReport
    relative_rollout_compute: float | None
    """Rollout FLOPs over those of GRPO on the same rollouts, the explorer's included; None without rollouts."""
    explorer_share: float | None
    """Explorer's share of the rollout FLOPs, 0 to 1."""
    seconds: float
    """Wall clock of the session that finished it."""

    def last(self, benchmark: str) -> EvaluationReport:
        """After training. Raises DataError for a benchmark that was not evaluated."""
        return self.evaluations_of(benchmark)[-1]

    def evaluations_of(self, benchmark: str) -> tuple[EvaluationReport, ...]:
        """In order of steps. Raises DataError for a benchmark that was not evaluated."""
        found = tuple(e for e in self.evaluations if e.benchmark == benchmark)
        if not found:
            known = ", ".join(dict.fromkeys(e.benchmark for e in self.evaluations)) or "none"
            raise DataError(f"run {self.digest} was not evaluated on {benchmark!r}. It was on: {known}.")
        return found


def read_report(directory: Path) -> TrainingReport:
    """The report of a finished run. Raises DataError where there is none or it is damaged."""
    path = directory / REPORT
    if not path.is_file():
        raise DataError(f"{directory} holds no finished training run. `s2l-lab train` makes or resumes one.")
    values = read_values(path)
    try:
        return TrainingReport.model_validate(values)
    except ValidationError as error:
        found = "; ".join(words for _, words in faults(error, TrainingReport, values))
        raise DataError(f"{path} is no report of a training run: {found}.") from error
