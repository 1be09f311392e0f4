"""Cover@tau: the share of problems whose solve rate is at least tau (Dragoi et al. 2025, arXiv 2510.08325).

pass@k is a view of it, pass@k = integral over t of k (1 - t)^(k - 1) Cover@t, that looks ever closer to t = 0 as k
grows: at large k it rewards rare hits, guesses included. Cover@tau for a tau well above 0 does not.

That identity holds for true solve rates. The plug-in share of c / N >= tau is biased: c / N scatters around the rate
and mass spills over tau, most where the curve is steep (.075 for a true .020 at N = 16). So plug-in values carry that
name, and `at_least_j_of_k` is the unbiased neighbour. A tau below 1 / N asks for less than one rollout and is refused.

No point value is right for every population. Two stand side by side: the share smoothed by the beta prior of
`rate_posterior.py`, which blurs groups of problems on both sides of tau (half at .2 and half at .6, N = 16: .74 at
tau = .25, and no more problems mend it), and that of the likeliest distribution of any shape (`likeliest_rates.py`, .5
there), whose atoms jump where rates are spread smoothly. Where they differ the counts do not say: `cover_bounds.py`
gives the smallest and the largest Cover@tau that the counts allow.

Ends. A steep function of the solve rate is nearly a coin, and a bootstrap of P problems knows only those P: where less
than one problem's worth of mass lies above tau it would say that the next problem cannot reach it either (0 of 12:
[0, .0001]). There the upper end is at least the exact binomial one (0 of 12: .26); the lower end likewise below tau.
Since Cover falls in tau, its ends are then widened until they fall too: what may be reached at tau may be at less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import Cells, check_aligned, check_level, pool
from s2l_lab.estimators.cover_bounds import cover_bounds
from s2l_lab.estimators.curve import clusters
from s2l_lab.estimators.likeliest_rates import likeliest_rates
from s2l_lab.estimators.problem_interval import binomial_ends, share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.rate_posterior import posterior_rates
from s2l_lab.estimators.units import cluster_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats


@dataclass(frozen=True, slots=True)
class CoverCurve:
    """Cover@tau over ONE problem set. Arrays have shape (T,). Ends are `problems` intervals at `level`."""

    tau: Floats
    plug_in: Floats
    """Share of problems with c / N >= tau: biased."""
    plug_in_lower: Floats
    plug_in_upper: Floats
    """Ends for what the plug-in share estimates, not for Cover@tau."""
    smoothed: Floats
    """Posterior share of solve rates >= tau (zero-inflated beta-binomial); NaN at tau = 1, where no model helps."""
    smoothed_lower: Floats
    smoothed_upper: Floats
    """Ends over problems with the model's hyper-parameters held; they fall in tau, and where no problem of these
    reaches tau they still allow that another does. They do not hold the bias of the prior's shape."""
    npmle: Floats
    """Share of solve rates >= tau in the likeliest distribution of rates, of whatever shape: a few atoms."""
    bounds_lower: Floats
    bounds_upper: Floats
    """Smallest and largest Cover@tau over all distributions of solve rates whose counts lie inside the DKW band at
    `level`: they hold the truth at least that often, at all tau at once, whatever the distribution. NaN where none lies
    inside, that is, where rollouts of one problem were not independent draws at one rate."""
    level: float
    n_problems: int
    n_rollouts: int
    """Rollouts per problem (the smallest, where they differ)."""
    n_clusters: int | None = None
    """Clusters of problems that were drawn whole; None where every problem stands alone."""


@overload
def cover_at_tau(correct_P: ArrayLike, total_P: ArrayLike, tau: float) -> float: ...
@overload
def cover_at_tau(correct_P: ArrayLike, total_P: ArrayLike, tau: Sequence[float] | Floats) -> Floats: ...
def cover_at_tau(correct_P: ArrayLike, total_P: ArrayLike, tau: float | Sequence[float] | Floats) -> float | Floats:
    """Plug-in Cover@tau: the share of problems with c / N >= tau. Biased; see the module's note.

    Counts as in `pass_at_k`; every tau lies in [1 / N, 1] for the smallest N, or UsageError. A float for one tau,
    shape (T,) for several.
    """
    cells = pool(correct_P, total_P)
    share_T: Floats = cells.weight_C @ _reached(cells, _check_taus(tau, cells.min_total)) / cells.n_problems
    return float(share_T[0]) if np.ndim(tau) == 0 else share_T


