"""Reading rollouts as a table: any columns, filtered, ordered by key, a page at a time.

A page is found in two steps: order the keys and cut, then read the wide columns (text, ids, logprobs) of the rows that
are left. Ordering whole rows would decode every completion of the run to show twenty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.rollouts.columns import KEY, ROLLOUTS, VERDICTS
from s2l_lab.rollouts.database import Database

_VERDICT_COLUMNS = ("outcome", "answer", "canonical", "detail")
NO_LIMIT = 2**62
TWO_STEP_LIMIT = 10_000
"""Rows of a page up to which the two steps pay; a longer one is read in one."""
_ORDER = "policy, problem_id, sample_index, policy_digest, sampling_digest"


def read_page(
    database: Database,
    *,
    columns: Sequence[str] | None,
    where: Mapping[str, Any],
    version: str | None,
    limit: int | None,
    offset: int,
) -> pa.Table:
    """See `RolloutStore.read`."""
    known = [*ROLLOUTS.names, *(_VERDICT_COLUMNS if version is not None else ())]
    columns = known if columns is None else list(columns)
    for name in [*columns, *where]:
        if name not in known:
            hint = "Verdict columns need a verifier version." if name in VERDICTS.names else ""
            raise unknown_name("column", name, known, hint)
    if offset < 0 or (limit is not None and limit < 0):
        raise UsageError(f"a page has limit and offset of at least 0; given limit {limit}, offset {offset}.")
    condition, parameters = _condition(where)
    # The same verdicts join whether the others are left out before the join or by it; before, they are never held.
    of_verdicts, of_key = _condition({name: value for name, value in where.items() if name in KEY})
    cut = f" limit {NO_LIMIT if limit is None else limit} offset {offset}"
    if limit is not None and limit <= TWO_STEP_LIMIT:
        filtered = _source("", any(name in _VERDICT_COLUMNS for name in where))
        sql = f"select problem_id, digest from {filtered}{condition} order by {_ORDER}{cut}"
        restriction = _rows(database.query(sql, parameters, version=version))
        # The condition stays: two rollouts of one 64-bit digest are unlikely, not impossible.
        condition += f"{' and' if condition else ' where'} {restriction}"
        of_verdicts, of_key, cut = f" where {restriction}", [], ""
    selected = ", ".join(f'"{name}"' for name in columns)
    source = _source(of_verdicts, version is not None)
    if version is not None:
        parameters = [*of_key, *parameters]
    return database.query(
        f"select {selected} from {source}{condition} order by {_ORDER}{cut}", parameters, version=version
    )


def _rows(keys: pa.Table) -> str:
    """The condition that picks these rows. The problems are named for speed: DuckDB skips undecoded what a text column
    rules out, but not what a list of integers does (on a million rollouts .1 s against 8 s)."""
    if not keys.num_rows:
        return "false"
    problems = ", ".join("'" + name.replace("'", "''") + "'" for name in set(keys["problem_id"].to_pylist()))
    return f"problem_id in ({problems}) and digest in ({', '.join(map(str, keys['digest'].to_pylist()))})"


def _source(restriction: str, with_verdicts: bool) -> str:
    """Rollouts, with their verdicts beside them where there are any."""
    if not with_verdicts:
        return "rollouts"
    key = ", ".join([*KEY, "digest"])
    return f"rollouts left join (select {key}, {', '.join(_VERDICT_COLUMNS)} from verdicts{restriction}) using ({key})"


def _condition(where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """` where ...` and its parameters. A sequence means any of its values (a range of step 1 as two bounds, which the
    statistics of a row group can rule out), None means missing."""
    terms: list[str] = []
    parameters: list[Any] = []
    for name, value in where.items():
        if value is None:
            terms.append(f'"{name}" is null')
        elif isinstance(value, range) and value.step == 1:
            terms.append(f'"{name}" >= ? and "{name}" < ?')
            parameters.extend((value.start, value.stop))
        elif isinstance(value, (list, tuple, set, frozenset, range)):
            terms.append(f'"{name}" in ({", ".join("?" * len(value))})' if value else "false")
            parameters.extend(value)
        else:
            terms.append(f'"{name}" = ?')
            parameters.append(value)
    return (" where " + " and ".join(terms) if terms else ""), parameters
