"""Gaffke's bound: ends for the mean of values with a known support, however few of them differ.

The mean's upper end is the quantile of sum_i w_i v_i + w_0 b over weights (w_0, w_1, ..., w_n) from the flat Dirichlet
law, with b the largest value that there can be: the Bayesian bootstrap with one more observation at the end of the
support (Gaffke 2005; Learned-Miller and Thomas 2019, arXiv 1905.06208). For values 0 and 1 these are Clopper and
Pearson's ends, and for n zeros the rule of three: (1 - alpha / 2)-quantile 1 - (alpha / 2)^(1 / n). It holds without
any assumption on the values' law wherever that was tried (a proof is known for special cases only), and never leaves
the support. Its price is width: about 3.7 (b - mean) / n beyond Student's t.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from s2l_lab.estimators.estimate import Floats
    from s2l_lab.estimators.units import Units

DRAWS = 10_000
"""Dirichlet draws: the .975 quantile then has a level of .975 with a standard error of .0016."""
_BLOCK = 2**22
"""Gamma variates held at once."""


def gaffke_ends(
    units: Units, support: tuple[float, float], alphas: tuple[float, ...], rng: np.random.Generator
) -> list[tuple[Floats, Floats]]:
    """(lower_K, upper_K) for every two-sided alpha of `alphas`, from the same draws: a smaller alpha is never narrower.

    `units` hold values inside `support`; the extra observation is one unit of the size that a problem's unit has on
    average. Columns that are constant get the exact ends, without draws.
    """
    low, high = support
    total_UK, weight_U, size_U = units.total_UK, units.weight_U, units.size_U
    columns = total_UK.shape[1]
    extra = units.problems / units.effective  # as large as the cluster that a problem is in, on average
    lower_BK, upper_BK = np.empty((DRAWS, columns)), np.empty((DRAWS, columns))
    blocks = -(-DRAWS * weight_U.size // _BLOCK)
    for rows in np.array_split(np.arange(DRAWS), blocks):
        gamma_BU = rng.standard_gamma(weight_U.astype(np.float64), (rows.size, weight_U.size))
        extra_B1 = rng.standard_exponential((rows.size, 1)) * extra
        sum_BK, mass_B1 = gamma_BU @ total_UK, gamma_BU @ size_U[:, None] + extra_B1
        lower_BK[rows] = (sum_BK + extra_B1 * low) / mass_B1
        upper_BK[rows] = (sum_BK + extra_B1 * high) / mass_B1
    beyond = [int(alpha / 2 * DRAWS) for alpha in alphas]
    lower_KB = np.partition(lower_BK.T, beyond, axis=1)
    upper_KB = np.partition(upper_BK.T, [DRAWS - 1 - rank for rank in beyond], axis=1)
    ends = []
    for alpha, rank in zip(alphas, beyond, strict=True):
        lower_K, upper_K = lower_KB[:, rank].copy(), upper_KB[:, DRAWS - 1 - rank].copy()
        _constant_columns(units, support, alpha, lower_K, upper_K)
        ends.append((np.clip(lower_K, low, high), np.clip(upper_K, low, high)))
    return ends


def _constant_columns(
    units: Units, support: tuple[float, float], alpha: float, lower_K: Floats, upper_K: Floats
) -> None:
    """Where all values are equal, w_0 alone is random, Beta(1, n): its quantile is known. In place."""
    low, high = support
    value_UK = units.total_UK / units.size_U[:, None]
    same_K = np.ptp(value_UK, axis=0) == 0
    share = 1 - (alpha / 2) ** (1 / units.effective)
    value_K = value_UK[0]
    lower_K[same_K] = (value_K + share * (low - value_K))[same_K]
    upper_K[same_K] = (value_K + share * (high - value_K))[same_K]
