"""The listing of a store: one narrow row per rollout, in DuckDB, for every question that needs no text.

Filters, counts, orders and heat maps ask of each rollout who drew it, of which problem, what came of it and how long it
is. Answering from Parquet joins a million verdicts by text keys each time (half a second and more); the listing does it
once per state of the run and holds small numbers in their place (policy and problem as places in lists, and where in
which file the rest stands: about 40 bytes a rollout), so that a question takes hundredths. No completion is in it. It
is made anew when the run's files change.

Text, answers and log-probabilities stay in Parquet and are asked there, for the rollouts that the listing picked.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from s2l_lab.browse.filters import OUTCOMES
from s2l_lab.browse.store import BrowsedStore

TABLE = "listed"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the numbers in the table `listed` stand for.

    Columns: policy, problem (places in these lists), sample_index, digest, outcome (place in OUTCOMES), tokens (null
    where unknown), file, row (of the rollout; file is a place in `files`), verdict_file, verdict_row (null without a
    verdict), and, after `rank_by_surprisal`, surprisal (mean nats per token, null where unknown).
    """

    policies: tuple[str, ...]
    problem_ids: tuple[str, ...]
    """Ids in order of arrival; ids that are missing from the file of problems come last."""
    version: str | None
    """Verifier version of the verdicts."""
    files: tuple[str, ...]
    """Parts of rollouts and of verdicts."""
    fingerprint: str
    """Fingerprint of the store when it was listed."""


def listing(store: BrowsedStore, version: str | None) -> Listing:
    """The listing of the store as it stands, made if need be; `version` None takes the newest.

    Hold `store.reading()` around this and the questions to the table, so that no other thread lists another version in
    between. Raises DataError.
    """
    version = store.newest_version() if version is None else version
    there = store.listed
    if isinstance(there, Listing) and there.version == version and there.fingerprint == store.fingerprint():
        return there
    fingerprint = store.fingerprint()
    known = store.problems()
    distinct = store.query("select distinct problem_id from rollouts order by all")["problem_id"].to_pylist()
    policies, problem_ids = store.policies(), tuple(dict.fromkeys([*known, *distinct]))
    store.listed, store.ranked = None, ""
    with store.reading(version) as ask:

        def make(connection: duckdb.DuckDBPyConnection) -> Listing:
            made = Listing(policies, problem_ids, version, store.files(), fingerprint)
            _make(connection, made)
            return made

        store.listed = ask(make)
    return store.listed


def rank_by_surprisal(store: BrowsedStore, made: Listing) -> None:
    """Add the column `surprisal`, once per listing: it reads every log-probability."""
    if made.fingerprint == store.ranked:
        return
    sql = f"""create or replace temp table {TABLE} as select {TABLE}.*, surprisal from {TABLE} left join (
        select sample_index, digest, surprisal from (
            select sample_index, digest, (-list_avg(logprobs))::float as surprisal from rollouts)
        where not isnan(surprisal)) using (sample_index, digest)"""
    with store.reading(made.version) as ask:
        ask(lambda connection: connection.execute(sql) and None)
    store.ranked = made.fingerprint


def _make(connection: duckdb.DuckDBPyConnection, made: Listing) -> None:
    places = {"policy": made.policies, "problem": made.problem_ids, "file": made.files}
    for kind, names in places.items():
        table = pa.table({"name": pa.array(names, pa.string()), "place": pa.array(range(len(names)), pa.int32())})
        connection.from_arrow(table).create_view(f"{kind}_places", replace=True)
    outcomes = " ".join(f"when '{name}' then {place}" for place, name in enumerate(OUTCOMES))
    connection.execute(
        f"""create or replace temp table {TABLE} as
        select p.place as policy, q.place as problem, sample_index, digest,
            (case coalesce(outcome, 'unverified') {outcomes} end)::utinyint as outcome, completion_tokens as tokens,
            f.place as file, r.file_row_number::integer as row, verdict_file, verdict_row
        from (select policy, problem_id, sample_index, digest, completion_tokens, filename, file_row_number
            from rollouts) r
        left join (select sample_index, digest, outcome, place as verdict_file, file_row_number::integer as verdict_row
            from verdicts join file_places on filename = name) using (sample_index, digest)
        join policy_places p on r.policy = p.name
        join problem_places q on r.problem_id = q.name
        join file_places f on r.filename = f.name"""
    )
