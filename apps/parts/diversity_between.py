"""Between: what each policy adds to the largest one, as a share of the diversity of an even mix, beside its null."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import streamlit as st

from parts.diversity_measure import measured_caption, measured_report
from parts.diversity_within import numbers_of
from parts.export_row import chart, export_figure, export_report, export_table
from parts.safe import plain
from parts.states import empty
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.figures.diversity import between_figure
from s2l_lab.studies.between import FEATURE_WORDS, FEATURES

if TYPE_CHECKING:
    from parts.address import Address
    from parts.runs import Opened
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


def _shown(report: DiversityReport) -> list[dict[str, Any]]:
    found = {(row["policy"], row["feature"]): row for row in share_rows(report)}
    shown = []
    for feature in FEATURES:
        row = {"feature": feature, "what it is": FEATURE_WORDS[feature]}
        for name in [*(between.policy for between in report.between), NULL]:
            cell = found.get((name, feature))
            row[name] = "not recorded" if cell is None else _words(cell)
        shown.append(row)
    return shown


def _words(cell: dict[str, Any]) -> str:
    """A share in percent with interval, p and n; a dash stands for an end that is undefined."""
    if not math.isfinite(cell["value"]):
        return f"undefined, n = {cell['n_problems']}"
    low, high = (f"{end:.1%}" if math.isfinite(end) else "\u2013" for end in (cell["lower"], cell["upper"]))
    p = cell["p"]
    tested = "" if p is None or not math.isfinite(p) else ", p < .001" if p <= 0.001 else f", p {p:.3f}"
    return f"{cell['value']:.1%} [{low}, {high}]{tested}, n = {cell['n_problems']}"


def _sections(report: DiversityReport, figure: Any) -> list[Section]:
    item = FigureItem(
        figure, "Share between each policy and the reference, by feature", "Band: split halves, the null."
    )
    return [Section("Between policies", (item,), (TableItem(_shown(report), "Shares with 95 % intervals."),))]
