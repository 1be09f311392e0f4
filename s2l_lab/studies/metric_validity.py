"""Metric validity: which metrics follow strategies, and which only phrasing? The designed experiment, measured.

Every metric of METRICS is computed on every cell of `diversity.designed`, as it would be on rollouts of a policy, and
`diversity.validity` says what it follows. All rollouts of a cell are correct, so the answer is about metrics on correct
rollouts: what accuracy does to them is no part of it. What it found of a metric is the *mark* that stands beside the
metric's name wherever it is shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from s2l_lab.diversity.designed import (
    ORDER_LEVELS,
    PHRASING_LEVELS,
    REPLICATES,
    ROLLOUTS,
    STRATEGY_LEVELS,
    DesignedCell,
    design,
    designed_items,
)
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.problem_profile import profile
from s2l_lab.diversity.rollout_set import RolloutSet
from s2l_lab.diversity.validity import Validity, validity
from s2l_lab.studies.study import Measured, Watch, details
from s2l_lab.studies.vectors import EmbeddingFacts, embed_texts, embedding_words
from s2l_lab.verifiers.official import official_extract

if TYPE_CHECKING:
    from s2l_lab.studies.within import Vectors

MARKS_FILE = "validity.json"
"""The numbers.json of `s2l-lab figures metric-validity` at scale mini, here so that an installed package knows it."""
WORDS = {
    "strategy": "follows strategies, not phrasing",
    "both": "follows strategies and phrasing",
    "phrasing only": "moves with phrasing only",
    "neither": "follows neither",
    "undetermined": "could not be told",
}
"""Meaning of each mark in words. `diversity.validity` decides which mark a metric has."""
SIGNS = {"strategy": "", "both": "~", "phrasing only": "!", "neither": "?", "undetermined": "?"}
"""Sign that stands beside a metric's name in a table, by mark."""


class ValidityPlan(BaseModel):
    """The designed experiment on metrics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(default=30, ge=2)
    replicates: int = Field(default=2, ge=2)
    seed: int = Field(default=0, ge=0)
    embedder: str = "minilm"

    def describe(self) -> str:
        """A summary of what the plan measures."""
        return (
            f"{self.items} designed items x 18 cells x {self.replicates} replicates x 16 texts, no sampling; embedder "
            f"{self.embedder}."
        )


@dataclass(frozen=True, slots=True)
class MetricValidity:
    """The study's result."""

    metrics: Mapping[str, Validity]
    """Validity of each metric by its name, in the order of METRICS."""
    n_items: int
    replicates: int
    rollouts_per_cell: int
    embedding: EmbeddingFacts | None


def measure(plan: ValidityPlan, command: str, watch: Watch) -> Measured:
    """The designed experiment of a plan; nothing is sampled."""
    result = metric_validity(
        plan.items, replicates=plan.replicates, seed=plan.seed, embedder=plan.embedder, announce=watch.announce
    )
    about = (
        f"Designed sets of {result.rollouts_per_cell} correct Countdown solutions: n = {result.n_items} items, "
        f"{result.replicates} replicates of 18 cells each; 95 % CI over items.",
        details(f"seed {plan.seed}", embedding_words(result.embedding), f"made by: {command}"),
    )
    return Measured(result, about, {"command": command})


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


def _values(cell: DesignedCell, vectors: Vectors | None) -> dict[str, float]:
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


@cache
def metric_marks() -> dict[str, str]:
    """Mark (a key of WORDS) by metric name; a metric that the study does not cover has none."""
    text = resources.files(__package__).joinpath(MARKS_FILE).read_text(encoding="utf-8")
    return {name: found["mark"] for name, found in json.loads(text)["metrics"].items()}
