"""From one value a problem to one number with its interval: other problems of this kind.

Every diversity metric is computed within problems and then averaged over them, so problems are what is resampled:
rollouts of one problem are no independent evidence about problems. A metric is undefined on some problems (fewer than
two correct rollouts); those are left out of the mean and of `n_problems`, and never count as 0.

- A mean of values with bounds: studentised bootstrap of problems on the logit scale, as for pass@k
  (`estimators.problem_interval`).
- A mean of values without, and a ratio of sums, as sum e / sum T (the mean of per-problem ratios would be biased where
  lengths depend on what is measured, STATISTICS 7: +.07): bootstrap-t of problems. The standard error is the
  jackknife's, every problem left out once; the quantiles of t* are taken on each side by itself, since a few problems
  with large values make t* skewed; each is at least Student's with P - 1 degrees of freedom, and at most `_MOST` times
  that (replicates that lack the one problem that differs have almost no spread, and a t* in the thousands). A ratio
  that is positive by its nature is studentised on the log scale.

Where it stops to hold: problems of a kind that these P hold none of are not allowed for (one problem in ten with five
times the effect: .70 at P = 10, .93 at P = 30), nor are tails so heavy that the mean rests on a few problems in a
hundred (log-normal effects with a variance ratio of 11 on average: .80 to .87 to P = 100). Student's t of the delta
method, which stood here before, covered .63 and .54 to .66 there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.problem_interval import share_ends, student_t

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

REPLICATES = 2_000
_MOST = 3.0
_FEW = 3
"""Problems up to which a bootstrap of them says nothing, and Student's t stands alone."""
_ROUNDING = 1e-9
_OFF = 1e9


