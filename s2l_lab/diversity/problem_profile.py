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
from s2l_lab.diversity.answers import answer_entropy, unique_answer_ratio
from s2l_lab.diversity.compression import compression_ratio
from s2l_lab.diversity.edit import edit_diversity
from s2l_lab.diversity.equation_sets import equation_diversity
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.ngrams import distinct_n, self_bleu
from s2l_lab.diversity.strategies import distinct_strategies, strategy_coverage
from s2l_lab.diversity.vendi import dispersion, vendi_score

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from s2l_lab.diversity.rollout_set import RolloutSet

SUBSETS = 8
"""Random m-subsets that a metric without a closed form is averaged over."""


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

    def rng_of(metric: str) -> np.random.Generator:
        return np.random.default_rng(content_seed(root, metric))

    values = _answers(rollouts, m) | _strategies(rollouts, m)
    values |= {
        "compression": compression_ratio(rollouts.text_N, m, rng=rng_of("compression"), subsets=SUBSETS),
        "equations": equation_diversity(rollouts.text_N),
    }
    values |= _tokens(rollouts, m, rng_of)
    values |= _embedding(embedding_ND, m if m_embedding is None else m_embedding, rng_of)
    return {name: values[name] for name in METRICS}


def _answers(rollouts: RolloutSet, m: int) -> dict[str, float]:
    return {
        "unique_answers": unique_answer_ratio(rollouts.canonical_N, m),
        "unique_answers_official": unique_answer_ratio(rollouts.official_N, m),
        "answer_entropy": answer_entropy(rollouts.canonical_N, m),
    }


def _strategies(rollouts: RolloutSet, m: int) -> dict[str, float]:
    """Distinct correct classes among m rollouts: wrong rollouts take places in the m and count for none."""
    if rollouts.n_classes is None:
        return {"strategies": np.nan, "strategy_coverage": np.nan}
    pairs = zip(rollouts.canonical_N, rollouts.correct_N, strict=True)
    strategy_N = [strategy if correct else None for strategy, correct in pairs]
    return {
        "strategies": distinct_strategies(strategy_N, m),
        "strategy_coverage": strategy_coverage(strategy_N, rollouts.n_classes, m),
    }


def _tokens(rollouts: RolloutSet, m: int, rng_of: Callable[[str], np.random.Generator]) -> dict[str, float]:
    names = ("self_bleu", "self_bleu_all", "edit_diversity", "distinct_4")
    if rollouts.token_ids_N is None:
        return dict.fromkeys(names, np.nan)
    tokens_N = rollouts.token_ids_N
    return {
        "self_bleu": self_bleu(tokens_N),
        "self_bleu_all": self_bleu(tokens_N, references="all", m=m, rng=rng_of("self_bleu_all"), subsets=SUBSETS),
        "edit_diversity": edit_diversity(tokens_N),
        "distinct_4": distinct_n(tokens_N, 4, m),
    }


def _embedding(
    embedding_ND: NDArray[np.float32] | None, m: int, rng_of: Callable[[str], np.random.Generator]
) -> dict[str, float]:
    there_ND = np.empty((0, 1)) if embedding_ND is None else embedding_ND[np.isfinite(embedding_ND).all(1)]
    if len(there_ND) < m:
        return dict.fromkeys(("vendi", "vendi_2", "dispersion"), np.nan)
    return {
        "vendi": vendi_score(there_ND, m=m, rng=rng_of("vendi"), subsets=SUBSETS),
        "vendi_2": vendi_score(there_ND, q=2.0, m=m, rng=rng_of("vendi_2"), subsets=SUBSETS),
        "dispersion": dispersion(there_ND),
    }
