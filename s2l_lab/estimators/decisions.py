"""Decisions on claims about differences between training methods (STATISTICS: verdicts, Holm over a page).

A claim says what the difference `arm - against` is; the margin, set before the runs, says from where on it matters. The
interval at 1 - alpha decides:

    above      true from the margin on, false at or below 0, small between
               lower > 0 supports it, and with upper < margin it is small; upper < margin alone contradicts it
    below      the mirror of above
    equal      supported by -margin < lower and upper < margin, contradicted by upper < -margin or lower > margin
    not_below  supported by lower > -margin, contradicted by upper < -margin

So every word rests on facts of one form: the lower end lies above a bar, or the upper end below one. A narrower
interval adds facts and takes none back.

Holm keeps the chance of any wrong fact on a page. Lower ends and upper ends are stepped down apart, each at alpha / 2
a side, and share their alpha with the claims that still have a bar to clear. (One step-down over claims, by whichever
end is clearer, is too bold: a claim that is decided by a true fact hands its alpha on, though its other end can err.)
Claims with fewer seeds than SEEDS_FOR_A_CLAIM are never decided and do not count.

What would surprise: an interval at .95 that excludes 0 beside `cannot tell`. That is Holm, or too few seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from s2l_lab.errors import UsageError
from s2l_lab.estimators.display import NOT_IN_NUMBERS, Displayed, named_in_numbers, reading
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

Expectation = Literal["above", "below", "equal", "not_below"]
Word = Literal["supported", "supported, smaller than the margin", "contradicted", "cannot tell"]

_BARS: dict[Expectation, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "above": ((0,), (1,)),
    "below": ((-1,), (0,)),
    "equal": ((-1, 1), (1, -1)),
    "not_below": ((-1,), (-1,)),
}
"""In margins: what the lower end may lie above, and what the upper end may lie below."""
_Fact = tuple[int, int]
"""A claim's place on the page, and a bar that one end has to clear."""


@dataclass(frozen=True, slots=True, repr=False)
class Decision(Displayed):
    """What the data say of one claim."""

    word: Word = field(metadata=named_in_numbers("decision"))
    p: float
    """Least alpha at which its own interval decides the claim; NaN without an interval."""
    level: float
    """Level of the interval that the decision was made with; NaN if there was none."""
    why: str = ""
    """Of `cannot tell`; and what any decision holds for alone, as "for this bank"."""
    difference: Estimate | None = field(default=None, metadata=NOT_IN_NUMBERS)
    """Difference that was judged; None for a claim without runs."""

    def _columns(self) -> dict[str, Any]:
        missing = Estimate(math.nan, math.nan, math.nan, math.nan, "", "seeds", 0, 0, 0)
        named = (missing if self.difference is None else self.difference)._columns()
        about = {"decision": self.word, "p": self.p, "verdict_level": self.level, "why": self.why}
        return {name: [value] for name, value in about.items()} | named

    def _title(self) -> str:
        return self.word

    def _rows(self) -> list[tuple[str, str]]:
        judged = self.difference
        return [
            ("", "no difference" if judged is None else reading(judged.value, judged.lower, judged.upper, signed=True))
        ]

    def _notes(self) -> list[str]:
        p = [f"p = {self.p:.3g}"] if math.isfinite(self.p) else []
        return [*([] if self.difference is None else self.difference._notes()), *p, *([self.why] if self.why else [])]


def judge(
    differences: Sequence[Estimate | None], expects: Sequence[Expectation], margin: float, *, alpha: float = 0.05
) -> list[Decision]:
    """One decision per claim, in order. `differences` are those of `seed_difference`; None for a claim without runs.

    `margin` is in units of the difference, above 0. Read are the value, `se` and `df` of an estimate; one that carries
    none is not decided. All decisions of the page are right together with probability 1 - alpha, given t intervals.
    """
    if not (0 < margin < math.inf and 0 < alpha < 1):
        raise UsageError(f"margin = {margin:g} and alpha = {alpha:g} were given; a margin is above 0, alpha in (0, 1).")
    if unknown := sorted(set(expects) - set(get_args(Expectation))):
        raise UsageError(f"a claim expects {unknown[0]!r}; it is one of {', '.join(get_args(Expectation))}.")
    pairs = list(zip(differences, expects, strict=True))
    decisions = [_untested(estimate) for estimate in differences]
    tested = {i: (e, expected) for i, (e, expected) in enumerate(pairs) if e is not None and _can_be_judged(e)}
    lower_p: dict[_Fact, float] = {}
    upper_p: dict[_Fact, float] = {}
    for i, (estimate, expected) in tested.items():
        over, under = _bar_alphas(estimate, expected, margin)
        lower_p |= {(i, bar): p for bar, p in over.items()}
        upper_p |= {(i, bar): p for bar, p in under.items()}
    lower, upper = _step_down(lower_p, alpha), _step_down(upper_p, alpha)
    for i, (estimate, expected) in tested.items():
        over, under = (
            {bar: share for (j, bar), share in shares.items() if j == i} for shares in (lower.cleared, upper.cleared)
        )
        word = _word(expected, over.keys(), under.keys())
        decided = word != "cannot tell"
        share = min([*over.values(), *under.values()]) if decided else min(lower.stopped, upper.stopped)
        why = "" if decided else _undecided(len(tested), alpha)
        p = decisive_alpha(estimate, expected, margin)
        decisions[i] = Decision(word, p, 1 - share, _joined(why, estimate.given), estimate)
    return decisions


