"""The open run's rollouts beside the paper: Figure 2 with pass@k of two of our policies and what our band says of their
crossing; Table 3 with both readings of each of its columns."""

from __future__ import annotations

from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.diversity_measure import measured_caption, measured_report
from s2l_lab.app.parts.export_row import chart, export_figure
from s2l_lab.app.parts.look import policy_colours
from s2l_lab.app.parts.paper_item import Ours
from s2l_lab.app.parts.runs import Opened, comparisons_of, family_of, provenance_of, rates_of
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.browse.family_curves import by_k
from s2l_lab.browse.provenance import Drawn, caption
from s2l_lab.browse.report_page import FigureItem, TableItem
from s2l_lab.estimators import Curve
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.fig2 import PAPER_SIZES
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.paper import PaperPanel, fig2_panels
from s2l_lab.figures.paper_beside import passk_beside
from s2l_lab.figures.registry import PaperItem
from s2l_lab.figures.run_curves import cut_words
from s2l_lab.figures.table3 import table3_figure, table3_numbers

PAPER_CAPTION = (
    "Paper: arXiv 2605.30789, Figure 2, Qwen3-Base on 30 problems a panel, digitised to .01 (k under 5 unreliable); no "
    "interval, no counts, no seed, no verifier version."
)


def show_passk(here: Opened, address: Address, item: PaperItem) -> Ours:
    """Switches, figure, both crossings in words."""
    panels = fig2_panels()
    columns = st.columns([1, 1, 1])
    name = columns[0].selectbox(
        "Panel of the paper",
        list(panels),
        key=address.option("panel", list(panels)),
        format_func=lambda one: f"{one}: {panels[one].benchmark}, {panels[one].small} and {panels[one].large}",
    )
    panel = panels[name]
    theirs = member_colours(PAPER_SIZES)
    pair = _pair(here, address, columns)
    curves: dict[str, Curve] = {}
    lines: tuple[str, ...] = (PAPER_CAPTION,)
    ours = "No pass@k run is open at the left, so there is nothing of ours to compare."
    if pair:
        family = family_of(here, pair, "problems")
        curves = family.curves
        notes(family.notes)
        if curves:
            drawn = Drawn(family.n_problems, str(family.n_rollouts))
            lines = (*caption(provenance_of(here.store, here.version), drawn, interval="problems"), PAPER_CAPTION)
        compared = comparisons_of(here, pair) if len(pair) == 2 and curves else ()
        ours = f"Ours: {crossing_words(compared[0])}." if compared else "Ours: two policies are needed for a crossing."
    colours = policy_colours(rates_of(here.store, here.version).policies) if pair else {}
    figure = passk_beside(panel, (theirs[panel.small], theirs[panel.large]), curves, colours)
    lines = (*lines, *cut_words(figure))
    chart(figure, "paper.fig2.figure")
    words = f"Paper: the small model overtakes {panel.crossing_words('nowhere')}. {ours}"
    st.markdown(plain(words))
    title = f"{item.title}, panel {panel.name}, and ours"
    rows = _rows(panel, curves)
    export_figure("paper.fig2", figure, title, lines, rows)
    table = TableItem(rows, "The curves that are drawn.")
    return Ours((FigureItem(figure, title, words),), (table,), (words,), tuple(lines))


def _pair(here: Opened, address: Address, columns: Any) -> tuple[str, ...]:
    """Two of the open run's policies, small first; empty where no verified rollouts are open."""
    if here.place is None or not here.place.rollouts or here.place.kind == "trained on":
        empty("Open a pass@k run or an evaluation at the left to see ours beside the paper.")
        return ()
    rates = rates_of(here.store, here.version)
    if rates.version is None:
        empty("Nothing of the open run is verified, so it has no pass@k.")
        return ()
    policies = list(rates.policies)
    small = columns[1].selectbox("Ours, small", policies, key=address.option("small", policies, policies[0]))
    large = columns[2].selectbox("Ours, large", policies, key=address.option("large", policies, policies[-1]))
    return tuple(dict.fromkeys((small, large)))


def _rows(panel: PaperPanel, curves: dict[str, Curve]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for size, values in ((panel.small, panel.small_value), (panel.large, panel.large_value)):
        for k, value in zip(panel.k.tolist(), values.tolist(), strict=True):
            rows.append({"whose": "paper", "policy": size, "k": k, "value": value, "lower": None, "upper": None})
    for name, curve in curves.items():
        rows += by_k(curve, ("k", "value", "lower", "upper"), whose="ours", policy=name)
    return rows


def show_diversity(here: Opened, address: Address, item: PaperItem) -> Ours:
    """The figure once the open run is measured."""
    if here.place is None or here.place.kind != "pass@k":
        empty("Open a pass@k run at the left to see ours beside the paper.")
        return Ours()
    st.caption("Our values are measured as on the Diversity page. Existing measurements are shown at once.")
    report = measured_report(here, address, here.store.policies())
    if report is None:
        return Ours(texts=("Ours are not measured yet: this page was made before Measure was pressed.",))
    figure = table3_figure(report)
    chart(figure, "paper.table3.figure", width="content")
    lines = measured_caption(here, report)
    rows = table3_numbers(report)["ours"]
    export_figure("paper.table3", figure, item.title, lines, rows, ready=True)
    table = TableItem(rows, "Ours, for every reading of the paper's columns.")
    return Ours((FigureItem(figure, item.title, ""),), (table,), lines=tuple(lines))
