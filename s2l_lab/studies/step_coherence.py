"""Single steps: does a rollout keep its own direction from one step to the next?

Steps (lines) of the first rollouts are embedded one by one; `diversity.coherence` compares a step with the next one of
the same rollout, and with the next one of the problem's other rollouts, which have the same problem and position and no
common author. What is left, the excess, is 0 where steps depend on their position alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.coherence import matched_coherence, mean_step, steps
from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.diversity.rollout_set import set_clusters

if TYPE_CHECKING:
    from s2l_lab.diversity.rollout_set import RolloutSet
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.within import Vectors

ROLLOUTS = 8
"""Rollouts per problem whose steps are embedded, the first ones."""


@dataclass(frozen=True, slots=True)
class StepCoherence:
    """One policy's coherence, mean over problems of cosines between residuals from the problem's mean step."""

    observed: Estimate
    """Of a step and the next of the same rollout."""
    null: Estimate
    """Of a step and the next of the problem's other rollouts."""
    excess: Estimate
    """observed - null."""


def steps_to_embed(sets: Iterable[RolloutSet]) -> Iterator[str]:
    """The steps that `step_coherence` looks up."""
    for s in sets:
        for text in s.text_N[:ROLLOUTS]:
            yield from steps(text)


def step_coherence(sets: Sequence[RolloutSet], vectors: Vectors) -> StepCoherence:
    """Coherence of one policy over its problems. NaN where no problem has two rollouts of two steps."""
    width = next(iter(vectors.values())).size
    found = []
    for s in sets:
        step_vectors_N = [
            np.array([vectors[step] for step in steps(text)]).reshape(-1, width) for text in s.text_N[:ROLLOUTS]
        ]
        found.append(matched_coherence(step_vectors_N, mean_step(step_vectors_N)))
    n = sum(min(len(s), ROLLOUTS) for s in sets)
    observed, null, excess = ([getattr(f, part) for f in found] for part in ("observed", "null", "excess"))
    cluster = set_clusters(sets)
    return StepCoherence(
        mean_over_problems(observed, n, bounds=(-1.0, 1.0), cluster=cluster),
        mean_over_problems(null, n, bounds=(-1.0, 1.0), cluster=cluster),
        mean_over_problems(excess, n, bounds=(-2.0, 2.0), cluster=cluster),
    )
