"""Finding run directories and saying in a line what each of them holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from s2l_lab.errors import S2LError
from s2l_lab.rollouts.parts import LEDGER
from s2l_lab.rollouts.store import RolloutStore

_DEPTH = 4
"""Levels of folders below the given one; a run directory is not looked into."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run directory."""

    path: Path
    policies: tuple[str, ...]
    problems: int
    rollouts: int
    verdicts: dict[str, int]
    """Verdicts by verifier version."""
    last: datetime | None
    """End of the last session, or its start where it was killed or goes on; None before the first."""
    state: str
    """`done`, `empty`, `being written`, `interrupted` (the last session has no end) or `unreadable`."""
    trouble: str
    """Why the run, or a part of it, cannot be read; empty where all is well."""


def is_run(path: Path) -> bool:
    """True if a run was begun here, readable or not."""
    return (path / LEDGER).is_file()


def find_runs(directory: Path) -> Iterator[RunSummary]:
    """Every run directory below `directory` (or that directory), by path. One that cannot be read is listed as such."""
    start = len(directory.parts)
    for folder, folders, files in os.walk(directory):
        path = Path(folder)
        if LEDGER in files:
            folders.clear()
            yield _summary(path)
        elif len(path.parts) - start >= _DEPTH:
            folders.clear()
        else:
            folders[:] = sorted(name for name in folders if not name.startswith("."))


def _summary(path: Path) -> RunSummary:
    try:
        with RolloutStore(path) as store:
            rollouts, verdicts = store.sizes()
            sessions = store.sessions
            last = sessions[-1] if sessions else None
            state = "done" if rollouts else "empty"
            if last is not None and last.end is None:
                state = "interrupted"
            return RunSummary(
                path=path,
                policies=tuple(dict.fromkeys(origin.policy for origin in store.origins())),
                problems=len(store.problems()),
                rollouts=rollouts,
                verdicts=verdicts,
                last=(last.end or last.start) if last else None,
                state="being written" if store.writer else state,
                trouble="; ".join(f"{name}: {reason}" for name, reason in store.damaged.items()),
            )
    except S2LError as error:
        return RunSummary(path, (), 0, 0, {}, None, "unreadable", str(error))
