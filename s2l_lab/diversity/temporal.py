"""Do deviations from the learner last along a trajectory? Statistics of token series that keep their null.

Surprisal of the drawn token under the learner pi_L at temperature 1, minus pi_L's entropy, splits in two (Doob;
STATISTICS 7):

    e_t = -log pi_L(a_t|s_t) - H_L(s_t) = m_t + d_t
    m_t = -log pi_L(a_t|s_t) - CE(b, pi_L)(s_t)      a martingale difference for EVERY behaviour policy b
    d_t = CE(b, pi_L)(s_t) - H_L(s_t)                a function of the state; 0 where b is pi_L

so whatever persists is in d_t. Temperature is a time-invariant perturbation too: at T = 1.5 e persists as it does for
an explorer, and persistence alone is no evidence of policy-level diversity.

Rollouts end at random times that depend on what was drawn, which breaks the textbook forms. Here every statistic is a
ratio of sums of products over pairs of tokens, *uncentred*, each pair taken if its later token exists: given the state
before it, m there has mean 0, so each sum has mean 0 (or 1 for the variance ratio). Means of per-rollout means,
centring by a rollout's own mean, and looking only at rollouts that reach a length do not have that; neither do series
without their EOS, whose surprisal belongs to them. Uncentred also means that a constant counts as persistence: a series
that is c everywhere has autocorrelation and ICC 1 and VR(q) = q. `autocovariance` alone takes the problem's mean out.

Intervals are clustered by problem, or by cluster of problems: bootstrap-t with the jackknife's standard errors
(`jackknife_t.py` says where it stops to hold); where a statistic is a ratio of two means its influences take the place
of values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.token_series import TokenSeries
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Estimate, Floats

    Clusters = Sequence[object] | None


@dataclass(frozen=True, slots=True)
class Surprise:
    """The split of one rollout's surprisal; arrays (T,) in nats, float64."""

    e: Floats
    """Surprisal of each token minus the learner's entropy, in nats: m + d."""
    m: Floats
    """Surprisal of each token minus its mean under the behaviour policy, in nats: a martingale difference."""
    d: Floats
    """Mean surprisal under the behaviour policy minus the learner's entropy, in nats: what persists; 0 on policy."""


def split(logprob_T: ArrayLike, entropy_T: ArrayLike, cross_entropy_T: ArrayLike) -> Surprise:
    """Split surprisal, given log pi_L of the drawn tokens, H_L and CE(b, pi_L), all (T,) in nats (TokenScores)."""
    logprob, entropy, cross = (np.asarray(a, np.float64) for a in (logprob_T, entropy_T, cross_entropy_T))
    return Surprise(-logprob - entropy, -logprob - cross, cross - entropy)


def drift(value_R: Sequence[NDArray[np.floating]], problem_R: ArrayLike, cluster_R: Clusters = None) -> Estimate:
    """sum of values / number of tokens: of e or d the drift, of KL the KL per token.

    `value_R` has one array (T,) per rollout, `problem_R` (R,) its problem, `cluster_R` (R,) its cluster (None:
    problems stand alone); so for all functions here. NaN where there is no token. A mean of per-rollout means would
    weight short rollouts too much, and their tokens differ.
    """
    series = TokenSeries.of(value_R, problem_R, cluster_R)
    sum_R = series.by_rollout(series.value_N, series.rollout_N)
    return series.ratio(series.by_problem(sum_R), series.by_problem(series.length_R), len(value_R))


pooled_mean = drift
"""Mean per token of any series, pooled as `drift` is: sum of the values over sum of the lengths (KL, entropy)."""


def variance_ratio(
    value_R: Sequence[NDArray[np.floating]], problem_R: ArrayLike, horizon: int, cluster_R: Clusters = None
) -> Estimate:
    """VR(q) = sum_i (sum_{t <= min(q, T_i)} x_it)^2 / sum_i sum_{t <= min(q, T_i)} x_it^2 for the horizon q.

    1 for martingale differences whatever ends the rollouts; above 1 where deviations add up. All rollouts count,
    those that end before q with all they have. NaN where all values are 0. Raises UsageError for q < 1.
    """
    if horizon < 1:
        raise UsageError(f"a variance ratio over horizon {horizon} was asked; it needs at least 1 token.")
    series = TokenSeries.of(value_R, problem_R, cluster_R)
    within = series.position_N < horizon
    value_N, rollout_N = series.value_N[within], series.rollout_N[within]
    square_R, sum_R = series.by_rollout(value_N**2, rollout_N), series.by_rollout(value_N, rollout_N)
    sum_squared_P, square_P = series.by_problem(sum_R**2), series.by_problem(square_R)
    # (x_1 + ... + x_q)^2 is at most q (x_1^2 + ... + x_q^2).
    return series.ratio(sum_squared_P, square_P, len(value_R), largest=horizon)


