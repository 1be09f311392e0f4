"""Rollouts under a filter: how many, of which outcomes and policies, and one page of them to read.

Counts and the order come from the listing; then the wide columns of the rollouts on the page alone are read from
Parquet, by problem and digest, as `rollouts.page` does. What a page shows of a completion is its beginning; the whole
text is read for one rollout at a time. A rollout's address names its problem and its 64-bit digest (of key and
completion), so a link shows the very completion it was made for, or says that it is gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from s2l_lab.browse.filters import OUTCOMES, RolloutFilter, Sort
from s2l_lab.browse.listing import TABLE, Listing, listing, rank_by_surprisal
from s2l_lab.browse.rows import PREVIEW, FullRollout, Row, address_of, parsed, row_of, step_of
from s2l_lab.browse.selection import Selection, select
from s2l_lab.browse.store import Ask, BrowsedStore, Result
from s2l_lab.errors import DataError
from s2l_lab.training.rounds import Rounds

EXPORT_ROWS = 50_000
"""Maximum number of rollouts in an exported selection."""
EXPORT_BYTES = 64 * 2**20
"""Bytes of their texts (completion, answer, canonical form and detail, in UTF-8) at most; the first goes whole."""
FOUND = "found"
"""Rows of the listing, as a table of its own; see `_selected`."""
_KEY = "policy, problem, sample_index, digest"
_ORDERS: dict[Sort, str] = {
    "key": _KEY,
    "shortest": f"tokens nulls last, {_KEY}",
    "longest": f"tokens desc nulls last, {_KEY}",
    "most surprising": f"surprisal desc nulls last, {_KEY}",
    "least surprising": f"surprisal nulls last, {_KEY}",
}
_TRIES = 5
_NARROW = "policy, problem_id, sample_index, digest, stop_reason, completion_tokens"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rollouts, with the counts of the whole selection."""

    rows: tuple[Row, ...]
    total: int
    by_outcome: dict[str, int]
    """Number of rollouts for every outcome of OUTCOMES."""
    by_policy: dict[str, int]
    """Number of rollouts for every policy of the store, in its order."""
    filter: RolloutFilter
    """The filter that was asked for, with its page limited to `pages` and its verifier version filled in."""
    pages: int
    """Number of pages, 1 or more."""
    notes: tuple[str, ...]
    """What a reader should know: a name that the run does not have, a sort by what is not stored."""


@dataclass(frozen=True, slots=True)
class Matching:
    """A selection as a table for export."""

    table: pa.Table
    """place, of, policy, problem_id, sample_index, outcome, answer, canonical, detail, stop_reason, tokens, step, text.
    `place` of `of` is the rollout's place in the selection, from 1: a file that was cut says so in its last row."""
    total: int
    cut: bool
    """Whether the table was cut at EXPORT_ROWS or EXPORT_BYTES."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One answer to a problem by one policy."""

    canonical: str | None
    """Canonical form of the answer; None for rollouts without an answer."""
    policy: str
    count: int
    correct: int
    example: str
    """Address of the first rollout that gives it."""


def page(store: BrowsedStore, filter: RolloutFilter, rounds: Rounds | None = None) -> Page:
    """The page of the filter, beyond the last one the last. `rounds` are those of the training run whose rollouts the
    store holds. Raises DataError."""
    return _settled(store, lambda: _page(store, filter, rounds))


def _page(store: BrowsedStore, filter: RolloutFilter, rounds: Rounds | None) -> Page:
    version = store.newest_version() if filter.version is None else filter.version
    with store.reading(version) as ask:
        made, selection = _selected(ask, store, filter, version, rounds)
        counts = _ask(
            ask,
            f"select policy, outcome, count(*) as number from {selection.table}{selection.where} group by all",
            selection,
        )
        total = sum(counts["number"].to_pylist())
        pages = max(1, math.ceil(total / filter.page_size))
        shown = filter.model_copy(update={"page": min(filter.page, pages), "version": made.version})
        keys = _keys(ask, selection, shown, shown.page_size, (shown.page - 1) * shown.page_size)
        rows = _rows(ask, made, keys, rounds)
    by_policy = dict.fromkeys(made.policies, 0)
    by_outcome: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for count in counts.to_pylist():
        by_policy[made.policies[count["policy"]]] += count["number"]
        by_outcome[OUTCOMES[count["outcome"]]] += count["number"]
    return Page(rows, total, by_outcome, by_policy, shown, pages, tuple(selection.notes))


