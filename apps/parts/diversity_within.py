"""Within: the table of all metrics by policy, over all rollouts or over correct ones alone, and the figure of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import streamlit as st

from parts.diversity_measure import measured_caption, measured_report
from parts.export_row import chart, export_figure, export_report, export_table
from parts.states import empty
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.diversity import within_figure
from s2l_lab.figures.markup import markup
from s2l_lab.figures.within_panels import CONDITION_WORDS, LEVEL_WORDS, mark_words, metric_heads
from s2l_lab.studies.marks import metric_marks
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parts.address import Address
    from parts.runs import Opened
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import Condition

BESIDE = "beside them"
"""Level of what is no diversity, but moves it: accuracy and length."""
SIGNS = (
    "\\*: differs from the reference, the last policy (paired interval excludes 0; not corrected for the number of "
    "metrics). \u2191 \u2193: towards more diversity. Brackets: 95 % about other problems of this kind."
)
COHERENCE = (
    "Cosine of consecutive steps' embeddings, the problem's mean taken out, minus that of steps of other rollouts."
)


def show_within(here: Opened, address: Address, policies: tuple[str, ...]) -> None:
    """Switches, table, figure."""
    condition: Condition = st.segmented_control(
        "Rollouts",
        list(CONDITIONS),
        key=address.option("condition", list(CONDITIONS)),
        format_func=CONDITION_WORDS.__getitem__,
        required=True,
        help="Metrics rise when accuracy falls: only correct rollouts can speak of strategies.",
    )
    report = measured_report(here, address, policies)
    if report is None:
        return
    caption = measured_caption(here, report)
    n = report.within.n_problems[condition]
    st.subheader(f"{CONDITION_WORDS[condition].capitalize()}, m = {report.within.m[condition]}, n = {n} problems")
    if n:
        st.dataframe(
            shown_table(report, condition),
            hide_index=True,
            width="stretch",
            height="content",
            column_config={
                "metric": st.column_config.TextColumn(pinned=True),
                "what it measures": st.column_config.TextColumn(width="large"),
            },
        )
        st.caption(SIGNS)
    else:
        empty(
            f"No problem has {report.within.m[condition]} correct rollouts of every policy; ask for fewer, or more N."
        )
    export_table("diversity.within", lambda: number_rows(report), caption)
    figure = explained(within_figure(report, metric_marks()))
    chart(figure, "diversity.within.figure", width="content")
    export_figure(
        "diversity.within.dots",
        figure,
        "Diversity within each policy",
        caption,
        lambda: number_rows(report),
        ready=True,
    )
    export_report("diversity.within", f"Diversity on {report.benchmark}", lambda: _sections(report, figure), caption)


def explained(figure: Any) -> Any:
    """The figure with each metric's sentences on its title, for whoever points at it."""
    marks = metric_marks()
    words = {
        f"<b>{metric_heads(name, marks.get(name))[0]}</b>": f"{metric.measures} {metric.fooled_by}"
        for name, metric in METRICS.items()
    }
    for annotation in figure.layout.annotations:
        if annotation.text in words:
            lines = wrapped([words[annotation.text]], 70)
            annotation.update(hovertext="<br>".join(map(markup, lines)), captureevents=True)
    return figure


def shown_table(report: DiversityReport, condition: Condition) -> list[dict[str, str]]:
    """A row per metric: its name, a cell per policy, its sentences."""
    marks, policies = metric_marks(), report.within.policies
    rows = [
        _row(
            "pass@1", BESIDE, {p.name: _words(p.accuracy) for p in policies}, "Share of correct rollouts, all of them."
        ),
        _row(
            "tokens per completion",
            BESIDE,
            {p.name: _words(p.length[condition]) for p in policies},
            "Longer completions overlap more.",
        ),
    ]
    for name, metric in METRICS.items():
        cells = {}
        for policy in policies:
            cell = policy.cells[condition][name]
            less = cell.less_reference
            differs = less is not None and (less.lower > 0 or less.upper < 0)
            cells[policy.name] = _words(cell.value) + ("*" if differs else "")
        follows = mark_words(marks.get(name))
        title = f"{metric.title} {chr(0x2191) if metric.up else chr(0x2193)}"
        about = f"{metric.measures} Range: {metric.span}. {metric.fooled_by}"
        rows.append(_row(title, LEVEL_WORDS[metric.level].lower(), cells, about, follows))
    if report.coherence and condition == "all":
        cells = {p.name: _words(report.coherence[p.name].excess) for p in policies}
        rows.append(_row("step coherence, excess", "embeddings", cells, COHERENCE))
    return rows


def number_rows(report: DiversityReport) -> list[dict[str, Any]]:
    """Every number of the table under both conditions, in full precision, with its interval and counts."""
    rows = []
    for policy in report.within.policies:
        for condition in CONDITIONS:
            found: Mapping[str, Estimate] = {
                "tokens per completion": policy.length[condition],
                **{name: cell.value for name, cell in policy.cells[condition].items()},
            }
            if condition == "all":
                found = {"pass@1": policy.accuracy, **found}
            for name, estimate in found.items():
                m = report.within.rarefied(name, condition) if name in METRICS else None
                rows.append(
                    {"policy": policy.name, "condition": condition, "metric": name, "m": m} | numbers_of(estimate)
                )
    return rows


def numbers_of(estimate: Estimate) -> dict[str, Any]:
    """An estimate as columns."""
    return {
        "value": estimate.value,
        "lower": estimate.lower,
        "upper": estimate.upper,
        "level": estimate.level,
        "n_problems": estimate.n_problems,
        "n_rollouts": estimate.n_rollouts,
        "method": estimate.method,
    }


def _row(title: str, level: str, cells: Mapping[str, str], about: str, follows: str = "") -> dict[str, str]:
    return {"metric": title, "looks at": level, **cells, "follows, as measured": follows, "what it measures": about}


def _words(estimate: Estimate) -> str:
    """A value with its interval; a dash where it is undefined."""
    if not math.isfinite(estimate.value):
        return "\u2013"
    if not (math.isfinite(estimate.lower) and math.isfinite(estimate.upper)):
        return f"{estimate.value:.3g} (no interval)"
    return f"{estimate.value:.3g} [{estimate.lower:.3g}, {estimate.upper:.3g}]"


def _sections(report: DiversityReport, figure: Any) -> list[Section]:
    item = FigureItem(
        figure, "Diversity within each policy, a panel per metric", "All rollouts, and correct ones alone."
    )
    tables = tuple(
        TableItem(shown_table(report, condition), f"{CONDITION_WORDS[condition]}, m = {report.within.m[condition]}.")
        for condition in CONDITIONS
        if report.within.n_problems[condition]
    )
    return [Section("Within each policy", (item,), tables)]
