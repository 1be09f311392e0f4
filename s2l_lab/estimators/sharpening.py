"""The Sharpening Tax: what post-training takes from the gain of further rollouts (arXiv 2610.01509, Eq. 1 to 3).

    A(K)   = sum over k = 1 .. K - 1 of (pass@K - pass@k)      area between a curve and its own end
    S(K)   = A(K) / ((K - 1) (1 - pass@1))                     the same as a share of the most there was to gain
    Tax(K) = the base model's minus the post-trained model's, of A or of S

Positive: the post-trained model gains less from more rollouts. A tax says nothing of who is ahead (a model that starts
at .9 can gain little), so the two areas between the curves stand beside it: over ln k from 1 to K, how far the base
curve lies above the other where it does, and how far the other lies above it, both divided by ln K. They are in units
of pass@k, and their difference is the mean gap.

Ends are about other problems. Both taxes are means over problems (S after linearisation). An area of positive parts is
biased away from 0 by noise and has no useful standard error, so its ends are the areas of the simultaneous band of the
difference: at least `level` for both together, and a low end of 0 where the band holds 0 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_ks, check_level, one_whole
from s2l_lab.estimators.compare import compare_counts, match_clusters, match_problems, pool_matched
from s2l_lab.estimators.estimate import Counts, Estimate
from s2l_lab.estimators.problem_interval import difference_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.unbiased import subset_ratio

if TYPE_CHECKING:
    from s2l_lab.estimators.estimate import Floats, Ints


@dataclass(frozen=True, slots=True)
class SharpeningTax:
    """Base minus post-trained, up to `k`; every Estimate is about other problems of this kind."""

    k: int
    """Largest budget K, in rollouts per problem."""
    area: Estimate
    """Tax_A(K), in [-(K - 1), K - 1]."""
    calibrated: Estimate
    """Tax_S(K), in [-1, 1]; NaN where a model solves every problem at every try."""
    base_ahead: Estimate
    """Mean over ln k of how far the base curve lies above the other one, in [0, 1]."""
    post_ahead: Estimate
    """Mean over ln k of how far the post-trained curve lies above the base, in [0, 1]."""


def sharpening_tax(
    base: Counts,
    post: Counts,
    k: int | None = None,
    *,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
) -> SharpeningTax:
    """Tax and areas between the curves of `base` and `post` up to `k` (None: the smallest N), matched by problem.

    NaN ends for one problem. UsageError for unmatched problems, k outside 2..N, or rollouts of unknown outcome: a
    curve's gain is not monotone in them, so no two bounds enclose it.
    """
    check_level(level)
    draws = generator(rng)
    matched = match_problems({"base": base, "post": post})
    if matched[:, 2].any():
        raise UsageError(
            f"{int(matched[:, 2].sum())} rollouts have no verdict; the Sharpening Tax is not bounded by taking "
            "them all as wrong or right. Verify them again, or leave their problems out."
        )
    smallest = int(matched[:, 1].min())
    top = smallest if k is None else int(check_ks(one_whole("k", k), smallest)[0])
    if top < 2:
        raise UsageError("a Sharpening Tax needs k >= 2: with one rollout there is nothing to gain from more.")
    cells_23C, weight_C, cluster_C = pool_matched(matched, match_clusters({"base": base, "post": post}))
    ks_K = np.arange(1, top + 1)
    gain_2C, first_2C = _gains(cells_23C, ks_K)
    (raw, raw_ends), (share, share_ends) = _taxes(gain_2C, first_2C, weight_C, cluster_C, level, draws, replicates)
    rollouts = int(matched[:, 1].sum())

    def estimate(value: float, ends: Floats, method: str) -> Estimate:
        return Estimate(
            value=value,
            lower=float(ends[0]),
            upper=float(ends[1]),
            level=level,
            method=method,
            interval="problems",
            n_problems=int(weight_C.sum()),
            n_rollouts=rollouts,
        )

    drawn = "problems" if cluster_C is None else "clusters"
    gap = compare_counts(post, base, ks_K, rng=draws, level=level, replicates=replicates)
    band = "area of the simultaneous band"
    ahead, below, above = (
        [_mean_over_log_k(ks_K, np.maximum(sign * curve_K, 0.0)) for sign in (1, -1)]
        for curve_K in (gap.value, gap.band_lower, gap.band_upper)
    )
    return SharpeningTax(
        k=top,
        area=estimate(raw * (top - 1), raw_ends * (top - 1), f"paired bootstrap of {drawn}"),
        calibrated=estimate(share, share_ends, f"paired bootstrap of {drawn}, linearised"),
        base_ahead=estimate(ahead[0], np.array([below[0], above[0]]), band),
        post_ahead=estimate(ahead[1], np.array([above[1], below[1]]), band),
    )


def _gains(cells_23C: Ints, ks_K: Ints) -> tuple[Floats, Floats]:
    """A(K) / (K - 1) and pass@1 of both models by joint cell, each of shape (2, C)."""
    solve_2CK = np.stack([1 - subset_ratio(total - correct, total, ks_K) for correct, total, _ in cells_23C])
    return solve_2CK[:, :, -1] - solve_2CK[:, :, :-1].mean(2), solve_2CK[:, :, 0]


def _taxes(
    gain_2C: Floats,
    first_2C: Floats,
    weight_C: Ints,
    cluster_C: Ints | None,
    level: float,
    rng: np.random.Generator,
    replicates: int,
) -> list[tuple[float, Floats]]:
    """Value and both ends of the raw tax over K - 1, then of the calibrated one."""
    n = int(weight_C.sum())
    room_2 = 1 - first_2C @ weight_C / n
    linear_C = gain_2C[0] - gain_2C[1]
    with_room = bool((room_2 > 1e-12).all())
    shares_C = np.zeros_like(linear_C)
    share = np.nan
    if with_room:
        share_2 = gain_2C @ weight_C / n / room_2
        # Values whose mean is S and whose spread is that of the ratio: S + (A_i - S (1 - pass@1_i)) / (1 - pass@1)
        by_model_2C = share_2[:, None] + (gain_2C - share_2[:, None] * (1 - first_2C)) / room_2[:, None]
        shares_C, share = by_model_2C[0] - by_model_2C[1], float(share_2[0] - share_2[1])
    scale = max(float(np.abs(shares_C).max()), 1.0)  # difference_ends takes values in [-1, 1]
    values_C2 = np.stack([linear_C, shares_C / scale], axis=1)
    ends = difference_ends([values_C2], weight_C, level, rng, replicates, cluster_C)[0]
    both_2E = np.stack([ends.lower_K, ends.upper_K], axis=1)
    share_ends = np.clip(both_2E[1] * scale, -1.0, 1.0) if with_room else np.full(2, np.nan)
    return [(float(linear_C @ weight_C / n), both_2E[0]), (share, share_ends)]


def _mean_over_log_k(ks_K: Ints, curve_K: Floats) -> float:
    """The mean of a curve over ln k, straight between neighbouring k."""
    log_K = np.log(ks_K)
    return float(np.trapezoid(curve_K, log_K) / (log_K[-1] - log_K[0]))
