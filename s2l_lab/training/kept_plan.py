"""plan.json: what the run of a directory is, so that no other run is mixed into it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s2l_lab.errors import UsageError
from s2l_lab.rollouts.durable import replacing
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.report import PLAN


def keep_plan(plan: TrainingPlan, out: Path) -> None:
    """Write the plan, or see that it is the one that is there. Raises UsageError for another."""
    path = out / PLAN
    if path.is_file():
        require_same(plan, json.loads(path.read_bytes()), out)
        return
    with replacing(path) as stream:
        stream.write(plan.model_dump_json(indent=1).encode())


def require_same(plan: TrainingPlan, there: Any, out: Path) -> None:
    """Raises UsageError, with what differs, unless `there` (as it was read from JSON) is the same run's plan."""
    other = plan_of(there, str(out / PLAN))
    if other.digest == plan.digest:
        return
    raise UsageError(
        f"{out} holds a run of another plan ({', '.join(_differing(plan.identity, other.identity))}). Give --out "
        "another directory, or leave it out for one that is named by the plan."
    )


def _differing(mine: Mapping[str, Any], theirs: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key in sorted({*mine, *theirs}):
        a, b = mine.get(key), theirs.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differing(a, b, f"{at}{key}.")
        elif a != b:
            yield f"{at}{key}: {b} there, {a} asked"
