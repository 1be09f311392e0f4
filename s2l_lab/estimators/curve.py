"""pass@k curves with their intervals: the one entry point for curves of one policy.

`rollouts` asks what other draws on these problems would give, `problems` what other problems of this kind would. The
centre is the unbiased estimate in both. Outcomes count as follows: CORRECT 1; INCORRECT, NO_ANSWER and TRUNCATED 0;
VERIFIER_ERROR is unknown, so the curve is computed twice, with all unknown rollouts wrong and with all right. Where the
two agree there is a value, elsewhere only bounds; N counts the unknown rollouts, so every k up to N stays available.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import (
    Cells,
    check_aligned,
    check_counts,
    check_increasing,
    check_ks,
    check_level,
    check_unknown,
    pool,
)
from s2l_lab.estimators.counts_frame import counts_of_frame, is_frame
from s2l_lab.estimators.estimate import Curve, Estimate, Floats, Ints
from s2l_lab.estimators.problem_interval import ProblemEnds, share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.rollout_interval import rollout_ends
from s2l_lab.estimators.unbiased import subset_ratio
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from s2l_lab.estimators.rollout_interval import RolloutEnds

_AGREE = 1e-12
"""Bounds nearer than this are one value."""


def studentised(*, clustered: bool) -> str:
    """The method of a `problems` interval of shares, in words."""
    return f"studentised bootstrap of {'clusters' if clustered else 'problems'}, logit scale"


def clusters(cells: Cells) -> int | None:
    """Clusters that were drawn whole; None where problems stand alone."""
    return None if cells.cluster_C is None else cells.n_units


def settled(low_K: Floats, high_K: Floats) -> Floats:
    """The value where both bounds agree, NaN where unknown rollouts leave it open."""
    return np.where(np.abs(high_K - low_K) <= _AGREE, low_K, np.nan)


def estimate_at(curve: Curve, place: int, rollouts: int) -> Estimate:
    """The curve at its k number `place`, from 0; `rollouts` are those behind it in all."""
    return Estimate(
        value=float(curve.value[place]),
        lower=float(curve.lower[place]),
        upper=float(curve.upper[place]),
        level=curve.level,
        method=curve.method[place],
        interval=curve.interval,
        n_problems=curve.n_problems,
        n_rollouts=rollouts,
        n_seeds=curve.n_seeds,
    )


def pass_at_k_curve(
    correct_P: ArrayLike | pd.DataFrame,
    total_P: ArrayLike | int | None = None,
    ks: Sequence[int] | Ints | None = None,
    *,
    interval: Literal["rollouts", "problems"] = "problems",
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    unknown_P: ArrayLike | None = None,
    cluster: Sequence[object] | None = None,
    replicates: int = 2_000,
) -> Curve:
    """Unbiased pass@k of one policy at increasing k, with 95 % confidence intervals (arXiv 2107.03374).

    `correct_P`: rollouts with outcome CORRECT, one whole number a problem, shape (P,): a list, an array or a pandas
    Series. `total_P`: all rollouts, shape (P,), or one number that holds for every problem. `ks`: which k, None for
    every k from 1 up to the smallest total. Shares lie between 0 and 1. One policy's frame of a
    run, `open_run(...).counts().loc[NAME]`, may stand in place of all counts; it brings total, unknown and cluster.

    `interval` says what the intervals are about: "problems" (other problems of this kind; with a simultaneous band) or
    "rollouts" (these problems, other draws). `level` is their coverage, between 0 and 1. `unknown_P` (P,) counts the
    rollouts whose verifier failed; they are part of the total, and the curve then has bounds. `cluster` (P,) labels
    problems that belong together: "problems" then draws whole clusters. `rng` (a seed or a numpy Generator) drives the
    `replicates` draws of "problems"; "rollouts" draws nothing. One problem, or cluster, has no interval about problems.

    UsageError for counts that cannot be (more correct than drawn, unequal lengths, fractions), for a k above the
    smallest total, for an unknown interval or level.

    >>> import s2l_lab as s2l
    >>> curve = s2l.pass_at_k_curve([3, 0, 60, 12, 1], 64, [1, 8, 64], interval="rollouts")
    >>> curve
    <Curve: k = 1: 0.237 [0.212, 0.266], k = 8: 0.458 [0.361, 0.574], k = 64: 0.8 [0.361, 1]; 95% CI over rollouts;
    n = 5 problems, N = 64 rollouts per problem>
    >>> curve.to_frame()[["k", "value", "lower", "upper"]].round(2)
        k  value  lower  upper
    0   1   0.24   0.21   0.27
    1   8   0.46   0.36   0.57
    2  64   0.80   0.36   1.00
    """
    check_level(level)
    if interval not in ("rollouts", "problems"):
        raise UsageError(
            f"interval = {interval!r} was asked; a curve of one policy has 'rollouts' or 'problems'. "
            "For 'seeds' give the counts of all training runs to seeds_curve."
        )
    if is_frame(correct_P):
        if not (total_P is None and unknown_P is None and cluster is None):
            raise UsageError("a frame brings its own total, unknown and cluster; give it alone.")
        counts = counts_of_frame(correct_P)
        correct_P, total_P, unknown_P, cluster = counts.correct_P, counts.total_P, counts.unknown_P, counts.cluster
    elif total_P is None:
        raise UsageError("total_P is missing; give the number of rollouts per problem, or a frame of counts().")
    cells = checked_cells(correct_P, total_P, unknown_P, cluster)
    ks_K = check_increasing(check_ks(ks, cells[0].min_total))
    table, ends = partial(_solve_table, ks_K=ks_K), partial(rollout_ends, ks_K=ks_K, level=level)
    return share_curve(cells, ks_K, table, ends, interval=interval, level=level, rng=rng, replicates=replicates)


def checked_cells(
    correct_P: ArrayLike, total_P: ArrayLike, unknown_P: ArrayLike | None, cluster: Sequence[object] | None
) -> list[Cells]:
    """The counts as cells: one record, or two where some rollouts are unknown, with all of them wrong and all right.

    Arguments as in `pass_at_k_curve`; UsageError for impossible counts.
    """
    check_aligned(correct_P=correct_P, total_P=total_P, unknown_P=unknown_P, cluster=cluster)
    correct, total = check_counts(correct_P, total_P)
    codes_P = None if cluster is None else cluster_codes(cluster, correct.size)
    unknown = np.zeros_like(correct) if unknown_P is None else check_unknown(unknown_P, correct, total)
    low = pool(correct, total, codes_P)
    return [low, pool(correct + unknown, total, codes_P)] if unknown.any() else [low]


def share_curve(
    cells: Sequence[Cells],
    ks_K: Ints,
    table: Callable[[Cells], Floats],
    ends_of: Callable[[Cells], RolloutEnds],
    *,
    interval: Literal["rollouts", "problems"],
    level: float,
    rng: int | np.random.Generator | None,
    replicates: int,
) -> Curve:
    """The curve of a share that every cell has: `table` gives it by cell, shape (C, K), `ends_of` the ends of
    `rollouts`. `cells` come from `checked_cells`."""
    tables, nan_K, low = [table(one) for one in cells], np.full(ks_K.size, np.nan), cells[0]
    if interval == "rollouts":
        by_bound = [ends_of(one) for one in cells]
        method = by_bound[0].method_K
        ends = [ProblemEnds(one.lower_K, one.upper_K, nan_K, nan_K) for one in by_bound]
    else:
        draws = generator(rng)
        ends = [
            share_ends(shares, one.weight_C, level, draws, replicates, one.cluster_C)
            for shares, one in zip(tables, cells, strict=True)
        ]
        method = (studentised(clustered=low.cluster_C is not None),) * ks_K.size
    bound_low, bound_high = (cells[i].weight_C @ tables[i] / cells[i].n_problems for i in (0, -1))
    return Curve(
        k=ks_K,
        value=settled(bound_low, bound_high),
        lower=ends[0].lower_K,
        upper=ends[-1].upper_K,
        band_lower=ends[0].band_lower_K,
        band_upper=ends[-1].band_upper_K,
        bound_low=bound_low,
        bound_high=bound_high,
        method=method,
        interval=interval,
        level=level,
        n_problems=low.n_problems,
        n_rollouts=low.min_total,
        n_clusters=None if interval == "rollouts" else clusters(low),
    )


def _solve_table(cells: Cells, ks_K: Ints) -> Floats:
    """pass@k by cell, shape (C, K)."""
    return 1.0 - subset_ratio(cells.total_C - cells.correct_C, cells.total_C, ks_K)
