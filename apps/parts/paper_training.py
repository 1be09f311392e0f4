"""Figures 3c to 7 and Tables 1, 2 and 4: the paper's curves or cells, and where the arms of our training runs stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from parts.export_row import chart, export_figure, export_report, export_table
from parts.runs import Opened, catalog_of
from parts.states import empty, notes
from parts.training_caption import arms_caption
from parts.training_data import arms_of, band_of, evaluated, runs_of, training_entries
from parts.training_evaluations import ABOUT, as_band
from s2l_lab.browse.paper_items import PaperItem, references
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.browse.training_metrics import Band
from s2l_lab.browse.training_runs import Arm
from s2l_lab.figures.dots import reading
from s2l_lab.figures.paper_beside import PaperSeries, training_beside

MOST_ARMS = 6
"""Arms in one panel."""


def show_training(here: Opened, item: PaperItem) -> None:
    """Ours as far as runs exist."""
    entries = training_entries(catalog_of(str(here.directory)))
    runs, trouble = runs_of(list(entries.values()))
    notes(trouble)
    arms = arms_of(runs)
    known = evaluated(runs)
    if item.name.startswith("fig"):
        _curves(item, arms, list(known))
    st.subheader("Ours after training")
    rows = [row for benchmark in known for row in _last_rows(arms, benchmark)]
    if not rows:
        empty("No training run below this directory has been evaluated.", "s2l-lab train --help")
        return
    st.dataframe(rows, hide_index=True, width="stretch", height="content")
    export_table(f"paper.{item.name}.ours", rows, arms_caption(arms[:MOST_ARMS], ABOUT))


def _curves(item: PaperItem, arms: Sequence[Arm], benchmarks: Sequence[str]) -> None:
    theirs = paper_series(item)
    ours: dict[str, Band] = {}
    if benchmarks:
        if len(arms) > MOST_ARMS:
            notes([f"{len(arms)} arms exist; the first {MOST_ARMS} are drawn. Training has all of them."])
        for arm in arms[:MOST_ARMS]:
            band = band_of(arm, benchmarks[0], 1)
            if band.steps:
                ours[arm.name] = as_band(band)
    if not theirs and not ours:
        return
    explores = {arm.name: arm.runs[0].plan.explores for arm in arms}
    figure = training_beside(theirs, ours, explores)
    chart(figure, f"paper.{item.name}.figure")
    on = f"Ours: pass@1 on {benchmarks[0]}." if ours else "Ours: none."
    lines = (*arms_caption(arms[:MOST_ARMS], ABOUT, [on]), f"Paper: arXiv 2605.30789. {item.not_given}")
    export_figure(f"paper.{item.name}", figure, item.title, lines, lambda: _rows(theirs, ours))
    export_report(
        f"paper.{item.name}", item.title, lambda: [Section(item.title, (FigureItem(figure, item.title, on),))], lines
    )


def paper_series(item: PaperItem) -> list[PaperSeries]:
    """The paper's curves of an item; none where no number could be had or the file does not ship."""
    points: dict[str, list[tuple[int, float]]] = {}
    for found in references(item):
        for row in found.rows:
            points.setdefault(row["series"], []).append((int(row["step"]), float(row["value"])))
    return [
        PaperSeries(name, np.array([s for s, _ in found]), np.array([v for _, v in found]))
        for name, found in points.items()
    ]


def _last_rows(arms: Sequence[Arm], benchmark: str) -> list[dict[str, Any]]:
    rows = []
    for arm in arms:
        band = band_of(arm, benchmark, 1)
        if not band.steps:
            continue
        first, last = band.estimates[0], band.estimates[-1]
        rows.append(
            {
                "arm": arm.name,
                "benchmark": benchmark,
                "first evaluated": reading(first.value, first.lower, first.upper),
                "step": band.steps[-1],
                "pass@1": reading(last.value, last.lower, last.upper),
                "seeds": last.n_seeds,
                "problems": last.n_problems,
            }
        )
    return rows


def _rows(theirs: Sequence[PaperSeries], ours: dict[str, Band]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for series in theirs:
        for step, value in zip(series.step_S.tolist(), series.value_S.tolist(), strict=True):
            rows.append({"whose": "paper", "series": series.name, "thousand prompts": step, "step": None})
            rows[-1] |= {"value": value, "lower": None, "upper": None, "n_seeds": None}
    for name, band in ours.items():
        columns = (band.step_S, band.mean_S, band.lower_S, band.upper_S)
        for step, value, lower, upper in zip(*(column.tolist() for column in columns), strict=True):
            rows.append({"whose": "ours", "series": name, "thousand prompts": None, "step": step})
            rows[-1] |= {"value": value, "lower": lower, "upper": upper, "n_seeds": band.n_seeds}
    return rows
