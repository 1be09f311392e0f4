"""maj@k: is the most frequent answer of k rollouts correct?

For each problem this is a mean over all k-subsets of its N rollouts: unbiased, no draw with replacement. Ties are
split: the share of the tied answers that are correct. A rollout without an answer (NO_ANSWER, TRUNCATED) casts no
vote but takes one of the k places; a subset without a vote scores 0. An answer that is correct and its competitors are
told apart by their canonical form, so several forms can be correct at once (Countdown's solution classes): each is a
candidate of its own.

With s votes cast among k rollouts, maj@k = sum_s P(s votes | k) g(s); P is hypergeometric and g(s), the expected score
of s votes, is exact by enumeration of vote counts where few answers are distinct, and else a mean over `subsets` random
orders of the votes (SD at most .5 / sqrt(subsets) for one problem), in which the first s votes serve every s at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.cells import check_increasing, check_ks, check_level
from s2l_lab.estimators.curve import settled, studentised
from s2l_lab.estimators.estimate import Curve, Floats, Ints
from s2l_lab.estimators.problem_interval import ProblemEnds, share_ends
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.rollout_interval import beta_ends
from s2l_lab.estimators.units import cluster_codes
from s2l_lab.estimators.vote_interval import vote_variance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Asked = Literal["rollouts", "problems"]
"""The intervals that maj@k has."""
_ENUMERABLE = 100_000
"""Vote counts of a problem (product of n_a + 1 over its answers) that are enumerated rather than sampled."""


@dataclass(frozen=True, slots=True)
class Votes:
    """What the rollouts of one problem answered, as canonical forms."""

    answers: Mapping[str, int]
    """Rollouts by canonical answer, each count positive."""
    correct: frozenset[str]
    """The canonical answers that are correct, whether or not a rollout gave them (the gold answer is one)."""
    silent: int = 0
    """Number of rollouts without an answer."""
    unknown: int = 0
    """Rollouts with outcome VERIFIER_ERROR: they may vote for anything."""

    def __post_init__(self) -> None:
        if isinstance(self.correct, str):
            raise DataError(f"correct is a set of answers, and the text {self.correct!r} is none. Give a frozenset.")
        numbers = [self.silent, self.unknown, *self.answers.values()]
        if any(isinstance(n, bool) or not isinstance(n, int | np.integer) for n in numbers):
            odd = next(n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer))
            raise DataError(f"votes are numbers of rollouts, whole ones; {odd!r} is none.")
        if min(self.silent, self.unknown) < 0 or any(count < 1 for count in self.answers.values()):
            raise DataError("votes are numbers of rollouts: at least 1 for every answer listed, none negative.")

    @property
    def total(self) -> int:
        """All rollouts of the problem."""
        return sum(self.answers.values()) + self.silent + self.unknown


def maj_at_k(
    votes_P: Sequence[Votes],
    ks: Sequence[int] | Ints | None = None,
    *,
    interval: Asked = "problems",
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    subsets: int = 1_000,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> Curve:
    """maj@k at increasing `ks` (None: every k up to the smallest N) with intervals at `level`.

    One Votes per problem; `cluster` labels the problems' clusters, shape (P,), where they come in clusters. `rng` (a
    seed, a Generator, None for seed 0) drives the `subsets` random orders of problems with many distinct answers, and
    the draws of the intervals (`replicates` of problems; those of `rollouts` are in `vote_interval.py`). Unknown
    rollouts give bounds: all of them vote for the most frequent wrong answer, or for the most frequent correct one.
    UsageError for no problem, k outside 1..N, or an unknown interval.
    """
    if interval not in ("rollouts", "problems"):
        raise UsageError(f"interval = {interval!r} was asked; maj@k has 'rollouts' or 'problems'.")
    ask: tuple[Asked, ...] = (interval,)
    return maj_curves(votes_P, ks, ask, rng=rng, level=level, subsets=subsets, replicates=replicates, cluster=cluster)[
        interval
    ]


def maj_curves(
    votes_P: Sequence[Votes],
    ks: Sequence[int] | Ints | None,
    intervals: Sequence[Asked],
    *,
    rng: int | np.random.Generator | None = 0,
    level: float = 0.95,
    subsets: int = 1_000,
    replicates: int = 2_000,
    cluster: Sequence[object] | None = None,
) -> dict[Asked, Curve]:
    """`maj_at_k` with several intervals around the same values, by interval."""
    check_level(level)
    if not votes_P or min(votes.total for votes in votes_P) < 1:
        raise UsageError("maj@k needs at least one problem, and at least one rollout of every problem.")
    smallest = min(votes.total for votes in votes_P)
    codes_P = None if cluster is None else cluster_codes(cluster, len(votes_P))
    draws = generator(rng)
    ks_K = check_increasing(check_ks(ks, smallest))
    sides = [[_settle(votes, to_correct=side) for votes in votes_P] for side in (False, True)]
    low_PK = np.stack([_by_problem(votes, ks_K, draws, subsets) for votes in sides[0]])
    high_PK = low_PK.copy()
    for i, votes in enumerate(votes_P):
        if votes.unknown:
            high_PK[i] = _by_problem(sides[1][i], ks_K, draws, subsets)
    seed = int(draws.integers(2**63))
    curves = {}
    for interval in intervals:
        if interval == "rollouts":
            ends = _rollout_ends(sides, (low_PK.mean(0), high_PK.mean(0)), ks_K, level, seed)
            method = tuple(
                "dirichlet posterior" if 2 * k <= smallest else "dirichlet posterior, prior-dependent"
                for k in ks_K.tolist()
            )
        else:
            weight_P = np.ones(len(votes_P), dtype=np.int64)
            low, high = (
                share_ends(v, weight_P, level, np.random.default_rng(seed), replicates, codes_P)
                for v in (low_PK, high_PK)
            )
            ends = ProblemEnds(low.lower_K, high.upper_K, low.band_lower_K, high.band_upper_K)
            method = (studentised(clustered=codes_P is not None),) * ks_K.size
        curves[interval] = Curve(
            k=ks_K,
            value=settled(low_PK.mean(0), high_PK.mean(0)),
            lower=ends.lower_K,
            upper=ends.upper_K,
            band_lower=ends.band_lower_K,
            band_upper=ends.band_upper_K,
            bound_low=low_PK.mean(0),
            bound_high=high_PK.mean(0),
            method=method,
            interval=interval,
            level=level,
            n_problems=len(votes_P),
            n_rollouts=smallest,
            n_clusters=None if interval == "rollouts" or codes_P is None else int(codes_P.max()) + 1,
        )
    return curves


def _rollout_ends(
    sides: list[list[Votes]], mean: tuple[Floats, Floats], ks_K: Ints, level: float, seed: int
) -> ProblemEnds:
    """Lower ends from the votes with unknown ones wrong, upper ends from those with them right; no band."""
    variance = [vote_variance(sides[0], ks_K, np.random.default_rng(seed))]
    if any(a is not b for a, b in zip(*sides, strict=True)):
        variance.append(vote_variance(sides[1], ks_K, np.random.default_rng(seed)))
    nan_K = np.full(ks_K.size, np.nan)
    lower_K, _ = beta_ends(mean[0], variance[0], level)
    _, upper_K = beta_ends(mean[1], variance[-1], level)
    return ProblemEnds(lower_K, upper_K, nan_K, nan_K)


def _settle(votes: Votes, *, to_correct: bool) -> Votes:
    """The votes with every unknown rollout behind the strongest correct (or wrong) answer, or a new one if none is."""
    if not votes.unknown:
        return votes
    side = {answer: n for answer, n in votes.answers.items() if (answer in votes.correct) == to_correct}
    new = next(iter(sorted(votes.correct)), "") if to_correct else "\0another answer"
    strongest = max(side, key=side.__getitem__, default=new)
    answers = {**votes.answers, strongest: votes.answers.get(strongest, 0) + votes.unknown}
    correct = votes.correct | {strongest} if to_correct else votes.correct
    return Votes(answers, correct, votes.silent)


def _by_problem(votes: Votes, ks_K: Ints, rng: np.random.Generator, subsets: int) -> Floats:
    """maj@k of one problem without unknown rollouts, shape (K,)."""
    count_A = np.array(list(votes.answers.values()), dtype=np.int64)
    correct_A = np.array([answer in votes.correct for answer in votes.answers], dtype=bool)
    cast, total = int(count_A.sum()), votes.total
    if not correct_A.any():
        return np.zeros(ks_K.size)
    most = min(cast, int(ks_K.max()))
    if float(np.prod(count_A + 1.0)) <= _ENUMERABLE:
        score_S = _exact_score(count_A, correct_A)[: most + 1]
    else:
        score_S = _sampled_score(count_A, correct_A, most, rng, subsets)
    log_factorial = _log_factorial(total)
    value_K = np.zeros(ks_K.size)
    for i, k in enumerate(ks_K.tolist()):
        s = np.arange(max(0, k - votes.silent), min(cast, k) + 1)
        log_chance = (
            log_factorial[cast]
            - log_factorial[s]
            - log_factorial[cast - s]
            + log_factorial[votes.silent]
            - log_factorial[k - s]
            - log_factorial[votes.silent - k + s]
            - log_factorial[total]
            + log_factorial[k]
            + log_factorial[total - k]
        )
        value_K[i] = np.exp(log_chance) @ score_S[s]
    return np.clip(value_K, 0.0, 1.0)


def _log_factorial(n: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def _share_correct(votes_XA: Ints, correct_A: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """Share of the most frequent answers that are correct, shape (X,); 0 where no vote was cast."""
    most_X1 = votes_XA.max(1, keepdims=True)
    winner_XA = (votes_XA == most_X1) & (most_X1 > 0)
    share_X: Floats = winner_XA[:, correct_A].sum(1) / np.maximum(winner_XA.sum(1), 1)
    return share_X


def _exact_score(count_A: Ints, correct_A: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Floats:
    """g(s) for s = 0..cast by enumeration: shape (cast + 1,)."""
    votes_XA = np.stack([grid.ravel() for grid in np.indices(tuple(count_A + 1))], axis=1)
    log_factorial = _log_factorial(int(count_A.sum()))
    log_choose_XA = log_factorial[count_A] - log_factorial[votes_XA] - log_factorial[count_A - votes_XA]
    cast, s_X = int(count_A.sum()), votes_XA.sum(1)
    log_all_X = log_factorial[cast] - log_factorial[s_X] - log_factorial[cast - s_X]
    chance_X = np.exp(log_choose_XA.sum(1) - log_all_X)
    score_S: Floats = np.bincount(
        s_X, weights=chance_X * _share_correct(votes_XA, correct_A), minlength=cast + 1
    ).astype(np.float64)
    return score_S


def _sampled_score(
    count_A: Ints,
    correct_A: np.ndarray[tuple[int], np.dtype[np.bool_]],
    most: int,
    rng: np.random.Generator,
    subsets: int,
) -> Floats:
    """g(s) for s = 0..most as a mean over `subsets` random orders of the votes: shape (most + 1,)."""
    ballots = np.tile(np.repeat(np.arange(count_A.size), count_A), (subsets, 1))
    order_BS = rng.permuted(ballots, axis=1)
    votes_BA = np.zeros((subsets, count_A.size), dtype=np.int64)
    score_S = np.zeros(most + 1)
    rows = np.arange(subsets)
    for s in range(most):
        votes_BA[rows, order_BS[:, s]] += 1
        score_S[s + 1] = _share_correct(votes_BA, correct_A).mean()
    return score_S
