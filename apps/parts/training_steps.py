"""The rollouts that a step was trained on: choose run, step and source, read any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from parts.address import Address
from parts.export_row import export_table
from parts.look import outcome_label
from parts.runs import Opened, provenance_of, store_of
from parts.safe import model_text, plain
from parts.states import empty, notes
from parts.training_data import metrics_of, runs_of
from s2l_lab.browse.catalog import RunEntry
from s2l_lab.browse.filters import RolloutFilter, to_query
from s2l_lab.browse.metric_words import SOURCES
from s2l_lab.browse.provenance import caption
from s2l_lab.browse.rollout_pages import Page, page, read_rollout
from s2l_lab.browse.rounds import Rounds
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.training_runs import rounds_of

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
    choose = st.select_slider if len(steps) > 1 else st.selectbox
    step = int(choose("Optimiser step", steps, key=address.option("step", steps)))
    store = store_of(str(place.path))
    chosen = RolloutFilter(min_step=step, max_step=step, source=None if source == BOTH else source, page_size=SHOWN)
    found = page(store, chosen, rounds)
    if not rounds.exact:
        notes(["The run is not finished: which step a rollout belongs to is taken from its plan for one process."])
    notes(found.notes)
    _list(store, found, rounds, step)
    st.page_link(
        "views/rollouts.py",
        label=f"All {found.total:,} in Rollouts, with every filter",
        icon=":material/article:",
        query_params={"run": name, "store": place.name} | to_query(chosen.model_copy(update={"page_size": 20})),
    )


def _steps(rounds: Rounds, rollouts: int, last_step: int | None) -> list[str]:
    """Every optimiser step that has recorded rollouts."""
    last = rounds.step(rollouts - 1) if rollouts else 0
    per_round = max(1, rounds.micro_steps_per_round // rounds.accumulation)
    most = last + per_round - 1 if last else 0
    return [str(step) for step in range(1, (most if last_step is None else max(last, min(most, last_step))) + 1)]


def _list(store: BrowsedStore, found: Page, rounds: Rounds, step: int) -> None:
    counts = ", ".join(f"{n} {outcome_label(o)}" for o, n in found.by_outcome.items() if n)
    by = ", ".join(f"{n} by the {policy}" for policy, n in found.by_policy.items() if n)
    more = f" The first {SHOWN} are listed." if found.total > SHOWN else ""
    st.caption(plain(f"{found.total} rollouts ({by}): {counts}.{more}"))
    if not found.rows:
        return
    event = st.dataframe(
        list_rows(found),
        hide_index=True,
        width="stretch",
        key=f"training.steps.list.{store.path}.{step}.{found.filter.source}",
        on_select="rerun",
        selection_mode="single-row",
    )
    lines = caption(provenance_of(store), more=[f"Rollouts that optimiser step {step} was trained on."])
    export_table("training.steps", lambda: list_rows(found), lines)
    picked = (event.get("selection") or {}).get("rows") or []
    if picked:
        row = found.rows[picked[0]]
        st.markdown(plain(f"{row.policy}, rollout {row.sample_index} of problem {row.problem_id}: {row.outcome}"))
        rollout = read_rollout(store, row.address, rounds=rounds)
        model_text(rollout.prompt, "training.steps.prompt")
        model_text(rollout.text, "training.steps.text")
    else:
        st.caption("Choose a row to read it.")


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
