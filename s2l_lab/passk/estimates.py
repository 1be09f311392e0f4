"""Curves, bands and crossings from counts: the one maker of them, for the command, its figures and the app.

Whoever holds the same counts at the same N gets the same numbers to the last bit, in whatever order problems and calls
come. Every k from 1 to N is estimated; who draws fewer takes them from what is estimated. An estimate has a generator
of its own, seeded by its name, the policies that it is about, the problems and N (`estimate_rng`), so that no other
estimate moves it: another policy leaves a curve and its interval as they were. Only comparisons depend on which
policies are compared, since one band holds for all their pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from s2l_lab.digest import content_seed
from s2l_lab.estimators import (
    Comparison,
    Counts,
    CoverCurve,
    Curve,
    compare_all,
    cover_curve,
    pass_at_k_curve,
    pass_hat_k_curve,
)
from s2l_lab.estimators.curve import settled

Interval = Literal["rollouts", "problems"]


def estimate_rng(problem_ids: Sequence[str], n: int, *about: str) -> np.random.Generator:
    """The generator of the estimate called `about` (its name, then its policies) on these problems at N = n."""
    return np.random.default_rng(content_seed("pass@k run", *about, sorted(problem_ids), n))


def every_k(n: int) -> NDArray[np.int64]:
    """1 to n: the values of k of every curve at N = n."""
    return np.arange(1, n + 1)


def policy_curve(policy: str, counts: Counts, n: int, interval: Interval) -> Curve:
    """pass@k of a policy at every k up to n, with intervals about `interval`. UsageError where a problem has fewer
    than n rollouts."""
    return pass_at_k_curve(
        counts.correct_P,
        counts.total_P,
        every_k(n),
        interval=interval,
        unknown_P=counts.unknown_P,
        cluster=counts.cluster,
        rng=estimate_rng(counts.problem_ids, n, "pass@k", policy),
    )


def policy_pass_hat(policy: str, counts: Counts, n: int, interval: Interval) -> Curve:
    """pass^k, all k correct, as `policy_curve`."""
    return pass_hat_k_curve(
        counts.correct_P,
        counts.total_P,
        every_k(n),
        interval=interval,
        unknown_P=counts.unknown_P,
        cluster=counts.cluster,
        rng=estimate_rng(counts.problem_ids, n, "pass^k", policy),
    )


def policy_cover(policy: str, counts: Counts, n: int) -> CoverCurve:
    """Cover@tau of a policy at tau = k / n for every k up to n; where verdicts are missing, only what all wrong and all
    right agree on, within the ends of both."""

    def with_correct(correct_P: NDArray[np.int64]) -> CoverCurve:
        rng = estimate_rng(counts.problem_ids, n, "cover", policy)
        return cover_curve(correct_P, counts.total_P, every_k(n) / n, cluster=counts.cluster, rng=rng)

    wrong = with_correct(counts.correct_P)
    if not counts.unknown_P.any():
        return wrong
    right = with_correct(counts.correct_P + counts.unknown_P)
    return replace(
        wrong,
        plug_in=settled(wrong.plug_in, right.plug_in),
        plug_in_lower=np.fmin(wrong.plug_in_lower, right.plug_in_lower),
        plug_in_upper=np.fmax(wrong.plug_in_upper, right.plug_in_upper),
        smoothed=settled(wrong.smoothed, right.smoothed),
        smoothed_lower=np.fmin(wrong.smoothed_lower, right.smoothed_lower),
        smoothed_upper=np.fmax(wrong.smoothed_upper, right.smoothed_upper),
        npmle=settled(wrong.npmle, right.npmle),
        bounds_lower=wrong.bounds_lower,
        bounds_upper=right.bounds_upper,
    )


def policy_comparisons(counts: Mapping[str, Counts], n: int) -> tuple[Comparison, ...]:
    """Every pair of policies at every k up to n, the first of a pair (put the smaller first) as `a`; none where there
    is one policy. One band over all k and all pairs."""
    if len(counts) < 2:
        return ()
    ids = next(iter(counts.values())).problem_ids
    return tuple(compare_all(counts, every_k(n), rng=estimate_rng(ids, n, "compare", *counts)))
