"""One policy's pass@k on a panel: line, ribbon, bounds where verdicts are missing, guess references.

A curve arrives with its interval and is drawn as it stands; `chosen_curve` says which of a report's two that is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import FAINT
from s2l_lab.figures.panel import Axis, Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators import Curve
    from s2l_lab.passk.report import PolicyReport


def chosen_curve(policy: PolicyReport, interval: str) -> Curve:
    """The curve whose interval answers `interval`: `problems` or `rollouts`."""
    return policy.curve_problems if interval == "problems" else policy.curve_rollouts


def draw_curve(panel: Panel, name: str, curve: Curve, colour: str) -> None:
    """One policy's pass@k. Where verdicts are missing the value is a gap between its bounds, never a guess."""
    hover = _hover(name, curve)
    panel.ribbon(curve.k, (curve.lower, curve.upper), colour, 0.15, name=f"{markup(name)}: interval")
    if np.any(curve.bound_low != curve.bound_high):
        panel.ribbon(curve.k, (curve.bound_low, curve.bound_high), colour, 0.4, name=f"{markup(name)}: bounds")
        for bound in (curve.bound_low, curve.bound_high):
            panel.line(curve.k, bound, colour, hover, width=1.0, name=f"{markup(name)}: bound")
    panel.line(curve.k, curve.value, colour, hover, name=markup(name))


def draw_guesses(panel: Panel, policy: PolicyReport, colour: str) -> None:
    """What a curve should clear: a uniform guesser in grey, and this policy's answers to other problems."""
    k = policy.curve_rollouts.k
    for guess, who, shade in (
        (policy.guess_uniform, "uniform guess", FAINT),
        (policy.guess_own, f"{markup(policy.name)}: its answers to other problems", colour),
    ):
        if guess is not None:
            hover = [f"{who}<br>pass@{i} = {value:.3f}" for i, value in zip(k, guess, strict=True)]
            panel.line(k, guess, shade, hover, dash="dot", width=1.5, name=who)


def end_value(curve: Curve) -> float:
    """Where a curve's label stands: its last value, or the middle of its last bounds; NaN for a curve without data."""
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


def _hover(name: str, curve: Curve) -> list[str]:
    about = f"{curve.level:.0%} interval, resampled: {curve.interval}"
    counts = f"n = {curve.n_problems} problems, N = {curve.n_rollouts}"
    return [
        f"<b>{markup(name)}</b><br>{_reading(curve, i)}<br>{about}<br>{markup(method)}<br>{counts}"
        for i, method in enumerate(curve.method)
    ]


def _reading(curve: Curve, i: int) -> str:
    value, ends = curve.value[i], f"[{curve.lower[i]:.3f}, {curve.upper[i]:.3f}]"
    if math.isfinite(value):
        return f"pass@{curve.k[i]} = {value:.3f} {ends}"
    return f"pass@{curve.k[i]} between {curve.bound_low[i]:.3f} and {curve.bound_high[i]:.3f} {ends}"
