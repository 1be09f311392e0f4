"""What one policy adds to another: the between-part of a distance, unbiased, with a permutation test.

On one problem, with rollouts of policies A and B and D the mean distance over pairs of different rollouts (i != j):

    between = D_AB - (D_AA + D_BB) / 2          T = D_AB / 2 + (D_AA + D_BB) / 4          share = (between / 2) / T

T is the mean distance of two rollouts of the even mix of A and B, and T = (D_AA + D_BB) / 2 + between / 2, so `share`
is the part of the mix's diversity that lies between the policies: 0 for one policy under two names, 1 for two
different constant ones. In expectation between is

- squared Euclidean: |mu_A - mu_B|^2, the squared distance of the mean embeddings;
- Euclidean: half of the energy distance 2 E|X-Y| - E|X-X'| - E|Y-Y'| (Szekely and Rizzo 2013);
- labels equal or not: sum over labels of (p_A - p_B)^2 / 2.

Pairs i = j are left out: with them between is the plug-in value, above 0 for one policy under two names. Unbiased
values can be negative, and stay so.

The test permutes policies within problems (problems that differ in difficulty are no evidence) and sums over them;
p = (1 + permutations that reach the observed sum) / (1 + all).

Intervals are about problems, whose parts are skewed: bootstrap-t with the jackknife's errors (`jackknife_t.py`).

What would surprise: a small p says that distributions differ, and those of one model at two temperatures do. So the
share is read against `split_half` (0), the learner at equal KL and same-size siblings. Edit distance is not of
negative type: its between-part can be 0 or below for policies that differ. Rollouts drawn with common random numbers
are coupled, share and p are then wrong (STATISTICS 2), and no distance matrix shows it: the caller refuses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2l_lab.diversity.over_problems import ratio_over_problems
from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import student_t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

_BLOCK = 1_000
"""Permutations held at once, so that memory does not grow with their number."""
_TIE = 1e-12
"""Values nearer than this share of all distances are equal: they were summed in another order."""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Diversity within and between two policies, over problems with two rollouts of each. Distances as given."""

    between: Estimate
    """Mean over problems of D_AB - (D_AA + D_BB) / 2: unbiased, below 0 by chance where the policies agree."""
    within_a: Estimate
    """Mean over problems of D_AA: how far apart two rollouts of policy A are."""
    within_b: Estimate
    cross: Estimate
    """Mean over problems of D_AB."""
    share: Estimate
    """Sum of between / 2 over sum of T. Problems whose rollouts are all alike (T = 0) have nothing to share and are
    left out of its `n_problems`."""
    null_mean: float
    """Mean of `between` over permutations, 0 but for Monte Carlo noise."""
    null_upper: float
    """Quantile of `between` over permutations at the estimates' level."""
    p_value: float
    """One-sided p: how often permuted policies are as far apart. From 1 / (1 + permutations) to 1."""
    between_P: NDArray[np.float64]
    """Between-part of each problem, (P,); NaN where a policy has fewer than two rollouts."""
    n_problems: int
    """Number of problems that count: those that are not NaN in `between_P`."""
    n_a: int
    """Number of rollouts of policy A on these problems."""
    n_b: int


@dataclass(frozen=True, slots=True)
class PairMeans:
    """Mean distances over pairs of different items, shape (B,) for B ways to divide them. NaN where no pair exists."""

    within_a_B: NDArray[np.float64]
    within_b_B: NDArray[np.float64]
    cross_B: NDArray[np.float64]

    @property
    def between(self) -> NDArray[np.float64]:
        """D_AB - (D_AA + D_BB) / 2, shape (B,)."""
        return self.cross_B - (self.within_a_B + self.within_b_B) / 2

    @property
    def total(self) -> NDArray[np.float64]:
        """T, the mean distance of two draws of the even mix, shape (B,)."""
        return self.cross_B / 2 + (self.within_a_B + self.within_b_B) / 4


