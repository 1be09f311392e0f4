"""Distances between rollouts: against loops, exact zeros for equal rollouts, hand numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from s2l_lab.diversity.distances import euclidean, label_distance, squared_euclidean
from s2l_lab.errors import UsageError

FEATURES = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-100, 100))
LABELS = st.lists(st.sampled_from(["12", "13", None, 7, ("a", 1)]), max_size=8)


@given(FEATURES)
@settings(max_examples=50)
def test_euclidean_distances_are_those_of_a_loop(feature_ND: np.ndarray) -> None:
    loop_NN = np.array([[((x - y) ** 2).sum() for y in feature_ND] for x in feature_ND])
    np.testing.assert_allclose(squared_euclidean(feature_ND), loop_NN)
    np.testing.assert_allclose(euclidean(feature_ND), np.sqrt(loop_NN))


def test_by_hand() -> None:
    corners = [[0, 0], [3, 4], [3, 0]]
    np.testing.assert_array_equal(squared_euclidean(corners), [[0, 25, 9], [25, 0, 16], [9, 16, 0]])
    np.testing.assert_array_equal(euclidean(corners), [[0, 5, 3], [5, 0, 4], [3, 4, 0]])
    np.testing.assert_array_equal(label_distance(["a", "b", "a"]), [[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_equal_embeddings_are_at_distance_0_exactly() -> None:
    """|x|^2 + |y|^2 - 2 x.y is not: its rounding, rooted, is a distance of 1e-8 to 1e-6 between equal texts."""
    twice_ND = np.tile(np.random.default_rng(0).normal(3, 1, (5, 384)), (2, 1))
    assert (np.diagonal(euclidean(twice_ND)[:5, 5:]) == 0).all()
    assert (np.diagonal(squared_euclidean(twice_ND)[:5, 5:]) == 0).all()


@given(LABELS)
@settings(max_examples=50)
def test_mean_label_distance_is_the_unbiased_gini_simpson_index(labels: list[object]) -> None:
    distance_NN, n = label_distance(labels), len(labels)  # type: ignore[arg-type]  # all are hashable
    assert distance_NN.shape == (n, n)
    alike = sum(c * (c - 1) for c in Counter(labels).values())
    assert distance_NN.sum() == n * (n - 1) - alike


@given(LABELS)
@settings(max_examples=30)
def test_renamed_labels_are_as_far_apart(labels: list[object]) -> None:
    renamed = [f"<{label!r}>" for label in labels]
    np.testing.assert_array_equal(label_distance(labels), label_distance(renamed))  # type: ignore[arg-type]


@pytest.mark.parametrize("distance", [squared_euclidean, euclidean])
def test_few_rollouts_and_wrong_shapes(distance: object) -> None:
    assert distance(np.zeros((0, 3))).shape == (0, 0)  # type: ignore[operator]  # by parametrisation
    assert distance([[1.0, 2.0]]).tolist() == [[0.0]]  # type: ignore[operator]
    with pytest.raises(UsageError, match=r"\(rollouts, features\); given: \(3,\)"):
        distance([1.0, 2.0, 3.0])  # type: ignore[operator]
    assert np.isnan(distance([[np.nan], [0.0]])[0, 1])  # type: ignore[operator]  # `decompose` refuses it


def test_no_labels_have_no_distances() -> None:
    assert label_distance([]).shape == (0, 0)
