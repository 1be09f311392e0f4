"""Do deviations from the learner last along a trajectory? The figure and numbers of the persistence study.

Lines by horizon, lag and position for the arms that the argument needs: the learner (the null), the explorers, the
learner at T = 1.5 and at each explorer's KL. The other arms are in the dots, where they fit, and in numbers.json.
Temperature is a time-invariant perturbation too, so an explorer's line says something only above its equal-KL control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.estimators.display import reading
from s2l_lab.figures.arms import GROUPS, arm_label, arm_looks, arm_words, by_role, match_words
from s2l_lab.figures.axes import FineAxis, decade_axis, fine_axis
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.dots import DotRow, draw_dots, ends_of, estimate_dot
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import plain, study_numbers
from s2l_lab.figures.palette import FAINT, translucent
from s2l_lab.figures.panel import Axis, Panel, log2_axis

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from s2l_lab.figures.palette import Look
    from s2l_lab.studies.contrast_arms import Role
    from s2l_lab.studies.persistence import Persistence, PersistenceRow
    from s2l_lab.studies.traces import ByLag

WIDTH = 1320
CAPTION_CHARACTERS = 204
DRAWN: tuple[Role, ...] = ("learner", "explorer", "temperature", "kl")
"""Roles that get a line."""
LEFT, RIGHT = 72.0, 736.0
PLOT, HIGH = 400.0, 240.0

Line = tuple["PersistenceRow", "Look"]


def persistence_figure(result: Persistence, about: Sequence[str]) -> Any:
    """The plotly Figure. `about` ends the caption: data, n, N and the interval, then the details."""
    canvas = Canvas(
        WIDTH,
        f"Do deviations from {result.learner} last along a trajectory?",
        f"solid: {markup(result.learner)} ({_null(result)}) and explorers; dotted: the learner at a higher "
        "temperature; dashed: the learner at an explorer's KL",
    )
    rows = by_role(result.rows)
    arms = list(zip(rows, arm_looks(result.learner, rows), strict=True))
    lines = [(row, look) for row, look in arms if row.role in DRAWN]
    _draw_variance_ratio(canvas, lines, 118.0)
    _draw_autocovariance(canvas, lines, 118.0)
    _draw_survival(canvas, result, lines, 118.0 + HIGH + 120)
    _draw_scores(canvas, lines, 118.0 + HIGH + 120)
    _draw_numbers(canvas, arms, 118.0 + 2 * (HIGH + 120))
    return canvas.finish([markup(line) for line in wrapped([*_caption(result), *about], CAPTION_CHARACTERS)])


def persistence_numbers(result: Persistence, about: Sequence[str]) -> dict[str, Any]:
    """The study for programs: schema 1, every arm in full, undefined is null beside its counts."""
    return study_numbers(
        "persistence",
        about,
        learner=result.learner,
        arms=[dict(plain(row)) | {"words": arm_words(row)} for row in result.rows],
        matches=list(result.matches),
    )


def _draw_variance_ratio(canvas: Canvas, lines: Sequence[Line], top: float) -> None:
    """VR(q) of e, with that of m as thin lines: an instrument that is right shows them at 1."""
    found = [row.variance_ratio for row, _ in lines] + [row.variance_ratio_m for row, _ in lines]
    x = log2_axis(max((int(f.at.max()) for f in found if f.at.size), default=1), "q, tokens (log scale)")
    heads = "variance ratio VR(q) of e", "1: deviations do not add up. Thin: of m, whose expectation is 1 for every arm"
    panel = canvas.panel((LEFT, top, PLOT, HIGH), *heads, x, _y(found, "VR(q)", hold=1.0))
    panel.line(np.array([x.low, x.high]), np.ones(2), FAINT, width=1.0, name="no persistence")
    for row, look in lines:
        faint = row.variance_ratio_m
        panel.line(faint.at, faint.value, translucent(look.colour, 0.45), width=1.1, name=f"{_name(row)}: VR of m")
    _draw_lines(panel, [(row, look, row.variance_ratio) for row, look in lines], "VR", "q")


def _draw_autocovariance(canvas: Canvas, lines: Sequence[Line], top: float) -> None:
    found = [(row, look, row.autocovariance_d) for row, look in lines]
    heads = "autocovariance of d", "d: what the arm's law adds to the learner's surprisal; around the problem's mean"
    x = _lags([curve for *_, curve in found])
    panel = canvas.panel((RIGHT, top, PLOT, HIGH), *heads, x, _y([c for *_, c in found], "nats\u00b2", hold=0.0))
    panel.line(np.array([x.low, x.high]), np.zeros(2), FAINT, width=1.0, name="none")
    _draw_lines(panel, found, "covariance", "lag")


def _draw_survival(canvas: Canvas, result: Persistence, lines: Sequence[Line], top: float) -> None:
    """Along the learner's greedy traces; faint: what a constant hazard would give."""
    found = [(row, look, s) for row, look in lines for s in [s for s in row.survival if s.trace == result.learner][:1]]
    values = [v for *_, s in found for v in (*s.curve.value.tolist(), *s.constant.tolist())]
    y = decade_axis(values, "S(t) (log scale)")
    heads = (
        f"prefix survival along {markup(result.learner)}'s greedy trace",
        "dashed and faint: a constant hazard, (1 - p)^t",
    )
    panel = canvas.panel((LEFT, top, PLOT, HIGH), *heads, _lags([s.curve for *_, s in found], "t, tokens"), y)
    for row, look, survival in found:
        shade = translucent(look.colour, 0.5)
        name = f"{_name(row)}: constant hazard"
        panel.line(survival.curve.at, survival.constant, shade, width=1.1, dash="dash", name=name)
    _draw_lines(panel, [(row, look, s.curve) for row, look, s in found], "S", "t")


