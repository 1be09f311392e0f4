"""Posterior solve rates of problems: a zero-inflated beta-binomial model, averaged over a grid of hyper-parameters.

    p_i = 0 with probability z, else p_i ~ Beta(a, b);   c_i ~ Binomial(N_i, p_i)

Every (a, b, z) of a fixed grid is weighted by its marginal likelihood of all the counts, and the posterior of a problem
is the weighted mean of its posteriors (a fit of one (a, b, z) may not converge, and claims to know what the counts
leave open). Rates live on bins of equal width in logit p, in which a beta density is smooth even where it is infinite
in p; a bin's prior mass is an exact difference of beta distribution functions.

What would surprise: a problem without one correct rollout keeps mass on p > 0, and one without a wrong rollout on
p < 1. That is why no interval that rests on this module has width 0.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from s2l_lab.estimators.cells import Cells
    from s2l_lab.estimators.estimate import Floats

_SHAPE_A = np.geomspace(0.03, 10.0, 14)
_SHAPE_B = np.geomspace(0.1, 30.0, 12)
_ZERO = np.linspace(0.0, 0.9, 10)
_REACH = 16.0
"""Bins span logit p in -16..16; a rate of 1e-7 is 0 to anyone who draws fewer than a million rollouts."""


@dataclass(frozen=True, slots=True)
class RatePosterior:
    """Posterior mass of solve rates by cell. Q - 1 bins of logit p, and an atom at p = 0 as entry 0."""

    edge_Q: Floats
    """Edges of the bins in logit p, shape (Q,): bin q runs from edge_Q[q - 1] to edge_Q[q]."""
    log_right_Q: Floats
    log_wrong_Q: Floats
    """log p and log(1 - p) at the atom and at the bins' middles, shape (Q,)."""
    mass_CQ: Floats
    """Posterior mass, shape (C, Q); each row sums to 1."""

    def share_above(self, tau_T: Floats) -> Floats:
        """Posterior chance that a solve rate is at least tau, by cell: shape (C, T), for tau in (0, 1)."""
        logit_T = np.log(tau_T) - np.log1p(-tau_T)
        width = self.edge_Q[1] - self.edge_Q[0]
        above_QT = np.clip((self.edge_Q[1:, None] - logit_T) / width, 0.0, 1.0)
        share_CT: Floats = self.mass_CQ[:, 1:] @ above_QT
        return share_CT


@functools.lru_cache(maxsize=4)
def _prior_mass(bins: int) -> Floats:
    """Mass of every Beta(a, b) of the grid in every bin: shape (G, bins), G pairs; each row sums to 1."""
    from scipy.special import betainc, expit

    shape_a, shape_b = (grid.ravel() for grid in np.meshgrid(_SHAPE_A, _SHAPE_B, indexing="ij"))
    edge = np.linspace(-_REACH, _REACH, bins + 1)
    below = betainc(shape_a[:, None], shape_b[:, None], expit(edge))
    above = betainc(shape_b[:, None], shape_a[:, None], expit(-edge))
    below[:, 0], above[:, -1] = 0.0, 0.0
    # Above 1/2 a difference of distribution functions near 1 would be 0 for bins that hold mass.
    mass: Floats = np.where(edge[1:] <= 0, np.diff(below, axis=1), -np.diff(above, axis=1))
    return mass


def posterior_rates(cells: Cells) -> RatePosterior:
    """The posterior of every cell's solve rate, given the counts of all cells."""
    # The posterior of logit p is about 1 / sqrt(N p (1 - p)) wide, at least 2 / sqrt(N): the bins must be finer.
    bins = int(np.ceil(2 * _REACH / min(0.16, 2 / np.sqrt(cells.total_C.max()))))
    edge_Q = np.linspace(-_REACH, _REACH, bins + 1)
    middle = (edge_Q[1:] + edge_Q[:-1]) / 2
    log_right, log_wrong = -np.logaddexp(0, -middle), -np.logaddexp(0, middle)
    prior_GQ = _prior_mass(bins)

    log_CQ = cells.correct_C[:, None] * log_right + (cells.total_C - cells.correct_C)[:, None] * log_wrong
    peak_C1 = log_CQ.max(1, keepdims=True)
    likelihood_CQ = np.exp(log_CQ - peak_C1)
    unsolved_C = np.where(cells.correct_C == 0, np.exp(-peak_C1[:, 0]), 0.0)  # likelihood 1 at p = 0, on the same scale

    beta_CG = likelihood_CQ @ prior_GQ.T
    evidence_CGZ = (1 - _ZERO) * beta_CG[:, :, None] + _ZERO * unsolved_C[:, None, None]
    with np.errstate(divide="ignore"):  # a prior may rule a count out by itself: its weight is 0
        log_weight_GZ = np.einsum("c,cgz->gz", cells.weight_C.astype(float), np.log(evidence_CGZ))
    weight_GZ = np.exp(log_weight_GZ - log_weight_GZ.max())
    weight_GZ /= weight_GZ.sum()

    share_CGZ = np.divide(weight_GZ, evidence_CGZ, out=np.zeros_like(evidence_CGZ), where=weight_GZ > 0)
    solvable_CG = (share_CGZ * (1 - _ZERO)).sum(2)
    atom_C = (share_CGZ * _ZERO).sum((1, 2)) * unsolved_C
    mass_CQ = np.concatenate([atom_C[:, None], likelihood_CQ * (solvable_CG @ prior_GQ)], axis=1)
    mass_CQ /= mass_CQ.sum(1, keepdims=True)  # equal to 1 but for rounding
    return RatePosterior(edge_Q, np.append(-np.inf, log_right), np.append(0.0, log_wrong), mass_CQ)