def decisive_alpha(estimate: Estimate, expected: Expectation, margin: float) -> float:
    """The least alpha at which the claim's own two-sided interval decides it, 0 to 1."""
    over, under = _bar_alphas(estimate, expected, margin)
    if expected == "equal":
        return min(max(over[-1], under[1]), over[1], under[-1])
    return min(*over.values(), *under.values())


@dataclass(frozen=True, slots=True)
class _Steps:
    """What a step-down has cleared."""

    cleared: dict[_Fact, float]
    """Facts that were shown, each with its share of alpha."""
    stopped: float
    """Share of alpha that no further fact met."""


def _step_down(p_by_fact: Mapping[_Fact, float], alpha: float) -> _Steps:
    """Holm over the facts of one end, whose alpha is shared by the claims that have a bar left to clear.

    Not by the bars: of those that an end must not clear, a claim's nearest is cleared first, and the first wrong fact
    of a page is such a one.
    """
    left = Counter(claim for claim, _ in p_by_fact)
    cleared: dict[_Fact, float] = {}
    share = alpha / max(len(left), 1)
    for fact, p in sorted(p_by_fact.items(), key=lambda item: item[1]):
        share = alpha / len(left)
        if p > share:
            break
        cleared[fact] = share
        left[fact[0]] -= 1
        left += Counter()  # drops the claims that have none left
    return _Steps(cleared, share)


def _word(expected: Expectation, over: Set[int], under: Set[int]) -> Word:
    """From the bars that the lower end lies above and those that the upper end lies below."""
    if expected in ("above", "below"):
        beyond_zero, small = (0 in over, 1 in under) if expected == "above" else (0 in under, -1 in over)
        if beyond_zero:
            return "supported, smaller than the margin" if small else "supported"
        return "contradicted" if small else "cannot tell"
    if 1 in over or -1 in under:
        return "contradicted"
    supported = -1 in over and (expected == "not_below" or 1 in under)
    return "supported" if supported else "cannot tell"


def _bar_alphas(estimate: Estimate, expected: Expectation, margin: float) -> tuple[dict[int, float], dict[int, float]]:
    """By bar, the least alpha at which the lower end lies above it, and at which the upper end lies below it."""
    above, below = _BARS[expected]
    value, se, df = estimate.value, estimate.se, estimate.df
    return (
        {bar: _alpha(value - bar * margin, se, df) for bar in above},
        {bar: _alpha(bar * margin - value, se, df) for bar in below},
    )


def _alpha(distance: float, se: float, df: float) -> float:
    """Least alpha at which an interval around a value ends within `distance` of it; 1 where it cannot."""
    if distance <= 0:
        return 1.0
    if se == 0:
        return 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(df, -distance / se))


def _can_be_judged(estimate: Estimate) -> bool:
    known = math.isfinite(estimate.value) and math.isfinite(estimate.se) and estimate.df > 0
    return estimate.n_seeds >= SEEDS_FOR_A_CLAIM and known


def _untested(estimate: Estimate | None) -> Decision:
    if estimate is None:
        return Decision("cannot tell", math.nan, math.nan, "no pair of finished runs")
    why = "it has no standard error to be judged by"
    if estimate.n_seeds < SEEDS_FOR_A_CLAIM:
        why = f"{estimate.n_seeds} of the {SEEDS_FOR_A_CLAIM} seeds that a claim needs"
    return Decision("cannot tell", math.nan, math.nan, _joined(why, estimate.given), estimate)


def _undecided(claims: int, alpha: float) -> str:
    level = f"{1 - alpha:g}".removeprefix("0")
    return f"undecided at {level} over {claims} claims" if claims > 1 else "its interval decides nothing"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
