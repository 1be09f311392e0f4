"""One part as a Parquet file: written in bounded row groups, read back with its checksums, or found damaged.

Row groups are bounded in rows and in bytes, because a reader of one page decodes whole row groups and a completion may
have 32,000 tokens. Floats are split by bytes (sign and exponent bytes beside each other): a fifth smaller, and faster
than a dictionary that overflows; float16 is not, since DuckDB cannot read it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab.errors import DataError

ROW_GROUP_ROWS = 10_000
ROW_GROUP_BYTES = 16 * 2**20
"""Of Arrow memory, before encoding and compression."""


class DamagedPartError(DataError):
    """A part cannot be read as what the ledger says it is."""


def read_batches(path: Path) -> Iterator[pa.Table]:
    """The row groups of a part, page checksums verified. Raises DamagedPartError."""
    try:
        # Buffered reads, not a memory map: a file that is cut while mapped kills the process.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)
    except (pa.ArrowInvalid, OSError) as cause:
        raise _damage(path, cause) from cause


def _damage(path: Path, cause: Exception) -> DataError:
    """A file that cannot be *opened* (rights, a broken device) is not damaged: setting it aside would lose it."""
    if isinstance(cause, OSError) and cause.errno and not isinstance(cause, FileNotFoundError):
        return DataError(f"cannot read {path}: {cause.strerror}. Mend the cause; nothing was changed.")
    return DamagedPartError("it is missing" if isinstance(cause, FileNotFoundError) else f"it is damaged ({cause})")


def fault(path: Path, rows: int, size: int) -> str | None:
    """What is wrong with a part as far as its size and footer show; None if nothing."""
    try:
        found = path.stat().st_size
        if found != size:
            return f"it has {found} bytes, not {size}"
        found = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as cause:
        damage = _damage(path, cause)
        if isinstance(damage, DamagedPartError):
            return str(damage)
        raise damage from cause
    return None if found == rows else f"it has {found} rows, not {rows}"


def write_row_groups(file: IO[bytes], tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write tables as Parquet with row groups of at most ROW_GROUP_ROWS rows or ROW_GROUP_BYTES. Returns the rows."""
    floats = [f"{field.name}.list.element" for field in schema if field.type == pa.list_(pa.float32())]
    dictionary = [
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in schema
        if field.name != "digest" and field.type != pa.list_(pa.float32())
    ]
    rows = 0
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=dictionary,
        use_byte_stream_split=floats,
        write_page_checksum=True,
    ) as writer:
        for group in _row_groups(tables):
            writer.write_table(group, row_group_size=group.num_rows)
            rows += group.num_rows
    return rows


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, joined and cut to row groups."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        per_row = max(1, table.nbytes // max(1, table.num_rows))
        step = min(ROW_GROUP_ROWS, max(1, ROW_GROUP_BYTES // per_row))
        for start in range(0, table.num_rows, step):
            piece = table.slice(start, step)
            if waiting and (rows + piece.num_rows > ROW_GROUP_ROWS or size + piece.nbytes > ROW_GROUP_BYTES):
                yield pa.concat_tables(waiting)
                waiting, rows, size = [], 0, 0
            waiting.append(piece)
            rows, size = rows + piece.num_rows, size + piece.nbytes
    if waiting:
        yield pa.concat_tables(waiting)
