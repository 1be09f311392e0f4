"""The terminal tables of a diversity report: within each policy, between policies. Plain ASCII, 80 columns.

Policy names are shown as text: no markup and no escape sequence in them takes effect.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2l_lab.cli.tables import number
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.diversity import diversity_caption
from s2l_lab.figures.markup import printable
from s2l_lab.studies.between import FEATURE_TITLES, FEATURES
from s2l_lab.studies.marks import SIGNS, WORDS, metric_marks
from s2l_lab.studies.within import CONDITIONS, Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import Cell

TITLES: dict[Condition, str] = {"all": "all rollouts", "correct": "correct rollouts only"}


def print_diversity(report: DiversityReport, paper: Sequence[PaperDiversity], console: Console) -> None:
    """Print the report; `paper` is the paper's Table 3 where the benchmark is the paper's, else empty."""
    console.print(diversity_tables(report, paper))


def diversity_tables(report: DiversityReport, paper: Sequence[PaperDiversity]) -> RenderableType:
    """Every table and the caption as one rich renderable."""
    tables: list[RenderableType] = [
        _within(report, c) if report.within.n_problems[c] else Text(_none_correct(report)) for c in CONDITIONS
    ]
    if paper:
        tables.append(_paper(paper))
    if report.between:
        tables.append(_between(report))
    parts = [part for table in tables for part in (table, Text())]
    return Group(*parts, *(Text(printable(line), style="dim") for line in _caption(report)))


def _caption(report: DiversityReport) -> list[str]:
    """The figure's caption, and what the marks of the tables mean."""
    signs = "; ".join(
        f"{sign} {WORDS[mark]}" for mark, sign in SIGNS.items() if mark in metric_marks().values() and sign
    )
    return [
        f"*: differs from {report.within.reference} (paired interval excludes 0).",
        *([f"Beside a metric, as measured on Countdown, where strategies are known: {signs}."] if signs else []),
        *diversity_caption(report),
    ]


def metric_title(metric: str) -> str:
    """The metric's name with the sign of its mark."""
    sign = SIGNS[metric_marks()[metric]] if metric in metric_marks() else ""
    return f"{METRICS[metric].title} {sign}".rstrip()


def _none_correct(report: DiversityReport) -> str:
    return (
        f"Correct rollouts only: no problem has {report.within.m['correct']} correct rollouts of every policy. Sample "
        "more with -n, or leave the weakest policy out with --member."
    )


def _within(report: DiversityReport, condition: Condition) -> Table:
    within = report.within
    title = f"within each policy, {TITLES[condition]} (m = {within.m[condition]}, n = {within.n_problems[condition]})"
    table = _grid(title, "metric", 25)
    for policy in within.policies:
        table.add_column(Text(printable(policy.name)), justify="right", no_wrap=True)
    for metric in METRICS:
        cells = [policy.cells[condition][metric] for policy in within.policies]
        table.add_row(Text(metric_title(metric)), *map(_cell, cells))
    table.add_row(Text("length, tokens"), *(_estimate(p.length[condition], 1) for p in within.policies))
    if condition == "all" and report.coherence:
        excess = [report.coherence[policy.name].excess for policy in within.policies]
        table.add_row(Text("step coherence, excess"), *(_estimate(e) for e in excess))
    if condition == "all":
        table.add_row(Text("pass@1"), *(_estimate(p.accuracy) for p in within.policies))
    return table


def _between(report: DiversityReport) -> Table:
    """Shares in percent: part of an even mix's diversity that lies between two policies."""
    table = _grid(f"what each policy adds to {printable(report.within.reference)}: between-policy share", "feature", 19)
    for between in report.between:
        table.add_column(Text(printable(between.policy)), justify="right", no_wrap=True)
    table.add_column("split halves", justify="right", no_wrap=True)
    for feature in FEATURES:
        row: list[Text] = []
        for between in report.between:
            found = between.features.get(feature)
            if found is None:
                row.append(Text("-"))
                continue
            about = f"\np {p_words(found.p_value)}, n {found.n_problems}"
            row.append(Text.assemble(percent(found.share), (about, "dim")))
        null = report.split_halves.get(feature)
        table.add_row(Text(FEATURE_TITLES[feature]), *row, Text("-") if null is None else percent(null))
    return table


def percent(estimate: Estimate, between: str = " ") -> Text:
    """A share and its interval in percent, with a blank or a line break between; a dash where it is undefined."""
    if not math.isfinite(estimate.value):
        return Text("-")
    ends = [f"{100 * end:.1f}" if math.isfinite(end) else "-" for end in (estimate.lower, estimate.upper)]
    return Text.assemble((f"{100 * estimate.value:.1f}%", "bold"), (f"{between}[{', '.join(ends)}]", "dim"))


def p_words(p: float) -> str:
    """A p-value as a table shows it."""
    return "< .001" if p <= 0.001 else number(p)


def _paper(paper: Sequence[PaperDiversity]) -> Table:
    table = _grid("the paper's Table 3 (AIME24, K = 64; no interval, no definition given)", "metric", 25)
    for column in paper:
        table.add_column(column.model, justify="right")
    rows = {
        "Self-BLEU": [c.self_bleu for c in paper],
        "edit diversity": [c.edit_diversity for c in paper],
        "unique answer ratio": [c.unique_answers for c in paper],
    }
    for title, values in rows.items():
        table.add_row(title, *(number(value) for value in values))
    return table


def _cell(cell: Cell) -> Text:
    less = cell.less_reference
    differs = less is not None and (less.lower > 0 or less.upper < 0)
    return _estimate(cell.value, mark="*" if differs else "")


def _estimate(estimate: Estimate, digits: int = 3, mark: str = "") -> Text:
    if not math.isfinite(estimate.value):
        return Text("-")
    ends = f" [{number(estimate.lower, min(digits, 2))}, {number(estimate.upper, min(digits, 2))}]{mark}"
    return Text.assemble((number(estimate.value, digits), "bold"), (ends, "dim"))


def _grid(title: str, first: str, width: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold", min_width=min(width, 12), max_width=width)
    return table