def mean_over_problems(
    value_P: ArrayLike,
    n_rollouts: int,
    *,
    seed: int = 0,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Estimate:
    """Mean over problems of values (P,), NaN where a problem does not define one.

    `bounds` are the least and largest value that there can be, which ends then respect, as (0, 1) for shares. NaN for
    no defined problem, NaN ends for one. Raises UsageError where values leave the bounds.
    """
    value = np.asarray(value_P, dtype=np.float64)
    value = value[np.isfinite(value)]
    if bounds is not None and value.size:
        low, high = bounds
        slack = 1e-9 * (high - low)
        if not (value.min() >= low - slack and value.max() <= high + slack):
            raise UsageError(f"values lie between {low:g} and {high:g}; given: {value.min():g} to {value.max():g}.")
    if value.size < 2:
        mean = float(value[0]) if value.size else np.nan
        return _estimate(mean, (np.nan, np.nan), level, "too few problems", value.size, n_rollouts)
    mean = float(value.mean())
    if bounds is not None:
        rng, weight_C = np.random.default_rng(seed), np.ones(value.size, np.int64)
        share_CK = np.clip((value.round(9)[:, None] - low) / (high - low), 0.0, 1.0)
        ends = share_ends(share_CK, weight_C, level, rng, REPLICATES)
        lower, upper = (low + (high - low) * float(end[0]) for end in (ends.lower_K, ends.upper_K))
        return _estimate(mean, (lower, upper), level, "logit-t bootstrap", value.size, n_rollouts)
    pair = _studentised(value, np.ones(value.size), level, seed, log=False)
    return _estimate(mean, pair, level, "bootstrap-t, jackknife", value.size, n_rollouts)


def _plain(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values without the last digits: problems that differ by rounding alone are equal, or a replicate of such problems
    has a spread of 1e-9 and a t in the millions."""
    scale = float(np.abs(value).max()) or 1.0
    return (value / scale).round(9) * scale


def ratio_over_problems(
    numerator_P: ArrayLike,
    denominator_P: ArrayLike,
    n_rollouts: int,
    *,
    seed: int = 0,
    level: float = 0.95,
    largest: float | None = None,
) -> Estimate:
    """sum of numerators (P,) over sum of denominators (P,), each already summed within its problem.

    `largest` says that the ratio cannot be negative nor exceed it: ends then lie in between. Problems with NaN in
    either, or with denominator 0 (no rollout to speak of), are left out. NaN ends for fewer than two problems; NaN
    where the denominators sum to 0. Raises UsageError for different lengths.
    """
    numerator, denominator = (np.asarray(a, dtype=np.float64) for a in (numerator_P, denominator_P))
    if numerator.shape != denominator.shape:
        raise UsageError(f"a ratio needs one pair per problem; given: {numerator.size} and {denominator.size} values.")
    defined = np.isfinite(numerator) & np.isfinite(denominator) & (denominator != 0)
    numerator, denominator = numerator[defined], denominator[defined]
    problems, total = numerator.size, float(denominator.sum())
    value = float(numerator.sum()) / total if problems and total else np.nan
    if problems < 2 or not np.isfinite(value):
        return _estimate(value, (np.nan, np.nan), level, "too few problems", problems, n_rollouts)
    lower, upper = _studentised(numerator, denominator, level, seed, log=largest is not None)
    if largest is not None:
        lower, upper = max(lower, 0.0), max(min(upper, largest), value)
    return _estimate(value, (lower, upper), level, "bootstrap-t, jackknife", problems, n_rollouts)


@functools.lru_cache(maxsize=4)
def _draws(problems: int, seed: int) -> NDArray[np.float64]:
    """How often each bootstrap replicate holds each problem, shape (B, P): the same for all ratios of one table."""
    weight_BP = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=REPLICATES)
    return weight_BP.astype(np.float64)


def _studentised(
    numerator_P: NDArray[np.float64], denominator_P: NDArray[np.float64], level: float, seed: int, *, log: bool
) -> tuple[float, float]:
    """Ends of sum n / sum d by the bootstrap-t, on the log scale where `log` and every problem may be missed."""
    n_P, d_P = _plain(numerator_P), _plain(denominator_P)
    problems, value = n_P.size, n_P.sum() / d_P.sum()
    without_P = (n_P.sum() - n_P) / np.where(d_P.sum() == d_P, np.nan, d_P.sum() - d_P)
    log = log and bool((n_P >= 0).all() and (without_P > 0).all())
    left_out_P = np.log(without_P) if log else without_P
    residual_P = n_P - value * d_P
    if np.abs(residual_P).max() <= _ROUNDING * float(np.abs(n_P).max() + np.abs(value * d_P).max()):
        return float(value), float(value)
    se = float(np.sqrt((problems - 1) * np.nanvar(left_out_P)))

    least = student_t(level, problems - 1)
    low = high = least
    if problems > _FEW:
        t_B = np.sort(_t_of_replicates(n_P, d_P, _draws(problems, seed), log=log))
        rank = int(np.ceil((0.5 + level / 2) * t_B.size)) - 1
        low, high = (float(np.clip(q, least, _MOST * least)) for q in (-t_B[-1 - rank], t_B[rank]))
    if log:
        return float(value * np.exp(-high * se)), float(value * np.exp(low * se))
    return float(value - high * se), float(value + low * se)


def _t_of_replicates(
    n_P: NDArray[np.float64], d_P: NDArray[np.float64], weight_BP: NDArray[np.float64], *, log: bool
) -> NDArray[np.float64]:
    """(ratio of the replicate - ratio) / the replicate's delta-method error, shape (B,); `log`: of log ratios."""
    problems, value = n_P.size, n_P.sum() / d_P.sum()
    residual_P, sum_B = n_P - value * d_P, weight_BP @ d_P
    shift_B = np.divide(weight_BP @ residual_P, sum_B, out=np.zeros(sum_B.size), where=sum_B != 0)
    # Squares of the residuals around the replicate's own ratio, which are residual - shift d.
    around_B = weight_BP @ residual_P**2
    square_B = around_B - 2 * shift_B * (weight_BP @ (residual_P * d_P)) + shift_B**2 * (weight_BP @ d_P**2)
    spread_B = (square_B > 1e-12 * around_B) & (sum_B != 0)
    se_B = np.sqrt(np.where(spread_B, square_B, 1.0) * problems / (problems - 1)) / np.where(spread_B, np.abs(sum_B), 1)
    # A replicate of problems without spread that is off at all is further off than any t.
    t_B = (
        np.where(np.abs(shift_B) > _ROUNDING * np.abs(residual_P).max() / np.abs(d_P).max(), np.sign(shift_B), 0) * _OFF
    )
    if log:
        spread_B &= value + shift_B > 0
        moved_B = np.where(spread_B, 1 + shift_B / value, 1.0)
        shift_B, se_B = np.log(moved_B), se_B / (value * moved_B)
    return np.divide(shift_B, se_B, out=t_B, where=spread_B)


def _estimate(
    value: float, ends: tuple[float, float], level: float, method: str, n_problems: int, n_rollouts: int
) -> Estimate:
    return Estimate(value, *ends, level, method, "problems", n_problems, n_rollouts)
