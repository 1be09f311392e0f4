"""Figures 3c to 7, Tables 1, 2 and 4 and the teaser: the paper's curves or cells, and where our training runs stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import chart, export_figure, export_table, show_caption
from s2l_lab.app.parts.paper_item import Ours
from s2l_lab.app.parts.runs import Opened, catalog_of
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_caption import arms_caption
from s2l_lab.app.parts.training_cost import cost_rows
from s2l_lab.app.parts.training_data import (
    arms_of,
    column_words,
    evaluated,
    levels_of,
    metrics_of,
    runs_of,
    training_entries,
)
from s2l_lab.app.parts.training_evaluations import ABOUT
from s2l_lab.browse.metric_words import explain_column
from s2l_lab.browse.paper_items import references, stands_beside
from s2l_lab.browse.report_page import FigureItem, TableItem
from s2l_lab.estimators.display import reading
from s2l_lab.figures.paper import TABLES, PaperCurve
from s2l_lab.figures.paper_beside import training_beside
from s2l_lab.figures.registry import PaperItem
from s2l_lab.figures.run_curves import cut_words
from s2l_lab.training.arms import Arm
from s2l_lab.training.logged import cost_row
from s2l_lab.training.results import StepCurve, step_curve

MOST_ARMS = 6
"""Arms in one panel."""
SPENT = ("arm", "run", "seed", "finished", "steps", "relative rollout compute", "explorer's share")
OTHER_TASK = (
    "Table 2 is of a task that was not trained. A benchmark here may be of the task that was: `trained on` says which. "
    "Such a row says nothing of another task, and pass@k at the largest k whether what the learner could do is kept."
)
INCLUDED = "Ours counts the explorer's rollouts; the teaser's .75 leaves them out."


def show_training(here: Opened, address: Address, item: PaperItem) -> Ours:
    """Ours as far as runs exist."""
    arms, known = _arms(here)
    drawn = _curves(address, item, arms, list(known)) if item.name.startswith("fig") else Ours()
    st.subheader("Ours after training")
    if item.name in TABLES:
        arms = _of_table(item, arms)
    rows = [row for benchmark, ks in known.items() for row in _last_rows(item, arms, benchmark, ks)]
    if not rows:
        whose = "of this table " if item.name in TABLES else ""
        empty(f"No training run {whose}below this directory has been evaluated.", "s2l-lab train --help")
        return drawn
    more = [OTHER_TASK] if item.name == "table2" else []
    return _with_table(item, drawn, rows, arms_caption(arms, ABOUT, more), "Ours after training, a row per arm.")


def _of_table(item: PaperItem, arms: Sequence[Arm]) -> tuple[Arm, ...]:
    """The arms of a table; how many are of other experiments is said."""
    found = tuple(arm for arm in arms if stands_beside(item.name, arm.runs[0].plan))
    others = [arm.name for arm in arms if arm not in found]
    if others:
        notes([f"Left out, as arms of other figures or tables: {'; '.join(others)}. Training has all of them."])
    return found


def show_cost(here: Opened, item: PaperItem) -> Ours:
    """What our training runs spent, a row per run, beside the teaser's relative rollout compute."""
    arms, _ = _arms(here)
    st.subheader("What ours spent")
    rows = [row for arm in arms for row in cost_rows([(arm, cost_row(run, metrics_of(run))) for run in arm.runs])]
    if not rows:
        empty("There is no training run below this directory.", "s2l-lab train --help")
        return Ours()
    shown = [{name: row[name] for name in SPENT} for row in rows]
    lines = arms_caption(arms, "none: counts of these very runs", [INCLUDED])
    return _with_table(item, Ours(), shown, lines, f"What ours spent, a row per run. {INCLUDED}")


def _arms(here: Opened) -> tuple[tuple[Arm, ...], dict[str, tuple[int, ...]]]:
    """Arms of all training runs below the directory, and the k at which they were evaluated, by benchmark."""
    entries = training_entries(catalog_of(str(here.directory)))
    runs, trouble = runs_of(list(entries.values()))
    notes(trouble)
    return arms_of(runs), evaluated(runs)


