"""One pair of axes: lines, ribbons and labels, in data units.

`Traces` draws on the axes of any plotly figure, `Panel` on those of a canvas, which places them on the page. There
curves are labelled where they end (`Panel.end_labels`), so that the eye need not travel to a legend; labels that would
overlap are moved apart by as little as possible. Undefined values are gaps, in lines and in ribbons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, GRID, INK, translucent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Box = tuple[float, float, float, float]
"""Left, top, width, height of a plot area, in pixels from the top left corner of the figure."""
LABEL_GAP = 17
"""Least distance in pixels between two end labels."""
LABEL_CHARACTERS = 17
FEW_POINTS = 8
"""Lines of up to so many points show them."""
LONE_WIDTH = 1.012
"""A lone interval's bar reaches from k / this to k * this."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its range in data units, and whether it is a log2 axis of k."""

    title: str
    low: float
    high: float
    log2: bool = False
    ticks: tuple[float, ...] | None = None

    def position(self, value: float) -> float:
        """Where `value` lies between the ends, 0 to 1."""
        if self.log2:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def layout(self) -> dict[str, Any]:
        """plotly's description."""
        look = {
            "title": {"text": self.title, "font": {"size": 13, "color": FAINT}, "standoff": 8},
            "tickfont": {"size": 12, "color": FAINT},
            "gridcolor": GRID,
            "linecolor": GRID,
            "zeroline": False,
            "automargin": False,
            "showline": True,
        }
        if not self.log2:
            return look | {"range": [self.low, self.high], "tickvals": self.ticks, "tickformat": ".2~f"}
        powers = [2**i for i in range(int(math.log2(self.high)) + 1)]
        return look | {
            "type": "log",
            "range": [math.log10(self.low), math.log10(self.high)],
            "tickvals": powers,
            "ticktext": [str(p) for p in powers],
        }


def log2_axis(largest_k: int, title: str = "k") -> Axis:
    """The axis of k = 1 to `largest_k`, with a little air on both sides."""
    return Axis(title, low=1 / 1.06, high=max(largest_k, 2) * 1.06, log2=True)


class Traces:
    """Lines and ribbons on the pair of axes with this number. `legend` is how many characters a name has in the
    figure's legend; 0 where curves are labelled on the axes instead."""

    def __init__(self, figure: Any, number: int = 1, *, legend: int = 0) -> None:
        self._figure = figure
        self._suffix = "" if number == 1 else str(number)
        self._legend = legend

    def line(
        self, x: NDArray[Any], y: NDArray[Any], colour: str, hover: Sequence[str] | None = None, **look: Any
    ) -> None:
        """A line (or markers, by `mode`) that shows `hover` (escaped) at each point; `dash` and `width` style it.

        `name` is markup. `of` is the plain name of the policy that it belongs to, and `entry` says that it stands for
        it in the legend.
        """
        self._figure.add_scatter(
            x=np.asarray(x).tolist(),
            y=_gaps(y),
            mode=look.get("mode", "lines+markers" if hover and len(x) <= FEW_POINTS else "lines"),
            line={"color": colour, "width": look.get("width", 2.4), "dash": look.get("dash", "solid")},
            marker={"color": colour, "size": look.get("size", 6), "symbol": look.get("symbol", "circle")},
            hoverinfo="text" if hover is not None else "skip",
            hovertext=list(hover) if hover is not None else None,
            **self._named(look.get("name", ""), look.get("of", ""), entry=look.get("entry", False)),
        )

    def ribbon(
        self,
        x: NDArray[Any],
        ends: tuple[NDArray[Any], NDArray[Any]],
        colour: str,
        alpha: float,
        name: str,
        of: str = "",
    ) -> None:
        """The area between lower and upper ends; a point without neighbours gets a bar, since it has no area."""
        lower, upper = ends
        xs: list[float | None] = []
        ys: list[float | None] = []
        for run in _runs(np.isfinite(lower) & np.isfinite(upper)):
            there, low, high = x[run], lower[run], upper[run]
            if len(there) == 1:
                there = np.array([there[0] / LONE_WIDTH, there[0] * LONE_WIDTH])
                low, high = np.repeat(low, 2), np.repeat(high, 2)
            xs += [*there.tolist(), *there[::-1].tolist(), None]
            ys += [*low.tolist(), *high[::-1].tolist(), None]
        self._figure.add_scatter(
            x=xs,
            y=ys,
            mode="lines",
            fill="toself",
            fillcolor=translucent(colour, alpha),
            line={"width": 0, "color": colour},
            hoverinfo="skip",
            **self._named(name, of),
        )

    def heat(self, share_RC: NDArray[Any], hover: Sequence[Sequence[str]], shades: Sequence[Any], title: str) -> None:
        """Shares of 0 to 1 as shades, shape (R, C): columns at x = 1, 2, ..., rows at y = 0, 1, ...; NaN is a gap."""
        self._figure.add_heatmap(
            x=list(range(1, share_RC.shape[1] + 1)),
            y=list(range(share_RC.shape[0])),
            z=[_gaps(row) for row in share_RC],
            zmin=0.0,
            zmax=1.0,
            colorscale=list(shades),
            colorbar={
                "title": {"text": title, "font": {"size": 12, "color": FAINT}},
                "tickfont": {"size": 12, "color": FAINT},
                "tickformat": ".0%",
                "thickness": 10,
                "len": 0.8,
            },
            xgap=1,
            ygap=1,
            hoverinfo="text",
            hovertext=[list(row) for row in hover],
            name=title,
            xaxis=f"x{self._suffix}",
            yaxis=f"y{self._suffix}",
        )

    def _named(self, name: str, of: str, *, entry: bool = False) -> dict[str, Any]:
        """The trace's name, axes and place in the legend."""
        said: dict[str, Any] = {"name": name, "xaxis": f"x{self._suffix}", "yaxis": f"y{self._suffix}"}
        if self._legend:
            said |= {"legendgroup": markup(of), "showlegend": entry}
            said |= {"name": markup(shortened(of, self._legend))} if entry else {}
        return said


