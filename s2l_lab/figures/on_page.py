"""A printed figure on a page that is light or dark: ink and paper give way to the page's own, data keep their colours.

Figures of `Canvas` are drawn in dark ink on white. The page (Streamlit's theme for plotly) gives text, grid and paper
its own colours wherever a figure leaves them open, and does so in the browser, also when the reader changes from light
to dark; so they are left open here. Colours of data stay: each has 3 to 1 on white and on near-black. Lines and marks
in ink become FAINT, the grey that has 3 to 1 on both. The white holes of hollow dots (`dots.HOLE`) stay too: nothing of
plotly's gives a mark the page's colour, so the page's style sheet does.
"""

from __future__ import annotations

import re
from typing import Any

from s2l_lab.figures.palette import FAINT, GRID, INK

_TEXT = frozenset({INK, FAINT})
_PAPER = "white"
_FONTS = frozenset({"font", "tickfont", "textfont", "insidetextfont", "outsidetextfont"})
_RULES = frozenset({"gridcolor", "linecolor", "zerolinecolor", "tickcolor", "bordercolor"})
_GROUNDS = frozenset({"paper_bgcolor", "plot_bgcolor", "bgcolor"})
_DATA = frozenset({"x", "y", "customdata", "hovertext", "template", "meta"})
"""What holds no colour of ours and may be large."""
_STYLED = re.compile(rf' style="color:(?:{INK}|{FAINT})"')


def on_page(figure: Any) -> Any:
    """A plotly Figure like this one, with no ink, grid or paper of its own. `figure` stays as it is."""
    import plotly.graph_objects as go

    return go.Figure(_opened(figure.to_dict()))


def _opened(part: Any, place: str = "") -> Any:
    """A part of a figure; `place` is the name of what holds it."""
    if isinstance(part, dict):
        return {
            name: value if name in _DATA else _opened(value, name)
            for name, value in part.items()
            if not _left_open(name, value, place)
        }
    if isinstance(part, list | tuple):
        return [_opened(one, place) for one in part]
    if not isinstance(part, str):
        return part
    return FAINT if part == INK else _STYLED.sub("", part)


def _left_open(name: str, value: Any, place: str) -> bool:
    if not isinstance(value, str):
        return False
    return (
        (name == "color" and place in _FONTS and value in _TEXT)
        or (name in _RULES and value in {GRID, *_TEXT})
        or (name in _GROUNDS and value == _PAPER)
    )
