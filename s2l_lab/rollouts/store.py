"""RolloutStore: the only thing that knows what a run directory is made of.

    manifest.json                               one RunManifest per session that wrote something
    config.json                                 identity, and the resolved configuration of the last session, nulls kept
    problems.parquet                            every problem that this run was asked about, in order of arrival
    prompts.parquet                             what each policy was given for each of them, special tokens written out
    rollouts/part-*.parquet                     what policies drew
    verdicts/<verifier version>/part-*.parquet  what verifiers said; verifying anew never rewrites rollouts
    parts.json                                  the live parts (see `parts`): what is not listed is not there
    remarks.jsonl                               what a reader of rollouts must know of who sampled them
    metrics.jsonl, logs/                        how the sampling went

`RolloutStore(path)` reads, beside any writer; `RolloutStore.open(path, ...)` writes, alone. Resuming is `owed`: the
wanted keys minus the keys that are there.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import Draw, Draws
from s2l_lab.problems import Problem
from s2l_lab.rollouts import columns, tally
from s2l_lab.rollouts.database import Database, verdicts_folder, versions
from s2l_lab.rollouts.durable import append_line, make_folder, replacing
from s2l_lab.rollouts.guard import new_rollouts, new_verdicts
from s2l_lab.rollouts.lock import holder
from s2l_lab.rollouts.manifest import RunManifest
from s2l_lab.rollouts.page import read_page
from s2l_lab.rollouts.parquet import DamagedPartError, read_batches
from s2l_lab.rollouts.parts import ROLLOUTS_FOLDER, Parts
from s2l_lab.rollouts.prompts import add_prompts, prompts_of, read_prompts
from s2l_lab.rollouts.repeats import Contents, Distinct
from s2l_lab.rollouts.rollout import Origin, Rollout
from s2l_lab.rollouts.session import CONFIG, LOCK, MANIFEST, Session, read_json
from s2l_lab.verifiers.verdict import Outcome, may_pass

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

    from s2l_lab.policies import Policy
    from s2l_lab.verifiers import Verdict

PROBLEMS = "problems.parquet"
REMARKS = "remarks.jsonl"
METRICS = "metrics.jsonl"
LOGS = "logs"


class RolloutStore:
    """The rollouts, verdicts and problems of one run directory.

    Every question sees one consistent set of parts. A damaged part is named in the log and in `damaged` and left out;
    what it held is owed again.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a run for reading; no lock is taken. Raises DataError if there is none, or one of another schema."""
        self._attach(Path(path), None)

    @classmethod
    def open(cls, path: str | Path, manifest: RunManifest, identity: Mapping[str, Any], *, fresh: bool = False) -> Self:
        """Open a run for writing, or begin it.

        `identity` is the JSON-like part of the configuration that makes a rollout what it is; where it differs from the
        run's, UsageError names the keys. `fresh` moves an old run aside, under its name with the time, and deletes
        nothing. Raises RunLockedError if another process writes here, UsageError if the folder holds something else.
        """
        session = Session(Path(path), manifest, identity, fresh=fresh)
        store = cls.__new__(cls)
        try:
            store._attach(Path(path), session)
        except BaseException:
            session.close()
            raise
        return store

    @classmethod
    def reopen(cls, path: str | Path, verifier_version: str) -> Self:
        """Open a run that is there for writing verdicts of a version, with the run's own identity and configuration.

        Raises as `RolloutStore(path)` and `open` do.
        """
        with cls(path) as there:
            config, identity = there.config, there.identity
        manifest = RunManifest.of_this_process(config, device="none", seeds={}, verifier_version=verifier_version)
        return cls.open(path, manifest, identity)

    def _attach(self, path: Path, session: Session | None) -> None:
        self.path = path
        self._session = session
        self._parts = Parts(path, writable=session is not None)
        self._database = Database(self._parts)
        ledger = self._parts.ledger()
        if session is not None:
            self._parts.sweep()
            for folder in dict.fromkeys(name.rpartition("/")[0] for name in ledger.parts):
                self._parts.live(folder, ledger)

    def close(self) -> None:
        """End the session and give the lock back. Safe to call twice."""
        self._database.close()
        if self._session is not None:
            session, self._session = self._session, None
            try:
                self._parts.sweep()
            finally:
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What the run is.

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration of the last session that opened the run. Raises DataError."""
        config: dict[str, Any] = read_json(self.path / CONFIG)["config"]
        return config

    @property
    def identity(self) -> dict[str, Any]:
        """What every session of this run has in common. Raises DataError."""
        identity: dict[str, Any] = read_json(self.path / CONFIG)["identity"]
        return identity

    @property
    def sessions(self) -> list[RunManifest]:
        """The sessions that wrote something, oldest first; one without an end was killed or still goes on."""
        return [RunManifest.model_validate(session) for session in read_json(self.path / MANIFEST)["sessions"]]

    @property
    def damaged(self) -> dict[str, str]:
        """Parts that were left out since this object was opened, and why."""
        return dict(self._parts.damaged)

    @property
    def logs(self) -> Path:
        """The folder for log files of engines and workers, made if need be."""
        make_folder(self.path / LOGS)
        return self.path / LOGS

    @property
    def writer(self) -> str | None:
        """Who writes to this run now, in words; None if nobody does."""
        return holder(self.path / LOCK)

    @property
    def verifier_versions(self) -> list[str]:
        """Verifier versions that have verdicts here, in order of their oldest part, lenient ones first."""
        return versions(self._parts.ledger())

    def problems(self) -> list[Problem]:
        """Every problem of this run, in order of arrival. Raises DataError."""
        path = self.path / PROBLEMS
        if not path.exists():
            return []
        try:
            return columns.problems_of(pq.ParquetFile(path).read())
        except (pa.ArrowInvalid, OSError, ValueError) as cause:
            raise DataError(
                f"{path} cannot be read ({cause}). Rename it and run the command that made this run once more: it "
                "writes the file anew and samples only what is owed."
            ) from cause

    def origins(self) -> list[Origin]:
        """Who sampled here, in order of name."""
        sql = "select distinct policy, policy_digest, sampling_digest from rollouts order by all"
        return [Origin(**row) for row in self._database.query(sql).to_pylist()]

    def remarks(self, origin: Origin) -> tuple[str, ...]:
        """What was remarked on an origin, oldest first; a line that a kill has torn is left out."""
        return tuple(text for who, text in self.all_remarks() if who == origin)

    def all_remarks(self) -> list[tuple[Origin, str]]:
        """The remarks on every origin, oldest first."""
        try:
            lines = (self.path / REMARKS).read_text(encoding="utf-8", errors="replace").split("\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(line)
                text = str(record.pop("remark"))
                found.append((Origin(**record), text))
        return found

    def sizes(self) -> tuple[int, dict[str, int]]:
        """(rollouts, verdicts by version) as the ledger lists them; damaged parts that were found are left out."""
        ledger = self._parts.ledger()
        folders = [ROLLOUTS_FOLDER, *(verdicts_folder(version) for version in versions(ledger))]
        for folder in folders:
            self._parts.live(folder, ledger)
        rows = {
            folder: sum(p.rows for name, p in ledger.folder(folder).items() if name not in self._parts.damaged)
            for folder in folders
        }
        return rows[ROLLOUTS_FOLDER], {version: rows[verdicts_folder(version)] for version in versions(ledger)}

    # Writing.

    def add_problems(self, problems: Sequence[Problem]) -> None:
        """Remember problems that are not there yet, by id."""
        self._writing()
        there = self.problems()
        known = {problem.id for problem in there}
        new = {problem.id: problem for problem in problems if problem.id not in known}
        if new:
            with replacing(self.path / PROBLEMS) as file:
                pq.write_table(columns.problems_table([*there, *new.values()]), file, compression="zstd")

    def prompts(self) -> pa.Table:
        """The rendered prompts by policy and problem (`prompts.SCHEMA`); none in runs of before. Raises DataError."""
        return read_prompts(self.path)

    def add_prompts(self, policy: Policy, origin: Origin, problems: Sequence[Problem]) -> None:
        """Remember what the policy is given for these problems, where it is not there yet."""
        self._writing()
        known = prompts_of(self.prompts(), origin)
        add_prompts(self.path, origin, {p.id: policy.prompt(p) for p in problems if p.id not in known})

    def append(self, draws: Sequence[Draw], origin: Origin) -> int:
        """Store draws durably in one step: once this returns they survive a kill, and before it none of them is there.

        A key that is there already is ignored if its completion is the same (text, token ids, stop reason); if it is
        another, DataError is raised and nothing of the batch is stored. Returns how many were new. Raises WriteError
        on a full disk, with what was stored before intact.
        """
        self._writing()
        new = new_rollouts(self._database, columns.rollouts_table(origin, draws))
        self._parts.add(ROLLOUTS_FOLDER, new)
        return int(new.num_rows)

    def append_verdicts(self, version: str, rollouts: Sequence[Rollout], verdicts: Sequence[Verdict]) -> int:
        """Store one verdict per rollout, in the same order, under a version. The same guarantees as `append`."""
        self._writing()
        if not version:
            raise UsageError("a verdict needs the version of its verifier; an empty text was given.")
        if len(rollouts) != len(verdicts):
            raise DataError(
                f"a verifier gave {len(verdicts)} verdicts on {len(rollouts)} rollouts; it owes one for each."
            )
        new = new_verdicts(self._database, columns.verdicts_table(rollouts, verdicts), version)
        self._parts.add(verdicts_folder(version), new)
        return int(new.num_rows)

    def replace_errors(self, version: str, rollouts: Sequence[Rollout], verdicts: Sequence[Verdict]) -> int:
        """Put verdicts in the place of the VERIFIER_ERRORs of this version on the same rollouts; others stay.

        One part is replaced at a time, each in one step: whenever the process is killed, every rollout has one verdict,
        the old one or the new one. An error that is the same again is not written. Returns how many were replaced.
        """
        new = columns.verdicts_table(rollouts, verdicts)
        rows = {key: (row, said) for row, (key, said) in enumerate(columns.keyed_verdicts(new))}
        replaced = 0
        for path in self._parts.live(verdicts_folder(version), self._parts.ledger()):
            name = path.relative_to(self.path).as_posix()
            try:
                found = sum(len(_errors_among(table, rows)) for table in read_batches(path))
                if found:
                    self._writing()
                    self._parts.rewrite(name, lambda table: _with_rows(table, new, _errors_among(table, rows)))
                    replaced += found
            except DamagedPartError as damage:
                self._parts.condemn(name, str(damage))
        return replaced

    def remark(self, origin: Origin, text: str) -> None:
        """Keep something that a reader of this origin's rollouts must know; a text that is there already is not kept
        twice."""
        self._writing()
        if text not in self.remarks(origin):
            append_line(self.path / REMARKS, json.dumps({**asdict(origin), "remark": text}, ensure_ascii=False))

    def log_metrics(self, record: Mapping[str, float | str | None]) -> None:
        """Append one line to the run's metrics; NaN and infinities are written as null."""
        clean = {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in record.items()}
        append_line(self.path / METRICS, json.dumps(clean, ensure_ascii=False, allow_nan=False))

    def _writing(self) -> None:
        if self._session is None:
            raise UsageError(f"{self.path} is open for reading only; RolloutStore.open(...) writes.")
        self._session.begin()

    # Resuming.

    def owed(self, problems: Sequence[Problem], origin: Origin, n: int) -> list[Draws]:
        """The draws that are wanted (indices 0 .. n - 1 of each problem) and not there; no entry where none is owed."""
        there = tally.indices(self._database.query, origin, n)
        wanted = {problem.id: problem for problem in problems}
        missing = [
            Draws(problem, tuple(i for i in range(n) if i not in there.get(problem.id, ())))
            for problem in wanted.values()
        ]
        return [draws for draws in missing if draws.indices]

    def unverified(self, version: str, origin: Origin | None = None) -> Iterator[list[Rollout]]:
        """The rollouts (of one origin, or of all) without a verdict of this version as it stands now, in batches of at
        most one row group."""
        done = self._database.query("select digest from verdicts", version=version)["digest"].to_numpy()
        yield from self._rollouts_where(lambda digests: ~np.isin(digests, done), origin)

    def errors(self, version: str, origin: Origin | None = None, *, passing: bool = False) -> Iterator[list[Rollout]]:
        """The rollouts (of one origin, or of all) whose verdict of this version is VERIFIER_ERROR as it stands now.

        `passing` leaves out what asking again cannot change, as `s2l_lab.verifiers.verdict.may_pass` says.
        """
        found = self._error_digests(version, origin, passing=passing)
        if found.size:
            yield from self._rollouts_where(lambda digests: np.isin(digests, found), origin)

    def number_of_errors(self, version: str, origin: Origin | None = None, *, passing: bool = False) -> int:
        """How many rollouts `errors` would give. Reads no rollouts."""
        return int(self._error_digests(version, origin, passing=passing).size)

    def _error_digests(self, version: str, origin: Origin | None, *, passing: bool) -> NDArray[np.int64]:
        sql = "select digest, detail from verdicts join rollouts using (problem_id, sample_index, digest)"
        sql += " where outcome = 'verifier_error'"
        parameters: list[str] = []
        if origin is not None:
            sql += " and rollouts.policy = ? and rollouts.policy_digest = ? and rollouts.sampling_digest = ?"
            parameters = [origin.policy, origin.policy_digest, origin.sampling_digest]
        found = self._database.query(sql, parameters, version=version)
        kept = [may_pass(detail) or not passing for detail in found["detail"].to_pylist()]
        digests: NDArray[np.int64] = found["digest"].to_numpy()[np.array(kept, dtype=bool)]
        return digests

    def _rollouts_where(
        self, wanted: Callable[[NDArray[np.int64]], NDArray[np.bool_]], origin: Origin | None
    ) -> Iterator[list[Rollout]]:
        """The rollouts whose digest is wanted, in batches of at most one row group."""
        for path in self._parts.live(ROLLOUTS_FOLDER, self._parts.ledger()):
            name = path.relative_to(self.path).as_posix()
            try:
                for table in read_batches(path):
                    left = wanted(table["digest"].to_numpy())
                    if origin is not None:
                        left &= _of_origin(table, origin)
                    if left.any():
                        yield columns.rollouts_of(table.filter(pa.array(left)))
            except DamagedPartError as damage:
                self._parts.condemn(name, str(damage))

    # Reading.

    def counts(
        self, origin: Origin, version: str, problem_ids: Sequence[str], n: int | None = None
    ) -> tally.RolloutCounts:
        """Outcome counts per problem over sample indices below n (all without n), in the order of `problem_ids`."""
        return tally.counts(self._query(version), origin, problem_ids, n)

    def answers(
        self, origin: Origin, version: str, problem_ids: Sequence[str], n: int | None = None
    ) -> list[tuple[tally.AnswerCount, ...]]:
        """Histograms of canonical answers per problem (P of them), for votes and guess references."""
        return tally.answers(self._query(version), origin, problem_ids, n)

    def outcomes(
        self, origin: Origin, version: str, problem_ids: Sequence[str], n: int | None = None
    ) -> dict[str, int]:
        """Rollouts by outcome, all five of them, over all these problems."""
        return tally.outcomes(self._query(version), origin, problem_ids, n)

    def totals(self, origin: Origin, problem_ids: Sequence[str], n: int | None = None) -> tally.TokenTotals:
        """Tokens, lengths and entropy of the rollouts of these problems, verified or not."""
        return tally.totals(self._database.query, origin, problem_ids, n)

    def cut_short(self, origin: Origin, problem_ids: Sequence[str], max_tokens: int, n: int | None = None) -> int:
        """Rollouts of these problems that were cut before max_tokens, by a context or by a cap of a server's own."""
        return tally.cut_short(self._database.query, origin, problem_ids, n, max_tokens)

    def contents(self, origin: Origin, problem_ids: Sequence[str], n: int | None = None) -> Contents:
        """What was drawn for these problems, without the texts: to tell whether rollouts repeat."""
        return tally.contents(self._database.query, origin, problem_ids, n)

    def distinct(self, origin: Origin, problem_ids: Sequence[str], n: int | None = None) -> Distinct:
        """How many different completions each of these problems has."""
        return tally.distinct(self._database.query, origin, problem_ids, n)

    def read(
        self,
        names: Sequence[str] | None = None,
        where: Mapping[str, Any] | None = None,
        *,
        version: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> pa.Table:
        """A page of rollouts as an Arrow table (`.to_pandas()` for pandas) ordered by policy, problem and sample index.

        `names` are columns of `columns.ROLLOUTS`, with a verifier `version` also outcome, answer, canonical and detail
        (null where it gave no verdict). `where` maps columns to a value, to several allowed ones (a list or a
        range), or to None for missing. Raises UsageError for an unknown column or a negative page.
        """
        return read_page(self._database, columns=names, where=where or {}, version=version, limit=limit, offset=offset)

    def query(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        version: str | None = None,
        incoming: pa.Table | None = None,
        prompts: pa.Table | None = None,
    ) -> pa.Table:
        """The answer to `sql` over the views `rollouts`, `verdicts` (of that version), and `incoming` and `prompts`
        (where given)."""
        return self._database.query(sql, parameters, version=version, incoming=incoming, prompts=prompts)

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection of the caller's own with the views `rollouts`, `verdicts` (all of them, with a column
        `version`) and `problems` over the parts that are live now; ask for a new one to see what was added since."""
        connection = self._database.connect()
        connection.from_arrow(columns.problems_table(self.problems())).create_view("problems")
        return connection

    def _query(self, version: str) -> tally.Query:
        return functools.partial(self._database.query, version=version)


def _of_origin(table: pa.Table, origin: Origin) -> Any:
    """Mask (rows,) of the rollouts of one origin."""
    wanted = {"policy": origin.policy, "policy_digest": origin.policy_digest, "sampling_digest": origin.sampling_digest}
    masks = [table[name].to_numpy(zero_copy_only=False) == value for name, value in wanted.items()]
    return np.logical_and.reduce(masks)


def _errors_among(table: pa.Table, rows: Mapping[columns.Row, tuple[int, columns.Row]]) -> dict[int, int]:
    """Places in VERDICTS of the errors whose keys are in `rows` with another verdict, with the row of that verdict."""
    return {
        place: rows[key][0]
        for place, (key, said) in enumerate(columns.keyed_verdicts(table))
        if said[0] == Outcome.VERIFIER_ERROR and key in rows and rows[key][1] != said
    }


def _with_rows(table: pa.Table, new: pa.Table, places: Mapping[int, int]) -> pa.Table:
    """The table with row `places[i]` of `new` at each place i."""
    order = [table.num_rows + places[i] if i in places else i for i in range(table.num_rows)]
    return pa.concat_tables([table, new.cast(table.schema)]).take(pa.array(order, pa.int64()))
