"""Rollouts: read actual completions, found by policy, problem, outcome, source, length, answer, step or words in them.

The filter is the URL's (`s2l_lab.browse.filters`), so an address shows the same list to whoever has the same runs; the
rollout that is open stands in it too.
"""

from __future__ import annotations

import math

import streamlit as st

from s2l_lab.app.parts.address import Address, current, pager
from s2l_lab.app.parts.export_row import export_report, export_table, show_caption
from s2l_lab.app.parts.filter_bar import KEY, filter_bar
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.look import OUTCOME_BADGES, OUTCOME_WORDS, outcome_label
from s2l_lab.app.parts.reader import read, token_switches
from s2l_lab.app.parts.runs import Opened, provenance_of
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.browse.filters import RolloutFilter, to_query
from s2l_lab.browse.provenance import caption
from s2l_lab.browse.report_page import Section, TableItem
from s2l_lab.browse.rollout_pages import EXPORT_BYTES, EXPORT_ROWS, Page, matching, page, read_rollout
from s2l_lab.browse.store import BrowsedStore


def show() -> None:
    """Draw the view."""
    here = header("Rollouts", "Read what was actually written. The address of this page says the filter: share it.")
    store, rounds = here.store, here.rounds
    url = Address("rollouts", known=current())
    url.text("rollout")
    token_switches(url, store)
    wanted = filter_bar(store, here)
    url.report()
    found = page(store, wanted, rounds)
    st.session_state[KEY + "page"] = found.filter.page
    notes(found.notes)
    _counts(found)
    if found.rows:
        left, right = st.columns(2, gap="medium")
        with left:
            _list(url, found)
        with right:
            read(url, here, _open_row(url, found))
    else:
        empty("No rollout fits this filter. Take a part of it away, or reset it.", icon=":material/filter_alt_off:")
    lines = caption(provenance_of(store, here.version), more=(f"{found.total:,} rollouts. {_words(wanted)}",))
    st.divider()
    with st.container(horizontal=True, vertical_alignment="center"):
        most = f", the first {EXPORT_ROWS:,} and at most {EXPORT_BYTES // 2**20} MiB of texts"
        cut = most if found.total > EXPORT_ROWS else ""
        st.caption(f"All {found.total:,} rollouts of the filter{cut}, as a table:")
        export_table("rollouts.selection", lambda: matching(store, wanted, rounds).table, lines)
        export_report("rollouts", "Rollouts", lambda: _sections(store, found, here), lines)
    show_caption(lines)
    url.publish(to_query(found.filter.model_copy(update={"version": None})))


def _counts(found: Page) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{found.total:,}** rollouts")
        for outcome, count in found.by_outcome.items():
            if count:
                label = f"{outcome_label(outcome)} {count:,}"
                st.badge(label, color=OUTCOME_BADGES[outcome], help=OUTCOME_WORDS[outcome])  # type: ignore[arg-type]
        several = {name: count for name, count in found.by_policy.items() if count}
        if len(several) > 1:
            st.caption(plain(" \u00b7 ".join(f"{name} {count:,}" for name, count in several.items())))


def _list(url: Address, found: Page) -> None:
    """One page as a table with a selection, and the pages."""
    filter = found.filter
    key = f"{KEY}list.{hash(filter)}"
    table = [
        {
            "": outcome_label(row.outcome)[:1],
            "policy": row.policy,
            "completion": visible(row.preview).replace("\n", " "),
            "answer": visible(row.answer or "")[:80],
            "tokens": row.tokens,
            "#": row.sample_index,
            "step": row.step,
            "nats/token": None if math.isnan(row.mean_surprisal) else row.mean_surprisal,
            "problem": row.problem_id,
        }
        for row in found.rows
    ]
    columns = {
        "": st.column_config.TextColumn(width=28, help="Outcome"),
        "policy": st.column_config.TextColumn(width=76),
        "completion": st.column_config.TextColumn(width=190),
        "answer": st.column_config.TextColumn(width=90),
        "tokens": st.column_config.NumberColumn(width=56),
        "#": st.column_config.NumberColumn(width=44, help="Sample index"),
        "nats/token": st.column_config.NumberColumn(width=70, format="%.2f", help="Mean surprisal per token, in nats."),
    } | ({} if any(row.step is not None for row in found.rows) else {"step": None})
    addresses = [row.address for row in found.rows]
    at = addresses.index(url.value("rollout")) if url.value("rollout") in addresses else 0
    st.session_state[key] = {"selection": {"rows": [at], "columns": [], "cells": []}}
    st.dataframe(
        table, hide_index=True, key=key, on_select=lambda: _picked(url, key, addresses), column_config=columns,
        selection_mode="single-row-required", height=min(38 + 35 * len(table), 740),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.button(
            "Previous", key=KEY + "previous", icon=":material/arrow_upward:", disabled=at == 0,
            on_click=url.set, args=("rollout", addresses[max(at - 1, 0)]),
        )  # fmt: skip
        st.button(
            "Next", key=KEY + "next", icon=":material/arrow_downward:", disabled=at + 1 >= len(addresses),
            on_click=url.set, args=("rollout", addresses[min(at + 1, len(addresses) - 1)]),
        )  # fmt: skip
        pager(found.pages, filter.page, KEY + "pages", lambda chosen: _turned(url, chosen))


def _open_row(url: Address, found: Page) -> str:
    """The address of the rollout that is open: the URL's, else the first of the page."""
    return url.value("rollout") or found.rows[0].address


def _picked(url: Address, key: str, addresses: list[str]) -> None:
    """A row was chosen."""
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        url.set("rollout", addresses[rows[0]])


def _turned(url: Address, chosen: int) -> None:
    st.session_state[KEY + "page"] = chosen
    url.set("rollout", "")


def _words(filter: RolloutFilter) -> str:
    """The filter for a caption, which names the verifier anyway."""
    said = to_query(filter.model_copy(update={"page": 1, "page_size": 20, "version": None}))
    return "Filter: " + ("; ".join(f"{name} = {', '.join(values)}" for name, values in said.items()) or "none") + "."


def _sections(store: BrowsedStore, found: Page, here: Opened) -> list[Section]:
    """The page of rollouts that is shown, with their texts."""
    table = [
        {"policy": row.policy, "problem": row.problem_id, "index": row.sample_index, "outcome": row.outcome,
         "answer": row.answer, "tokens": row.tokens, "step": row.step}
        for row in found.rows
    ]  # fmt: skip
    counts = [{"outcome": outcome, "rollouts": count} for outcome, count in found.by_outcome.items()]
    sections = [
        Section(
            f"{found.total:,} rollouts",
            tables=(TableItem(counts, "By outcome"), TableItem(table, f"Page {found.filter.page} of {found.pages}")),
            texts=(*found.notes, _words(found.filter)),
        )
    ]
    for row in found.rows:
        one = read_rollout(store, row.address, here.version, here.rounds)
        title = f"{row.policy}, problem {row.problem_id}, rollout {row.sample_index}: {outcome_label(row.outcome)}"
        sections.append(Section(title, quotes=(one.prompt, one.text)))
    return sections


if __name__ == "__main__":  # Streamlit runs the file
    show()
