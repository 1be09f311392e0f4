"""Score functions of the output layer: u_t = grad_W log pi(a_t|s_t), their inner products, and Cov(z_t, z_s) by lag.

With logits W h / T, the state h_t after the final norm and pi_t = softmax(W h_t / T),

    u_t = (e_{a_t} - pi_t) h_t^T / T            (V x D, never formed)
    <u_t, u_s> = (delta(a_t, a_s) - pi_t(a_s) - pi_s(a_t) + <pi_t, pi_s>) <h_t, h_s> / T^2
    z_t = <u_t, V> = (e_{a_t} - pi_t)^T V h_t / T           along a direction V (V x D)

This is the gradient of the *head use* of W. Where embeddings are tied, the shared matrix has a second use at the input,
and its gradient is another: so it is named `head`. Inputs come from `scoring.head_inputs`.

V is fixed in advance, or made from other rollouts than those it is used on (`head_gradient` of held-out rollouts):
a direction fitted to the same rollouts finds correlation in noise.

For rollouts drawn from the policy that is differentiated, E[u_s | s_s] = 0, so Cov(z_t, z_s) = 0 and ||sum u||^2 =
sum ||u||^2 in expectation, *exactly and at any length*: no perturbation is needed for the paper's O(L). Both fail for
any other behaviour policy, temperature sampling included (PAPER 1.3).

Covariances are those at fixed problem and positions, as in Prop. E.2, among rollouts that reach the later one (the
proposition's proof holds under that condition, with Pr(M_t = 0) under it too), averaged over such pairs by lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.theory_bounds import paper_bound
from s2l_lab.diversity.token_series import TokenSeries, sums
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Estimate, Floats, Ints


def score_gram(prob_TV: Floats, hidden_TD: Floats, token_T: ArrayLike, temperature: float = 1.0) -> Floats:
    """(T, T) inner products <u_t, u_s> of one rollout: pi_t at `temperature`, h_t, and the drawn tokens."""
    token = _tokens(prob_TV, hidden_TD, token_T)
    to_drawn_TT = prob_TV[:, token]  # [t, s]: pi_t of the token that s drew
    errors_TT = (token[:, None] == token) - to_drawn_TT - to_drawn_TT.T + prob_TV @ prob_TV.T
    gram_TT: Floats = errors_TT * (hidden_TD @ hidden_TD.T) / temperature**2
    return gram_TT


def projected_scores(
    prob_TV: Floats, hidden_TD: Floats, token_T: ArrayLike, direction_VD: Floats, temperature: float = 1.0
) -> Floats:
    """(T,) z_t of one rollout along a direction."""
    token = _tokens(prob_TV, hidden_TD, token_T)
    if direction_VD.shape != (prob_TV.shape[1], hidden_TD.shape[1]):
        raise UsageError(
            f"a direction of shape {direction_VD.shape} was given; the output layer has shape "
            f"{(prob_TV.shape[1], hidden_TD.shape[1])}."
        )
    along_TV = hidden_TD @ direction_VD.T
    z_T: Floats = (along_TV[np.arange(len(token)), token] - (prob_TV * along_TV).sum(1)) / temperature
    return z_T


def head_gradient(prob_TV: Floats, hidden_TD: Floats, token_T: ArrayLike, temperature: float = 1.0) -> Floats:
    """(V, D) sum of u_t over one rollout: of held-out rollouts, a direction for others."""
    errors_TV = -np.asarray(prob_TV, np.float64)
    errors_TV[np.arange(len(errors_TV)), _tokens(prob_TV, hidden_TD, token_T)] += 1
    gradient_VD: Floats = errors_TV.T @ hidden_TD / temperature
    return gradient_VD


@dataclass(frozen=True, slots=True)
class Interference:
    """||sum u_t||^2 of one rollout, split as in Eq. 16: total = own + cross."""

    total: float
    own: float
    """Sum over tokens of ||u_t||^2, at least 0."""
    cross: float
    """Sum over pairs of tokens, 2 sum_{t<s} <u_t, u_s>: 0 in expectation on policy, positive where steps push the same
    way."""


def interference(gram_TT: Floats) -> Interference:
    """The split of a rollout's squared score, given its inner products."""
    total, own = float(gram_TT.sum()), float(np.trace(gram_TT))
    return Interference(total, own, total - own)


