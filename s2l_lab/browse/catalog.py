"""What is below a runs directory: pass@k runs, training runs with their stores, evaluations, banks; and their state.

A run is found by its files (`parts.json` makes a store of rollouts; `plan.json` or `report.json` a training run) and
described from small files and Parquet footers, so that hundreds of runs are listed in a moment.
Whatever is wrong with one run is said in its entry; it never hides the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import s2l_lab
from s2l_lab.browse.store_facts import StoreFacts, StoreKind, StoreState, json_object, read_facts
from s2l_lab.errors import S2LError
from s2l_lab.rollouts.parts import LEDGER
from s2l_lab.sweeps.status import state_of
from s2l_lab.training.report import CHECKPOINTS, METRICS, MODEL, PLAN, REPORT, read_report

Kind = Literal["training"] | StoreKind
State = Literal["failed"] | StoreState
DEPTH = 5
"""Levels of folders below the given one that are looked into."""
_TRAINING_FILES = (PLAN, REPORT)
_NEVER = (CHECKPOINTS, MODEL, "logs", "node_modules", "__pycache__")
HOW_TO_MAKE_ONE = "s2l-lab passk --family tiny"
"""A minute on two cores; writes below ./runs."""


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """One store of rollouts."""

    name: str
    """Path from the run's directory; empty for the run itself."""
    path: Path
    kind: StoreKind
    rollouts: int


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One run."""

    name: str
    """Path from the catalog's directory, as URLs use it; `.` is that directory itself."""
    path: Path
    kind: Kind
    state: State
    when: datetime | None
    """Time of the last activity: end or start of the last session, or the last change of a training run's files."""
    stores: tuple[StoreEntry, ...]
    policies: tuple[str, ...]
    problems: int
    rollouts: int
    unverified: int
    """Number of rollouts without a verdict, under the verifier version with the most verdicts."""
    trouble: tuple[str, ...]
    """One sentence for each fault: what cannot be read, and what is left out because of it."""
    detail: str
    """State of the run in one line: who writes, progress, or how it failed; may be empty."""

    @property
    def readable(self) -> bool:
        """Whether there is anything to show."""
        return self.state not in ("unreadable", "older schema", "newer schema")

    @property
    def label(self) -> str:
        """One line for a list. Plain text, not escaped."""
        size = f"{self.rollouts:,} rollouts" if self.rollouts else "no rollouts"
        state = "" if self.state == "done" else f" ({self.state})"
        flaw = " (damaged)" if self.trouble and self.readable else ""
        return f"{self.name}: {self.kind}, {size}{state}{flaw}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All runs below a directory."""

    directory: Path
    entries: tuple[RunEntry, ...]
    """Runs, sorted by name."""
    trouble: str
    """Why there is none, and what to do; empty where there are some."""

    def get(self, name: str) -> RunEntry | None:
        """The run with that name; None if there is none."""
        return next((entry for entry in self.entries if entry.name == name), None)


def find_runs(directory: Path) -> Catalog:
    """Every run below `directory`, or in it. Never raises for what is found there."""
    if not directory.is_dir():
        what = "is a file" if directory.exists() else "does not exist"
        return Catalog(directory, (), f"{directory} {what}. `{HOW_TO_MAKE_ONE}` makes a first run, below ./runs.")
    entries = tuple(sorted(_entries(directory), key=lambda entry: entry.name))
    empty = (
        "" if entries else f"There is no run below {directory}. `{HOW_TO_MAKE_ONE}` makes a first one, below ./runs."
    )
    return Catalog(directory, entries, empty)


def bundled_runs() -> Path | None:
    """The directory of the small runs that ship with the app, in a checkout or an installed package, or None."""
    package = Path(s2l_lab.__file__).parent
    candidates = (package / "apps" / "sample", package.parent / "apps" / "sample")
    return next((path for path in candidates if path.is_dir()), None)


def _entries(directory: Path) -> Iterator[RunEntry]:
    start = len(directory.parts)
    for folder, folders, files in os.walk(directory):
        path = Path(folder)
        name = path.relative_to(directory).as_posix()
        if any(file in files for file in _TRAINING_FILES) and LEDGER not in files:
            folders.clear()
            yield _training(name, path)
        elif LEDGER in files:
            folders.clear()
            yield _store(name, path)
        elif len(path.parts) - start >= DEPTH:
            folders.clear()
        else:
            folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _NEVER)


def _store(name: str, path: Path) -> RunEntry:
    facts = read_facts(path)
    return RunEntry(
        name=name,
        path=path,
        kind=facts.kind,
        state=facts.state,
        when=facts.when,
        stores=(StoreEntry("", path, facts.kind, facts.rollouts),) if facts.readable else (),
        policies=facts.policies,
        problems=facts.problems,
        rollouts=facts.rollouts,
        unverified=facts.unverified,
        trouble=facts.trouble,
        detail=facts.detail,
    )


def _training(name: str, path: Path) -> RunEntry:
    """A training run: its own files, and the stores in it."""
    inside = {folder.name: read_facts(folder) for folder in sorted(path.iterdir()) if (folder / LEDGER).is_file()}
    state, detail, trouble = _training_state(path, inside)
    trained = inside.get("rollouts")
    return RunEntry(
        name=name,
        path=path,
        kind="training",
        state=state,
        when=_changed(path),
        stores=tuple(
            StoreEntry(place, path / place, facts.kind, facts.rollouts)
            for place, facts in inside.items()
            if facts.readable
        ),
        policies=trained.policies if trained else (),
        problems=trained.problems if trained else 0,
        rollouts=sum(facts.rollouts for facts in inside.values()),
        unverified=sum(facts.unverified for facts in inside.values()),
        trouble=(*trouble, *(f"{place}: {words}" for place, facts in inside.items() for words in facts.trouble)),
        detail=detail,
    )


def _training_state(path: Path, inside: dict[str, StoreFacts]) -> tuple[State, str, tuple[str, ...]]:
    """State, detail and trouble of the run's own files."""
    trouble = []
    plan = json_object(path / PLAN)
    if plan is None and not (path / REPORT).is_file():
        trouble.append(f"{PLAN} cannot be read, so what the run is cannot be said.")
    found = state_of(path)
    step = f"step {found.step}" if found.step is not None else ""
    if found.condition == "done":
        try:
            read_report(path)
        except S2LError as error:
            return "unreadable", "", (*trouble, str(error))
        return "done", "", tuple(trouble)
    if found.condition in ("running", "failed"):
        words = ", ".join(filter(None, (step, found.detail)))
        return ("failed" if found.condition == "failed" else "being written"), words, tuple(trouble)
    if any(facts.state == "being written" for facts in inside.values()):
        return "being written", step, tuple(trouble)
    if trouble:
        return "unreadable", step, tuple(trouble)
    return ("empty" if found.step is None and not inside else "interrupted"), step, ()


def _changed(path: Path) -> datetime | None:
    """The time at which the newest of the run's own files changed."""
    names = (*_TRAINING_FILES, METRICS)
    times = [(path / name).stat().st_mtime for name in names if (path / name).is_file()]
    return datetime.fromtimestamp(max(times), UTC) if times else None
