"""The frame around every view: the run picker in the sidebar, the heading that says what is open and in what state.

`run` and `store` stand in the URL of every page. A run that is damaged or of another release can be chosen too: the
page then says what is wrong with it.
"""

from __future__ import annotations

from typing import Literal

import streamlit as st

from parts import address
from parts.runs import Opened, catalog, hold, opened
from parts.safe import plain
from parts.states import stop_empty
from s2l_lab.browse.catalog import HOW_TO_MAKE_ONE, Catalog, RunEntry, StoreEntry

_RUN = "frame.run"
_STATES = {
    "done": ("green", ":material/check:"),
    "being written": ("blue", ":material/edit:"),
    "interrupted": ("orange", ":material/pause:"),
    "failed": ("red", ":material/close:"),
    "empty": ("gray", ":material/inbox:"),
    "older schema": ("orange", ":material/history:"),
    "newer schema": ("orange", ":material/history:"),
    "unreadable": ("red", ":material/broken_image:"),
}


def run_picker() -> None:
    """Draw the sidebar and hold the open run. `dashboard.py` calls it before the page."""
    found, bundled, trouble = catalog()
    with st.sidebar:
        if bundled:
            st.info(plain(trouble), icon=":material/folder_off:")
            st.caption("Meanwhile: the small runs that ship with s2l-lab.")
        if not found.entries:
            hold(None)
            st.caption(plain(found.trouble))
            return
        entry = _run(found)
        place = _place(entry)
        st.caption(plain(found.directory), help="The runs directory; `--runs DIR` or S2L_LAB_RUNS chooses another.")
    hold(Opened(found.directory, bundled, entry, place))
    address.share({"run": entry.name} | ({"store": place.name} if place is not None and place != _first(entry) else {}))


def header(title: str, about: str, needs: Literal["rollouts", "training", "run", "nothing"] = "rollouts") -> Opened:
    """Draw a view's heading and return what is open. Where the run has nothing of what the view needs, the page ends
    with an empty state: `rollouts` is a store that can be read, `training` a training run."""
    st.title(title)
    st.caption(about)
    here = opened()
    if here is None:
        stop_empty("There is no run to look at.", HOW_TO_MAKE_ONE)
        raise AssertionError("st.stop() ends the script")
    if needs == "nothing":
        return here
    _state(here)
    if needs == "rollouts" and (here.place is None or not here.place.rollouts):
        stop_empty(_why_nothing(here.entry), HOW_TO_MAKE_ONE)
    if needs == "training" and here.entry.kind != "training":
        stop_empty("This is no training run; choose one at the left.", "s2l-lab train --help")
    return here


def _run(found: Catalog) -> RunEntry:
    names = [entry.name for entry in found.entries]
    labels = {entry.name: entry.label for entry in found.entries}
    asked = st.query_params.get("run")
    if asked is not None and asked not in names:
        st.warning(f"The address names a run that is not here: {plain(asked)}.", icon=":material/link_off:")
    chosen = _choice(_RUN, asked, address.shared().get("run"), names, _default(found).name)
    st.selectbox(
        "Run",
        names,
        key=f"{_RUN}.widget",
        format_func=lambda name: labels[name],
        help="All runs below the directory.",
        on_change=_keep,
        args=(_RUN,),
    )
    return next(entry for entry in found.entries if entry.name == chosen)


def _place(entry: RunEntry) -> StoreEntry | None:
    first = _first(entry)
    if first is None:
        return None
    names = [place.name for place in entry.stores]
    key = f"frame.store.{entry.name}"
    asked = st.query_params.get("store")
    published = address.shared()
    if asked is not None and asked not in names and asked != published.get("store"):
        st.warning(f"The run has no store {plain(asked)}.", icon=":material/link_off:")
    chosen = _choice(key, asked, published.get("store"), names, first.name)
    if len(names) > 1:
        labels = {p.name: f"{p.name or 'rollouts'}: {p.kind}, {p.rollouts:,} rollouts" for p in entry.stores}
        st.selectbox(
            "Rollouts",
            names,
            key=f"{key}.widget",
            format_func=lambda name: labels[name],
            on_change=_keep,
            args=(key,),
        )
    return next(place for place in entry.stores if place.name == chosen)


def _choice(key: str, asked: str | None, published: str | None, names: list[str], default: str) -> str:
    """What is chosen: the URL's where it came from outside, else what the reader chose. It is kept apart from the
    widget, whose state Streamlit forgets when the page changes."""
    chosen = st.session_state.get(key)
    if asked in names and (asked != published or chosen not in names):
        chosen = asked
    elif chosen not in names:
        chosen = default
    st.session_state[key] = st.session_state[f"{key}.widget"] = chosen
    return str(chosen)


def _keep(key: str) -> None:
    st.session_state[key] = st.session_state[f"{key}.widget"]


def _first(entry: RunEntry) -> StoreEntry | None:
    """The store that is shown unless another is chosen: the first that holds any rollout."""
    return next((place for place in entry.stores if place.rollouts), entry.stores[0] if entry.stores else None)


def _default(found: Catalog) -> RunEntry:
    """The pass@k run that showed life last, for the first view is of those; else any run with rollouts."""
    with_rollouts = [entry for entry in found.entries if entry.readable and entry.rollouts]

    def rank(entry: RunEntry) -> tuple[bool, float]:
        return entry.kind == "pass@k", entry.when.timestamp() if entry.when else 0.0

    return max(with_rollouts or found.entries, key=rank)


def _state(here: Opened) -> None:
    entry = here.entry
    colour, icon = _STATES[entry.state]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(entry.state, icon=icon, color=colour)  # type: ignore[arg-type]
        when = f"{entry.when:%Y-%m-%d %H:%M} UTC" if entry.when else ""
        sizes = f"{entry.problems:,} problems, {entry.rollouts:,} rollouts"
        unverified = f"{entry.unverified:,} without a verdict" if entry.unverified else ""
        words = [entry.name, entry.kind, sizes, unverified, when, entry.detail]
        st.caption(plain(" \u00b7 ".join(word for word in words if word)))
    damaged = here.store.damaged() if here.place is not None else {}
    trouble = [*entry.trouble, *(f"{part} is left out: {why}." for part, why in damaged.items())]
    for words in dict.fromkeys(trouble):
        st.warning(plain(words), icon=":material/warning:")


def _why_nothing(entry: RunEntry) -> str:
    if not entry.readable:
        return f"{entry.name} cannot be read ({entry.state}); the other runs can be chosen at the left."
    if entry.state == "being written":
        return f"{entry.name} holds no rollouts yet; it is being written. Reload in a moment."
    return f"{entry.name} holds no rollouts. Choose another run at the left, or make one."
