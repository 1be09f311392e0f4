"""Self-BLEU equals nltk's, pair by pair and against all others; distinct-n is the mean over subsets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from s2l_lab.diversity.distinct import distinct_n
from s2l_lab.diversity.ngrams import pair_bleu, rest_bleu, self_bleu
from s2l_lab.errors import UsageError

Tokens = list[list[int]]
SMOOTH = SmoothingFunction().method1
some_tokens = st.lists(st.lists(st.integers(0, 3), max_size=9), min_size=2, max_size=6)


def nltk_bleu(references: Sequence[Sequence[int]], hypothesis: Sequence[int], max_n: int) -> float:
    weights = (1 / max_n,) * max_n
    return float(sentence_bleu(references, hypothesis, weights=weights, smoothing_function=SMOOTH))


def nltk_all(tokens: Tokens, max_n: int = 4) -> list[float]:
    return [nltk_bleu(tokens[:i] + tokens[i + 1 :], hypothesis, max_n) for i, hypothesis in enumerate(tokens)]


@settings(max_examples=3 * settings.default.max_examples)
@given(some_tokens, st.integers(1, 5))
def test_equals_nltk_on_short_empty_and_repeated_completions(tokens: Tokens, max_n: int) -> None:
    pairs = [[nltk_bleu([reference], hypothesis, max_n) for reference in tokens] for hypothesis in tokens]
    np.testing.assert_allclose(pair_bleu(tokens, max_n), pairs, rtol=0, atol=1e-9)
    np.testing.assert_allclose(rest_bleu(tokens, max_n), nltk_all(tokens, max_n), rtol=0, atol=1e-9)


def test_equals_nltk_on_long_completions_of_strings() -> None:
    rng = np.random.default_rng(0)
    tokens = [[f"w{t}" for t in rng.zipf(1.4, rng.integers(80, 120)) % 500] for _ in range(10)]
    tokens[3] = tokens[7][:90]
    ordered = [nltk_bleu([r], h, 4) for i, h in enumerate(tokens) for j, r in enumerate(tokens) if i != j]  # type: ignore[list-item]
    assert self_bleu(tokens) == pytest.approx(np.mean(ordered), abs=1e-9)
    assert self_bleu(tokens, references="all") == pytest.approx(np.mean(nltk_all(tokens)), abs=1e-9)  # type: ignore[arg-type]


def test_by_hand() -> None:
    # a b c d against a b c e: 3/4, 2/3, 1/2, and 0.1/1 for no common 4-gram; lengths are equal
    assert self_bleu(["abcd", "abce"]) == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25)
    # a a against a: unigrams 1/2 (clipped); a against a a: 1/1, times exp(1 - 2/1)
    assert self_bleu(["aa", "a"], max_n=1) == pytest.approx((0.5 + math.exp(-1)) / 2)
    # against all others: a a is covered by a a, the two a a by each other, a by either with the nearest length 2
    assert self_bleu(["aa", "aa", "a"], references="all", max_n=1) == pytest.approx((1 + 1 + math.exp(-1)) / 3)


@given(some_tokens, st.randoms())
def test_order_and_names_of_tokens_do_not_matter(tokens: Tokens, random: object) -> None:
    shuffled = list(tokens)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' Random
    renamed = [[f"<{2**40 - t}>" for t in completion] for completion in tokens]
    for references in ("pairwise", "all"):
        value = self_bleu(tokens, references=references)  # type: ignore[arg-type]  # both literals
        for other in (shuffled, renamed):
            seen = self_bleu(other, references=references)  # type: ignore[arg-type]  # both literals
            assert seen == pytest.approx(value, abs=1e-12, nan_ok=True)
        assert math.isnan(value) or 0 <= value <= 1 + 1e-12


def test_nothing_shared_is_zero_not_below() -> None:
    """A total less its diagonal once left -1e-17."""
    assert self_bleu([[0], [1, 1], [2], [3]]) == 0


def test_honest_repeats_stay() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, (6, 30)).tolist()
    assert self_bleu(tokens + tokens, references="all") == pytest.approx(1)  # each finds itself again
    once, twice = self_bleu(tokens), self_bleu(tokens + tokens)
    assert twice == pytest.approx((10 * once + 1) / 11)  # of 11 partners one is its double
    assert self_bleu([tokens[0]] * 5) == pytest.approx(1)


def test_rarefied_multi_reference_is_the_mean_over_subsets_and_pairs_need_none() -> None:
    tokens = np.random.default_rng(1).integers(0, 4, (6, 12)).tolist()
    exact = np.mean([np.mean(nltk_all([tokens[i] for i in subset])) for subset in combinations(range(6), 3)])
    assert self_bleu(tokens, references="all", m=3, subsets=20) == pytest.approx(exact, abs=1e-9)
    assert self_bleu(tokens, references="all", m=6) == pytest.approx(np.mean(nltk_all(tokens)), abs=1e-9)
    pairs = np.mean([self_bleu([tokens[i] for i in subset]) for subset in combinations(range(6), 3)])
    assert self_bleu(tokens, m=3) == self_bleu(tokens) == pytest.approx(pairs, abs=1e-12)
    drawn = {
        self_bleu(tokens, references="all", m=3, subsets=subsets, rng=np.random.default_rng(seed))
        for subsets, seed in ((2, 0), (2, 0), (2, 1), (9, 0))
    }
    assert len(drawn) == 3


def zipf(rng: np.random.Generator, n: int) -> Tokens:
    return (rng.zipf(1.5, (n, 12)) % 40).tolist()


@pytest.mark.parametrize("metric", ["all", "distinct"])
def test_draws_at_32_and_256_agree_once_rarefied_and_not_before(metric: str) -> None:
    rng = np.random.default_rng(2)

    def value(tokens: Tokens, m: int | None) -> float:
        return distinct_n(tokens, 2, m) if metric == "distinct" else self_bleu(tokens, references="all", m=m, rng=rng)

    def z(m: int | None) -> float:
        few, many = (np.array([value(zipf(rng, n), m) for _ in range(40)]) for n in (32, 256))
        return float((few.mean() - many.mean()) / math.sqrt(few.var() / 40 + many.var() / 40))

    assert abs(z(16)) < 4
    assert abs(z(None)) > 20


@given(some_tokens, st.integers(1, 3), st.data())
def test_distinct_n_is_expected_distinct_over_expected_total(tokens: Tokens, n: int, data: st.DataObject) -> None:
    m = data.draw(st.integers(1, len(tokens)))
    grams = [[tuple(t[i : i + n]) for i in range(len(t) - n + 1)] for t in tokens]
    subsets = [[g for i in subset for g in grams[i]] for subset in combinations(range(len(tokens)), m)]
    total = np.mean([len(s) for s in subsets])
    seen = distinct_n(tokens, n, m)
    if total == 0:
        assert math.isnan(seen)
    else:
        assert seen == pytest.approx(np.mean([len(set(s)) for s in subsets]) / total, abs=1e-12)
        assert 0 < seen <= 1 + 1e-12


def test_distinct_n_by_hand() -> None:
    # a b a, a b: unigrams {a, b} of 5; bigrams {ab, ba} of 3; no trigram but aba
    assert [distinct_n(["aba", "ab"], n) for n in (1, 2, 3)] == pytest.approx([2 / 5, 2 / 3, 1])
    # one of the two: ab is in both, ba in one: (1 + 1/2) / (3/2)
    assert distinct_n(["aba", "ab"], 2, m=1) == pytest.approx(1)


def test_undefined_is_nan() -> None:
    for references in ("pairwise", "all"):
        for tokens in ([], [[1, 2]], [[], []]):
            assert math.isnan(self_bleu(tokens, references=references))  # type: ignore[arg-type]  # both literals
    assert self_bleu([[], [1, 2, 3]]) == 0  # as in nltk
    assert math.isnan(distinct_n([], 1))
    assert math.isnan(distinct_n([[], [1]], 2))


def test_bad_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="Known: all, pairwise"):
        self_bleu([[1], [2]], references="pair")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="order 0"):
        self_bleu([[1], [2]], max_n=0)
    with pytest.raises(UsageError, match="order 0"):
        distinct_n([[1], [2]], 0)
    for references in ("pairwise", "all"):
        with pytest.raises(UsageError, match="m = 1 rollouts"):
            self_bleu([[1], [2]], references=references, m=1)  # type: ignore[arg-type]  # both literals
        with pytest.raises(UsageError, match="m = 3 of 2 rollouts"):
            self_bleu([[1], [2]], references=references, m=3)  # type: ignore[arg-type]  # both literals
    with pytest.raises(UsageError, match="m = 3 of 2 rollouts"):
        distinct_n([[1], [2]], 1, 3)
    with pytest.raises(UsageError, match="give rng"):
        self_bleu([[1, 2]] * 20, references="all", m=10)
