"""Files that leave the app: tables as CSV and Parquet, figures as HTML, and the words that travel with them.

A CSV is opened in spreadsheets, which run a cell that begins with = + - or @ as a formula, and model text may begin so.
Such text gets a leading apostrophe, as spreadsheets mark text themselves; numbers are left as they are, and the Parquet
file holds everything unchanged. Quoting is that of RFC 4180, and every text is quoted, so that a `#` in one is no
comment; the caption stands above the header in lines that begin with `#` (pandas: `read_csv(file, comment="#")`), and
in a Parquet file under the key `caption` of the schema's metadata.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab.figures.markup import printable
from s2l_lab.figures.write import figure_page

Table = Any
"""A pyarrow Table, a pandas DataFrame, or a sequence of mappings with the same keys."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def csv_bytes(table: Table, caption: Sequence[str] = ()) -> bytes:
    """The table as CSV in UTF-8: caption (comment lines), header, rows. Null is an empty cell, a list is text."""
    arrow = as_arrow(table)
    lines = [f"# {printable(line)}" for line in caption]
    lines.append(",".join(map(_cell, arrow.column_names)))
    columns = [column.to_pylist() for column in arrow.columns]
    lines += [",".join(map(_cell, row)) for row in zip(*columns, strict=True)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def parquet_bytes(table: Table, caption: Sequence[str] = ()) -> bytes:
    """The same table with its types, and the caption in its metadata."""
    arrow = as_arrow(table)
    if caption:
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), "caption": "\n".join(caption)})
    stream = io.BytesIO()
    pq.write_table(arrow, stream, compression="zstd")
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
    lines = "<br>".join(escape(printable(line)) for line in caption)
    style = (
        "body{margin:24px;font:15px/1.5 sans-serif;color:#262b33;background:#fff}p{color:#6b7280;font-size:13px;"
        "max-width:110ch;overflow-wrap:anywhere}"
    )
    return figure_page(figure, printable(title), style, f"<p>{lines}</p>").encode()


def file_name(*parts: str, suffix: str) -> str:
    """A file name from these parts that every file system accepts: at most 120 letters, digits, `.`, `_`, `-`."""
    stem = "-".join(re.sub(r"[^A-Za-z0-9._]+", "-", part).strip("-.") for part in parts)
    return f"{re.sub('-+', '-', stem).strip('-.')[:100] or 's2l-lab'}.{suffix}"


def _cell(value: Any) -> str:
    """The text of a CSV cell: numbers and booleans unquoted, null empty, everything else quoted."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    mark = "'" if isinstance(value, str) and value.startswith(_FORMULA) else ""
    return f'"{mark}{text.replace(chr(34), chr(34) * 2)}"'
