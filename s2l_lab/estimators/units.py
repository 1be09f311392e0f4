"""What a bootstrap over problems draws: problems, pooled where their values are equal, or whole clusters of problems.

Problems made from one template, or translations of one text, are no independent evidence: resampled one by one they
give intervals that cover .38 to .62. Resampled as whole clusters, the mean over problems is a ratio of sums over
clusters, sum T / sum n, its residual in a cluster is T - mean n, and its standard error sums these, times G / (G - 1)
for G clusters. Few large clusters among small ones say less than G: what rests on a number of units (Student's degrees
of freedom, binomial ends) takes the effective one, (sum n)^2 / sum n^2. A problem by itself is a cluster of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2l_lab.estimators.estimate import Floats, Ints

NO_SPREAD = 1e-10
"""SDs of values in [-1, 1] below this are rounding."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units of resampling, equal ones pooled. Columns are ks."""

    total_UK: Floats
    """Sum of the values over a unit's problems."""
    size_U: Floats
    """Problems in a unit: 1 without clusters."""
    weight_U: Ints
    """How many such units there are."""

    @property
    def n(self) -> int:
        """Units in all: P problems, or G clusters."""
        return int(self.weight_U.sum())

    @property
    def effective(self) -> float:
        """Clusters of equal size that a mean over problems is as sure of: (sum n)^2 / sum n^2; P without clusters."""
        return self.problems**2 / float(self.weight_U @ self.size_U**2)

    @property
    def df(self) -> float:
        """Student's degrees of freedom: those of the effective number of units, 1 at least."""
        return max(self.effective - 1, 1.0)

    @property
    def problems(self) -> float:
        return float(self.weight_U @ self.size_U)

    @property
    def mean(self) -> Floats:
        """The mean over problems."""
        mean_K: Floats = self.weight_U @ self.total_UK / self.problems
        return mean_K

    @property
    def residual(self) -> Floats:
        """T - mean n: what a unit adds to the mean's error, summed over its problems."""
        return self.total_UK - self.mean * self.size_U[:, None]

    @property
    def se(self) -> Floats:
        """Standard error of the mean; exactly 0 where all problems have the same value, NaN for one unit."""
        n = self.n
        if n == 1:
            return np.full(self.total_UK.shape[1], np.nan)
        spread_K = np.sqrt(n / (n - 1) * (self.weight_U @ self.residual**2)) / self.problems
        return np.where(spread_K * np.sqrt(n) > NO_SPREAD, spread_K, 0.0)

    @property
    def differing(self) -> Floats:
        """Effective number of units whose value is not 0: (sum T^2)^2 / sum T^4; 0 where all are 0.

        m equal values among zeros count m, and one large value among small ones little more than 1.
        """
        largest_K = np.abs(self.total_UK).max(0)
        scaled_UK = self.total_UK / np.where(largest_K > NO_SPREAD, largest_K, np.inf)
        square_K, fourth_K = self.weight_U @ scaled_UK**2, self.weight_U @ scaled_UK**4
        effective_K: Floats = np.divide(square_K**2, fourth_K, out=np.zeros_like(square_K), where=fourth_K > 0)
        return effective_K


def make_units(values_CK: Floats, weight_C: Ints, cluster_C: Ints | None = None) -> Units:
    """Units from values by cell, shape (C, K), the number of problems in each cell (C,), and its cluster (C,) if any.

    With clusters every cell lies in one of them; `cluster_C` are the codes of `cluster_codes`.
    """
    if cluster_C is None:
        return Units(values_CK, np.ones(weight_C.size), weight_C)
    groups = int(cluster_C.max()) + 1
    total_UK = np.zeros((groups, values_CK.shape[1]))
    np.add.at(total_UK, cluster_C, values_CK * weight_C[:, None])
    size_U = np.bincount(cluster_C, weight_C, groups).astype(np.float64)
    return Units(total_UK, size_U, np.ones(groups, np.int64))


def cluster_columns(values_SPK: Floats, cluster_P: Ints) -> Floats:
    """Problems of a table (S, P, K) summed to their clusters, shape (S, G, K), times G / P: every row keeps its mean.

    Whatever then treats columns as independent treats clusters so.
    """
    groups, problems = int(cluster_P.max()) + 1, cluster_P.size
    member_GP = np.arange(groups)[:, None] == cluster_P
    # Residuals are summed, as in Units: a sum of values would count the size of a cluster as a difference.
    mean_K = values_SPK.mean((0, 1))
    columns_SGK: Floats = mean_K + np.einsum("gp,spk->sgk", member_GP, values_SPK - mean_K) * (groups / problems)
    return columns_SGK


def cluster_codes(cluster_P: Sequence[object] | NDArray[np.generic], problems: int) -> Ints:
    """Labels of clusters, one per problem, as codes 0..G - 1, shape (P,). A label is any text or number.

    UsageError for another length, or for a missing label (None, NaN or empty text): a problem without a cluster is one
    of its own and needs a label of its own.
    """
    if isinstance(cluster_P, str | set | frozenset | dict | np.ma.MaskedArray):
        raise UsageError(f"cluster is a {type(cluster_P).__name__}; give a list or an array, one label per problem.")
    labels = list(cluster_P)
    if len(labels) != problems:
        raise UsageError(f"cluster has {len(labels)} labels for {problems} problems; give one label per problem.")
    if any(np.ndim(label) for label in labels):
        raise UsageError("cluster has more than one dimension; give one label per problem.")
    missing = [i for i, label in enumerate(labels) if _is_missing(label)]
    if missing:
        raise UsageError(
            f"problem {missing[0]} has no cluster label ({len(missing)} have none). Give a problem that stands alone a "
            "label of its own, or leave cluster out."
        )
    codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
    return np.array([codes[label] for label in labels], dtype=np.int64)


def kept_codes(code_P: Ints, kept_P: NDArray[np.bool_]) -> Ints:
    """Codes 0..G - 1 of the clusters that are left where only some problems count."""
    return np.unique(code_P[kept_P], return_inverse=True)[1].astype(np.int64)


def _is_missing(label: object) -> bool:
    """None, NaN, pandas' NA or NaT, or empty text: what is not equal to itself, or has no answer to that."""
    if label is None or (isinstance(label, str) and not label):
        return True
    same = label == label  # noqa: PLR0124
    return not isinstance(same, bool | np.bool_) or not same
