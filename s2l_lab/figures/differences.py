"""The difference of two policies' pass@k over k, with its pointwise interval and the simultaneous band.

The band is what a crossing's verdict rests on: it holds for all k (and all pairs of the run) at once, so looking for
the best k has been paid for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, INK
from s2l_lab.figures.panel import log2_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.estimators import Comparison
    from s2l_lab.figures.panel import Traces

NAME = 17
"""Characters that a title has for each name."""


def difference_title(comparison: Comparison, colours: Mapping[str, str]) -> str:
    """Markup for "b - a", each name after a dot in its colour."""
    b, a = (
        f'<span style="color:{colours[name]}">\u25cf</span> {markup(shortened(name, NAME))}'
        for name in (comparison.b, comparison.a)
    )
    return f"{b} \u2212 {a}"


def draw_difference(panel: Traces, comparison: Comparison) -> None:
    """Line, pointwise interval, band, and a mark where the verdict is a crossing."""
    c = comparison
    panel.ribbon(c.k, (c.band_lower, c.band_upper), FAINT, 0.15, name="simultaneous band")
    panel.ribbon(c.k, (c.lower, c.upper), FAINT, 0.2, name="pointwise interval")
    if np.any(c.bound_low != c.bound_high):
        panel.ribbon(c.k, (c.bound_low, c.bound_high), FAINT, 0.5, name="bounds")
    ends = log2_axis(int(c.k[-1]))
    panel.line(np.array([ends.low, ends.high]), np.zeros(2), FAINT, width=1.0, name="no difference")
    rows = zip(c.k, c.value, c.lower, c.upper, c.band_lower, c.band_upper, strict=True)
    hover = [
        f"pass@{k}: {d:+.3f} [{low:+.3f}, {high:+.3f}]<br>simultaneous band [{b_low:+.3f}, {b_high:+.3f}]"
        for k, d, low, high, b_low, b_high in rows
    ]
    panel.line(c.k, c.value, INK, hover, name="difference")
    draw_crossing(panel, comparison, height=0.0)


def draw_crossing(panel: Traces, comparison: Comparison, height: float) -> None:
    """A diamond at the crossing and a bar over its confidence set, at this height; nothing for other verdicts."""
    crossing = comparison.crossing
    if crossing.k is None or crossing.k_set is None:
        return
    low, high = crossing.k_set[0], crossing.k_set[1] or int(comparison.k[-1])
    panel.line(np.array([low, high]), np.full(2, height), INK, width=2.0, name="confidence set of k")
    look = {"mode": "markers", "symbol": "diamond", "size": 10, "name": "crossing"}
    panel.line(np.array([crossing.k]), np.array([height]), INK, [markup(crossing_words(comparison))], **look)


def reach(comparisons: Sequence[Comparison]) -> float:
    """Half the height of difference axes that hold all of these: one scale, so that panels compare."""
    ends = [np.abs([c.band_lower, c.band_upper, c.lower, c.upper, c.value]).ravel() for c in comparisons]
    values = np.concatenate(ends or [np.empty(0)])
    values = values[np.isfinite(values)]
    return max(math.ceil(float(values.max()) * 20 - 1e-9) / 20, 0.05) if values.size else 1.0
