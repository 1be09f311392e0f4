"""What may be given to estimators: nothing that is silently read as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import (
    Counts,
    Votes,
    at_least_j_of_k,
    at_least_j_of_k_curve,
    compare_counts,
    cover_curve,
    maj_at_k,
    pass_at_k,
    pass_at_k_curve,
    pass_hat_k,
    pass_hat_k_curve,
    seeds_curve,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CORRECT, TOTAL = np.array([3, 0, 60]), np.full(3, 64)


def test_a_masked_count_is_no_count() -> None:
    masked = np.ma.array(CORRECT, mask=[True, False, False])
    for call in (pass_at_k, pass_hat_k):
        with pytest.raises(UsageError, match="masked"):
            call(masked, TOTAL, 1)
    with pytest.raises(UsageError, match="masked"):
        pass_at_k_curve(CORRECT, TOTAL, unknown_P=np.ma.array([0, 0, 0], mask=[1, 0, 0]))


def test_series_with_other_indices_belong_to_other_problems() -> None:
    correct, total = pd.Series(CORRECT, index=list("abc")), pd.Series(TOTAL, index=list("abc"))
    assert pass_at_k(correct, total, 1) == pass_at_k(CORRECT, TOTAL, 1)
    for mixed in (total.iloc[::-1], total.rename({"c": "d"})):
        with pytest.raises(UsageError, match="different indices"):
            pass_at_k(correct, mixed, 1)
        with pytest.raises(UsageError, match="different indices"):
            pass_at_k_curve(correct, total, unknown_P=mixed * 0)
        with pytest.raises(UsageError, match="different indices"):
            pass_at_k_curve(correct, total, cluster=mixed)
    counts = Counts(tuple("abc"), correct, total, total.iloc[::-1] * 0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="different indices"):
        compare_counts(counts, counts)


def test_a_k_of_no_dimension_is_one_k() -> None:
    for k in (8, np.int64(8), np.array(8)):
        assert isinstance(pass_at_k(CORRECT, TOTAL, k), float)  # type: ignore[arg-type]
        assert isinstance(pass_hat_k(CORRECT, TOTAL, k), float)  # type: ignore[arg-type]
        assert at_least_j_of_k(CORRECT, TOTAL, np.array(1), k) == pytest.approx(pass_at_k(CORRECT, TOTAL, 8))
    assert pass_at_k(CORRECT, TOTAL, [8]).shape == (1,)


@pytest.mark.parametrize(("j", "k"), [(1.5, 4), (0, 4), (5, 4), ([1], 4), (1, 2.0), (True, 4), ("1", 4)])
def test_j_and_k_are_whole_numbers_in_reach(j: object, k: object) -> None:
    with pytest.raises(UsageError):
        at_least_j_of_k(CORRECT, TOTAL, j, k)  # type: ignore[arg-type]


def test_a_seed_a_generator_and_nothing_are_all_sources_of_draws() -> None:
    correct, total = np.random.default_rng(0).binomial(64, 0.3, 40), np.full(40, 64)
    ends = [pass_at_k_curve(correct, total, rng=rng).lower.tobytes() for rng in (None, 0, np.random.default_rng(0))]
    assert len(set(ends)) == 1
    assert pass_at_k_curve(correct, total, rng=1).lower.tobytes() != ends[0]
    a, b = (Counts(tuple(map(str, range(40))), one, total, total * 0) for one in (correct, correct[::-1].copy()))
    bands = [compare_counts(a, b, rng=rng).band_lower.tobytes() for rng in (None, 0, 1)]
    assert bands[0] == bands[1] != bands[2]
    with pytest.raises(UsageError, match="default_rng"):
        pass_at_k_curve(CORRECT, TOTAL, rng=np.random.RandomState(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1.0, True, "3", 0, -1])
def test_votes_are_whole_numbers_of_rollouts(count: object) -> None:
    with pytest.raises(DataError, match="numbers of rollouts"):
        Votes({"7": count}, frozenset({"7"}))  # type: ignore[dict-item]


def test_every_interval_has_one_rule_for_draws() -> None:
    """No source is seed 0, and one seed is one result."""
    rng = np.random.default_rng(0)
    correct, total = rng.binomial(64, 0.3, 20), np.full(20, 64)
    votes = [Votes({"7": int(c) + 1, "8": 3}, frozenset({"7"})) for c in correct]
    runs = correct.reshape(2, 10), total.reshape(2, 10)

    def ends(source: Callable[[], object]) -> list[bytes]:
        found = (
            cover_curve(correct, total, [0.25, 0.5], rng=source()).smoothed_lower,  # type: ignore[arg-type]
            maj_at_k(votes, [1, 2], rng=source()).lower,  # type: ignore[arg-type]
            pass_hat_k_curve(correct, total, [1, 2], rng=source()).lower,  # type: ignore[arg-type]
            at_least_j_of_k_curve(correct, total, 2, [2, 4], rng=source()).lower,  # type: ignore[arg-type]
            seeds_curve(*runs, [1, 2], rng=source()).lower,  # type: ignore[arg-type]
        )
        return [one.tobytes() for one in found]

    assert ends(lambda: None) == ends(lambda: 0) == ends(lambda: np.random.default_rng(0))
