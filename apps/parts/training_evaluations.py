"""pass@k of the learner on held-out problems while it is trained, a panel per arm; and where each arm stands last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from parts.address import Address
from parts.export_row import chart, export_figure, export_report, export_table
from parts.states import empty, notes
from parts.training_caption import arms_caption
from parts.training_curves import band_rows, reference_switch
from parts.training_data import band_of, column_words, evaluated
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.browse.training_metrics import Band, EvaluationBand
from s2l_lab.browse.training_runs import Arm
from s2l_lab.estimators import Estimate
from s2l_lab.estimators.display import reading
from s2l_lab.figures.run_curves import CurvePanel, cut_words, run_curves_figure

ABOUT = (
    "95 %, about other seeds and other problems of this kind (crossed draws); of one seed about other problems alone"
)


def show_evaluations(address: Address, arms: Sequence[Arm]) -> None:
    """Switches, figure, table of the last evaluation."""
    known = evaluated([run for arm in arms for run in arm.runs])
    if not known:
        empty("These runs have not been evaluated (yet); a plan's `evaluation` says on what.")
        return
    columns = st.columns([2, 1, 2])
    benchmark = columns[0].selectbox("Benchmark", list(known), key=address.option("benchmark", list(known)))
    ks = [str(k) for k in known[benchmark]]
    k = int(columns[1].selectbox("k", ks, key=address.option("k", ks), help="pass@k: any of k rollouts is correct."))
    reference = reference_switch(address, arms, columns[2])
    bands = {arm.name: band_of(arm, benchmark, k) for arm in arms}
    if not any(band.steps for band in bands.values()):
        empty(f"No step of these arms was evaluated with {k} rollouts or more by every seed.")
        return
    unknown = without_verdict(bands)
    notes(unknown)
    panels = [CurvePanel(name, {"learner": as_band(band)}) for name, band in bands.items()]
    title = f"pass@{k} on {benchmark} while training"
    figure = run_curves_figure(panels, f"pass@{k}", reference)
    chart(figure, "training.evaluations.figure")
    lines = arms_caption(arms, ABOUT, [*unknown, *cut_words(figure)], benchmark)
    export_figure("training.evaluations", figure, title, lines, lambda: band_rows(panels, f"pass@{k}"))
    st.subheader("Last evaluation")
    st.dataframe(
        last_rows(bands, k),
        hide_index=True,
        width="stretch",
        height="content",
        column_config=column_words(f"pass@{k}", "arm", "step", "of", "interval"),
    )
    export_table("training.last", lambda: last_rows(bands, k, numbers=True), lines)
    export_report("training.evaluations", title, lambda: [_section(figure, title, bands, k)], lines)


def without_verdict(bands: dict[str, EvaluationBand]) -> list[str]:
    """A sentence for each arm with rollouts that no verifier could judge."""
    open_ = {name: [s for s, u in zip(band.steps, band.unknown, strict=True) if u] for name, band in bands.items()}
    return [
        f"{name}: {sum(bands[name].unknown)} rollouts at step {', '.join(map(str, steps))} have no verdict because the "
        "verifier failed. Where that leaves pass@k open there is no value, and its ends are those of all wrong and all "
        "right."
        for name, steps in open_.items()
        if steps
    ]


def as_band(found: EvaluationBand) -> Band:
    """The estimates as a line."""
    value, lower, upper = (
        np.array([getattr(e, end) for e in found.estimates], float) for end in ("value", "lower", "upper")
    )
    seeds = max((e.n_seeds or 1 for e in found.estimates), default=0)
    method = "; ".join(dict.fromkeys(map(how, found.estimates)))
    return Band(np.array(found.steps, np.int64), value, lower, upper, seeds, method)


def last_rows(bands: dict[str, EvaluationBand], k: int, *, numbers: bool = False) -> list[dict[str, Any]]:
    """Each arm's last evaluated step; in words for the screen, or as numbers."""
    rows: list[dict[str, Any]] = []
    for name, band in bands.items():
        if not band.steps:
            continue
        estimate = band.estimates[-1]
        about: dict[str, Any] = {"arm": name, "step": band.steps[-1]}
        rows.append(about | (_numbers(estimate, k) if numbers else _words(estimate, k)))
    return rows


def _words(estimate: Estimate, k: int) -> dict[str, Any]:
    counts = f"{estimate.n_seeds} seeds, n = {estimate.n_problems}, {estimate.n_rollouts:,} rollouts"
    return {
        f"pass@{k}": reading(estimate.value, estimate.lower, estimate.upper),
        "of": counts,
        "interval": how(estimate),
    }


def how(estimate: Estimate) -> str:
    """How the interval was made, and what it holds for alone."""
    return f"{estimate.method}, {estimate.given}" if estimate.given else estimate.method


def _numbers(estimate: Estimate, k: int) -> dict[str, Any]:
    names = ("value", "lower", "upper", "level", "n_seeds", "n_problems", "n_rollouts", "method", "given")
    return {"k": k} | {name: getattr(estimate, name) for name in names}


def _section(figure: Any, title: str, bands: dict[str, EvaluationBand], k: int) -> Section:
    table = TableItem(last_rows(bands, k), "The last evaluated step of every arm.")
    return Section("pass@k while training", (FigureItem(figure, title, "A panel per arm."),), (table,))
