"""Rows of a problem file: JSONL, a JSON list, Parquet or CSV. Every fault of a file is named with its line or row."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from s2l_lab.errors import DataError
from s2l_lab.problems.rows import FileRow, loaded, parse_jsonl, raise_faults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ENDINGS = (".jsonl", ".json", ".parquet", ".csv")


def read_rows(path: Path) -> list[FileRow]:
    """The rows of a file by its ending. Raises DataError naming what cannot be read, and for a file without rows."""
    rows = read_parquet(path) if path.suffix == ".parquet" else _read_text(path)
    if not rows:
        raise DataError(f"{path} holds no problems. It needs an entry with a question and an answer for each.")
    return rows


def counted_in(path: Path) -> str:
    """What the rows of such a file are counted in."""
    return "line" if path.suffix in (".jsonl", ".csv") else "row"


def _read_text(path: Path) -> list[FileRow]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the problem file {path}: {error.strerror}. Give a readable file.") from error
    if path.suffix == ".csv":
        return _csv_rows(data, path)
    if path.suffix == ".json" and data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return _list_rows(data, path)
    return parse_jsonl(data, str(path))


def _list_rows(data: bytes, path: Path) -> list[FileRow]:
    try:
        entries = loaded(data)
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}). Mend the file, or fetch it again.") from error
    wrong = [i for i, entry in enumerate(entries, start=1) if not isinstance(entry, dict)]
    raise_faults(str(path), [f"row {i}: not an object with fields" for i in wrong], "row")
    return [FileRow(i, entry) for i, entry in enumerate(entries, start=1)]


def _csv_rows(data: bytes, path: Path) -> list[FileRow]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line}: broken UTF-8. Save the file as UTF-8.") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows, faults = [], []
    try:
        _refuse_repeats(reader.fieldnames or [], path)
        for record in reader:
            if None in record or None in record.values():
                faults.append(f"line {reader.line_num}: not as many fields as the first line names")
            else:
                rows.append(FileRow(reader.line_num, {name: value or None for name, value in record.items()}))
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")
    raise_faults(str(path), faults)
    return rows


def read_parquet(path: Path) -> list[FileRow]:
    """The rows of a Parquet file, counted from 1. Raises DataError where it cannot be read or repeats a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
        names = table.column_names
        records = table.to_pylist() if len(set(names)) == len(names) else []
        for name in (field.name for field in table.schema if field.type in (pa.float16(), pa.float32())):
            for record, value in zip(records, table[name].to_numpy(), strict=False):
                if record[name] is not None:
                    record[name] = float(str(value))  # as it was written: 0.1, and not 0.10000000149
    except (pa.ArrowException, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as Parquet ({why}). Fetch it again, or give another file.") from error
    _refuse_repeats(names, path)
    return [FileRow(i, record) for i, record in enumerate(records, start=1)]


def _refuse_repeats(names: Sequence[str], path: Path) -> None:
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise DataError(f"{path} has two columns {', '.join(map(repr, twice))}. Give each a name of its own.")