def autocorrelation(
    value_R: Sequence[NDArray[np.floating]], problem_R: ArrayLike, lags: Sequence[int], cluster_R: Clusters = None
) -> list[Estimate]:
    """For every lag l >= 1: mean of x_t x_{t+l} over pairs in one rollout, over the mean of x^2 over all tokens.

    Not centred: 0 for martingale differences. NaN for a lag that no rollout spans; `n_rollouts` are those that do.
    """
    series = TokenSeries.of(value_R, problem_R, cluster_R)
    found = []
    for lag in _checked(lags, 1):
        pairs = series.pairs(lag)
        product_R = series.by_rollout(pairs.head_Q * pairs.tail_Q, pairs.rollout_Q)
        found.append(_over_mean_square(series, product_R, np.maximum(series.length_R - lag, 0)))
    return found


def intraclass_correlation(
    value_R: Sequence[NDArray[np.floating]], problem_R: ArrayLike, cluster_R: Clusters = None
) -> Estimate:
    """[sum_i (S_i^2 - sum_t x_it^2) / sum_i T_i (T_i - 1)] / mean x^2, S_i a rollout's sum: pairs of every lag.

    Not centred: 0 for martingale differences. NaN where no rollout has two tokens.
    """
    series = TokenSeries.of(value_R, problem_R, cluster_R)
    square_R = series.by_rollout(series.value_N**2, series.rollout_N)
    sum_R = series.by_rollout(series.value_N, series.rollout_N)
    return _over_mean_square(series, sum_R**2 - square_R, series.length_R * (series.length_R - 1))


def autocovariance(
    value_R: Sequence[NDArray[np.floating]], problem_R: ArrayLike, lags: Sequence[int], cluster_R: Clusters = None
) -> list[Estimate]:
    """For every lag l >= 0: mean of (x_t - mu)(x_{t+l} - mu) over pairs in one rollout, mu the mean of the problem.

    mu's products are taken over pairs of *different* rollouts: with the plug-in mean of N rollouts, noise alone would
    show a covariance of about -variance / (N T), and two rollouts half of what persists. Needs two rollouts with
    tokens in a problem; others are left out. `n_rollouts` are those that span the lag.
    """
    series = TokenSeries.of(value_R, problem_R, cluster_R)
    sum_R = series.by_rollout(series.value_N, series.rollout_N)
    mean_square_P = _across(series, (sum_R, series.length_R), (sum_R, series.length_R))
    found = []
    for lag in _checked(lags, 0):
        pairs = series.pairs(lag)
        n_R = np.maximum(series.length_R - lag, 0)
        head_R, tail_R = (series.by_rollout(v_Q, pairs.rollout_Q) for v_Q in (pairs.head_Q, pairs.tail_Q))
        n_P = series.by_problem(n_R)
        mixed_P = sum(_across(series, (sum_R, series.length_R), (part_R, n_R)) for part_R in (head_R, tail_R))
        product_P = series.by_problem(series.by_rollout(pairs.head_Q * pairs.tail_Q, pairs.rollout_Q))
        found.append(series.ratio(product_P + n_P * (mean_square_P - mixed_P), n_P, int((n_R > 0).sum())))
    return found


def _across(series: TokenSeries, a: tuple[Floats, ArrayLike], b: tuple[Floats, ArrayLike]) -> Floats:
    """(P,) mean product of a token of `a` and one of `b` from different rollouts, given sums and counts (R,) of each.

    NaN where no two rollouts of a problem have tokens.
    """

    def across(x_R: ArrayLike, y_R: ArrayLike) -> Floats:
        x, y = np.asarray(x_R, np.float64), np.asarray(y_R, np.float64)
        product_P: Floats = series.by_problem(x) * series.by_problem(y) - series.by_problem(x * y)
        return product_P

    product_P, count_P = across(a[0], b[0]), across(a[1], b[1])
    mean_P: Floats = np.divide(product_P, count_P, out=np.full(series.n_problems, np.nan), where=count_P > 0)
    return mean_P


def _over_mean_square(series: TokenSeries, product_R: Floats, count_R: NDArray[np.int64]) -> Estimate:
    """(sum products / sum counts) / (sum x^2 / number of tokens), with ends from its influences by problem."""
    square_R = series.by_rollout(series.value_N**2, series.rollout_N)
    product_P, count_P, square_P, tokens_P = (
        series.by_problem(part_R) for part_R in (product_R, count_R, square_R, series.length_R)
    )
    has_P = tokens_P > 0
    spanning = int((count_R > 0).sum())
    if not (count_P.sum() and square_P.sum()):
        undefined = np.full(len(count_P), np.nan)
        return series.ratio(undefined, undefined, spanning)
    mean, mean_square = product_P.sum() / count_P.sum(), square_P.sum() / tokens_P.sum()
    value = mean / mean_square
    influence_P = (product_P - mean * count_P) / (count_P.sum() * mean_square)
    influence_P -= value * (square_P - mean_square * tokens_P) / (tokens_P.sum() * mean_square)
    # Problems weighted alike around the value: the residuals are then the influences.
    return series.ratio(np.where(has_P, value + has_P.sum() * influence_P, np.nan), np.ones(len(has_P)), spanning)


def _checked(lags: Sequence[int], least: int) -> Sequence[int]:
    if any(lag < least for lag in lags):
        raise UsageError(f"lags {list(lags)} were asked; each must be at least {least}.")
    return lags
