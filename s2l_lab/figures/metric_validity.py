"""What does each diversity metric follow? The figure and numbers of the metric-validity study.

A row per metric. Dots: rank correlation with the number of strategies, of phrasings, and with free step order, each
with its interval over designed items. Bars: shares of the metric's variance, noise taken off. Words: the mark that
stands beside the metric's name everywhere else.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.estimators.display import reading
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.dots import DotRow, draw_dots, estimate_dot, places_of
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import study_numbers
from s2l_lab.figures.palette import FACTORS, INK
from s2l_lab.figures.panel import Axis
from s2l_lab.figures.within_panels import mark_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.diversity.validity import Validity
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.metric_validity import MetricValidity

WIDTH = 1240
CAPTION_CHARACTERS = 190
LEFT, TOP = 250.0, 124.0
PITCH, PLOT = 172.0, 142.0
BARS = 270.0
FACTOR_WORDS = {"strategies": "strategies", "phrasing": "phrasing", "order": "step order", "rest": "rest"}
LABEL_CHARACTERS = 36


def metric_validity_figure(result: MetricValidity, about: Sequence[str]) -> Any:
    """The plotly Figure. `about` ends the caption: the design, n and the interval, then the details."""
    key = " \u00a0 ".join(f'<span style="color:{c}">\u25cf</span> {FACTOR_WORDS[f]}' for f, c in FACTORS.items())
    canvas = Canvas(WIDTH, "What does each diversity metric follow?", key)
    for column, factor in enumerate(("strategies", "phrasing", "order")):
        rows = [_row(name, found, factor) for name, found in result.metrics.items()]
        heads = f"follows {FACTOR_WORDS[factor]}", "rank correlation"
        axis = Axis("", -1.15, 1.15, ticks=(-1.0, -0.5, 0.0, 0.5, 1.0))
        characters = 0 if column else LABEL_CHARACTERS
        corner = LEFT + PITCH * column, TOP
        draw_dots(canvas, corner, PLOT, heads, rows, axis, label_characters=characters, rule=0.0)
    _draw_shares(canvas, result)
    lines = [*_caption(result), *about]
    return canvas.finish([markup(line) for line in wrapped(lines, CAPTION_CHARACTERS)])


def metric_validity_numbers(result: MetricValidity, about: Sequence[str]) -> dict[str, Any]:
    """The study for programs: schema 1, plain JSON values; `metrics` holds every metric's record with its mark."""
    return study_numbers(
        "metric-validity",
        about,
        n_items=result.n_items,
        replicates=result.replicates,
        rollouts_per_cell=result.rollouts_per_cell,
        embedding=result.embedding,
        metrics=dict(result.metrics),
    )


def _row(name: str, found: Validity, factor: str) -> DotRow:
    estimate: Estimate = getattr(found, factor).follows
    dot = estimate_dot(f"{METRICS[name].title}: {FACTOR_WORDS[factor]}", estimate, FACTORS[factor], unit="items")
    return DotRow(METRICS[name].title, (dot,), group=METRICS[name].level)


def _draw_shares(canvas: Canvas, result: MetricValidity) -> None:
    """Bars of the shares of variance, and the mark of each metric at its right."""
    rows = [
        DotRow("", (), f'<span style="color:{INK}">{markup(mark_words(found.mark))}</span>', METRICS[name].level)
        for name, found in result.metrics.items()
    ]
    ends = [_stack(found)[-1] for found in result.metrics.values()]
    axis = Axis("", 0.0, max([1.0, *filter(math.isfinite, ends)]) * 1.01, ticks=(0.0, 0.25, 0.5, 0.75, 1.0))
    heads = "share of its variance", "by factor; rest: noise and interaction"
    panel = draw_dots(canvas, (LEFT + 3 * PITCH + 6, TOP), BARS, heads, rows, axis)
    places = places_of(rows)
    for (name, found), place in zip(result.metrics.items(), places, strict=True):
        shares = _shares(found)
        hover = [
            f"<b>{markup(METRICS[name].title)}</b>",
            *(f"{FACTOR_WORDS[f]}: {reading(e.value, e.lower, e.upper)}" for f, e in shares.items()),
        ]
        hover += [f"{100 * next(iter(shares.values())).level:.0f} % CI over items", f"n = {found.n_items} items"]
        for (factor, share), bar in zip(shares.items(), pairwise(_stack(found)), strict=True):
            if share.value > 0:
                look = {"mode": "lines", "width": 13, "name": f"{name}: {factor}"}
                panel.line(np.array(bar), np.full(2, place), FACTORS[factor], ["<br>".join(hover)] * 2, **look)
        if not found.n_items:
            text = f"\u2013 no item: never moves on {found.n_constant}, undefined on {found.n_undefined}"
            panel.note(
                0, 1 - (place + 0.5) / (places[-1] + 1), text, xanchor="left", yanchor="middle", xshift=4, size=11
            )


def _shares(found: Validity) -> dict[str, Estimate]:
    return {
        "strategies": found.strategies.share,
        "phrasing": found.phrasing.share,
        "order": found.order.share,
        "rest": found.rest,
    }


def _stack(found: Validity) -> list[float]:
    """The ends of a metric's bars; a share below 0 has no width."""
    ends = [0.0]
    for share in _shares(found).values():
        ends.append(ends[-1] + max(share.value, 0.0))
    return ends


def _caption(result: MetricValidity) -> list[str]:
    """Caption lines that explain the numbers; the caller adds the design."""
    lines = [
        "Follows: Spearman's correlation of the metric with a factor's level at fixed levels of the others, up = more "
        "diverse, mean over items. Shares: three-way ANOVA within items, noise between replicates taken off; a share "
        "below 0 (chance) has no bar. All rollouts are correct, so the effect of accuracy on a metric is not measured.",
        "A mark needs an interval that excludes 0 and a share of .05 at least; strategies must be followed upwards.",
    ]
    some = {METRICS[name].title: f for name, f in result.metrics.items() if f.n_items and f.n_items < result.n_items}
    if some:
        fewer = "; ".join(f"{title}: {f.n_items}" for title, f in some.items())
        lines.append(
            f"On fewer than the {result.n_items} items, as the metric never moves or is undefined on others: {fewer}."
        )
    return lines