def read_rollout(
    store: BrowsedStore, address: str, version: str | None = None, rounds: Rounds | None = None
) -> FullRollout:
    """The rollout at an address. Raises DataError if it is not, or no longer, in the store."""
    problem_id, digest = parsed(address)
    version = store.newest_version() if version is None else version
    sql = """select r.*, outcome, answer, canonical, detail from (
            select * from rollouts where problem_id = ? and digest = ?) r
        left join (select sample_index, digest, outcome, answer, canonical, detail from verdicts
            where problem_id = ? and digest = ?) using (sample_index, digest) limit 1"""
    found = store.query(sql, [problem_id, digest] * 2, version=version)
    if not found.num_rows:
        raise DataError(f"{store.path} has no rollout {address!r} (any more); choose another in the list.")
    values = found.to_pylist()[0]
    problem = store.problems().get(problem_id)
    arrays = {name: _array(values[name]) for name in ("logprobs", "logprobs_t1", "entropies")}
    ids = values["token_ids"]
    return FullRollout(
        row=row_of(values | {"preview": values["text"][:PREVIEW], "characters": len(values["text"])}, rounds),
        text=values["text"],
        token_ids=None if ids is None else np.asarray(ids, np.int32),
        **arrays,
        prompt=problem.prompt if problem else "",
        gold=problem.answer if problem else "",
        rendered=store.prompt(values["policy"], values["policy_digest"], problem_id),
    )


def matching(store: BrowsedStore, filter: RolloutFilter, rounds: Rounds | None = None) -> Matching:
    """The rollouts of a filter, whatever its page, with their texts and without token arrays."""
    return _settled(store, lambda: _matching(store, filter, rounds))


def _matching(store: BrowsedStore, filter: RolloutFilter, rounds: Rounds | None) -> Matching:
    version = store.newest_version() if filter.version is None else filter.version
    with store.reading(version) as ask:
        made, selection = _selected(ask, store, filter, version, rounds)
        total = _ask(ask, f"select count(*) as number from {selection.table}{selection.where}", selection)["number"][
            0
        ].as_py()
        keys = _keys(ask, selection, filter, EXPORT_ROWS, 0)
        keys = keys.slice(0, _that_fit(ask, made, keys))
        found = _wide(ask, made, keys, f"text, {_NARROW}")
    table = found.select([name for name in found.column_names if name not in ("digest", "completion_tokens", "text")])
    steps = [
        step_of(p, i, rounds) for p, i in zip(*(found[c].to_pylist() for c in ("policy", "sample_index")), strict=True)
    ]
    table = table.append_column("tokens", found["completion_tokens"])
    table = table.append_column("step", pa.array(steps, pa.int32())).append_column("text", found["text"])
    table = table.add_column(0, "of", pa.array([total] * len(steps), pa.int64()))
    table = table.add_column(0, "place", pa.array(range(1, len(steps) + 1), pa.int64()))
    return Matching(table, total, cut=total > keys.num_rows)


def _that_fit(ask: Ask, made: Listing, keys: pa.Table) -> int:
    """How many of the keys' rollouts, from the first, have texts within EXPORT_BYTES; lengths alone are kept of them,
    since the texts of a selection may not fit into memory."""
    lengths = " + ".join(f"coalesce(strlen({name}), 0)" for name in ("text", "answer", "canonical", "detail"))
    bytes_N = _wide(ask, made, keys, f"{lengths} as bytes")["bytes"].to_numpy()
    fit = int(np.searchsorted(np.cumsum(bytes_N), EXPORT_BYTES, side="right"))
    return max(fit, int(keys.num_rows > 0))


def answers(store: BrowsedStore, problem_id: str, version: str | None = None) -> tuple[AnswerRow, ...]:
    """What each policy answered to one problem, most frequent first: the strategies found, where canonical forms are
    solution classes."""
    version = store.newest_version() if version is None else version
    sql = """select policy, canonical, count(*) as count, count(*) filter (outcome = 'correct') as correct,
            arg_min(digest, sample_index) as digest
        from (select policy, sample_index, digest from rollouts where problem_id = ?)
        join (select sample_index, digest, outcome, canonical from verdicts where problem_id = ?)
            using (sample_index, digest)
        group by policy, canonical order by count desc, canonical nulls last, policy"""
    found = store.query(sql, [problem_id] * 2, version=version).to_pylist()
    return tuple(AnswerRow(example=address_of(problem_id, row.pop("digest")), **row) for row in found)


class _ChangedError(Exception):
    """Rollouts that were listed are not there any more: their part was merged into another, or proved damaged."""


