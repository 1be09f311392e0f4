"""The compression ratio is a function of the set of completions and of m, not of N or of their order."""

from __future__ import annotations

import math
import zlib
from itertools import combinations

import numpy as np
import pytest

from s2l_lab.diversity.compression import compression_ratio
from s2l_lab.errors import UsageError


def words(rng: np.random.Generator, n: int) -> list[str]:
    return [" ".join(f"w{t}" for t in rng.zipf(1.6, 40) % 200) for _ in range(n)]


def bare(texts: list[str]) -> float:
    raw = "\n".join(sorted(texts)).encode()
    return len(raw) / len(zlib.compress(raw, 9))


def test_by_hand() -> None:
    # 1,000 equal letters: zlib needs 2 bytes of header, 4 of checksum, and a few for one long match
    ratio = compression_ratio(["a" * 499, "a" * 500])
    assert ratio == 1_000 / len(zlib.compress(b"a" * 499 + b"\n" + b"a" * 500, 9))
    assert ratio > 50
    assert compression_ratio(["ab"]) == 2 / len(zlib.compress(b"ab", 9)) < 1  # the header weighs more than it saves


def test_rarefied_is_the_mean_over_subsets() -> None:
    texts = words(np.random.default_rng(0), 6)
    exact = float(np.mean([bare(list(subset)) for subset in combinations(texts, 3)]))
    assert compression_ratio(texts, 3, subsets=20) == pytest.approx(exact)
    drawn = {
        compression_ratio(texts, 3, rng=np.random.default_rng(seed), subsets=subsets)
        for subsets, seed in ((2, 0), (2, 0), (2, 1), (9, 0))
    }
    assert len(drawn) == 3


def test_order_does_not_matter_even_beyond_what_the_compressor_remembers() -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.bytes(30_000).hex() for _ in range(2))  # twice 60 kB; zlib looks back 32 KiB
    texts = [a[:20_000], b[:20_000]] * 3
    assert compression_ratio(texts) == compression_ratio(sorted(texts)) == compression_ratio(texts[::-1])
    assert compression_ratio(texts) > 4  # a a a b b b; as a b a b a b nothing would be found again
    few = words(rng, 8)
    seen = [compression_ratio(t, 4, rng=np.random.default_rng(0)) for t in (few, few[::-1])]
    assert seen[0] == seen[1]


def test_repetition_raises_it_and_more_rollouts_do_not() -> None:
    rng = np.random.default_rng(2)
    texts = words(rng, 8)
    assert compression_ratio(texts + texts) > 1.5 * compression_ratio(texts)  # honest repeats stay

    def z(m: int | None) -> float:
        few, many = (np.array([compression_ratio(words(rng, n), m, rng=rng) for _ in range(30)]) for n in (32, 256))
        return float((few.mean() - many.mean()) / math.sqrt(few.var() / 30 + many.var() / 30))

    assert abs(z(16)) < 4
    assert abs(z(None)) > 20


def test_undefined_is_nan_and_odd_text_is_text() -> None:
    for texts in ([], [""], ["", ""]):
        assert math.isnan(compression_ratio(texts))
    # subsets of one of two: "" is left out
    assert compression_ratio(["", "abcabcabc"], 1) == bare(["abcabcabc"])
    assert compression_ratio(["é\ud800", "×"]) == pytest.approx(
        8 / len(zlib.compress("×\né\ud800".encode("utf-8", "surrogatepass"), 9))
    )


def test_bad_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="m = 3 of 2 rollouts"):
        compression_ratio(["a", "b"], 3)
    with pytest.raises(UsageError, match="give rng"):
        compression_ratio(["a"] * 20, 10)
