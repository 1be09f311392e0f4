"""What every run spent: FLOPs by part, tokens, seconds, and rollout compute over GRPO's with the explorer's in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import chart, export_figure, export_report, export_table
from s2l_lab.app.parts.training_caption import arms_caption
from s2l_lab.app.parts.training_data import column_words, metrics_of
from s2l_lab.browse.metric_words import explain_column
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.figures.training_cost import cost_figure
from s2l_lab.training.arms import Arm
from s2l_lab.training.logged import PARTS, CostRow, cost_row

TITLE = "FLOPs of rollouts and updates"
ABOUT = (
    "FLOPs are counted from tokens and model shapes, not timed. Relative rollout compute is all rollouts, the "
    "explorer's included, over what GRPO would have spent on rollouts of the same lengths by the learner alone. Counts "
    "have no interval; seeds stand one by one."
)


def show_cost(address: Address, arms: Sequence[Arm]) -> None:
    """Figure and table."""
    st.caption(ABOUT)
    found = [(arm, cost_row(run, metrics_of(run))) for arm in arms for run in arm.runs]
    rows = cost_rows(found)
    figure = cost_figure([row for _, row in found])
    chart(figure, "training.cost.figure")
    lines = arms_caption(arms, "none: counts of these very runs")
    export_figure("training.cost.bars", figure, TITLE, lines, rows)
    st.dataframe(rows, hide_index=True, width="stretch", height="content", column_config=_columns(rows))
    export_table("training.cost", rows, lines)
    item, table = FigureItem(figure, TITLE, ABOUT), TableItem(rows, "A row per run.")
    export_report("training.cost", TITLE, lambda: [Section("Cost", (item,), (table,))], lines)


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What each column is, on hover, and how its numbers are written."""
    number = st.column_config.NumberColumn
    formats = {"relative rollout compute": "%.3f", "explorer's share": "percent"}
    formats |= {f"{part} FLOPs": "scientific" for part in PARTS}
    written = {name: number(format=form, help=explain_column(name)) for name, form in formats.items()}
    return column_words(*(rows[0] if rows else ())) | written


def cost_rows(rows: Sequence[tuple[Arm, CostRow]]) -> list[dict[str, Any]]:
    """A row per run."""
    shown = []
    for arm, row in rows:
        about: dict[str, Any] = {"arm": arm.name, "run": row.label, "seed": row.seed, "finished": row.finished}
        about |= {"steps": row.last_step, "relative rollout compute": row.relative}
        about |= {"explorer's share": row.explorer_share}
        for unit, values in (("FLOPs", row.flops), ("tokens", row.tokens), ("seconds", row.seconds)):
            about |= {f"{part} {unit}": values[part] for part in PARTS}
        shown.append(about)
    return shown
