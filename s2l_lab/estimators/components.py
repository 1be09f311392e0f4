"""Variance components of a difference in pass@k: what seeds, problems and rollouts each add to its uncertainty.

    difference of seed s on problem i = gain + seed_s + problem_i + interaction_si + rollout noise

`assumed_components` derives them from a law of solve rates and spreads in logits; `pilot_components` estimates them
from counts of two methods (two-way analysis of variance, less the noise of the rollouts). The noise at any N needs no
assumption beyond the moments of a problem's failure rate q: of two draws of k from N rollouts that share j of them,
both fail with chance q^(2k - j), so

    Var(pass@k of N) = sum over j of C(k, j) C(N - k, k - j) / C(N, k) q^(2k - j) - q^(2k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_counts
from s2l_lab.estimators.seeds import crossed_scatter
from s2l_lab.estimators.unbiased import subset_ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats, Ints

_NODES = 11
"""Points of Gauss-Hermite quadrature over each spread."""


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a difference in pass@k, method b less method a, in squared units of pass@k."""

    k: int
    seed: float
    """Variance of the gain between training runs, the same on all problems. NaN if there is one run of each method."""
    problem: float
    """Variance of the gain between problems, the same in all runs (from one run of each: includes the interaction)."""
    interaction: float
    """Variance of the interaction of run and problem: what one run gains on one problem beyond both."""
    failure_moment_M: Floats
    """Mean over problems of q^m for m = k .. 2k, summed over both methods; shape (k + 1,)."""

    def rollout_noise(self, n: int) -> float:
        """Variance that N = `n` rollouts of both methods add to one problem's difference. UsageError below k."""
        if n < self.k:
            raise UsageError(f"N = {n} rollouts were planned for pass@{self.k}; N is at least k.")
        shared_J = np.arange(self.k + 1)
        log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
        possible = self.k - shared_J <= n - self.k
        rest = np.where(possible, n - 2 * self.k + shared_J, 0)
        ways = 2 * log_factorial[self.k] + 2 * log_factorial[n - self.k] - log_factorial[n]
        ways = ways - log_factorial[shared_J] - 2 * log_factorial[self.k - shared_J] - log_factorial[rest]
        chance_J = np.where(possible, np.exp(ways), 0.0)
        # m = 2k - j runs from 2k down to k
        noise = chance_J @ self.failure_moment_M[::-1] - self.failure_moment_M[-1]
        return max(float(noise), 0.0)


