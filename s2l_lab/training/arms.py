"""Training runs on disk: what each is, finished or not, which are seeds of one arm, and which draw from one bank.

A run is its plan; two runs whose plans differ in the training seed alone are two seeds of one arm. What their numbers
are together is in `results` (evaluations) and `logged` (metrics).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from s2l_lab.digest import content_digest
from s2l_lab.errors import DataError, S2LError
from s2l_lab.rollouts.parts import ROLLOUTS_FOLDER, Parts
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.report import EVALUATIONS, PLAN, REPORT, EvaluationReport, TrainingReport, read_report
from s2l_lab.training.rounds import Rounds
from s2l_lab.training.schedule import AnnealingSchedule

Floats = NDArray[np.float64]
_DEFAULT_GROUP = 16
"""G and batch size of S2LPOConfig, which a plan leaves out where it does not change them (a test holds them equal;
building the config would import torch)."""


_DRAWING = {"rollouts", "resample", "select"}
"""Of the explorer: how many a bank holds, and how it is drawn from."""
_SAMPLING = ("explorer_temperature", "explorer_top_p", "max_completion_length")


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run's plan, and its report once it is finished."""

    path: Path
    plan: TrainingPlan
    report: TrainingReport | None

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.plan.seed

    @property
    def arm(self) -> str:
        """Digest of the plan without its seed: equal for the seeds of one arm."""
        return content_digest(_without_seed(self.plan))

    @property
    def label(self) -> str:
        """One line. Plain text, not escaped."""
        plan = self.plan
        explorer = "plain GRPO" if not plan.explores or plan.explorer is None else _explorer(plan.explorer)
        return f"{plan.learner.member}, {explorer}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Arm:
    """Seeds of one plan."""

    name: str
    """How the arm differs from the other arms; `all` if there is only one arm."""
    key: str
    runs: tuple[TrainingRun, ...]
    """Runs of the arm, sorted by seed."""


def read_run(path: Path) -> TrainingRun:
    """The run in a directory. Raises DataError where it has no plan that can be read, or a damaged report."""
    report = read_report(path) if (path / REPORT).is_file() else None
    if report is not None:
        values: Any = report.plan
    else:
        try:
            values = json.loads((path / PLAN).read_bytes())
        except (OSError, ValueError) as cause:
            raise DataError(f"{path / PLAN} cannot be read ({cause}), so what the run is cannot be said.") from cause
    try:
        return TrainingRun(path, plan_of(values, str(path / PLAN)), report)
    except S2LError as error:
        raise DataError(f"{path} was made by another release: {error}") from error


def group_arms(runs: Sequence[TrainingRun]) -> tuple[Arm, ...]:
    """Runs by arm, in order of first appearance; each arm is named by what differs between the arms."""
    by_key: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        by_key[run.arm].append(run)
    plans = {key: _changed(found[0].plan) for key, found in by_key.items()}
    differing = [
        name
        for name in dict.fromkeys(name for plan in plans.values() for name in plan)
        if len({repr(plan.get(name)) for plan in plans.values()}) > 1
    ]
    alone = "all" if len(plans) == 1 else "defaults"
    names = {key: ", ".join(f"{n} = {plan[n]}" for n in differing if n in plan) or alone for key, plan in plans.items()}
    return tuple(Arm(names[key], key, tuple(sorted(found, key=lambda run: run.seed))) for key, found in by_key.items())


