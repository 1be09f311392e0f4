"""The `rollouts` interval: these problems, other draws.

pass@k of a fixed problem set is 1 - mean_i (1 - p_i)^k; its estimate varies because rollouts are drawn. With
F = C(N - c, k) / C(N, k), unbiased for q^k (q = 1 - p), the variance of F is E F^2 - q^(2k), estimated in two ways:

- **u-statistic**: F_k^2 - F_2k, unbiased while 2k <= N. Near 2k = N it is a difference of rare events: over the four
  populations of the calibration its intervals cover .81 to .93 at k = N/2.
- **eb-beta-binomial**: the variance of F at solve rate p, averaged over the posterior rates of `rate_posterior.py`.

Rule: the first for k <= N/4 (the second where the first is 0: all-wrong and all-right problems have no width there);
above N/4 the larger of both; above N/2 the second alone, marked `prior-dependent`, because no rollout speaks of q^(2k).
The centre is the unbiased estimate at every k. Ends: quantiles of the beta distribution with that mean and variance,
so they stay in [0, 1]; at an estimate of exactly 0 or 1, normal ends cut there. Over k the ends are put in increasing
order (Chernozhukov, Fernandez-Val and Galichon 2009), since pass@k cannot fall.

Where not one rollout of the whole set is correct, or not one is wrong, no variance is needed: the ends are exact, from
all solve rates under which that has at least the chance (1 - level) / 2, whatever their distribution.
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


@dataclass(frozen=True, slots=True)
class RolloutEnds:
    """Interval ends and how each was made. Arrays have shape (K,)."""

    lower_K: Floats
    upper_K: Floats
    method_K: tuple[str, ...]


def u_statistic_variance(cells: Cells, ks_K: Ints) -> Floats:
    """Unbiased variance of pass@k over draws, shape (K,); NaN where 2k exceeds the smallest N."""
    variance_K = np.full(ks_K.size, np.nan)
    within_K = 2 * ks_K <= cells.min_total
    if within_K.any():
        wrong_C = cells.total_C - cells.correct_C
        once = subset_ratio(wrong_C, cells.total_C, ks_K[within_K])
        twice = subset_ratio(wrong_C, cells.total_C, 2 * ks_K[within_K])
        variance_K[within_K] = np.maximum(cells.weight_C @ (once**2 - twice), 0.0) / cells.n_problems**2
    return variance_K


def _variance_by_rate(posterior: RatePosterior, total: int, ks_K: Ints) -> Floats:
    """Variance of C(N - c, k) / C(N, k) at every solve rate, for one N = `total`: shape (Q, K)."""
    correct = np.arange(total + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    log_choose = log_factorial[total] - log_factorial - log_factorial[::-1]
    log_right_Q = np.where(
        np.isinf(posterior.log_right_Q), -1e300, posterior.log_right_Q
    )  # 0 * -inf would be NaN at c = 0
    pmf = np.exp(log_choose + np.outer(log_right_Q, correct) + np.outer(posterior.log_wrong_Q, total - correct))
    fail = subset_ratio(total - correct, np.full(total + 1, total), ks_K)
    variance: Floats = np.maximum(pmf @ fail**2 - np.exp(2 * np.outer(posterior.log_wrong_Q, ks_K)), 0.0)
    return variance


def model_variance(cells: Cells, ks_K: Ints) -> Floats:
    """Posterior mean of the variance of pass@k over draws, shape (K,); positive at every k."""
    posterior = posterior_rates(cells)
    variance_K = np.zeros(ks_K.size)
    for total in np.unique(cells.total_C):
        alike_C = cells.total_C == total
        mass_Q = cells.weight_C[alike_C] @ posterior.mass_CQ[alike_C]
        variance_K += mass_Q @ _variance_by_rate(posterior, int(total), ks_K)
    return variance_K / cells.n_problems**2


def _beta_ends(value_K: Floats, variance_K: Floats, level: float) -> tuple[Floats, Floats]:
    """Central interval of the beta distribution with these means and variances; normal and cut at a mean of 0 or 1."""
    from scipy.special import betaincinv, ndtri

    spread_K = value_K * (1 - value_K)
    inner_K = (spread_K > 1e-12) & (variance_K < spread_K)
    reach_K = ndtri(0.5 + level / 2) * np.sqrt(variance_K)
    lower_K, upper_K = np.clip(value_K - reach_K, 0.0, 1.0), np.clip(value_K + reach_K, 0.0, 1.0)
    size = spread_K[inner_K] / variance_K[inner_K] - 1
    first, second = value_K[inner_K] * size, (1 - value_K[inner_K]) * size
    lower_K[inner_K] = betaincinv(first, second, 0.5 - level / 2)
    upper_K[inner_K] = betaincinv(first, second, 0.5 + level / 2)
    # A beta distribution far more skewed than wide can leave its own mean outside the central interval.
    return np.minimum(lower_K, value_K), np.maximum(upper_K, value_K)


def _exact_upper_of_none(cells: Cells, ks_K: Ints, level: float) -> Floats:
    """Largest pass@k under which no rollout at all is correct with chance (1 - level) / 2.

    With s_i = -log(1 - p_i) that chance is exp(-sum N s_i), and pass@k, the mean of 1 - exp(-k s_i), is concave in s:
    the largest has equal s_i. The smallest N stands for all.
    """
    budget = -np.log((1 - level) / 2) / cells.min_total
    upper_K: Floats = -np.expm1(-ks_K * budget / cells.n_problems)
    return upper_K


def _exact_lower_of_all(cells: Cells, ks_K: Ints, level: float) -> Floats:
    """Smallest pass@k under which every rollout is correct with chance (1 - level) / 2.

    With u_i = -log p_i that chance is exp(-sum N u_i), and the mean of (1 - exp(-u_i))^k is largest with all of u on m
    equal problems: on every one for k = 1, on a single one for large k.
    """
    budget = -np.log((1 - level) / 2) / cells.min_total
    m = np.arange(1, cells.n_problems + 1)[:, None]
    lower_K: Floats = 1 - (m / cells.n_problems * (-np.expm1(-budget / m)) ** ks_K).max(0)
    return lower_K


def rollout_ends(cells: Cells, ks_K: Ints, level: float) -> RolloutEnds:
    """Interval ends of pass@k for these problems at increasing `ks_K`, all k at once. Nothing is drawn."""
    if not cells.correct_C.any():
        upper_K = _exact_upper_of_none(cells, ks_K, level)
        return RolloutEnds(np.zeros(ks_K.size), upper_K, ("exact, no rollout correct",) * ks_K.size)
    if (cells.correct_C == cells.total_C).all():
        lower_K = _exact_lower_of_all(cells, ks_K, level)
        return RolloutEnds(lower_K, np.ones(ks_K.size), ("exact, every rollout correct",) * ks_K.size)
    unbiased_K, model_K = u_statistic_variance(cells, ks_K), model_variance(cells, ks_K)
    quarter_K, half_K = 4 * ks_K <= cells.min_total, 2 * ks_K <= cells.min_total
    low_K = quarter_K & (unbiased_K > 0)
    variance_K = np.where(low_K, unbiased_K, np.where(half_K, np.fmax(unbiased_K, model_K), model_K))
    fail_CK = subset_ratio(cells.total_C - cells.correct_C, cells.total_C, ks_K)
    value_K = np.clip(1 - cells.weight_C @ fail_CK / cells.n_problems, 0.0, 1.0)
    lower_K, upper_K = _beta_ends(value_K, variance_K, level)
    method_K = tuple(
        "u-statistic"
        if low
        else "eb-beta-binomial (the u-statistic is 0)"
        if quarter
        else "larger of u-statistic and eb-beta-binomial"
        if half
        else f"eb-beta-binomial, prior-dependent: N >= 4k = {4 * k} would rest on rollouts alone"
        for k, low, quarter, half in zip(ks_K.tolist(), low_K, quarter_K, half_K, strict=True)
    )
    return RolloutEnds(np.sort(lower_K), np.sort(upper_K), method_K)