def cover_curve(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    taus: Sequence[float] | Floats,
    *,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> CoverCurve:
    """Plug-in, smoothed and likeliest Cover at `taus` in [1 / N, 1], with intervals over problems and exact bounds.

    `rng` (a seed, a Generator, None for seed 0) drives `replicates` bootstrap draws and, with unequal N, what the
    bounds leave out. `cluster` labels the problems' clusters, shape (P,), where they come in clusters. Counts and
    errors as in `cover_at_tau`.
    """
    check_level(level)
    check_aligned(correct_P=correct_P, total_P=total_P, cluster=cluster)
    draws = generator(rng)
    codes_P = None if cluster is None else cluster_codes(cluster, np.size(correct_P))
    cells = pool(correct_P, total_P, codes_P)
    tau_T = _check_taus(taus, cells.min_total)
    plug_in_CT = _reached(cells, tau_T)
    inner_T = np.minimum(tau_T, 1 - 1e-9)
    smoothed_CT = posterior_rates(cells).share_above(inner_T)
    plain_lower, plain_upper = _ends(plug_in_CT, tau_T, cells, level, draws, replicates)
    smooth_lower, smooth_upper = _ends(smoothed_CT, tau_T, cells, level, draws, replicates)
    known_T = np.where(tau_T < 1, 1.0, np.nan)
    bounds = cover_bounds(cells, tau_T, level, draws)
    return CoverCurve(
        tau=tau_T,
        plug_in=cells.weight_C @ plug_in_CT / cells.n_problems,
        plug_in_lower=plain_lower,
        plug_in_upper=plain_upper,
        smoothed=cells.weight_C @ smoothed_CT / cells.n_problems * known_T,
        smoothed_lower=smooth_lower * known_T,
        smoothed_upper=smooth_upper * known_T,
        npmle=likeliest_rates(cells).share_above(tau_T),
        bounds_lower=bounds.lower_T,
        bounds_upper=bounds.upper_T,
        level=level,
        n_problems=cells.n_problems,
        n_rollouts=cells.min_total,
        n_clusters=clusters(cells),
    )


def _ends(
    share_CT: Floats, tau_T: Floats, cells: Cells, level: float, rng: np.random.Generator, replicates: int
) -> tuple[Floats, Floats]:
    """Ends of the mean share over problems, each of shape (T,), that fall in tau as the share does."""
    ends = share_ends(share_CT, cells.weight_C, level, rng, replicates, cells.cluster_C)
    n = cells.effective_units
    if cells.n_units == 1:
        return ends.lower_K, ends.upper_K
    above_T = cells.weight_C @ share_CT * (n / cells.n_problems)
    least_T, most_T = binomial_ends(above_T / n, n, level)
    lower_T = np.where(n - above_T < 1, least_T, ends.lower_K)
    upper_T = np.where(above_T < 1, most_T, ends.upper_K)
    order = np.argsort(tau_T, kind="stable")
    back = np.argsort(order, kind="stable")
    return (
        np.minimum.accumulate(lower_T[order])[back],
        np.maximum.accumulate(upper_T[order][::-1])[::-1][back],
    )


def _check_taus(tau: float | Sequence[float] | Floats, min_total: int) -> Floats:
    tau_T = np.atleast_1d(np.asarray(tau, dtype=np.float64))
    if tau_T.size == 0 or not ((tau_T >= 1 / min_total - 1e-12) & (tau_T <= 1)).all():
        raise UsageError(
            f"tau = {tau_T.tolist()} was asked; with {min_total} rollouts of a problem tau must lie in "
            f"[1/{min_total}, 1]. Ask for a larger tau or sample more."
        )
    return tau_T


def _reached(cells: Cells, tau_T: Floats) -> Floats:
    """1 where c >= tau N, shape (C, T); a tau that is a count over N up to rounding is that count."""
    return (cells.correct_C[:, None] >= cells.total_C[:, None] * tau_T - 1e-9).astype(np.float64)
