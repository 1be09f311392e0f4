"""The likeliest distribution of solve rates: no shape assumed (nonparametric maximum likelihood, Kiefer and Wolfowitz
1956).

Counts c_i ~ Binomial(N_i, p_i) with rates p_i from an unknown distribution G have the log-likelihood
sum_i log int p^c_i (1 - p)^(N_i - c_i) dG(p), concave in G. Its maximiser is a few atoms, here on a grid that is even
in arcsin sqrt p and holds 0 and 1. It is found by Wang's (2007) constrained Newton steps: rates at which the
directional derivative peaks join the support, weights solve a non-negative least-squares problem, and the step is
halved until the likelihood rises. The derivative, nowhere above `_GAP` at the end, proves how near the maximum is: all
P problems together could gain at most P times that in log-likelihood.

What would surprise: the maximiser is atoms even where the truth is smooth. It finds two groups of problems that a
smooth prior blurs, and makes steps of a smooth slope. Read it beside the smoothed share, never alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from s2l_lab.estimators.cells import Cells
    from s2l_lab.estimators.estimate import Floats

_GAP = 1e-7
_STEPS = 500
_PER_ROOT = 50
"""Steps of the grid per root of N: a rate between two of them could raise the mean log-likelihood by 5e-4."""


@dataclass(frozen=True, slots=True)
class RateAtoms:
    """A distribution of solve rates: atoms `rate_Q` in [0, 1], increasing, with masses `mass_Q` that sum to 1."""

    rate_Q: Floats
    mass_Q: Floats

    def share_above(self, tau_T: Floats) -> Floats:
        """Mass of rates of at least tau, shape (T,)."""
        share_T: Floats = (self.rate_Q[None] >= tau_T[:, None] - 1e-12) @ self.mass_Q
        return share_T


def rate_grid(total: int, per_root: int) -> Floats:
    """Rates from 0 to 1, even in arcsin sqrt p: `per_root` times the root of `total` steps, shape (M + 1,)."""
    steps = int(np.ceil(per_root * np.sqrt(total)))
    rate_M: Floats = np.sin(np.linspace(0, np.pi / 2, steps + 1)) ** 2
    rate_M[-1] = 1.0
    return rate_M


def likeliest_rates(cells: Cells) -> RateAtoms:
    """The distribution of solve rates under which these counts are likeliest."""
    from scipy.optimize import nnls
    from scipy.special import xlog1py, xlogy

    rate_M = rate_grid(int(cells.total_C.max()), _PER_ROOT)
    correct_C1, wrong_C1 = cells.correct_C[:, None], (cells.total_C - cells.correct_C)[:, None]
    log_CM = xlogy(correct_C1, rate_M) + xlog1py(wrong_C1, -rate_M)
    likelihood_CM = np.exp(log_CM - log_CM.max(1, keepdims=True))
    share_C = cells.weight_C / cells.n_problems

    # A start that makes every count possible: even mass on the rates nearest to c / N.
    mass_M = np.zeros(rate_M.size)
    mass_M[np.unique(likelihood_CM.argmax(1))] = 1.0
    mass_M /= mass_M.sum()
    for _ in range(_STEPS):
        chance_C = likelihood_CM @ mass_M
        slope_M = (share_C / chance_C) @ likelihood_CM - 1
        if slope_M.max() <= _GAP:
            break
        padded = np.concatenate([[-np.inf], slope_M, [-np.inf]])
        peak_M = (slope_M >= padded[:-2]) & (slope_M >= padded[2:])
        support = np.flatnonzero((mass_M > 0) | (peak_M & (slope_M > 0)))
        scaled = np.sqrt(share_C)[:, None] * (likelihood_CM[:, support] / chance_C[:, None] - 2)
        system = np.concatenate([scaled, np.ones((1, support.size))])
        found, _ = nnls(system, np.append(np.zeros(share_C.size), 1.0))
        towards_M = np.zeros(rate_M.size)
        towards_M[support] = found / found.sum()
        mass_M = _climb(mass_M, towards_M, likelihood_CM, share_C)
    kept = mass_M > 0
    return RateAtoms(rate_M[kept], mass_M[kept])


def _climb(mass_M: Floats, towards_M: Floats, likelihood_CM: Floats, share_C: Floats) -> Floats:
    """The first of the full step, half of it, a quarter ... at which the log-likelihood has risen."""
    here, step_M = share_C @ np.log(likelihood_CM @ mass_M), towards_M - mass_M
    for halvings in range(40):
        there_M: Floats = np.maximum(mass_M + step_M * 0.5**halvings, 0.0)
        chance_C = likelihood_CM @ there_M
        if (chance_C > 0).all() and share_C @ np.log(chance_C) > here:
            there_M /= there_M.sum()
            return there_M
    return mass_M
