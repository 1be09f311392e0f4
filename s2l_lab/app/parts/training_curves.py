"""Metrics over steps: a panel per arm, a line per source, bands over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import chart, export_figure, export_report
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_caption import arms_caption
from s2l_lab.app.parts.training_data import metrics_of
from s2l_lab.browse.metric_words import explain
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.figures.run_curves import BOTH, CurvePanel, cut_words, run_curves_figure
from s2l_lab.rollouts.order import SOURCES
from s2l_lab.training.arms import Arm
from s2l_lab.training.logged import Metrics, seed_band
from s2l_lab.training.results import StepCurve

BY_SOURCE = "<source>/"
NONE = "none"
ABOUT_SEEDS = "95 % CI over training seeds (Student's t over the seeds of an arm); none for one seed"


def show_curves(address: Address, arms: Sequence[Arm]) -> None:
    """Switches, figure, table."""
    logged = {arm.key: [metrics_of(run) for run in arm.runs] for arm in arms}
    names = metric_names([one for found in logged.values() for one in found])
    if not names:
        empty("These runs have logged nothing yet.")
        return
    columns = st.columns([2, 2])
    default = f"{BY_SOURCE}reward" if f"{BY_SOURCE}reward" in names else names[0]
    key = address.option("metric", names, default)
    words = sentence(address.value("metric"))
    name = columns[0].selectbox("Metric", names, key=key, format_func=spoken, help=plain(words) if words else None)
    reference = reference_switch(address, arms, columns[1])
    if words:
        st.caption(plain(words))
    torn = sum(one.torn for found in logged.values() for one in found)
    if torn:
        notes(
            [f"{torn} lines of metrics.jsonl cannot be read (a run in the middle of a line, or one that was killed)."]
        )
    panels = [CurvePanel(arm.name, _bands(logged[arm.key], name)) for arm in arms]
    if not any(band.step_S.size for panel in panels for band in panel.lines.values()):
        empty("No step has this metric in every seed of an arm.")
        return
    title = f"{spoken(name)}, over training steps"
    figure = run_curves_figure(panels, spoken(name), reference)
    chart(figure, "training.curves.figure")
    about = [f"{spoken(name)}: {words}"] if words else []
    lines = arms_caption(arms, ABOUT_SEEDS, [*about, *cut_words(figure)])
    export_figure("training.curves", figure, title, lines, lambda: band_rows(panels, spoken(name)))
    item = FigureItem(figure, title, "A panel per arm, a line per source.")
    export_report("training.curves", title, lambda: [Section("Metrics over steps", (item,))], lines)


def metric_names(of_runs: Sequence[Metrics]) -> list[str]:
    """What can be drawn, in order of first appearance: what the learner logs is by source, and goes first."""
    every = list(dict.fromkeys(name for one in of_runs for name in one.names))
    learner = [name.partition("/")[2] for name in every if name.startswith("learner/")]
    both = [f"{BY_SOURCE}{rest}" for rest in learner]
    taken = {f"{source}/{rest}" for source in SOURCES for rest in learner}
    return both + [name for name in every if name not in taken and not name.startswith("eval/")]


def spoken(name: str) -> str:
    """A metric in words: a choice of both sources is no name that a run logs."""
    if not name.startswith(BY_SOURCE):
        return name
    return f"{name.removeprefix(BY_SOURCE).replace('_', ' ')}, by source"


def sentence(name: str) -> str:
    """What a metric is."""
    if not name.startswith(BY_SOURCE):
        return explain(name)
    words = explain(f"learner/{name.removeprefix(BY_SOURCE)}")
    return f"{words} The explorer's likewise." if words else ""


def reference_switch(address: Address, arms: Sequence[Arm], column: Any) -> str | None:
    """The arm that stands faint behind the others: by default the first without an explorer."""
    if len(arms) < 2:
        return None
    options = [NONE, *(arm.name for arm in arms)]
    plain_arm = next((arm.name for arm in arms if not arm.runs[0].plan.explores), NONE)
    chosen = column.selectbox(
        "Faint behind the others",
        options,
        key=address.option("reference", options, plain_arm),
        help="Arm to which all others are compared.",
    )
    return None if chosen == NONE else chosen


def band_rows(panels: Sequence[CurvePanel], name: str) -> list[dict[str, Any]]:
    """The bands that are drawn, long form."""
    rows = []
    for panel in panels:
        for source, band in panel.lines.items():
            for step, mean, lower, upper in band.points:
                about = {"arm": panel.name, "metric": name, "source": source, "step": step}
                rows.append(about | {"mean": mean, "lower": lower, "upper": upper, "n_seeds": band.n_seeds})
    return rows


def _bands(of_seeds: Sequence[Metrics], name: str) -> Mapping[str, StepCurve]:
    """The lines of an arm's panel."""
    if not name.startswith(BY_SOURCE):
        source, _, _ = name.partition("/")
        return {source if source in SOURCES else BOTH: seed_band(of_seeds, name)}
    rest = name.removeprefix(BY_SOURCE)
    found = {source: seed_band(of_seeds, f"{source}/{rest}") for source in SOURCES}
    return {source: band for source, band in found.items() if band.step_S.size}
