"""Between: what each policy adds to the largest one, as a share of the diversity of an even mix, beside its null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from s2l_lab.app.parts.diversity_measure import measured_caption, measured_report
from s2l_lab.app.parts.diversity_within import numbers_of
from s2l_lab.app.parts.export_row import chart, export_figure, export_report, export_table
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.figures.diversity import between_figure, diversity_numbers
from s2l_lab.figures.study_tables import between_table
from s2l_lab.figures.tables import Number
from s2l_lab.studies.between import FEATURE_WORDS, FEATURES

if TYPE_CHECKING:
    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.runs import Opened
    from s2l_lab.figures.tables import Cell
    from s2l_lab.studies.diversity import DiversityReport

NULL = "split halves"


def show_between(here: Opened, address: Address, policies: tuple[str, ...]) -> None:
    """Switches, figure, table."""
    if len(policies) < 2:
        empty("Choose two policies or more: a policy adds nothing to itself.")
        return
    report = measured_report(here, address, policies)
    if report is None:
        return
    reference = report.within.reference
    st.caption(
        plain(
            f"Share of the diversity of an even mix with {reference} that lies between the two policies. "
            f"Any two policies differ, one policy at two temperatures too: read a share against the null, two random "
            f"halves of {reference}'s own rollouts. p: policies permuted within problems, one-sided, not corrected."
        )
    )
    caption = measured_caption(here, report)
    figure = between_figure(report)
    chart(figure, "diversity.between.figure", width="content")
    title = f"What each policy adds to {reference}"
    export_figure("diversity.between.dots", figure, title, caption, lambda: share_rows(report), ready=True)
    st.dataframe(_shown(report), hide_index=True, width="stretch", height="content")
    export_table("diversity.between", lambda: share_rows(report), caption)
    export_report("diversity.between", title, lambda: _sections(report, figure), caption)


def share_rows(report: DiversityReport) -> list[dict[str, Any]]:
    """Every share with interval, p and n; the null among them."""
    rows: list[dict[str, Any]] = []
    for between in report.between:
        for feature, found in between.features.items():
            about = {"policy": between.policy, "reference": report.within.reference, "feature": feature}
            rows.append(about | numbers_of(found.share) | {"p": found.p_value})
    for feature, null in report.split_halves.items():
        about = {"policy": NULL, "reference": report.within.reference, "feature": feature}
        rows.append(about | numbers_of(null) | {"p": None})
    return rows


def _shown(report: DiversityReport) -> list[dict[str, str]]:
    made = between_table(diversity_numbers(report, {}))
    names = [column.title for column in made.columns[1:]]
    return [
        {"feature": row.key, "what it is": FEATURE_WORDS[FEATURES[i]]}
        | dict(zip(names, map(_words, row.cells[1:]), strict=True))
        for i, row in enumerate(made.rows)
    ]


def _words(cell: Cell) -> str:
    """A share in percent with interval, p and n; a dash stands for an end that is undefined."""
    if not isinstance(cell, Number):
        return "not recorded"
    if cell.value is None:
        return f"undefined, n = {cell.n}"
    low, high = ("\u2013" if end is None else f"{end:.1%}" for end in (cell.lower, cell.upper))
    tested = [words for words in cell.about if words.startswith("p")]
    return ", ".join([f"{cell.value:.1%} [{low}, {high}]", *tested, f"n = {cell.n}"])


def _sections(report: DiversityReport, figure: Any) -> list[Section]:
    item = FigureItem(
        figure, "Share between each policy and the reference, by feature", "Band: split halves, the null."
    )
    return [Section("Between policies", (item,), (TableItem(_shown(report), "Shares with 95 % intervals."),))]
