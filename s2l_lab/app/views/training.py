"""Training: what runs logged over steps, by source and with bands over seeds; pass@k while training; the annealing
schedule and what of the explorer arrives in the update; cost; and the rollouts that any step was trained on.

Runs whose plans differ in the seed alone are seeds of one arm. An arm has a panel of its own; sources have
their colours.
"""

from __future__ import annotations

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.runs import Opened, catalog_of
from s2l_lab.app.parts.states import notes, stop_empty
from s2l_lab.app.parts.training_annealing import show_annealing
from s2l_lab.app.parts.training_cost import show_cost
from s2l_lab.app.parts.training_curves import show_curves
from s2l_lab.app.parts.training_data import arms_of, runs_of, training_entries
from s2l_lab.app.parts.training_evaluations import show_evaluations
from s2l_lab.app.parts.training_steps import show_steps
from s2l_lab.browse.catalog import RunEntry

PARTS = {
    "curves": "Metrics over steps",
    "evaluations": "pass@k while training",
    "annealing": "Annealing",
    "cost": "Cost",
    "rollouts": "Rollouts of a step",
}
ABOUT = (
    "What runs logged, by source. Runs whose plans differ in the seed alone are seeds of one arm; a band is about "
    "other seeds, and one seed has none."
)
HOW = "s2l-lab train --help"
MOST_ARMS = 12


def show() -> None:
    """Draw the page."""
    here = header("Training", ABOUT, needs="nothing")
    found = catalog_of(str(here.directory))
    entries = training_entries(found)
    unreadable = [entry for entry in found.entries if entry.kind == "training" and not entry.readable]
    notes([f"{entry.name} is left out: {' '.join(entry.trouble) or entry.state}" for entry in unreadable])
    if not entries:
        stop_empty("There is no training run below this directory.", HOW)
    address = Address("training")
    names = list(entries)
    chosen = st.multiselect("Runs", names, key=address.several("runs", names, default=_default(here, entries)))
    runs, trouble = runs_of([entries[name] for name in chosen])
    notes(trouble)
    part = st.segmented_control(
        "Show", list(PARTS), key=address.option("part", list(PARTS)), format_func=PARTS.__getitem__, required=True
    )
    arms = arms_of(runs)
    if len(arms) > MOST_ARMS:
        notes([f"{len(arms)} arms are chosen; the first {MOST_ARMS} are drawn."])
        arms = arms[:MOST_ARMS]
    if not arms:
        address.publish()
        stop_empty("No run that can be read is chosen.", HOW)
    if part == "rollouts":
        show_steps(here, address, {name: entries[name] for name in chosen})
    else:
        draw = {
            "curves": show_curves,
            "evaluations": show_evaluations,
            "annealing": show_annealing,
            "cost": show_cost,
        }[str(part)]
        draw(address, arms)
    address.report()
    address.publish()


def _default(here: Opened, entries: dict[str, RunEntry]) -> list[str]:
    """The runs that stand in the same folder as the open one; all of them where that is no training run."""
    opened = entries.get(here.entry.name)
    if opened is None:
        return list(entries)
    return [name for name, entry in entries.items() if entry.path.parent == opened.path.parent]


if __name__ == "__main__":  # Streamlit runs the file
    show()
