"""DuckDB over a run's live parts: one way to ask, whatever the writer does meanwhile.

Each query reads the ledger, makes the views `rollouts` and `verdicts` over exactly the listed whole parts, and runs. If
DuckDB fails, there are two lawful causes: a writer merged and deleted parts in between (the ledger has changed: ask
again), or a part is damaged behind its footer (find it, leave it out, ask again). Anything else is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import duckdb
import pyarrow as pa

from s2l_lab.errors import DataError
from s2l_lab.rollouts.columns import ROLLOUTS, VERDICTS
from s2l_lab.rollouts.parts import ROLLOUTS_FOLDER, VERDICTS_FOLDER, Ledger, Parts
from s2l_lab.verifiers import is_lenient

_TRIES = 10


class Database:
    """Queries over the parts of one run directory."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._connection = duckdb.connect()

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        version: str | None = None,
        incoming: pa.Table | None = None,
        prompts: pa.Table | None = None,
    ) -> pa.Table:
        """The answer to `sql` over the views `rollouts`, `verdicts` (of that verifier version; empty without one), and
        `incoming` and `prompts` (where given)."""
        for name, table in (("incoming", incoming), ("prompts", prompts)):
            if table is not None:
                self._connection.from_arrow(table).create_view(name, replace=True)
        for _ in range(_TRIES):
            ledger = self._parts.ledger()
            folder = None if version is None else verdicts_folder(version)
            view(self._connection, "rollouts", self._parts.live(ROLLOUTS_FOLDER, ledger), ROLLOUTS)
            view(self._connection, "verdicts", self._parts.live(folder, ledger) if folder else [], VERDICTS)
            try:
                return self._connection.sql(sql, params=list(parameters)).to_arrow_table()
            except duckdb.Error:
                if self._parts.ledger() == ledger and not self._parts.find_damage(ledger):
                    raise
        raise DataError(f"the run changed during each of {_TRIES} readings; try again when its writer is less busy.")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new connection with `rollouts` and `verdicts` (all versions, with a column `version`) as they stand now."""
        connection = duckdb.connect()
        ledger = self._parts.ledger()
        view(connection, "rollouts", self._parts.live(ROLLOUTS_FOLDER, ledger), ROLLOUTS)
        selects = []
        for number, version in enumerate(versions(ledger)):
            view(connection, f"verdicts_{number}", self._parts.live(verdicts_folder(version), ledger), VERDICTS)
            literal = version.replace("'", "''")
            selects.append(f"select *, '{literal}' as version from verdicts_{number}")
        if not selects:
            view(connection, "no_verdicts", [], VERDICTS)
            selects.append("select *, '' as version from no_verdicts")
        connection.execute(f"create temp view verdicts as {' union all '.join(selects)}")
        return connection

    def close(self) -> None:
        """Free DuckDB's memory. Safe to call twice."""
        self._connection.close()


def verdicts_folder(version: str) -> str:
    """The folder of one verifier version; characters that a file name cannot hold are percent-encoded."""
    name = quote(version, safe="+=@,")
    return f"{VERDICTS_FOLDER}/{'%2E' + name[1:] if name.startswith('.') else name}"


def versions(ledger: Ledger) -> list[str]:
    """The verifier versions that have verdicts, in order of their first part, lenient ones before all others: the last
    is what counts where none is chosen, and strict is what is meant where nothing is said."""
    folders = dict.fromkeys(name.rpartition("/")[0] for name in ledger.parts if name.startswith(f"{VERDICTS_FOLDER}/"))
    found = [unquote(folder.partition("/")[2]) for folder in folders]
    return sorted(found, key=is_lenient, reverse=True)


def view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema) -> None:
    """A temporary view over these files, or over no rows of the schema where there is none."""
    if files:
        relation = connection.read_parquet([str(file) for file in files])
    else:
        # DuckDB reads halffloats from Parquet, as FLOAT, but not from Arrow.
        halves = pa.list_(pa.float16())
        fields = [field.with_type(pa.list_(pa.float32())) if field.type == halves else field for field in schema]
        relation = connection.from_arrow(pa.schema(fields).empty_table())
    relation.create_view(name, replace=True)
