"""Performance profiles: the share of runs and tasks that score above tau, for every tau (arXiv 2108.13264).

The whole distribution of scores at one glance: a method whose profile lies above another's everywhere is better at any
threshold, and the area under it is the mean. Profiles that cross say that the ranking depends on the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level
from s2l_lab.estimators.problem_interval import ProblemEnds, binomial_ends, check_replicates, share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.runs_bootstrap import Runs, check_runs, check_scores, method_of, run_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats


@dataclass(frozen=True, slots=True)
class Profile:
    """The share of scores above every tau, with ends about other runs. Arrays have shape (K,)."""

    tau: Floats
    share: Floats
    """Share of the S x T scores that are greater than tau; falls in tau."""
    lower: Floats
    upper: Floats
    """Upper ends of the pointwise intervals at `level`."""
    band_lower: Floats
    band_upper: Floats
    """Band at `level`, simultaneous over all taus."""
    level: float
    method: str
    n_problems: int
    """Number of tasks."""
    n_seeds: int
    """Number of runs of every task."""


def performance_profile(
    scores_ST: ArrayLike,
    taus: Sequence[float] | Floats,
    *,
    runs: Runs,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
    replicates: int = 2_000,
) -> Profile:
    """Share of `scores_ST` (S runs by T tasks) above each of the increasing `taus`, with pointwise ends and a band.

    `runs` as in `interquartile_mean`. `separate`: percentile ends of the stratified bootstrap, and its sup-t band;
    `shared`: the studentised bootstrap over rows, logit scale (from ten runs the ends cover .94, the band .90). Where
    no resampling moves the share the ends are the exact binomial ones of S independent scores (S T where runs are
    separate). Ends are widened so that they fall in tau, as the share does. NaN ends for one run. UsageError unless
    the taus are finite and increase.
    """
    check_level(level)
    check_runs(runs)
    check_replicates(replicates)
    draws = generator(rng)
    scores = check_scores("scores_ST", scores_ST)
    tau_K = np.atleast_1d(np.asarray(taus, dtype=np.float64))
    if tau_K.ndim != 1 or tau_K.size == 0 or not np.isfinite(tau_K).all() or (np.diff(tau_K) <= 0).any():
        raise UsageError("taus must be finite score thresholds that increase strictly; give them sorted, each once.")
    seeds, tasks = scores.shape
    above_STK = (scores[:, :, None] > tau_K).astype(np.float64)
    if runs == "shared" or seeds == 1:
        ends = share_ends(above_STK.mean(1), np.ones(seeds, dtype=np.int64), level, draws, replicates)
    else:
        ends = _stratified(above_STK, level, draws, replicates)
    name = "stratified percentile bootstrap of runs" if runs == "separate" else "studentised bootstrap of runs"
    return Profile(
        tau=tau_K,
        share=above_STK.mean((0, 1)),
        lower=np.minimum.accumulate(ends.lower_K),
        upper=np.maximum.accumulate(ends.upper_K[::-1])[::-1],
        band_lower=np.minimum.accumulate(ends.band_lower_K),
        band_upper=np.maximum.accumulate(ends.band_upper_K[::-1])[::-1],
        level=level,
        method=method_of(name, seeds),
        n_problems=tasks,
        n_seeds=seeds,
    )


def _stratified(above_STK: Floats, level: float, rng: np.random.Generator, replicates: int) -> ProblemEnds:
    """Percentile ends, and a band of equal critical value times the replicates' SD, around the share."""
    seeds, tasks, size = above_STK.shape
    flat_NK = above_STK.reshape(-1, size)
    share_K = flat_NK.mean(0)
    share_BK = np.concatenate(
        [w.reshape(-1, seeds * tasks) @ flat_NK for w in run_weights(seeds, tasks, "separate", rng, replicates)]
    ) / (seeds * tasks)
    lower_K, upper_K = np.quantile(share_BK, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    sd_K = share_BK.std(0)
    moves_K = sd_K > 1e-12
    scaled_BK = np.divide(np.abs(share_BK - share_K), sd_K, out=np.zeros_like(share_BK), where=moves_K)
    reach_K = np.quantile(scaled_BK.max(1), level) * sd_K
    least_K, most_K = binomial_ends(share_K, seeds * tasks, level)
    lower_K, upper_K = np.where(moves_K, lower_K, least_K), np.where(moves_K, upper_K, most_K)
    return ProblemEnds(
        lower_K,
        upper_K,
        np.minimum(lower_K, np.clip(share_K - reach_K, 0.0, 1.0)),
        np.maximum(upper_K, np.clip(share_K + reach_K, 0.0, 1.0)),
    )
