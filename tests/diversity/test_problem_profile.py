"""A metric's value is its own: which other metrics are defined, or measured at all, moves no bit of it."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from s2l_lab.diversity.compression import compression_ratio
from s2l_lab.diversity.metric import SUBSETS
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.ngrams import self_bleu
from s2l_lab.diversity.problem_profile import profile
from s2l_lab.diversity.rollout_set import RolloutSet
from s2l_lab.diversity.vendi import vendi_score

N, M, M_EMBEDDING = 20, 11, 7
DRAWN = ("compression", "self_bleu_all", "vendi", "vendi_2")
"""Metrics that draw subsets."""


def whole_set() -> RolloutSet:
    rng = np.random.default_rng(5)
    texts = ["\n".join(f"{a} + {b} = {a + b}" for a, b in rng.integers(1, 9, (4, 2)).tolist()) for _ in range(N)]
    answers = [f"s{i}" for i in rng.integers(0, 5, N)]
    return RolloutSet(
        problem_id="p",
        text_N=tuple(texts),
        token_ids_N=tuple(np.array([ord(c) for c in text], np.int32) for text in texts),
        length_N=np.array([len(text) + 1.0 for text in texts]),
        canonical_N=tuple(answers),
        official_N=tuple(answers),
        correct_N=rng.random(N) < 0.5,
        unknown_N=np.zeros(N, bool),
        n_classes=9,
    )


WHOLE = whole_set()
EMBEDDING = np.random.default_rng(6).normal(size=(N, 16)).astype(np.float32)


def measured(rollouts: RolloutSet, embedding: np.ndarray | None, seed: int = 0) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    return profile(rollouts, M, rng=rng, embedding_ND=embedding, m_embedding=M_EMBEDDING)


def test_what_is_not_defined_moves_nothing_that_is() -> None:
    """One generator went through all metrics: without token ids every Vendi score was another."""
    everything = measured(WHOLE, EMBEDDING)
    assert np.isfinite(list(everything.values())).all()
    seen = set()
    for tokens, classes, embedded in itertools.product((True, False), repeat=3):
        part = dataclasses.replace(
            WHOLE, token_ids_N=WHOLE.token_ids_N if tokens else None, n_classes=9 if classes else None
        )
        found = measured(part, EMBEDDING if embedded else None)
        defined = {name for name, value in found.items() if np.isfinite(value)}
        assert {name: found[name] for name in defined} == {name: everything[name] for name in defined}
        seen |= defined
    assert seen == set(METRICS)


def test_subsets_are_drawn_anew_for_every_metric_and_seed() -> None:
    values = [measured(WHOLE, EMBEDDING, seed) for seed in range(2)]
    assert measured(WHOLE, EMBEDDING, 0) == values[0]
    assert {name for name in METRICS if values[0][name] != values[1][name]} == set(DRAWN)


def test_a_drawn_value_is_a_mean_over_subsets() -> None:
    """Far more subsets give what few scatter around."""
    everything = measured(WHOLE, EMBEDDING)
    rng = np.random.default_rng(1)
    assert WHOLE.token_ids_N is not None
    many = {
        "compression": compression_ratio(WHOLE.text_N, M, rng=rng, subsets=400),
        "self_bleu_all": self_bleu(WHOLE.token_ids_N, references="all", m=M, rng=rng, subsets=60),
        "vendi": vendi_score(EMBEDDING, m=M_EMBEDDING, rng=rng, subsets=400),
        "vendi_2": vendi_score(EMBEDDING, q=2.0, m=M_EMBEDDING, rng=rng, subsets=400),
    }
    assert SUBSETS < 60
    for name, value in many.items():
        assert everything[name] == pytest.approx(value, rel=0.06), name
