"""A plotly figure whose panels are placed in pixels, with one look for all figures.

plotly sizes panels as fractions of whatever margins leave, so a longer caption would squeeze the curves. Here a panel
is a box in pixels from the top left corner, and the figure grows with its caption.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import FAINT, INK
from s2l_lab.figures.panel import Axis, Box, Panel
from s2l_lab.studies.study import DETAILS

if TYPE_CHECKING:
    from collections.abc import Sequence

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"
CAPTION_LINE = 17
"""Pixels from one caption line to the next."""


class Canvas:
    """A figure under construction: `width` in pixels, `title` plain text; its height follows from what is put on it."""

    def __init__(self, width: int, title: str, subtitle: str = "") -> None:
        import plotly.graph_objects as go

        self.figure: Any = go.Figure()
        self.width = width
        self._panels: list[Panel] = []
        self._texts: list[tuple[float, float, dict[str, Any]]] = []
        self._bottom = 0.0
        self.figure.layout.meta = {"title": title}
        self.text(24, 16, f"<b>{markup(title)}</b>", size=19)
        if subtitle:
            self.text(24, 43, subtitle, size=13, color=FAINT)

    def text(self, left: float, top: float, text: str, size: int = 13, color: str = INK) -> None:
        """Text (plotly markup, already escaped) whose top left corner is at this pixel."""
        style = {"text": text, "font": {"size": size, "color": color}, "align": "left"}
        self._texts.append((left, top, style | {"showarrow": False, "xanchor": "left", "yanchor": "top"}))
        lines = text.count("<br>") + 1
        self._bottom = max(self._bottom, top + lines * size * 1.35)

    def panel(self, box: Box, title: str, about: str, x: Axis, y: Axis) -> Panel:
        """A panel whose plot area is the box (left, top, width, height) in pixels; title and `about` stand above it."""
        panel = Panel(self.figure, len(self._panels) + 1, box, x, y)
        self._panels.append(panel)
        left, top, _, height = box
        self.text(left, top - 42, f"<b>{title}</b>", size=14)
        self.text(left, top - 23, about, size=12, color=FAINT)
        self._bottom = max(self._bottom, top + height + 44)
        return panel

    def finish(self, caption: Sequence[str]) -> Any:
        """The plotly figure, with the caption (plain lines, escaped by the caller) below everything.

        From the line on that begins with DETAILS, the caption is set smaller.
        """
        top = self._bottom + 14
        first = next((i for i, line in enumerate(caption) if line.startswith(DETAILS)), len(caption))
        small = [f'<span style="font-size:10px">{"<br>".join(caption[first:])}</span>'] if caption[first:] else []
        self.text(24, top, "<br>".join([*caption[:first], *small]), size=12, color=FAINT)
        height = math.ceil(top + len(caption) * CAPTION_LINE + 14)
        for panel in self._panels:
            panel.hold()
            panel.place(self.width, height)
        for left, from_top, style in self._texts:
            x, y = left / self.width, 1 - from_top / height
            self.figure.add_annotation(xref="paper", yref="paper", x=x, y=y, **style)
        self.figure.update_layout(
            width=self.width,
            height=height,
            margin={"l": 0, "r": 0, "t": 0, "b": 0},
            paper_bgcolor="white",
            plot_bgcolor="white",
            showlegend=False,
            font={"family": FONT, "size": 13, "color": INK},
            hoverlabel={"bgcolor": "white", "font": {"family": FONT, "size": 13}, "align": "left"},
            hovermode="closest",
        )
        return self.figure
