"""Embeddings kept on disk by content: key = (embedder digest, SHA-256 of the text). A text is embedded once, ever.

One folder per embedder below the caller's folder, with Parquet parts in it; a part is named by what it holds, is
written whole or not at all, and never changes. So two processes that fill one cache at once write the same thing twice
at worst. A damaged part is named and left out; its texts are embedded again.

What would surprise: every call reads through all parts of its embedder, so give it all texts at once. What is written
per call are slices of a few thousand texts: a killed run loses one slice.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from s2l_lab.diversity.embeddings import Embedded
from s2l_lab.rollouts.durable import make_folder, replacing
from s2l_lab.rollouts.parquet import DamagedPartError, read_batches, write_row_groups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SLICE = 4_096
"""Largest number of texts in a part."""

_SCHEMA = pa.schema(
    [
        ("digest", pa.binary(32)),
        ("vector", pa.list_(pa.float32())),
        ("tokens", pa.int64()),
        ("embedded_tokens", pa.int64()),
        ("chunks", pa.int64()),
    ]
)
_log = logging.getLogger(__name__)


class Embeds(Protocol):
    """What turns texts into vectors: an `Embedder`, or a cache of one."""

    digest: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Vectors of N texts."""


class CachedEmbedder:
    """An embedder that looks in a folder first. It is used like the embedder itself."""

    def __init__(self, embedder: Embeds, folder: Path) -> None:
        self._embedder = embedder
        self._folder = folder / embedder.digest
        self.digest, self.dimensions = embedder.digest, embedder.dimensions
        self.computed = 0
        """Distinct texts that this object had to embed."""
        self.damaged: dict[str, str] = {}
        """Parts that were left out, and why."""

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Vectors of N texts, from the folder where it has them; what it has not is embedded and added.

        Raises WriteError where the folder cannot be written to.
        """
        key_N = [hashlib.sha256(text.encode()).digest() for text in texts]
        text_of = dict(zip(key_N, texts, strict=True))
        tables = self._read(pa.array(list(text_of), type=pa.binary(32)))
        known = {key for table in tables for key in table["digest"].to_pylist()}
        missing = [key for key in text_of if key not in known]
        for start in range(0, len(missing), SLICE):
            keys = missing[start : start + SLICE]
            tables.append(_table(keys, self._embedder.embed([text_of[key] for key in keys])))
            self._write(tables[-1])
            self.computed += len(keys)
        return self._embedded(tables, key_N)

    def _read(self, wanted: pa.Array) -> list[pa.Table]:
        """The wanted rows of every whole part; a text can stand in more than one."""
        tables: list[pa.Table] = []
        for path in sorted(self._folder.glob("part-*.parquet")):
            try:
                groups = [_checked(group, self.dimensions) for group in read_batches(path)]
            except DamagedPartError as damage:
                if path.name not in self.damaged:
                    _log.warning("%s is left out: %s. Its texts are embedded again; it can be deleted.", path, damage)
                self.damaged[path.name] = str(damage)
                continue
            tables += [group.filter(pc.is_in(group["digest"], value_set=wanted)) for group in groups]
        return tables

    def _write(self, table: pa.Table) -> None:
        keys = b"".join(table["digest"].to_pylist())
        make_folder(self._folder)
        with replacing(self._folder / f"part-{hashlib.sha256(keys).hexdigest()[:16]}.parquet") as file:
            write_row_groups(file, [table], _SCHEMA)

    def _embedded(self, tables: list[pa.Table], key_N: list[bytes]) -> Embedded:
        table = pa.concat_tables(tables) if tables else _SCHEMA.empty_table()
        row = {key: i for i, key in enumerate(table["digest"].to_pylist())}
        vector = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        numbers = (table[name].to_numpy() for name in ("tokens", "embedded_tokens", "chunks"))
        rows = Embedded(vector.reshape(table.num_rows, self.dimensions), *numbers)
        return rows.take(np.array([row[key] for key in key_N], dtype=np.int64))


def _checked(group: pa.Table, dimensions: int) -> pa.Table:
    """A row group of the schema above. Raises DamagedPartError for any other file."""
    if not group.schema.equals(_SCHEMA):
        raise DamagedPartError(f"it has other columns ({', '.join(group.column_names)})")
    lengths = pc.list_value_length(group["vector"])
    if group.num_rows and not pc.all(pc.equal(lengths, dimensions)).as_py():
        raise DamagedPartError(f"its vectors do not all have {dimensions} dimensions")
    return group


def _table(keys: list[bytes], embedded: Embedded) -> pa.Table:
    n, dimensions = embedded.vector_ND.shape
    offsets = pa.array(np.arange(0, n * dimensions + 1, dimensions, dtype=np.int32))
    vector = pa.ListArray.from_arrays(offsets, pa.array(embedded.vector_ND.reshape(-1)))
    columns = [pa.array(keys, type=pa.binary(32)), vector]
    numbers = (embedded.tokens_N, embedded.embedded_tokens_N, embedded.chunks_N)
    return pa.Table.from_arrays([*columns, *map(pa.array, numbers)], schema=_SCHEMA)
