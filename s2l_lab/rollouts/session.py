"""Session: one process's right to write to a run directory, from the checks before it to the end that it notes.

A folder is a run directory once it has its ledger, which is written last; a kill during creation leaves a folder that
holds at most our lock and configuration, and the next session begins it anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s2l_lab.errors import DataError, UsageError
from s2l_lab.rollouts.durable import TEMPORARY_SUFFIX, make_folder, replacing, write_error
from s2l_lab.rollouts.identity import refuse_changes
from s2l_lab.rollouts.lock import WriterLock
from s2l_lab.rollouts.manifest import RunManifest
from s2l_lab.rollouts.parts import LEDGER, SCHEMA_VERSION, Parts

CONFIG = "config.json"
MANIFEST = "manifest.json"
LOCK = ".lock"


class Session:
    """Holds the run's lock until `close`. Constructed, it has checked or written identity, configuration and ledger."""

    def __init__(self, path: Path, manifest: RunManifest, identity: Mapping[str, Any], *, fresh: bool) -> None:
        """Raises RunLockedError, UsageError (another identity, not a run directory), DataError, WriteError."""
        self._path = path
        self._manifest = manifest
        self._begun = False
        _refuse_foreign(path)
        if fresh and (path / LEDGER).exists():
            _move_aside(path)
        make_folder(path)
        self._lock = WriterLock(path / LOCK)
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            # Through JSON and back: what is compared and kept is what a file can hold (tuples are lists).
            self._settle(json.loads(json.dumps(dict(identity), allow_nan=False)))
            undo.pop_all()

    def begin(self) -> None:
        """Note this session in the manifest; called before its first write, so that a mere look leaves no trace."""
        if not self._begun:
            self._write_sessions([*self._sessions(), self._manifest.model_dump(mode="json")])
            self._begun = True

    def close(self) -> None:
        """Note the end and give the lock back. Safe to call twice."""
        try:
            if self._begun:
                self._begun = False
                end = self._manifest.model_copy(update={"end": datetime.now(UTC)})
                self._write_sessions([*self._sessions()[:-1], end.model_dump(mode="json")])
        finally:
            self._lock.release()

    def _settle(self, identity: dict[str, Any]) -> None:
        """Begin the run, or make sure that it is the same one."""
        begins = not (self._path / LEDGER).exists()
        if not begins:
            Parts(self._path, writable=False).ledger()
            refuse_changes(self._path, read_json(self._path / CONFIG)["identity"], identity)
        content = {"identity": identity, "config": self._manifest.config}
        if begins or read_json(self._path / CONFIG) != content:
            _write_json(self._path / CONFIG, content)
        if begins:
            _write_json(self._path / MANIFEST, {"schema": SCHEMA_VERSION, "sessions": []})
            Parts(self._path, writable=True).create()

    def _sessions(self) -> list[Any]:
        """As they stand on disk: records of another release are passed on, not re-read."""
        sessions: list[Any] = read_json(self._path / MANIFEST)["sessions"]
        return sessions

    def _write_sessions(self, sessions: list[Any]) -> None:
        _write_json(self._path / MANIFEST, {"schema": SCHEMA_VERSION, "sessions": sessions})


def read_json(path: Path) -> dict[str, Any]:
    """One of the run's JSON files. Raises DataError if it is missing or no JSON object."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as cause:
        raise DataError(
            f"{path} cannot be read ({cause}). The rollouts beside it are untouched: restore it from a copy, or give "
            f"--fresh to move the run aside and start anew."
        ) from cause
    if not isinstance(content, dict):
        raise DataError(f"{path} does not hold a JSON object. Restore it from a copy, or give --fresh.")
    return content


def _write_json(path: Path, content: Any) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")


def _refuse_foreign(path: Path) -> None:
    """Only a run directory, a folder that a killed session had just begun, an empty folder or no folder will do."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; give --out a directory.")
    if not path.is_dir() or (path / LEDGER).exists():
        return
    ours = {CONFIG, MANIFEST, LOCK}
    others = [e.name for e in path.iterdir() if e.name not in ours and not e.name.endswith(TEMPORARY_SUFFIX)]
    if others:
        raise UsageError(
            f"{path} is not empty and not a run directory (no {LEDGER}, but {', '.join(sorted(others)[:3])}"
            f"{' ...' if len(others) > 3 else ''}). Give --out another directory."
        )


def _move_aside(path: Path) -> None:
    """Rename the old run, unless someone writes to it."""
    path = path.absolute()
    lock = WriterLock(path / LOCK)
    try:
        stem = f"{path.name}.{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = (path.with_name(stem if i == 0 else f"{stem}-{i}") for i in range(1000))
        path.rename(next(name for name in names if not name.exists()))
    except OSError as cause:
        raise write_error(path, cause) from cause
    finally:
        lock.release()
