"""Tables in the terminal: plain ASCII, 80 columns wide where names allow it.

Names are shown as text: no markup and no escape sequence in them takes effect.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from s2l_lab.figures.caption import caption_lines
from s2l_lab.figures.diversity import diversity_caption, diversity_numbers
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import numbers
from s2l_lab.figures.study_tables import (
    between_table,
    metric_name,
    paper_diversity_table,
    persistence_table,
    share_table,
    sizes_table,
    validity_table,
    within_table,
)
from s2l_lab.figures.tables import Number, Strong, number, passk_tables
from s2l_lab.studies.between import FEATURE_TITLES
from s2l_lab.studies.marks import SIGNS, WORDS, metric_marks
from s2l_lab.studies.within import CONDITIONS
from s2l_lab.verifiers import is_lenient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.figures.tables import Cell, Table
    from s2l_lab.passk.report import PasskReport
    from s2l_lab.studies.diversity import DiversityReport

SILENT_SHARE = 0.2
"""Share of a policy's rollouts without an answer above which a line says so."""
PRIOR = "*: k > N/2, where the interval depends on a prior over solve rates; with N >= 4k it does not."


def in_terminal(table: Table, gap: int = 2) -> Grid:
    """A table as rich prints it; `gap` characters stand between columns."""
    grid = Grid(
        title=Text(printable(table.title)) if table.title else None,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, gap, 0, 0),
        pad_edge=False,
    )
    for column in table.columns:
        least, most = (min(column.width, 12), column.width) if column.width else (None, None)
        look: dict[str, Any] = {"overflow": "fold"} if column.text else {"justify": "right", "no_wrap": True}
        grid.add_column(Text(printable(column.title)), min_width=least, max_width=most, **look)
    for row in table.rows:
        texts = [_text(cell, stacked=table.stacked) for cell in row.cells]
        if row.faint:
            texts[0].stylize("dim")
        grid.add_row(*texts)
    return grid


def _text(cell: Cell, *, stacked: bool) -> Text:
    """A cell's first line, and in small what stands beside or below it."""
    if isinstance(cell, Number):
        return _number(cell, stacked=stacked)
    first, *more = cell.split("\n")
    look = "bold" if isinstance(cell, Strong) else ""
    return Text.assemble((printable(first), look), *((f"\n{printable(line)}", "dim") for line in more))


def _number(cell: Number, *, stacked: bool) -> Text:
    ends = (cell.lower, cell.upper)
    if cell.value is None and None in ends:
        return Text("-")
    if cell.percent:
        value = "-" if cell.value is None else f"{100 * cell.value:.1f}%"
        low, high = ("-" if end is None else f"{100 * end:.1f}" for end in ends)
    else:
        value = number(cell.value, cell.digits, cell.sign)
        digits = cell.ends or (cell.digits if cell.digits > 3 else min(cell.digits, 2))
        low, high = (number(end, digits, cell.sign) for end in ends)
    about = "\n" + printable((" " if stacked else ", ").join(cell.about)) if cell.about else ""
    return Text.assemble((value, "bold"), (f"{chr(10) if stacked else ' '}[{low}, {high}]{cell.mark}{about}", "dim"))


def print_passk(report: PasskReport, console: Console) -> None:
    """Print the report: tables, then the caption that makes the numbers readable on their own."""
    found = numbers(report)
    leans = any("prior-dependent" in method for curve in found["curves"] for method in curve["method"])
    lines = caption_lines(report, [*([PRIOR] if leans else []), *no_data_lines(report)])
    loud = [Text(line, style="bold red") for line in silent_lines(report)]
    console.print(Group(_all(map(in_terminal, passk_tables(found)), lines), *loud))


