"""The paper's curves at the left and ours at the right, on axes of their own kind: for the explorer's page.

Theirs have no interval and none is drawn. The axes of y are one, so that heights can be compared; those of x are not,
since theirs are prompts or their k and ours are steps or our k. A wide band of ours is cut by the axis rather than
squeeze the lines, which the panel says. Arms have the looks of the printed figures (`palette.arm_looks`), plain GRPO
first. `fig2` and `training_figure` draw the same for print with the verdicts; here is what can be seen at once of
whatever runs exist.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.fig2 import draw_paper
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import arm_looks
from s2l_lab.figures.panel import Traces
from s2l_lab.figures.passk import draw_passk
from s2l_lab.figures.run_curves import BAND_ROOM, CUT, draw_paper_curve, draw_step_curve, is_cut, readable_range

if TYPE_CHECKING:
    from s2l_lab.estimators import Curve
    from s2l_lab.figures.palette import Look
    from s2l_lab.figures.paper import PaperCurve, PaperPanel
    from s2l_lab.training.results import StepCurve

HEIGHT = 420
NAME_CHARACTERS = 44


def passk_beside(
    panel: PaperPanel,
    theirs: tuple[str, str],
    ours: Mapping[str, Curve],
    colours: Mapping[str, str],
) -> Any:
    """pass@k over k: a panel of Figure 2, and our curves. `theirs` are the colours of the small and the large member;
    `colours` those of our policies."""
    top = _top(panel, ours)
    cut = any((curve.upper > top).any() for curve in ours.values())
    title = f"ours: {CUT}" if cut else "ours"
    figure = _panels([f"paper {panel.name}: {panel.benchmark}, {panel.mode}", *([title] if ours else [])])
    draw_paper(
        Traces(figure, legend=NAME_CHARACTERS), panel, dict(zip((panel.small, panel.large), theirs, strict=True))
    )
    draw_passk(Traces(figure, 2, legend=NAME_CHARACTERS), ours, colours)
    figure.update_yaxes(range=[0, top])
    powers = [2**i for i in range(9)]
    ticks = {"tickvals": powers, "ticktext": [str(k) for k in powers], "minor": {"ticks": ""}}
    figure.update_xaxes(type="log", title_text="k (log scale)", **ticks)
    figure.update_yaxes(title_text="pass@k", col=1)
    return figure


def _top(panel: PaperPanel, ours: Mapping[str, Curve]) -> float:
    """The upper end of the axis: room for all lines, and for bands until they would squeeze the lines."""
    lines = [*panel.small_value.tolist(), *panel.large_value.tolist()]
    lines += [value for curve in ours.values() for value in curve.value.tolist() if math.isfinite(value)]
    bands = [value for curve in ours.values() for value in curve.upper.tolist() if math.isfinite(value)]
    most = max(lines)
    return 1.06 * float(min((1 + BAND_ROOM) * most, max([most, *bands])))


def training_beside(theirs: Sequence[PaperCurve], ours: Mapping[str, StepCurve], explores: Mapping[str, bool]) -> Any:
    """pass@1 over training: the paper's series and our arms. `explores` says of each of our arms whether it has an
    explorer."""
    values = [0.0, *(value for series in theirs for value in series.value.tolist())]
    ends = readable_range(ours.values(), values)
    figure = _panels([*(["paper"] if theirs else []), *([_ours_title(ours, ends)] if ours else [])])
    looks = _looks({series.name: series.explores for series in theirs})
    axes = Traces(figure, legend=NAME_CHARACTERS)
    for series in theirs:
        look = looks[series.name]
        draw_paper_curve(axes, series, f"paper {series.name}", look, dash=look.dash, width=2.2, size=7)
    axes = Traces(figure, 2 if theirs else 1, legend=NAME_CHARACTERS)
    looks = _looks({name: explores[name] for name in ours})
    for name, curve in ours.items():
        look, short = looks[name], shortened(name, NAME_CHARACTERS)
        draw_step_curve(axes, curve, short, look.colour, entry=True, dash=look.dash, symbol=look.symbol, size=7)
    if theirs:
        figure.update_xaxes(title_text="thousand prompts", col=1)
    if ours:
        figure.update_xaxes(title_text="optimiser steps", col=2 if theirs else 1)
    figure.update_yaxes(title_text="pass@1", col=1)
    figure.update_yaxes(range=ends)
    return figure


def _looks(explores: Mapping[str, bool]) -> dict[str, Look]:
    """A look for each name: the first that has no explorer is the baseline, further ones follow as they come."""
    baseline = next((name for name in explores if not explores[name]), None)
    return arm_looks(sorted(explores, key=lambda name: name != baseline))


def _ours_title(ours: Mapping[str, StepCurve], ends: Sequence[float] | None) -> str:
    seeds = sorted({curve.n_seeds for curve in ours.values()})
    counts = " to ".join(dict.fromkeys((str(seeds[0]), str(seeds[-1]))))
    words = [f"{counts} seed{'s' if counts != '1' else ''} an arm"]
    words += [CUT] if any(is_cut(curve, ends) for curve in ours.values()) else []
    return f"ours: {'; '.join(words)}"


def _panels(titles: Sequence[str]) -> Any:
    """A panel for each title (plain text), beside each other with one axis of y; one that has nothing is left out."""
    from plotly.subplots import make_subplots

    heads = [markup(title) for title in titles]
    columns = max(1, len(heads))
    figure = make_subplots(1, columns, shared_yaxes="all", subplot_titles=heads, horizontal_spacing=0.06)
    figure.update_layout(
        height=HEIGHT,
        legend={"orientation": "h", "y": -0.2, "x": 0},
        margin={"t": 40, "l": 60, "r": 20, "b": 60},
        hovermode="closest",
    )
    figure.update_annotations(font_size=13)
    return figure
