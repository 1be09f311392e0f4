"""The problems that only one of two policies solves, under a rule that the reader chooses and the page states."""

from __future__ import annotations

from dataclasses import asdict

import pyarrow as pa
import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.export_row import export_table, show_caption
from s2l_lab.app.parts.runs import Opened, provenance_of
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.browse.provenance import Drawn, caption
from s2l_lab.browse.solve_rates import SolveRates
from s2l_lab.browse.who_solves import OnlySolved, SolvedCell, SolveRule, only_solved


def who_solves(url: Address, here: Opened, rates: SolveRates, chosen: list[str], rules: tuple[str, str]) -> OnlySolved:
    """Draw the rule and the two lists; a click opens a problem. The URL's switches are `rule` (one of `rules`: at least
    one correct, a rate of at least tau) and `tau-percent`."""
    st.subheader("Only one solves", help="Problems that exactly one of the two policies solves, by the chosen rule.")
    a, b = chosen[0], chosen[-1]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if len(chosen) > 2:
            a = st.selectbox("A", chosen, key=url.option("a", chosen, chosen[0]), width=180)
            others = [name for name in chosen if name != a]
            b = st.selectbox("B", others, key=url.option("b", others, others[-1]), width=180)
        rule = st.segmented_control("Solves means", rules, key=url.key("rule"), required=True)
        tau = None
        if rule == rules[1]:
            tau = st.slider("tau, per cent", 1, 100, key=url.key("tau-percent"), width=260) / 100
    solved = only_solved(rates, a, b, SolveRule(tau))
    st.caption(plain(solved.statement))
    lists = ((a, solved.a_only), (b, solved.b_only))
    for (name, cells), column in zip(lists, st.columns(2, gap="medium"), strict=True):
        with column:
            st.markdown(f"**Only {plain(name)}**: {len(cells)} problems")
            _solved_list(url, here, cells, (a, b), name)
    st.caption(f"Both: {len(solved.both)}. Neither: {len(solved.neither)}.")
    drawn = Drawn(solved.n_problems, solved.rollouts_per_problem)
    lines = [solved.statement, *caption(provenance_of(here.store, here.version), drawn)]
    export_table("compare.solves", lambda: solved_table(solved, a, b), lines)
    show_caption(lines[1:])
    return solved


def _solved_list(url: Address, here: Opened, cells: tuple[SolvedCell, ...], pair: tuple[str, str], name: str) -> None:
    if not cells:
        show_caption(["None."])
        return
    known = here.store.problems()
    table = [
        {
            "problem": visible(known[cell.problem_id].prompt)[:90].replace("\n", " ")
            if cell.problem_id in known
            else cell.problem_id,
            pair[0]: f"{cell.correct_a} of {cell.total_a} ({cell.lower_a:.0%} to {cell.upper_a:.0%})",
            pair[1]: f"{cell.correct_b} of {cell.total_b} ({cell.lower_b:.0%} to {cell.upper_b:.0%})",
        }
        for cell in cells
    ]
    key = f"compare.only.{name}"
    ids = [cell.problem_id for cell in cells]

    def open_problem() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            url.set("problem", ids[rows[0]])

    st.dataframe(
        table, hide_index=True, key=key, on_select=open_problem, selection_mode="single-row",
        column_config={"problem": st.column_config.TextColumn(width=230)}, height=min(38 + 35 * len(table), 320),
    )  # fmt: skip


def solved_table(solved: OnlySolved, a: str, b: str) -> pa.Table:
    """Every paired problem with its list, its counts and the ends of both rates' intervals."""
    lists = (
        (f"only {a}", solved.a_only),
        (f"only {b}", solved.b_only),
        ("both", solved.both),
        ("neither", solved.neither),
    )
    return pa.Table.from_pylist(
        [{"list": name, "a": a, "b": b} | asdict(cell) for name, cells in lists for cell in cells]
    )
