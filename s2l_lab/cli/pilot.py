"""Counts of a pilot: PATH or PATH:NAME, where PATH is a counts file, a run directory or a finished training run.

- a JSONL file of {"id", "n", "c"}: rollouts and correct ones, problem by problem;
- a directory that `s2l-lab passk` made, NAME being a policy of it;
- a directory that `s2l-lab train` made, NAME being a benchmark that it was evaluated on after training.

NAME may be left out where there is only one. Several sources of one method are its training runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import DataError, UsageError, unknown_name

if TYPE_CHECKING:
    from s2l_lab.estimators.estimate import Counts, Ints


@dataclass(frozen=True, slots=True)
class Pilot:
    """Counts of two methods on the same problems, a row for each pair of runs. Arrays have shape (S, P)."""

    baseline: tuple[Ints, Ints]
    method: tuple[Ints, Ints]
    """Correct and total."""


def read_pilot(baseline: Sequence[str], method: Sequence[str]) -> Pilot:
    """Both methods' counts. Raises UsageError where the sources do not pair, DataError where one cannot be read."""
    from s2l_lab.estimators.compare import match_problems

    if len(baseline) != len(method) or not baseline:
        raise UsageError(
            f"a pilot needs as many sources of --baseline as of --method, paired in their order; given: "
            f"{len(baseline)} and {len(method)}."
        )
    named = {f"{i}: {source}": read_counts(source) for i, source in enumerate([*baseline, *method])}
    matched = match_problems(named)
    if unknown := int(matched[:, 2].sum()):
        raise DataError(
            f"{unknown} rollouts of the pilot have no verdict. Mend the verifier and grade them again "
            "(`s2l-lab verify`)."
        )
    half = len(baseline)
    return Pilot((matched[:half, 0], matched[:half, 1]), (matched[half:, 0], matched[half:, 1]))


def read_counts(source: str) -> Counts:
    """The counts of one source. Raises UsageError for a missing path or unknown NAME, DataError for damaged files."""
    path, name = _split(source)
    if path.is_file():
        return _of_file(path)
    if (path / "report.json").is_file():
        return _of_training(path, name)
    return _of_store(path, name)


def _split(source: str) -> tuple[Path, str | None]:
    if Path(source).exists():
        return Path(source), None
    head, _, tail = source.rpartition(":")
    if head and Path(head).exists():
        return Path(head), tail
    raise UsageError(
        f"there is no {source}; a pilot is a counts file, a run directory of `s2l-lab passk` or of `s2l-lab train`, as "
        "PATH or PATH:NAME."
    )


def _of_file(path: Path) -> Counts:
    from s2l_lab.estimators.cells import check_counts
    from s2l_lab.estimators.estimate import Counts

    ids, correct, total = [], [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            ids.append(str(row["id"]))
            correct.append(row["c"])
            total.append(row["n"])
        except (ValueError, KeyError, TypeError) as cause:
            raise DataError(f'{path}, line {number}: a line of counts is {{"id": ..., "n": ..., "c": ...}}.') from cause
    try:
        correct_P, total_P = check_counts(correct, total)
    except UsageError as cause:
        raise DataError(f"{path} holds no counts: {cause}") from cause
    return Counts(tuple(ids), correct_P, total_P, np.zeros_like(total_P))


def _of_training(path: Path, name: str | None) -> Counts:
    from s2l_lab.estimators.estimate import Counts
    from s2l_lab.training.report import read_report

    report = read_report(path)
    benchmarks = sorted({found.benchmark for found in report.evaluations})
    last = report.last(_only("benchmark", path, name, benchmarks))
    correct, total, unknown = (np.array(column, dtype=np.int64) for column in (last.correct, last.total, last.unknown))
    return Counts(last.problem_ids, correct, total, unknown)


def _of_store(path: Path, name: str | None) -> Counts:
    from s2l_lab.estimators.estimate import Counts
    from s2l_lab.rollouts import RolloutStore

    with RolloutStore(path) as store:
        origins = {origin.policy: origin for origin in store.origins()}
        versions = store.verifier_versions
        if not origins or not versions:
            raise DataError(f"{path} holds no verified rollouts. `s2l-lab passk` makes them.")
        origin = origins[_only("policy", path, name, sorted(origins))]
        found = store.counts(origin, versions[-1], [problem.id for problem in store.problems()])
    there = found.total_P > 0
    ids = tuple(id for id, kept in zip(found.problem_ids, there, strict=True) if kept)
    return Counts(ids, found.correct_P[there], found.total_P[there], found.unknown_P[there])


def _only(kind: str, path: Path, name: str | None, known: Sequence[str]) -> str:
    if name is not None:
        if name not in known:
            raise unknown_name(f"{kind} of {path}", name, known)
        return name
    if len(known) != 1:
        raise UsageError(
            f"{path} has {len(known)} {'benchmarks' if kind == 'benchmark' else 'policies'}: {', '.join(known)}. Say "
            f"which, as {path}:{known[0] if known else 'NAME'}."
        )
    return known[0]
