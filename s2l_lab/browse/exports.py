"""Files that leave the app: tables as CSV and Parquet, figures as HTML, and the words that travel with them.

A CSV is opened in spreadsheets, which run a cell that begins with = + - or @ as a formula, and model text may begin so.
Such text gets a leading apostrophe, as spreadsheets mark text themselves; numbers are left as they are, and the Parquet
file holds everything unchanged. Lines end as RFC 4180 says, so that a lone carriage return in a text is quoted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab.figures.markup import printable
from s2l_lab.figures.write import PAGE_CONFIG

Table = Any
"""A pyarrow Table, a pandas DataFrame, or a sequence of mappings with the same keys."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(table: Table) -> bytes:
    """UTF-8 with a header line; null is an empty cell, a list is JSON-like text."""
    arrow = as_arrow(table)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in arrow.column_names])
    columns = [column.to_pylist() for column in arrow.columns]
    writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
    return stream.getvalue().encode("utf-8", "replace")


def parquet_bytes(table: Table) -> bytes:
    """The same table with its types."""
    stream = io.BytesIO()
    pq.write_table(as_arrow(table), stream, compression="zstd")
    return stream.getvalue()


def as_arrow(table: Table) -> pa.Table:
    """Any of the tables that views hold, as Arrow; a pandas index is left out."""
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, Sequence):
        return pa.Table.from_pylist([dict(row) for row in table])
    if isinstance(table, Mapping):
        return pa.table(dict(table))
    return pa.Table.from_pandas(table, preserve_index=False)


def figure_html(figure: Any, title: str, caption: Sequence[str]) -> bytes:
    """A page with the plotly figure, plotly.js and the caption in it; it opens without a network."""
    body = figure.to_html(full_html=False, include_plotlyjs=True, include_mathjax=False, config=PAGE_CONFIG)
    lines = "<br>".join(escape(printable(line)) for line in caption)
    style = (
        "body{margin:24px;font:15px/1.5 sans-serif;color:#262b33;background:#fff}p{color:#6b7280;font-size:13px;"
        "max-width:110ch;overflow-wrap:anywhere}"
    )
    head = f'<meta charset="utf-8"><title>{escape(printable(title))}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}<p>{lines}</p></body></html>\n'.encode()


def file_name(*parts: str, suffix: str) -> str:
    """A name of these parts that every file system takes: letters, digits, `.`, `_`, `-`, at most 120 characters."""
    stem = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)
    return f"{re.sub('-+', '-', stem).strip('-.')[:100] or 's2l-lab'}.{suffix}"


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
