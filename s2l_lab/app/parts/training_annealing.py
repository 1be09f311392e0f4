"""The annealing schedule of the arms that have an explorer, and what of the explorer arrives in the update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import chart, export_figure, export_report
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_caption import arms_caption
from s2l_lab.app.parts.training_curves import ABOUT_SEEDS
from s2l_lab.app.parts.training_data import metrics_of
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.figures.annealing import EFFECTIVE, ONE_SEED, PLANNED, SLOTS, TOKENS, annealing_figure
from s2l_lab.figures.run_curves import cut_words
from s2l_lab.training.arms import Arm
from s2l_lab.training.explorer_weight import Annealing, annealing, undefined_words

ABOUT = (
    "Slots are what the schedule gives the explorer of every group. Tokens are what a token-mean loss weighs by. The "
    "effective weight is that share times the mean factor before A grad log pi over the explorer's tokens (0 where the "
    "ratio is clipped): what the update hears of the explorer. Its line is over the steps where every seed has one; "
    "rings are single seeds."
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
    why = [f"{one.name}: {words}" for one in found for words in undefined_words(one)]
    notes(why)
    without = [arm.name for arm in arms if arm not in exploring]
    figure = annealing_figure(found)
    chart(figure, "training.annealing.figure")
    more = [*why, *cut_words(figure), *([f"Without an explorer: {'; '.join(without)}."] if without else [])]
    lines = arms_caption(exploring, ABOUT_SEEDS, more)
    export_figure("training.annealing", figure, TITLE, lines, lambda: annealing_rows(found))
    item = FigureItem(figure, TITLE, ABOUT)
    export_report("training.annealing", TITLE, lambda: [Section("Annealing", (item,))], lines)


def annealing_rows(found: Sequence[Annealing]) -> list[dict[str, Any]]:
    """Everything that is drawn, long form, and each seed's steps without an effective weight with the reason."""
    rows: list[dict[str, Any]] = []
    for arm in found:
        for step, share in zip(arm.planned_step_R.tolist(), arm.planned_share_R.tolist(), strict=True):
            rows.append(_row(arm, PLANNED, step, share))
        for what, band in ((SLOTS, arm.slots), (TOKENS, arm.tokens), (EFFECTIVE, arm.effective)):
            for step, *numbers in band.points:
                rows.append(_row(arm, what, step, *numbers, n_seeds=band.n_seeds))
        for one in arm.seeds:
            for step, value in zip(one.step_S.tolist(), one.value_S.tolist(), strict=True):
                rows.append(_row(arm, ONE_SEED, step, value, seed=one.seed))
            for why, steps in one.undefined.items():
                rows += [_row(arm, ONE_SEED, step, seed=one.seed, undefined=why) for step in steps]
    return rows


def _row(arm: Annealing, what: str, step: int, *numbers: float, **more: Any) -> dict[str, Any]:
    """Mean, lower and upper end as far as they are given."""
    ends = dict(zip(("mean", "lower", "upper"), (*numbers, None, None, None), strict=False))
    names = ("n_seeds", "seed", "undefined")
    return {"arm": arm.name, "what": what, "step": step} | ends | {name: more.get(name) for name in names}
