"""Curves of other shares of k draws than pass@k: pass^k, and at least j of k, with the same two intervals.

pass^k, all k correct, is pass@k with right and wrong changed round: its intervals are pass@k's, mirrored. At least j of
k stands between them (j = 1 is pass@k, j = k a point of pass^k); `rollouts` is `at_least_interval.py`'s there. Unknown
rollouts give bounds, as for pass@k.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
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
)
from s2l_lab.estimators.curve import checked_cells, pass_at_k_curve, share_curve
from s2l_lab.estimators.unbiased import subset_tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Curve, Ints


def pass_hat_k_curve(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    ks: Sequence[int] | Ints | None = None,
    *,
    interval: Literal["rollouts", "problems"] = "problems",
    level: float = 0.95,
    rng: int | np.random.Generator | None = None,
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
    rng: int | np.random.Generator | None = None,
    unknown_P: ArrayLike | None = None,
    cluster: Sequence[object] | None = None,
    replicates: int = 2_000,
) -> Curve:
    """Unbiased chance that at least `j` of k are correct at increasing `ks` in j..N (None: all), with intervals.

    Other arguments as in `pass_at_k_curve`, which it is at j = 1. UsageError for j outside 1..k.
    """
    check_level(level)
    cells = checked_cells(correct_P, total_P, unknown_P, cluster)
    most, j = cells[0].min_total, one_whole("j", j)
    if not 1 <= j <= most:
        raise UsageError(f"at least {j} was asked; j must lie in 1..{most}, the fewest rollouts of a problem.")
    ks_K = check_increasing(check_ks(np.arange(j, most + 1) if ks is None else ks, most))
    if j > ks_K[0]:
        raise UsageError(f"at least {j} of {ks_K[0]} was asked; j must lie in 1..k = {ks_K[0]}.")
    if j == 1 or interval not in ("rollouts", "problems"):
        return pass_at_k_curve(
            correct_P,
            total_P,
            ks_K,
            interval=interval,
            level=level,
            rng=rng,
            unknown_P=unknown_P,
            cluster=cluster,
            replicates=replicates,
        )
    ends = partial(at_least_ends, j=j, ks_K=ks_K, level=level)
    return share_curve(
        cells,
        ks_K,
        lambda one: subset_tail(one.correct_C, one.total_C, j, ks_K),
        ends,
        interval=interval,
        level=level,
        rng=rng,
        replicates=replicates,
    )
