"""Metric validity: which metrics follow strategies, and which only phrasing? The designed experiment, measured.

Every metric of METRICS is computed on every cell of `diversity.designed`, as it would be on rollouts of a policy, and
`diversity.validity` says what it follows. All rollouts of a cell are correct, so the answer is about metrics on correct
rollouts: what accuracy does to them is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.designed import (
    ORDER_LEVELS,
    PHRASING_LEVELS,
    REPLICATES,
    ROLLOUTS,
    STRATEGY_LEVELS,
    Cell,
    design,
    designed_items,
)
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.problem_profile import profile
from s2l_lab.diversity.rollout_set import RolloutSet
from s2l_lab.diversity.validity import Validity, validity
from s2l_lab.studies.vectors import EmbeddingFacts, embed_texts
from s2l_lab.verifiers.official import official_extract

if TYPE_CHECKING:
    from s2l_lab.studies.within import Vectors


@dataclass(frozen=True, slots=True)
class MetricValidity:
    """The study's result."""

    metrics: Mapping[str, Validity]
    """By metric name, in the order of METRICS."""
    n_items: int
    replicates: int
    rollouts_per_cell: int
    embedding: EmbeddingFacts | None


def metric_validity(
    items: int = 40,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    embedder: str = "minilm",
    announce: Callable[[str], None] = lambda _: None,
) -> MetricValidity:
    """Measure all metrics on the designed cells of the first `items` items; a function of its arguments alone."""
    cells = [cell for item in designed_items(items, seed) for cell in design(item, seed=seed, replicates=replicates)]
    announce(f"embedding {len(cells) * ROLLOUTS:,} designed rollouts with {embedder}")
    vectors, facts = embed_texts((text for cell in cells for text in cell.text_N), embedder)
    announce(f"measuring {len(cells):,} cells")
    shape = (-1, len(STRATEGY_LEVELS), len(PHRASING_LEVELS), len(ORDER_LEVELS), replicates)
    rows = [_values(cell, vectors) for cell in cells]
    found = {
        name: validity(np.array([row[name] for row in rows]).reshape(shape), up=metric.up, rollouts_per_cell=ROLLOUTS)
        for name, metric in METRICS.items()
    }
    return MetricValidity(found, items, replicates, ROLLOUTS, facts)


def _values(cell: Cell, vectors: Vectors | None) -> dict[str, float]:
    rollouts = RolloutSet(
        problem_id=f"{cell.item.numbers} {cell.item.target}",
        text_N=cell.text_N,
        token_ids_N=tuple(np.array(ids, np.int32) for ids in cell.token_ids),
        length_N=np.array([len(ids) + 1.0 for ids in cell.token_ids]),
        canonical_N=cell.strategy_N,
        official_N=tuple(official_extract(text) for text in cell.text_N),
        correct_N=np.ones(ROLLOUTS, dtype=bool),
        unknown_N=np.zeros(ROLLOUTS, dtype=bool),
        n_classes=len(cell.item.classes),
    )
    embedding = None if vectors is None else np.array([vectors[text] for text in cell.text_N])
    return profile(rollouts, ROLLOUTS, rng=np.random.default_rng(0), embedding_ND=embedding)
