"""Heavy numbers on demand: measured when the reader asks, kept for everybody by what they were measured on.

The key of a result holds the store's fingerprint and every argument, so a page that is opened again, here or through a
link in another browser, shows it at once, and a run that has changed is measured anew. Embeddings are kept by text in
the user's cache, never in the runs directory, which the app does not write to.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from s2l_lab.app.parts.safe import plain

KEPT = 24
"""Results that are kept, the ones used last."""
Result = TypeVar("Result")


class _Kept:
    """Results by content, shared by all sessions."""

    def __init__(self) -> None:
        self.results: OrderedDict[Hashable, Any] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, content: Hashable) -> Any:
        with self.lock:
            if content in self.results:
                self.results.move_to_end(content)
            return self.results.get(content)

    def put(self, content: Hashable, result: Any) -> None:
        with self.lock:
            self.results[content] = result
            while len(self.results) > KEPT:
                self.results.popitem(last=False)


@st.cache_resource(show_spinner=False)
def _kept() -> _Kept:
    return _Kept()


def on_demand(
    key: str, label: str, about: str, content: Hashable, make: Callable[[Callable[[str], None]], Result]
) -> Result | None:
    """What `make` gives for this content: at once where somebody had it made, else after the button `label` (fixed
    words), with `about` (plain text) saying what that will take. `make` gets a function that shows a line of progress.
    None until the button is pressed. Raises what `make` raises."""
    result: Result | None = _kept().get(content)
    if result is not None:
        return result
    place = st.empty()
    with place.container(border=True):
        asked = st.button(label, key=key, type="primary", icon=":material/calculate:")
        st.caption(plain(about))
    if not asked:
        return None
    with place.container(border=True), st.status(label, expanded=True) as status:
        result = make(lambda line: status.write(plain(line)))
        status.update(label="Done", state="complete")
    _kept().put(content, result)
    place.empty()
    return result


def embeddings_folder() -> Path:
    """Where embeddings are kept by text."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "s2l-lab" / "embeddings"
