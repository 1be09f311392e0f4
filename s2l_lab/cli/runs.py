"""`s2l-lab runs`: one line for each run directory below a folder, and what is wrong with those that cannot be read."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from s2l_lab.cli.tables import in_terminal
from s2l_lab.errors import UsageError
from s2l_lab.figures.markup import printable
from s2l_lab.figures.tables import table, texts
from s2l_lab.rollouts.listing import RunSummary, find_runs


def run(directory: Path) -> None:
    """Print the list. Raises UsageError for a folder that is not there; an empty list says how to make a run."""
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is no folder. Runs are made by `s2l-lab passk`, below `runs` unless --out says else."
        )
    console = Console()
    found = list(find_runs(directory))
    if not found:
        console.print(Text(f"No run directories below {directory}; `s2l-lab passk` makes one."))
        return
    counts = ("problems", "rollouts", "unverified")
    rows = [_cells(summary) for summary in found]
    console.print(in_terminal(table("", [*texts("run", "policies"), *counts, *texts("last", "state")], rows)))
    for summary in found:
        if summary.trouble:
            console.print(Text(printable(f"{summary.path}: {summary.trouble}"), style="yellow"))


def _cells(summary: RunSummary) -> list[str]:
    unverified = summary.rollouts - max(summary.verdicts.values(), default=0)
    return [
        str(summary.path),
        ", ".join(summary.policies) or "-",
        f"{summary.problems:,}",
        f"{summary.rollouts:,}",
        f"{unverified:,}",
        f"{summary.last:%Y-%m-%d %H:%M}" if summary.last else "-",
        summary.state,
    ]
