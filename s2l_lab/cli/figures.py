"""`s2l-lab figures NAME`: plan, run what is missing, draw ours beside the paper's, say where it is.

What there is stands in the registry of figures. The runs of Figure 2 are ordinary pass@k runs: what `s2l-lab passk`
stored counts, and a second call draws at once. Any study is run and written by `study`, from its parts in the registry;
sweeps by `training_figures`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from s2l_lab.cli.tables import in_terminal, show
from s2l_lab.cli.training_figures import training
from s2l_lab.figures.claim_tables import crossings_table
from s2l_lab.figures.experiment import Experiment, load_plan
from s2l_lab.figures.fig2 import fig2_figure, fig2_numbers, panel_result
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.paper import fig2_panels
from s2l_lab.figures.plan import plan_runs, tokens_owed
from s2l_lab.figures.registry import FIGURES, find_figure
from s2l_lab.figures.tables import Table, amount, table, texts
from s2l_lab.figures.write import Written, write_with_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.figures.plan import RunPlan
    from s2l_lab.figures.registry import Figure, Scale

FOLDER = Path("runs") / "figures"


def run(
    name: str | None, *, scale: Scale, dry_run: bool, model_root: Path | None = None, data_root: Path | None = None
) -> None:
    """Make the figure `name` at a scale, or only print its plan; without a name, list what can be made.

    Raises UsageError for an unknown figure.
    """
    console, places = Console(), {"model_root": model_root, "data_root": data_root}
    if name is None:
        console.print(in_terminal(figures_table()))
        return
    figure = find_figure(name)
    if figure.kind == "training":
        training(name, FOLDER, scale, dry_run, console, places)
    elif figure.kind == "passk":
        fig2(scale, dry_run, console, places)
    else:
        study(figure, scale, dry_run, console, places)


def figures_table() -> Table:
    """The table of all figures: name, kind of runs, title."""
    rows = [(figure.name, figure.kind, figure.title) for figure in FIGURES.values()]
    return table("figures, tables and studies", texts("name", "runs", "what it shows"), rows)


def fig2(scale: Scale, dry_run: bool, console: Console, places: dict[str, Path | None]) -> None:
    """Figure 2: pass@k of pairs of members over k. `places`: where checkpoints and benchmark files are looked for."""
    from s2l_lab.cli.passk import run_with_progress

    experiment = load_plan("fig2", scale, Experiment)
    plans = plan_runs(experiment)
    console.print(in_terminal(plan_table(plans)))
    if dry_run:
        return
    paper = fig2_panels()
    results = []
    for plan in plans:
        report = run_with_progress(plan.request.model_copy(update=places), False, Console(stderr=True))
        results += [panel_result(panel, paper, report) for panel in plan.panels]
    command = f"s2l-lab figures fig2 --scale {scale}"
    found = fig2_numbers(results, scale, command)
    console.print(in_terminal(crossings_table(found["panels"])))
    figure = fig2_figure(results, experiment.members, scale, command)
    _say(write_with_numbers(figure, as_json(found), FOLDER / f"fig2-{scale}" / "fig2"), console)


def plan_table(plans: Sequence[RunPlan]) -> Table:
    """What each run needs: rollouts stored and owed by member, and the tokens that are left to sample."""
    rows = []
    for plan in plans:
        request = plan.request
        panels = " ".join(panel.name for panel in plan.panels)
        preset = plan.panels[0].preset
        about = f"{request.benchmark}, {preset}, {request.problems} problems, N = {request.rollouts}"
        for i, member in enumerate(plan.members):
            tokens, estimated = tokens_owed(member, request.sampling.max_tokens)
            size = f"{'about' if estimated else 'at most'} {amount(tokens)}" if tokens else "0"
            heads = (panels, about) if i == 0 else ("", "")
            rows.append((*heads, member.name, f"{member.stored:,}", f"{member.owed:,}", size))
    members = [member for plan in plans for member in plan.members]
    stored, owed = sum(member.stored for member in members), sum(member.owed for member in members)
    rows.append(("all", "", "", f"{stored:,}", f"{owed:,}", ""))
    return table("plan", [*texts("panels", "run", "member"), "stored", "owed", "tokens owed"], rows)


def study(figure: Figure, scale: Scale, dry_run: bool, console: Console, places: dict[str, Path | None]) -> None:
    """Run a study: read its plan, measure, print and write. Its parts come from the registry."""
    from s2l_lab.cli.passk import watching

    assert figure.study is not None
    kind, part = figure.plan_type(), figure.study.part
    known = {place: path for place, path in places.items() if place in kind.model_fields and path is not None}
    plan = load_plan(figure.name, scale, kind).model_copy(update=known)
    if dry_run:
        console.print(plan.describe(), soft_wrap=True, highlight=False)
        return
    with watching(console) as watch:
        found = part("measure")(plan, f"s2l-lab figures {figure.name} --scale {scale}", watch)
    numbers = part("numbers")(found.result, found.about) | found.provenance
    show(part("printed")(found.result, numbers), console)
    folder = FOLDER / f"{figure.name}-{scale}"
    written = write_with_numbers(part("figure")(found.result, found.about), as_json(numbers), folder / figure.name)
    more = part("more")(found.result, folder) if figure.study.more else ()
    _say(Written((*written.paths, *more), written.note), console)


def _say(written: Written, console: Console) -> None:
    """Print the paths of the written files."""
    for line in written.lines:
        console.print(Text(printable(line)), soft_wrap=True)
