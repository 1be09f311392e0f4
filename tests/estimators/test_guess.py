"""Guess references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Votes, other_problem_guess, uniform_guess


def test_uniform_guesses_of_aime() -> None:
    """1,000 answers: 6.2 % at k = 64 and 22.6 % at k = 256."""
    np.testing.assert_allclose(uniform_guess(1_000, [1, 64, 256]), [0.001, 0.062, 0.226], atol=5e-4)


def test_choice_sets_end_at_k_2() -> None:
    np.testing.assert_allclose(uniform_guess(5, [1, 2]), [0.2, 0.36])
    with pytest.raises(UsageError, match="choice set"):
        uniform_guess(5, [4])
    with pytest.raises(UsageError, match="at least two"):
        uniform_guess(1, [1])
    with pytest.raises(UsageError):
        uniform_guess(10, [0])


def test_own_answers_of_other_problems_by_enumeration() -> None:
    votes = [
        Votes({"7": 2, "3": 1}, frozenset({"7"}), silent=1),
        Votes({"7": 1, "4": 2}, frozenset({"4"}), silent=1, unknown=1),
        Votes({"4": 3, "7": 1}, frozenset({"9"})),
    ]
    pools = [
        [a for j, v in enumerate(votes) if j != i for a, n in v.answers.items() for _ in range(n)]
        + [None] * sum(v.silent for j, v in enumerate(votes) if j != i)
        for i in range(3)
    ]
    for k in (1, 2, 3):
        hits = [
            np.mean([bool(set(c) & v.correct) for c in itertools.combinations(pool, k)])
            for pool, v in zip(pools, votes, strict=True)
        ]
        assert other_problem_guess(votes, [k])[0] == pytest.approx(np.mean(hits))


def test_a_problems_own_answers_do_not_count() -> None:
    """The naive pooled histogram would credit every problem with its own correct rollouts."""
    votes = [Votes({"7": 8}, frozenset({"7"})), Votes({"4": 8}, frozenset({"4"}))]
    assert other_problem_guess(votes, [1, 8]).tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match="two"):
        other_problem_guess(votes[:1], [1])
