"""pass@k, pass^k and at-least-j-of-k against the definition: the mean over all k-subsets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.estimators import at_least_j_of_k, pass_at_k, pass_hat_k

COUNTS = st.lists(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), min_size=1, max_size=12
)


def subsets(correct: int, total: int, k: int) -> np.ndarray:
    """Number of correct rollouts in every k-subset."""
    return np.array([sum(chosen) for chosen in itertools.combinations([1] * correct + [0] * (total - correct), k)])


@pytest.mark.parametrize(("correct", "total"), [(0, 5), (1, 6), (3, 7), (7, 7), (1, 1)])
def test_every_k_is_the_mean_over_subsets(correct: int, total: int) -> None:
    for k in range(1, total + 1):
        hits = subsets(correct, total, k)
        assert pass_at_k([correct], [total], k) == pytest.approx((hits > 0).mean(), abs=1e-12)
        assert pass_hat_k([correct], [total], k) == pytest.approx((hits == k).mean(), abs=1e-12)
        for j in range(1, k + 1):
            assert at_least_j_of_k([correct], [total], j, k) == pytest.approx((hits >= j).mean(), abs=1e-12)


@given(COUNTS)
def test_unequal_rollouts_agree_with_a_loop(counts: list[tuple[int, int]]) -> None:
    correct, total = (np.array(column) for column in zip(*counts, strict=True))
    smallest = int(total.min())
    loop = [np.mean([1 - math.comb(n - c, k) / math.comb(n, k) for c, n in counts]) for k in range(1, smallest + 1)]
    np.testing.assert_allclose(pass_at_k(correct, total, None), loop, atol=1e-12)


@given(COUNTS)
def test_pass_at_k_rises_and_pass_hat_k_falls_from_the_same_pass_at_1(counts: list[tuple[int, int]]) -> None:
    correct, total = (np.array(column) for column in zip(*counts, strict=True))
    rising, falling = pass_at_k(correct, total, None), pass_hat_k(correct, total, None)
    assert (np.diff(rising) >= -1e-12).all()
    assert (np.diff(falling) <= 1e-12).all()
    assert rising[0] == pytest.approx(falling[0])


def test_large_n_stays_exact() -> None:
    """Factorials of 10,000 overflow; the running product does not. 1 of N correct: pass@k = k / N."""
    np.testing.assert_allclose(pass_at_k([1], [10_000], [1, 5_000, 10_000]), [1e-4, 0.5, 1.0], rtol=1e-12)
    assert pass_at_k([0], [10_000], 10_000) == 0.0
    assert pass_at_k([10_000], [10_000], 1) == 1.0


def test_one_k_is_a_float_and_several_keep_their_order() -> None:
    assert isinstance(pass_at_k([1, 2], [4, 4], 2), float)
    several = pass_at_k([1, 2], [4, 4], [3, 1])
    np.testing.assert_allclose(several, [(3 / 4 + 1) / 2, (1 / 4 + 2 / 4) / 2])
    assert isinstance(pass_hat_k([1, 2], [4, 4], np.int64(2)), float)


def test_naive_plug_in_differs() -> None:
    """1 - (1 - c/N)^k, the first thing one writes, says 3/4 where 5 of the 6 pairs hold a correct rollout."""
    exact = (subsets(2, 4, 2) > 0).mean()
    assert pass_at_k([2], [4], 2) == pytest.approx(exact) == pytest.approx(5 / 6)
    assert pass_at_k([2], [4], 2) != pytest.approx(1 - (1 - 2 / 4) ** 2)


@pytest.mark.parametrize(
    ("correct", "total", "k", "message"),
    [
        ([3], [2], 1, "problem 0 has 3 correct of 2"),
        ([1, -1], [2, 2], 1, "problem 1 has -1"),
        ([0], [0], 1, "at least one rollout"),
        ([], [], 1, "no problem"),
        ([1], [2, 2], 1, "must match"),
        ([1, 1], [8, 4], 5, "1..4"),
        ([1], [8], 0, "k = 0"),
        ([1], [8], [], "no k"),
        ([0.5], [2], 1, "integers"),
        ([True], [2], 1, "integers"),
        ([[1]], [[2]], 1, "one-dimensional"),
    ],
)
def test_impossible_requests_say_what_is_wrong(correct: list, total: list, k: object, message: str) -> None:
    correct_P = np.array(correct, dtype=None if correct else int)
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        pass_at_k(correct_P, np.array(total, dtype=None if total else int), k)  # type: ignore[call-overload]  # wrong on purpose


def test_at_least_j_needs_j_up_to_k() -> None:
    with pytest.raises(UsageError, match=r"1\.\.k = 2"):
        at_least_j_of_k([1], [4], 3, 2)
    with pytest.raises(UsageError, match="k must lie"):
        at_least_j_of_k([1], [4], 1, 5)
