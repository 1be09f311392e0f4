"""The figures of the Family view: records of `s2l_lab.browse` in, plotly figures out; nothing is computed here.

They stretch with the page and leave background and text colours to its light or dark theme; the same records are drawn
for print by `s2l_lab.figures`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from parts.look import NEUTRAL
from s2l_lab.browse.family_curves import Covers, Family, Recorded, drawn
from s2l_lab.browse.solve_rates import SolveRates
from s2l_lab.estimators import Comparison, Curve
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.cover import cover_hover
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import RAMP, translucent

HEIGHT = 400
CELL = 24
"""Largest side of a heat map's cell in pixels."""
SHADES = [[place / 8, translucent(RAMP[-1], 0.03 + 0.97 * (place / 8) ** 0.5)] for place in range(9)]
"""Solve rates on any background: from clear to the blue of the largest member, in steps that part small rates."""
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
    family: Family, colours: Mapping[str, str], known: Mapping[str, Recorded], *, flops: bool, guesses: bool
) -> Any:
    """pass@k over k, or over the FLOPs of k rollouts; ribbons are the curves' intervals, dotted lines the guessers."""
    figure = go.Figure()
    for name, curve in ((name, drawn(curve)) for name, curve in family.curves.items()):
        scale = known[name].flops_per_rollout if flops else 1.0
        x = curve.k * scale
        colour = colours[name]
        _ribbon(figure, x, curve.lower, curve.upper, translucent(colour, 0.16), name)
        if np.any(curve.bound_low != curve.bound_high):
            _ribbon(figure, x, curve.bound_low, curve.bound_high, translucent(colour, 0.4), name)
        y = np.where(np.isfinite(curve.value), curve.value, (curve.bound_low + curve.bound_high) / 2)
        figure.add_scatter(
            x=x, y=y, mode="lines+markers" if len(x) <= 8 else "lines", name=markup(shortened(name, _NAME)),
            legendgroup=name, line={"color": colour, "width": 2.4}, hoverinfo="text",
            hovertext=_hover(name, curve, scale),
        )  # fmt: skip
        if guesses and name in known:
            _guesses(figure, name, known[name], scale, colour)
    _look(figure, "FLOPs of k rollouts (log scale)" if flops else "k (log scale)", "pass@k")
    figure.update_xaxes(type="log")
    if not flops:
        _log_k(figure, family.n_rollouts)
    figure.update_yaxes(rangemode="tozero")
    return figure


def cover_figure(covers: Covers, colours: Mapping[str, str]) -> Any:
    """Cover@tau: solid smoothed, dashed the likeliest, dotted the plug-in share, ribbon the exact bounds."""
    figure = go.Figure()
    for name, cover in ((name, drawn(cover)) for name, cover in covers.curves.items()):
        colour = colours[name]
        _ribbon(figure, cover.tau, cover.bounds_lower, cover.bounds_upper, translucent(colour, 0.08), name)
        for values, dash in ((cover.plug_in, "dot"), (cover.npmle, "dash")):
            figure.add_scatter(
                x=cover.tau, y=values, mode="lines", legendgroup=name, showlegend=False, hoverinfo="skip",
                line={"color": colour, "width": 1.3, "dash": dash},
            )  # fmt: skip
        figure.add_scatter(
            x=cover.tau, y=cover.smoothed, mode="lines", name=markup(shortened(name, _NAME)), legendgroup=name,
            line={"color": colour, "width": 2.2}, hoverinfo="text", hovertext=cover_hover(name, cover),
        )  # fmt: skip
    _look(figure, "tau, least solve rate", "share of problems")
    figure.update_yaxes(rangemode="tozero")
    return figure


