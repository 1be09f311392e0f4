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
    joined = "rollouts"
    if version is not None:
        verdicts = f"select {', '.join([*KEY, 'digest', *_VERDICT_COLUMNS])} from verdicts"
        joined = f"rollouts left join ({verdicts}) using ({', '.join([*KEY, 'digest'])})"
    condition, parameters = _condition(where)
    selected = ", ".join(f'"{name}"' for name in columns)
    if limit is None and offset == 0:
        return database.query(
            f"select {selected} from {joined}{condition} order by {_ORDER}", parameters, version=version
        )
    cut = f"limit {limit if limit is not None else 2**62} offset {offset}"
    keys = database.query(
        f"select digest from {joined}{condition} order by {_ORDER} {cut}", parameters, version=version
    )
    digests = keys["digest"].to_pylist()
    # The filter again: two rollouts of one 64-bit digest are unlikely, not impossible.
    chosen = f"{condition} {'and' if condition else 'where'} digest in (select unnest(?::bigint[]))"
    sql = f"select {selected} from {joined}{chosen} order by {_ORDER}"
    return database.query(sql, [*parameters, digests], version=version)


def _condition(where: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """` where ...` and its parameters. A sequence means any of its values, None means missing."""
    terms, parameters = [], []
    for name, value in where.items():
        if value is None:
            terms.append(f'"{name}" is null')
        elif isinstance(value, (list, tuple, set, frozenset)):
            terms.append(f'"{name}" in (select unnest(?))')
            parameters.append(list(value))
        else:
            terms.append(f'"{name}" = ?')
            parameters.append(value)
    return (" where " + " and ".join(terms) if terms else ""), parameters
