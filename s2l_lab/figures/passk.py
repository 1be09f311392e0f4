"""pass@k drawn: lines, intervals, guessers and crossings by `draw_passk`, and the figure of `s2l-lab passk` around it.

Whether curves cross cannot be read from two ribbons: both policies answer the same problems, so their difference is far
better known than either curve. Hence the lower rows show differences with the simultaneous band that the crossing's
verdict rests on, and the upper panel carries a diamond only where that verdict is `at`. Nothing is computed here: each
number is a field of a record, and a curve is drawn with the interval that it arrives with.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import caption_lines, crossing_words, interval_words, wrapped
from s2l_lab.figures.cover import COVER_LINES, cover_hover
from s2l_lab.figures.differences import difference_title, draw_crossing, draw_difference, reach
from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import FAINT, member_colours
from s2l_lab.figures.panel import Axis, Panel, Traces, log2_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators import Comparison, CoverCurve, Curve
    from s2l_lab.passk.report import PasskReport, PolicyReport

WIDTH = 1160
CAPTION_CHARACTERS = 178
COLUMNS = 3
MOST_PAIRS = 6
"""More pairs than these (five policies or more): only neighbours in size get a panel; the table has every pair."""


@dataclass(frozen=True, slots=True)
class Guess:
    """pass@k of a guesser, which a curve should clear. Arrays have shape (K,)."""

    policy: str
    k: NDArray[Any]
    value: NDArray[Any]
    uniform: bool
    """Whether it draws any answer; else it gives the policy's answers to other problems."""


def draw_passk(
    panel: Traces,
    curves: Mapping[str, Curve],
    colours: Mapping[str, str],
    *,
    guesses: Sequence[Guess] = (),
    comparisons: Sequence[Comparison] = (),
    flops: Mapping[str, float] | None = None,
) -> None:
    """pass@k of every policy by name: ribbons are the curves' intervals, dotted lines the guessers, diamonds crossings.

    Where verdicts are missing the value is a gap between its bounds, never a guess. `comparisons` are those whose
    crossings are marked, over k alone. `flops`, by policy, are those of one rollout: x is then the FLOPs of k rollouts.
    """
    per = dict.fromkeys(colours, 1.0) if flops is None else flops
    for guess in guesses:
        whose = markup(guess.policy)
        who = "uniform guess" if guess.uniform else f"{whose}: its answers to other problems"
        shade = FAINT if guess.uniform else colours[guess.policy]
        hover = [f"{who}<br>pass@{k} = {value:.3f}" for k, value in zip(guess.k, guess.value, strict=True)]
        x = _scaled(guess.k, per[guess.policy])
        panel.line(x, guess.value, shade, hover, dash="dot", width=1.5, name=who, of=guess.policy)
    for policy, curve in curves.items():
        _draw_curve(panel, policy, curve, colours[policy], per[policy])
    for comparison in comparisons:
        if comparison.crossing.k is not None:
            curve = curves[comparison.b]
            draw_crossing(panel, comparison, float(curve.value[curve.k == comparison.crossing.k][0]))


def label_curves(panel: Panel, curves: Mapping[str, Curve], colours: Mapping[str, str]) -> None:
    """Names where the curves end, and a rule at the first k whose interval leans on a prior, which the method says."""
    panel.end_labels([(end_value(curve), name, colours[name]) for name, curve in curves.items()])
    first = next(iter(curves.values()))
    leaning = [int(k) for k, method in zip(first.k, first.method, strict=True) if "prior-dependent" in method]
    if leaning:
        panel.rule(leaning[0], f"k \u2265 {leaning[0]}: prior-dependent intervals")


def curve_ends(curves: Mapping[str, Curve]) -> list[NDArray[np.float64]]:
    """All interval ends of these curves, for the range of the axis."""
    return [ends for c in curves.values() for ends in (c.lower, c.upper, c.bound_low, c.bound_high)]


def draw_cover(panel: Traces, policy: str, cover: CoverCurve, colour: str) -> None:
    """Cover@tau: solid smoothed, dashed the likeliest, dotted the plug-in share, ribbon the exact bounds."""
    name = markup(policy)
    panel.ribbon(cover.tau, (cover.bounds_lower, cover.bounds_upper), colour, 0.08, name=f"{name}: bounds", of=policy)
    for values, dash, what in ((cover.plug_in, "dot", "plug-in"), (cover.npmle, "dash", "likeliest")):
        panel.line(cover.tau, values, colour, dash=dash, width=1.3, name=f"{name}: {what}", of=policy)
    hover = cover_hover(policy, cover)
    panel.line(cover.tau, cover.smoothed, colour, hover, name=f"{name}: smoothed", of=policy, entry=True)


def chosen_curve(policy: PolicyReport, interval: str) -> Curve:
    """The curve whose interval answers `interval`: `problems` or `rollouts`."""
    return policy.curve_problems if interval == "problems" else policy.curve_rollouts


def guesses_of(policies: Sequence[PolicyReport]) -> list[Guess]:
    """The guess references that a report has for these policies."""
    return [
        Guess(policy.name, policy.curve_rollouts.k, value, uniform=value is policy.guess_uniform)
        for policy in policies
        for value in (policy.guess_uniform, policy.guess_own)
        if value is not None
    ]


def end_value(curve: Curve) -> float:
    """The height of a curve's label: its last value or the middle of its last bounds; NaN without data."""
    last = float(curve.value[-1])
    return last if math.isfinite(last) else float(curve.bound_low[-1] + curve.bound_high[-1]) / 2


