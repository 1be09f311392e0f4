"""`s2l-lab diversity`: a run's rollouts (sampled first where --family is given) into tables, one page and numbers."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from s2l_lab.studies.diversity import DiversityReport

FOLDER = "diversity"
"""Below the run directory."""


def run_of_directory(
    path: Path,
    *,
    members: Sequence[str] | None,
    problems: int | None,
    rollouts: int | None,
    embedder: str,
    as_json: bool,
) -> None:
    """The diversity of a stored run; nothing is sampled."""
    from rich.console import Console

    from s2l_lab.rollouts.listing import is_run

    if not is_run(path):
        raise UsageError(f"--run {path}: there is no run here. `s2l-lab runs` lists run directories.")
    _deliver(_measure(path, members, problems, rollouts, embedder, Console(stderr=True)), as_json)


def run_of_family(fields: dict[str, Any], *, preset: str, chosen: dict[str, Any], embedder: str, as_json: bool) -> None:
    """Sample what is owed as `s2l-lab passk` does, then measure."""
    from rich.console import Console

    from s2l_lab.cli.passk import build_request, run_with_progress

    console = Console(stderr=True)
    request = build_request(fields, preset, chosen)
    report = run_with_progress(request, False, console)
    names = [policy.name for policy in report.policies]
    _deliver(_measure(request.run_directory, names, report.n_problems, request.rollouts, embedder, console), as_json)


def _measure(
    path: Path, members: Sequence[str] | None, problems: int | None, rollouts: int | None, embedder: str, console: Any
) -> DiversityReport:
    """The report of a run, with a line on the console when something slow begins."""
    from s2l_lab.studies.diversity import diversity_of_run

    return diversity_of_run(
        path,
        policies=members,
        problems=problems,
        n=rollouts,
        embedder=embedder,
        command=shlex.join(["s2l-lab", *sys.argv[1:]]),
        announce=lambda line: console.print(f"{line} ...", style="dim", highlight=False),
    )


def _deliver(report: DiversityReport, as_json: bool) -> None:
    """Print the tables (or the numbers); write page, figure and numbers.json below the run."""
    from rich.console import Console

    from s2l_lab.cli.tables import show
    from s2l_lab.figures.diversity import diversity_numbers
    from s2l_lab.figures.diversity_page import write_pages
    from s2l_lab.figures.numbers import as_json as json_text
    from s2l_lab.figures.study_tables import diversity_printed
    from s2l_lab.figures.write import replace_file
    from s2l_lab.studies.metric_validity import metric_marks

    values = diversity_numbers(report, metric_marks())
    if as_json:
        print(json_text(values), end="")
    else:
        show(diversity_printed(report, values), Console())
    folder = report.run_directory / FOLDER
    written = write_pages(report, folder)
    numbers = replace_file(folder / "numbers.json", json_text(values).encode())
    err = Console(stderr=True)
    for line in [*map(str, written.paths), str(numbers), *([written.note] if written.note else [])]:
        err.print(line, style="dim", highlight=False, soft_wrap=True)
