"""`s2l-lab runs`: one line for each run directory below a folder, and what is wrong with those that cannot be read."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from s2l_lab.browse.store_facts import read_facts
from s2l_lab.cli.tables import in_terminal
from s2l_lab.errors import UsageError
from s2l_lab.figures.markup import printable
from s2l_lab.figures.tables import table, texts
from s2l_lab.rollouts.listing import run_folders


def run(directory: Path) -> None:
    """Print the list. Raises UsageError for a folder that is not there; an empty list says how to make a run."""
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is no folder. Runs are made by `s2l-lab passk`, below `runs` unless --out says else."
        )
    console = Console()
    found = {path: read_facts(path) for path in run_folders(directory)}
    if not found:
        console.print(Text(f"No run directories below {directory}; `s2l-lab passk` makes one."))
        return
    counts = ("problems", "rollouts", "unverified")
    rows = [
        (
            str(path),
            ", ".join(facts.policies) or "-",
            *(f"{count:,}" for count in (facts.problems, facts.rollouts, facts.unverified)),
            f"{facts.when:%Y-%m-%d %H:%M}" if facts.when else "-",
            facts.state,
        )
        for path, facts in found.items()
    ]
    console.print(in_terminal(table("", [*texts("run", "policies"), *counts, *texts("last", "state")], rows)))
    for path, facts in found.items():
        if facts.trouble:
            console.print(Text(printable(f"{path}: {' '.join(facts.trouble)}"), style="yellow"))
