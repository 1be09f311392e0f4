"""A pretrained learner and a smaller sibling: pass@k at three temperatures and at equal entropy, and what the sibling
adds that a temperature does not.

Each benchmark is measured alone. Curves of both members are taken at every temperature, with answers read strictly and
leniently, so that a difference in format is not taken for one in skill. What the sibling adds is asked as in the
studies `policy_share` and `persistence`, on the same rollouts and with the same controls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from s2l_lab.estimators import Comparison, Counts, Curve
from s2l_lab.passk.build import stored_counts
from s2l_lab.passk.estimates import policy_comparisons, policy_curve
from s2l_lab.rollouts import RolloutStore
from s2l_lab.studies.arms import ArmSpec, SampledArm, complete_arms
from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms, contrast_arms
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.persistence import Persistence, persistence
from s2l_lab.studies.policy_share import PolicyShare, policy_share
from s2l_lab.studies.study import Measured, Watch, details
from s2l_lab.studies.vectors import embed_texts, embedding_words
from s2l_lab.studies.within import texts_to_embed
from s2l_lab.verifiers import Extraction

NATIVE = 1.0
"""Temperature of the policies as they are, which every plan holds."""
ENTROPY = "equal entropy"
"""Name of the condition in which the learner has the explorer's entropy."""


class PretrainedPlan(BaseModel):
    """Learner, explorer, benchmarks, temperatures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    """Registry name, or path of a family file with both members."""
    learner: str
    explorer: str
    benchmarks: tuple[str, ...] = Field(min_length=1)
    """Procedural benchmarks: the temperatures of the controls are found on items of another seed."""
    problems: int = Field(default=16, ge=2)
    rollouts: int = Field(default=64, ge=4)
    """N, the number of rollouts per problem and condition."""
    temperatures: tuple[float, ...] = (0.6, 1.0, 1.4)
    """Sampling temperatures of both members, ascending; 1 among them, the last one above it."""
    validation_problems: int = Field(default=8, ge=2)
    validation_rollouts: int = Field(default=16, ge=1)
    scored_rollouts: int = Field(default=16, ge=2)
    """Rollouts per problem and arm that are scored token by token for persistence, at most N."""
    max_tokens: int = Field(default=48, ge=1)
    seed: int = Field(default=0, ge=0)
    embedder: str = "minilm"
    """Sentence embedder: `minilm`, another by name, or `none`."""
    model_root: Path | None = None
    data_root: Path | None = None

    @model_validator(mode="after")
    def _temperatures_in_order(self) -> PretrainedPlan:
        given = self.temperatures
        if list(given) != sorted(set(given)) or min(given) <= 0 or NATIVE not in given or given[-1] == NATIVE:
            raise ValueError(
                f"temperatures are ascending, above 0, with {NATIVE:g} and one above it among them; {list(given)} was "
                "given"
            )
        return self

    def describe(self) -> str:
        """What it would sample, in a few lines."""
        conditions = 2 * len(self.temperatures) + 3
        total = conditions * len(self.benchmarks) * self.problems * self.rollouts
        return (
            f"{len(self.benchmarks)} benchmarks ({', '.join(self.benchmarks)}) x {conditions} conditions "
            f"({self.learner} and {self.explorer} at T = {', '.join(f'{t:g}' for t in self.temperatures)}; "
            f"{self.learner} at the entropy, KL and pass@1 of {self.explorer}) x {self.problems} problems x "
            f"{self.rollouts} rollouts = at most {total:,} rollouts of at most {self.max_tokens} tokens."
        )

    def contrast(self, benchmark: str) -> ContrastPlan:
        """The contrast of the two members on one of the benchmarks."""
        return ContrastPlan(
            family=self.family,
            learner=self.learner,
            explorers=(self.explorer,),
            benchmark=benchmark,
            problems=self.problems,
            rollouts=self.rollouts,
            temperature=self.temperatures[-1],
            validation=benchmark,
            validation_seed=1,
            validation_problems=self.validation_problems,
            validation_rollouts=self.validation_rollouts,
            max_tokens=self.max_tokens,
            seed=self.seed,
            embedder=self.embedder,
            model_root=self.model_root,
            data_root=self.data_root,
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """Both members at one temperature, or the learner at the explorer's entropy beside the explorer at 1."""

    name: str
    learner_temperature: float
    explorer_temperature: float
    curves: Mapping[Extraction, Mapping[str, Curve]]
    """pass@k at k = 1 to N by extraction, then by member, explorer first; intervals are over problems."""
    comparisons: Mapping[Extraction, Comparison]
    """Explorer minus learner, by extraction, with one band over all k."""


