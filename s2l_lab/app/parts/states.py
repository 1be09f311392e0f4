"""What stands where there is nothing to show, and while something is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from s2l_lab.app.parts.safe import plain
from s2l_lab.errors import S2LError


def empty(words: str, command: str = "", icon: str = ":material/inbox:") -> None:
    """An empty state: why there is nothing (plain text), and the command that makes some."""
    with st.container(border=True):
        st.markdown(f"{icon} {plain(words)}")
        if command:
            st.code(command, language=None)


class PageEndedError(Exception):
    """The page is as it should be and nothing comes below. After `st.stop` nothing could be drawn any more, not even
    above."""


def stop_empty(words: str, command: str = "") -> NoReturn:
    """The same, and nothing below it."""
    empty(words, command)
    raise PageEndedError


@contextmanager
def errors_shown() -> Iterator[None]:
    """An error of ours inside becomes one message on the page; what is drawn already stays, as it does where the page
    ends early."""
    try:
        yield
    except PageEndedError:
        pass
    except S2LError as error:
        st.error(plain(error), icon=":material/error:")


def notes(words: tuple[str, ...] | list[str]) -> None:
    """What a reader should know, one line each (plain text)."""
    for line in words:
        st.caption(f":material/info: {plain(line)}")
