"""Family: does a smaller member overtake a larger one? pass@k with its intervals, who crosses whom, and which problems.

Numbers come from `s2l_lab.browse`. What is slow comes after what is fast: pass@k is on the screen while Cover@tau and
the crossings are bootstrapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import streamlit as st

from s2l_lab.app.parts.address import Address, pager, shared, view_file
from s2l_lab.app.parts.export_row import chart, export_figure, export_report, export_table
from s2l_lab.app.parts.family_figures import (
    CELLS,
    cover_figure,
    curves_figure,
    difference_figure,
    heat_figure,
    waiting_figure,
)
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.look import policy_colours
from s2l_lab.app.parts.runs import Opened, comparisons_of, covers_of, family_of, provenance_of, rates_of
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.browse.family_curves import Covers, FamilyCurves, Recorded, crossings_table, differences_table, recorded
from s2l_lab.browse.provenance import Drawn, Provenance, caption
from s2l_lab.browse.report_page import FigureItem, Section, TableItem
from s2l_lab.browse.solve_rates import Order, SolveRates
from s2l_lab.estimators import Comparison
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.cover import COVER_LINES, cover_words
from s2l_lab.passk.estimates import Interval

INTERVALS: tuple[Interval, ...] = ("rollouts", "problems")
AXES = ("k", "FLOPs")
ORDERS: dict[Order, str] = {
    "hardest": "hardest first",
    "easiest": "easiest first",
    "arrival": "as in the benchmark",
    "spread": "largest gap between policies first",
    "difference": "largest lead of the last policy over the first",
}
# Problems of the heat map on the screen at once.
STRETCH = 100
_DIFFERENCE = "pass@k of the larger minus that of the smaller"
COVER = f"{COVER_LINES[0].upper()}{COVER_LINES[1:]}. {cover_words(0.95)}"
BAND = "The band is simultaneous over all k and all pairs."
CELL_INTERVAL = "Jeffreys 95 % in every cell, about these problems and other rollouts"


def show() -> None:
    """Draw the view."""
    here = header(
        "Family",
        "How often any of k rollouts is correct, by policy; where curves cross; which problems make the difference.",
    )
    store, url = here.store, Address("family")
    with _waiting(str(store.path)):
        rates = rates_of(store, here.version)
    about = provenance_of(store, here.version)
    if rates.version is None:
        empty(
            "No rollout of this run has a verdict yet. The command that made it, given again, samples and verifies "
            "what is owed.",
            visible(about.again),
        )
        return
    chosen, interval, axis = _switches(url, rates)
    if len(chosen) < 2:
        url.set("pair", "")
    if not chosen:
        empty("No policy is chosen. Choose one to see its curve and its solve rates, two to compare them.")
        url.publish()
        return
    colours = policy_colours(rates.policies)
    family, shown = family_of(here, tuple(chosen), interval), rates.of(chosen)
    notes(family.notes)
    if family.curves:
        _curves(here, about, family, tuple(chosen), interval, colours, axis)
        comparisons = _crossings(url, here, about, tuple(chosen), _drawn(family))
    else:
        comparisons = ()
    _heat_map(url, about, shown)
    title = f"Family: {about.benchmark}"
    lines = caption(about, _drawn(family) if family.curves else None)
    export_report("family", title, lambda: _sections(family, comparisons, shown, colours, axis, here), lines)
    url.publish()


def _drawn(family: FamilyCurves) -> Drawn:
    """The problems that all chosen policies have, at the N that the curves are of."""
    return Drawn(family.n_problems, str(family.n_rollouts), family.n_clusters)


@contextmanager
def _waiting(path: str) -> Iterator[None]:
    """Axes, while a store is counted for the first time: a browser takes a second to load what draws them."""
    place, known = st.empty(), _counted()
    if path not in known:
        known.add(path)
        with place:
            chart(waiting_figure(), "family.waiting", alt="The curves are being counted.")
    try:
        yield
    finally:
        place.empty()


@st.cache_resource
def _counted() -> set[str]:
    return set()


def _switches(url: Address, rates: SolveRates) -> tuple[list[str], Interval, str]:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.multiselect(
            "Policies", rates.policies, key=url.several("policy", rates.policies, rates.policies), width=420
        )
        interval = st.segmented_control(
            "Interval about", INTERVALS, key=url.option("interval", INTERVALS), required=True,
            help="rollouts: CI over rollouts of the same problems. problems: CI over problems, which is wider.",
        )  # fmt: skip
        axis = st.segmented_control(
            "Horizontal axis", AXES, key=url.option("x", AXES), required=True,
            help="FLOPs compares policies at equal compute: k rollouts of a small member cost less.",
        )  # fmt: skip
    url.option("order", tuple(ORDERS))
    url.number("stretch", 1, 10**6, 1)
    url.text("pair")
    url.report()
    return [name for name in rates.policies if name in chosen], interval or INTERVALS[0], str(axis)


def _curves(
    here: Opened,
    about: Provenance,
    family: FamilyCurves,
    chosen: tuple[str, ...],
    interval: str,
    colours: dict[str, str],
    axis: str,
) -> None:
    known = recorded(here.store)
    flops = axis == "FLOPs"
    if flops and not _costs_known(known, family):
        flops = False
        notes(["FLOPs of these policies are not recorded (numbers.json of `s2l-lab passk` has them); k is shown."])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.subheader(
            "pass@k", help="Probability that at least one of k rollouts is correct; unbiased, mean over problems."
        )
        figure = curves_figure(family, colours, known, flops=flops, guesses=True)
        chart(figure, "family.curve", alt="pass@k of each policy over k")
        title = f"pass@k, n = {family.n_problems} problems, N = {family.n_rollouts}"
        more = f"Ribbons: 95 % intervals. {_guess_words(known, family)}"
        lines = caption(about, _drawn(family), interval=interval, more=(more,))
        export_figure("family.passk", figure, title, lines, family.table)
    with right:
        st.subheader(
            "Cover@tau",
            help="Share of problems with a solve rate of at least tau. Near tau = 0 it is the share that "
            "is solved at all.",
        )
        covers = covers_of(here, chosen)
        figure = cover_figure(covers, colours)
        chart(figure, "family.cover", alt="Cover@tau of each policy over tau")
        title = f"Cover@tau, n = {family.n_problems} problems, N = {family.n_rollouts}"
        lines = caption(about, _drawn(family), interval="problems", more=(COVER,))
        export_figure("family.covertau", figure, title, lines, covers.table)


def _costs_known(known: Mapping[str, Recorded], family: FamilyCurves) -> bool:
    return all(name in known and known[name].flops_per_rollout > 0 for name in family.curves)


def _guess_words(known: Mapping[str, Recorded], family: FamilyCurves) -> str:
    """Which guessers are drawn."""
    found = [known[name] for name in family.curves if name in known]
    kinds = {
        "an answer drawn uniformly": any(one.uniform for one in found),
        "the policy's own answers to other problems": any(one.own_answers for one in found),
    }
    drawn = [words for words, there in kinds.items() if there]
    if not drawn:
        return "No guess floor: none is recorded for this benchmark."
    of = next((f" of {one.rests_on}" for one in found if one.rests_on), "")
    return f"Dotted: what guessers reach ({' and '.join(drawn)}), as `s2l-lab passk` last recorded it{of}."


def _crossings(
    url: Address, here: Opened, about: Provenance, chosen: tuple[str, ...], drawn: Drawn
) -> tuple[Comparison, ...]:
    st.subheader(
        "Crossings",
        help="Decisions use a 95 % band that is simultaneous over all k and all pairs. Overlap of two "
        "ribbons decides nothing.",
    )
    if len(chosen) < 2:
        empty("Choose two policies or more to compare them.")
        return ()
    comparisons = comparisons_of(here, chosen)
    pairs = [f"{c.b} \u2212 {c.a}" for c in comparisons]
    lines = caption(about, drawn, interval="problems", more=(BAND,))
    table = crossings_table(comparisons)
    _verdicts(table, int(comparisons[0].k[-1]))
    export_table("family.verdicts", table, lines)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        pair = st.selectbox("Difference of", pairs, key=url.option("pair", pairs, pairs[-1]))
        comparison = comparisons[pairs.index(pair)]
        st.caption(plain(crossing_words(comparison)))
    with left:
        figure = difference_figure(comparison)
        chart(figure, "family.difference", alt="Difference of pass@k over k")
        title = f"Difference of pass@k: {pair}"
        export_figure("family.differences", figure, title, lines, lambda: differences_table(comparisons))
    return comparisons


def _verdicts(table: pa.Table, last_k: int) -> None:
    number = st.column_config.NumberColumn
    columns = {
        "smaller": st.column_config.TextColumn(width=110),
        "larger": st.column_config.TextColumn(width=110),
        "verdict": st.column_config.TextColumn(width=270),
        "first_difference": number("at k = 1", format="%+.3f", help=_DIFFERENCE, width=90),
        "last_difference": number(f"at k = {last_k}", format="%+.3f", help=_DIFFERENCE, width=90),
        "last_band_lower": number(
            "band from", format="%+.3f", help=f"Lower end of the band at k = {last_k}.", width=90
        ),
        "last_band_upper": number("to", format="%+.3f", width=80),
    }
    st.dataframe(table.select(list(columns)), hide_index=True, key="family.crossings", column_config=columns)


def _heat_map(url: Address, about: Provenance, rates: SolveRates) -> None:
    st.subheader("Solve rates", help=f"One cell per problem and policy. Click one to read its rollouts. {CELLS}")
    stretches = max(1, -(-len(rates.problem_ids) // STRETCH))
    url.number("stretch", 1, stretches, 1)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        order = st.selectbox(
            "Problems", list(ORDERS), key=url.key("order"), format_func=lambda name: ORDERS[name], width=340
        )
        stretch = url.value("stretch")
        pager(stretches, stretch, "family.stretch", lambda chosen: url.set("stretch", chosen))
    ends = (rates.policies[-1], rates.policies[0]) if order == "difference" else ()
    places = rates.order(order, *ends)
    start = (stretch - 1) * STRETCH
    shown = rates.take(places[start : start + STRETCH])
    event = chart(
        heat_figure(shown, start), "family.heat", on_select="rerun", selection_mode="points",
        alt="Solve rate of each policy on each problem",
    )  # fmt: skip
    cells = Drawn(len(rates.problem_ids), rates.rollouts_per_problem)
    last = start + len(shown.problem_ids)
    part = (
        f"The picture shows problems {start + 1} to {last} in this order; the files have all." if stretches > 1 else ""
    )
    lines = caption(about, cells, interval=CELL_INTERVAL, more=(CELLS, *filter(None, [part])))
    export_figure(
        "family.solverates", heat_figure(shown, start), f"Solve rates, problems {ORDERS[order]}", lines, rates.cells
    )
    if event.selection.points:
        problem, policy = event.selection.points[0]["customdata"]
        st.switch_page(view_file("rollouts"), query_params=shared() | {"problem": problem, "policy": policy})


def _sections(
    family: FamilyCurves,
    comparisons: tuple[Comparison, ...],
    rates: SolveRates,
    colours: dict[str, str],
    axis: str,
    here: Opened,
) -> list[Section]:
    """What the view shows, for the static page."""
    known = recorded(here.store)
    flops = axis == "FLOPs" and _costs_known(known, family)
    covers = covers_of(here, tuple(family.curves)) if family.curves else Covers({})
    ends = next((curve.interval for curve in family.curves.values()), "rollouts")
    sections = [
        Section(
            "pass@k and Cover@tau",
            figures=(
                FigureItem(
                    curves_figure(family, colours, known, flops=flops, guesses=True),
                    "pass@k",
                    f"pass@k of {family.n_problems} problems at N = {family.n_rollouts}; 95 % intervals about {ends}. "
                    + _guess_words(known, family),
                ),
                FigureItem(cover_figure(covers, colours), "Cover@tau", COVER),
            ),
            tables=(TableItem(family.table(), "pass@k"), TableItem(covers.table(), "Cover@tau")),
            texts=family.notes,
        )
    ]
    if comparisons:
        drawn = tuple(
            FigureItem(difference_figure(c), f"{c.b} - {c.a}", f"{crossing_words(c)} {BAND}") for c in comparisons
        )
        sections.append(Section("Crossings", drawn, (TableItem(crossings_table(comparisons), "Verdicts"),)))
    hardest = rates.take(rates.order("hardest"))
    first = hardest.take(rates.order("arrival")[:STRETCH])
    item = FigureItem(
        heat_figure(first), "Solve rates", f"The {len(first.problem_ids)} hardest problems. {CELLS} {CELL_INTERVAL}."
    )
    return [*sections, Section("Solve rates", (item,), (TableItem(hardest.cells(), "Solve rates"),))]


if __name__ == "__main__":  # Streamlit runs the file
    show()
