"""The completions of one problem in the plane of their sentence embeddings, for the strategy map.

Every completion is embedded whole (windows of a long one are pooled, never cut), and the embeddings of all policies
together are laid on their first two principal components, each rollout counting once. The projection is exact and has
no seed; signs are fixed, so the same completions give the same map. How much of the variance the plane holds is part of
the result. Completions of a policy with one text fall on one point and are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import EXPORT_BYTES, matching, page
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.errors import DataError
from s2l_lab.figures.strategy_map import MapPoint
from s2l_lab.studies.vectors import EmbeddingFacts, embed_texts
from s2l_lab.training.rounds import Rounds


@dataclass(frozen=True, slots=True)
class StrategyMap:
    """One problem."""

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]
    """Shares of the variance on the two axes; NaN if all completions are alike."""
    n_rollouts: int
    left_out: int
    """Number of empty completions, which have no embedding."""
    embedding: EmbeddingFacts


@dataclass(frozen=True, slots=True)
class _Drawn:
    text: str
    policy: str
    answer: str | None
    outcome: str
    address: str
    preview: str


def strategy_map(
    store: BrowsedStore,
    problem_id: str,
    policies: Sequence[str],
    n: int,
    embedder: str,
    embeddings: Path,
    rounds: Rounds | None = None,
    version: str | None = None,
) -> StrategyMap:
    """The first `n` rollouts (one of PAGE_SIZES) of each policy on a problem, with their verdicts of a verifier version
    (None: the newest). `embeddings` is the folder of the cache.

    Raises DataError where fewer than two completions can be embedded, UsageError for an embedder that cannot be opened.
    """
    chosen = RolloutFilter(problem=problem_id, page_size=n, version=version)
    drawn = [
        one for policy in policies for one in _drawn(store, chosen.model_copy(update={"policies": (policy,)}), rounds)
    ]
    vectors, facts = embed_texts((one.text for one in drawn), embedder, embeddings)
    if vectors is None or facts is None:
        raise DataError("a strategy map needs an embedder; `none` makes no embeddings.")
    there = [one for one in drawn if np.isfinite(vectors[one.text]).all()]
    if len(there) < 2:
        raise DataError(f"{len(there)} completions of {problem_id} have an embedding; a map needs two. Take another.")
    plane, explained = _plane(np.stack([vectors[one.text] for one in there]).astype(np.float64))
    marks: dict[tuple[str, str, str], list[int]] = {}
    for i, one in enumerate(there):
        marks.setdefault((one.policy, one.text, one.outcome), []).append(i)
    points = tuple(_point(there[rows[0]], plane[rows[0]], len(rows)) for rows in marks.values())
    return StrategyMap(points, explained, len(there), len(drawn) - len(there), facts)


def _point(one: _Drawn, place: NDArray[np.float64], count: int) -> MapPoint:
    x, y = place.tolist()
    return MapPoint(x, y, one.policy, one.answer, one.outcome, count, one.address, one.preview)


def _drawn(store: BrowsedStore, chosen: RolloutFilter, rounds: Rounds | None) -> list[_Drawn]:
    """The first rollouts of a policy, in order of sample index. Raises DataError where the run changes meanwhile and
    where their texts are more than is read at once."""
    rows = page(store, chosen, rounds).rows
    found = matching(store, chosen, rounds)
    texts = found.table["text"].to_pylist()[: len(rows)]
    if found.cut and len(texts) < len(rows):
        raise DataError(
            f"the first {len(rows)} completions of {', '.join(chosen.policies)} on {chosen.problem} hold more than the "
            f"{EXPORT_BYTES >> 20} MiB of text that a map reads of one policy; the first {len(texts)} fit. Take fewer "
            "rollouts of each, or another problem."
        )
    if len(texts) < len(rows) or any(not t.startswith(r.preview) for r, t in zip(rows, texts, strict=True)):
        raise DataError(f"{store.path} changed while it was read; try again.")
    return [
        _Drawn(text, row.policy, row.canonical, row.outcome, row.address, row.preview)
        for row, text in zip(rows, texts, strict=True)
    ]


def _plane(vector_ND: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """(N, 2) places on the first two principal components, and their shares of the variance."""
    centred_ND = vector_ND - vector_ND.mean(0)
    left_NR, scale_R, axis_RD = np.linalg.svd(centred_ND, full_matrices=False)
    # An axis has no sign of its own: its largest entry points up.
    sign_R = np.sign(axis_RD[np.arange(len(axis_RD)), np.abs(axis_RD).argmax(1)])
    place_NR = left_NR * scale_R * sign_R
    total = float((scale_R**2).sum())
    shares = [float(s) ** 2 / total if total > 0 else float("nan") for s in scale_R[:2]]
    place_N2 = np.zeros((len(vector_ND), 2))
    place_N2[:, : min(2, place_NR.shape[1])] = place_NR[:, :2]
    return place_N2, (shares[0], shares[1] if len(shares) > 1 else 0.0)
