"""Nothing twice: of a batch, the rows whose key is not there yet; the same key with another content is an error.

A rollout's key is KEY and its content the digest, that is text, token ids and stop reason: logprobs of one draw may
differ by rounding between batches, and the first ones stay. A verdict's key is KEY and that digest, within one verifier
version, and its content is outcome and canonical answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from s2l_lab.errors import DataError
from s2l_lab.rollouts.columns import KEY
from s2l_lab.rollouts.database import Database


def new_rollouts(database: Database, table: pa.Table) -> pa.Table:
    """The rows of ROLLOUTS whose key is new. Raises DataError for a key that is there with another completion."""
    new, conflict = _split(database, table, view="rollouts", key=KEY, content=("digest",), version=None)
    if conflict is not None:
        raise DataError(
            f"two different completions for one key: {_named(table, conflict)}. A key is drawn once: either two "
            f"checkpoints share a policy digest, or the engine does not keep its draws to their keys. Nothing of this "
            f"batch was stored; give --out another directory to look at them apart."
        )
    return new


def new_verdicts(database: Database, table: pa.Table, version: str) -> pa.Table:
    """The rows of VERDICTS whose key is new in this version. Raises DataError for another verdict on one rollout."""
    new, conflict = _split(
        database, table, view="verdicts", key=(*KEY, "digest"), content=("outcome", "canonical"), version=version
    )
    if conflict is not None:
        raise DataError(
            f"two different verdicts of version {version!r} on one rollout: {_named(table, conflict)}. Nothing of this "
            f"batch was stored; a verifier that changed its mind needs a new version."
        )
    return new


def _split(
    database: Database,
    table: pa.Table,
    *,
    view: str,
    key: Sequence[str],
    content: Sequence[str],
    version: str | None,
) -> tuple[pa.Table, int | None]:
    """(rows with new keys, row number of a conflict or None), against what is stored and within the batch."""
    first: dict[tuple[object, ...], tuple[int, tuple[object, ...]]] = {}
    keys = zip(*(table[name].to_pylist() for name in key), strict=True)
    contents = zip(*(table[name].to_pylist() for name in content), strict=True)
    for row, (this_key, this_content) in enumerate(zip(keys, contents, strict=True)):
        if first.setdefault(this_key, (row, this_content))[1] != this_content:
            return table, row
    numbered = table.select([*dict.fromkeys([*key, *content])]).append_column(
        "row", pa.array(range(table.num_rows), pa.int64())
    )
    same = " and ".join(f"there.{name} is not distinct from incoming.{name}" for name in content)
    sql = f"select incoming.row, {same} as same from incoming join {view} there using ({', '.join(key)})"
    stored = database.query(sql, version=version, incoming=numbered).to_pylist()
    for match in stored:
        if not match["same"]:
            return table, match["row"]
    fresh = {row for row, _ in first.values()} - {match["row"] for match in stored}
    return table.take(pa.array(sorted(fresh), pa.int64())), None


def _named(table: pa.Table, row: int) -> str:
    return ", ".join(f"{name} {table[name][row].as_py()}" for name in KEY)
