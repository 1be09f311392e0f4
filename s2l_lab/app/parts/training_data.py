"""Training runs as the views of training and of the paper see them: read once, kept until their files change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from s2l_lab.browse.catalog import Catalog, RunEntry
from s2l_lab.browse.metric_words import explain_column
from s2l_lab.errors import S2LError
from s2l_lab.training.arms import Arm, TrainingRun, evaluations, group_arms, read_run
from s2l_lab.training.logged import Metrics, metrics
from s2l_lab.training.report import EVALUATIONS, METRICS, PLAN, REPORT
from s2l_lab.training.results import Level, evaluation_levels

_FILES = (PLAN, REPORT, METRICS, EVALUATIONS)


def stamp(path: Path) -> str:
    """Changes whenever the run's own files do."""
    parts = []
    for name in _FILES:
        try:
            status = (path / name).stat()
        except OSError:
            parts.append("none")
        else:
            parts.append(f"{status.st_mtime_ns:x}.{status.st_size:x}")
    return "-".join(parts)


def training_entries(found: Catalog) -> dict[str, RunEntry]:
    """The training runs of a directory that can be read, by name."""
    return {entry.name: entry for entry in found.entries if entry.kind == "training" and entry.readable}


def runs_of(entries: Sequence[RunEntry]) -> tuple[list[TrainingRun], list[str]]:
    """The runs, and a sentence for each that cannot be read; one bad run hides no other."""
    runs, trouble = [], []
    for entry in entries:
        try:
            runs.append(_run(str(entry.path), stamp(entry.path)))
        except S2LError as error:
            trouble.append(str(error))
    return runs, trouble


def arms_of(runs: Sequence[TrainingRun]) -> tuple[Arm, ...]:
    """The runs by arm. One arm alone differs from no other, so it is named after what it is."""
    arms = group_arms(runs)
    if len(arms) != 1:
        return arms
    name, _, _ = arms[0].runs[0].label.rpartition(", seed ")
    return (replace(arms[0], name=name),)


def metrics_of(run: TrainingRun) -> Metrics:
    """What the run has logged."""
    return _metrics(str(run.path), stamp(run.path))


def levels_of(arm: Arm, benchmark: str, k: int) -> tuple[Level, ...]:
    """pass@k of an arm over steps."""
    paths = tuple((str(run.path), stamp(run.path)) for run in arm.runs)
    return _levels(paths, arm.name, arm.key, benchmark, k)


def evaluated(runs: Sequence[TrainingRun]) -> dict[str, tuple[int, ...]]:
    """k that were evaluated, by benchmark."""
    found: dict[str, set[int]] = {}
    for run in runs:
        for one in evaluations(run):
            found.setdefault(one.benchmark, set()).update(one.k)
    return {name: tuple(sorted(ks)) for name, ks in sorted(found.items())}


@st.cache_resource(max_entries=256, show_spinner=False)
def _run(path: str, changed: str) -> TrainingRun:
    return read_run(Path(path))


@st.cache_resource(max_entries=256, show_spinner=False)
def _metrics(path: str, changed: str) -> Metrics:
    return metrics(Path(path))


@st.cache_resource(max_entries=512, show_spinner="Estimating pass@k over seeds")
def _levels(paths: tuple[tuple[str, str], ...], name: str, key: str, benchmark: str, k: int) -> tuple[Level, ...]:
    runs = [_run(path, changed) for path, changed in paths]
    return evaluation_levels(Arm(name, key, tuple(runs)), benchmark, k)


def column_words(*names: str) -> dict[str, Any]:
    """Column configuration that explains each column on hover."""
    return {name: st.column_config.Column(help=explain_column(name) or None) for name in names}