def _draw_scores(canvas: Canvas, lines: Sequence[Line], top: float) -> None:
    """Cov(z_t, z_s) of `head` scores; the paper's bounds are orders of magnitude away, so they are said, not drawn."""
    found = [(row, look, s) for row, look in lines if (s := row.score_covariance) is not None]
    about = "no score functions were computed"
    if found:
        bounds = [b for *_, s in found for b in s.bound.tolist()]
        squares = [s.cauchy_schwarz for *_, s in found]
        about = f"not to scale: 5 B\u00b2 Pr(M = 0) {_span(bounds)}; |Cov| \u2264 B\u00b2 = {_span(squares)}"
    curves = [(row, look, s.covariance) for row, look, s in found]
    x, y = _lags([c for *_, c in curves]), _y([c for *_, c in curves], "Cov", hold=0.0)
    panel = canvas.panel((RIGHT, top, PLOT, HIGH), "covariance of head scores z", about, x, y)
    panel.line(np.array([x.low, x.high]), np.zeros(2), FAINT, width=1.0, name="none")
    _draw_lines(panel, curves, "Cov", "lag")


def _draw_numbers(canvas: Canvas, arms: Sequence[Line], top: float) -> None:
    """KL, drift and ICC of every arm."""
    columns: tuple[tuple[str, str, Callable[[PersistenceRow], Any]], ...] = (
        ("KL(b || learner)", "nats per token", lambda row: row.kl),
        ("drift of e", "nats per token", lambda row: row.drift),
        ("drift of d", "the part that persists", lambda row: row.persistent_drift),
        ("ICC of e", "within rollouts", lambda row: row.icc),
    )
    for column, (title, about, field) in enumerate(columns):
        rows = []
        for row, look in arms:
            dot = estimate_dot(f"{arm_words(row)}: {title}", field(row), look.colour, symbol=look.symbol)
            rows.append(DotRow(arm_words(row), (dot,), group=GROUPS[row.role]))
        axis = fine_axis(ends_of(rows), hold=[0.0])
        corner = 298.0 + 250.0 * column, top
        draw_dots(canvas, corner, 200.0, (title, about), rows, axis, label_characters=0 if column else 42, rule=0.0)


def _draw_lines(panel: Panel, found: Sequence[tuple[PersistenceRow, Look, ByLag]], value: str, at: str) -> None:
    """Draw ribbons, lines and their labels."""
    for row, look, curve in found:
        panel.ribbon(curve.at, (curve.lower, curve.upper), look.colour, 0.1, name=f"{_name(row)}: interval")
    for row, look, curve in found:
        columns = zip(curve.at, curve.value, curve.lower, curve.upper, curve.n, strict=True)
        hover = [
            f"<b>{_name(row)}</b><br>{value} at {at} = {i}: {reading(v, low, high)}<br>{n:,} behind it"
            for i, v, low, high, n in columns
        ]
        panel.line(curve.at, curve.value, look.colour, hover, mode="lines", dash=look.dash, name=_name(row))
    ends = [(_end(curve), arm_label(row), look.colour) for row, look, curve in found if np.isfinite(curve.value).any()]
    panel.end_labels(ends)


def _span(values: Sequence[float]) -> str:
    """The least and the largest of bounds that differ by arm and lag."""
    low, high = (f"{v:.3g}" if v < 1000 else f"{v:,.0f}" for v in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _null(result: Persistence) -> str:
    """What the learner's own line is: the null only where its rollouts were drawn at the temperature of the scores."""
    (temperature,) = {row.temperature for row in result.rows if row.role == "learner"}
    return "the null" if temperature == 1 else f"drawn at T = {temperature:.3g}, so no null"


def _end(curve: ByLag) -> float:
    """The height of a line's label: its last value."""
    return float(curve.value[np.isfinite(curve.value)][-1])


def _name(row: PersistenceRow) -> str:
    return markup(arm_words(row))


def _y(curves: Sequence[ByLag], title: str, hold: float) -> FineAxis:
    return fine_axis([v for c in curves for a in (c.value, c.lower, c.upper) for v in a.tolist()], title, hold=[hold])


def _lags(curves: Sequence[ByLag], title: str = "lag, tokens") -> Axis:
    """A linear axis from 0 over every lag or position."""
    last = max((int(c.at.max()) for c in curves if c.at.size), default=1)
    return Axis(title, 0.0, last * 1.02)


def _caption(result: Persistence) -> list[str]:
    """Caption lines that explain the quantities and name the arms without a line."""
    lines = [
        "e_t: surprisal of the drawn token under the learner at T = 1 minus the learner's entropy there; e = m + d, m "
        "a martingale difference for every arm, d what persists (0 on policy). Temperature persists too: compare an "
        "explorer with the learner at its KL. Intervals are clustered by problem and not corrected for arms and lags.",
    ]
    left_out = [arm_words(row) for row in result.rows if row.role not in DRAWN]
    if left_out:
        lines.append(f"Without a line (dots and numbers.json): {', '.join(left_out)}.")
    scores = [row.score_covariance for row in result.rows if row.score_covariance is not None]
    if scores:
        lines.append(f"Scores: gradient of the output layer's use of W, along {scores[0].direction}.")
    if result.matches:
        lines.append(f"Matched temperatures of {result.learner}: {'; '.join(map(match_words, result.matches))}.")
    return lines