def curve_axis(arrays: Sequence[NDArray[np.float64]], title: str = "pass@k") -> Axis:
    """The axis in tenths that holds every finite value of `arrays`; it starts at 0 unless all are far from it."""
    values = np.concatenate([np.ravel(a) for a in arrays] or [np.empty(0)])
    values = values[np.isfinite(values)]
    if not values.size:
        return Axis(title, 0.0, 1.0)
    low = math.floor(float(values.min()) * 10) / 10
    low = 0.0 if low < 0.4 else low
    return Axis(title, low, max(math.ceil(float(values.max()) * 10 - 1e-9) / 10, low + 0.1))


def passk_figure(report: PasskReport) -> Any:
    """The plotly Figure of a report; `report.interval` says which curve is drawn."""
    colours = member_colours([policy.name for policy in report.policies])
    counts = f"n = {report.n_problems} problems, N = {report.n_rollouts} rollouts per problem"
    shade = "; the darker and bluer, the larger the policy" if len(report.policies) > 1 else ""
    canvas = Canvas(WIDTH, f"pass@k on {report.benchmark}", counts + shade)
    _draw_curves(canvas, report, colours)
    _draw_cover(canvas, report, colours)
    shown = pairs_shown(report)
    half_height = reach(shown)
    for place, comparison in enumerate(shown):
        _draw_difference(canvas, comparison, place, colours, half_height)
    left_out = len(report.comparisons) - len(shown)
    more = [f"Pairs not drawn: {left_out}; they are in the table and in numbers.json."] if left_out else []
    return canvas.finish([markup(line) for line in wrapped(caption_lines(report, more), CAPTION_CHARACTERS)])


def pairs_shown(report: PasskReport) -> list[Comparison]:
    """The comparisons that get a panel: all up to MOST_PAIRS, else those of neighbours in size."""
    if len(report.comparisons) <= MOST_PAIRS:
        return list(report.comparisons)
    names = [policy.name for policy in report.policies]
    neighbours = set(itertools.pairwise(names))
    return [c for c in report.comparisons if (c.a, c.b) in neighbours]


def _draw_curves(canvas: Canvas, report: PasskReport, colours: dict[str, str]) -> None:
    curves = {policy.name: chosen_curve(policy, report.interval) for policy in report.policies}
    guesses = guesses_of(report.policies)
    level = report.policies[0].curve_problems.level
    about = f"ribbons: {interval_words(level, report.interval)}" + ("; dotted: guess references" if guesses else "")
    y = curve_axis([*curve_ends(curves), *(guess.value for guess in guesses)])
    panel = canvas.panel((72, 112, 520, 370), "pass@k", about, log2_axis(report.n_rollouts, "k (log scale)"), y)
    draw_passk(panel, curves, colours, guesses=guesses, comparisons=report.comparisons)
    label_curves(panel, curves, colours)


def _draw_cover(canvas: Canvas, report: PasskReport, colours: dict[str, str]) -> None:
    panel = canvas.panel(
        (760, 112, 370, 370),
        "Cover@tau",
        COVER_LINES,
        Axis("tau, least solve rate", 0.0, 1.0),
        Axis("share of problems", 0.0, 1.0),
    )
    for policy in report.policies:
        draw_cover(panel, policy.name, policy.cover, colours[policy.name])


def _draw_difference(
    canvas: Canvas, comparison: Comparison, place: int, colours: dict[str, str], half_height: float
) -> None:
    row, column = divmod(place, COLUMNS)
    box = (72.0 + 366 * column, 594.0 + 268 * row, 296.0, 150.0)
    x, y = log2_axis(int(comparison.k[-1])), Axis("difference", -half_height, half_height)
    panel = canvas.panel(box, difference_title(comparison, colours), markup(crossing_words(comparison)), x, y)
    draw_difference(panel, comparison)


def _draw_curve(panel: Traces, policy: str, curve: Curve, colour: str, scale: float) -> None:
    hover, name, x = _hover(policy, curve, scale), markup(policy), _scaled(curve.k, scale)
    panel.ribbon(x, (curve.lower, curve.upper), colour, 0.15, name=f"{name}: interval", of=policy)
    if np.any(curve.bound_low != curve.bound_high):
        panel.ribbon(x, (curve.bound_low, curve.bound_high), colour, 0.4, name=f"{name}: bounds", of=policy)
        for bound in (curve.bound_low, curve.bound_high):
            panel.line(x, bound, colour, hover, width=1.0, name=f"{name}: bound", of=policy)
    panel.line(x, curve.value, colour, hover, name=name, of=policy, entry=True)


def _scaled(k: NDArray[Any], scale: float) -> NDArray[Any]:
    return k if scale == 1 else k * scale


def _hover(name: str, curve: Curve, scale: float) -> list[str]:
    about = interval_words(curve.level, curve.interval, curve.n_clusters)
    counts = f"n = {curve.n_problems} problems, N = {curve.n_rollouts}"
    flops = [f"<br>{k * scale:.3g} FLOPs" if scale != 1 else "" for k in curve.k]
    return [
        f"<b>{markup(name)}</b><br>{_reading(curve, i)}{flops[i]}<br>{about}<br>{markup(method)}<br>{counts}"
        for i, method in enumerate(curve.method)
    ]


def _reading(curve: Curve, i: int) -> str:
    value, ends = curve.value[i], f"[{curve.lower[i]:.3f}, {curve.upper[i]:.3f}]"
    if math.isfinite(value):
        return f"pass@{curve.k[i]} = {value:.3f} {ends}"
    return f"pass@{curve.k[i]} between {curve.bound_low[i]:.3f} and {curve.bound_high[i]:.3f} {ends}"
