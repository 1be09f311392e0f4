"""The training figures and tables: run what their sweep owes, then draw what is finished beside the paper's.

One function serves all: experiments/NAME/SCALE.toml is a sweep, and its `[figure]` says how it is drawn. A failed arm
does not keep the others from the figure; it stands there as owed, and the exit status says that something failed.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from s2l_lab.cli.sweep import printable_lines
from s2l_lab.cli.sweep import run as run_sweep_command
from s2l_lab.cli.tables import in_terminal
from s2l_lab.errors import UsageError
from s2l_lab.figures.claim_tables import claims_table
from s2l_lab.figures.experiment import plan_path
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.training_figure import training_figure, training_numbers
from s2l_lab.figures.write import Written, write_with_numbers
from s2l_lab.studies.study import details
from s2l_lab.sweeps import read_sweep, reports, run_sweep
from s2l_lab.sweeps.launch import ROOT
from s2l_lab.training.claims import figure_plan
from s2l_lab.training.results import training_results

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from s2l_lab.figures.registry import Scale
    from s2l_lab.sweeps import SeededArm, SweepPlan
    from s2l_lab.training.claims import TrainingFigure
    from s2l_lab.training.results import Reports


def training(
    name: str, folder: Path, scale: Scale, dry_run: bool, console: Console, places: dict[str, Path | None]
) -> None:
    """Make a figure: it is written into `folder`/NAME-SCALE."""
    path = plan_path(name, scale)
    if dry_run:
        run_sweep_command(path, root=ROOT, workers=None, dry_run=True, status=False)
        return
    sweep = _placed(read_sweep(path), places)
    plan = figure_plan(sweep.figure, (arm.name for arm in sweep.arms()), str(path))
    outcome = run_sweep(sweep, announce=lambda line: console.print(Text(printable_lines(line)), soft_wrap=True))
    written = write_training(name, scale, sweep, plan, reports(sweep, ROOT), folder / f"{name}-{scale}", console)
    for line in written.lines:
        console.print(Text(printable(line)), soft_wrap=True)
    if outcome.failed:
        sys.exit(outcome.exit_status)


def write_training(
    name: str,
    scale: Scale,
    sweep: SweepPlan,
    plan: TrainingFigure,
    found: Mapping[str, Reports],
    folder: Path,
    console: Console,
) -> Written:
    """Print the verdicts; write figure and numbers.json. Raises UsageError where no run at all is finished."""
    if not any(found.values()):
        raise UsageError(f"no run of {sweep.path} is finished, so there is nothing to draw. Its logs are in {ROOT}.")
    wanted: dict[str, list[int]] = {}
    for arm in sweep.arms():
        wanted.setdefault(arm.name, []).append(arm.seed)
    results = training_results(plan, wanted, found)
    command = f"s2l-lab figures {name} --scale {scale}"
    about = [*_about(sweep.arms()[0], found, plan), details(f"made by: {command}")]
    values = training_numbers(name, plan, results, about, scale=scale, command=command)
    console.print(in_terminal(claims_table(values["claims"])))
    return write_with_numbers(training_figure(name, plan, results, about, scale=scale), as_json(values), folder / name)


def _about(first: SeededArm, found: Mapping[str, Reports], plan: TrainingFigure) -> list[str]:
    """The data, the sampling and the recipe, from the plans and the reports."""
    report = next(report for by_seed in found.values() for report in by_seed.values())
    lines = []
    for wanted in first.plan.evaluation:
        if wanted.benchmark not in plan.benchmarks:
            continue
        evaluation = report.last(wanted.benchmark)
        between = f", {wanted.between} between" if wanted.between else ""
        lines.append(
            f"{wanted.benchmark}: n = {len(evaluation.problem_ids)} problems, N = {min(evaluation.total)} rollouts per "
            f"problem before and after training{between}; T {wanted.temperature:g}, top-p {wanted.top_p:g}, seed "
            f"{wanted.seed}; verifier {evaluation.verifier_version}, data {evaluation.data}."
        )
    options = first.plan.training
    lines.append(
        f"Learner {first.plan.learner.member} on {first.plan.problems.benchmark}: {report.steps} optimiser steps in "
        f"{report.rounds} rounds, G = {options.get('num_generations', 16)}, learning rate "
        f"{options.get('learning_rate', 1e-6):g}. Each arm differs from this in what its name says."
    )
    return lines


def _placed(sweep: SweepPlan, places: Mapping[str, Path | None]) -> SweepPlan:
    """The sweep with the caller's directories of checkpoints and problem files, which change no digest."""
    given: dict[str, Any] = {name: path for name, path in places.items() if path is not None}
    if not given:
        return sweep
    moved = tuple(dataclasses.replace(arm, plan=arm.plan.model_copy(update=given)) for arm in sweep.arms())
    runs: dict[str, tuple[SeededArm, ...]] = {}
    for arm in moved:
        runs[arm.plan.digest] = (*runs.get(arm.plan.digest, ()), arm)
    return dataclasses.replace(sweep, runs=runs, _arms=moved)
