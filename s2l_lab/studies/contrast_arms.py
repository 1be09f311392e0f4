"""The arms of a comparison of a learner with its explorers, each with the role that it plays in the argument.

    learner        the largest member at T = 1: the reference; its split halves are the null
    explorer       smaller members at T = 1: the claim
    sibling        the learner's size, other pretraining seeds: different, not small
    temperature    the learner at T = 1.5: the paper's token noise
    equal entropy, equal KL, equal pass@1
                   the learner at the temperature at which it looks like an explorer

Small members from other pretraining seeds are sampled too where seeds are given; they enter the size effect alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.policies.families import Family, Member, load_family
from s2l_lab.policies.opening import check_members, open_policy
from s2l_lab.policies.transformers_engine import TransformersPolicy
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.studies.arms import ArmSpec, SampledArm, complete_arms
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.matching import Match, Validation, find_matches
from s2l_lab.studies.siblings import FOLDER, pretrained_siblings, sibling_name
from s2l_lab.studies.study import details
from s2l_lab.verifiers import VerifierPool

if TYPE_CHECKING:
    from pathlib import Path

    from s2l_lab.problems import Benchmark
    from s2l_lab.rollouts import Progress

Role = Literal["learner", "explorer", "sibling", "other seed", "temperature", "entropy", "kl", "pass@1"]


@dataclass(frozen=True, slots=True)
class ContrastArm:
    """One arm with its role."""

    arm: SampledArm
    role: Role
    temperature: float
    matches: str | None = None
    """Name of the explorer that a matched control looks like; None for other arms."""
    of: str | None = None
    """Name of the family's member that this one is another pretraining seed of; None for other arms."""


@dataclass(frozen=True, slots=True)
class ContrastArms:
    """All arms of a study, sampled and verified."""

    plan: ContrastPlan
    learner: ContrastArm
    others: tuple[ContrastArm, ...]
    """All arms but the learner, in this order: explorers, siblings, other seeds, controls."""
    matches: tuple[Match, ...]

    @property
    def all(self) -> tuple[ContrastArm, ...]:
        """The learner first."""
        return (self.learner, *self.others)

    def about(self, interval: str, command: str, *made: str) -> tuple[str, ...]:
        """Lines for a caption: n, N and the interval, then the details, `made` among them."""
        plan, learner = self.plan, self.learner.arm
        return (
            f"{learner.benchmark.name}: n = {len(learner.benchmark.problems)} problems, N = {plan.rollouts} rollouts "
            f"per problem and arm; {interval}.",
            details(
                f"sampling T 1 unless said, top-p 1, top-k off, at most {plan.max_tokens} tokens, seed {plan.seed}",
                f"matched temperatures found on {plan.validation_problems} problems of {plan.validation}, "
                f"{plan.validation_rollouts} rollouts each",
                *made,
                f"Verifier {learner.verifier_version}",
                f"data {learner.benchmark.digest}",
                f"made by: {command}",
            ),
        )

    def provenance(self, command: str) -> dict[str, Any]:
        """What numbers.json says of where it comes from."""
        return {
            "command": command,
            "plan": self.plan.model_dump(mode="json", exclude={"model_root", "data_root"}),
            "data": self.learner.arm.benchmark.digest,
            "verifier_version": self.learner.arm.verifier_version,
            "policies": {one.arm.name: one.arm.origin.policy_digest for one in self.all},
        }


