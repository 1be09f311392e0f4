"""Verdicts on claims about differences between training methods, over seeds (STATISTICS: verdicts, Holm over a page).

A claim says what the difference `arm - against` is: `above` 0, `below` 0, `equal` (within the margin), or `not_below`
(a loss of the margin at most). Its interval decides: supported where it lies wholly where the claim says; contradicted
where it lies on the other side of 0, or, for `above` and `below`, wholly inside the margin; else cannot tell. The
margin is set before the runs.

Holm's step-down keeps the chance of any wrong verdict on a page: with m claims, the one that the data decide most
clearly is decided at level 1 - alpha/m, the next at 1 - alpha/(m - 1), and so on to the first that is not decided.
Claims with fewer seeds than SEEDS_FOR_A_CLAIM are never decided and do not count in m.

What would surprise: an interval at .95 that excludes 0 beside `cannot tell`. That is Holm, or too few seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators.estimate import Estimate

Expectation = Literal["above", "below", "equal", "not_below"]
Decision = Literal["supported", "contradicted", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the data say of one claim."""

    decision: Decision
    p: float
    """Least alpha at which its own interval decides the claim; NaN without an interval."""
    level: float
    """Of the interval that the decision was made with; NaN where none was, for want of seeds."""
    why: str = ""
    """Of `cannot tell`."""


def judge(
    differences: Sequence[Estimate | None], expects: Sequence[Expectation], margin: float, *, alpha: float = 0.05
) -> list[Verdict]:
    """One verdict per claim, in order. `differences` are those of `seed_difference`; None for a claim without runs.

    `margin` is in units of the difference, above 0. Every verdict is right with probability 1 - alpha for all claims
    together, given t intervals.
    """
    verdicts = [_untested(estimate) for estimate in differences]
    tested = [
        (estimate, expected, i)
        for i, (estimate, expected) in enumerate(zip(differences, expects, strict=True))
        if estimate is not None and estimate.n_seeds >= SEEDS_FOR_A_CLAIM and math.isfinite(estimate.lower)
    ]
    order = sorted(tested, key=lambda claim: decisive_alpha(claim[0], claim[1], margin))
    stopped = False
    for rank, (estimate, expected, i) in enumerate(order):
        share = alpha / (len(order) - rank)
        p = decisive_alpha(estimate, expected, margin)
        stopped = stopped or p > share
        decision: Decision = "cannot tell" if stopped else _decide(estimate, expected, margin, share)
        verdicts[i] = Verdict(decision, p, 1 - share, "" if decision != "cannot tell" else _undecided(len(order)))
    return verdicts


def decisive_alpha(estimate: Estimate, expected: Expectation, margin: float) -> float:
    """The least alpha at which the claim's own two-sided interval decides it, 0 to 1."""
    value, se, df = estimate.value, _standard_error(estimate), estimate.n_seeds - 1
    beyond_zero = _alpha(abs(value), se, df)
    inside = _alpha(margin - abs(value), se, df)
    if expected == "not_below":
        return min(_alpha(value + margin, se, df), beyond_zero)
    return min(beyond_zero, inside)


def _decide(estimate: Estimate, expected: Expectation, margin: float, alpha: float) -> Decision:
    """By the interval at level 1 - alpha, one of whose ends is known to be decisive."""
    se, df = _standard_error(estimate), estimate.n_seeds - 1
    reach = student_t(1 - alpha, df) * se if se else 0.0
    lower, upper = estimate.value - reach, estimate.value + reach
    inside = -margin < lower and upper < margin
    supported = {
        "above": lower > 0,
        "below": upper < 0,
        "equal": inside,
        "not_below": lower > -margin,
    }[expected]
    return "supported" if supported else "contradicted"


def _alpha(distance: float, se: float, df: int) -> float:
    """Least alpha at which an interval around a value ends within `distance` of it; 1 where it cannot."""
    if distance <= 0:
        return 1.0
    if se == 0:
        return 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(df, -distance / se))


def _standard_error(estimate: Estimate) -> float:
    return (estimate.upper - estimate.value) / student_t(estimate.level, estimate.n_seeds - 1)


def _untested(estimate: Estimate | None) -> Verdict:
    if estimate is None:
        return Verdict("cannot tell", math.nan, math.nan, "no pair of finished runs")
    why = f"{estimate.n_seeds} of the {SEEDS_FOR_A_CLAIM} seeds that a claim needs"
    return Verdict("cannot tell", math.nan, math.nan, why)


def _undecided(claims: int) -> str:
    return f"undecided at .95 over {claims} claims" if claims > 1 else "its interval decides nothing"
