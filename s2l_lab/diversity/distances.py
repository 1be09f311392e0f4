"""Distances between the rollouts of one problem, as matrices (N, N) for `decompose`.

Which distance is asked decides which difference of two policies the between-part can see:

- `squared_euclidean` of embeddings: means only. Two policies with one mean embedding and different spreads have
  between-part 0.
- `euclidean` of embeddings: the energy distance (Szekely and Rizzo 2013), 0 only for equal distributions.
- `label_distance`: 0 for equal labels, 1 otherwise. The mean over i != j is the unbiased Gini-Simpson index, the
  chance that two rollouts differ.

What would surprise: pairs are compared one by one, not through |x|^2 + |y|^2 - 2 x.y, which leaves equal embeddings
1e-8 apart. Rollouts with one text, and there are many, are at distance 0 exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike, NDArray


def squared_euclidean(feature_ND: ArrayLike) -> NDArray[np.float64]:
    """Squared Euclidean distances (N, N) of N rollouts with D features each. UsageError for another shape."""
    return _between_rows(feature_ND, "sqeuclidean")


def euclidean(feature_ND: ArrayLike) -> NDArray[np.float64]:
    """Euclidean distances (N, N) of N rollouts with D features each. UsageError for another shape."""
    return _between_rows(feature_ND, "euclidean")


def _between_rows(feature_ND: ArrayLike, metric: Literal["sqeuclidean", "euclidean"]) -> NDArray[np.float64]:
    from scipy.spatial.distance import pdist, squareform

    feature = np.asarray(feature_ND, dtype=np.float64)
    if feature.ndim != 2:
        raise UsageError(f"features have shape (rollouts, features); given: {feature.shape}.")
    if len(feature) < 2:
        return np.zeros((len(feature), len(feature)))
    distance_NN: NDArray[np.float64] = squareform(pdist(feature, metric))
    return distance_NN


def label_distance(labels: Sequence[Hashable]) -> NDArray[np.float64]:
    """0 where two of N labels are equal and 1 where they differ, shape (N, N). Any label will do, None among them."""
    codes: dict[Hashable, int] = {}
    code_N = np.array([codes.setdefault(label, len(codes)) for label in labels], dtype=np.int64)
    distance_NN: NDArray[np.float64] = np.where(code_N[:, None] == code_N, 0.0, 1.0)
    return distance_NN
