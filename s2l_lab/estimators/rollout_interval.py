"""The `rollouts` interval: these problems, other draws.

pass@k of a fixed problem set is 1 - mean_i (1 - p_i)^k; its estimate varies because rollouts are drawn. With
F = C(N - c, k) / C(N, k), unbiased for q^k (q = 1 - p), the variance of F is E F^2 - q^(2k), estimated in two ways:

- **u-statistic**: F_k^2 - F_2k, unbiased while 2k <= N. Near 2k = N it is a difference of rare events: over the four
  populations of the calibration its intervals cover .81 to .93 at k = N/2.
- **eb-beta-binomial**: the variance of F at solve rate p, averaged over the posterior rates of `rate_posterior.py`.

Rule: the first for k <= N/4 (the second where the first is 0); above N/4 the larger of both; above N/2 the second
alone, marked `prior-dependent`, because no rollout speaks of q^(2k). The centre is the unbiased estimate at every k.
Ends: quantiles of the beta distribution with that mean and variance, so they stay in [0, 1]; normal ends, cut there,
where the estimate is 0 or 1 or the beta distribution is normal to rounding.

Both variances speak of problems that are partly solved. What the others can still do is bounded beside them, without a
prior, from all solve rates under which the counts that were seen have at least the chance (1 - level) / 2:

- Z **all-wrong** problems may add up to E to pass@k (`_most_of_unsolved`): added in squares to the upper reach;
- A **all-right** problems may take up to D from it (`_most_failed_of_solved`): added in squares to the lower reach;
- **partly solved** problems fail at all of k rollouts with a chance u = mean q^k, however certain 1 - u looks. The
  lower end is at most 1 - Z/P less the upper end of u on the log scale (delta method, q at (N - c + .5) / (N + 1)).

Where not one rollout of the whole set is correct, or not one is wrong, these bounds are the ends, and they are exact.

Ends are made at every k of 1..N and put in order there (upper ones by running maximum, lower ones by running minimum
from the right, since pass@k cannot fall), so an end at k does not depend on which ks are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.estimators.rate_posterior import RatePosterior, posterior_rates
from s2l_lab.estimators.unbiased import subset_ratio

if TYPE_CHECKING:
    from s2l_lab.estimators.cells import Cells
    from s2l_lab.estimators.estimate import Floats, Ints

_BLOCK = 2**22
"""Entries of the largest array over counts and ks that is held at once."""


@dataclass(frozen=True, slots=True)
class RolloutEnds:
    """Interval ends and how each was made. Arrays have shape (K,)."""

    lower_K: Floats
    upper_K: Floats
    method_K: tuple[str, ...]


def u_statistic_variance(cells: Cells, ks_K: Ints) -> Floats:
    """Unbiased variance of pass@k over draws, shape (K,); NaN where 2k exceeds the smallest N.

    Exactly 0 where the difference of F_k^2 and F_2k is within the rounding of their k factors.
    """
    variance_K = np.full(ks_K.size, np.nan)
    within_K = 2 * ks_K <= cells.min_total
    if within_K.any():
        wrong_C = cells.total_C - cells.correct_C
        once = subset_ratio(wrong_C, cells.total_C, ks_K[within_K])
        twice = subset_ratio(wrong_C, cells.total_C, 2 * ks_K[within_K])
        apart_K = cells.weight_C @ (once**2 - twice)
        rounding_K = 4 * ks_K[within_K] * np.finfo(np.float64).eps * (cells.weight_C @ (once**2 + twice))
        variance_K[within_K] = np.where(apart_K > rounding_K, apart_K, 0.0) / cells.n_problems**2
    return variance_K


def _variance_by_rate(posterior: RatePosterior, total: int, ks_K: Ints) -> Floats:
    """Variance of C(N - c, k) / C(N, k) at every solve rate, for one N = `total`: shape (Q, K)."""
    correct = np.arange(total + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    log_choose = log_factorial[total] - log_factorial - log_factorial[::-1]
    log_right_Q = np.where(
        np.isinf(posterior.log_right_Q), -1e300, posterior.log_right_Q
    )  # 0 * -inf would be NaN at c = 0
    square_QK = np.zeros((log_right_Q.size, ks_K.size))
    for rows in np.array_split(correct, -(-correct.size * ks_K.size // _BLOCK)):
        pmf = np.exp(log_choose[rows] + np.outer(log_right_Q, rows) + np.outer(posterior.log_wrong_Q, total - rows))
        square_QK += pmf @ subset_ratio(total - rows, np.full(rows.size, total), ks_K) ** 2
    variance: Floats = np.maximum(square_QK - np.exp(2 * np.outer(posterior.log_wrong_Q, ks_K)), 0.0)
    return variance


def model_variance(cells: Cells, ks_K: Ints) -> Floats:
    """Posterior mean of the variance of pass@k over draws, shape (K,); 0 only where it underflows."""
    posterior = posterior_rates(cells)
    variance_K = np.zeros(ks_K.size)
    for total in np.unique(cells.total_C):
        alike_C = cells.total_C == total
        mass_Q = cells.weight_C[alike_C] @ posterior.mass_CQ[alike_C]
        variance_K += mass_Q @ _variance_by_rate(posterior, int(total), ks_K)
    return variance_K / cells.n_problems**2


def beta_ends(value_K: Floats, variance_K: Floats, level: float) -> tuple[Floats, Floats]:
    """Central interval of the beta distribution with these means and variances.

    Normal and cut at 0 and 1 where there is no such distribution, or where it is narrower than its quantiles resolve.
    """
    from scipy.special import betaincinv, ndtri

    spread_K = value_K * (1 - value_K)
    inner_K = (spread_K > 1e-12) & (variance_K < spread_K) & (variance_K > 1e-10 * spread_K)
    reach_K = ndtri(0.5 + level / 2) * np.sqrt(variance_K)
    lower_K, upper_K = np.clip(value_K - reach_K, 0.0, 1.0), np.clip(value_K + reach_K, 0.0, 1.0)
    size = spread_K[inner_K] / variance_K[inner_K] - 1
    first, second = value_K[inner_K] * size, (1 - value_K[inner_K]) * size
    lower_K[inner_K] = betaincinv(first, second, 0.5 - level / 2)
    upper_K[inner_K] = betaincinv(first, second, 0.5 + level / 2)
    # A beta distribution far more skewed than wide can leave its own mean outside the central interval.
    return np.minimum(lower_K, value_K), np.maximum(upper_K, value_K)


def _most_of_unsolved(cells: Cells, ks_K: Ints, level: float) -> Floats:
    """The most that all-wrong problems add to pass@k, shape (K,); 0 without such a problem.

    With s_i = -log(1 - p_i) the chance that none of their rollouts is correct is exp(-sum N s_i), at least
    (1 - level) / 2, and the sum of 1 - exp(-k s_i) is concave in s: the largest has equal s_i. Their smallest N stands
    for all.
    """
    unsolved_C = cells.correct_C == 0
    if not unsolved_C.any():
        return np.zeros(ks_K.size)
    problems = int(cells.weight_C[unsolved_C].sum())
    budget = -np.log((1 - level) / 2) / int(cells.total_C[unsolved_C].min())
    most_K: Floats = -np.expm1(-ks_K * budget / problems) * problems / cells.n_problems
    return most_K


def _most_failed_of_solved(cells: Cells, ks_K: Ints, level: float) -> Floats:
    """The most that all-right problems take from pass@k, shape (K,); 0 without such a problem.

    With u_i = -log p_i the chance that all their rollouts are correct is exp(-sum N u_i), and the sum of
    (1 - exp(-u_i))^k is largest with all of u on m equal problems: on every one for k = 1, on a single one for large k.
    """
    solved_C = cells.correct_C == cells.total_C
    if not solved_C.any():
        return np.zeros(ks_K.size)
    budget = -np.log((1 - level) / 2) / int(cells.total_C[solved_C].min())
    m = np.arange(1, int(cells.weight_C[solved_C].sum()) + 1)[:, None]
    most_K: Floats = (m / cells.n_problems * (-np.expm1(-budget / m)) ** ks_K).max(0)
    return most_K


def _lower_of_partly_solved(cells: Cells, ks_K: Ints, level: float) -> Floats:
    """What the lower end is at most, shape (K,): 1 less the all-wrong share and less the upper end of u; see above."""
    from scipy.special import ndtri

    unsolved_C = cells.correct_C == 0
    partly_C = ~unsolved_C & (cells.correct_C < cells.total_C)
    unsolved = cells.weight_C[unsolved_C].sum() / cells.n_problems
    if not partly_C.any():
        return np.full(ks_K.size, 1 - unsolved)
    weight_C, total_C = cells.weight_C[partly_C], cells.total_C[partly_C]
    log_q_C1 = np.log((total_C - cells.correct_C[partly_C] + 0.5) / (total_C + 1))[:, None]
    # On the log scale: q^k falls below the smallest number at large k, s / u does not.
    log_power_CK = ks_K * log_q_C1
    peak_K = log_power_CK.max(0)
    power_CK = np.exp(log_power_CK - peak_K)
    q_C1 = np.exp(log_q_C1)
    slope_CK = ks_K * power_CK / q_C1
    s_over_u_K = np.sqrt(weight_C @ (slope_CK**2 * (q_C1 * (1 - q_C1) / (total_C + 1)[:, None]))) / (
        weight_C @ power_CK
    )
    log_u_K = np.log(weight_C @ power_CK / cells.n_problems) + peak_K
    most_K: Floats = np.exp(np.minimum(log_u_K + ndtri(0.5 + level / 2) * s_over_u_K, 0.0))
    least_K: Floats = 1 - unsolved - most_K
    return least_K


def _in_order(lower_K: Floats, upper_K: Floats) -> tuple[Floats, Floats]:
    """Ends that rise with k: a running minimum from the right, a running maximum. An end of NaN is a fault of ours."""
    if not (np.isfinite(lower_K).all() and np.isfinite(upper_K).all()):
        raise AssertionError("an interval end is not finite")
    rising_K: Floats = np.minimum.accumulate(lower_K[::-1])[::-1]
    return rising_K, np.maximum.accumulate(upper_K)


def rollout_ends(cells: Cells, ks_K: Ints, level: float) -> RolloutEnds:
    """Interval ends of pass@k for these problems at increasing `ks_K`, all k at once. Nothing is drawn."""
    if not cells.correct_C.any():
        upper_K = _most_of_unsolved(cells, ks_K, level)
        return RolloutEnds(np.zeros(ks_K.size), upper_K, ("exact, no rollout correct",) * ks_K.size)
    if (cells.correct_C == cells.total_C).all():
        lower_K = 1 - _most_failed_of_solved(cells, ks_K, level)
        return RolloutEnds(lower_K, np.ones(ks_K.size), ("exact, every rollout correct",) * ks_K.size)
    every_K = np.arange(1, cells.min_total + 1)
    unbiased_K, model_K = u_statistic_variance(cells, every_K), model_variance(cells, every_K)
    quarter_K, half_K = 4 * every_K <= cells.min_total, 2 * every_K <= cells.min_total
    low_K = quarter_K & (unbiased_K > 0)
    larger_K = np.fmax(unbiased_K, model_K)
    # A prior that is too narrow at N/2, where rollouts still speak, is no wider beyond: its ratio there is kept.
    last = int(half_K.sum()) - 1
    too_narrow = larger_K[last] / model_K[last] if last >= 0 and model_K[last] > 0 else 1.0
    variance_K = np.where(low_K, unbiased_K, np.where(half_K, larger_K, too_narrow * model_K))
    fail_CK = subset_ratio(cells.total_C - cells.correct_C, cells.total_C, every_K)
    value_K = np.clip(1 - cells.weight_C @ fail_CK / cells.n_problems, 0.0, 1.0)
    lower_K, upper_K = beta_ends(value_K, variance_K, level)
    upper_K = value_K + np.hypot(upper_K - value_K, _most_of_unsolved(cells, every_K, level))
    lower_K = value_K - np.hypot(value_K - lower_K, _most_failed_of_solved(cells, every_K, level))
    lower_K = np.minimum(lower_K, _lower_of_partly_solved(cells, every_K, level))
    lower_K, upper_K = _in_order(np.clip(lower_K, 0.0, value_K), np.clip(upper_K, value_K, 1.0))
    method_K = tuple(
        "u-statistic"
        if low
        else "eb-beta-binomial (the u-statistic is 0)"
        if quarter
        else "larger of u-statistic and eb-beta-binomial"
        if half
        else f"eb-beta-binomial, prior-dependent: N >= 4k = {4 * k} would rest on rollouts alone"
        for k, low, quarter, half in zip(every_K.tolist(), low_K, quarter_K, half_K, strict=True)
    )
    asked_K = ks_K - 1
    return RolloutEnds(lower_K[asked_K], upper_K[asked_K], tuple(method_K[i] for i in asked_K))
