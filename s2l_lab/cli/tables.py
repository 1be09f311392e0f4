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
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import numbers
from s2l_lab.figures.tables import Number, Strong, number, passk_tables
from s2l_lab.verifiers import is_lenient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from s2l_lab.figures.tables import Cell, Printed, Table
    from s2l_lab.passk.report import PasskReport

SILENT_SHARE = 0.2
"""Share of a policy's rollouts without an answer above which a line says so."""
PRIOR = "*: k > N/2, where the interval depends on a prior over solve rates; with N >= 4k it does not."


def in_terminal(table: Table) -> Grid:
    """A table as rich prints it."""
    grid = Grid(
        title=Text(printable(table.title)) if table.title else None,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1 if table.tight else 2, 0, 0),
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
    """The first line of a cell; further lines are dim."""
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


def show(printed: Printed, console: Console) -> None:
    """Print tables, and small print below them."""
    tables = [Text(printable(one)) if isinstance(one, str) else in_terminal(one) for one in printed.tables]
    console.print(_all(tables, printed.lines))


def _all(tables: Iterable[RenderableType], lines: Sequence[str]) -> Group:
    """Tables separated by empty lines, with small print below."""
    parts = [part for table in tables for part in (Text(), table)][1:]
    small = [Text(printable(line), style="dim") for line in lines]
    return Group(*parts, *([Text(), *small] if small else []))


def no_data_lines(report: PasskReport) -> list[str]:
    """The measures without a value, by policy and reason."""
    lines = []
    for policy in report.policies:
        for reason in dict.fromkeys(policy.no_data.values()):
            measures = ", ".join(name for name, why in policy.no_data.items() if why == reason)
            lines.append(f"No data for {policy.name}: {measures} ({reason}).")
    return lines


def silent_lines(report: PasskReport) -> list[str]:
    """The warnings of `silent_line` for all policies."""
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