class Panel(Traces):
    """One pair of axes on a canvas."""

    def __init__(self, figure: Any, number: int, box: Box, x: Axis, y: Axis) -> None:
        super().__init__(figure, number)
        self._box, self.x, self.y = box, x, y

    def place(self, width: float, height: float) -> None:
        """Fix the axes once the canvas has its size."""
        left, top, wide, high = self._box
        x_domain = [left / width, (left + wide) / width]
        y_domain = [1 - (top + high) / height, 1 - top / height]
        axes = {
            f"xaxis{self._suffix}": {"domain": x_domain, "anchor": f"y{self._suffix}", **self.x.layout()},
            f"yaxis{self._suffix}": {"domain": y_domain, "anchor": f"x{self._suffix}", **self.y.layout()},
        }
        self._figure.update_layout(axes)

    def hold(self) -> None:
        """Keep the axes of a panel in which nothing is drawn: plotly.js drops those that no trace is on, and would
        write the panel's notes into the first one."""
        mine = f"x{self._suffix}"
        if all((trace.xaxis or "x") != mine for trace in self._figure.data):
            axes = {"xaxis": mine, "yaxis": f"y{self._suffix}"}
            self._figure.add_scatter(x=[None], y=[None], hoverinfo="skip", showlegend=False, name="", **axes)

    def note(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text (escaped) at a place in the panel, 0 to 1 on both axes."""
        self._figure.add_annotation(
            xref=f"x{self._suffix} domain",
            yref=f"y{self._suffix} domain",
            x=x,
            y=y,
            text=text,
            showarrow=False,
            font={"size": style.pop("size", 12), "color": style.pop("color", FAINT)},
            **style,
        )

    def rule(self, x: float, text: str) -> None:
        """A dotted vertical line at x with a word (escaped) at its foot."""
        place = self.x.position(x)
        axes = {"xref": f"x{self._suffix} domain", "yref": f"y{self._suffix} domain", "layer": "below"}
        self._figure.add_shape(
            type="line", x0=place, x1=place, y0=0, y1=1, line={"color": FAINT, "width": 1, "dash": "dot"}, **axes
        )
        side = {"xanchor": "right", "xshift": -3} if place > 0.5 else {"xanchor": "left", "xshift": 3}
        self.note(place, 0.01, text, yanchor="bottom", size=11, **side)

    def end_labels(self, labels: Sequence[tuple[float, str, str]]) -> None:
        """Labels (y value, plain text, colour of its dot) right of the panel, kept LABEL_GAP pixels apart."""
        height = self._box[3]
        places = [self.y.position(y) * height for y, _, _ in labels]
        for place, (_, text, colour) in zip(spread(places, LABEL_GAP, height), labels, strict=True):
            label = f'<span style="color:{colour}">\u25cf</span> {markup(shortened(text, LABEL_CHARACTERS))}'
            self.note(1, place / height, label, xanchor="left", yanchor="middle", xshift=6, color=INK, size=13)


def spread(places: Sequence[float], gap: float, height: float) -> list[float]:
    """Positions nearest to `places` (pixels, least squares), at least `gap` apart and within 0..height if they fit.

    Order is kept. With the i-th smallest place lowered by i * gap, "at least gap apart" is "not decreasing", so the
    answer is an isotonic regression: neighbours out of order are pooled at their mean.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([places[i] - rank * gap])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    level = [_mean(block) for block in blocks for _ in block]
    top = height - (len(places) - 1) * gap
    result = [0.0] * len(places)
    for rank, i in enumerate(order):
        result[i] = min(max(level[rank], 0.0), max(top, 0.0)) + rank * gap
    return result


def _mean(block: Sequence[float]) -> float:
    return sum(block) / len(block)


def _runs(defined: NDArray[np.bool_]) -> list[slice]:
    """Slices of consecutive True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], defined, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _gaps(values: NDArray[Any]) -> list[float | None]:
    """Values with undefined ones as gaps."""
    return [float(v) if np.isfinite(v) else None for v in values]
