"""pass@k of the learner on held-out problems while it is trained, a panel per arm; and where each arm stands last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import chart, export_figure, export_report, export_table
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_caption import arms_caption
from s2l_lab.app.parts.training_curves import band_rows, reference_switch
from s2l_lab.app.parts.training_data import column_words, evaluated, levels_of
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.estimators import Estimate
from s2l_lab.estimators.display import reading
from s2l_lab.figures.run_curves import CurvePanel, cut_words, run_curves_figure
from s2l_lab.training.arms import Arm
from s2l_lab.training.results import Level, how, step_curve

ABOUT = "95 % CI over training seeds and problems (crossed draws); of one seed over problems alone"
Levels = Mapping[str, tuple[Level, ...]]
"""By arm, one for each step."""


def show_evaluations(address: Address, arms: Sequence[Arm]) -> None:
    """Switches, figure, table of the last evaluation."""
    known = evaluated([run for arm in arms for run in arm.runs])
    if not known:
        empty("These runs have not been evaluated (yet); a plan's `evaluation` says on what.")
        return
    columns = st.columns([2, 1, 2])
    benchmark = columns[0].selectbox("Benchmark", list(known), key=address.option("benchmark", list(known)))
    ks = [str(k) for k in known[benchmark]]
    k = int(
        columns[1].selectbox(
            "k", ks, key=address.option("k", ks), help="pass@k: at least one of k rollouts is correct."
        )
    )
    reference = reference_switch(address, arms, columns[2])
    levels = {arm.name: levels_of(arm, benchmark, k) for arm in arms}
    if not any(levels.values()):
        empty(f"No step of these arms was evaluated with {k} rollouts or more by every seed.")
        return
    unknown = without_verdict(levels)
    notes(unknown)
    panels = [CurvePanel(name, {"learner": step_curve(found)}) for name, found in levels.items()]
    title = f"pass@{k} on {benchmark} while training"
    figure = run_curves_figure(panels, f"pass@{k}", reference)
    chart(figure, "training.evaluations.figure")
    lines = arms_caption(arms, ABOUT, [*unknown, *cut_words(figure)], benchmark)
    export_figure("training.evaluations", figure, title, lines, lambda: band_rows(panels, f"pass@{k}"))
    st.subheader("Last evaluation")
    st.dataframe(
        last_rows(levels, k),
        hide_index=True,
        width="stretch",
        height="content",
        column_config=column_words(f"pass@{k}", "arm", "step", "of", "interval"),
    )
    export_table("training.last", lambda: last_rows(levels, k, numbers=True), lines)
    item = FigureItem(figure, title, "A panel per arm.")
    table = TableItem(last_rows(levels, k), "The last evaluated step of every arm.")
    section = Section("pass@k while training", (item,), (table,))
    export_report("training.evaluations", title, lambda: [section], lines)


def without_verdict(levels: Levels) -> list[str]:
    """A sentence for each arm with rollouts that no verifier could judge."""
    open_ = {name: [level for level in found if level.unknown] for name, found in levels.items()}
    return [
        f"{name}: {sum(level.unknown for level in found)} rollouts at step "
        f"{', '.join(str(level.step) for level in found)} have no verdict because the verifier failed. Where that "
        "leaves pass@k open there is no value, and its ends are those of all wrong and all right."
        for name, found in open_.items()
        if found
    ]


def last_rows(levels: Levels, k: int, *, numbers: bool = False) -> list[dict[str, Any]]:
    """Each arm's last evaluated step; in words for the screen, or as numbers."""
    rows: list[dict[str, Any]] = []
    for name, found in levels.items():
        if found:
            about: dict[str, Any] = {"arm": name, "step": found[-1].step}
            estimate = found[-1].estimate
            rows.append(about | (_numbers(estimate, k) if numbers else _words(estimate, k)))
    return rows


def _words(estimate: Estimate, k: int) -> dict[str, Any]:
    counts = f"{estimate.n_seeds} seeds, n = {estimate.n_problems}, {estimate.n_rollouts:,} rollouts"
    return {
        f"pass@{k}": reading(estimate.value, estimate.lower, estimate.upper),
        "of": counts,
        "interval": how(estimate),
    }


def _numbers(estimate: Estimate, k: int) -> dict[str, Any]:
    names = ("value", "lower", "upper", "level", "n_seeds", "n_problems", "n_rollouts", "method", "given")
    return {"k": k} | {name: getattr(estimate, name) for name in names}