def pair_means(distance_NN: NDArray[np.float64], is_a_BN: NDArray[np.bool_]) -> PairMeans:
    """Mean distances of a symmetric (N, N) with zero diagonal, for every row of `is_a_BN`, which names A's items."""
    a_BN = is_a_BN.astype(np.float64)
    n_a_B = a_BN.sum(1)
    n_b_B = is_a_BN.shape[1] - n_a_B
    row_N = distance_NN.sum(1)
    in_a_B = ((a_BN @ distance_NN) * a_BN).sum(1)
    across_B = a_BN @ row_N - in_a_B
    in_b_B = row_N.sum() - in_a_B - 2 * across_B
    pairs = n_a_B * (n_a_B - 1), n_b_B * (n_b_B - 1), n_a_B * n_b_B
    sums = in_a_B, in_b_B, across_B
    return PairMeans(*(s / np.where(n > 0, n, np.nan) for s, n in zip(sums, pairs, strict=True)))


def decompose(
    distance_P: Sequence[NDArray[np.floating]],
    n_a_P: Sequence[int],
    *,
    rng: np.random.Generator,
    permutations: int = 999,
    level: float = 0.95,
    cluster: Sequence[object] | None = None,
) -> Decomposition:
    """Between-part, within-parts and permutation test of policies A and B.

    `distance_P` holds one symmetric matrix (N_p, N_p) per problem, whose first `n_a_P[p]` rows are A's rollouts and the
    others B's; for correct rollouts only, pass those rows and columns. Problems with fewer than two rollouts of either
    policy are left out; all of them: NaN. `cluster` has the cluster of each problem, (P,), None where every problem
    stands alone; permutations are within problems either way. UsageError for what is no distance matrix, or for fewer
    than 19 permutations.
    """
    check_level(level)
    if permutations < 19:
        raise UsageError(f"permutations = {permutations} was asked; fewer than 19 cannot reach p = .05.")
    sizes_P2 = _sizes(distance_P, n_a_P)
    kept = np.flatnonzero(sizes_P2.min(1) >= 2)
    part_P5 = np.full((len(sizes_P2), 5), np.nan)
    null_B = np.full(permutations, 0.0 if kept.size else np.nan)
    for p, distance in enumerate(distance_P):
        distance_NN = _checked(distance, p)
        if sizes_P2[p].min() >= 2:
            is_a_N = np.arange(len(distance_NN)) < n_a_P[p]
            seen = pair_means(distance_NN, is_a_N[None])
            part_P5[p] = np.concatenate([seen.within_a_B, seen.within_b_B, seen.cross_B, seen.between, seen.total])
            null_B += _permuted(distance_NN, is_a_N, rng, permutations) / kept.size
    within_a_P, within_b_P, cross_P, between_P, total_P = part_P5.T
    n_a, n_b = (int(n) for n in sizes_P2[kept].sum(0))
    one_P = np.ones(len(sizes_P2))

    def over_problems(part_P: NDArray[np.float64], of_P: NDArray[np.float64], rollouts: int) -> Estimate:
        return ratio_over_problems(part_P, of_P, rollouts, level=level, cluster=cluster)

    between = over_problems(between_P, one_P, n_a + n_b)
    return Decomposition(
        between=between,
        within_a=over_problems(within_a_P, one_P, n_a),
        within_b=over_problems(within_b_P, one_P, n_b),
        cross=over_problems(cross_P, one_P, n_a + n_b),
        share=over_problems(between_P / 2, total_P, n_a + n_b),
        null_mean=float(null_B.mean()),
        null_upper=float(np.quantile(null_B, level)),
        p_value=_p_value(null_B, between.value, _TIE * float(total_P[kept].sum())),
        between_P=between_P,
        n_problems=kept.size,
        n_a=n_a,
        n_b=n_b,
    )


