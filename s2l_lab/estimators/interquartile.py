"""The interquartile mean (IQM) over runs and tasks (Agarwal et al. 2021, arXiv 2108.13264).

The mean of the middle half of all S x T scores: floor(S T / 4) are cut at either side. It is moved less by one lucky
run than the mean, and by more scores than the median. Cutting looks at scores of all tasks together, so it says how
good a method is on its middling tasks; give scores that can be set side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.estimators.cells import check_level
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import check_replicates, student_t
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.runs_bootstrap import Runs, check_runs, check_scores, method_of, run_weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats


def interquartile_mean(
    scores_ST: ArrayLike,
    *,
    runs: Runs,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
) -> Estimate:
    """IQM of `scores_ST`, S runs by T tasks (higher is better, any range), with an interval about other runs.

    `runs` says whether the runs are `separate` for every task (percentile ends of the stratified bootstrap, as the
    paper has them: from five runs they cover .91) or `shared` by all tasks (rows resampled; Student's t on S - 1
    degrees with the replicates' SD times sqrt(S / (S - 1))). `n_problems` counts tasks, `n_rollouts` scores. NaN ends
    for one run; UsageError for scores that are not a finite (S, T) table.
    """
    check_level(level)
    check_runs(runs)
    check_replicates(replicates)
    draws = generator(rng)
    scores = check_scores("scores_ST", scores_ST)
    seeds, tasks = scores.shape
    value = float(_middle(scores, np.ones((1, seeds, tasks)))[0])
    lower = upper = np.nan
    if seeds > 1:
        value_B = np.concatenate([_middle(scores, w) for w in run_weights(seeds, tasks, runs, draws, replicates)])
        if runs == "separate":
            lower, upper = np.quantile(value_B, [0.5 - level / 2, 0.5 + level / 2])
        else:
            reach = student_t(level, seeds - 1) * value_B.std() * np.sqrt(seeds / (seeds - 1))
            lower, upper = value - reach, value + reach
    name = "stratified percentile bootstrap of runs" if runs == "separate" else "t over resampled runs"
    return Estimate(
        value=value,
        lower=float(lower),
        upper=float(upper),
        level=level,
        method=method_of(name, seeds),
        interval="seeds",
        n_problems=tasks,
        n_rollouts=scores.size,
        n_seeds=seeds,
    )


def _middle(scores_ST: Floats, weight_BST: Floats) -> Floats:
    """IQM of every replicate, shape (B,): scores in order, each as often as drawn, between the cuts."""
    order = np.argsort(scores_ST, axis=None)
    n = scores_ST.size
    cut = n // 4
    place_BN = np.cumsum(weight_BST.reshape(-1, n)[:, order], axis=1)
    kept_BN = np.diff(np.clip(place_BN, cut, n - cut), axis=1, prepend=float(cut))
    middle_B: Floats = kept_BN @ scores_ST.ravel()[order] / (n - 2 * cut)
    return middle_B
