"""Table 3: the paper's three columns beside both readings of each of ours, measured on the open run."""

from __future__ import annotations

import streamlit as st

from parts.address import Address
from parts.diversity_measure import measured_caption, measured_report
from parts.export_row import chart, export_figure
from parts.paper_report import Ours
from parts.runs import Opened
from parts.states import empty
from s2l_lab.browse.paper_items import PaperItem
from s2l_lab.browse.report_page import FigureItem, TableItem
from s2l_lab.figures.paper import table3
from s2l_lab.figures.table3 import table3_figure, table3_numbers


def show_diversity(here: Opened, address: Address, item: PaperItem) -> Ours:
    """The figure once the open run is measured."""
    if here.place is None or here.place.kind != "pass@k":
        empty("Open a pass@k run at the left to see ours beside the paper.")
        return Ours()
    st.caption("Our values are measured as on the Diversity page. Existing measurements are shown at once.")
    report = measured_report(here, address, here.store.policies())
    if report is None:
        return Ours(texts=("Ours are not measured yet: this page was made before Measure was pressed.",))
    theirs = table3()
    figure = table3_figure(report, theirs)
    chart(figure, "paper.table3.figure", width="content")
    lines = measured_caption(here, report)
    rows = table3_numbers(report, theirs)["ours"]
    export_figure("paper.table3", figure, item.title, lines, rows, ready=True)
    table = TableItem(rows, "Ours, for every reading of the paper's columns.")
    return Ours((FigureItem(figure, item.title, ""),), (table,), lines=tuple(lines))
