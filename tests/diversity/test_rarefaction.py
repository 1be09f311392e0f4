"""Rarefied values are means over all m-subsets, and do not depend on how many rollouts there were."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.rarefaction import expected_distinct, expected_entropy, seen_probability, subset_mean
from s2l_lab.errors import UsageError

some_counts = st.lists(st.integers(0, 4), min_size=1, max_size=5).filter(lambda c: 1 <= sum(c) <= 9)


def plug_in_entropy(labels: tuple[int, ...]) -> float:
    return -sum(c / len(labels) * math.log(c / len(labels)) for c in Counter(labels).values())


def over_subsets(counts: list[int], m: int, statistic: object) -> float:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return float(np.mean([statistic(subset) for subset in combinations(labels, m)]))  # type: ignore[operator]


@given(some_counts, st.data())
def test_both_are_the_mean_over_all_subsets(counts: list[int], data: st.DataObject) -> None:
    m = data.draw(st.integers(1, sum(counts)))
    assert expected_distinct(counts, m) == pytest.approx(over_subsets(counts, m, lambda s: len(set(s))), abs=1e-12)
    assert expected_entropy(counts, m) == pytest.approx(over_subsets(counts, m, plug_in_entropy), abs=1e-12)
    assert expected_distinct([*sorted(counts), 0], m) == pytest.approx(expected_distinct(counts, m), abs=1e-12)
    assert 1 - 1e-12 <= expected_distinct(counts, m) <= min(m, np.count_nonzero(counts)) + 1e-12
    assert 0 <= expected_entropy(counts, m) <= math.log(min(m, np.count_nonzero(counts))) + 1e-12


def test_by_hand() -> None:
    # a a a b, two of them: of 6 pairs 3 hold b, so (3 * 1 + 3 * 2) / 6 labels and half of ln 2.
    assert expected_distinct([3, 1], 2) == pytest.approx(1.5)
    assert expected_entropy([3, 1], 2) == pytest.approx(math.log(2) / 2)
    # all four: two labels, and -(3/4 ln 3/4 + 1/4 ln 1/4) = .5623
    assert expected_distinct([3, 1], 4) == 2
    assert expected_entropy([3, 1], 4) == pytest.approx(0.5623351446)


def test_large_counts_neither_overflow_nor_cancel() -> None:
    total, n, m = 100_000, 60_000, 50
    both = sum(1 - math.comb(total - k, m) / math.comb(total, m) for k in (n, total - n))
    assert expected_distinct([n, total - n], m) == pytest.approx(both, rel=1e-12)
    assert seen_probability(total, 1)[1] == pytest.approx(1 / total, rel=1e-10)
    assert expected_entropy([n, total - n], 2) == pytest.approx(2 * 0.6 * 0.4 * math.log(2), rel=1e-4)


@pytest.mark.parametrize("statistic", [expected_distinct, expected_entropy])
def test_draws_at_32_and_256_agree_once_rarefied_and_not_before(statistic: object) -> None:
    rng, share_L = np.random.default_rng(0), np.random.default_rng(1).dirichlet(np.full(40, 0.5))
    runs = {n: rng.multinomial(n, share_L, size=300) for n in (32, 256)}
    rarefied = {n: np.array([statistic(row, 16) for row in rows]) for n, rows in runs.items()}  # type: ignore[operator]
    plain = {n: np.array([statistic(row, n) for row in rows]) for n, rows in runs.items()}  # type: ignore[operator]

    def z(values: dict[int, np.ndarray]) -> float:
        a, b = values[32], values[256]
        return float((a.mean() - b.mean()) / math.sqrt(a.var() / a.size + b.var() / b.size))

    assert abs(z(rarefied)) < 4
    assert abs(z(plain)) > 20
    if statistic is expected_distinct:  # what 16 fresh rollouts show: sum 1 - (1 - p)^16
        fresh, seen = float((1 - (1 - share_L) ** 16).sum()), rarefied[32]
        assert abs(seen.mean() - fresh) < 4 * seen.std() / math.sqrt(seen.size)


@pytest.mark.parametrize("statistic", [expected_distinct, expected_entropy])
def test_bad_requests_are_refused(statistic: object) -> None:
    for m in (0, 5, -1):
        with pytest.raises(UsageError, match=f"m = {m} of 4 rollouts"):
            statistic([3, 1], m)  # type: ignore[operator]  # a function
    for counts in ([2, -1], [1.5, 2.5]):
        with pytest.raises(UsageError, match="whole numbers"):
            statistic(counts, 1)  # type: ignore[operator]  # a function
    with pytest.raises(UsageError, match="of 0 rollouts"):
        statistic([], 1)  # type: ignore[operator]  # a function


def spread(values: np.ndarray) -> object:
    return lambda index: float(np.ptp(values[index]))


def test_subset_mean_takes_all_subsets_where_they_are_few() -> None:
    values = np.array([1.0, 5.0, 2.0, 9.0, 4.0])
    exact = float(np.mean([max(s) - min(s) for s in combinations(values, 3)]))
    assert subset_mean(spread(values), 5, 3, rng=None, subsets=10) == pytest.approx(exact)  # type: ignore[arg-type]
    assert subset_mean(spread(values), 5, 5, rng=None, subsets=1) == 8.0  # type: ignore[arg-type]


def test_subset_mean_draws_different_subsets_each_as_likely() -> None:
    seen: list[tuple[int, ...]] = []

    def look(index: np.ndarray) -> float:
        seen.append(tuple(index.tolist()))
        return float(index.sum())

    first = subset_mean(look, 6, 3, rng=np.random.default_rng(0), subsets=19)
    assert len(set(seen)) == len(seen) == 19  # of 20: drawn without repeats
    assert all(list(s) == sorted(set(s)) and len(s) == 3 and max(s) < 6 for s in seen)
    assert subset_mean(look, 6, 3, rng=np.random.default_rng(0), subsets=19) == first
    others = {subset_mean(look, 6, 3, rng=np.random.default_rng(seed), subsets=4) for seed in range(5)}
    assert len(others) > 1
    rng, seen[:] = np.random.default_rng(3), []
    for _ in range(500):
        subset_mean(look, 6, 3, rng=rng, subsets=2)
    often = Counter(i for s in seen for i in s)
    assert all(abs(often[i] - 500) < 4 * math.sqrt(250) for i in range(6))  # 1,000 subsets hold each with p = 1/2


def test_subset_mean_leaves_nan_out() -> None:
    def first(index: np.ndarray) -> float:
        return float("nan") if index[0] == 0 else float(index[0])

    # pairs of 3: {0,1} and {0,2} are NaN, {1,2} gives 1
    assert subset_mean(first, 3, 2, rng=None) == 1.0
    assert math.isnan(subset_mean(lambda _: float("nan"), 3, 2, rng=None))


def test_subset_mean_refuses() -> None:
    with pytest.raises(UsageError, match="give rng"):
        subset_mean(len, 20, 10, rng=None)  # type: ignore[arg-type]  # any statistic
    with pytest.raises(UsageError, match="subsets = 0"):
        subset_mean(len, 4, 2, rng=None, subsets=0)  # type: ignore[arg-type]  # any statistic
    with pytest.raises(UsageError, match="m = 5 of 4"):
        subset_mean(len, 4, 5, rng=None)  # type: ignore[arg-type]  # any statistic
