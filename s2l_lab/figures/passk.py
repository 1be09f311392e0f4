"""The figure of `s2l-lab passk`: pass@k of every policy, Cover@tau beside it, the difference of every pair below.

Whether curves cross cannot be read from two ribbons: both policies answer the same problems, so their difference is far
better known than either curve. Hence the lower rows show differences with the simultaneous band that the crossing's
verdict rests on, and the upper panel carries a diamond only where that verdict is `at`. Nothing is computed here: each
number is a field of the report.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import INTERVAL_MEANS, caption_lines, crossing_words, wrapped
from s2l_lab.figures.cover import COVER_LINES, cover_hover
from s2l_lab.figures.curves import chosen_curve, curve_axis, draw_curve, draw_guesses, end_value
from s2l_lab.figures.differences import difference_title, draw_crossing, draw_difference, reach
from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.panel import Axis, Panel, log2_axis

if TYPE_CHECKING:
    from s2l_lab.estimators import Comparison, Curve
    from s2l_lab.passk.report import PasskReport

WIDTH = 1160
CAPTION_CHARACTERS = 178
COLUMNS = 3
MOST_PAIRS = 6
"""More pairs than these (five policies or more): only neighbours in size get a panel; the table has every pair."""


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
    return canvas.finish([markup(line) for line in wrapped(caption_lines(report) + more, CAPTION_CHARACTERS)])


def pairs_shown(report: PasskReport) -> list[Comparison]:
    """The comparisons that get a panel: all up to MOST_PAIRS, else those of neighbours in size."""
    if len(report.comparisons) <= MOST_PAIRS:
        return list(report.comparisons)
    names = [policy.name for policy in report.policies]
    neighbours = set(itertools.pairwise(names))
    return [c for c in report.comparisons if (c.a, c.b) in neighbours]


def _draw_curves(canvas: Canvas, report: PasskReport, colours: dict[str, str]) -> None:
    curves = {policy.name: chosen_curve(policy, report.interval) for policy in report.policies}
    guesses = [g for p in report.policies for g in (p.guess_uniform, p.guess_own) if g is not None]
    ends = [a for c in curves.values() for a in (c.lower, c.upper, c.bound_low, c.bound_high)]
    about = f"ribbons: {INTERVAL_MEANS[report.interval]}" + ("; dotted: guessers" if guesses else "")
    panel = canvas.panel(
        (72, 112, 520, 370),
        "pass@k",
        about,
        log2_axis(report.n_rollouts, "k (log scale)"),
        curve_axis([*ends, *guesses]),
    )
    for policy in report.policies:
        draw_guesses(panel, policy, colours[policy.name])
    for name, curve in curves.items():
        draw_curve(panel, name, curve, colours[name])
    panel.end_labels([(end_value(curve), name, colours[name]) for name, curve in curves.items()])
    _mark_prior(panel, next(iter(curves.values())))
    for comparison in report.comparisons:
        if comparison.crossing.k is not None:
            curve = curves[comparison.b]
            draw_crossing(panel, comparison, float(curve.value[curve.k == comparison.crossing.k][0]))


def _mark_prior(panel: Panel, curve: Curve) -> None:
    """A rule at the first k whose interval leans on a prior, which the estimator says in its method."""
    leaning = [int(k) for k, method in zip(curve.k, curve.method, strict=True) if "prior-dependent" in method]
    if leaning:
        panel.rule(leaning[0], f"k \u2265 {leaning[0]}: prior-dependent intervals")


def _draw_cover(canvas: Canvas, report: PasskReport, colours: dict[str, str]) -> None:
    panel = canvas.panel(
        (760, 112, 370, 370),
        "Cover@tau",
        COVER_LINES,
        Axis("tau, least solve rate", 0.0, 1.0),
        Axis("share of problems", 0.0, 1.0),
    )
    for policy in report.policies:
        cover, colour, name = policy.cover, colours[policy.name], markup(policy.name)
        panel.ribbon(cover.tau, (cover.bounds_lower, cover.bounds_upper), colour, 0.08, name=f"{name}: bounds")
        panel.line(cover.tau, cover.plug_in, colour, dash="dot", width=1.3, name=f"{name}: plug-in")
        panel.line(cover.tau, cover.npmle, colour, dash="dash", width=1.3, name=f"{name}: likeliest")
        panel.line(cover.tau, cover.smoothed, colour, cover_hover(policy.name, cover), name=f"{name}: smoothed")


def _draw_difference(
    canvas: Canvas, comparison: Comparison, place: int, colours: dict[str, str], half_height: float
) -> None:
    row, column = divmod(place, COLUMNS)
    box = (72.0 + 366 * column, 594.0 + 268 * row, 296.0, 150.0)
    x, y = log2_axis(int(comparison.k[-1])), Axis("difference", -half_height, half_height)
    panel = canvas.panel(box, difference_title(comparison, colours), markup(crossing_words(comparison)), x, y)
    draw_difference(panel, comparison)