def _settled(store: BrowsedStore, read: Callable[[], Result]) -> Result:
    """`read`, again where the run changed between its listing and its reading of texts."""
    for _ in range(_TRIES):
        try:
            return read()
        except _ChangedError:
            continue
    raise DataError(f"{store.path} changed during each of {_TRIES} readings; try again when its writer is less busy.")


def _selected(
    ask: Ask, store: BrowsedStore, filter: RolloutFilter, version: str | None, rounds: Rounds | None
) -> tuple[Listing, Selection]:
    """The listing and the condition on it. What had to be looked for in texts or answers is found once and kept in a
    table of its own, so that the next page of the same filter does not read them again."""
    made = listing(store, version)
    if filter.sort in ("most surprising", "least surprising"):
        rank_by_surprisal(store, made)
    selection = select(filter, made, rounds)
    if selection.reads_parquet:
        key = (made.fingerprint, made.version, store.ranked, selection.where, tuple(selection.parameters))
        sql = f"create or replace temp table {FOUND} as select * from {TABLE}{selection.where}"
        if store.found != key:
            store.found = None
            ask(lambda connection: connection.execute(sql, selection.parameters) and None)
            store.found = key
        selection = Selection(notes=selection.notes, table=FOUND)
    if filter.version is not None and filter.version not in store.versions():
        selection.notes.append(f"This run has no verdicts of verifier version {filter.version!r}.")
    return made, selection


def _ask(ask: Ask, sql: str, selection: Selection) -> pa.Table:
    return ask(lambda connection: connection.sql(sql, params=selection.parameters).to_arrow_table())


def _keys(ask: Ask, selection: Selection, filter: RolloutFilter, limit: int, offset: int) -> pa.Table:
    """Where a stretch of the selection stands, in order: sample_index, digest, file, row, verdict_file, verdict_row."""
    columns = "sample_index, digest, file, row, verdict_file, verdict_row"
    cut = f"order by {_ORDERS[filter.sort]} limit {limit} offset {offset}"
    return _ask(ask, f"select {columns} from {selection.table}{selection.where} {cut}", selection)


def _rows(ask: Ask, made: Listing, keys: pa.Table, rounds: Rounds | None) -> tuple[Row, ...]:
    """The rollouts of these keys, in their order."""
    preview = f"left(text, {PREVIEW}) as preview, length(text) as characters"
    columns = f"{preview}, -list_avg(logprobs) as surprisal, {_NARROW}"
    return tuple(row_of(values, rounds) for values in _wide(ask, made, keys, columns).to_pylist())


def _wide(ask: Ask, made: Listing, keys: pa.Table, columns: str) -> pa.Table:
    """These columns of the keys' rollouts, in their order, with their verdicts. A page's rows are named by file and
    row, so that nothing else is decoded; where there are very many, everything is read and joined."""
    picked = keys.append_column("place", pa.array(range(keys.num_rows), pa.int64()))
    few = keys.num_rows <= _NAMED
    rows, rows_parameters = _at(made, keys, "file", "row") if few else ("true", [])
    verdicts, verdicts_parameters = _at(made, keys, "verdict_file", "verdict_row") if few else ("true", [])
    sql = f"""select {columns}, outcome, answer, canonical, detail
        from (select * from rollouts where {rows}) join (select sample_index, digest, place from picked)
            using (sample_index, digest)
        left join (select sample_index, digest, outcome, answer, canonical, detail from verdicts where {verdicts})
            using (sample_index, digest)
        order by place"""

    def read(connection: Any) -> pa.Table:
        connection.from_arrow(picked).create_view("picked", replace=True)
        return connection.sql(sql, params=[*rows_parameters, *verdicts_parameters]).to_arrow_table()

    found = ask(read)
    if found.num_rows < keys.num_rows:
        raise _ChangedError
    return found


_NAMED = 100
"""Rows up to which they are named one by one: a page's."""


def _at(made: Listing, keys: pa.Table, file: str, row: str) -> tuple[str, list[Any]]:
    """The condition that a view's rows are those that `keys` names, and its parameters."""
    rows_by_file: dict[int, list[int]] = {}
    for place, number in zip(keys[file].to_pylist(), keys[row].to_pylist(), strict=True):
        if place is not None:
            rows_by_file.setdefault(place, []).append(number)
    terms = [f"(filename = ? and file_row_number in ({', '.join(map(str, rows))}))" for rows in rows_by_file.values()]
    return " or ".join(terms) or "false", [made.files[place] for place in rows_by_file]


def _array(values: Sequence[float] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.asarray(values, np.float32)
