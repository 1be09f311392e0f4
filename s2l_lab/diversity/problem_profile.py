"""All metrics of METRICS for one policy on one problem, at one number of rollouts.

Pairwise means need no rarefaction; everything else is brought to m rollouts, since more rollouts differ more whatever
the policy. A metric that is not defined here (fewer than two rollouts, no token ids, no embedding, no known strategies,
only empty completions) is NaN, never 0. Each metric that draws subsets has a generator of its own, seeded by its name,
so that no other metric moves it, whether that is defined here or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_seed
from s2l_lab.diversity.metric import Metric, Sample
from s2l_lab.diversity.metrics import METRICS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.diversity.rollout_set import RolloutSet


def profile(
    rollouts: RolloutSet,
    m: int,
    *,
    rng: np.random.Generator,
    embedding_ND: NDArray[np.float32] | None = None,
    m_embedding: int | None = None,
) -> dict[str, float]:
    """Metric values by name, for subsets of m of these N rollouts; all NaN where N < m or m < 2.

    `rng` gives one number, of which each metric's own generator is made. `embedding_ND` holds one row for each rollout
    that was embedded; rows of NaN (empty completions) are left out. Embedding metrics are rarefied to `m_embedding` of
    them (None: m), since fewer may have been embedded.
    """
    if len(rollouts) < m or m < 2:
        return dict.fromkeys(METRICS, np.nan)
    root = int(rng.integers(2**63))
    there_ND = np.empty((0, 1), np.float32) if embedding_ND is None else embedding_ND
    there_ND = there_ND[np.isfinite(there_ND).all(1)]

    def value(metric: Metric) -> float:
        at = m_embedding if "embeddings" in metric.needs and m_embedding is not None else m
        if not _defined(metric, rollouts, len(there_ND), at):
            return float("nan")
        own = np.random.default_rng(content_seed(root, metric.name))
        return metric.value(Sample(rollouts, at, own, there_ND))

    return {name: value(metric) for name, metric in METRICS.items()}


def _defined(metric: Metric, rollouts: RolloutSet, embeddings: int, m: int) -> bool:
    """Whether what the metric needs is there. Answers always are: no answer is one too."""
    there = {
        "strategies": rollouts.n_classes is not None,
        "all strategies": rollouts.n_classes is not None,
        "token ids": rollouts.token_ids_N is not None,
        "embeddings": embeddings >= m,
    }
    return all(there.get(need, True) for need in metric.needs)
