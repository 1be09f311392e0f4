"""The frame around every view: the run picker in the sidebar, the heading that says what is open and in what state.

`run`, `store` and `verifier` stand in the URL of every page. A run that is damaged or of another release can be chosen
too: the page then says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import streamlit as st

from s2l_lab.app.parts import address
from s2l_lab.app.parts.runs import Opened, catalog, hold, opened, store_of
from s2l_lab.app.parts.safe import plain
from s2l_lab.app.parts.states import stop_empty
from s2l_lab.browse.catalog import HOW_TO_MAKE_ONE, Catalog, RunEntry, StoreEntry
from s2l_lab.errors import DataError

_RUN = "frame.run"
_TROUBLE = "frame.trouble"
_VERIFIER = "verifier"
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
            st.caption("Shown instead: the small runs that ship with s2l-lab.")
        if not found.entries:
            hold(None)
            st.caption(plain(found.trouble))
            return
        entry = _run(found)
        place = _place(entry)
        versions = () if place is None else _versions(place)
        version = _version(entry, place, versions) if place is not None else None
        st.caption(
            plain(found.directory), help="Directory of the runs. Choose another one with `--runs DIR` or S2L_LAB_RUNS."
        )
    hold(Opened(found.directory, bundled, entry, place, version))
    shared = {"run": entry.name}
    if place is not None and place != _first(entry):
        shared["store"] = place.name
    if version is not None and version != versions[-1]:
        shared[_VERIFIER] = version
    address.share(shared)


def header(title: str, about: str, needs: Literal["rollouts", "training", "run", "nothing"] = "rollouts") -> Opened:
    """Draw a view's heading and return what is open. Where the run has nothing of what the view needs, the page ends
    with an empty state: `rollouts` is a store that can be read, `training` a training run."""
    st.title(title)
    st.caption(about)
    here = opened()
    if here is None:
        stop_empty("There is no run to look at.", HOW_TO_MAKE_ONE)
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
        help="All runs in the directory.",
        on_change=_keep,
        args=(_RUN,),
    )
    # The sidebar cuts what stands in the box.
    st.caption(plain(labels[chosen]))
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


def _versions(place: StoreEntry) -> tuple[str, ...]:
    """Verifier versions that a store has verdicts of, oldest first."""
    try:
        return store_of(str(place.path)).versions()
    except DataError:  # it is gone since it was listed, which the page says where it needs it
        return ()


def _version(entry: RunEntry, place: StoreEntry, versions: tuple[str, ...]) -> str | None:
    """The version whose verdicts are shown, the newest unless another is chosen; where there is one, no switch."""
    asked = st.query_params.get(_VERIFIER)
    published = address.shared().get(_VERIFIER)
    if asked is not None and asked not in versions and asked != published:
        st.warning(f"The run has no verdicts of verifier version {plain(asked)}.", icon=":material/link_off:")
    if len(versions) < 2:
        return versions[-1] if versions else None
    newest = versions[-1]
    if asked is None and "run" in st.query_params:
        # An address of ours that does not say it means the newest; a bare one is another page of the sidebar's.
        asked = newest
    key = f"frame.verifier.{entry.name}.{place.name}"
    chosen = _choice(key, asked, published or newest, list(versions), newest)
    st.selectbox(
        "Verdicts of verifier",
        list(reversed(versions)),
        key=f"{key}.widget",
        format_func=lambda name: f"{name} (newest)" if name == newest else name,
        help="The store has verdicts of several verifier versions. Family, Rollouts, Compare, the strategy map and "
        "Figure 2 use this one. A diversity study uses its own version and names it; steps of a training run use the "
        "newest.",
        on_change=_keep,
        args=(key,),
    )
    return chosen


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
    said: set[str] = set()
    place = st.container()
    st.session_state[_TROUBLE] = place, said, here
    _say_trouble(place, said, here)


@contextmanager
def damage_named() -> Iterator[None]:
    """Where a page has read more than its heading knew of, name what proved damaged below that heading, also if the
    page ends early."""
    st.session_state.pop(_TROUBLE, None)
    try:
        yield
    finally:
        if _TROUBLE in st.session_state:
            _say_trouble(*st.session_state[_TROUBLE])


def _say_trouble(place: st.delta_generator.DeltaGenerator, said: set[str], here: Opened) -> None:
    """What is wrong with the run and its store, as far as anyone has read it, and was not said yet: each part once,
    though the catalog and the store may have stumbled over it in different places."""
    damaged = here.store.damaged() if here.place is not None else {}
    trouble = [*here.entry.trouble, *(f"{part} is left out: {why}." for part, why in damaged.items())]
    for words in trouble:
        what = words.partition(" is left out")[0]
        if what not in said:
            place.warning(plain(words), icon=":material/warning:")
            said.add(what)


def _why_nothing(entry: RunEntry) -> str:
    if not entry.readable:
        return f"{entry.name} cannot be read ({entry.state}); the other runs can be chosen at the left."
    if entry.state == "being written":
        return f"{entry.name} holds no rollouts yet; it is being written. Reload in a moment."
    return f"{entry.name} holds no rollouts. Choose another run at the left, or make one."
