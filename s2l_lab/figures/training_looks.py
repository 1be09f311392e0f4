"""Colours, symbols and numbers of the arms of a training figure.

An arm is neither a source nor a member. What is drawn of it is its learner's, whoever explored, so where arms stand
together in one panel they have a scale of their own, on which the colours of explorer and learner do not occur: those
mean a source wherever they stand. The baseline comes first, further arms follow in the order of the plan. Colour is
never alone: every arm has a symbol and a dash of its own as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2l_lab.figures.dots import Dot
from s2l_lab.figures.markup import markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Estimate
    from s2l_lab.training.results import ArmResult, Cost

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
SYMBOLS = tuple(MARKS)
DASHES = ("solid", "solid", "dash", "dashdot", "dot", "longdash")


@dataclass(frozen=True, slots=True)
class Look:
    """How an arm is drawn."""

    colour: str
    symbol: str
    dash: str


def arm_looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each arm, the baseline first."""
    count = len(ARM_COLOURS)
    return {
        name: Look(ARM_COLOURS[i % count], SYMBOLS[(i + i // count) % count], DASHES[(i + i // count) % count])
        for i, name in enumerate(names)
    }


def signed(value: float) -> str:
    """A share's difference to three digits, as "+.012"."""
    if not math.isfinite(value):
        return "\u2013"
    text = f"{abs(value):.3f}"
    return ("\u2212" if value < 0 else "+") + (text[1:] if text.startswith("0.") else text)


def difference_words(estimate: Estimate) -> str:
    """A difference with its interval and seeds, as "+.012 [\u2212.003, +.027], 5 seeds"."""
    seeds = f"{estimate.n_seeds} seed{'s' if estimate.n_seeds != 1 else ''}"
    if not (math.isfinite(estimate.lower) and math.isfinite(estimate.upper)):
        return f"{signed(estimate.value)} (no interval), {seeds}"
    return f"{signed(estimate.value)} [{signed(estimate.lower)}, {signed(estimate.upper)}], {seeds}"


def level_words(estimate: Estimate) -> str:
    """A share with its interval, as ".731 [.700, .762]"; a dash for one that rollouts without a verdict leave open."""
    numbers = (estimate.value, estimate.lower, estimate.upper)
    shares = [f"{v:.3f}".removeprefix("0") if math.isfinite(v) else "\u2013" for v in numbers]
    if not math.isfinite(estimate.lower):
        return f"{shares[0]} (no interval)"
    return f"{shares[0]} [{shares[1]}, {shares[2]}]"


def hover(name: str, words: str, estimate: Estimate) -> str:
    """What a mark says, escaped: the number, what its interval is about, how it was made, and its counts."""
    given = f", {estimate.given}" if estimate.given else ""
    lines = [
        words,
        f"{estimate.level:.0%} interval about other seeds and other problems of this kind{given}",
        estimate.method,
        f"n = {estimate.n_problems} problems, {estimate.n_seeds} seeds, {estimate.n_rollouts:,} rollouts",
    ]
    return "<br>".join([f"<b>{markup(name)}</b>", *map(markup, lines)])


def estimate_dot(name: str, estimate: Estimate, words: str, look: Look) -> Dot:
    """A number of one arm as a dot with its whisker; `words` stand beside it, and say where there is no interval."""
    return Dot(
        name=markup(name),
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        colour=look.colour,
        hover=hover(name, words, estimate),
        symbol=look.symbol,
    )


def absent_dot(name: str, look: Look, why: str) -> Dot:
    """The dash, with the reason."""
    nan = math.nan
    return Dot(markup(name), nan, nan, nan, look.colour, "", absent=markup(why))


def cost_dot(name: str, cost: Cost | None, look: Look) -> Dot:
    """Relative rollout compute with its range over seeds."""
    if cost is None:
        return absent_dot(name, look, "owed")
    words = f"{cost.relative:.3f} of GRPO's rollout FLOPs ({cost.low:.3f} to {cost.high:.3f} over {cost.n_seeds} seeds)"
    share = f"{cost.explorer_share:.1%} of it is the explorer's"
    told = f"<b>{markup(name)}</b><br>{words}<br>{share}"
    return Dot(markup(name), cost.relative, cost.low, cost.high, look.colour, told, look.symbol)


def seeds_words(arm: ArmResult) -> str:
    """How many of its seeds have a finished run."""
    done, owed = len(arm.finished), len(arm.owed)
    if not done:
        return f"no finished run, {owed} owed" if owed else "no run"
    return f"{done} of {done + owed} seeds" if owed else f"{done} seed{'s' if done != 1 else ''}"
