"""Exact strategy counts on Countdown: how many correct solution classes, and how many of all that exist.

A strategy is the canonical answer of a CORRECT verdict, that is, the solution class of `problems.countdown_solver`: all
orders and all wordings of one solution are one string. Counts are rarefied to m rollouts (`rarefaction`); a rollout
that found no correct class (None) takes a place among the m and counts for none, so that

    distinct = sum over classes l of 1 - C(N - n_l, m) / C(N, m),    N = all rollouts, None included.

What would surprise: given all rollouts, no correct one among them is a value of 0, since none was found; given correct
ones only, none at all is NaN. The number of existing classes is a choice: all of them (metadata `n_classes`), or those
that positive whole numbers suffice for (`n_whole_classes`), which is all that the embedded family is trained to write.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from s2l_lab.diversity.metric import Metric
from s2l_lab.diversity.rarefaction import check_subset, seen_probability
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def distinct_strategies(strategies: Sequence[str | None], m: int | None = None) -> float:
    """Expected number of distinct strategies among m of these N rollouts (all N for None): 0 to min(m, classes seen).

    One entry per rollout: the class of a correct one, None for any other. NaN for no rollouts. Raises UsageError
    unless 1 <= m <= N.
    """
    if not strategies:
        return float("nan")
    counts = list(Counter(strategy for strategy in strategies if strategy is not None).values())
    return float(seen_probability(len(strategies), check_subset(m, len(strategies)))[counts].sum()) if counts else 0.0


def strategy_coverage(strategies: Sequence[str | None], n_classes: int, m: int | None = None) -> float:
    """Share of the `n_classes` existing classes that m of these N rollouts are expected to find: 0 to 1.

    NaN for no rollouts. Raises UsageError for fewer existing classes than were found, and as `distinct_strategies`.
    """
    found = len({strategy for strategy in strategies if strategy is not None})
    if n_classes < max(1, found):
        raise UsageError(
            f"{found} distinct strategies were found and n_classes = {n_classes} was given; at least as many must "
            "exist. With n_whole_classes, leave out strategies that need fractions or negative numbers."
        )
    return distinct_strategies(strategies, m) / n_classes


METRICS = (
    Metric(
        name="strategies",
        value=lambda s: distinct_strategies(s.strategies, s.m),
        title="correct strategies found",
        level="strategy",
        up=True,
        most="m",
        span="0 to m",
        measures="Distinct correct solution classes (expressions modulo commutativity and associativity) among m "
        "rollouts.",
        fooled_by="Over all rollouts it mixes accuracy with breadth: read it beside the correct-only value.",
        needs=("strategies",),
    ),
    Metric(
        name="strategy_coverage",
        value=lambda s: strategy_coverage(s.strategies, s.n_classes, s.m),
        title="share of strategies found",
        level="strategy",
        up=True,
        most="1",
        span="0 to 1",
        measures="Distinct correct solution classes among m rollouts, divided by all that exist for the problem.",
        fooled_by="Small where most existing classes are outside what the policy was ever trained to write.",
        needs=(
            "strategies",
            "all strategies",
        ),
    ),
)