def _with_table(item: PaperItem, drawn: Ours, rows: list[dict[str, Any]], lines: tuple[str, ...], about: str) -> Ours:
    """Draw the table, and add it to what is drawn."""
    st.dataframe(rows, hide_index=True, width="stretch", height="content", column_config=column_words(*rows[0]))
    export_table(f"paper.{item.name}.ours", rows, lines)
    show_caption(lines)
    merged = tuple(dict.fromkeys((*drawn.lines, *lines)))
    return replace(drawn, tables=(*drawn.tables, TableItem(rows, about)), lines=merged)


def _curves(address: Address, item: PaperItem, arms: Sequence[Arm], benchmarks: Sequence[str]) -> Ours:
    theirs = paper_series(item)
    found: dict[str, StepCurve] = {}
    benchmark = ""
    if benchmarks:
        key = address.option("benchmark", benchmarks)
        benchmark = st.selectbox("Benchmark of ours", benchmarks, key=key, help=explain_column("benchmark"))
        levels = {arm.name: levels_of(arm, benchmark, 1) for arm in arms}
        found = {name: step_curve(of_arm) for name, of_arm in levels.items() if of_arm}
    ours = dict(list(found.items())[:MOST_ARMS])
    if len(found) > MOST_ARMS:
        notes([f"{len(found)} arms were evaluated; the first {MOST_ARMS} are drawn. Training has all of them."])
    if not theirs and not ours:
        return Ours()
    figure = training_beside(theirs, ours, {arm.name: arm.runs[0].plan.explores for arm in arms})
    chart(figure, f"paper.{item.name}.figure")
    on = f"Ours: pass@1 on {benchmark}." if ours else "Ours: none."
    drawn = [arm for arm in arms if arm.name in ours]
    paper = f"Paper: arXiv 2605.30789. {item.not_given}"
    lines = arms_caption(drawn, ABOUT, [on, paper, *cut_words(figure)], benchmark)
    export_figure(f"paper.{item.name}", figure, item.title, lines, lambda: _rows(theirs, ours))
    return Ours((FigureItem(figure, item.title, on),), texts=(on,), lines=lines)


def paper_series(item: PaperItem) -> list[PaperCurve]:
    """The paper's curves of an item; none where no number could be had or the file does not ship."""
    points: dict[str, list[tuple[int, float]]] = {}
    for found in references(item):
        for row in found.rows:
            points.setdefault(row["series"], []).append((int(row["step"]), float(row["value"])))
    return [
        PaperCurve(name, np.array([s for s, _ in found]), np.array([v for _, v in found]))
        for name, found in points.items()
    ]


def _last_rows(item: PaperItem, arms: Sequence[Arm], benchmark: str, ks: Sequence[int]) -> list[dict[str, Any]]:
    """A row per arm. In a table it says which of the paper's rows it stands beside; in Table 2 also what was trained
    on, and pass@k at the largest k."""
    rows = []
    for arm in arms:
        levels = levels_of(arm, benchmark, 1)
        if not levels:
            continue
        first, last = levels[0].estimate, levels[-1].estimate
        plan = arm.runs[0].plan
        row: dict[str, Any] = {"arm": arm.name}
        if item.name in TABLES:
            row["stands beside"] = stands_beside(item.name, plan)
        if item.name == "table2":
            row["trained on"] = plan.problems.benchmark
        rows.append(
            row
            | {
                "benchmark": benchmark,
                "first evaluated": reading(first.value, first.lower, first.upper),
                "step": levels[-1].step,
                "pass@1": reading(last.value, last.lower, last.upper),
                "seeds": last.n_seeds,
                "problems": last.n_problems,
            }
        )
        if item.name == "table2" and max(ks) > 1:
            reach = [level.estimate for level in levels_of(arm, benchmark, max(ks))][-1:]
            rows[-1][f"pass@{max(ks)}"] = next((reading(e.value, e.lower, e.upper) for e in reach), None)
    return rows


def _rows(theirs: Sequence[PaperCurve], ours: dict[str, StepCurve]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for series in theirs:
        for step, value in zip(series.step.tolist(), series.value.tolist(), strict=True):
            rows.append({"whose": "paper", "series": series.name, "thousand prompts": step, "step": None})
            rows[-1] |= {"value": value, "lower": None, "upper": None, "n_seeds": None}
    for name, band in ours.items():
        for step, value, lower, upper in band.points:
            rows.append({"whose": "ours", "series": name, "thousand prompts": None, "step": step})
            rows[-1] |= {"value": value, "lower": lower, "upper": upper, "n_seeds": band.n_seeds}
    return rows
