"""Vendi's published definition, its limits and laws; dispersion by the loop."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.diversity.vendi import dispersion, vendi_from_kernel, vendi_score
from s2l_lab.errors import UsageError

ORDERS = [0.0, 0.1, 0.5, 1.0, 1.0005, 2.0, 10.0, 500.0, math.inf]


def published(embedding: np.ndarray, q: float) -> float:
    """exp of Renyi's entropy of the eigenvalues of K / N, as the paper writes it."""
    unit = embedding / np.sqrt((embedding**2).sum(1, keepdims=True))
    w = scipy.linalg.eigvalsh(unit @ unit.T / len(unit))
    w = w[w > 1e-12]
    if q == 1:
        return float(np.exp(-(w * np.log(w)).sum()))
    return float(1 / w.max()) if q == math.inf else float((w**q).sum() ** (1 / (1 - q)))


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize("shape", [(12, 5), (5, 12), (8, 8)])
def test_equals_the_published_definition(q: float, shape: tuple[int, int]) -> None:
    embedding = np.random.default_rng(0).normal(0.5, 1, shape)
    expected = published(embedding, q)
    assert vendi_score(embedding, q=q) == pytest.approx(expected, rel=1e-8)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    assert vendi_from_kernel(unit @ unit.T, q) == pytest.approx(expected, rel=1e-8)
    if q == 0:
        assert vendi_score(embedding, q=q) == min(shape)


def test_two_rollouts_by_hand() -> None:
    cosine = 0.6  # eigenvalues (1 + .6) / 2 = .8 and .2
    pair = [[1.0, 0.0], [cosine, math.sqrt(1 - cosine**2)]]
    assert vendi_score(pair) == pytest.approx(math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.2)))
    assert vendi_score(pair, q=2) == pytest.approx(1 / (0.64 + 0.04))
    assert vendi_score(pair, q=math.inf) == pytest.approx(1 / 0.8)
    assert vendi_score(pair, q=0) == 2
    assert vendi_from_kernel([[1, cosine], [cosine, 1]], 2) == pytest.approx(1 / 0.68)
    assert dispersion(pair) == pytest.approx(0.4)


@pytest.mark.parametrize("q", ORDERS)
def test_from_one_for_equal_rollouts_to_n_for_orthogonal_ones(q: float) -> None:
    assert vendi_score(np.eye(7), q=q) == pytest.approx(7)
    assert vendi_score(np.eye(7)[[0, 1, 2]], q=q) == pytest.approx(3)  # D > N
    assert vendi_score(np.tile([[0.3, -2.0, 1.0]], (9, 1)), q=q) == pytest.approx(1)
    assert vendi_from_kernel(np.ones((4, 4)), q) == pytest.approx(1)


embeddings = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(0.3, 1, (7, 4)))


@given(embeddings, st.randoms())
def test_order_length_and_doubling_do_not_matter(embedding: np.ndarray, random: object) -> None:
    rows = list(range(7))
    random.shuffle(rows)  # type: ignore[attr-defined]  # hypothesis' Random
    scaled = embedding[rows] * np.arange(1, 8)[:, None]
    for q in (0.5, 1.0, 2.0):
        value = vendi_score(embedding, q=q)
        assert vendi_score(scaled, q=q) == pytest.approx(value, rel=1e-9)
        assert vendi_score(np.vstack([embedding, embedding]), q=q) == pytest.approx(value, rel=1e-6)
        assert 1 - 1e-9 <= value <= 4 + 1e-9
    by_order = [vendi_score(embedding, q=q) for q in ORDERS]
    assert all(a >= b - 1e-9 for a, b in pairwise(by_order))
    pairs = [1 - np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) for a, b in combinations(embedding, 2)]
    assert dispersion(scaled) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_orders_next_to_one_meet_it() -> None:
    embedding = np.random.default_rng(1).normal(size=(9, 6))
    for step in (1e-3, 1e-6, 1e-9, 1e-13):
        around = [vendi_score(embedding, q=1 + sign * step) for sign in (-1, 1)]
        assert np.mean(around) == pytest.approx(vendi_score(embedding), rel=1e-6)


def test_rounding_is_no_diversity() -> None:
    embedding = np.tile(np.random.default_rng(2).normal(size=(1, 300)), (200, 1))
    assert vendi_score(embedding, q=0.0) == 1
    assert vendi_score(embedding, q=0.05) == pytest.approx(1, abs=1e-9)  # 1e-17^.05 = .14 each, 199 times
    assert dispersion(embedding) == pytest.approx(0, abs=1e-12)
    assert dispersion(embedding) >= 0


def test_rarefied_is_the_mean_over_subsets() -> None:
    embedding = np.random.default_rng(3).normal(size=(6, 4))
    exact = np.mean([published(embedding[list(subset)], 2) for subset in combinations(range(6), 3)])
    assert vendi_score(embedding, q=2, m=3, subsets=20) == pytest.approx(exact)
    assert vendi_score(embedding, m=1) == 1
    drawn = {
        vendi_score(embedding, m=3, rng=np.random.default_rng(seed), subsets=subsets)
        for subsets, seed in ((2, 0), (2, 0), (2, 1), (9, 0))
    }
    assert len(drawn) == 3


def test_draws_at_32_and_256_agree_once_rarefied_and_not_before() -> None:
    rng, centres = np.random.default_rng(4), np.random.default_rng(5).normal(size=(6, 24))

    def draw(n: int) -> np.ndarray:
        return centres[rng.geometric(0.4, n) % 6] + 0.3 * rng.normal(size=(n, 24))

    def z(metric: object) -> float:
        few, many = (np.array([metric(draw(n)) for _ in range(60)]) for n in (32, 256))  # type: ignore[operator]
        return float((few.mean() - many.mean()) / math.sqrt(few.var() / 60 + many.var() / 60))

    assert abs(z(lambda x: vendi_score(x, m=16, rng=rng))) < 4
    assert abs(z(vendi_score)) > 8
    assert abs(z(dispersion)) < 4  # unbiased: needs none


def test_undefined_is_nan() -> None:
    assert math.isnan(vendi_score(np.ones((1, 3))))
    assert math.isnan(vendi_score(np.ones((0, 3))))
    assert math.isnan(vendi_from_kernel(np.ones((1, 1))))
    assert math.isnan(dispersion(np.ones((1, 3))))


def test_bad_requests_are_refused() -> None:
    for metric in (vendi_score, dispersion):
        for row in ([0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0]):
            with pytest.raises(UsageError, match=r"1 of 2 embeddings \(the first is row 1\)"):
                metric([[1.0, 0.0], row])
        with pytest.raises(UsageError, match="shape"):
            metric([1.0, 2.0])
    for q in (-1.0, math.nan):
        with pytest.raises(UsageError, match="order q"):
            vendi_score(np.eye(2), q=q)
        with pytest.raises(UsageError, match="order q"):
            vendi_from_kernel(np.eye(2), q)
    with pytest.raises(UsageError, match="m = 3 of 2"):
        vendi_score(np.eye(2), m=3)
    with pytest.raises(UsageError, match="give rng"):
        vendi_score(np.eye(20), m=10)
    with pytest.raises(UsageError, match="one row and one column"):
        vendi_from_kernel(np.ones((2, 3)))
    for kernel in ([[1, 0.5], [0.2, 1]], [[2, 0], [0, 2]]):
        with pytest.raises(UsageError, match="symmetric with ones"):
            vendi_from_kernel(kernel)
    with pytest.raises(UsageError, match="negative eigenvalue"):
        vendi_from_kernel([[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]])
