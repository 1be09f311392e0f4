"""Axes that `panel.Axis` does not have: fine linear ones for dots, and decades.

Differences between policies are often of the size .005, so ticks have as many digits as they need.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.panel import Axis

if TYPE_CHECKING:
    from collections.abc import Iterable

LOWEST = 1e-6
"""A decade axis begins here at the lowest: below, a probability is drawn at the panel's foot."""


@dataclass(frozen=True, slots=True)
class FineAxis(Axis):
    """A linear axis whose ticks have as many digits as they need."""

    def layout(self) -> dict[str, Any]:
        """plotly's description."""
        return Axis.layout(self) | {"tickformat": "~g", "tickangle": 0}


@dataclass(frozen=True, slots=True)
class DecadeAxis(Axis):
    """A log10 axis with a tick at each decade."""

    def position(self, value: float) -> float:
        """Where `value` lies between the ends, 0 to 1."""
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)

    def layout(self) -> dict[str, Any]:
        """plotly's description."""
        low, high = (math.log10(end) for end in (self.low, self.high))
        exponents = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
        ticks = {"tickvals": [10.0**e for e in exponents], "ticktext": [f"{10.0**e:g}" for e in exponents]}
        return Axis.layout(self) | {"type": "log", "range": [low, high], **ticks}


def fine_axis(values: Iterable[float], title: str = "", hold: Iterable[float] = (), most: int = 5) -> FineAxis:
    """The axis that holds every finite one of `values`, and `hold` with them, with air on both sides.

    It has at most `most` ticks, and none without a finite value: there is nothing to read off.
    """
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return FineAxis(title, -1.0, 1.0, ticks=())
    finite += hold
    low, high = min(finite), max(finite)
    apart = high - low > 1e-9 * max(abs(low), abs(high))
    air = 0.07 * (high - low) if apart else 0.1 * abs(high) or 0.5
    return FineAxis(title, low - air, high + air, ticks=_round_ticks(low - air, high + air, most))


def _round_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """Multiples of the finest 1, 2 or 5 times a power of ten that has at most `most` of them from low to high."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (1, 2, 5, 10, 20):
        first, last = math.ceil(low / (step * power)), math.floor(high / (step * power))
        if last - first < most:
            break
    return tuple(float(f"{i * step * power:.12g}") for i in range(first, last + 1))


def decade_axis(values: Iterable[float], title: str) -> DecadeAxis:
    """The axis of whole decades up to 1 that holds every positive one of `values` down to LOWEST."""
    positive = [v for v in values if math.isfinite(v) and v > 0]
    low = max(min(positive, default=0.1), LOWEST)
    return DecadeAxis(title, 10.0 ** min(math.floor(math.log10(low)), -1), 1.25)
