"""Pages of a long list. The page is kept by the caller, so that a link can set it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def pager(pages: int, current: int, key: str, turn: Callable[[int], None]) -> None:
    """Draw the pages 1 to `pages` with `current` chosen; a click calls `turn` before the next run. Nothing for one."""
    if pages < 2:
        return
    # A key for each page: the widget starts from `current` also where a link or a filter has moved it.
    own = f"{key}.{pages}.{current}"
    st.pagination(pages, default=current, key=own, on_change=lambda: turn(int(st.session_state[own])))
