"""`s2l-lab figures NAME`: plan, run what is missing, draw ours beside the paper's, say where it is.

A figure is a function in FIGURES. Its runs are ordinary pass@k runs: what `s2l-lab passk` stored counts, and a second
call draws at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.text import Text

from s2l_lab.errors import unknown_name
from s2l_lab.figures.experiment import load_experiment
from s2l_lab.figures.fig2 import PanelResult, fig2_figure, fig2_numbers, panel_result
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.paper import fig2_panels
from s2l_lab.figures.plan import plan_runs
from s2l_lab.figures.write import Written, replace_file, write_figure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Scale = Literal["mini", "paper"]


def run(name: str, *, scale: Scale, dry_run: bool) -> None:
    """Make the figure `name` at a scale, or only print its plan. Raises UsageError for an unknown figure."""
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    FIGURES[name](scale, dry_run, Console())


def fig2(scale: Scale, dry_run: bool, console: Console) -> None:
    """Figure 2: pairs of members, pass@k over k."""
    experiment = load_experiment("fig2", scale)
    plans = plan_runs(experiment)
    console.print(plan_table(plans))
    if dry_run:
        return
    from s2l_lab.passk import run_passk

    by_panel = {panel.name: run_passk(plan.request) for plan in plans for panel in plan.panels[:1]}
    paper = fig2_panels()
    results = [panel_result(panel, paper, by_panel[plan.panels[0].name]) for plan in plans for panel in plan.panels]
    written = write_fig2(results, experiment.members, scale, Path("runs") / "figures" / f"fig2-{scale}")
    console.print(verdict_table(results))
    for path in written.paths:
        console.print(Text(printable(str(path))), soft_wrap=True)
    if written.note:
        console.print(Text(written.note))


def write_fig2(results: Sequence[PanelResult], members: Sequence[str], scale: Scale, folder: Path) -> Written:
    """Write figure and numbers.json into `folder`."""
    command = f"s2l-lab figures fig2 --scale {scale}"
    written = write_figure(fig2_figure(results, members, scale, command), folder / "fig2")
    text = as_json(fig2_numbers(results, scale, command))
    numbers = replace_file(folder / "numbers.json", text.encode())
    return Written((*written.paths, numbers), written.note)


FIGURES: dict[str, Callable[[Scale, bool, Console], None]] = {"fig2": fig2}
