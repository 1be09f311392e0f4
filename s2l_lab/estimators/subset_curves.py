"""Curves of other shares of k draws than pass@k: pass^k, and at least j of k, with the same two intervals.

pass^k, all k correct, is pass@k with right and wrong changed round: its intervals are pass@k's, mirrored. At least j of
k stands between them (j = 1 is pass@k, j = k a point of pass^k); `rollouts` is `at_least_interval.py`'s there. Unknown
rollouts give bounds, as for pass@k.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.at_least_interval import at_least_ends
from s2l_lab.estimators.cells import (
    check_aligned,
    check_counts,
    check_increasing,
    check_ks,
    check_level,
    check_unknown,
    one_whole,
    pool,
)
from s2l_lab.estimators.curve import clusters, pass_at_k_curve, settled, studentised
from s2l_lab.estimators.estimate import Curve
from s2l_lab.estimators.problem_interval import ProblemEnds, share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.unbiased import subset_tail
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Ints


def pass_hat_k_curve(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    ks: Sequence[int] | Ints | None = None,
    *,
    interval: Literal["rollouts", "problems"] = "problems",
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    unknown_P: ArrayLike | None = None,
    cluster: Sequence[object] | None = None,
    replicates: int = 2_000,
) -> Curve:
    """Unbiased pass^k, the chance that all k are correct, with intervals. Arguments as in `pass_at_k_curve`."""
    check_aligned(correct_P=correct_P, total_P=total_P, unknown_P=unknown_P, cluster=cluster)
    correct, total = check_counts(correct_P, total_P)
    unknown = np.zeros_like(correct) if unknown_P is None else check_unknown(unknown_P, correct, total)
    fails = pass_at_k_curve(
        total - correct - unknown,
        total,
        ks,
        interval=interval,
        level=level,
        rng=rng,
        unknown_P=unknown,
        cluster=cluster,
        replicates=replicates,
    )
    return replace(
        fails,
        value=1 - fails.value,
        lower=1 - fails.upper,
        upper=1 - fails.lower,
        band_lower=1 - fails.band_upper,
        band_upper=1 - fails.band_lower,
        bound_low=1 - fails.bound_high,
        bound_high=1 - fails.bound_low,
        method=tuple(_mirrored(method) for method in fails.method),
    )


def _mirrored(method: str) -> str:
    return {
        "exact, no rollout correct": "exact, every rollout correct",
        "exact, every rollout correct": "exact, no rollout correct",
    }.get(method, method)


def at_least_j_of_k_curve(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    j: int,
    ks: Sequence[int] | Ints | None = None,
    *,
    interval: Literal["rollouts", "problems"] = "problems",
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    unknown_P: ArrayLike | None = None,
    cluster: Sequence[object] | None = None,
    replicates: int = 2_000,
) -> Curve:
    """Unbiased chance that at least `j` of k are correct at increasing `ks` in j..N (None: all), with intervals.

    Other arguments as in `pass_at_k_curve`, which it is at j = 1. UsageError for j outside 1..k.
    """
    check_level(level)
    check_aligned(correct_P=correct_P, total_P=total_P, unknown_P=unknown_P, cluster=cluster)
    correct, total = check_counts(correct_P, total_P)
    codes_P = None if cluster is None else cluster_codes(cluster, correct.size)
    low = pool(correct, total, codes_P)
    j = one_whole("j", j)
    if not 1 <= j <= low.min_total:
        raise UsageError(f"at least {j} was asked; j must lie in 1..{low.min_total}, the fewest rollouts of a problem.")
    ks_K = check_increasing(check_ks(np.arange(j, low.min_total + 1) if ks is None else ks, low.min_total))
    if j > ks_K[0]:
        raise UsageError(f"at least {j} of {ks_K[0]} was asked; j must lie in 1..k = {ks_K[0]}.")
    if j == 1 or interval not in ("rollouts", "problems"):
        return pass_at_k_curve(
            correct,
            total,
            ks_K,
            interval=interval,
            level=level,
            rng=rng,
            unknown_P=unknown_P,
            cluster=cluster,
            replicates=replicates,
        )
    unknown = np.zeros_like(correct) if unknown_P is None else check_unknown(unknown_P, correct, total)
    cells = [low, pool(correct + unknown, total, codes_P)] if unknown.any() else [low]
    tables = [subset_tail(one.correct_C, one.total_C, j, ks_K) for one in cells]
    nan_K = np.full(ks_K.size, np.nan)
    if interval == "rollouts":
        by_bound = [at_least_ends(one, j, ks_K, level) for one in cells]
        method = by_bound[0].method_K
        ends = ProblemEnds(by_bound[0].lower_K, by_bound[-1].upper_K, nan_K, nan_K)
    else:
        draws = generator(rng)
        both = [
            share_ends(table, one.weight_C, level, draws, replicates, one.cluster_C)
            for table, one in zip(tables, cells, strict=True)
        ]
        method = (studentised(clustered=codes_P is not None),) * ks_K.size
        ends = ProblemEnds(both[0].lower_K, both[-1].upper_K, both[0].band_lower_K, both[-1].band_upper_K)
    bound_low, bound_high = (
        one.weight_C @ table / one.n_problems for one, table in ((cells[0], tables[0]), (cells[-1], tables[-1]))
    )
    return Curve(
        k=ks_K,
        value=settled(bound_low, bound_high),
        lower=ends.lower_K,
        upper=ends.upper_K,
        band_lower=ends.band_lower_K,
        band_upper=ends.band_upper_K,
        bound_low=bound_low,
        bound_high=bound_high,
        method=method,
        interval=interval,
        level=level,
        n_problems=low.n_problems,
        n_rollouts=low.min_total,
        n_clusters=None if interval == "rollouts" else clusters(low),
    )