def evaluations(run: TrainingRun) -> tuple[EvaluationReport, ...]:
    """pass@k while training, by benchmark, then step: the report's, or what an unfinished run has made so far."""
    if run.report is not None:
        return run.report.evaluations
    try:
        lines = (run.path / EVALUATIONS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    found = {}
    for line in lines:
        try:
            one = EvaluationReport.model_validate_json(line)
        except ValidationError:
            continue  # the last line of a run that is being written may be half there
        found[one.benchmark, one.step] = one
    return tuple(found[key] for key in sorted(found))


def bank_of(plan: Mapping[str, Any]) -> str | None:
    """What stands for the bank of a plan's JSON values, wherever its files lie; None where it draws from none."""
    explorer, training = plan.get("explorer") or {}, plan.get("training") or {}
    if explorer.get("kind") != "bank" or training.get("explorer_fraction", 1.0) == 0:
        return None
    return content_digest(
        {
            "learner": {name: value for name, value in (plan.get("learner") or {}).items() if name != "lora"},
            "explorer": {name: value for name, value in explorer.items() if name not in _DRAWING},
            "problems": plan.get("problems"),
            "sampling": {name: training.get(name) for name in _SAMPLING},
        }
    )


def group_size(run: TrainingRun) -> int:
    """G."""
    return _number(run.plan.training, "num_generations", _DEFAULT_GROUP)


def rounds_of(run: TrainingRun) -> Rounds:
    """How the run's rollouts are numbered. A finished run says how many rounds it had, and its recorded rollouts then
    how many groups each; before that it is the plan's number for one process."""
    training = run.plan.training
    size, accumulation = group_size(run), _number(training, "gradient_accumulation_steps", 1)
    device_batch = _number(training, "per_device_train_batch_size", _DEFAULT_GROUP)
    passes = _number(training, "steps_per_generation", accumulation)
    if "generation_batch_size" in training:
        passes = max(1, _number(training, "generation_batch_size", device_batch) // device_batch)
    micro_steps = passes * _number(training, "num_iterations", 1)
    recorded = _recorded_groups(run, size)
    groups = max(1, device_batch * passes // size) if recorded is None else recorded
    return Rounds(size, groups, micro_steps, accumulation, exact=recorded is not None)


def planned_slots(run: TrainingRun, rounds: int) -> NDArray[np.int64]:
    """Explorer slots in each of `rounds` rounds by the plan's annealing schedule, shape (rounds,)."""
    training = run.plan.training
    if not run.plan.explores or rounds < 1:
        return np.zeros(max(rounds, 0), np.int64)
    mix_steps = training.get("mix_steps") or max(1, rounds // 2)
    schedule = AnnealingSchedule(
        training.get("schedule", "linear"),
        mix_steps,
        Fraction(str(training.get("explorer_fraction", 1.0))),
        training.get("slot_rounding", "exact"),
    )
    return np.array([schedule.slots(group_size(run), round_ + 1) for round_ in range(rounds)], np.int64)


def _recorded_groups(run: TrainingRun, size: int) -> int | None:
    """Groups of a round, from the largest sample index in the footers of what was recorded; None where that, or the
    number of rounds, is not known."""
    if run.report is None or run.report.rounds < 1:
        return None
    try:
        parts = Parts(run.path / ROLLOUTS_FOLDER, writable=False)
        files = parts.live(ROLLOUTS_FOLDER, parts.ledger())
    except S2LError:
        return None
    groups = (largest_index(files) + 1) // size
    return groups // run.report.rounds if groups and groups % run.report.rounds == 0 else None


def largest_index(files: Sequence[Path]) -> int:
    """The largest sample index that the footers of these parts name; -1 without any."""
    found = -1
    for file in files:
        footer = pq.read_metadata(file)
        column = footer.schema.to_arrow_schema().names.index("sample_index")
        statistics = (footer.row_group(group).column(column).statistics for group in range(footer.num_row_groups))
        found = max([found, *(s.max for s in statistics if s is not None and s.has_min_max)])
    return found


def _explorer(plan: Any) -> str:
    return f"explorer {plan.who}" if plan.who else f"explorer: learner ({plan.kind})"


def _without_seed(plan: TrainingPlan) -> dict[str, Any]:
    identity = plan.identity
    return identity | {"training": {name: value for name, value in identity["training"].items() if name != "seed"}}


def _changed(plan: TrainingPlan) -> dict[str, Any]:
    """`explorer.member` -> value, of what a plan says that is no default and decides the run; without the seed."""
    said = plan.model_dump(mode="json", exclude_defaults=True, exclude={"model_root", "data_root"})
    training = _without_seed(plan)["training"]
    said = {name: value for name, value in said.items() if name not in ("training", "explorer") or plan.explores}
    return _flat({name: value for name, value in said.items() if name != "training"}) | _flat(training)


def _flat(values: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{at}{name}.")
        else:
            found[at + name] = value
    return found


def _number(values: Mapping[str, Any], name: str, default: int) -> int:
    value = values.get(name)
    return value if isinstance(value, int) and value > 0 else default
