"""The `problems` interval: other problems of this kind. Studentised bootstrap of cell weights, and the sup-t band.

The estimate is a mean m over P problems of values v (pass@k of a problem, or a difference of two policies), SD S.

- **Pointwise**: draw P problems with replacement, one multinomial of the cell weights; t* = (g(m*) - g(m)) / se*, with
  se* from the replicate's own spread. Ends: g(m) -+ c se, c = the level's quantile of |t*| and never below Student's
  t(P - 1). g is the logit for shares, the identity for differences. (Percentile intervals cover .85 at P = 30 where
  values are skewed; tails of t* taken one by one fail where a replicate has no spread.)
- **Simultaneous**: multiplier draws T_k = sum_i xi_i (v_ik - m_k) / (S_k sqrt(P)), xi normal, over the root of a
  chi-square mean on P - 1 degrees (as Student's t has); c is the level's quantile of max_k |T_k| (Montiel Olea and
  Plagborg-Moller 2019).

A variable in [0, 1] spreads at most as a coin does. So the pointwise ends of a *share* never lie beyond the exact
binomial ones of m P successes in P problems: where one problem carries the mean, t* explodes and the logit ends alone
would be 0 and 1.

Columns without spread (S_k = 0) are never divided by: they stay out of the maximum. A share without spread gets the
binomial ends; a *difference* without spread has width 0, as that of counts and themselves must.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s2l_lab.estimators.estimate import Floats, Ints

_NO_SPREAD = 1e-10
"""SDs of values in [-1, 1] below this are rounding."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard error of the mean over problems; arrays of shape (K,)."""

    mean_K: Floats
    se_K: Floats
    """Exactly 0 where all problems have the same value; NaN for one problem."""


def spread(values_CK: Floats, weight_C: Ints) -> Spread:
    """Mean over problems and its standard error, from values by cell (C, K) and cell weights (C,)."""
    n = int(weight_C.sum())
    mean_K = weight_C @ values_CK / n
    if n == 1:
        return Spread(mean_K, np.full(mean_K.size, np.nan))
    sd_K = np.sqrt(weight_C @ (values_CK - mean_K) ** 2 / (n - 1))
    return Spread(mean_K, np.where(sd_K > _NO_SPREAD, sd_K, 0.0) / np.sqrt(n))


