"""Table 3: the paper's three columns beside both readings of each of ours, measured on the open run."""

from __future__ import annotations

import streamlit as st

from parts.address import Address
from parts.diversity_measure import measured_report
from parts.export_row import chart, export_figure, export_report
from parts.runs import Opened
from parts.states import empty
from s2l_lab.browse.paper_items import PaperItem
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.figures.diversity import diversity_caption
from s2l_lab.figures.paper import table3
from s2l_lab.figures.table3 import table3_figure, table3_numbers


def show_diversity(here: Opened, address: Address, item: PaperItem) -> None:
    """The figure once the open run is measured."""
    if here.place is None or here.place.kind != "pass@k":
        empty("Open a pass@k run at the left to see ours beside the paper.")
        return
    st.caption("Ours are measured as on the Diversity page; what was measured there is shown at once.")
    report = measured_report(here, address, here.store.policies())
    if report is None:
        return
    theirs = table3()
    figure = table3_figure(report, theirs)
    chart(figure, "paper.table3.figure", width="content")
    lines = diversity_caption(report)
    export_figure("paper.table3", figure, item.title, lines, lambda: table3_numbers(report, theirs)["ours"], ready=True)
    export_report(
        "paper.table3", item.title, lambda: [Section(item.title, (FigureItem(figure, item.title, ""),))], lines
    )
