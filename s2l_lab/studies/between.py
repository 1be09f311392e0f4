"""Between: what does one policy add to another? The between-part of a distance, within problems, with its nulls.

Four features, from final answers to wording. *strategies* are the correct rollouts' canonical answers (on Countdown:
solution classes) on problems where both policies have two correct ones; it is the only one that a worse policy cannot
win by being wrong in new ways. "The distributions differ" is true of any two policies, of one policy at two
temperatures too, so a share is read against split halves of the reference (0), not against nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from s2l_lab.diversity.decomposition import Decomposition, decompose, split_half
from s2l_lab.diversity.distances import label_distance, squared_euclidean
from s2l_lab.diversity.edit import edit_distances
from s2l_lab.diversity.rollout_set import set_clusters
from s2l_lab.studies.within import EMBEDDED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.diversity.rollout_set import RolloutSet
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.within import Vectors

Feature = Literal["answers", "strategies", "embedding", "tokens"]
FEATURES: tuple[Feature, ...] = get_args(Feature)
FEATURE_WORDS: dict[Feature, str] = {
    "answers": "different final answers (Gini-Simpson), all rollouts",
    "strategies": "different correct strategies (Gini-Simpson), correct rollouts only",
    "embedding": f"squared distance of sentence embeddings, the first {EMBEDDED} rollouts",
    "tokens": "normalised edit distance of tokens, all rollouts",
}
FEATURE_TITLES: dict[Feature, str] = {
    "answers": "answers",
    "strategies": "correct strategies",
    "embedding": "embeddings",
    "tokens": "tokens",
}
PERMUTATIONS = 999
FEWEST_PERMUTATIONS = 19
"""Number of permutations where only the between-part is wanted and no p."""


def contrast(
    policy: Sequence[RolloutSet],
    reference: Sequence[RolloutSet],
    feature: Feature,
    vectors: Vectors | None,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> Decomposition | None:
    """The decomposition of `policy` (b) against `reference` (a), problem by problem.

    None where the feature does not exist: no embeddings, or completions without token ids.
    """
    matrices, n_a = [], []
    for a, b in zip(reference, policy, strict=True):
        pair = _chosen(a, feature, vectors), _chosen(b, feature, vectors)
        distance = _distance(*pair, feature, vectors)
        if distance is None:
            return None
        matrices.append(distance)
        n_a.append(len(pair[0]))
    rng, cluster = np.random.default_rng(seed), set_clusters(reference)
    return decompose(matrices, n_a, rng=rng, permutations=permutations, cluster=cluster)


def halves(reference: Sequence[RolloutSet], feature: Feature, vectors: Vectors | None, seed: int) -> Estimate | None:
    """The null, as a share: the reference's own rollouts split at random into halves; None as above.

    The between-part of halves over twice the reference's mean distance, which for halves of one policy is what T is.
    """
    matrices = []
    for a in reference:
        chosen = _chosen(a, feature, vectors)
        distance = _distance(chosen, chosen.take(np.array([], np.int64)), feature, vectors)
        if distance is None:
            return None
        matrices.append(distance)
    null = split_half(matrices, rng=np.random.default_rng(seed))
    # Halves of two need four rollouts; the mean distance is that of the same problems.
    within_P = [d.sum() / (len(d) * (len(d) - 1)) for d in matrices if len(d) >= 4]
    scale = 2 * float(np.mean(within_P)) if within_P else np.nan
    if not scale > 0:
        return replace(null, value=np.nan, lower=np.nan, upper=np.nan)
    return replace(null, value=null.value / scale, lower=null.lower / scale, upper=null.upper / scale)


def contrasts(
    policy: Sequence[RolloutSet], reference: Sequence[RolloutSet], vectors: Vectors | None, seed: int
) -> dict[Feature, Decomposition]:
    """`contrast` in every feature that exists here."""
    found = {f: contrast(policy, reference, f, vectors, seed) for f in FEATURES}
    return {f: decomposition for f, decomposition in found.items() if decomposition is not None}


def null_shares(reference: Sequence[RolloutSet], vectors: Vectors | None) -> dict[Feature, Estimate]:
    """`halves` in every feature that exists here."""
    found = {f: halves(reference, f, vectors, seed=0) for f in FEATURES}
    return {f: estimate for f, estimate in found.items() if estimate is not None}


def _chosen(rollouts: RolloutSet, feature: Feature, vectors: Vectors | None) -> RolloutSet:
    """The rollouts that have the feature: correct ones for strategies, those with an embedding for embeddings."""
    if feature == "strategies":
        return rollouts.take(np.flatnonzero(rollouts.correct_N))
    if feature == "embedding" and vectors is not None:
        first = rollouts.text_N[:EMBEDDED]
        return rollouts.take(np.flatnonzero([np.isfinite(vectors[text]).all() for text in first]))
    return rollouts


def _distance(a: RolloutSet, b: RolloutSet, feature: Feature, vectors: Vectors | None) -> NDArray[np.float64] | None:
    """(N_a + N_b) square, a's rollouts first."""
    if feature in ("answers", "strategies"):
        return label_distance([*a.canonical_N, *b.canonical_N])
    if feature == "tokens":
        if a.token_ids_N is None or b.token_ids_N is None:
            return None
        return edit_distances([*a.token_ids_N, *b.token_ids_N])
    if vectors is None:
        return None
    texts = [*a.text_N, *b.text_N]
    width = next(iter(vectors.values())).size
    return squared_euclidean(np.array([vectors[text] for text in texts]).reshape(len(texts), width))