def assumed_components(
    rates: ArrayLike,
    k: int,
    gain: float,
    *,
    weights: ArrayLike | None = None,
    problem_sd: float,
    seed_sd: float,
    interaction_sd: float,
) -> Components:
    """Components where method a solves problems at `rates` (shape (P,), in [0, 1]) and b adds a shift in logits.

    The shift is a constant, chosen so that pass@k rises by `gain` on average, plus normal terms of the given standard
    deviations: by problem, by training run, and by both. `weights` (shape (P,)) say how much each rate counts.
    UsageError for a gain out of reach, a negative spread or rates outside [0, 1].
    """
    rate_P = np.asarray(rates, dtype=np.float64)
    if rate_P.ndim != 1 or rate_P.size == 0 or not ((rate_P >= 0) & (rate_P <= 1)).all():
        raise UsageError("solve rates must be one-dimensional and lie in [0, 1].")
    weight_P = np.full(rate_P.size, 1 / rate_P.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if k < 1:
        raise UsageError(f"k = {k} was asked; k is at least 1.")
    spreads = {"problem": problem_sd, "seed": seed_sd, "interaction": interaction_sd}
    for name, sd in spreads.items():
        if not 0 <= sd < np.inf:
            raise UsageError(f"a {name} spread of {sd:g} was given; spreads are standard deviations in logits, from 0.")
    before_P = 1 - (1 - rate_P) ** k
    node_T, mass_T = _normal(float(np.sqrt(problem_sd**2 + seed_sd**2 + interaction_sd**2)))
    every_PT = np.outer(weight_P, mass_T)

    def mean_gain(constant: float) -> float:
        return float((every_PT * (1 - _failing(rate_P, constant + node_T) ** k)).sum() - weight_P @ before_P)

    low, high = -30.0, 30.0
    if not mean_gain(low) < gain < mean_gain(high):
        raise UsageError(
            f"a gain of {gain:g} at pass@{k} is out of reach: these problems' pass@{k} is {weight_P @ before_P:.3f} "
            "without it. Plan for a smaller gain, or for problems that leave room."
        )
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_gain(middle) < gain else (low, middle)

    (node_Q, mass_Q), (node_S, mass_S), (node_I, mass_I) = map(_normal, (problem_sd, seed_sd, interaction_sd))
    shift_QSI = low + node_Q[:, None, None] + node_S[:, None] + node_I
    gain_PQSI = 1 - _failing(rate_P, shift_QSI) ** k - before_P[:, None, None, None]
    everywhere = np.einsum("p,q,s,i->pqsi", weight_P, mass_Q, mass_S, mass_I)
    by_problem_PQ = np.einsum("pqsi,s,i->pq", gain_PQSI, mass_S, mass_I)
    problem = _variance(by_problem_PQ, np.outer(weight_P, mass_Q))
    seed = _variance(np.einsum("pqsi,p,q,i->s", gain_PQSI, weight_P, mass_Q, mass_I), mass_S)
    fail_PT = _failing(rate_P, low + node_T)
    moments = [float(weight_P @ (1 - rate_P) ** m + (every_PT * fail_PT**m).sum()) for m in range(k, 2 * k + 1)]
    return Components(
        k=k,
        seed=seed,
        problem=problem,
        interaction=max(_variance(gain_PQSI, everywhere) - problem - seed, 0.0),
        failure_moment_M=np.array(moments),
    )


def pilot_components(a: tuple[ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike], k: int) -> Components:
    """Components estimated from counts: `a` and `b` are (correct_SP, total_SP), row s paired, column p one problem.

    Needs N >= 2k of every problem, since what two disjoint sets of k rollouts both do tells noise from difference.
    Estimates below 0 are 0. One row leaves the seed component NaN. UsageError for other shapes, one problem, or a
    smaller N.
    """
    tables = [_grid(one) for one in (a, b)]
    (correct, total), (b_correct, b_total) = tables
    if correct.shape != b_correct.shape:
        raise UsageError(
            f"both methods need runs of the same problems, as many of one as of the other; given: {correct.shape} and "
            f"{b_correct.shape} (runs, problems)."
        )
    seeds, problems = correct.shape
    smallest = int(min(total.min(), b_total.min()))
    if problems < 2:
        raise UsageError("variance components need two problems at least; given: 1.")
    if k < 1 or 2 * k > smallest:
        raise UsageError(
            f"k = {k} was asked of counts with N = {smallest}; to tell the noise of rollouts from differences, N must "
            f"be at least 2k. Ask for k up to {smallest // 2}, or state the spreads instead."
        )
    ms = np.arange(k, 2 * k + 1)
    fail_2SPM = [subset_ratio((n - c).ravel(), n.ravel(), ms).reshape(*c.shape, -1) for c, n in tables]
    gain_SP = fail_2SPM[0][:, :, 0] - fail_2SPM[1][:, :, 0]
    noise = float(sum((fail[:, :, 0] ** 2 - fail[:, :, -1]).mean() for fail in fail_2SPM))
    moments_M = sum((fail.mean((0, 1)) for fail in fail_2SPM), np.zeros(k + 1))
    if seeds == 1:
        problem = max(float(gain_SP[0].var(ddof=1)) - noise, 0.0)
        return Components(k=k, seed=np.nan, problem=problem, interaction=0.0, failure_moment_M=moments_M)
    scatter = crossed_scatter(gain_SP)
    return Components(
        k=k,
        seed=max((problems * scatter.row - scatter.rest) / problems, 0.0),
        problem=max((seeds * scatter.problem - scatter.rest) / seeds, 0.0),
        interaction=max(scatter.rest - noise, 0.0),
        failure_moment_M=moments_M,
    )


def _grid(counts: tuple[ArrayLike, ArrayLike]) -> tuple[Ints, Ints]:
    correct, total = (np.atleast_2d(np.asarray(one)) for one in counts)
    if correct.ndim != 2 or correct.shape != total.shape:
        raise UsageError(f"counts of runs have shape (S, P) each; given: {correct.shape} and {total.shape}.")
    flat = check_counts(correct.ravel(), total.ravel())
    return flat[0].reshape(correct.shape), flat[1].reshape(correct.shape)


def _normal(sd: float) -> tuple[Floats, Floats]:
    """Gauss-Hermite points of a normal with this SD, and their mass."""
    node, mass = np.polynomial.hermite_e.hermegauss(_NODES)
    return sd * node, mass / mass.sum()


def _failing(rate_P: Floats, shift: Floats) -> Floats:
    """Failure rates after a shift in logits, shape (P, *shift.shape)."""
    rate = rate_P.reshape(-1, *[1] * shift.ndim)
    share: Floats = (1 - rate) / (1 - rate + rate * np.exp(shift))
    return share


def _variance(values: Floats, mass: Floats) -> float:
    mean = (values * mass).sum()
    return float(((values - mean) ** 2 * mass).sum())
