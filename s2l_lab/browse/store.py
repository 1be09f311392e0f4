"""BrowsedStore: one store of rollouts as the app reads it, shared by threads, within a bound of memory.

RolloutStore answers the questions of a pipeline and is used by one thread; a page asks others, from many threads, for
days, while a writer may be at work. So each question reads the ledger, as `rollouts.database` does, and sees exactly
the parts that are live and whole; only the connection is this module's own, because it has a bound of memory and a
lock. A part that proves damaged while it is read is found, named in `damaged` and left out, and the question is asked
again. A damaged file of problems is named and left out likewise: it holds texts, and no number needs them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import duckdb
import pyarrow as pa
from pydantic import ValidationError

from s2l_lab.errors import DataError, S2LError
from s2l_lab.policies import SamplingParams
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, RolloutStore, RunManifest
from s2l_lab.rollouts.columns import ROLLOUTS, VERDICTS
from s2l_lab.rollouts.database import verdicts_folder, versions
from s2l_lab.rollouts.order import in_order
from s2l_lab.rollouts.parts import LEDGER, ROLLOUTS_FOLDER, Ledger, Parts
from s2l_lab.rollouts.prompts import prompts_of, read_prompts
from s2l_lab.rollouts.store import PROBLEMS, REMARKS
from s2l_lab.training.plan import MAX_COMPLETION_LENGTH

MEMORY_LIMIT = "400MB"
"""Of DuckDB, for each store that is open; a larger sort goes to a temporary file."""
_TRIES = 10
Result = TypeVar("Result")


class Ask(Protocol):
    """Runs a question on the connection; see `BrowsedStore.reading`."""

    def __call__(self, do: Callable[[duckdb.DuckDBPyConnection], Result], /) -> Result: ...


class BrowsedStore:
    """One store, for reading. Methods may be called from any thread; each sees the parts that are live now."""

    def __init__(self, path: str | Path) -> None:
        """Raises DataError where there is no store, or one of another schema."""
        self.path = Path(path)
        self._store = RolloutStore(self.path)
        self._parts = Parts(self.path, writable=False)
        self._lock = threading.RLock()
        self._connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
        self._shown: tuple[list[Path], list[Path]] | None = None
        self.listed: object = None
        """What `listing` has made in the connection, in its keeping."""
        self.ranked = ""
        self.found: object = None
        self._policies: tuple[str, tuple[str, ...]] | None = None
        self._problems: tuple[str, dict[str, Problem], str] | None = None

    def fingerprint(self) -> str:
        """Changes whenever parts, problems, sessions or configuration do. Raises DataError where the store is gone."""
        stamps = []
        for name in (LEDGER, PROBLEMS, REMARKS, "manifest.json", "config.json"):
            try:
                status = (self.path / name).stat()
            except OSError:
                stamps.append("none")
            else:
                stamps.append(f"{status.st_mtime_ns:x}.{status.st_size:x}")
        if stamps[0] == "none":
            raise DataError(f"{self.path} is no store of rollouts any more: it has no {LEDGER}.")
        return "-".join([*stamps, str(len(self._parts.damaged))])

    def query(self, sql: str, parameters: Sequence[Any] = (), version: str | None = None) -> pa.Table:
        """The answer to `sql` over the views `rollouts` and `verdicts` (of that version; empty without one), which have
        `filename` and `file_row_number` besides the columns of the store."""
        with self.reading(version) as ask:
            return ask(lambda connection: connection.sql(sql, params=list(parameters)).to_arrow_table())

    @contextmanager
    def reading(self, version: str | None = None) -> Iterator[Ask]:
        """The connection for several questions, which no other thread uses meanwhile. Each `ask(do)` runs `do` with the
        views as they stand then, again where the run changed beneath it or a part proved damaged."""

        def ask(do: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
            for _ in range(_TRIES):
                ledger = self._parts.ledger()
                self._show(ledger, version)
                try:
                    return do(self._connection)
                except duckdb.Error:
                    if self._parts.ledger() == ledger and not self._parts.find_damage(ledger):
                        raise
            raise DataError(
                f"{self.path} changed during each of {_TRIES} readings; try again when its writer is less busy."
            )

        with self._lock:
            yield ask

    def _show(self, ledger: Ledger, version: str | None) -> None:
        """Make the views, unless they are what they should be (making them reads every footer)."""
        files = self._parts.live(ROLLOUTS_FOLDER, ledger)
        verdicts = [] if version is None else self._parts.live(verdicts_folder(version), ledger)
        if self._shown != (files, verdicts):
            self._shown = None
            _view(self._connection, "rollouts", files, ROLLOUTS)
            _view(self._connection, "verdicts", verdicts, VERDICTS)
            self._shown = files, verdicts

    def files(self) -> tuple[str, ...]:
        """The live files that the views stand for now, in the words of their column `filename`."""
        return () if self._shown is None else tuple(str(path) for paths in self._shown for path in paths)

    def policies(self) -> tuple[str, ...]:
        """The policies that sampled here, in the order of `rollouts.order.in_order`."""
        print_ = self.fingerprint()
        if self._policies is None or self._policies[0] != print_:
            there = self.query("select distinct policy from rollouts")["policy"].to_pylist()
            self._policies = print_, tuple(in_order(there, self.config()))
        return self._policies[1]

    def problems(self) -> dict[str, Problem]:
        """The problems by id, in order of arrival. Empty if their file is damaged; `damaged` then names it."""
        return self._read_problems()[0]

    def prompt(self, policy: str, policy_digest: str, problem_id: str) -> str:
        """What a policy was given for a problem; empty where the run did not keep it, or its file is damaged."""
        try:
            return prompts_of(read_prompts(self.path), Origin(policy, policy_digest, "")).get(problem_id, "")
        except DataError:
            return ""

    def _read_problems(self) -> tuple[dict[str, Problem], str]:
        """(problems, why their file is left out: empty where it is whole)."""
        print_ = self.fingerprint()
        read = self._problems
        if read is None or read[0] != print_:
            try:
                read = print_, {problem.id: problem for problem in self._store.problems()}, ""
            except DataError as error:
                why = f"it cannot be read ({error.__cause__}), so the problems' texts are missing"
                read = print_, {}, why
            self._problems = read
        return read[1], read[2]

    def versions(self) -> tuple[str, ...]:
        """Verifier versions that have verdicts here, oldest first, lenient ones before all others."""
        return tuple(versions(self._parts.ledger()))

    def newest_version(self) -> str | None:
        """The verifier version that is used by default; None if nothing is verified."""
        found = self.versions()
        return found[-1] if found else None

    def sizes(self) -> tuple[int, dict[str, int]]:
        """(rollouts, verdicts by version), as the ledger lists whole parts."""
        ledger = self._parts.ledger()

        def rows(folder: str) -> int:
            whole = {path.relative_to(self.path).as_posix() for path in self._parts.live(folder, ledger)}
            return sum(part.rows for name, part in ledger.folder(folder).items() if name in whole)

        with self._lock:
            return rows(ROLLOUTS_FOLDER), {version: rows(verdicts_folder(version)) for version in versions(ledger)}

    def damaged(self) -> dict[str, str]:
        """Files that are left out, and why: parts whose footers tell, parts that a question stumbled over, and the file
        of problems."""
        _, fault = self._read_problems()
        with self._lock:
            ledger = self._parts.ledger()
            for folder in (ROLLOUTS_FOLDER, *map(verdicts_folder, versions(ledger))):
                self._parts.live(folder, ledger)
            return dict(self._parts.damaged) | ({PROBLEMS: fault} if fault else {})

    def writer(self) -> str | None:
        """The process that is writing to this store now, in words; None if there is none."""
        return self._store.writer

    def config(self) -> dict[str, Any]:
        """The resolved configuration; empty where its file is missing or damaged."""
        try:
            return self._store.config
        except (S2LError, KeyError):
            return {}

    def sessions(self) -> list[RunManifest]:
        """The sessions that wrote something, oldest first; none where their file is missing or of another release."""
        try:
            return self._store.sessions
        except (S2LError, KeyError, ValidationError):
            return []

    def remarks(self) -> list[tuple[Origin, str]]:
        """Remarks on the policies that sampled, oldest first."""
        return self._store.all_remarks()

    def sampling(self, policy: str | None = None) -> SamplingParams | None:
        """How the rollouts of this policy were drawn; None where the configuration does not say. A training run samples
        its explorer by parameters of its own, beside the learner's."""
        config = self.config()
        training = config.get("training")
        values = config.get("sampling")
        if values is None and isinstance(training, dict):
            values = {name: training[name] for name in ("temperature", "top_p", "seed") if name in training}
            values |= {"max_tokens": training.get("max_completion_length", MAX_COMPLETION_LENGTH)}
        try:
            sampling = None if values is None else SamplingParams.model_validate(values)
            if sampling is not None and policy == "explorer" and isinstance(training, dict):
                # What a plan does not name stands at S2LPOConfig's default, which is 1 for both.
                own = {name: training.get(f"explorer_{name}", 1.0) for name in ("temperature", "top_p")}
                sampling = SamplingParams.model_validate(sampling.model_dump() | own)
        except ValidationError:
            return None
        return sampling


def open_store(path: str | Path) -> BrowsedStore:
    """The store at `path`. Raises DataError."""
    return BrowsedStore(path)


def _view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path], schema: pa.Schema) -> None:
    """Make a temporary view over these files; without files it has no rows."""
    if files:
        relation = connection.read_parquet([str(file) for file in files], filename=True, file_row_number=True)
    else:
        # DuckDB reads halffloats from Parquet, as FLOAT, but not from Arrow.
        halves = pa.list_(pa.float16())
        fields = [field.with_type(pa.list_(pa.float32())) if field.type == halves else field for field in schema]
        place = [pa.field("filename", pa.string()), pa.field("file_row_number", pa.int64())]
        relation = connection.from_arrow(pa.schema([*fields, *place]).empty_table())
    relation.create_view(name, replace=True)