def contrast_arms(
    plan: ContrastPlan,
    *,
    pretrained: Path = FOLDER,
    announce: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ContrastArms:
    """Train the siblings that are missing, find the temperatures, sample and verify every arm.

    Raises UsageError for a member that the family lacks, PolicyError where members do not share a tokenizer or cannot
    be opened by the transformers engine, which alone shows the distributions that KL needs.
    """
    family = load_family(plan.family)
    members = {member.name: member for member in family.members}
    for name in (plan.learner, *plan.explorers):
        if name not in members:
            raise unknown_name(f"member of family {family.name}", name, members)
    check_members([members[name] for name in (*plan.explorers, plan.learner)], model_root=plan.model_root)
    matches = _matches(plan, members, announce)
    seeds = _seed_family(plan, family, pretrained, announce)
    arms: list[tuple[ArmSpec, Role, float, str | None, str | None]] = []
    native = plan.request((*plan.explorers, plan.learner))
    arms.append((ArmSpec(plan.learner, plan.learner, native), "learner", 1.0, None, None))
    arms += [(ArmSpec(name, name, native), "explorer", 1.0, None, None) for name in plan.explorers]
    if seeds is not None:
        request = plan.request(
            tuple(sibling_name(name, seed) for name in (*plan.explorers, plan.learner) for seed in plan.seeds),
            family=str(seeds),
        )
        for name in (plan.learner, *plan.explorers):
            role: Role = "sibling" if name == plan.learner else "other seed"
            for seed in plan.seeds:
                sibling = sibling_name(name, seed)
                arms.append((ArmSpec(sibling, sibling, request), role, 1.0, None, name))
    arms.append((_tempered(plan, plan.temperature), "temperature", plan.temperature, None, None))
    for match in matches:
        temperature = round(match.result.temperature, 4)
        if math.isfinite(temperature) and temperature != 1.0:  # at 1 it is the learner itself
            arms.append((_tempered(plan, temperature), match.matched, temperature, match.explorer, None))
    done = complete_arms([spec for spec, *_ in arms], announce=announce, progress=progress)
    all_arms = [
        ContrastArm(arm, role, temperature, matched, of)
        for arm, (_, role, temperature, matched, of) in zip(done, arms, strict=True)
    ]
    return ContrastArms(plan, all_arms[0], tuple(all_arms[1:]), matches)


def open_for_scoring(arm: SampledArm, plan: ContrastPlan) -> TransformersPolicy:
    """The arm's policy by the transformers engine, whose distributions can be read."""
    return _open(arm.member, plan)


def _open(member: Member, plan: ContrastPlan) -> TransformersPolicy:
    policy = open_policy(member, engine="transformers", model_root=plan.model_root)
    assert isinstance(policy, TransformersPolicy)
    return policy


def _tempered(plan: ContrastPlan, temperature: float) -> ArmSpec:
    name = f"{plan.learner} at T = {temperature:g}"
    return ArmSpec(name, plan.learner, plan.request((plan.learner,), temperature))


def validation_problems(plan: ContrastPlan) -> Benchmark:
    """The validation problems, none of which is a test problem: small procedural sets repeat items across seeds."""
    n, root = plan.validation_problems, plan.data_root
    test = {problem.id for problem in load_benchmark(plan.benchmark, n=plan.problems, data_root=root).problems}
    more = n if plan.validation_seed == 0 else n + plan.problems
    found = load_benchmark(plan.validation, n=more, seed=plan.validation_seed, data_root=root)
    apart = tuple(problem for problem in found.problems if problem.id not in test)[:n]
    return replace(found, problems=apart)


def _matches(plan: ContrastPlan, members: dict[str, Member], announce: Callable[[str], None]) -> tuple[Match, ...]:
    announce("finding the learner's temperatures of equal entropy, KL and pass@1 on validation problems")
    benchmark = validation_problems(plan)
    learner = _open(members[plan.learner], plan)
    explorers = [_open(members[name], plan) for name in plan.explorers]
    try:
        with VerifierPool() as pool:
            validation = Validation(benchmark, plan.validation_rollouts, plan.sampling(), learner, pool)
            return find_matches(validation, explorers, 1.0, announce)
    finally:
        for policy in (learner, *explorers):
            policy.close()


def _seed_family(plan: ContrastPlan, family: Family, pretrained: Path, announce: Callable[[str], None]) -> Path | None:
    if not plan.seeds:
        return None
    if not all(member.embedded for member in family.members):
        raise UsageError(
            f"family {family.name} has no recipe to pretrain seeds {list(plan.seeds)} from; leave `seeds` empty. The "
            "question small-or-different then stays open, and the report says so."
        )
    return pretrained_siblings(family.name, plan.seeds, pretrained, announce=announce)
