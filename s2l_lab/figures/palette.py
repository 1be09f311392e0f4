"""Colours. One scale for the members of a family: the larger the member, the darker and the bluer.

The ramp runs at falling OKLCH lightness from orange over magenta to blue, so that size reads as shade, also in grey.
Its hues change slowly at the orange end and fast at the violet one, which keeps up to four members apart for readers
who do not see red or green as well. Every stop has a contrast of 3 to 1 on white and on near-black (WCAG 1.4.11), so
one figure serves light and dark pages. A test holds all of this.

The arms of a study follow one rule: an explorer has its member's colour, and everything that is made from the learner
(siblings, temperatures, matched controls) has the learner's, with a symbol and a dash of its own. An arm of training is
neither a source nor a member: what is drawn of it is its learner's, whoever explored. Together in one panel such arms
have a scale of their own, on which the sources' colours do not occur. The baseline comes first, further arms follow in
the order of the plan. Colour is never alone: every arm has a symbol and a dash of its own as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.studies.contrast_arms import Role

RAMP = ("#e96f0a", "#ed5505", "#e6424a", "#d4377a", "#b53aa7", "#8545cc", "#3756d6")
"""Stops of the member scale, smallest to largest."""

INK = "#262b33"
"""Text."""
FAINT = "#6b7280"
"""Captions, axis titles, references."""
GRID = "#e5e7eb"
"""Grid lines and rules."""
SOURCE_COLOURS = {"explorer": RAMP[0], "learner": RAMP[-1]}
"""One scale for the sources of training rollouts: an explorer is small, a learner large."""
FACTORS = {"strategies": RAMP[-1], "phrasing": RAMP[0], "order": RAMP[3], "rest": "#9ca3af"}
"""What a metric may follow; `rest` is noise and interaction."""
ROLE_SYMBOLS: Mapping[Role, str] = {
    "learner": "circle",
    "explorer": "circle",
    "other seed": "diamond",
    "sibling": "diamond",
    "temperature": "triangle-up",
    "entropy": "square",
    "kl": "cross",
    "pass@1": "star",
}
CONTROL_DASHES = ("dash", "dashdot", "longdash")
"""Lines of the learner at the entropy, KL or pass@1 of the first, second and third explorer."""

ARM_COLOURS = ("#1e785a", "#aa64fa", "#0aa0b4", "#d20014", "#b48c5a", "#7850a0")
"""Green, violet, cyan, red, tan, purple; a seventh arm begins again with another symbol and dash. Chosen for their
least distance from each other, and from the sources' colours, under three kinds of sight (tests), at a contrast of 3 to
1 on white and on near-black."""
MARKS = {
    "circle": "\u25cf\u25cb",
    "square": "\u25a0\u25a1",
    "diamond": "\u25c6\u25c7",
    "triangle-up": "\u25b2\u25b3",
    "x": "\u2716\u2715",
    "star": "\u2605\u2606",
}
"""Symbol -> the same in a line of text, full and hollow."""
_SYMBOLS = tuple(MARKS)
_DASHES = ("solid", "solid", "dash", "dashdot", "dot", "longdash")


@dataclass(frozen=True, slots=True)
class Look:
    """How an arm of a study or of training is drawn."""

    colour: str
    symbol: str
    dash: str


def member_colours(names: Sequence[str]) -> dict[str, str]:
    """Colour (#rrggbb) of each member, for names ordered small to large; one member alone takes the largest's."""
    last = len(names) - 1
    return {name: _ramp(i / last if last else 1.0) for i, name in enumerate(names)}


def arm_looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each arm, the baseline first."""
    count = len(ARM_COLOURS)
    return {
        name: Look(ARM_COLOURS[i % count], _SYMBOLS[(i + i // count) % count], _DASHES[(i + i // count) % count])
        for i, name in enumerate(names)
    }


def translucent(colour: str, alpha: float) -> str:
    """`#rrggbb` as CSS `rgba(...)` with opacity `alpha` in 0..1."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{alpha:g})"


def _ramp(position: float) -> str:
    """Piecewise linear through RAMP; position in 0..1."""
    place = position * (len(RAMP) - 1)
    i = min(int(place), len(RAMP) - 2)
    pairs = zip(_channels(RAMP[i]), _channels(RAMP[i + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - i)):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


SHADES = [[place / 8, translucent(RAMP[-1], 0.03 + 0.97 * (place / 8) ** 0.5)] for place in range(9)]
"""Plotly's scale of solve rates on any background: from clear to the blue of the largest member, in steps that part
small rates."""
