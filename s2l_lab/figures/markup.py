"""Text from outside (policy names, file names, commands) on its way into a figure or a terminal.

plotly reads a few HTML tags in every label and a terminal reads escape sequences; neither may come from a model or a
path.
"""

from __future__ import annotations

from html import escape


def printable(text: str) -> str:
    """`text` with every control character, escape or line break shown as U+FFFD."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def markup(text: str) -> str:
    """`text` for a plotly label: no tag, entity or control character of its own takes effect."""
    return escape(printable(text))


def shortened(text: str, width: int) -> str:
    """`text` in at most `width` characters: the middle gives way, since names of one family differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"
