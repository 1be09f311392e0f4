"""One static HTML page of what is on the screen: figures, tables, completions and what they rest on.

The page is `figures.page`'s: it holds plotly.js once, refers to nothing outside itself, and escapes every text. Model
text stands in <pre>, cut at QUOTE characters. A long table is cut at ROWS and says so; the CSV has it whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from s2l_lab import __version__
from s2l_lab.browse.exports import Table, as_arrow
from s2l_lab.figures.caption import split_details
from s2l_lab.figures.page import Html, head, page, plot, table, tag

ROWS = 500
QUOTE = 20_000


@dataclass(frozen=True, slots=True)
class FigureItem:
    """A plotly figure."""

    figure: Any
    label: str
    """Description of the figure for readers who cannot see it."""
    caption: str


@dataclass(frozen=True, slots=True)
class TableItem:
    """A table."""

    table: Table
    caption: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading: its texts, then figures, tables and quotes."""

    title: str
    figures: tuple[FigureItem, ...] = ()
    tables: tuple[TableItem, ...] = ()
    texts: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    """Model texts, shown verbatim."""


def report_page(title: str, sections: Sequence[Section], caption_lines: Sequence[str]) -> bytes:
    """The page as bytes. `caption_lines` (see `provenance.caption`) are its footer, with the details folded."""
    content: list[Html] = [tag("h1", title)]
    first = True
    for place, section in enumerate(sections):
        content.append(tag("h2", section.title))
        content += [tag("p", text) for text in section.texts]
        for number, item in enumerate(section.figures):
            content.append(plot(item.figure, f"{place}-{number}", item.label, item.caption, with_library=first))
            first = False
        content += [_table(item) for item in section.tables]
        content += [_quote(text) for text in section.quotes]
    made = f"Made by s2l-lab {__version__} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
    shown, how = split_details(caption_lines)
    folded = [tag("details", tag("summary", "Details"), *(tag("p", line) for line in how))] if how else []
    content.append(tag("footer", *(tag("p", line) for line in [*shown, made]), *folded))
    return page(title, *content).encode("utf-8", "replace")


def _table(item: TableItem) -> Html:
    arrow = as_arrow(item.table)
    if arrow.num_columns == 1:  # a row of one cell would be a title
        arrow = arrow.add_column(0, "row", [list(range(1, arrow.num_rows + 1))])
    rows = arrow.slice(0, ROWS).to_pylist()
    left_out = arrow.num_rows - len(rows)
    caption = item.caption + (f" The first {ROWS} of {arrow.num_rows:,} rows." if left_out else "")
    body = [[tag("td", _words(value)) for value in row.values()] for row in rows]
    return table(caption, [[head(name) for name in arrow.column_names]], body)


def _quote(text: str) -> Html:
    """Line breaks are kept as such; every other control character is shown as a replacement."""
    shown = text[:QUOTE].split("\n")
    lines = [part for line in shown for part in (tag("span", line), Html("\n"))][:-1]
    more = f"... cut: {len(text):,} characters in all" if len(text) > QUOTE else ""
    return tag("pre", *lines, more, style="white-space:pre-wrap;overflow-wrap:anywhere")


def _words(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "\u2013"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
