"""Text from outside (completions, problems, names, paths, messages) on its way to the screen.

Streamlit reads Markdown, colour directives, mathematics and, if told so, HTML in most of what it is given; nothing of
that may come from a model or a file. Completions stand in `st.code` without a language, which shows text as it is;
words in sentences go through `plain`, where every sign that Markdown might take is escaped. Signs that cannot be seen
or that turn the direction of reading are drawn as their codes, so that what is read is what is stored.
"""

from __future__ import annotations

import re
import unicodedata
from html import escape
from textwrap import dedent

import streamlit as st

SHOWN = 20_000
"""Characters of one text on the screen until the reader asks for all."""
MOST = 400_000
"""Characters that a browser is asked to draw at most; the file has the rest."""
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")
_LINK = re.compile(r"(?i)(https?:|www\.|@(?=[-\w]+\.\w))")


def visible(text: str) -> str:
    """`text` with control characters, bidirectional overrides and other invisible signs drawn as
    their code, `<U+202E>`; line breaks and tabs stay."""
    return "".join(map(_visible, text))


def _visible(sign: str) -> str:
    if sign in "\n\t" or (sign.isprintable() and sign != "\u2800"):
        return sign
    if unicodedata.category(sign) == "Zs":
        return " "
    return f"<U+{ord(sign):04X}>"


def plain(text: object) -> str:
    """`text` for a place that reads Markdown: shown letter by letter, on one line."""
    words = visible(str(text)).replace("\n", "\u240a").replace("\t", " ")
    # A word joiner keeps Markdown from making an address a link.
    return _SIGNS.sub(r"\\\1", _LINK.sub(lambda found: f"{found[0][0]}\u2060{found[0][1:]}", words))


def html(text: str) -> str:
    """`text` as the content of an HTML element; no tag, entity or attribute of its own takes effect."""
    return escape(visible(text), quote=True)


def model_text(text: str, key: str, height: int | None = None) -> None:
    """A completion or a problem as it is stored: monospaced, wrapped, never read as anything. A long one is cut, and
    says so, until the reader asks for all; beyond MOST characters there is the file."""
    if not text:
        st.caption("The text is empty.")
        return
    limit = SHOWN
    if len(text) > SHOWN:
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.toggle("Show all", key=f"{key}.all"):
                limit = MOST
            drawn = min(limit, len(text))
            st.caption(f"The first {drawn:,} of {len(text):,} characters." if drawn < len(text) else "All characters.")
            st.download_button(
                "Download the text", lambda: text.encode("utf-8", "replace"), "completion.txt", "text/plain",
                key=f"{key}.file", on_click="ignore", icon=":material/download:",
            )  # fmt: skip
    shown = visible(text[:limit])
    st.code(shown, language=None, wrap_lines=True, height=height or "content")
    if shown != dedent(shown).strip():
        st.caption("White space around the text, or before all of its lines, is not drawn.")