def split_half(
    distance_P: Sequence[NDArray[np.floating]], *, rng: np.random.Generator, splits: int = 20, level: float = 0.95
) -> Estimate:
    """The null a reader trusts: one policy's own rollouts, split at random into halves, taken for two policies.

    `distance_P` holds one matrix (N_p, N_p) per problem; fewer than four rollouts leave the problem out. The value is
    the mean of `between` over `splits` and problems. Over all splits of given rollouts it is 0 by algebra, whatever the
    rollouts, so its own standard error says how many splits were made and nothing else. The ends are therefore those of
    ONE split (root mean square over splits, Student t over problems): what N / 2 rollouts a side show by chance.
    Clusters of problems make no difference here: given the rollouts, splits of two problems are independent.
    """
    check_level(level)
    if splits < 1:
        raise UsageError(f"splits = {splits} was asked; at least one is needed.")
    by_problem, rollouts = [], 0
    for p, distance in enumerate(distance_P):
        distance_NN, n = _checked(distance, p), len(distance)
        if n >= 4:
            by_problem.append(_permuted(distance_NN, np.arange(n) < n // 2, rng, splits))
            rollouts += n
    between_PB = np.array(by_problem).reshape(-1, splits)
    problems = len(between_PB)
    value = float(between_PB.mean()) if problems else np.nan
    reach = np.nan
    if problems > 1:
        reach = student_t(level, problems - 1) * float(np.sqrt((between_PB**2).mean(1).sum())) / problems
    method = f"Student t of one of {splits} splits"
    return Estimate(value, value - reach, value + reach, level, method, "problems", problems, rollouts)


def _permuted(
    distance_NN: NDArray[np.float64], is_a_N: NDArray[np.bool_], rng: np.random.Generator, permutations: int
) -> NDArray[np.float64]:
    """`between` of one problem for `permutations` random assignments with as many rollouts of A, shape (B,)."""
    blocks = []
    for start in range(0, permutations, _BLOCK):
        is_a_BN = np.tile(is_a_N, (min(_BLOCK, permutations - start), 1))
        blocks.append(pair_means(distance_NN, rng.permuted(is_a_BN, axis=1)).between)
    return np.concatenate(blocks)


def _p_value(null_B: NDArray[np.float64], observed: float, tie: float) -> float:
    """(1 + values that reach the observed one) / (1 + all); NaN where nothing was observed."""
    return float((1 + (null_B >= observed - tie).sum()) / (1 + null_B.size)) if np.isfinite(observed) else np.nan


def _sizes(distance_P: Sequence[NDArray[np.floating]], n_a_P: Sequence[int]) -> NDArray[np.int64]:
    """Rollouts of A and of B by problem, shape (P, 2)."""
    if len(distance_P) != len(n_a_P):
        raise UsageError(f"one n_a per problem is needed; given: {len(distance_P)} matrices and {len(n_a_P)} numbers.")
    for p, (distance_NN, n_a) in enumerate(zip(distance_P, n_a_P, strict=True)):
        if not 0 <= n_a <= len(distance_NN):
            raise UsageError(f"problem {p} has {len(distance_NN)} rollouts in all; n_a = {n_a} was given.")
    pairs = [(n_a, len(distance_NN) - n_a) for distance_NN, n_a in zip(distance_P, n_a_P, strict=True)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _checked(distance: ArrayLike, p: int) -> NDArray[np.float64]:
    """The matrix as float64; UsageError for what no distance can be."""
    distance_NN = np.asarray(distance, dtype=np.float64)
    if distance_NN.ndim != 2 or distance_NN.shape[0] != distance_NN.shape[1]:
        raise UsageError(f"problem {p}: distances have shape (N, N), one row per rollout; given: {distance_NN.shape}.")
    if not np.isfinite(distance_NN).all():
        raise UsageError(f"problem {p}: a distance is NaN or infinite. Leave out the rollouts that have none.")
    slack = 1e-6 * float(np.abs(distance_NN).max(initial=0.0))
    if np.abs(np.diagonal(distance_NN)).max(initial=0.0) > slack or distance_NN.min(initial=0.0) < -slack:
        raise UsageError(f"problem {p}: distances are 0 on the diagonal and never negative. Was a similarity given?")
    if np.abs(distance_NN - distance_NN.T).max(initial=0.0) > slack:
        raise UsageError(f"problem {p}: distances are symmetric; make this one so with (D + D.T) / 2.")
    return np.where(np.eye(len(distance_NN), dtype=np.bool_), 0.0, distance_NN)
