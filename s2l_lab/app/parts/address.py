"""The URL says what is on the screen: every switch of a view is a query parameter, unless it stands at its default.

A view declares its switches on an `Address`, gives widgets the keys it gets back, and calls `publish` last. Where
the URL is not the one that was published last (a link was followed, or the browser went back), switches take its
values; else they keep what the reader chose. A value that cannot be is reported and left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from s2l_lab.app.parts.safe import plain

SHARED = ("run", "store", "verifier")
"""Parameters of the frame, on every page."""
VIEWS = {
    "family": ("Family", ":material/show_chart:"),
    "rollouts": ("Rollouts", ":material/article:"),
    "compare": ("Compare", ":material/compare_arrows:"),
    "diversity": ("Diversity", ":material/scatter_plot:"),
    "training": ("Training", ":material/model_training:"),
    "paper": ("Paper", ":material/menu_book:"),
    "provenance": ("Provenance", ":material/fingerprint:"),
}
"""Name and icon by file in views/, which is the path in the URL; a visit begins at the first."""
_PUBLISHED = "address.published"
_SHARED = "address.shared"


def view_file(view: str) -> str:
    """The file of a view, by which Streamlit knows its page."""
    return str(Path(__file__).parents[1] / "views" / f"{view}.py")


def current() -> dict[str, list[str]]:
    """The URL's parameters with all their values."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def came_from_outside(view: str) -> bool:
    """Whether the URL is another one than the one this view published last."""
    return bool(st.session_state.get(_PUBLISHED) != (view, current()))


def shared() -> dict[str, str]:
    """The frame's part of the URL: put it in links between views."""
    return dict(st.session_state.get(_SHARED, {}))


def share(parameters: Mapping[str, str]) -> None:
    """Set the frame's part, in the URL at once: a view that ends in an empty state publishes nothing."""
    st.session_state[_SHARED] = dict(parameters)
    there = current()
    wanted = {name: [value] for name, value in parameters.items()}
    if {name: there[name] for name in SHARED if name in there} != wanted:
        # At once: each writing is a place of its own that the browser goes back to.
        st.query_params.from_dict(wanted | {name: values for name, values in there.items() if name not in SHARED})


def publish(view: str, parameters: Mapping[str, Sequence[str] | str]) -> None:
    """Make the URL say the frame's parameters and these."""
    wanted = {name: [value] for name, value in shared().items()} | {
        name: [value] if isinstance(value, str) else [str(item) for item in value]
        for name, value in parameters.items()
        if value or value == ""
    }
    if current() != wanted:
        st.query_params.from_dict(wanted)
    st.session_state[_PUBLISHED] = (view, wanted)


def link(view: str, label: str, parameters: Mapping[str, Sequence[str] | str]) -> None:
    """A link to a view at an address; most go on from `shared`."""
    _, icon = VIEWS[view]
    st.page_link(view_file(view), label=label, icon=icon, query_params=parameters)


def pager(pages: int, current: int, key: str, turn: Callable[[int], None]) -> None:
    """Draw the pages 1 to `pages` of a long list with `current` chosen; a click calls `turn` before the next run, so
    that the caller keeps the page and a link can set it. Nothing for one."""
    if pages < 2:
        return
    # A key for each page: the widget starts from `current` also where a link or a filter has moved it.
    own = f"{key}.{pages}.{current}"
    st.pagination(pages, default=current, key=own, on_change=lambda: turn(int(st.session_state[own])))


class Address:
    """The switches of one view."""

    def __init__(self, view: str, known: Collection[str] = ()) -> None:
        """`known` are parameters that the view reads by itself."""
        self.view = view
        self._known = known
        self.problems: list[str] = []
        """A sentence (plain text) for each parameter that was left out; `report` shows them."""
        self._outside = came_from_outside(view)
        self._url = current()
        self._defaults: dict[str, Any] = {}

    def option(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Key for a widget that chooses one of `options`; do not give the widget a value of its own."""
        return self._declare(name, options[0] if default is None and options else default, options, several=False)

    def several(self, name: str, options: Sequence[str], default: Sequence[str] = ()) -> str:
        """Key for a widget that chooses some of `options` (st.multiselect, multi st.pills). Where a reader empties one
        whose default is not empty, the URL has the parameter with nothing behind it."""
        return self._declare(name, list(default), options, several=True)

    def text(self, name: str, default: str = "") -> str:
        """Key for a text input, or for a value that the view sets itself (`set`)."""
        return self._declare(name, default, None, several=False)

    def switch(self, name: str, default: bool = False) -> str:
        """Key for a toggle or checkbox; the URL says `on` or `off`."""
        key = self._declare(name, "on" if default else "off", ("on", "off"), several=False)
        if not isinstance(st.session_state[key], bool):
            st.session_state[key] = st.session_state[key] == "on"
        return key

    def number(self, name: str, low: int, high: int, default: int) -> str:
        """Key for a widget that holds a whole number from `low` to `high` (st.pagination, st.slider); a larger one in
        the URL becomes the nearest."""
        key = self._declare(name, str(default), None, several=False)
        given = str(st.session_state[key])
        if not (given.isascii() and given.isdigit() and len(given) < 10):
            self.problems.append(f"{name} = {given!r} is no number; {default} is shown.")
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else default
        st.session_state[key] = min(max(number, low), high)
        return key

    def value(self, name: str) -> Any:
        """What the switch stands at."""
        return st.session_state[self.key(name)]

    def set(self, name: str, value: Any) -> None:
        """Set a switch that has no widget on the screen yet."""
        st.session_state[self.key(name)] = value

    def key(self, name: str) -> str:
        """The key of a switch."""
        return f"{self.view}.{name}"

    def report(self) -> None:
        """Say what of the URL was left out. `publish` cleans the URL, so this is said once."""
        unknown = [
            name for name in self._url if name not in self._defaults and name not in SHARED and name not in self._known
        ]
        if self._outside:
            self.problems += [f"The address has a parameter {name!r} that this view does not know." for name in unknown]
        for words in self.problems:
            st.warning(plain(words), icon=":material/link_off:")

    def publish(self, more: Mapping[str, Sequence[str] | str] | None = None) -> None:
        """Write the URL: every switch that is not at its default, and `more`."""
        said: dict[str, Sequence[str] | str] = {}
        for name, default in self._defaults.items():
            value = self.value(name)
            value = ("on" if value else "off") if isinstance(value, bool) else value
            value = str(value) if isinstance(value, int) else value
            if value is not None and value != default:
                said[name] = value if value != [] else ""
        publish(self.view, said | dict(more or {}))

    def _declare(self, name: str, default: Any, options: Sequence[str] | None, *, several: bool) -> str:
        key = self.key(name)
        self._defaults[name] = default
        if self._outside or key not in st.session_state:
            values = self._url.get(name)
            st.session_state[key] = default if values is None else (values if several else values[-1])
        if options is not None:
            st.session_state[key] = self._allowed(name, st.session_state[key], default, options, several=several)
        return key

    def _allowed(self, name: str, value: Any, default: Any, options: Sequence[str], *, several: bool) -> Any:
        if isinstance(value, bool):
            return value
        if several:
            if list(value) in ([], [""]):
                return []
            kept = [item for item in value if item in options]
            if self._outside and len(kept) < len(value):
                lost = next(item for item in value if item not in options)
                self.problems.append(f"{name} = {lost!r} is not there; it was left out.")
            return kept or default
        if value is None or value in options:
            return value if value is not None else default
        if self._outside:
            self.problems.append(f"{name} = {value!r} is not there; {default!r} is shown.")
        return default
