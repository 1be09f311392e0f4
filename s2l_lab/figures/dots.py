"""Rows of dots with interval whiskers: the figure of few numbers that are to be compared.

A row is a policy or a metric; in it stand one or several dots, one below the other, as conditions. A dot that is
undefined is a dash with the reason in its place, and one without an interval says so: a gap that nobody explains reads
as an oversight, or as 0. Every number arrives with its record and is drawn as it stands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.estimators.display import reading
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, INK
from s2l_lab.figures.panel import Axis, Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.canvas import Canvas

ROW = 22.0
"""Pixels from one row to the next, for rows of one dot."""
SECOND = 12.0
"""Pixels that a row grows by for every further dot."""
GROUP_GAP = 0.45
"""Rows of space between two groups."""
MARKER = 9
HOLE = "#ffffff"
"""Hides the whisker behind a hollow dot; `page` gives it the page's colour on a dark one."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One number with its interval and its look. Texts are markup, already escaped."""

    name: str
    """Name of the dot's trace."""
    value: float
    lower: float
    upper: float
    colour: str
    hover: str
    symbol: str = "circle"
    hollow: bool = False
    absent: str = ""
    """Text that replaces an undefined value (after a dash), or stands beside a value without an interval."""


@dataclass(frozen=True, slots=True)
class DotRow:
    """A line of the panel."""

    label: str
    """Label left of the row, plain text."""
    dots: tuple[Dot, ...]
    text: str = ""
    """Text right of the panel, markup."""
    group: str = ""
    """Name of the row's group; a gap separates groups."""


def estimate_dot(
    name: str,
    estimate: Estimate,
    colour: str,
    *,
    symbol: str = "circle",
    hollow: bool = False,
    why: str = "",
    unit: str = "problems",
) -> Dot:
    """An Estimate as a dot; its hover says what the interval is about, and what is missing where it is undefined.

    `name` is plain text; so is `why`, on why the value is undefined (else its n is said). `unit` is what was resampled,
    for studies whose problems are something else.
    """
    why = why or f"n = {estimate.n_problems} {unit}"
    if math.isfinite(estimate.value):
        why = f"n = {estimate.n_problems}" if estimate.n_problems < 2 else "no interval"
    return Dot(
        name=markup(name),
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        colour=colour,
        hover="<br>".join([f"<b>{markup(name)}</b>", *(markup(words) for words in estimate_words(estimate, unit))]),
        symbol=symbol,
        hollow=hollow,
        absent=markup(why),
    )


def estimate_words(estimate: Estimate, unit: str = "problems") -> list[str]:
    """Value and interval, what was resampled and how, and the counts: plain lines."""
    return [
        reading(estimate.value, estimate.lower, estimate.upper),
        f"{100 * estimate.level:.0f} % CI over {unit}",
        estimate.method,
        f"n = {estimate.n_problems} {unit}, {estimate.n_rollouts:,} rollouts",
    ]


def ends_of(rows: Sequence[DotRow]) -> list[float]:
    """All values and interval ends of these rows, for the range of the axis."""
    return [v for row in rows for dot in row.dots for v in (dot.value, dot.lower, dot.upper)]


def places_of(rows: Sequence[DotRow]) -> list[float]:
    """The position of each row on the y axis of `draw_dots`, from the top, with gaps between groups."""
    places: list[float] = []
    for i, row in enumerate(rows):
        gap = GROUP_GAP if i and row.group != rows[i - 1].group else 0.0
        places.append(places[-1] + 1 + gap if i else 0.0)
    return places


def height_of(rows: Sequence[DotRow], room: int = 1) -> float:
    """Pixels of a panel with these rows; `room` is the least number of dots that a row has room for."""
    return ROW * (places_of(rows)[-1] + 1) * _stretch(rows, room) if rows else ROW


def draw_dots(
    canvas: Canvas,
    corner: tuple[float, float],
    width: float,
    heads: tuple[str, str],
    rows: Sequence[DotRow],
    x: Axis,
    *,
    label_characters: int = 0,
    rule: float | None = None,
    band: tuple[float, float] | None = None,
    room: int = 1,
) -> Panel:
    """A panel of rows, the first on top. `corner` is left and top of the plot area in pixels; `heads` are markup.

    `label_characters` > 0 writes the labels left of the panel. `rule` is a reference value, `band` its interval;
    `room` as in `height_of`.
    """
    places = places_of(rows)
    foot = (places[-1] if places else 0.0) + 0.5
    y = Axis("", foot, -0.5, ticks=())
    panel = canvas.panel((*corner, width, height_of(rows, room)), *heads, x, y)
    if band is not None and all(map(math.isfinite, band)):
        ends = np.full(2, foot), np.full(2, -0.5)
        panel.ribbon(np.array(band), ends, FAINT, 0.18, name="reference interval")
    if rule is not None and any(math.isfinite(dot.value) for row in rows for dot in row.dots):
        panel.line(np.array([rule, rule]), np.array([foot, -0.5]), FAINT, width=1.2, dash="dot", name="reference")
    for row, place in zip(rows, places, strict=True):
        middle = 1 - (place + 0.5) / (foot + 0.5)
        if label_characters:
            label = markup(shortened(row.label, label_characters))
            panel.note(0, middle, label, xanchor="right", yanchor="middle", xshift=-8, color=INK)
        if row.text:
            panel.note(1, middle, row.text, xanchor="left", yanchor="middle", xshift=6, size=11)
        for dot, at in zip(row.dots, _offsets(place, len(row.dots), _stretch(rows, room)), strict=True):
            _draw(panel, dot, at, foot)
    return panel


def _draw(panel: Panel, dot: Dot, at: float, foot: float) -> None:
    """One dot with its whisker, or the dash with the reason."""
    there = math.isfinite(dot.value)
    whisker = there and math.isfinite(dot.lower) and math.isfinite(dot.upper)
    if whisker:
        ends = np.array([dot.lower, dot.upper])
        panel.line(ends, np.full(2, at), dot.colour, width=1.8, mode="lines", name=f"{dot.name}: interval")
    if there:
        size = MARKER if dot.symbol == "circle" else MARKER + 2
        look: dict[str, Any] = {"mode": "markers", "symbol": dot.symbol, "size": size, "name": dot.name}
        if dot.hollow:
            panel.line(np.array([dot.value]), np.array([at]), HOLE, **look | {"name": f"{dot.name}: hole"})
            look["symbol"] = f"{dot.symbol}-open"
        panel.line(np.array([dot.value]), np.array([at]), dot.colour, [dot.hover], **look)
    if not whisker and dot.absent:
        place = panel.x.position(dot.value) if there else 0.0
        side = {"xanchor": "right", "xshift": -8} if place > 0.5 else {"xanchor": "left", "xshift": 8 if there else 4}
        text = dot.absent if there else f'<span style="color:{dot.colour}">\u2013</span> {dot.absent}'
        panel.note(place, 1 - (at + 0.5) / (foot + 0.5), text, yanchor="middle", size=11, **side)


def _stretch(rows: Sequence[DotRow], room: int) -> float:
    """Height of these rows over that of rows of one dot."""
    most = max(room, *(len(row.dots) for row in rows))
    return (ROW + SECOND * (most - 1)) / ROW


def _offsets(place: float, dots: int, stretch: float) -> list[float]:
    """The positions of a row's dots, SECOND pixels apart around its middle."""
    step = SECOND / (ROW * stretch)
    return [place + step * (i - (dots - 1) / 2) for i in range(dots)]
