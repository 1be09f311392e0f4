"""The figures of the Family view: records of `s2l_lab.browse` in, plotly figures out; nothing is computed here.

Curves are drawn as in print (`s2l_lab.figures`); the axes stretch with the page and leave background and text colours
to its light or dark theme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from s2l_lab.app.parts.look import NEUTRAL
from s2l_lab.browse.family_curves import Covers, FamilyCurves, Recorded, drawn
from s2l_lab.browse.solve_rates import SolveRates
from s2l_lab.estimators import Comparison
from s2l_lab.figures.differences import draw_difference
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import RAMP, SHADES
from s2l_lab.figures.panel import Traces
from s2l_lab.figures.passk import Guess, draw_cover, draw_passk

HEIGHT = 400
CELL = 24
"""Largest side of a heat map's cell in pixels."""
CELLS = "Ring: none solved; disc: all solved; square: its shade is the solve rate; dash: no verdict."
"""The forms of the heat map's cells, for its caption: the ends of a shade are not read from the shade."""
_WIDTH = 900
_NAME = 24
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "title": None}


def waiting_figure() -> Any:
    """The axes of pass@k, before there is a curve."""
    figure = go.Figure()
    _look(figure, "k", "pass@k")
    return figure


def curves_figure(
    family: FamilyCurves, colours: Mapping[str, str], known: Mapping[str, Recorded], *, flops: bool, guesses: bool
) -> Any:
    """pass@k over k, or over the FLOPs of k rollouts; ribbons are the curves' intervals, dotted lines the guessers."""
    figure = go.Figure()
    curves = {name: drawn(curve) for name, curve in family.curves.items()}
    floors = [
        Guess(name, np.array(list(values)), np.array(list(values.values())), uniform=uniform)
        for name in (curves if guesses else ())
        if name in known
        for values, uniform in ((known[name].uniform, True), (known[name].own_answers, False))
        if values
    ]
    per_rollout = {name: known[name].flops_per_rollout for name in curves} if flops else None
    draw_passk(Traces(figure, legend=_NAME), curves, colours, guesses=floors, flops=per_rollout)
    _look(figure, "FLOPs of k rollouts (log scale)" if flops else "k (log scale)", "pass@k")
    figure.update_xaxes(type="log")
    if not flops:
        _log_k(figure, family.n_rollouts)
    figure.update_yaxes(rangemode="tozero")
    return figure


def cover_figure(covers: Covers, colours: Mapping[str, str]) -> Any:
    """Cover@tau: solid smoothed, dashed the likeliest, dotted the plug-in share, ribbon the exact bounds."""
    figure = go.Figure()
    for name, cover in covers.curves.items():
        draw_cover(Traces(figure, legend=_NAME), name, drawn(cover), colours[name])
    _look(figure, "tau, least solve rate", "share of problems")
    figure.update_yaxes(rangemode="tozero")
    return figure


def difference_figure(comparison: Comparison) -> Any:
    """b's pass@k minus a's, its pointwise interval, the band that the verdict rests on, a diamond at a crossing."""
    figure = go.Figure()
    draw_difference(Traces(figure), drawn(comparison))
    b, a = (markup(shortened(name, _NAME)) for name in (comparison.b, comparison.a))
    _look(figure, "k (log scale)", f"{b} \u2212 {a}", height=300)
    _log_k(figure, int(comparison.k[-1]))
    figure.update_layout(showlegend=False)
    return figure


def heat_figure(rates: SolveRates, start: int = 0) -> Any:
    """Solve rates as markers, one column per problem and one row per policy, large policies on top. `customdata` of a
    point is (problem id, policy). CELLS says what forms they have."""
    wide, high = len(rates.problem_ids), len(rates.policies)
    rate_PM, lower_PM, upper_PM = rates.rate_PM, rates.lower_PM, rates.upper_PM
    xs, ys, symbols, colour, hover, data = [], [], [], [], [], []
    for p, problem in enumerate(rates.problem_ids):
        for m, policy in enumerate(rates.policies):
            xs.append(start + p + 1)
            ys.append(m)
            rate = float(rate_PM[p, m])
            symbols.append(_cell(rate))
            colour.append(rate if math.isfinite(rate) else 0.0)
            data.append((problem, policy))
            counts = f"{rates.correct_PM[p, m]} of {rates.total_PM[p, m]} correct"
            ends = (
                f"{rate:.0%} [{lower_PM[p, m]:.0%}, {upper_PM[p, m]:.0%}] Jeffreys 95 %, these problems, other rollouts"
            )
            said = f"{counts}<br>{ends}" if math.isfinite(rate) else "no verified rollouts"
            unknown = f"<br>{rates.unknown_PM[p, m]} without a verdict" if rates.unknown_PM[p, m] else ""
            hover.append(
                f"<b>{markup(policy)}</b>, problem {markup(problem)}<br>{said}{unknown}<br><i>click to read</i>"
            )
    size = max(4, min(CELL, math.floor(_WIDTH / max(wide, 1)) - 1))
    figure = go.Figure(
        go.Scatter(
            x=xs, y=ys, mode="markers", hoverinfo="text", hovertext=hover, customdata=data, showlegend=False,
            marker={
                "symbol": symbols, "size": size, "color": colour, "colorscale": SHADES, "cmin": 0, "cmax": 1,
                "line": {
                    "width": [1 if symbol == "square" else 2 for symbol in symbols],
                    "color": [RAMP[-1] if symbol == "circle" else NEUTRAL for symbol in symbols],
                },
                "colorbar": {"title": {"text": "solve rate"}, "tickformat": ".0%", "thickness": 10, "len": 1.0},
            },
            unselected={"marker": {"opacity": 1}},
        )
    )  # fmt: skip
    _look(figure, "problem (place in this order)", "", height=max(170, 110 + (size + 8) * high))
    names = [markup(shortened(name, _NAME)) for name in rates.policies]
    figure.update_yaxes(
        tickvals=list(range(high)), ticktext=names, range=[-0.6, high - 0.4], showgrid=False, zeroline=False
    )
    figure.update_xaxes(range=[start + 0.2, start + wide + 0.8], showgrid=False)
    return figure


def _cell(rate: float) -> str:
    """plotly's symbol of a solve rate, 0 to 1 or NaN. The filling of a circle at 0 is clear, which makes a ring."""
    if math.isnan(rate):
        return "line-ew"
    return "circle" if rate in (0, 1) else "square"


def _log_k(figure: Any, most: int) -> None:
    powers = [2**i for i in range(most.bit_length()) if 2**i <= most]
    figure.update_xaxes(type="log", tickvals=powers, ticktext=[str(k) for k in powers])


def _look(figure: Any, x: str, y: str, height: int = HEIGHT) -> None:
    figure.update_layout(
        height=height, margin={"l": 8, "r": 8, "t": 34, "b": 8}, legend=_LEGEND, hovermode="closest",
        hoverlabel={"align": "left"}, dragmode=False,
    )  # fmt: skip
    figure.update_xaxes(title={"text": x}, automargin=True)
    figure.update_yaxes(title={"text": y}, automargin=True)
