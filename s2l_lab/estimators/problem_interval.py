"""The `problems` interval: other problems of this kind. Studentised bootstrap of problems, and the sup-t band.

The estimate is a mean m over P problems of values v (pass@k of a problem, or a difference of two policies), with
standard error se. What is drawn are problems, or whole clusters of them (`units.py`).

- **Pointwise**: draw P problems with replacement, one multinomial of the cell weights; t* = (g(m*) - g(m)) / se*, with
  se* from the replicate's own spread. Ends: g(m) -+ c se, c = the level's quantile of |t*| and never below Student's
  t(P - 1). g is the logit for shares, the identity for differences. (Percentile intervals cover .85 at P = 30 where
  values are skewed; tails of t* taken one by one fail where a replicate has no spread.)
- **Simultaneous**: multiplier draws T_k = sum_i xi_i (v_ik - m_k) / (S_k sqrt(P)), xi normal, over the root of a
  chi-square mean on P - 1 degrees (as Student's t has); c is the level's quantile of max_k |T_k| (Montiel Olea and
  Plagborg-Moller 2019).

Where few problems carry the mean, replicates without them have next to no spread and t* explodes. What is known of the
values then bounds the ends:

- a *share* spreads at most as a coin does: its pointwise ends never lie beyond the exact binomial ones of m P successes
  in P problems;
- a *difference* lies in [-1, 1]: its ends never lie beyond Gaffke's (`gaffke.py`), the band's beyond Gaffke's at the
  band's own level. Where fewer than three problems effectively differ, or all differ alike, a spread says nothing, and
  Gaffke's ends stand alone. So two policies that agree on every problem get the rule of three, never width 0.

Columns without spread are never divided by: they stay out of the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.gaffke import gaffke_ends
from s2l_lab.estimators.units import NO_SPREAD, Units, make_units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s2l_lab.estimators.estimate import Floats, Ints

FEW_DIFFER = 3
"""Fewer effectively differing problems than this say nothing of the spread of differences."""
_SETTLED = 1.1
"""Where thirty or more problems have a t* of at most this many times Student's quantile, and a mean far from the ends
of the support, the ends lie inside Gaffke's (to 2 %: simulated), which are then not drawn."""


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


def critical_values(units: Units, level: float, rng: np.random.Generator, replicates: int, *, logit: bool) -> Floats:
    """Quantile of |t*| over bootstrap replicates, shape (K,), at least Student's t; for the mean's logit or the mean.

    A replicate without spread says nothing of t and does not count.
    """
    from scipy.special import expit

    n, mean_K, residual_UK = units.n, units.mean, units.residual
    weight_BU = rng.multinomial(n, units.weight_U / n, size=replicates).astype(float)
    problems_B1 = (weight_BU @ units.size_U)[:, None]
    sum_BK = weight_BU @ residual_UK
    shift_BK = sum_BK / problems_B1
    # Residuals are taken about the sample's mean before squaring: E v^2 - m^2 would cancel where the spread is small.
    alone = (units.size_U == 1).all()
    cross_BK = sum_BK if alone else weight_BU @ (residual_UK * units.size_U[:, None])
    square_B1 = problems_B1 if alone else (weight_BU @ units.size_U**2)[:, None]
    spread_BK = np.maximum(weight_BU @ residual_UK**2 - shift_BK * (2 * cross_BK - shift_BK * square_B1), 0.0)
    se_BK = np.sqrt(n / (n - 1) * spread_BK) / problems_B1
    moves_BK = se_BK * np.sqrt(n) > NO_SPREAD
    if logit:
        logit_BK = _logit(mean_K + shift_BK)
        share_BK = expit(logit_BK)
        shift_BK, se_BK = logit_BK - _logit(mean_K), se_BK / (share_BK * (1 - share_BK))
    t_BK = np.divide(np.abs(shift_BK), se_BK, out=np.zeros_like(shift_BK), where=moves_BK)
    return np.maximum(_row_quantile(t_BK, level), student_t(level, units.df))


def _row_quantile(values_BK: Floats, level: float) -> Floats:
    """The ceil(level B)-th smallest of every column: a partial sort, several times faster than np.quantile."""
    rank = min(int(np.ceil(level * len(values_BK))), len(values_BK)) - 1
    quantile: Floats = np.partition(values_BK.T, rank, axis=1)[:, rank]
    return quantile