def relative_interference(
    parts_R: Sequence[Interference], problem_R: ArrayLike, cluster_R: Sequence[object] | None = None
) -> Estimate:
    """sum of cross terms / sum of own terms over rollouts (R,) of these problems: 0 in expectation on policy.

    `cluster_R` as in `temporal.drift`.
    """
    series = TokenSeries.of([np.zeros(0)] * len(parts_R), problem_R, cluster_R)
    cross_P, own_P = (series.by_problem([getattr(p, part) for p in parts_R]) for part in ("cross", "own"))
    return series.ratio(cross_P, own_P, len(parts_R))


@dataclass(frozen=True, slots=True)
class LagCovariance:
    """Cov(z_t, z_{t+lag}) beside what the paper's theory allows it to be."""

    lag: int
    covariance: Estimate
    mismatch: Estimate
    """Probability Pr(M_t = 0), 0 to 1, of the earlier token t, over the same pairs."""
    paper_bound: float
    """The paper's bound on |Cov|: 5 B^2 Pr(M_t = 0) (Corollary E.3)."""
    cauchy_schwarz: float
    """B^2, the bound on |Cov| that holds for every policy."""
    n_pairs: int


def score_covariance(
    z_R: Sequence[NDArray[np.floating]],
    matched_R: ArrayLike,
    problem_R: ArrayLike,
    lags: Sequence[int],
    bound: float,
    cluster_R: Sequence[object] | None = None,
) -> list[LagCovariance]:
    """Cov(z_t, z_s) by lag s - t >= 1, over pairs alive at s, standard errors clustered by problem.

    `z_R`: one array (T,) per rollout; `matched_R`: how many of its leading tokens are those of the reference decode
    (`prefix_survival.matched_length`); `bound`: B (`theory_bounds.score_bound`). At a problem and a position that only
    one rollout reaches, no covariance is defined, and its pair is left out; NaN where none is left. `cluster_R` as in
    `temporal.drift`.
    """
    if any(lag < 1 for lag in lags):
        raise UsageError(f"lags {list(lags)} were asked; each must be at least 1.")
    series = TokenSeries.of(z_R, problem_R, cluster_R)
    matched = np.asarray(matched_R)
    if matched.shape != series.length_R.shape:
        raise UsageError(f"one matched length per rollout is needed; given: {matched.size} for {len(z_R)} rollouts.")
    return [_at_lag(series, matched, lag, bound) for lag in lags]


def _at_lag(series: TokenSeries, matched_R: Ints, lag: int, bound: float) -> LagCovariance:
    pairs = series.pairs(lag)
    problem_Q = series.problem_R[pairs.rollout_Q]
    # A cell is a problem and a position: among its n rollouts the covariance is that of a sample of n.
    cell_Q = problem_Q * (1 + pairs.position_Q.max(initial=0)) + pairs.position_Q
    cells = 1 + int(cell_Q.max(initial=-1))
    n_C = sums(np.ones(len(cell_Q)), cell_Q, cells)
    head_Q, tail_Q = (
        value_Q - (sums(value_Q, cell_Q, cells) / np.maximum(n_C, 1))[cell_Q]
        for value_Q in (pairs.head_Q, pairs.tail_Q)
    )
    several_Q = n_C[cell_Q] > 1
    product_Q = head_Q * tail_Q * np.divide(n_C, n_C - 1, out=np.zeros(cells), where=n_C > 1)[cell_Q]
    left_Q = pairs.position_Q + 1 > matched_R[pairs.rollout_Q]  # M_t = 0 for the t-th token, t = position + 1
    product_P, left_P, pairs_P = (
        sums(value_Q * several_Q, problem_Q, series.n_problems) for value_Q in (product_Q, left_Q, np.ones(len(left_Q)))
    )
    used = len(np.unique(pairs.rollout_Q[several_Q]))
    mismatch = series.ratio(left_P, pairs_P, used)
    return LagCovariance(
        lag=lag,
        covariance=series.ratio(product_P, pairs_P, used),
        mismatch=mismatch,
        paper_bound=paper_bound(bound, mismatch.value),
        cauchy_schwarz=bound**2,
        n_pairs=int(several_Q.sum()),
    )


def _tokens(prob_TV: Floats, hidden_TD: Floats, token_T: ArrayLike) -> Ints:
    token = np.asarray(token_T, np.int64)
    if not len(prob_TV) == len(hidden_TD) == len(token):
        raise UsageError(
            f"one distribution, state and token per step are needed; given: {len(prob_TV)}, {len(hidden_TD)} and "
            f"{len(token)}."
        )
    return token
