"""`s2l-lab sweep`: the runs of a SWEEP.toml, what has become of them, and the making of those that are owed."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from s2l_lab.cli.tables import in_terminal
from s2l_lab.figures.markup import printable
from s2l_lab.figures.tables import number, table, texts
from s2l_lab.sweeps import read_sweep, run_sweep, state_of
from s2l_lab.sweeps.banks import banks_of
from s2l_lab.sweeps.status import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.sweeps import RunState, SeededArm, SweepPlan


def run(path: Path, *, root: Path, workers: int | None, dry_run: bool, status: bool) -> None:
    """Make the owed runs and print the table; `dry_run` and `status` only print. Exits with 1 if a run failed."""
    sweep = read_sweep(path)
    console = Console()
    if dry_run or status:
        _print_status(sweep, root, console, plan=dry_run)
        return
    outcome = run_sweep(
        sweep,
        root=root,
        workers=workers,
        announce=lambda line: console.print(Text(printable_lines(line)), soft_wrap=True),
    )
    _print_status(sweep, root, console, plan=False)
    if outcome.failed:
        console.print(Text("The same command tries the failed ones again."))
        sys.exit(outcome.exit_status)


def printable_lines(text: str) -> str:
    """The text of a child's log with its escape sequences made visible."""
    return "\n".join(map(printable, text.split("\n")))


def _print_status(sweep: SweepPlan, root: Path, console: Console, *, plan: bool) -> None:
    states = {digest: state_of(root / digest) for digest in sweep.runs}
    rows = []
    for name, arms in _by_name(sweep).items():
        count = Counter(states[arm.plan.digest].condition for arm in arms)
        seeds = ", ".join(str(arm.seed) for arm in arms)
        rows.append((name, seeds, *(str(count[c] or "") for c in CONDITIONS), _same_as(sweep, arms)))
    heads = [*texts(f"arm of {sweep.name}", "seeds"), *CONDITIONS, *texts("same run as")]
    console.print(in_terminal(table("", heads, rows)))
    for digest, same in sweep.runs.items():
        for line in _details(same[0], states[digest], root / digest):
            console.print(Text(printable(line)), soft_wrap=True)
    count = Counter(state.condition for state in states.values())
    listed = ", ".join(f"{count[c]} {c}" for c in CONDITIONS if count[c])
    console.print(f"{len(sweep.arms())} arms with seeds are {len(sweep.runs)} runs: {listed}.")
    if plan:
        _print_banks(sweep, states, console)


def _print_banks(sweep: SweepPlan, states: dict[str, RunState], console: Console) -> None:
    owed = [arms[0].plan for digest, arms in sweep.runs.items() if states[digest].condition != "done"]
    for bank in banks_of(owed).values():
        assert bank.explorer is not None
        line = (
            f"Bank: {bank.explorer.rollouts} rollouts of {bank.explorer.member} for each of {bank.problems.benchmark}"
        )
        console.print(Text(printable(f"{line}, sampling seed {bank.explorer.seed}.")), soft_wrap=True)
    console.print("Nothing was launched.")


def _by_name(sweep: SweepPlan) -> dict[str, list[SeededArm]]:
    """In the order of the file, each with its seeds in order of launching."""
    named: dict[str, list[SeededArm]] = {}
    for arm in sweep.arms():
        named.setdefault(arm.name, []).append(arm)
    return named


def _same_as(sweep: SweepPlan, arms: Sequence[SeededArm]) -> str:
    """Names of earlier arms that share this arm's runs."""
    return ", ".join(
        dict.fromkeys(first.name for arm in arms if (first := sweep.runs[arm.plan.digest][0]).name != arm.name)
    )


def _details(arm: SeededArm, state: RunState, directory: Path) -> list[str]:
    at = "" if state.step is None else f" at step {state.step}"
    reward = "" if state.reward is None else f", reward {number(state.reward)}"
    if state.condition == "running":
        return [f"{arm.title}: running{at}{reward} ({directory}; {state.detail})"]
    if state.condition == "failed":
        return [f"{arm.title}: failed{at}; {state.detail}"]
    return []
