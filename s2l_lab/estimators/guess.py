"""Guess references: what pass@k a policy would show that does not read the problem.

At large k a closed answer set is found by guessing, and the higher curve may be the better guesser. Two references:

- `uniform_guess`: k independent guesses among A answers, 1 - (1 - 1/A)^k; A = 1,000 for AIME.
- `other_problem_guess`: for each problem, k rollouts drawn from the policy's rollouts on the *other* problems, scored
  against this problem's gold answer: the policy's own favourite numbers, without this problem.

On a choice set (A = 5) a guesser reaches .36 at k = 2 and .67 at k = 5, so k beyond 2 is refused there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_ks
from s2l_lab.estimators.unbiased import pass_at_k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators.estimate import Floats, Ints
    from s2l_lab.estimators.majority import Votes

CHOICE_ANSWERS = 5
"""Answer sets up to this size are choice sets."""
CHOICE_MAX_K = 2
"""Largest k at which pass@k of a choice set still says more than a guess."""


def uniform_guess(answers: int, ks: Sequence[int] | Ints) -> Floats:
    """pass@k of uniform guesses among `answers` possible answers, shape (K,).

    UsageError for fewer than two answers, k < 1, and k > 2 on a choice set (at most five answers).
    """
    if answers < 2:
        raise UsageError(f"answers = {answers} was given; a guess needs an answer set of at least two.")
    ks_K = check_ks(ks, np.iinfo(np.int64).max)
    if answers <= CHOICE_ANSWERS and ks_K.max() > CHOICE_MAX_K:
        reached = 1 - (1 - 1 / answers) ** int(ks_K.max())
        raise UsageError(
            f"k = {ks_K.max()} was asked on a choice set of {answers} answers, where guesses reach {reached:.2f}. "
            f"Use k <= {CHOICE_MAX_K}, or pass^k."
        )
    guessed_K: Floats = -np.expm1(ks_K * np.log1p(-1 / answers))
    return guessed_K


def other_problem_guess(votes_P: Sequence[Votes], ks: Sequence[int] | Ints) -> Floats:
    """pass@k, shape (K,), of k rollouts drawn without replacement from the policy's rollouts on all *other* problems.

    `Votes.correct` must hold each problem's gold answer in canonical form. Rollouts without an answer are drawn too
    and hit nothing; unknown ones are left out. UsageError for fewer than two problems or a k above what is there.
    """
    if len(votes_P) < 2:
        raise UsageError(f"answers of other problems were asked for, and {len(votes_P)} problem was given; give two.")
    pooled: Counter[str] = Counter()
    for votes in votes_P:
        pooled.update(votes.answers)
    size_P = np.array([votes.total - votes.unknown for votes in votes_P])
    hits_P = np.array([sum(pooled[gold] - votes.answers.get(gold, 0) for gold in votes.correct) for votes in votes_P])
    return np.atleast_1d(pass_at_k(hits_P, size_P.sum() - size_P, ks))
