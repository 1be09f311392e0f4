"""How small and how large can Cover@tau be, whatever the distribution of solve rates? Bounds that no prior can shift.

With N rollouts each, counts have the distribution function F_G(x) = int P(Bin(N, p) <= x) dG(p), G the distribution of
solve rates. With probability `level` the observed F is nowhere further from F_G than eps = sqrt(log(2 / (1 - level)) /
(2 P)) (Dvoretzky, Kiefer and Wolfowitz; Massart's constant). So the smallest and the largest G([tau, 1]) over ALL G
inside that band hold the true Cover@tau at least that often, at every tau at once. Both are linear programmes in G.

Each is solved by its dual over a coarse grid of rates: weights y >= 0 of the band's ends, such that the mixture's
objective is nowhere above y's combination of the binomial distribution functions. Weights that hold on the coarse grid
are then checked on a fine one, nodes that break them join, and what is left (at most `_GAP`) is added outwards. A rate
between two fine nodes is a mixture of both but for the curvature of P(Bin(N, p) <= x) in arcsin sqrt p, which is at
most 2 N; eps is widened by that (2.5e-4). So no discretisation narrows the bounds.

What would surprise: they are wide (P = 500, N = 16: about half of the scale), because counts say little of where rates
lie near tau. Where no mixture of binomials lies inside the band the ends are NaN: the rollouts of a problem were then
not independent draws at one rate. With unequal N every problem is thinned at random to the smallest N: counts of the
rollouts that are left are binomial again. Where problems come in clusters, eps has their effective number for P.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.estimators.likeliest_rates import rate_grid

if TYPE_CHECKING:
    from s2l_lab.estimators.cells import Cells
    from s2l_lab.estimators.estimate import Floats, Ints

MOST_TAUS = 16
"""Values of tau that are solved; those between them take the end of a neighbour, on the safe side."""
_MOST_COUNTS = 64
"""Ends of the band that are kept on each side. Up to N = 64 these are all; beyond, leaving some out only widens."""
_FINE = 50
_COARSE = 32
_MIDDLE = 8
"""Steps of the fine grid per root of N, and how many of them make a coarse one; where no mixture of its rates is inside
the band, the finer grids are asked."""
_GAP = 1e-4


@dataclass(frozen=True, slots=True)
class CoverBounds:
    """Ends of shape (T,), not increasing in tau; NaN where no distribution of rates explains the counts."""

    lower_T: Floats
    upper_T: Floats


@dataclass(frozen=True, slots=True)
class _Band:
    """The rows of the linear programme: `sign_X` F_G(`count_X`) <= `end_X`."""

    total: int
    count_X: Ints
    sign_X: Floats
    end_X: Floats


def cover_bounds(cells: Cells, tau_T: Floats, level: float, rng: np.random.Generator) -> CoverBounds:
    """Smallest and largest Cover@tau inside the band at `level`, for every tau in (0, 1].

    Solved at MOST_TAUS values of tau, or at all where there are fewer. `rng` thins problems that have more rollouts
    than the smallest; with equal N nothing is drawn.
    """
    band = _band(cells, level, rng)
    every = np.unique(tau_T)
    solved_S = every[_even(every.size, MOST_TAUS)]
    upper_S, lower_S = (np.array([_largest(band, tau, side) for tau in solved_S]) for side in (1, -1))
    lower_S = 1 - lower_S
    # Cover falls in tau: its largest value is at most that at a smaller tau, its smallest at least that at a larger.
    below_T = np.searchsorted(solved_S, tau_T, side="right") - 1
    above_T = np.searchsorted(solved_S, tau_T, side="left")
    return CoverBounds(lower_S[above_T], upper_S[below_T])


def _even(size: int, most: int) -> Ints:
    """At most `most` places in 0..size - 1, evenly apart, the first and the last among them."""
    return np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(np.int64))


def _band(cells: Cells, level: float, rng: np.random.Generator) -> _Band:
    """The band around the distribution function of counts, without the rows that follow from others."""
    total, problems = cells.min_total, cells.n_problems
    correct_P, all_P = (np.repeat(a, cells.weight_C) for a in (cells.correct_C, cells.total_C))
    if (all_P > total).any():
        correct_P = rng.hypergeometric(correct_P, all_P - correct_P, total)
    cdf_X = np.cumsum(np.bincount(correct_P, minlength=total + 1))[:total] / problems
    steps = (total * _FINE**2) ** 0.5  # at least so many: M^2 >= 2500 N
    eps = np.sqrt(np.log(2 / (1 - level)) / (2 * cells.effective_units)) + total * (np.pi / 2 / steps) ** 2 / 4
    # F_G rises: on a flat stretch of the observed F its last count bounds it from above, its first from below.
    rises_X = np.diff(cdf_X) > 0
    above = np.flatnonzero(np.append(rises_X, True) & (cdf_X + eps < 1))
    below = np.flatnonzero(np.append(True, rises_X) & (cdf_X - eps > 0))
    above, below = (places[_even(places.size, _MOST_COUNTS)] for places in (above, below))
    return _Band(
        total,
        np.concatenate([above, below]),
        np.repeat([1.0, -1.0], [above.size, below.size]),
        np.concatenate([cdf_X[above] + eps, eps - cdf_X[below]]),
    )


def _largest(band: _Band, tau: float, side: int) -> float:
    """Largest mass of rates at or above tau (side 1), or below it (side -1, the rate tau included as a limit)."""
    from scipy.optimize import linprog
    from scipy.special import bdtr

    rate_M = rate_grid(band.total, _FINE)
    rate_M = np.concatenate([rate_M, [tau, tau]])  # tau itself stands on both sides: what is just below it, and it
    counts_M = rate_M >= tau if side == 1 else rate_M < tau
    counts_M[-2:] = [True, False]
    row_XM: Floats = band.sign_X[:, None] * bdtr(band.count_X[:, None], band.total, rate_M)
    # y >= 0 and the free multiplier of "masses sum to 1", as a difference of two.
    ones = np.ones((1, rate_M.size))
    row_XM, end_X = np.concatenate([row_XM, ones, -ones]), np.append(band.end_X, [1.0, -1.0])
    kept_M = np.zeros(rate_M.size, dtype=bool)
    step = _COARSE
    kept_M[::step] = True
    kept_M[-3:] = True
    while True:
        dual = linprog(end_X, A_ub=-row_XM[:, kept_M].T, b_ub=-counts_M[kept_M].astype(float), method="highs")
        if dual.x is None or dual.status != 0:  # falls without end: no mixture of these rates lies inside the band
            if kept_M.all():
                return np.nan
            step = 1 if step == _MIDDLE else _MIDDLE
            kept_M[::step] = True
            continue
        short_M = counts_M - dual.x @ row_XM
        if short_M.max() <= _GAP or kept_M.all():
            return float(np.clip(dual.fun + max(short_M.max(), 0.0), 0.0, 1.0))
        kept_M |= short_M > _GAP
