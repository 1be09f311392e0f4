"""Leaving rollouts without a verdict out: unbiased where verdicts are missing at random, matched over policies."""

from __future__ import annotations

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import Counts, compare_counts, leave_unknown_out, pass_at_k, pass_at_k_curve


def counts(correct: list[int], total: list[int], unknown: list[int]) -> Counts:
    ids = tuple(f"p{i}" for i in range(len(correct)))
    return Counts(ids, *(np.array(values) for values in (correct, total, unknown)))


def test_a_problem_counts_its_verdicts_and_without_any_it_leaves_every_policy() -> None:
    a, b = counts([3, 0, 1], [8, 8, 8], [1, 8, 0]), counts([2, 5, 4], [8, 8, 8], [0, 0, 2])
    seen = leave_unknown_out({"a": a, "b": b})
    assert seen.left_out == ("p1",)
    assert list(seen.counts) == ["a", "b"]
    for one, correct, total in ((seen.counts["a"], [3, 1], [7, 8]), (seen.counts["b"], [2, 4], [8, 6])):
        assert one.problem_ids == ("p0", "p2")
        assert (one.correct_P.tolist(), one.total_P.tolist(), one.unknown_P.tolist()) == (correct, total, [0, 0])
    assert seen.fewest == 6
    assert compare_counts(seen.counts["a"], seen.counts["b"], rng=np.random.default_rng(0)).n_problems == 2


def test_counts_without_unknown_rollouts_are_what_they_were() -> None:
    one = counts([3, 0], [8, 4], [0, 0])
    seen = leave_unknown_out({"a": one}).counts["a"]
    assert (seen.correct_P.tolist(), seen.total_P.tolist()) == ([3, 0], [8, 4])


def test_without_a_verdict_anywhere_there_is_no_estimate() -> None:
    with pytest.raises(UsageError, match="no problem has a verdict of every policy"):
        leave_unknown_out({"a": counts([0, 1], [4, 4], [4, 0]), "b": counts([1, 0], [4, 4], [0, 4])})


def test_it_is_unbiased_if_verdicts_are_missing_at_random_and_not_if_right_answers_lose_theirs() -> None:
    """A fifth of the verdicts missing; the bounds hold the truth in both cases."""
    rng, rate, n = np.random.default_rng(1), 0.3, 4_000
    right = rng.random((n, 16)) < rate
    for lost, unbiased in ((rng.random((n, 16)) < 0.2, True), (right & (rng.random((n, 16)) < 0.6), False)):
        one = counts((right & ~lost).sum(1).tolist(), [16] * n, lost.sum(1).tolist())
        known = leave_unknown_out({"a": one}).counts["a"]
        truth = 1 - (1 - rate) ** 2
        assert (abs(pass_at_k(known.correct_P, known.total_P, 2) - truth) < 0.02) == unbiased
        seen = pass_at_k_curve(one.correct_P, one.total_P, [2], interval="rollouts", unknown_P=one.unknown_P)
        assert seen.lower[0] < truth < seen.upper[0]
