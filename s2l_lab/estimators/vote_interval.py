"""The `rollouts` interval of maj@k: these problems, other draws.

Votes of k rollouts have no closed form, so the variance comes from a posterior of the answers' chances: Dirichlet with
the counts that were seen, and half a rollout more for a correct answer and for a wrong one that is new. Answers seen
once say how often something new is answered (Good and Turing): their mass draws a new answer each time. Under every
draw of chances votes are drawn and cut into blocks of k; the variance of the block means over the draws, less that of
blocks under the same chances, is V, the variance of the expected score, free of the noise of k votes. The estimate
varies as V for small k; for k = N it is one score, and varies as scores do under the same chances (Z). In between,
V + (k/N)^2 (Z - V N/k): exact where first and second order effects of a vote are all there is (Hoeffding 1948).
Problems add up, as they are drawn independently, so the more there are the fewer draws each one needs.

The centre is the unbiased estimate, the ends are those of a beta distribution. Beyond N/2 the posterior says what no
subset of the rollouts shows, and the interval is marked `prior-dependent`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators.estimate import Floats, Ints
    from s2l_lab.estimators.majority import Votes

_DRAWS = 6_000
_FEWEST = 60
"""Draws of chances: so many over all problems, and at least so many for each."""
_LEAST = 1e-12
_PRIOR = 0.5
"""Rollouts that the prior adds to the correct answers of a problem, and to the wrong ones."""


def vote_variance(votes_P: Sequence[Votes], ks_K: Ints, rng: np.random.Generator) -> Floats:
    """Variance of maj@k over other draws on these problems, shape (K,), for votes without unknown rollouts."""
    draws = max(_FEWEST, -(-_DRAWS // len(votes_P)))
    variance_K = np.zeros(ks_K.size)
    for votes in votes_P:
        variance_K += _by_problem(votes, ks_K, rng, draws)
    return np.maximum(variance_K / len(votes_P) ** 2, _LEAST)


def _by_problem(votes: Votes, ks_K: Ints, rng: np.random.Generator, draws: int) -> Floats:
    """Variance of the estimate of one problem, shape (K,); below 0 by chance."""
    right = sorted((n for answer, n in votes.answers.items() if answer in votes.correct), reverse=True) or [0]
    wrong = [n for answer, n in votes.answers.items() if answer not in votes.correct]
    known = [n for n in wrong if n > 1]
    mass_A = np.array([right[0] + _PRIOR, *right[1:], *known, wrong.count(1) + _PRIOR], dtype=np.float64)
    fresh = mass_A.size - 1  # the answers that are new each time; a silent rollout comes after it
    correct_A = np.arange(mass_A.size) < len(right)
    if votes.silent:
        mass_A, correct_A = np.append(mass_A, votes.silent), np.append(correct_A, False)

    chance_BA = rng.standard_gamma(mass_A, size=(draws, mass_A.size))
    edge_BA = np.cumsum(chance_BA, axis=1)
    size = 2 * int(ks_K.max())
    point_BS = rng.random((draws, size)) * edge_BA[:, -1:]
    answer_BS = np.zeros((draws, size), dtype=np.int16)
    for edge_B in edge_BA.T[:-1]:
        answer_BS += point_BS > edge_B[:, None]
    variance_K = np.zeros(ks_K.size)
    for i, k in enumerate(ks_K.tolist()):
        blocks = size // k
        score = vote_score(answer_BS[:, : blocks * k].reshape(-1, k), correct_A, fresh).reshape(draws, blocks)
        within = float(score.var(axis=1, ddof=1).mean())
        expected, share = score.mean(1).var(ddof=1) - within / blocks, k / votes.total
        variance_K[i] = expected + share**2 * max(within - expected / share, 0.0)
    return variance_K


def vote_score(
    answer_XS: NDArray[np.integer], correct_A: np.ndarray[tuple[int], np.dtype[np.bool_]], fresh: int
) -> Floats:
    """Share of the most frequent answers that are correct, shape (X,), in rows of S votes; 0 where none was cast.

    Answer `fresh` is a new one each time it is drawn; those beyond it are no votes.
    """
    count_XA = np.stack([(answer_XS == a).sum(1) for a in range(fresh)], axis=1)
    fresh_X = (answer_XS == fresh).sum(1)
    most_X = np.maximum(count_XA.max(1), fresh_X > 0)
    leads_XA = (count_XA == most_X[:, None]) & (most_X[:, None] > 0)
    leaders_X = leads_XA.sum(1) + np.where(most_X == 1, fresh_X, 0)
    score_X: Floats = leads_XA[:, correct_A[:fresh]].sum(1) / np.maximum(leaders_X, 1)
    return score_X
