"""The persistence of a stored run: its policies scored under one of them, without sampling anything.

The study of `persistence` samples controls at matched temperatures, each in a run of its own: sampling parameters are
the identity of a run, so no run holds one policy at two temperatures. This shows the learner (the null) and the other
policies as explorers. Whether an explorer persists more than temperature does is not answered here, and who shows the
result says so. It is the same measurement on the first problems and rollouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.scoring import sampling_temperature
from s2l_lab.errors import PolicyError, UsageError, unknown_name
from s2l_lab.passk import PasskRequest
from s2l_lab.policies import SamplingParams
from s2l_lab.problems import Benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.studies.arms import Arm
from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms
from s2l_lab.studies.diversity import origins_in_order
from s2l_lab.studies.persistence import persistence
from s2l_lab.studies.plan import ContrastPlan
from s2l_lab.studies.run_members import member_here

if TYPE_CHECKING:
    from s2l_lab.policies.families import Member
    from s2l_lab.problems import Problem
    from s2l_lab.rollouts import Origin
    from s2l_lab.studies.persistence_report import Persistence


@dataclass(frozen=True, slots=True)
class RunPersistence:
    """What a run says, and what it was said of."""

    result: Persistence
    n_problems: int
    n_rollouts: int
    """Per problem and policy, at most."""


def persistence_of_run(
    path: Path,
    *,
    learner: str | None = None,
    policies: Sequence[str] | None = None,
    problems: int = 20,
    n: int = 16,
    announce: Callable[[str], None] = lambda _: None,
) -> RunPersistence:
    """Score a pass@k run's policies (None: all) under `learner` (None: the largest), on the first `problems` problems
    and the rollouts with sample index below n. Loads the models, from this machine alone.

    Raises UsageError for an unknown policy, fewer than two, and sampling that truncates; DataError for rollouts without
    token ids; PolicyError, before a model is loaded, for weights that are not on this machine, and for models that
    cannot be opened or compared.
    """
    with RolloutStore(path) as store:
        config = store.config
        sampling = SamplingParams.model_validate(config["sampling"])
        temperature = sampling_temperature(sampling)
        chosen = tuple(store.problems()[:problems])
        origins = {origin.policy: origin for origin in origins_in_order(store, policies, sampling)}
    names = list(origins)
    reference = names[-1] if learner is None else learner
    if reference not in origins:
        raise unknown_name("policy", reference, origins)
    if len(names) < 2:
        raise UsageError(f"{path}: persistence compares policies with a learner, and only {names[0]} was chosen.")
    request = PasskRequest(
        family=None,
        policies=("learner=scripted:0",),  # a request names some policy; these rollouts are there already
        benchmark=str(config["benchmark"]),
        rollouts=n,
        sampling=sampling,
        out=path,
    )
    members = _members(config, names, path)

    def arm(name: str, role: Any) -> ContrastArm:
        found = _arm(members[name], origins[name], request, chosen)
        return ContrastArm(found, role, temperature)

    explorers = tuple(name for name in names if name != reference)
    plan = ContrastPlan(
        learner=reference,
        explorers=explorers,
        benchmark=request.benchmark,
        problems=max(2, len(chosen)),
        rollouts=max(4, n),
        validation=f"not {request.benchmark}",
        max_tokens=sampling.max_tokens,
        seed=sampling.seed,
    )
    arms = ContrastArms(plan, arm(reference, "learner"), tuple(arm(name, "explorer") for name in explorers), ())
    return RunPersistence(persistence(arms, announce), len(chosen), n)


def _members(config: dict[str, Any], names: Sequence[str], path: Path) -> dict[str, Member]:
    """By name. PolicyError names all that cannot be scored."""
    found = {name: member_here(config, name) for name in names}
    if missing := [one for one in found.values() if isinstance(one, str)]:
        raise PolicyError(
            f"{path}: {len(missing)} of {len(names)} policies cannot be scored here:\n  " + "\n  ".join(missing) + "\n"
            "Choose policies whose weights are on this machine, or bring the others here."
        )
    return {name: one for name, one in found.items() if not isinstance(one, str)}


def _arm(member: Member, origin: Origin, request: PasskRequest, problems: tuple[Problem, ...]) -> Arm:
    kind = problems[0].kind
    benchmark = Benchmark(request.benchmark, problems, kind, None, {})
    return Arm(member.name, member, request, origin, benchmark, "")