def print_diversity(report: DiversityReport, paper: Sequence[PaperDiversity], console: Console) -> None:
    """Print the report; `paper` is the paper's Table 3 where the benchmark is the paper's, else empty."""
    marks = metric_marks()
    found = diversity_numbers(report, marks)
    none_correct = Text(
        f"Correct rollouts only: no problem has {report.within.m['correct']} correct rollouts of every policy. Sample "
        "more with -n, or leave the weakest policy out with --member."
    )
    tables: list[RenderableType] = [
        in_terminal(within_table(found, c, signed_name)) if report.within.n_problems[c] else none_correct
        for c in CONDITIONS
    ]
    tables += [in_terminal(paper_diversity_table(paper))] if paper else []
    tables += [in_terminal(between_table(found))] if report.between else []
    signs = "; ".join(f"{sign} {WORDS[mark]}" for mark, sign in SIGNS.items() if mark in marks.values() and sign)
    lines = [
        f"*: differs from {report.within.reference} (paired interval excludes 0).",
        *([f"Beside a metric, as measured on Countdown, where strategies are known: {signs}."] if signs else []),
        *diversity_caption(report),
    ]
    console.print(_all(tables, lines))


def signed_name(metric: str) -> str:
    """The metric's name with the sign of its mark."""
    return f"{metric_name(metric)} {SIGNS.get(metric_marks().get(metric, ''), '')}".rstrip()


def policy_share_text(found: Mapping[str, Any]) -> RenderableType:
    """Share of every arm against the learner by feature, then the size effect."""
    shares = in_terminal(share_table(found).only(*FEATURE_TITLES.values()), gap=1)
    if not found["sizes"]:
        return Group(shares, Text("No other pretraining seeds: small or merely different stays open.", style="dim"))
    return Group(shares, Text(), in_terminal(sizes_table(found).only("difference", "p", "method"), gap=1))


def persistence_text(found: Mapping[str, Any]) -> RenderableType:
    """KL, drift and variance ratios of every arm; the figure has the rest."""
    table = persistence_table(found)
    return in_terminal(table.only(*(column.title for column in table.columns[1:5])), gap=1)


def validity_text(found: Mapping[str, Any]) -> RenderableType:
    """What every metric follows, and its mark."""
    meanings = "; ".join(f"{mark}: {words}" for mark, words in WORDS.items())
    return _all([in_terminal(validity_table(found["metrics"]), gap=1)], [f"Marks: {meanings}."])


def _all(tables: Iterable[RenderableType], lines: Sequence[str]) -> Group:
    """Tables with a line between, and small print."""
    parts = [part for table in tables for part in (table, Text())]
    return Group(*parts, *(Text(printable(line), style="dim") for line in lines))


def no_data_lines(report: PasskReport) -> list[str]:
    """What has no value, by policy and reason."""
    lines = []
    for policy in report.policies:
        for reason in dict.fromkeys(policy.no_data.values()):
            measures = ", ".join(name for name, why in policy.no_data.items() if why == reason)
            lines.append(f"No data for {policy.name}: {measures} ({reason}).")
    return lines


def silent_lines(report: PasskReport) -> list[str]:
    """`silent_line` of the policies that have one."""
    run, version = report.run_directory, report.verifier_version
    lines = (silent_line(policy.name, policy.outcomes, run, version) for policy in report.policies)
    return [line for line in lines if line]


def silent_line(policy: str, outcomes: Mapping[str, int], run: Path, verifier: str) -> str | None:
    """A line where more than a fifth of a policy's rollouts count as wrong for want of an answer, and what to do."""
    total = sum(outcomes.values())
    cut, silent = outcomes.get("truncated", 0), outcomes.get("no_answer", 0)
    if not total or (cut + silent) / total <= SILENT_SHARE:
        return None
    advice = [f"raise --max-tokens ({cut / total:.0%} were cut before an answer)"] if cut else []
    if silent:
        looser = f"see what a looser rule finds with s2l-lab verify --run {shlex.quote(str(run))} --extraction lenient"
        advice.append(
            ("look at some of them with s2l-lab dashboard" if is_lenient(verifier) else looser)
            + f" ({silent / total:.0%} ended without an answer in a known form)"
        )
    return printable(
        f"WARNING: {(cut + silent) / total:.0%} of {policy}'s {total:,} rollouts have no answer and count as wrong. "
        f"Before reading its curve, {'; '.join(advice)}."
    )
