"""The annealing schedule of the arms that have an explorer, and what of the explorer arrives in the update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from parts.address import Address
from parts.export_row import chart, export_figure, export_report
from parts.states import empty, notes
from parts.training_caption import arms_caption
from parts.training_curves import ABOUT_SEEDS
from parts.training_data import metrics_of
from s2l_lab.browse.explorer_weight import Annealing, annealing
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.browse.training_runs import Arm
from s2l_lab.figures.annealing import EFFECTIVE, SLOTS, TOKENS, annealing_figure

ABOUT = (
    "Slots are what the schedule gives the explorer of every group. Tokens are what a token-mean loss weighs by. The "
    "effective weight is that share times the mean factor before A grad log pi over the explorer's tokens (0 where the "
    "ratio is clipped): what the update hears of the explorer."
)
TITLE = "The explorer's share over training: planned, sampled, heard"


def show_annealing(address: Address, arms: Sequence[Arm]) -> None:
    """Figure; the arms without an explorer are named."""
    exploring = [arm for arm in arms if arm.runs[0].plan.explores]
    if not exploring:
        empty("No arm that is chosen has an explorer: this is plain GRPO.")
        return
    st.caption(ABOUT)
    found = [annealing(arm, [metrics_of(run) for run in arm.runs]) for arm in exploring]
    silent = [one.name for one in found if not one.effective.step_S.size]
    if silent:
        notes([f"No step has an effective weight in every seed, so it is not drawn: {'; '.join(silent)}."])
    without = [arm.name for arm in arms if arm not in exploring]
    figure = annealing_figure(found)
    chart(figure, "training.annealing.figure")
    more = [f"Without an explorer: {'; '.join(without)}."] if without else []
    lines = arms_caption(exploring, ABOUT_SEEDS, more)
    export_figure("training.annealing", figure, TITLE, lines, lambda: annealing_rows(found))
    export_report("training.annealing", TITLE, lambda: [_section(figure)], lines)


def annealing_rows(found: Sequence[Annealing]) -> list[dict[str, Any]]:
    """Everything that is drawn, long form."""
    rows: list[dict[str, Any]] = []
    for arm in found:
        for step, share in zip(arm.planned_step_R.tolist(), arm.planned_share_R.tolist(), strict=True):
            rows.append(
                {"arm": arm.name, "what": "planned slots", "step": step}
                | {"mean": share, "lower": None, "upper": None, "n_seeds": None}
            )
        for what, band in ((SLOTS, arm.slots), (TOKENS, arm.tokens), (EFFECTIVE, arm.effective)):
            columns = (band.step_S, band.mean_S, band.lower_S, band.upper_S)
            for step, mean, lower, upper in zip(*(column.tolist() for column in columns), strict=True):
                rows.append(
                    {"arm": arm.name, "what": what, "step": step}
                    | {"mean": mean, "lower": lower, "upper": upper, "n_seeds": band.n_seeds}
                )
    return rows


def _section(figure: Any) -> Section:
    return Section("Annealing", (FigureItem(figure, TITLE, ABOUT),))