@dataclass(frozen=True, slots=True)
class PairOnBenchmark:
    """What was found on one benchmark."""

    benchmark: str
    digest: str
    conditions: tuple[Condition, ...]
    """By temperature, then equal entropy where it is within reach."""
    share: PolicyShare
    persistence: Persistence


@dataclass(frozen=True, slots=True)
class PretrainedPair:
    """The study's result."""

    learner: str
    explorer: str
    parts: tuple[PairOnBenchmark, ...]
    """By benchmark, in the plan's order."""


def measure(plan: PretrainedPlan, command: str, watch: Watch) -> Measured:
    """Sample what is owed on every benchmark, verify it in both ways, and ask what the explorer adds."""
    parts, provenance, made = [], {}, ""
    for benchmark in plan.benchmarks:
        watch.announce(f"== {benchmark}")
        contrast = plan.contrast(benchmark)
        arms = contrast_arms(contrast, announce=watch.announce, progress=watch.progress)
        vectors, facts = embed_texts(
            texts_to_embed(s for arm in arms.all for s in arm.arm.rollout_sets()), plan.embedder
        )
        made = embedding_words(facts)
        conditions = _conditions(plan, arms, watch)
        share = policy_share(arms, vectors)
        lasting = persistence(_fewer(arms, plan.scored_rollouts), announce=watch.announce)
        digest = arms.learner.arm.benchmark.digest
        parts.append(PairOnBenchmark(benchmark, digest, conditions, share, lasting))
        provenance[benchmark] = {k: v for k, v in arms.provenance(command).items() if k not in ("command", "plan")}
    result = PretrainedPair(plan.learner, plan.explorer, tuple(parts))
    about = (
        f"n = {plan.problems} problems per benchmark, N = {plan.rollouts} rollouts per problem and condition; 95 % CI "
        "over problems.",
        details(
            f"sampling top-p 1, top-k off, at most {plan.max_tokens} tokens, seed {plan.seed}",
            f"persistence from the first {min(plan.scored_rollouts, plan.rollouts)} rollouts per problem and arm",
            f"temperature of equal entropy found on {plan.validation_problems} other problems of each benchmark, "
            f"{plan.validation_rollouts} rollouts each",
            made,
            "data " + ", ".join(f"{part.benchmark} {part.digest}" for part in parts),
            f"made by: {command}",
        ),
    )
    plain_plan = plan.model_dump(mode="json", exclude={"model_root", "data_root"})
    return Measured(result, about, {"command": command, "plan": plain_plan, "benchmarks_made": provenance})


def _fewer(arms: ContrastArms, rollouts: int) -> ContrastArms:
    """The same arms with the first rollouts alone: reading every token by two models costs more than sampling it."""

    def cut(arm: ContrastArm) -> ContrastArm:
        n = min(rollouts, arm.arm.request.rollouts)
        return replace(arm, arm=replace(arm.arm, request=arm.arm.request.model_copy(update={"rollouts": n})))

    return replace(arms, learner=cut(arms.learner), others=tuple(map(cut, arms.others)))


def _conditions(plan: PretrainedPlan, arms: ContrastArms, watch: Watch) -> tuple[Condition, ...]:
    """Every temperature, then equal entropy where a temperature reaches it."""
    pairs = [(f"T = {t:g}", t, t) for t in plan.temperatures]
    matched = next(m.result.temperature for m in arms.matches if m.matched == "entropy")
    if math.isfinite(matched):
        pairs.append((ENTROPY, round(matched, 4), NATIVE))
    return tuple(_condition(plan, arms.plan, *pair, watch) for pair in pairs)


def _condition(
    plan: PretrainedPlan, contrast: ContrastPlan, name: str, learner_t: float, explorer_t: float, watch: Watch
) -> Condition:
    wanted = {plan.explorer: explorer_t, plan.learner: learner_t}
    curves: dict[Extraction, Mapping[str, Curve]] = {}
    comparisons: dict[Extraction, Comparison] = {}
    for extraction in get_args(Extraction):
        requests = {member: contrast.request((member,), at) for member, at in wanted.items()}
        read = {"extraction": extraction}
        specs = [ArmSpec(member, member, request.model_copy(update=read)) for member, request in requests.items()]
        done = complete_arms(specs, announce=watch.announce, progress=watch.progress)
        counts = {arm.name: _counts(arm) for arm in done}
        curves[extraction] = {m: policy_curve(m, c, plan.rollouts, "problems") for m, c in counts.items()}
        (comparisons[extraction],) = policy_comparisons(counts, plan.rollouts)
    return Condition(name, learner_t, explorer_t, curves, comparisons)


def _counts(arm: SampledArm) -> Counts:
    with RolloutStore(arm.request.run_directory) as store:
        return stored_counts(store, arm.origin, arm.verifier_version, arm.benchmark.problems, arm.request.rollouts)