def student_t(level: float, df: float) -> float:
    """Two-sided quantile of Student's t: 2.045 at level .95 and 29 degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2))


def check_replicates(replicates: int) -> int:
    """UsageError below 200 replicates: a .95 quantile of fewer is noise."""
    if replicates < 200:
        raise UsageError(f"replicates = {replicates} was asked; at least 200 are needed for an interval's ends.")
    return replicates


def _logit(share: Floats) -> Floats:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.log(inside / (1 - inside))


def critical_values(
    values_CK: Floats, weight_C: Ints, level: float, rng: np.random.Generator, replicates: int, *, logit: bool
) -> Floats:
    """Quantile of |t*| over bootstrap replicates, shape (K,), at least Student's t; for the mean's logit or the mean.

    A replicate without spread says nothing of t and does not count.
    """
    from scipy.special import expit

    n = int(weight_C.sum())
    here = spread(values_CK, weight_C)
    weight_BC = rng.multinomial(n, weight_C / n, size=replicates).astype(float)
    mean_BK = weight_BC @ values_CK / n
    # Values are centred before squaring: E v^2 - m^2 would cancel where the spread is small.
    centred_CK = values_CK - here.mean_K
    variance_BK = np.maximum(weight_BC @ centred_CK**2 / n - (mean_BK - here.mean_K) ** 2, 0.0)
    se_BK = np.sqrt(variance_BK / (n - 1))
    shift_BK = mean_BK - here.mean_K
    if logit:
        logit_BK = _logit(mean_BK)
        share_BK = expit(logit_BK)
        shift_BK, se_BK = logit_BK - _logit(here.mean_K), se_BK / (share_BK * (1 - share_BK))
    t_BK = np.divide(np.abs(shift_BK), se_BK, out=np.zeros_like(shift_BK), where=variance_BK > _NO_SPREAD**2)
    return np.maximum(_row_quantile(t_BK, level), student_t(level, n - 1))


def _row_quantile(values_BK: Floats, level: float) -> Floats:
    """The ceil(level B)-th smallest of every column: a partial sort, several times faster than np.quantile."""
    rank = min(int(np.ceil(level * len(values_BK))), len(values_BK)) - 1
    quantile: Floats = np.partition(values_BK.T, rank, axis=1)[:, rank]
    return quantile


def sup_t(tables: Iterable[Floats], weight_C: Ints, level: float, rng: np.random.Generator, replicates: int) -> float:
    """Critical value of a band that is simultaneous over all columns of all tables, each of shape (C, K).

    At least Student's t; exactly that where no column has spread. One set of multipliers serves all tables, so what
    the tables share (a policy, a problem) is kept.
    """
    n = int(weight_C.sum())
    multiplier_BC = rng.standard_normal((replicates, weight_C.size)) * np.sqrt(weight_C)
    scale_B = np.sqrt(rng.chisquare(n - 1, replicates) / (n - 1))
    largest_B = np.zeros(replicates)
    for values_CK in tables:
        here = spread(values_CK, weight_C)
        spreads_K = here.se_K > 0
        if spreads_K.any():
            unit_CK = (values_CK - here.mean_K)[:, spreads_K] / (here.se_K[spreads_K] * n)
            np.maximum(largest_B, np.abs(multiplier_BC @ unit_CK).max(1), out=largest_B)
    return max(float(_row_quantile((largest_B / scale_B)[:, None], level)[0]), student_t(level, n - 1))


@dataclass(frozen=True, slots=True)
class ProblemEnds:
    """Pointwise ends and band ends, each of shape (K,)."""

    lower_K: Floats
    upper_K: Floats
    band_lower_K: Floats
    band_upper_K: Floats


def _undefined(size: int) -> ProblemEnds:
    nan_K = np.full(size, np.nan)
    return ProblemEnds(nan_K, nan_K, nan_K, nan_K)


def share_ends(
    values_CK: Floats, weight_C: Ints, level: float, rng: np.random.Generator, replicates: int
) -> ProblemEnds:
    """Ends for the mean over problems of shares in [0, 1], by cell (C, K). NaN for a single problem."""
    n = int(weight_C.sum())
    check_replicates(replicates)
    if n == 1:
        return _undefined(values_CK.shape[1])
    here = spread(values_CK, weight_C)
    point_K = critical_values(values_CK, weight_C, level, rng, replicates, logit=True)
    band_K = np.maximum(point_K, sup_t([values_CK], weight_C, level, rng, replicates))
    lower_K, upper_K = logit_ends(here, point_K, n, level)
    least_K, most_K = binomial_ends(here.mean_K, n, level)
    point = np.maximum(lower_K, least_K), np.minimum(upper_K, most_K)
    return ProblemEnds(*point, *logit_ends(here, band_K, n, level))


def logit_ends(here: Spread, critical_K: Floats, n: int, level: float) -> tuple[Floats, Floats]:
    """Ends logit(m) -+ c se / (m (1 - m)), back in [0, 1]; exact binomial ends of m n in n where se is 0."""
    from scipy.special import expit

    share_K = np.clip(here.mean_K, 1e-12, 1 - 1e-12)
    reach_K = critical_K * here.se_K / (share_K * (1 - share_K))
    least_K, most_K = binomial_ends(here.mean_K, n, level)
    still_K = here.se_K == 0
    lower_K = np.where(still_K, least_K, expit(_logit(share_K) - reach_K))
    return lower_K, np.where(still_K, most_K, expit(_logit(share_K) + reach_K))


def binomial_ends(mean_K: Floats, n: int, level: float) -> tuple[Floats, Floats]:
    """Clopper-Pearson ends of m n successes in n (not rounded), each of shape (K,)."""
    from scipy.special import betaincinv

    hits_K = np.clip(mean_K * n, 0.0, n)
    some_K, not_all_K = hits_K > _NO_SPREAD, hits_K < n - _NO_SPREAD
    lower_K = betaincinv(np.where(some_K, hits_K, 1.0), n - hits_K + 1, 0.5 - level / 2)
    upper_K = betaincinv(hits_K + 1, np.where(not_all_K, n - hits_K, 1.0), 0.5 + level / 2)
    return np.where(some_K, lower_K, 0.0), np.where(not_all_K, upper_K, 1.0)


def difference_ends(
    tables: list[Floats], weight_C: Ints, level: float, rng: np.random.Generator, replicates: int
) -> list[ProblemEnds]:
    """Ends for means of differences in [-1, 1], one set per table (C, K); the band is simultaneous over all tables.

    Ends are cut at -1 and 1; width 0 where all problems have the same difference; NaN for a single problem.
    """
    n = int(weight_C.sum())
    check_replicates(replicates)
    if n == 1:
        return [_undefined(values_CK.shape[1]) for values_CK in tables]
    band = sup_t(tables, weight_C, level, rng, replicates)
    seed = rng.integers(2**63)  # every table sees the same multinomial draws
    ends = []
    for values_CK in tables:
        here = spread(values_CK, weight_C)
        draws = np.random.default_rng(seed)
        point_K = critical_values(values_CK, weight_C, level, draws, replicates, logit=False)
        reach_K, band_reach_K = point_K * here.se_K, np.maximum(point_K, band) * here.se_K
        cut = (np.clip(here.mean_K + sign * r, -1.0, 1.0) for r in (reach_K, band_reach_K) for sign in (-1, 1))
        ends.append(ProblemEnds(*cut))
    return ends
