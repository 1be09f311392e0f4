"""The bootstrap-t of a ratio of sums over problems, with the jackknife's standard errors.

The standard error of sum n / sum d is the jackknife's, every problem left out once. Bootstrap replicates of problems
give the law of t* = (ratio* - ratio) / SE*, SE* the delta method's. Its quantiles are taken on each side by itself,
since a few problems with large values make t* skewed; each is at least Student's with P - 1 degrees of freedom, and at
most `_MOST` times that (replicates that lack the one problem that differs have almost no spread, and a t* in the
thousands). A ratio that is positive by its nature is studentised on the log scale.

Where it stops to hold (benchmarks/calibration_beside.py, nominal .95): problems of a kind that these P hold none of are
not allowed for (one in ten with many times the effect: .67 to .71 at P = 10, .85 to .94 at 30, .96 and more at 100),
nor are tails so heavy that the mean rests on a few problems in a hundred (effects of a log-normal law with sigma 1.2,
squared: .82 at P = 10, .86 at 30, .89 at 100). Student's t of the delta method covers .44, .58 and .69 there. With
milder skew (sigma .5) the ends cover .92 and more at every P.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from s2l_lab.estimators.problem_interval import student_t

_REPLICATES = 2_000
_MOST = 3.0
_FEW = 3
"""Problems up to which a bootstrap of them says nothing, and Student's t stands alone."""
_ROUNDING = 1e-9
_OFF = 1e9


@functools.lru_cache(maxsize=4)
def _draws(problems: int) -> NDArray[np.float64]:
    """How often each bootstrap replicate holds each problem, shape (B, P): the same for all ratios of one table."""
    weight_BP = np.random.default_rng(0).multinomial(problems, np.full(problems, 1 / problems), size=_REPLICATES)
    return weight_BP.astype(np.float64)


def ratio_ends(
    numerator_P: NDArray[np.float64],
    denominator_P: NDArray[np.float64],
    level: float,
    *,
    df: float | None = None,
    log: bool = False,
) -> tuple[float, float]:
    """Ends of sum n / sum d over two or more problems, on the log scale if `log` and no problem carries it all.

    For problems in clusters the sums are those of whole clusters, and `df` Student's degrees of freedom (None: P - 1),
    fewer where clusters differ in size. The value twice where all problems have the same ratio.
    """
    n_P, d_P = _plain(numerator_P), _plain(denominator_P)
    problems, value = n_P.size, n_P.sum() / d_P.sum()
    without_P = (n_P.sum() - n_P) / np.where(d_P.sum() == d_P, np.nan, d_P.sum() - d_P)
    log = log and bool((n_P >= 0).all() and (without_P > 0).all())
    left_out_P = np.log(without_P) if log else without_P
    residual_P = n_P - value * d_P
    if np.abs(residual_P).max() <= _ROUNDING * float(np.abs(n_P).max() + np.abs(value * d_P).max()):
        return float(value), float(value)
    se = float(np.sqrt((problems - 1) * np.nanvar(left_out_P)))

    least = student_t(level, problems - 1 if df is None else df)
    low = high = least
    if problems > _FEW:
        t_B = np.sort(_t_of_replicates(n_P, d_P, _draws(problems), log=log))
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
    t_B[spread_B] = shift_B[spread_B] / se_B[spread_B]
    return t_B


def _plain(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values without the last digits: problems that differ by rounding alone are equal."""
    scale = float(np.abs(value).max()) or 1.0
    return (value / scale).round(9) * scale
