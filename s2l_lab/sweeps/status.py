"""What has become of the runs of a sweep, read from their directories; nothing is kept anywhere else.

`report.json` is written last, so its being there means done. The lock is held by the process that trains and by the
sweep that started it, whichever lives longer. `failed.json` is the exit status of the last attempt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from s2l_lab.rollouts.lock import holder
from s2l_lab.training.report import LOCK as TRAINING_LOCK
from s2l_lab.training.report import METRICS, REPORT, TrainingReport, read_report

if TYPE_CHECKING:
    from pathlib import Path

    from s2l_lab.sweeps.plan import SweepPlan

LOCK = "sweep.lock"
LOG = "log.txt"
FAILED = "failed.json"
TAIL_BYTES = 65536

Condition = Literal["done", "running", "failed", "interrupted", "owed"]
"""Finished; being trained by some process now; ended otherwise than by an interrupt; begun; not begun."""
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


@dataclass(frozen=True, slots=True)
class RunState:
    """One run."""

    condition: Condition
    step: int | None = None
    """Last logged step of a run that is not done."""
    reward: float | None = None
    """Mean reward logged at that step."""
    detail: str = ""
    """Which process trains the run, or how it failed."""


def state_of(directory: Path) -> RunState:
    """The state of a run directory, which need not exist."""
    if (directory / REPORT).exists():
        return RunState("done")
    step, reward = last_metrics(directory / METRICS)
    who = holder(directory / LOCK) or holder(directory / TRAINING_LOCK)
    if who is not None:
        return RunState("running", step, reward, who)
    failure = _json(directory / FAILED)
    if failure is not None:
        return RunState("failed", step, reward, f"exit status {failure.get('status')}, log in {directory / LOG}")
    return RunState("interrupted" if (directory / LOG).exists() else "owed", step, reward)


def reports(sweep: SweepPlan, root: Path) -> dict[str, dict[int, TrainingReport]]:
    """Arm name -> seed -> the report of its run, of finished runs alone. Every arm is a key. Raises DataError for a
    damaged report."""
    found: dict[str, dict[int, TrainingReport]] = {arm.name: {} for arm in sweep.arms()}
    for digest, arms in sweep.runs.items():
        if (root / digest / REPORT).exists():
            report = read_report(root / digest)
            for arm in arms:
                found[arm.name][arm.seed] = report
    return {name: dict(sorted(by_seed.items())) for name, by_seed in found.items()}


def last_metrics(path: Path) -> tuple[int | None, float | None]:
    """The last step of a metrics.jsonl and the last reward (lines of evaluations have none), or None."""
    step: int | None = None
    for line in reversed(tail(path)):
        try:
            values = json.loads(line)
        except ValueError:
            continue  # torn: it is being written, or a kill cut it
        step = values["step"] if step is None else step
        if values.get("reward") is not None:
            return step, values["reward"]
    return step, None


def tail(path: Path, lines: int | None = None) -> list[str]:
    """The last lines of a text file, read from its end; empty where there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            found = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return found if lines is None else found[-lines:]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