def sup_t(tables: Iterable[Units], level: float, rng: np.random.Generator, replicates: int) -> float:
    """Critical value of a band that is simultaneous over all columns of all tables, which have the same units.

    At least Student's t; exactly that where no column has spread. One set of multipliers serves all tables, so what
    the tables share (a policy, a problem) is kept.
    """
    tables = list(tables)
    df, weight_U = tables[0].df, tables[0].weight_U
    multiplier_BU = rng.standard_normal((replicates, weight_U.size)) * np.sqrt(weight_U)
    scale_B = np.sqrt(rng.chisquare(df, replicates) / df)
    largest_B = np.zeros(replicates)
    for units in tables:
        se_K = units.se
        spreads_K = se_K > 0
        if spreads_K.any():
            unit_UK = units.residual[:, spreads_K] / (se_K[spreads_K] * units.problems)
            np.maximum(largest_B, np.abs(multiplier_BU @ unit_UK).max(1), out=largest_B)
    return max(float(_row_quantile((largest_B / scale_B)[:, None], level)[0]), student_t(level, df))


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
    values_CK: Floats,
    weight_C: Ints,
    level: float,
    rng: np.random.Generator,
    replicates: int,
    cluster_C: Ints | None = None,
) -> ProblemEnds:
    """Ends for the mean over problems of shares in [0, 1], by cell (C, K). NaN for a single problem or cluster.

    `weight_C` problems are in a cell; `cluster_C` are the codes of the cells' clusters, None without clusters.
    """
    units = make_units(values_CK, weight_C, cluster_C)
    check_replicates(replicates)
    if units.n == 1:
        return _undefined(values_CK.shape[1])
    mean_K, se_K, n = units.mean, units.se, units.effective
    point_K = critical_values(units, level, rng, replicates, logit=True)
    band_K = np.maximum(point_K, sup_t([units], level, rng, replicates))
    lower_K, upper_K = logit_ends(mean_K, se_K, point_K, n, level)
    least_K, most_K = binomial_ends(mean_K, n, level)
    point = np.maximum(lower_K, least_K), np.minimum(upper_K, most_K)
    return ProblemEnds(*point, *logit_ends(mean_K, se_K, band_K, n, level))


def logit_ends(mean_K: Floats, se_K: Floats, critical_K: Floats, n: float, level: float) -> tuple[Floats, Floats]:
    """Ends logit(m) -+ c se / (m (1 - m)), back in [0, 1]; exact binomial ends of m n in n where se is 0."""
    from scipy.special import expit

    share_K = np.clip(mean_K, 1e-12, 1 - 1e-12)
    reach_K = critical_K * se_K / (share_K * (1 - share_K))
    least_K, most_K = binomial_ends(mean_K, n, level)
    still_K = se_K == 0
    lower_K = np.where(still_K, least_K, expit(_logit(share_K) - reach_K))
    return lower_K, np.where(still_K, most_K, expit(_logit(share_K) + reach_K))


def binomial_ends(mean_K: Floats, n: float, level: float) -> tuple[Floats, Floats]:
    """Clopper-Pearson ends of m n successes in n (not rounded), each of shape (K,)."""
    from scipy.special import betaincinv

    hits_K = np.clip(mean_K * n, 0.0, n)
    some_K, not_all_K = hits_K > NO_SPREAD, hits_K < n - NO_SPREAD
    lower_K = betaincinv(np.where(some_K, hits_K, 1.0), n - hits_K + 1, 0.5 - level / 2)
    upper_K = betaincinv(hits_K + 1, np.where(not_all_K, n - hits_K, 1.0), 0.5 + level / 2)
    return np.where(some_K, lower_K, 0.0), np.where(not_all_K, upper_K, 1.0)


def difference_ends(
    tables: list[Floats],
    weight_C: Ints,
    level: float,
    rng: np.random.Generator,
    replicates: int,
    cluster_C: Ints | None = None,
) -> list[ProblemEnds]:
    """Ends for means of differences in [-1, 1], one set per table (C, K); the band is simultaneous over all tables.

    They lie in [-1, 1] and have a width at every k. NaN for a single problem or cluster; `cluster_C` as in
    `share_ends`.
    """
    from scipy.special import stdtr

    check_replicates(replicates)
    all_units = [make_units(values_CK, weight_C, cluster_C) for values_CK in tables]
    if all_units[0].n == 1:
        return [_undefined(values_CK.shape[1]) for values_CK in tables]
    band = sup_t(all_units, level, rng, replicates)
    alphas = 1 - level, min(1 - level, float(2 * stdtr(all_units[0].df, -band)))
    seed = int(rng.integers(2**63))  # every table sees the same draws
    return [_difference_ends(units, level, band, alphas, seed, replicates) for units in all_units]


def _difference_ends(
    units: Units, level: float, band: float, alphas: tuple[float, float], seed: int, replicates: int
) -> ProblemEnds:
    mean_K, se_K = units.mean, units.se
    draws = np.random.default_rng(seed)
    point_K = critical_values(units, level, draws, replicates, logit=False)
    alone_K = (units.differing < FEW_DIFFER) | (se_K == 0)
    ends = [
        (np.maximum(mean_K - reach_K, -1.0), np.minimum(mean_K + reach_K, 1.0))
        for reach_K in (point_K * se_K, np.maximum(point_K, band) * se_K)
    ]
    settled_K = (units.n >= 30) & (point_K <= _SETTLED * student_t(level, units.df)) & (np.abs(mean_K) < 0.5)
    drawn_K = alone_K | ~settled_K
    if drawn_K.any():
        part = Units(units.total_UK[:, drawn_K], units.size_U, units.weight_U)
        for (lower_K, upper_K), (least_K, most_K) in zip(
            ends, gaffke_ends(part, (-1.0, 1.0), alphas, draws), strict=True
        ):
            lower_K[drawn_K] = np.where(alone_K[drawn_K], least_K, np.maximum(lower_K[drawn_K], least_K))
            upper_K[drawn_K] = np.where(alone_K[drawn_K], most_K, np.minimum(upper_K[drawn_K], most_K))
    return ProblemEnds(*ends[0], *ends[1])
