"""What a store of rollouts says of itself in its small files and Parquet footers, without a database.

A list of hundreds of runs must not open DuckDB hundreds of times. Read are the ledger, the configuration, the sessions,
the footers of parts, and the one column of policies' names. Whatever cannot be read is a sentence in `trouble`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from s2l_lab import __version__
from s2l_lab.errors import S2LError
from s2l_lab.rollouts.database import verdicts_folder, versions
from s2l_lab.rollouts.lock import holder
from s2l_lab.rollouts.order import in_order
from s2l_lab.rollouts.parts import LEDGER, ROLLOUTS_FOLDER, SCHEMA_VERSION, Ledger, Parts
from s2l_lab.rollouts.session import CONFIG, LOCK, MANIFEST
from s2l_lab.rollouts.store import PROBLEMS

StoreKind = Literal["pass@k", "trained on", "evaluation", "bank", "rollouts"]
"""Of `s2l-lab passk`; what a training run was trained on; pass@k while training; an explorer's bank; anything else."""
StoreState = Literal["done", "being written", "interrupted", "empty", "older schema", "newer schema", "unreadable"]
"""`interrupted`: the last session has no end, and nobody writes."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """One store."""

    kind: StoreKind = "rollouts"
    state: StoreState = "unreadable"
    when: datetime | None = None
    """End of the last session, or its start where it has no end."""
    policies: tuple[str, ...] = ()
    problems: int = 0
    rollouts: int = 0
    unverified: int = 0
    """Number of rollouts without a verdict, under the verifier version with the most verdicts."""
    trouble: tuple[str, ...] = ()
    detail: str = ""
    """Which process writes to the store."""

    @property
    def readable(self) -> bool:
        """Whether there is anything to show."""
        return self.state not in ("unreadable", "older schema", "newer schema")


def read_facts(path: Path) -> StoreFacts:
    """The facts of the store at `path`, a folder with a ledger. Never raises for what is in it."""
    content = json_object(path / CONFIG)
    kind = _kind(content or {})
    if (refused := _schema(path)) is not None:
        state, words = refused
        return StoreFacts(kind=kind, state=state, trouble=(words,))
    try:
        parts = Parts(path, writable=False)
        ledger = parts.ledger()
        return _facts(path, kind, content, parts, ledger)
    except (S2LError, OSError) as error:
        return StoreFacts(kind=kind, trouble=(str(error),))


def _facts(path: Path, kind: StoreKind, content: dict[str, Any] | None, parts: Parts, ledger: Ledger) -> StoreFacts:
    trouble = [] if content is not None else [f"{CONFIG} cannot be read, so the sampling parameters are not known."]
    verdicts = [_rows(path, parts, ledger, verdicts_folder(version)) for version in versions(ledger)]
    rollouts = _rows(path, parts, ledger, ROLLOUTS_FOLDER)
    names = _policies(parts.live(ROLLOUTS_FOLDER, ledger), trouble)
    sessions, last = _last_session(path)
    if sessions is None:
        trouble.append(f"{MANIFEST} cannot be read, so who made the run, when and how is not known.")
    problems = _problems(path / PROBLEMS, trouble)
    trouble += [f"{name} is left out: {reason}." for name, reason in parts.damaged.items()]
    writer = holder(path / LOCK)
    state: StoreState = "done" if rollouts else "empty"
    if sessions and last is not None and last.get("end") is None:
        state = "interrupted"
    return StoreFacts(
        kind=kind,
        state="being written" if writer else state,
        when=_time(last),
        policies=tuple(in_order(names, (content or {}).get("config", {}))),
        problems=problems,
        rollouts=rollouts,
        unverified=max(0, rollouts - max(verdicts, default=0)),
        trouble=tuple(trouble),
        detail=f"being written by {writer}" if writer else "",
    )


def _schema(path: Path) -> tuple[StoreState, str] | None:
    """The reason why a store of another schema is not read; None for our schema, and if the ledger names no schema."""
    content = json_object(path / LEDGER) or {}
    schema = content.get("schema")
    if not isinstance(schema, int) or schema == SCHEMA_VERSION:
        return None
    maker = content.get("s2l_lab", "an unknown release")
    return (
        "older schema" if schema < SCHEMA_VERSION else "newer schema",
        f"It was written with schema version {schema} by s2l-lab {maker}; this is s2l-lab {__version__}, which reads "
        f"version {SCHEMA_VERSION}. Use that release to look at it.",
    )


def _kind(content: dict[str, Any]) -> StoreKind:
    """The kind of store, from the keys of its identity, which differ by the command that made it."""
    identity = content.get("identity")
    keys = identity if isinstance(identity, dict) else {}
    if "training" in keys:
        return "trained on"
    if "evaluation" in keys:
        return "evaluation"
    if "bank" in keys:
        return "bank"
    return "pass@k" if {"benchmark", "sampling"} <= set(keys) else "rollouts"


def _rows(path: Path, parts: Parts, ledger: Ledger, folder: str) -> int:
    live = {file.relative_to(path).as_posix() for file in parts.live(folder, ledger)}
    return sum(part.rows for name, part in ledger.folder(folder).items() if name in live)


def _policies(files: list[Path], trouble: list[str]) -> set[str]:
    found: set[str] = set()
    for file in files:
        try:
            column = pq.ParquetFile(file, read_dictionary=["policy"]).read(["policy"])["policy"]
        except (pa.ArrowInvalid, OSError) as cause:
            # So begin the words of BrowsedStore.damaged; a page says each part once.
            trouble.append(f"{file.parent.name}/{file.name} is left out: it is damaged ({cause}).")
        else:
            found.update(column.unique().to_pylist())
    return found


def _problems(path: Path, trouble: list[str]) -> int:
    if not path.is_file():
        return 0
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as cause:
        # In the words of BrowsedStore.damaged, so that a page says it once.
        trouble.append(f"{path.name} is left out: it cannot be read ({cause}), so the problems' texts are missing.")
        return 0


def _last_session(path: Path) -> tuple[list[Any] | None, dict[str, Any] | None]:
    """All sessions and the last one; (None, None) if the file cannot be read."""
    sessions = (json_object(path / MANIFEST) or {}).get("sessions")
    if not isinstance(sessions, list) or not all(isinstance(session, dict) for session in sessions):
        return None, None
    return sessions, sessions[-1] if sessions else None


def _time(session: dict[str, Any] | None) -> datetime | None:
    try:
        return None if session is None else datetime.fromisoformat(session.get("end") or session["start"])
    except (KeyError, TypeError, ValueError):
        return None


def json_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
