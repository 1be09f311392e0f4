"""Probability of improvement: how likely is a run of b better than a run of a, on average over tasks?

For every task the share of all pairs (one run of a, one of b) in which b scores more, a tie counting half: the
Mann-Whitney statistic over S_a S_b. Averaged over tasks (Agarwal et al. 2021, arXiv 2108.13264). It says how often b
is better, not by how much: .5 is even, and a tiny gain that every run shows gives 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import binomial_ends, check_replicates, logit_ends, student_t
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.runs_bootstrap import Runs, check_runs, check_scores, method_of, run_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats

_NO_SPREAD = 1e-12


def probability_of_improvement(
    a_ST: ArrayLike,
    b_ST: ArrayLike,
    *,
    runs: Runs,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
) -> Estimate:
    """Chance that a run of `b` beats a run of `a` on a task, averaged over the T tasks that both share; in [0, 1].

    `a_ST` and `b_ST` have shapes (S_a, T) and (S_b, T); the numbers of runs may differ and runs are not paired. `runs`
    as in `interquartile_mean`: `separate` gives percentile ends of the stratified bootstrap of both methods, `shared`
    the variance of the two-sample statistic by rows (DeLong et al. 1988) on Welch's degrees, logit scale. Where every
    pair says the same there is no spread to measure: the ends are the exact binomial ones of min(S_a, S_b) independent
    pairs (times T where runs are separate). `n_seeds` is the smaller number of runs, `n_rollouts` counts scores. NaN
    ends where a method has one run. UsageError for other shapes.
    """
    check_level(level)
    check_runs(runs)
    check_replicates(replicates)
    draws = generator(rng)
    a, b = check_scores("a_ST", a_ST), check_scores("b_ST", b_ST)
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"both methods need scores of the same tasks; given: {a.shape[1]} and {b.shape[1]} tasks.")
    seeds, tasks = min(len(a), len(b)), a.shape[1]
    # 1 where b's run u beats a's run s on task t, one half for a tie
    wins_TSU = (np.sign(b.T[:, None, :] - a.T[:, :, None]) + 1) / 2
    value = float(wins_TSU.mean())
    if seeds == 1:
        lower = upper = np.nan
    elif runs == "separate":
        lower, upper = _stratified(wins_TSU, draws, replicates, level)
    else:
        lower, upper = _by_rows(wins_TSU.mean(0), level)
    name = "stratified percentile bootstrap of runs" if runs == "separate" else "DeLong over runs, logit scale"
    return Estimate(
        value=value,
        lower=lower,
        upper=upper,
        level=level,
        method=method_of(name, seeds),
        interval="seeds",
        n_problems=tasks,
        n_rollouts=a.size + b.size,
        n_seeds=seeds,
    )


def _stratified(wins_TSU: Floats, rng: np.random.Generator, replicates: int, level: float) -> tuple[float, float]:
    """Percentile ends with the runs of both methods resampled apart for every task."""
    tasks, a_runs, b_runs = wins_TSU.shape
    a_blocks = run_weights(a_runs, tasks, "separate", rng, replicates)
    b_weight = np.concatenate(list(run_weights(b_runs, tasks, "separate", rng, replicates)))
    values, start = [], 0
    for a_BST in a_blocks:
        b_BUT = b_weight[start : start + len(a_BST)]
        start += len(a_BST)
        values.append(np.einsum("bst,tsu,but->b", a_BST, wins_TSU, b_BUT, optimize=True))
    value_B = np.concatenate(values) / wins_TSU.size
    if value_B.std() <= _NO_SPREAD:
        return _exact(float(wins_TSU.mean()), tasks * min(a_runs, b_runs), level)
    lower, upper = np.quantile(value_B, [0.5 - level / 2, 0.5 + level / 2])
    return float(lower), float(upper)


def _by_rows(wins_SU: Floats, level: float) -> tuple[float, float]:
    """Ends of a two-sample statistic from the spread of its row and column means."""
    parts = [(wins_SU.mean(axis).var(ddof=1) / n, n - 1) for axis, n in ((1, wins_SU.shape[0]), (0, wins_SU.shape[1]))]
    variance = sum(part for part, _ in parts)
    if variance <= _NO_SPREAD**2:
        return _exact(float(wins_SU.mean()), min(wins_SU.shape), level)
    degrees = variance**2 / sum(part**2 / df for part, df in parts)
    mean, se = np.array([wins_SU.mean()]), np.array([np.sqrt(variance)])
    lower, upper = logit_ends(mean, se, np.array([student_t(level, degrees)]), min(wins_SU.shape), level)
    return float(lower[0]), float(upper[0])


def _exact(value: float, pairs: int, level: float) -> tuple[float, float]:
    lower, upper = binomial_ends(np.array([value]), pairs, level)
    return float(lower[0]), float(upper[0])
