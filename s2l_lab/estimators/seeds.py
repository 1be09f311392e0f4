"""The `seeds` interval: other training runs, each evaluated on the same problems.

Seeds and problems are crossed, not nested: a hard problem is hard for every run. So a replicate resamples S seeds and
ONE common draw of P problems for all of them; a draw of problems inside each seed averages the problems' spread away
(its intervals cover .71). From few seeds a percentile interval is too short as well (.83 at five), so the ends are
Student's: SE = the replicates' SD times sqrt(S / (S - 1)), on Satterthwaite's degrees of freedom between S - 1 and
P - 1, on the logit scale.

Ten seeds make a claim. A smaller number is a smoke result, and its method says `cannot tell`: five pairs that all
agree reach no lower than p = .0625. A bank or checkpoint that all seeds share makes the interval conditional on it.
Differences of two methods are in `seed_differences`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_columns, check_counts, check_increasing, check_ks, check_level, refuse_masked
from s2l_lab.estimators.estimate import Curve, Floats, Ints
from s2l_lab.estimators.problem_interval import check_replicates, logit_ends, student_t
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.unbiased import subset_ratio
from s2l_lab.estimators.units import cluster_codes, cluster_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

SEEDS_FOR_A_CLAIM = 10
"""With fewer training runs a method reads `cannot tell`."""


def seeds_curve(
    correct_SP: ArrayLike,
    total_SP: ArrayLike,
    ks: Sequence[int] | Ints | None = None,
    *,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> Curve:
    """pass@k of a training method at increasing `ks` (None: every k up to the smallest N), over seeds and problems.

    `correct_SP` and `total_SP` have shape (S, P): S training runs, column p being the same problem in every row.
    `rng` (a seed, a Generator, None for seed 0) drives the `replicates` crossed draws; where `cluster` labels the
    problems' clusters, shape (P,), whole clusters are drawn. NaN ends for a single seed, problem or cluster. UsageError
    as in `pass_at_k`.
    """
    check_level(level)
    check_replicates(replicates)
    correct, total = seed_grid(correct_SP, total_SP)
    seeds, problems = correct.shape
    ks_K = check_increasing(check_ks(ks, int(total.min())))
    solve_SPK = solve_shares(correct, total, ks_K)
    value_K = solve_SPK.mean((0, 1))
    nan_K = np.full(ks_K.size, np.nan)
    lower_K, upper_K = nan_K, nan_K
    if cluster is not None:
        solve_SPK = cluster_columns(solve_SPK, cluster_codes(cluster, problems))
    units = solve_SPK.shape[1]
    if min(seeds, units) > 1:
        se_K = _crossed_sd(solve_SPK, generator(rng), replicates) * np.sqrt(seeds / (seeds - 1))
        critical_K = np.array([student_t(level, df) for df in _degrees(solve_SPK)])
        lower_K, upper_K = logit_ends(value_K, se_K, critical_K, units, level)
    return Curve(
        k=ks_K,
        value=value_K,
        lower=lower_K,
        upper=upper_K,
        band_lower=nan_K,
        band_upper=nan_K,
        bound_low=value_K,
        bound_high=value_K,
        method=(method_words("crossed bootstrap of seeds and problems", seeds),) * ks_K.size,
        interval="seeds",
        level=level,
        n_problems=problems,
        n_rollouts=int(total.min()),
        n_seeds=seeds,
        n_clusters=None if cluster is None else units,
    )


def seed_grid(correct_SP: ArrayLike, total_SP: ArrayLike) -> tuple[Ints, Ints]:
    """Both as checked (S, P) integers; UsageError for counts that are none."""
    check_columns(correct_SP=correct_SP, total_SP=total_SP)
    refuse_masked("correct_SP", correct_SP)
    refuse_masked("total_SP", total_SP)
    correct, total = np.asarray(correct_SP), np.asarray(total_SP)
    if correct.ndim != 2 or correct.shape != total.shape:
        raise UsageError(f"counts of seeds have shape (S, P) each; given: {correct.shape} and {total.shape}.")
    checked = check_counts(correct.ravel(), total.ravel())
    return checked[0].reshape(correct.shape), checked[1].reshape(correct.shape)


def solve_shares(correct_SP: Ints, total_SP: Ints, ks_K: Ints) -> Floats:
    """Unbiased pass@k of every seed and problem, shape (S, P, K)."""
    correct, total = correct_SP.ravel(), total_SP.ravel()
    return (1.0 - subset_ratio(total - correct, total, ks_K)).reshape(*correct_SP.shape, ks_K.size)


@dataclass(frozen=True, slots=True)
class Scatter:
    """Variances in a table of rows (seeds, or banks) crossed with problems, one number a cell. Times the number of
    problems, or of rows, the first two are mean squares."""

    row: float
    """Variance of the rows' means."""
    problem: float
    """Variance of the problems' means."""
    rest: float
    """Variance of a cell around the sum of row and problem effect: the mean square of the interaction."""


def crossed_scatter(table_RP: Floats, weight_R: Floats | None = None) -> Scatter:
    """Two-way analysis of variance without replication, of two rows and two problems at least. `weight_R` (they sum to
    1; None: equal ones) weighs the rows in the problems' means."""
    rows, problems = table_RP.shape
    row_R, problem_P = table_RP.mean(1), table_RP.mean(0)
    rest_RP = table_RP - row_R[:, None] - problem_P + table_RP.mean()
    weighted_P = problem_P if weight_R is None else weight_R @ table_RP
    return Scatter(
        row=float(row_R.var(ddof=1)),
        problem=float(weighted_P.var(ddof=1)),
        rest=float((rest_RP**2).sum()) / ((rows - 1) * (problems - 1)),
    )


def _crossed_sd(solve_SPK: Floats, rng: np.random.Generator, replicates: int) -> Floats:
    """SD over replicates of the mean under resampled seeds and one common draw of problems, shape (K,)."""
    seeds, problems, _ = solve_SPK.shape
    seed_BS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=replicates).astype(float)
    problem_BP = rng.multinomial(problems, np.full(problems, 1 / problems), size=replicates).astype(float)
    sd_K = np.empty(solve_SPK.shape[2])
    for i, solve_SP in enumerate(np.moveaxis(solve_SPK, 2, 0)):
        sd_K[i] = np.einsum("bp,bp->b", seed_BS @ solve_SP, problem_BP).std() / (seeds * problems)
    return np.where(sd_K > 1e-12, sd_K, 0.0)


def _degrees(solve_SPK: Floats) -> Floats:
    """Satterthwaite's degrees of freedom of the sum of a variance over seeds and one over problems, shape (K,)."""
    seeds, problems, _ = solve_SPK.shape
    by_seed_K = solve_SPK.mean(1).var(0, ddof=1) / seeds
    by_problem_K = solve_SPK.mean(0).var(0, ddof=1) / problems
    both_K = by_seed_K**2 / (seeds - 1) + by_problem_K**2 / (problems - 1)
    fewest = np.full(both_K.size, float(min(seeds, problems) - 1))
    degrees_K: Floats = np.divide((by_seed_K + by_problem_K) ** 2, both_K, out=fewest, where=both_K > 0)
    return degrees_K


def method_words(name: str, seeds: int) -> str:
    """The method's name; with fewer seeds than a claim needs, that it cannot tell."""
    if seeds >= SEEDS_FOR_A_CLAIM:
        return name
    return f"{name}; cannot tell: {seeds} of the {SEEDS_FOR_A_CLAIM} seeds that a claim needs"
