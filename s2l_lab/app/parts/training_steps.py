"""The rollouts that a step was trained on: choose run, step and source, read any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from s2l_lab.app.parts.address import Address, came_from_outside, link
from s2l_lab.app.parts.export_row import export_report, export_table, show_caption
from s2l_lab.app.parts.look import outcome_label
from s2l_lab.app.parts.runs import Opened, provenance_of, store_of
from s2l_lab.app.parts.safe import model_text, plain
from s2l_lab.app.parts.states import empty, notes
from s2l_lab.app.parts.training_data import column_words, metrics_of, runs_of
from s2l_lab.browse.catalog import RunEntry
from s2l_lab.browse.filters import RolloutFilter, to_query
from s2l_lab.browse.provenance import caption
from s2l_lab.browse.report_page import Section, TableItem
from s2l_lab.browse.rollout_pages import Page, page, read_rollout
from s2l_lab.browse.rows import Row
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.rollouts.order import SOURCES
from s2l_lab.training.arms import rounds_of
from s2l_lab.training.rounds import Rounds

BOTH = "both"
SHOWN = 50


def show_steps(here: Opened, address: Address, entries: Mapping[str, RunEntry]) -> None:
    """Switches, list, the completion that is chosen in it."""
    with_rollouts = [
        name for name, entry in entries.items() if any(place.kind == "trained on" for place in entry.stores)
    ]
    if not with_rollouts:
        empty("None of these runs recorded the rollouts that it was trained on.")
        return
    default = here.entry.name if here.entry.name in with_rollouts else with_rollouts[0]
    columns = st.columns([3, 2])
    name = columns[0].selectbox("Run", with_rollouts, key=address.option("step-run", with_rollouts, default))
    with columns[1]:
        source = st.segmented_control(
            "Source", [BOTH, *SOURCES], key=address.option("source", [BOTH, *SOURCES]), required=True
        )
    entry = entries[name]
    place = next(place for place in entry.stores if place.kind == "trained on")
    runs, trouble = runs_of([entry])
    if not runs:
        notes(trouble)
        return
    rounds = rounds_of(runs[0])
    steps = _steps(rounds, place.rollouts, metrics_of(runs[0]).last_step)
    if not steps:
        empty("Nothing was recorded yet.")
        return
    key = address.option("step", steps)
    label = "Optimiser step"
    step = int(st.select_slider(label, steps, key=key) if len(steps) > 1 else st.selectbox(label, steps, key=key))
    store = store_of(str(place.path))
    chosen = RolloutFilter(min_step=step, max_step=step, source=None if source == BOTH else source, page_size=SHOWN)
    found = page(store, chosen, rounds)
    opened = _opened(address, found)
    if not rounds.exact:
        notes(["The run is not finished: which step a rollout belongs to is taken from its plan for one process."])
    notes(found.notes)
    _list(store, address, found, rounds, step, opened)
    there = {"run": name, "store": place.name, **to_query(chosen.model_copy(update={"page_size": 20}))}
    link("rollouts", f"All {found.total:,} in Rollouts, with every filter", there)


def _steps(rounds: Rounds, rollouts: int, last_step: int | None) -> list[str]:
    """Every optimiser step that has recorded rollouts."""
    last = rounds.step(rollouts - 1) if rollouts else 0
    per_round = max(1, rounds.micro_steps_per_round // rounds.accumulation)
    most = last + per_round - 1 if last else 0
    return [str(step) for step in range(1, (most if last_step is None else max(last, min(most, last_step))) + 1)]


def _opened(address: Address, found: Page) -> str:
    """Address of the rollout that is open, as the URL has it; empty where none of the list is."""
    key = address.text("rollout")
    wanted = str(st.session_state[key])
    if wanted and wanted not in [row.address for row in found.rows]:
        if came_from_outside(address.view):
            address.problems.append(f"rollout = {wanted!r} is not in this list; choose a row to read it.")
        address.set("rollout", "")
    return str(st.session_state[key])


def _list(store: BrowsedStore, address: Address, found: Page, rounds: Rounds, step: int, opened: str) -> None:
    counts = ", ".join(f"{n} {outcome_label(o)}" for o, n in found.by_outcome.items() if n)
    by = ", ".join(f"{n} by the {policy}" for policy, n in found.by_policy.items() if n)
    more = f" The first {SHOWN} are listed." if found.total > SHOWN else ""
    words = f"{found.total} rollouts ({by}): {counts}.{more}"
    st.caption(plain(words))
    if not found.rows:
        return
    key = f"training.steps.list.{store.path}.{step}.{found.filter.source}"
    addresses = [row.address for row in found.rows]
    selected = [addresses.index(opened)] if opened else []
    st.session_state[key] = {"selection": {"rows": selected, "columns": [], "cells": []}}
    rows = list_rows(found)
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        key=key,
        on_select=lambda: _picked(address, key, addresses),
        selection_mode="single-row",
        column_config=column_words(*rows[0]),
    )
    listed = f"{len(rows)} of {found.total} rollouts that optimiser step {step} was trained on."
    lines = caption(provenance_of(store), more=[listed])
    export_table("training.steps", rows, lines)
    show_caption(lines)
    title = f"Rollouts of optimiser step {step}"
    export_report("training.steps", title, lambda: _sections(store, found, rounds, title, words, opened), lines)
    if opened:
        row = found.rows[addresses.index(opened)]
        st.markdown(plain(_row_words(row)))
        rollout = read_rollout(store, row.address, rounds=rounds)
        model_text(rollout.prompt, "training.steps.prompt")
        model_text(rollout.text, "training.steps.text")
    else:
        st.caption("Choose a row to read it.")


def _picked(address: Address, key: str, addresses: list[str]) -> None:
    """A row was chosen, or let go."""
    rows = st.session_state[key]["selection"]["rows"]
    address.set("rollout", addresses[rows[0]] if rows else "")


def _row_words(row: Row) -> str:
    return f"{row.policy}, rollout {row.sample_index} of problem {row.problem_id}: {row.outcome}"


def _sections(store: BrowsedStore, found: Page, rounds: Rounds, title: str, words: str, opened: str) -> list[Section]:
    """The list, and the rollout that is open in it."""
    table = TableItem(list_rows(found), f"{len(found.rows)} of {found.total} rollouts.")
    sections = [Section(title, tables=(table,), texts=(words, *found.notes))]
    for row in found.rows:
        if row.address == opened:
            one = read_rollout(store, row.address, rounds=rounds)
            sections.append(Section(_row_words(row), quotes=(one.prompt, one.text)))
    return sections


def list_rows(found: Page) -> list[dict[str, Any]]:
    """A row per rollout. Cells of a table are text and are never read as anything else."""
    return [
        {
            "source": row.source,
            "problem": row.problem_id,
            "rollout": row.sample_index,
            "outcome": row.outcome,
            "tokens": row.tokens,
            "answer": row.answer,
            "beginning": row.preview,
        }
        for row in found.rows
    ]
