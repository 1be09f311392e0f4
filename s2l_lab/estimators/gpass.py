"""G-Pass@k and mG-Pass@k: are most of k rollouts correct? (Liu et al. 2024, arXiv 2412.13147.)

    G-Pass@k_tau = mean over problems of P(X >= ceil(tau k)),   X ~ Hypergeometric(N, c, k)
    mG-Pass@k    = 2 / k  sum over i = ceil(k / 2) + 1 .. k of G-Pass@k_{i / k}

X is the number of correct ones among k of a problem's N rollouts, so that G-Pass is `at_least_j_of_k` with
j = ceil(tau k): tau towards 0 gives pass@k, tau = 1 gives pass^k. mG-Pass is the paper's sum; it equals twice the
integral over tau in [.5, 1] for even k, and leaves out the half step below (k + 1) / 2 for odd k. A sum of tails is a
mean: mG-Pass@k = 2 / k E max(X - ceil(k / 2), 0).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import Cells, check_aligned, check_ks, check_level, pool
from s2l_lab.estimators.curve import studentised
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats, Ints


def g_pass_at_k(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    k: int,
    tau: float,
    *,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> Estimate:
    """Unbiased chance that at least ceil(tau k) of `k` rollouts are correct, with a `problems` interval; in [0, 1].

    Counts as in `pass_at_k`; 0 < tau <= 1, and a tau k that is a whole number up to rounding is that number (.55 of
    100 is 55). `cluster` labels the problems' clusters, shape (P,): whole clusters are then drawn. NaN ends for one
    problem or cluster. UsageError for another tau, impossible counts or a k above the smallest N.
    """
    cells, k = _checked(correct_P, total_P, k, cluster)
    if not 0 < tau <= 1:
        raise UsageError(f"tau = {tau:g} was asked; it is the share of the k rollouts that must be correct, in (0, 1].")
    wanted = math.ceil(tau * k - 1e-9)
    reached_X = (np.arange(k + 1) >= wanted).astype(np.float64)
    return _estimate(cells, k, reached_X, level, rng, replicates)


def mg_pass_at_k(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    k: int,
    *,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> Estimate:
    """Unbiased mG-Pass@k, G-Pass@k averaged over tau above one half, with a `problems` interval; in [0, 1].

    Counts and errors as in `g_pass_at_k`; k is at least 2, since the sum over i is empty at k = 1.
    """
    cells, k = _checked(correct_P, total_P, k, cluster)
    if k < 2:
        raise UsageError("mG-Pass@k averages over thresholds above k / 2; it needs k >= 2. For k = 1 ask for pass@1.")
    credit_X = 2 / k * np.maximum(np.arange(k + 1) - math.ceil(k / 2), 0.0)
    return _estimate(cells, k, credit_X, level, rng, replicates)


def _checked(correct_P: ArrayLike, total_P: ArrayLike, k: int, cluster: Sequence[object] | None) -> tuple[Cells, int]:
    check_aligned(correct_P=correct_P, total_P=total_P, cluster=cluster)
    cells = pool(correct_P, total_P, None if cluster is None else cluster_codes(cluster, np.size(correct_P)))
    if np.size(k) != 1:
        raise UsageError(f"k = {k} was asked; G-Pass is computed at one k.")
    return cells, int(check_ks(k, cells.min_total)[0])


def _estimate(
    cells: Cells, k: int, credit_X: Floats, level: float, rng: int | np.random.Generator | None, replicates: int
) -> Estimate:
    """The mean over problems of E credit(X), X correct ones of k."""
    check_level(level)
    value_C1 = (_hits(cells.correct_C, cells.total_C, k) @ credit_X)[:, None]
    ends = share_ends(value_C1, cells.weight_C, level, generator(rng), replicates, cells.cluster_C)
    return Estimate(
        value=float(cells.weight_C @ value_C1[:, 0] / cells.n_problems),
        lower=float(ends.lower_K[0]),
        upper=float(ends.upper_K[0]),
        level=level,
        method=studentised(clustered=cells.cluster_C is not None),
        interval="problems",
        n_problems=cells.n_problems,
        n_rollouts=int(cells.weight_C @ cells.total_C),
    )


def _hits(correct_C: Ints, total_C: Ints, k: int) -> Floats:
    """Chance of x correct ones among k rollouts, shape (C, k + 1); each row sums to 1."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total_C.max() + 1)))])
    hits = np.arange(k + 1)
    correct, wrong = correct_C[:, None], (total_C - correct_C)[:, None]
    possible = (hits <= correct) & (k - hits <= wrong)
    right, left = np.where(possible, correct - hits, 0), np.where(possible, wrong - (k - hits), 0)
    ways = log_factorial[correct] - log_factorial[hits] - log_factorial[right]
    ways = ways + log_factorial[wrong] - log_factorial[k - hits] - log_factorial[left]
    ways[~possible] = -np.inf
    weight_CX = np.exp(ways - ways.max(1, keepdims=True))
    chance_CX: Floats = weight_CX / weight_CX.sum(1, keepdims=True)
    return chance_CX
