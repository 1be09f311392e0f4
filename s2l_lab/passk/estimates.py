"""Curves, bands and crossings from counts: the one maker of them, for the command, its figures and the app.

Whoever holds the same counts at the same N gets the same numbers to the last bit, in whatever order problems and calls
come. Every k from 1 to N is estimated; who draws fewer takes them from what is estimated. An estimate has a generator
of its own, seeded by its name, the policies that it is about, the problems and N (`estimate_rng`), so that no other
estimate moves it: another policy leaves a curve and its interval as they were. Only comparisons depend on which
policies are compared, since one band holds for all their pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from s2l_lab.digest import content_seed
from s2l_lab.estimators import Comparison, Counts, CoverCurve, Curve, compare_all, cover_curve, pass_at_k_curve

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
        rng=estimate_rng(counts.problem_ids, n, "pass@k", policy),
    )


def policy_cover(policy: str, counts: Counts, n: int) -> CoverCurve:
    """Cover@tau of a policy at tau = k / n for every k up to n; rollouts without a verdict count as wrong."""
    rng = estimate_rng(counts.problem_ids, n, "cover", policy)
    return cover_curve(counts.correct_P, counts.total_P, every_k(n) / n, rng=rng)


def policy_comparisons(counts: Mapping[str, Counts], n: int) -> tuple[Comparison, ...]:
    """Every pair of policies at every k up to n, the first of a pair (put the smaller first) as `a`; none where there
    is one policy. One band over all k and all pairs."""
    if len(counts) < 2:
        return ()
    ids = next(iter(counts.values())).problem_ids
    return tuple(compare_all(counts, every_k(n), rng=estimate_rng(ids, n, "compare", *counts)))