def difference_figure(comparison: Comparison) -> Any:
    """b's pass@k minus a's, its pointwise interval, the band that the verdict rests on, a diamond at a crossing."""
    figure, c = go.Figure(), drawn(comparison)
    _ribbon(figure, c.k, c.band_lower, c.band_upper, translucent(NEUTRAL, 0.18), "band")
    _ribbon(figure, c.k, c.lower, c.upper, translucent(NEUTRAL, 0.28), "interval")
    ends = zip(c.k, c.value, c.lower, c.upper, c.band_lower, c.band_upper, strict=True)
    hover = [
        f"pass@{k}: {d:+.3f} [{low:+.3f}, {high:+.3f}]<br>simultaneous band [{b_low:+.3f}, {b_high:+.3f}]"
        for k, d, low, high, b_low, b_high in ends
    ]
    middle = np.where(np.isfinite(c.value), c.value, (c.bound_low + c.bound_high) / 2)
    line = {"color": NEUTRAL, "width": 2.4}
    figure.add_scatter(x=c.k, y=middle, mode="lines", line=line, hoverinfo="text", hovertext=hover, showlegend=False)
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
    if c.crossing.k is not None and c.crossing.k_set is not None:
        low, high = c.crossing.k_set[0], c.crossing.k_set[1] or int(c.k[-1])
        figure.add_scatter(x=[low, high], y=[0, 0], mode="lines", line={"color": NEUTRAL, "width": 5}, showlegend=False)
        figure.add_scatter(
            x=[c.crossing.k], y=[0], mode="markers", marker={"symbol": "diamond", "size": 12, "color": NEUTRAL},
            hoverinfo="text", hovertext=[markup(crossing_words(c))], showlegend=False,
        )  # fmt: skip
    b, a = (markup(shortened(name, _NAME)) for name in (c.b, c.a))
    _look(figure, "k (log scale)", f"{b} \u2212 {a}", height=300)
    _log_k(figure, int(c.k[-1]))
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


def _guesses(figure: Any, name: str, known: Recorded, scale: float, colour: str) -> None:
    kinds = ((known.uniform, "uniform guess", NEUTRAL), (known.own_answers, "its answers to other problems", colour))
    for values, words, shade in kinds:
        if values:
            figure.add_scatter(
                x=[k * scale for k in values], y=list(values.values()), mode="lines", legendgroup=name,
                showlegend=False, line={"color": shade, "width": 1.4, "dash": "dot"}, hoverinfo="text",
                hovertext=[f"{markup(name)}: {words}<br>pass@{k} = {value:.3f}" for k, value in values.items()],
            )  # fmt: skip


def _hover(name: str, curve: Curve, scale: float) -> list[str]:
    rows = []
    for i, k in enumerate(curve.k):
        ends = f"[{curve.lower[i]:.3f}, {curve.upper[i]:.3f}]"
        value = (
            f"pass@{k} = {curve.value[i]:.3f} {ends}"
            if math.isfinite(curve.value[i])
            else f"pass@{k} between {curve.bound_low[i]:.3f} and {curve.bound_high[i]:.3f} {ends}"
        )
        flops = "" if scale == 1.0 else f"<br>{k * scale:.3g} FLOPs"
        rows.append(
            f"<b>{markup(name)}</b><br>{value}{flops}<br>{curve.level:.0%} interval, resampled: {curve.interval}<br>"
            f"{markup(curve.method[i])}<br>n = {curve.n_problems} problems, N = {curve.n_rollouts}"
        )
    return rows


def _ribbon(
    figure: Any, x: NDArray[Any], lower: NDArray[np.float64], upper: NDArray[np.float64], colour: str, group: str
) -> None:
    known = np.isfinite(lower) & np.isfinite(upper)
    xs, low, high = (np.asarray(values)[known] for values in (x, lower, upper))
    figure.add_scatter(
        x=[*xs, *xs[::-1]], y=[*low, *high[::-1]], fill="toself", fillcolor=colour, mode="lines",
        line={"width": 0, "color": colour}, hoverinfo="skip", showlegend=False, legendgroup=group,
    )  # fmt: skip


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
