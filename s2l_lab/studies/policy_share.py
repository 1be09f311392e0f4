"""Policy share: what does an explorer add to the learner's rollouts, beside what its nulls and controls add?

Every arm is decomposed against the learner at T = 1 in every feature (`between`), so "what the explorer adds" is a
number with an interval beside split halves (nothing), a sibling of the learner's size (another model), the learner at
T = 1.5 (token noise) and the learner at the temperature where its entropy, its KL or its pass@1 is the explorer's.
The size effect takes pretrained models as its unit: three small and three large ones at least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_seed
from s2l_lab.diversity.size_effects import SizeEffect, size_effect
from s2l_lab.studies.between import FEATURES, FEWEST_PERMUTATIONS, Feature, contrast, contrasts, null_shares
from s2l_lab.studies.contrast_arms import contrast_arms
from s2l_lab.studies.study import Measured, Watch
from s2l_lab.studies.vectors import embed_texts, embedding_words
from s2l_lab.studies.within import pass_at_1, texts_to_embed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.diversity.decomposition import Decomposition
    from s2l_lab.diversity.rollout_set import RolloutSet
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms, Role
    from s2l_lab.studies.contrast_plan import ContrastPlan
    from s2l_lab.studies.matching import Match
    from s2l_lab.studies.within import Vectors


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One arm against the learner."""

    name: str
    role: Role
    temperature: float
    matches: str | None
    features: Mapping[Feature, Decomposition]
    """The arm and the learner decomposed, by feature; features that do not exist here are left out."""
    accuracy: Estimate
    """pass@1 of the arm, 0 to 1."""


@dataclass(frozen=True, slots=True)
class SizeRow:
    """Is it small, or merely different? One explorer's size against the learner's."""

    explorer: str
    feature: Feature
    effect: SizeEffect


@dataclass(frozen=True, slots=True)
class PolicyShare:
    """The study's result."""

    learner: str
    learner_accuracy: Estimate
    rows: tuple[ShareRow, ...]
    split_halves: Mapping[Feature, Estimate]
    """Null of the shares, by feature: the learner's own rollouts in two halves, as a share (at most 1)."""
    sizes: tuple[SizeRow, ...]
    """The size effect of every explorer and feature; empty without pretraining seeds."""
    matches: tuple[Match, ...]


def measure(plan: ContrastPlan, command: str, watch: Watch) -> Measured:
    """Sample what the arms owe, embed their rollouts, and decompose every arm against the learner."""
    arms = contrast_arms(plan, announce=watch.announce)
    watch.announce(f"embedding the rollouts with {plan.embedder}")
    vectors, facts = embed_texts(texts_to_embed(s for arm in arms.all for s in arm.arm.rollout_sets()), plan.embedder)
    result = policy_share(arms, vectors, lambda name: watch.announce(f"decomposed: {name}"))
    interval = "95 % CI over problems; size effects: 95 % CI over pretrained models"
    about = arms.about(interval, command, embedding_words(facts))
    return Measured(result, about, arms.provenance(command))


def policy_share(
    arms: ContrastArms, vectors: Vectors | None, done: Callable[[str], None] = lambda _: None
) -> PolicyShare:
    """Decompose every arm against the learner. `vectors` None leaves the embedding out."""
    sets = {arm.arm.name: arm.arm.rollout_sets() for arm in arms.all}
    learner = arms.learner.arm.name
    reference = sets[learner]
    rows = []
    for arm in arms.others:
        if arm.role == "other seed":
            continue
        rows.append(_row(arm, sets[arm.arm.name], reference, vectors))
        done(arm.arm.name)
    null = null_shares(reference, vectors)
    sizes = _sizes(arms, sets, vectors, done) if arms.plan.seeds else ()
    return PolicyShare(learner, pass_at_1(learner, reference), tuple(rows), null, sizes, arms.matches)


def _row(
    arm: ContrastArm, sets: Sequence[RolloutSet], reference: Sequence[RolloutSet], vectors: Vectors | None
) -> ShareRow:
    features = contrasts(sets, reference, vectors, content_seed("policy share", arm.arm.name))
    return ShareRow(arm.arm.name, arm.role, arm.temperature, arm.matches, features, pass_at_1(arm.arm.name, sets))


def _sizes(
    arms: ContrastArms,
    sets: Mapping[str, Sequence[RolloutSet]],
    vectors: Vectors | None,
    done: Callable[[str], None],
) -> tuple[SizeRow, ...]:
    """For each explorer: all its seeds and all the learner's, every pair decomposed on the same problems."""
    learners = [arms.learner.arm.name, *(a.arm.name for a in arms.others if a.role == "sibling")]
    rows = []
    for explorer in arms.plan.explorers:
        others = [a.arm.name for a in arms.others if a.role == "other seed" and a.of == explorer]
        models = [explorer, *others, *learners]
        is_small = [name not in learners for name in models]
        for feature in FEATURES:
            between_MM = _between_all([sets[name] for name in models], feature, vectors)
            if between_MM is not None:
                rows.append(SizeRow(explorer, feature, size_effect(between_MM, is_small)))
        done(f"size effect of {explorer}")
    return tuple(rows)


def _between_all(
    sets: Sequence[Sequence[RolloutSet]], feature: Feature, vectors: Vectors | None
) -> NDArray[np.float64] | None:
    """Between-parts of all pairs of models (M, M), diagonal NaN; None where the feature does not exist or no problem
    has it for every model."""
    between_MMP = np.full((len(sets), len(sets), len(sets[0])), np.nan)
    for i, b in enumerate(sets):
        for j, a in enumerate(sets[:i]):
            found = contrast(b, a, feature, vectors, seed=0, permutations=FEWEST_PERMUTATIONS)
            if found is None:
                return None
            between_MMP[i, j] = between_MMP[j, i] = found.between_P
    pairs = ~np.eye(len(sets), dtype=bool)
    common_P = np.isfinite(between_MMP[pairs]).all(0)
    return between_MMP[:, :, common_P].mean(2) if common_P.any() else None
