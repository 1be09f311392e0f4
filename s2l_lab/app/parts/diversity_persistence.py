"""Persistence: variance ratio, autocorrelation and prefix survival of a run's policies, scored under one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from s2l_lab.app.parts.diversity_measure import key_of_few, steps_to
from s2l_lab.app.parts.export_row import chart, export_figure, export_report
from s2l_lab.app.parts.measured import on_demand
from s2l_lab.app.parts.runs import provenance_of
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.browse.provenance import Drawn, caption
from s2l_lab.browse.report_page import FigureItem, Section
from s2l_lab.figures.persistence import persistence_figure
from s2l_lab.policies.opening import member_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.runs import Opened
    from s2l_lab.studies.persistence import RunPersistence

PROBLEMS = ("4", "10", "20", "50", "100")
ROLLOUTS = ("4", "8", "16", "32", "64")
NO_CONTROL = (
    "No matched temperature is in this run: temperature persists too, so a line above 1 is no sign of size. "
    "`s2l-lab figures persistence` has the controls."
)


def show_persistence(here: Opened, address: Address, policies: tuple[str, ...]) -> None:
    """Switches, figure."""
    config = here.store.config()
    found = {name: member_here(config, name) for name in policies}
    local = tuple(name for name, one in found.items() if not isinstance(one, str))
    notes([f"Not scored: {one}" for one in found.values() if isinstance(one, str)])
    if len(local) < 2:
        empty(
            "Scoring needs the weights of two policies or more on this machine, and of those that are chosen "
            f"{len(local)} can be had. Pass@k runs say where they are; evaluations of a trained learner do not."
        )
        return
    problems_options = steps_to(PROBLEMS, len(here.store.problems()))
    columns = st.columns(3)
    learner = columns[0].selectbox(
        "Scored under",
        local,
        key=address.option("learner", local, default=local[-1]),
        help="The policy to which the others are compared, at T = 1. Its own rollouts at T = 1 are the null reference.",
    )
    few = key_of_few(address, "score-problems", problems_options, 20)
    problems = int(columns[1].selectbox("Problems", problems_options, key=few))
    rollouts = int(
        columns[2].selectbox("Rollouts of each", ROLLOUTS, key=address.option("score-rollouts", ROLLOUTS, "16"))
    )

    def make(announce: Callable[[str], None]) -> RunPersistence:
        from s2l_lab.studies.persistence import persistence_of_run

        path = here.store.path
        return persistence_of_run(
            path, learner=learner, policies=local, problems=problems, n=rollouts, announce=announce
        )

    content = ("persistence", str(here.store.path), here.store.fingerprint(), local, learner, problems, rollouts)
    about = (
        f"Loads {len(local)} policies and scores {len(local) * problems * rollouts:,} stored rollouts token by token: "
        "a minute for a family of a few million parameters on a CPU, long for billions."
    )
    scored = on_demand("diversity.score", "Score", about, content, make)
    if scored is not None:
        _show(here, scored)


def control_words(found: RunPersistence) -> str:
    """What the lines can be held against, and what not."""
    temperature = found.result.rows[0].temperature
    if temperature == 1:
        return NO_CONTROL
    null = f"Drawn at T = {temperature:g} and scored at T = 1: the learner's own line is its temperature's, no null."
    return f"{null} {NO_CONTROL}"


def _show(here: Opened, found: RunPersistence) -> None:
    words = control_words(found)
    lines = caption(
        provenance_of(here.store),
        Drawn(found.n_problems, f"at most {found.n_rollouts}"),
        interval="95 %, about other problems of this kind (clustered by problem)",
        more=[
            "Scored: the first problems, and the first rollouts of each by each policy.",
            words,
        ],
    )
    st.caption(plain(words))
    figure = persistence_figure(found.result, lines)
    chart(figure, "diversity.persistence.figure", width="content")
    title = f"Do deviations from {found.result.learner} last?"
    export_figure("diversity.persistence", figure, title, lines, lambda: lag_rows(found), ready=True)
    shown = "Variance ratio, autocovariance, prefix survival and covariance of scores, a line per policy"
    item = FigureItem(figure, shown, words)
    export_report("diversity.persistence", title, lambda: [Section("Persistence", (item,))], lines)


def lag_rows(found: RunPersistence) -> list[dict[str, Any]]:
    """Every statistic by lag, horizon or token, long form."""
    rows = []
    for row in found.result.rows:
        curves = {
            "variance ratio of e": row.variance_ratio,
            "variance ratio of m": row.variance_ratio_m,
            "autocorrelation of e": row.autocorrelation,
            "autocovariance of d": row.autocovariance_d,
            **{f"prefix survival along {s.trace}'s greedy trace": s.curve for s in row.survival},
        }
        for statistic, curve in curves.items():
            columns = (curve.at, curve.value, curve.lower, curve.upper, curve.n)
            for at, value, lower, upper, n in zip(*(column.tolist() for column in columns), strict=True):
                about = {"policy": row.name, "role": row.role, "statistic": statistic, "at": at}
                rows.append(about | {"value": value, "lower": lower, "upper": upper, "n": n})
    return rows
