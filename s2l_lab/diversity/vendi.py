"""Vendi score: the effective number of different rollouts in an embedding (Friedman and Dieng 2023, TMLR).

With K the N x N matrix of cosine similarities and l_i the eigenvalues of K/N (they sum to 1),
VS_q = exp(H_q), H_q = ln(sum_i l_i^q) / (1 - q), Renyi's entropy of order q (Pasarkar and Dieng 2024): q = 1 is
Shannon's, q = 0 counts the eigenvalues above rounding, q = inf is 1 / max l. From 1 (all alike) to N (all orthogonal);
falls as q grows. Small q weighs rare rollouts, large q the common ones. The eigenvalues are those of the D x D matrix
X'X/N too, so the smaller of the two is decomposed.

`dispersion` is the plain companion: the mean of 1 - cosine over pairs i < j, unbiased and in no need of rarefaction.

What would surprise: VS grows with N and with the accuracy of the embedding, never reaches N for embeddings of one
topic, and an embedding of text follows phrasing. It is the mean over m-subsets that can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.metric import SUBSETS, Metric
from s2l_lab.diversity.rarefaction import check_subset, subset_mean
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def vendi_score(
    embedding_ND: ArrayLike,
    *,
    q: float = 1.0,
    m: int | None = None,
    rng: np.random.Generator | None = None,
    subsets: int = 8,
) -> float:
    """Vendi score of order q of N embeddings (N, D) under the cosine; the mean over m-subsets where m is given.

    Between 1 and min(m, D). Rows are brought to length 1 here. NaN for fewer than two rollouts. Raises UsageError for
    a row of zeros or without a finite length, for q below 0, unless 1 <= m <= N, and where subsets are drawn without
    `rng`.
    """
    unit_ND = _unit_rows(embedding_ND)
    _check_order(q)
    if len(unit_ND) < 2:
        return float("nan")

    def score(index_m: NDArray[np.int64]) -> float:
        x = unit_ND[index_m]
        gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x
        return _effective_number(np.linalg.eigvalsh(gram), q)

    return subset_mean(score, len(unit_ND), check_subset(m, len(unit_ND)), rng=rng, subsets=subsets)


def vendi_from_kernel(kernel_NN: ArrayLike, q: float = 1.0) -> float:
    """Vendi score of order q of a similarity matrix (N, N) with ones on its diagonal. NaN for N < 2.

    Raises UsageError where the matrix is not symmetric with a unit diagonal, where it has a negative eigenvalue (it is
    then no kernel), and for q below 0.
    """
    kernel = np.asarray(kernel_NN, dtype=np.float64)
    _check_order(q)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise UsageError(f"a kernel has one row and one column per rollout; given: shape {kernel.shape}.")
    if not np.allclose(kernel, kernel.T, atol=1e-6) or not np.allclose(np.diag(kernel), 1.0, atol=1e-6):
        raise UsageError("a kernel is symmetric with ones on its diagonal; divide K_ij by sqrt(K_ii K_jj) first.")
    if len(kernel) < 2:
        return float("nan")
    eigenvalue_N = np.linalg.eigvalsh(kernel / len(kernel))
    if eigenvalue_N[0] < -1e-6:
        raise UsageError(
            f"a kernel has no negative eigenvalue; given: one with {eigenvalue_N[0]:.3g} of a total of 1. "
            "Similarities from an edit distance need not be a kernel; use embeddings or a mean over pairs."
        )
    return _effective_number(eigenvalue_N, q)


def dispersion(embedding_ND: ArrayLike) -> float:
    """Mean over pairs i < j of 1 - cosine of embeddings (N, D), from 0 to N / (N - 1). NaN for fewer than two.

    Raises UsageError for a row of zeros or without a finite length.
    """
    unit_ND = _unit_rows(embedding_ND)
    n = len(unit_ND)
    if n < 2:
        return float("nan")
    total_D = unit_ND.sum(0)
    return max(0.0, float(1.0 - (total_D @ total_D - n) / (n * (n - 1))))


def _unit_rows(embedding_ND: ArrayLike) -> NDArray[np.float64]:
    embedding = np.asarray(embedding_ND, dtype=np.float64)
    if embedding.ndim != 2:
        raise UsageError(f"embeddings have shape (rollouts, features); given: shape {embedding.shape}.")
    length_N = np.linalg.norm(embedding, axis=1)
    bad = np.flatnonzero(~(np.isfinite(length_N) & (length_N > 0)))
    if bad.size:
        raise UsageError(
            f"{bad.size} of {length_N.size} embeddings (the first is row {bad[0]}) are zero or not finite and have no "
            "direction. Leave their rollouts out and report how many."
        )
    unit: NDArray[np.float64] = embedding / length_N[:, None]
    return unit


def _check_order(q: float) -> None:
    if not q >= 0:
        raise UsageError(f"order q = {q} was asked; it must be 0 or more, infinity included.")


def _effective_number(eigenvalue: NDArray[np.floating], q: float) -> float:
    """exp of Renyi's entropy of eigenvalues, brought to sum 1; those of rounding size are none."""
    kept = eigenvalue[eigenvalue > eigenvalue.max() * len(eigenvalue) * np.finfo(np.float64).eps]
    p = kept / kept.sum()
    if q == 0:
        return float(p.size)
    if q == np.inf:
        return float(1.0 / p.max())
    if abs(q - 1.0) < 1e-3:  # sum p^q = 1 + sum p (p^(q-1) - 1) without cancellation
        if q == 1:
            return float(np.exp(-(p * np.log(p)).sum()))
        return float(np.exp(np.log1p((p * np.expm1((q - 1.0) * np.log(p))).sum()) / (1.0 - q)))
    log_sum = q * np.log(p.max()) + np.log(((p / p.max()) ** q).sum())
    return float(np.exp(log_sum / (1.0 - q)))


METRICS = (
    Metric(
        name="vendi",
        value=lambda s: vendi_score(s.embedding_ND, m=s.m, rng=s.rng, subsets=SUBSETS),
        title="Vendi score, q = 1",
        level="embedding",
        up=True,
        most="m",
        span="1 to m",
        measures="Effective number of different rollouts among m, from the cosine similarities of their embeddings.",
        fooled_by="It follows what the embedder notices, which is topic and wording before it is strategy.",
        least=1.0,
        needs=("embeddings",),
    ),
    Metric(
        name="vendi_2",
        value=lambda s: vendi_score(s.embedding_ND, q=2.0, m=s.m, rng=s.rng, subsets=SUBSETS),
        title="Vendi score, q = 2",
        level="embedding",
        up=True,
        most="m",
        span="1 to m",
        measures="The same with Renyi order 2, which listens to frequent kinds of rollouts more than to rare ones.",
        fooled_by="As for q = 1.",
        least=1.0,
        needs=("embeddings",),
    ),
    Metric(
        name="dispersion",
        value=lambda s: dispersion(s.embedding_ND),
        title="embedding dispersion",
        level="embedding",
        up=True,
        most="2",
        span="0 to 2",
        measures="Mean cosine distance between the embeddings of two rollouts.",
        fooled_by="One far outlier moves it as much as many small differences.",
        needs=("embeddings",),
    ),
)
