"""Unbiased estimators of k draws from N rollouts: pass@k, pass^k, at least j of k.

    pass@k = 1 - C(N - c, k) / C(N, k)        (Chen et al. 2021, arXiv 2107.03374, Eq. 1)
    pass^k =     C(c, k)     / C(N, k)
    P(at least j of k correct) = sum_{x >= j} C(c, x) C(N - c, k - x) / C(N, k)

Each is the mean over all k-subsets of a problem's rollouts, hence unbiased for the same function of its solve rate.
The ratio C(N - c, k) / C(N, k) is the running product of (N - c - j) / (N - j) over j < k: one cumulative product gives
every k at once, exactly 0 once k > N - c, and never touches a factorial. Averaged over the histogram of (N, c).

What would surprise: a k above the smallest N is an error, never a curve over the problems that are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_ks, one_whole, pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats, Ints


def subset_ratio(part_C: Ints, total_C: Ints, ks_K: Ints) -> Floats:
    """C(part, k) / C(total, k), shape (C, K): the chance that k of `total` rollouts all fall among `part` of them.

    `part_C` and `total_C` have shape (C,), 0 <= part <= total; every k lies in 1..min(total_C).
    """
    drawn = np.arange(ks_K.max())
    # The factor at drawn = part is 0, and the product stays there.
    step_CK = (part_C[:, None] - drawn) / (total_C[:, None] - drawn)
    ratio_CK: Floats = np.cumprod(step_CK, axis=1, dtype=np.float64)[:, ks_K - 1]
    return ratio_CK


@overload
def pass_at_k(correct_P: ArrayLike, total_P: ArrayLike, k: int) -> float: ...
@overload
def pass_at_k(correct_P: ArrayLike, total_P: ArrayLike, k: Sequence[int] | Ints | None) -> Floats: ...
def pass_at_k(correct_P: ArrayLike, total_P: ArrayLike, k: int | Sequence[int] | Ints | None) -> float | Floats:
    """Unbiased pass@k, the mean over problems of 1 - C(N - c, k) / C(N, k).

    `correct_P` and `total_P` have shape (P,), integers with 0 <= correct <= total; N may differ by problem. `k` is one
    k (a float comes back), several (shape (K,)), or None for every k from 1 to the smallest N. UsageError where the
    counts are impossible or k exceeds the smallest N.
    """
    cells = pool(correct_P, total_P)
    ks_K = check_ks(k, cells.min_total)
    fail_CK = subset_ratio(cells.total_C - cells.correct_C, cells.total_C, ks_K)
    value_K = 1.0 - cells.weight_C @ fail_CK / cells.n_problems
    return float(value_K[0]) if k is not None and np.ndim(k) == 0 else value_K


@overload
def pass_hat_k(correct_P: ArrayLike, total_P: ArrayLike, k: int) -> float: ...
@overload
def pass_hat_k(correct_P: ArrayLike, total_P: ArrayLike, k: Sequence[int] | Ints | None) -> Floats: ...
def pass_hat_k(correct_P: ArrayLike, total_P: ArrayLike, k: int | Sequence[int] | Ints | None) -> float | Floats:
    """Unbiased pass^k, the chance that all k rollouts are correct: C(c, k) / C(N, k) (arXiv 2406.12045).

    Arguments, result and errors as in `pass_at_k`.
    """
    cells = pool(correct_P, total_P)
    ks_K = check_ks(k, cells.min_total)
    value_K: Floats = cells.weight_C @ subset_ratio(cells.correct_C, cells.total_C, ks_K) / cells.n_problems
    return float(value_K[0]) if k is not None and np.ndim(k) == 0 else value_K


def at_least_j_of_k(correct_P: ArrayLike, total_P: ArrayLike, j: int, k: int) -> float:
    """Unbiased chance that at least `j` of `k` rollouts are correct, averaged over problems (a hypergeometric tail).

    Read with tau = j / k it is the unbiased neighbour of Cover@tau. j = 1 is pass@k, j = k is pass^k. Counts as in
    `pass_at_k`; UsageError unless 1 <= j <= k <= the smallest N.
    """
    cells = pool(correct_P, total_P)
    k, j = one_whole("k", k), one_whole("j", j)
    ks_K = check_ks(k, cells.min_total)
    if not 1 <= j <= k:
        raise UsageError(f"at least {j} of {k} was asked; j must lie in 1..k = {k}.")
    tail_C = subset_tail(cells.correct_C, cells.total_C, j, ks_K)[:, 0]
    return float(np.clip(cells.weight_C @ tail_C / cells.n_problems, 0.0, 1.0))


def subset_tail(correct_C: Ints, total_C: Ints, j: int, ks_K: Ints) -> Floats:
    """Chance that at least `j` of `k` rollouts, drawn without replacement, are correct: shape (C, K).

    `correct_C` and `total_C` have shape (C,), 0 <= correct <= total; every k lies in j..min(total_C).
    """
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total_C.max() + 1)))])
    tail_CK = np.zeros((correct_C.size, ks_K.size))
    for i, k in enumerate(ks_K.tolist()):
        hits_X = np.arange(j, k + 1)
        tail_CK[:, i] = hypergeometric(log_factorial, correct_C, total_C, k, hits_X).sum(1)
    return np.minimum(tail_CK, 1.0)


def hypergeometric(log_factorial: Floats, correct_C: Ints, total_C: Ints, k: int, hits_X: Ints) -> Floats:
    """Chance of exactly x correct ones among k drawn, shape (C, X)."""

    def log_choose(n: Ints, r: Ints) -> Floats:
        inside = (r >= 0) & (r <= n)
        r = np.where(inside, r, 0)
        chosen: Floats = np.where(inside, log_factorial[n] - log_factorial[r] - log_factorial[n - r], -np.inf)
        return chosen

    correct_C1, wrong_C1 = correct_C[:, None], (total_C - correct_C)[:, None]
    log_CX = log_choose(correct_C1, hits_X) + log_choose(wrong_C1, k - hits_X)
    chance_CX: Floats = np.exp(log_CX - log_choose(total_C, np.full_like(total_C, k))[:, None])
    return chance_CX
