"""The `rollouts` interval of "at least j of k are correct": these problems, other draws.

For a problem of solve rate p that chance is h(p) = P(Bin(k, p) >= j), and its unbiased estimate f(c) a hypergeometric
tail. The interval is built as that of pass@k (`rollout_interval.py`), the case j = 1:

- the variance of f is the larger of two: f^2 less the chance that two *disjoint* k-subsets both hold j correct
  rollouts, unbiased while 2k <= N, and the variance of f averaged over the posterior rates. Beyond N/2 the second
  stands alone, kept at the ratio that the two have at N/2, and the interval is marked `prior-dependent`;
- what all-wrong problems may add, and all-right ones take, within the rates under which they look so with a chance of
  (1 - level) / 2, is added in squares. h is convex near 0 and concave further on, so the most is reached with the same
  rate on m of them, the worst m;
- partly solved problems fail with a chance u = mean (1 - h): the lower end leaves room for the upper end of u on the
  log scale, and the upper end for their successes likewise (with right and wrong changed round, at least j right is
  less than k - j + 1 wrong).

Ends are made at every k of j..N and rise with k, since one more rollout cannot make fewer correct.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.estimators.rate_posterior import posterior_rates
from s2l_lab.estimators.rollout_interval import RolloutEnds, beta_ends
from s2l_lab.estimators.unbiased import hypergeometric, subset_tail

if TYPE_CHECKING:
    from s2l_lab.estimators.cells import Cells
    from s2l_lab.estimators.estimate import Floats, Ints


def at_least_ends(cells: Cells, j: int, ks_K: Ints, level: float) -> RolloutEnds:
    """Interval ends at increasing `ks_K` in j..N for these problems. Nothing is drawn."""
    every_K = np.arange(j, cells.min_total + 1)
    most_K, least_K = _most_of_unsolved(cells, j, every_K, level), _most_failed_of_solved(cells, j, every_K, level)
    asked_K = ks_K - j
    if not cells.correct_C.any():
        return RolloutEnds(np.zeros(ks_K.size), most_K[asked_K], ("exact, no rollout correct",) * ks_K.size)
    if (cells.correct_C == cells.total_C).all():
        return RolloutEnds(1 - least_K[asked_K], np.ones(ks_K.size), ("exact, every rollout correct",) * ks_K.size)
    value_K = np.clip(cells.weight_C @ subset_tail(cells.correct_C, cells.total_C, j, every_K) / cells.n_problems, 0, 1)
    half = cells.min_total // 2
    variance_K = _model_variance(cells, j, cells.min_total)
    if j <= half:
        larger_K = np.maximum(_disjoint_variance(cells, j, half), variance_K[: half - j + 1])
        # A prior that is too narrow at N/2, where rollouts still speak, is no wider beyond: its ratio there is kept.
        variance_K *= larger_K[-1] / variance_K[half - j] if variance_K[half - j] > 0 else 1.0
        variance_K[: half - j + 1] = larger_K
    lower_K, upper_K = beta_ends(value_K, variance_K, level)
    upper_K, lower_K = value_K + np.hypot(upper_K - value_K, most_K), value_K - np.hypot(value_K - lower_K, least_K)
    fails_K, solves_K = _rare_of_partly_solved(cells, j, every_K, level)
    unsolved, solved = (
        cells.weight_C[which].sum() for which in (cells.correct_C == 0, cells.correct_C == cells.total_C)
    )
    lower_K = np.minimum(lower_K, 1 - unsolved / cells.n_problems - fails_K)
    upper_K = np.maximum(upper_K, solved / cells.n_problems + solves_K)
    lower_K = np.minimum.accumulate(np.clip(lower_K, 0.0, value_K)[::-1])[::-1]
    upper_K = np.maximum.accumulate(np.clip(upper_K, value_K, 1.0))
    method_K = tuple(
        "larger of u-statistic and eb-beta-binomial"
        if 2 * k <= cells.min_total
        else f"eb-beta-binomial, prior-dependent: N >= 2k = {2 * k} would rest on rollouts too"
        for k in ks_K.tolist()
    )
    return RolloutEnds(lower_K[asked_K], upper_K[asked_K], method_K)


def _disjoint_variance(cells: Cells, j: int, most: int) -> Floats:
    """f^2 less the chance that two disjoint k-subsets both hold j correct ones, for k = j..most (2 most <= N)."""
    apart_K = np.zeros(max(most - j + 1, 0))
    for total in np.unique(cells.total_C).tolist():
        alike_C = cells.total_C == total
        apart_K += cells.weight_C[alike_C] @ _disjoint_table(total, j, most)[cells.correct_C[alike_C]]
    return np.maximum(apart_K, 0.0) / cells.n_problems**2


@functools.lru_cache(maxsize=16)
def _disjoint_table(total: int, j: int, most: int) -> Floats:
    """The same for every count c = 0..total, shape (total + 1, most - j + 1)."""
    correct = np.arange(total + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    table = np.zeros((total + 1, max(most - j + 1, 0)))
    for k in range(j, most + 1):
        hits_X = np.arange(j, k + 1)
        first_CX = hypergeometric(log_factorial, correct, np.full_like(correct, total), k, hits_X)
        rest = np.arange(total - k + 1)
        then = subset_tail(rest, np.full_like(rest, total - k), j, np.array([k]))[:, 0]
        both = (first_CX * then[np.clip(correct[:, None] - hits_X, 0, total - k)]).sum(1)
        table[:, k - j] = first_CX.sum(1) ** 2 - both
    return table


def _model_variance(cells: Cells, j: int, most: int) -> Floats:
    """Posterior mean of the variance of f over draws, for k = j..most."""
    posterior = posterior_rates(cells)
    log_rates = tuple(posterior.log_right_Q.tolist()), tuple(posterior.log_wrong_Q.tolist())
    variance_K = np.zeros(most - j + 1)
    for total in np.unique(cells.total_C).tolist():
        alike_C = cells.total_C == total
        mass_Q = cells.weight_C[alike_C] @ posterior.mass_CQ[alike_C]
        variance_K += mass_Q @ _variance_by_rate(total, j, most, *log_rates)
    return variance_K / cells.n_problems**2


@functools.lru_cache(maxsize=16)
def _variance_by_rate(
    total: int, j: int, most: int, log_right: tuple[float, ...], log_wrong: tuple[float, ...]
) -> Floats:
    """Variance of f over draws at every solve rate, shape (Q, most - j + 1)."""
    from scipy.special import bdtrc

    correct, ks_K = np.arange(total + 1), np.arange(j, most + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    log_choose = log_factorial[total] - log_factorial - log_factorial[::-1]
    log_right_Q = np.maximum(log_right, -1e300)  # 0 * -inf would be NaN at c = 0
    pmf = np.exp(log_choose + np.outer(log_right_Q, correct) + np.outer(log_wrong, total - correct))
    square_QK = pmf @ subset_tail(correct, np.full_like(correct, total), j, ks_K) ** 2
    variance_QK: Floats = square_QK - bdtrc(j - 1.0, ks_K.astype(float), np.exp(log_right_Q)[:, None]) ** 2
    return np.maximum(variance_QK, 0.0)


def _most_of_unsolved(cells: Cells, j: int, ks_K: Ints, level: float) -> Floats:
    """The most that all-wrong problems add, shape (K,); 0 without such a problem."""
    from scipy.special import bdtrc

    unsolved_C = cells.correct_C == 0
    m = np.arange(1, int(cells.weight_C[unsolved_C].sum()) + 1)[:, None]
    if not m.size:
        return np.zeros(ks_K.size)
    budget = -np.log((1 - level) / 2) / int(cells.total_C[unsolved_C].min())
    most_K: Floats = (m / cells.n_problems * bdtrc(j - 1.0, ks_K.astype(float), -np.expm1(-budget / m))).max(0)
    return most_K


def _most_failed_of_solved(cells: Cells, j: int, ks_K: Ints, level: float) -> Floats:
    """The most that all-right problems take, shape (K,); 0 without such a problem."""
    from scipy.special import bdtr

    solved_C = cells.correct_C == cells.total_C
    m = np.arange(1, int(cells.weight_C[solved_C].sum()) + 1)[:, None]
    if not m.size:
        return np.zeros(ks_K.size)
    budget = -np.log((1 - level) / 2) / int(cells.total_C[solved_C].min())
    most_K: Floats = (m / cells.n_problems * bdtr(j - 1.0, ks_K.astype(float), np.exp(-budget / m))).max(0)
    return most_K


def _rare_of_partly_solved(cells: Cells, j: int, ks_K: Ints, level: float) -> tuple[Floats, Floats]:
    """Upper ends, on the log scale, of what partly solved problems add to the failures and to the successes, (K,)."""
    from scipy.special import bdtr, bdtrc, ndtri

    partly_C = (cells.correct_C > 0) & (cells.correct_C < cells.total_C)
    if not partly_C.any():
        return np.zeros(ks_K.size), np.zeros(ks_K.size)
    weight_C, total_C1 = cells.weight_C[partly_C], cells.total_C[partly_C][:, None]
    rate_C1 = (cells.correct_C[partly_C][:, None] + 0.5) / (total_C1 + 1)
    draws_K = ks_K.astype(float)
    # h'(p) = k C(k - 1, j - 1) p^(j - 1) (1 - p)^(k - j), k times a binomial chance.
    slope_CK = draws_K * (bdtr(j - 1.0, draws_K - 1, rate_C1) - (bdtr(j - 2.0, draws_K - 1, rate_C1) if j > 1 else 0.0))
    sd_K = np.sqrt(weight_C @ (slope_CK**2 * (rate_C1 * (1 - rate_C1) / (total_C1 + 1)))) / cells.n_problems
    ends = []
    for chance in (bdtr, bdtrc):
        mean_K = weight_C @ chance(j - 1.0, draws_K, rate_C1) / cells.n_problems
        off_K = np.divide(sd_K, mean_K, out=np.full(ks_K.size, np.inf), where=mean_K > 0)
        reach_K = np.exp(np.minimum(ndtri(0.5 + level / 2) * off_K, 700.0))
        ends.append(np.minimum(np.where(mean_K > 0, mean_K * reach_K, 0.0), weight_C.sum() / cells.n_problems))
    return ends[0], ends[1]
