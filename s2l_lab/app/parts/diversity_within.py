"""Within: the table of all metrics by policy, over all rollouts or over correct ones alone, and the figure of both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import streamlit as st

from s2l_lab.app.parts.diversity_measure import measured_caption, measured_report
from s2l_lab.app.parts.export_row import chart, export_figure, export_report, export_table
from s2l_lab.app.parts.states import empty
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.estimators.display import reading
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.diversity import diversity_numbers, within_figure
from s2l_lab.figures.markup import markup
from s2l_lab.figures.page_tables import metric_title
from s2l_lab.figures.study_tables import within_table
from s2l_lab.figures.tables import Number
from s2l_lab.figures.within_panels import CONDITION_WORDS, LEVEL_WORDS, mark_words, metric_heads
from s2l_lab.studies.metric_validity import metric_marks
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.runs import Opened
    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.tables import Cell
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import Condition

BESIDE = "beside them"
"""Level of what is no diversity, but moves it: accuracy and length."""
SIGNS = (
    "\\*: differs from the reference, the last policy (paired interval excludes 0; not corrected for the number of "
    "metrics). \u2191 \u2193: towards more diversity. Brackets: 95 % about other problems of this kind."
)
_ABOUT = {
    "pass@1": (BESIDE, "Share of correct rollouts, all of them."),
    "tokens": (BESIDE, "Longer completions overlap more."),
    "coherence": (
        "embeddings",
        "Cosine of consecutive steps' embeddings, the problem's mean taken out, minus that of steps of other rollouts.",
    ),
}


def show_within(here: Opened, address: Address, policies: tuple[str, ...]) -> None:
    """Switches, table, figure."""
    condition = (
        st.segmented_control(
            "Rollouts",
            list(CONDITIONS),
            key=address.option("condition", list(CONDITIONS)),
            format_func=CONDITION_WORDS.__getitem__,
            required=True,
            help="Metrics rise when accuracy falls, so only correct rollouts give evidence about strategies.",
        )
        or CONDITIONS[0]
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
    marks = metric_marks()
    found = diversity_numbers(report, marks)
    accuracy, made = within_table(found, "all").rows[0], within_table(found, condition, metric_title)
    names = [column.title for column in made.columns[1:]]
    rows = []
    for row in made.rows if condition == "all" else (accuracy, *made.rows):
        title, *cells = (words(cell) for cell in row.cells)
        level, about = _ABOUT.get(row.key) or _about(row.key)
        follows = mark_words(marks.get(row.key))
        cell_of = dict(zip(names, cells, strict=True))
        rows.append(
            {"metric": title, "looks at": level, **cell_of, "follows, as measured": follows, "what it measures": about}
        )
    return rows


def words(cell: Cell) -> str:
    """A cell as the app writes it: a number with its interval, a dash where it is undefined."""
    if not isinstance(cell, Number):
        return cell
    if cell.value is None:
        return "\u2013"
    value, lower, upper = (math.nan if x is None else x for x in (cell.value, cell.lower, cell.upper))
    return reading(value, lower, upper) + cell.mark


def _about(metric: str) -> tuple[str, str]:
    """What a metric looks at, and its sentences."""
    found = METRICS[metric]
    return LEVEL_WORDS[found.level].lower(), f"{found.measures} Range: {found.span}. {found.fooled_by}"


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
    names = ("value", "lower", "upper", "level", "n_problems", "n_rollouts", "method")
    return {name: getattr(estimate, name) for name in names}


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
