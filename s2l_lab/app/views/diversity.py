"""Diversity: three questions, kept apart. How varied are one policy's rollouts (within), what does a policy add to the
largest one (between), do deviations last along a trajectory (persistence); and the completions of one problem as a map.

Everything is measured by `s2l_lab.studies`, on the first problems and rollouts that the switches name, when the reader
asks for it; this view renders the records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from s2l_lab.app.parts.address import Address
from s2l_lab.app.parts.diversity_between import show_between
from s2l_lab.app.parts.diversity_map import show_map
from s2l_lab.app.parts.diversity_persistence import show_persistence
from s2l_lab.app.parts.diversity_within import show_within
from s2l_lab.app.parts.header import header
from s2l_lab.app.parts.runs import provenance_of
from s2l_lab.app.parts.safe import plain, visible
from s2l_lab.app.parts.states import empty

if TYPE_CHECKING:
    from s2l_lab.app.parts.runs import Opened

PARTS = {
    "within": "Within a policy",
    "between": "Between policies",
    "persistence": "Persistence",
    "map": "Strategy map",
}
ABOUT = (
    "How varied rollouts are, over all of them and over correct ones alone, brought to one number of rollouts. Wrong "
    "answers scatter, more rollouts differ more and longer ones overlap more, so no number stands alone."
)


def show() -> None:
    """Draw the page."""
    here = header("Diversity", ABOUT, needs="rollouts")
    address = Address("diversity")
    part = st.segmented_control(
        "Question", list(PARTS), key=address.option("part", list(PARTS)), format_func=PARTS.__getitem__, required=True
    )
    policies = here.store.policies()
    chosen = st.multiselect(
        "Policies",
        policies,
        key=address.several("policy", policies, default=policies),
        help="Order them from small to large. The last one is the reference for all comparisons.",
    )
    names = tuple(name for name in policies if name in chosen)
    draw = {"within": show_within, "between": show_between, "persistence": show_persistence, "map": show_map}[str(part)]
    if part == "map" or _measurable(here):
        draw(here, address, names)
    address.report()
    address.publish()


def _measurable(here: Opened) -> bool:
    """Whether the store is one that studies read: one law for all rollouts of a policy. Says why not."""
    config = here.store.config()
    if here.place is not None and here.place.kind in ("trained on", "bank"):
        empty(
            "These rollouts were drawn for training, a few of each problem and by a learner that changed meanwhile; "
            "diversity is measured on a pass@k run or on an evaluation. The strategy map works here too.",
        )
        return False
    if "sampling" not in config or "benchmark" not in config:
        empty("The run's configuration does not say how its rollouts were drawn, so they cannot be compared.")
        return False
    if not here.store.versions():
        empty(
            "Nothing is verified here yet. The command that made the run, given again, samples and verifies what is "
            "owed.",
            visible(provenance_of(here.store).again),
        )
        return False
    if damaged := here.store.damaged():
        st.caption(f":material/info: {plain(f'{len(damaged)} damaged parts are left out.')}")
    return True


if __name__ == "__main__":  # Streamlit runs the file
    show()
