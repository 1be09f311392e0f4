"""What one policy adds to another, through the rollouts that a feature sees."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rollout_sets import drawn_sets, rollout_set

from s2l_lab.studies.between import FEATURES, contrast, halves


def test_policies_with_other_mistakes_differ_in_answers_and_not_in_strategies() -> None:
    rng = np.random.default_rng(0)
    a = drawn_sets(40, 24, rng=rng, correct=0.5, wrong_answers=3)
    b = drawn_sets(40, 24, rng=rng, correct=0.5, wrong_answers=40)
    answers = contrast(b, a, "answers", None, seed=0)
    strategies = contrast(b, a, "strategies", None, seed=0)
    assert answers.p_value <= 0.002
    assert answers.share.lower > 0
    assert strategies.p_value > 0.02
    assert strategies.share.lower < 0 < strategies.share.upper


def test_policies_with_other_strategies_differ_in_both_whatever_their_accuracy() -> None:
    rng = np.random.default_rng(1)
    a = drawn_sets(40, 24, rng=rng, correct=0.8, strategies=(0.9, 0.1))
    b = drawn_sets(40, 24, rng=rng, correct=0.4, strategies=(0.1, 0.9))
    found = contrast(b, a, "strategies", None, seed=0)
    # Gini-Simpson: between = sum (p_a - p_b)^2 / 2 = .64; mix .5, .5: T = .5; share = .32 / .5
    assert found.between.lower < 0.64 < found.between.upper
    assert found.share.lower < 0.64 < found.share.upper


def test_the_references_own_halves_share_nothing() -> None:
    rng = np.random.default_rng(2)
    a = drawn_sets(60, 24, rng=rng)
    vectors = {text: rng.normal(size=4) for s in a for text in s.text_N}
    for feature in FEATURES:
        null = halves(a, feature, vectors, seed=0)
        assert null.lower < 0 < null.upper, feature


def test_a_feature_that_does_not_exist_is_none_and_not_zero() -> None:
    rng = np.random.default_rng(3)
    a = drawn_sets(4, 6, rng=rng)
    no_ids = [dataclasses.replace(s, token_ids_N=None) for s in a]
    assert contrast(a, no_ids, "tokens", None, seed=0) is None
    assert contrast(no_ids, a, "tokens", None, seed=0) is None
    assert contrast(a, a, "embedding", None, seed=0) is None
    assert halves(no_ids, "tokens", None, seed=0) is None
    assert halves(a, "embedding", None, seed=0) is None


def test_problems_without_two_correct_of_each_are_left_out_and_counted() -> None:
    enough = rollout_set(["a", "b", "c"], ["x", "y", "x"], [True, True, False], problem_id="p")
    one = rollout_set(["a", "b", "c"], ["x", "y", "x"], [True, False, False], problem_id="q")
    found = contrast([enough, enough], [enough, one], "strategies", None, seed=0)
    assert found.n_problems == 1
    assert np.isnan(found.between_P).tolist() == [False, True]


def test_empty_completions_are_left_out_of_embeddings() -> None:
    filled = rollout_set(["a", "b", "", ""], list("xyzz"), [True] * 4)
    vectors = {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0]), "": np.array([np.nan, np.nan])}
    found = contrast([filled], [filled], "embedding", vectors, seed=0)
    assert (found.n_a, found.n_b) == (2, 2)
    # D_AA = D_BB = |a - b|^2 = 2; D_AB = (0 + 2 + 2 + 0) / 4 = 1: unbiased, so below 0.
    assert found.between.value == pytest.approx(1 - 2)
