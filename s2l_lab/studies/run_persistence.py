"""The persistence of a stored run: its policies scored under one of them, without sampling anything.

The study of `persistence` samples controls at matched temperatures; a run that is there has none, so this shows the
learner (the null) and the other policies as explorers. Whether an explorer persists more than temperature does is not
answered here, and who shows the result says so. It is the same measurement on the first problems and rollouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.scoring import sampling_temperature
from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.passk import PasskRequest
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.families import Member
from s2l_lab.problems import Benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.studies.arms import Arm
from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms
from s2l_lab.studies.diversity import origins_in_order
from s2l_lab.studies.persistence import persistence
from s2l_lab.studies.plan import ContrastPlan

if TYPE_CHECKING:
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
    and the rollouts with sample index below n. Loads the models.

    Raises UsageError for an unknown policy, fewer than two, a run whose configuration names no models, and sampling
    that truncates; DataError for rollouts without token ids; PolicyError for models that cannot be opened or compared.
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
    members = {name: _member(config, name, path) for name in names}

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
        model_root=None if config.get("model_root") is None else Path(config["model_root"]),
    )
    arms = ContrastArms(plan, arm(reference, "learner"), tuple(arm(name, "explorer") for name in explorers), ())
    return RunPersistence(persistence(arms, announce), len(chosen), n)


def _member(config: Mapping[str, Any], name: str, path: Path) -> Member:
    """What the run says of the policy's weights."""
    record = config.get("policies", {}).get(name)
    if not isinstance(record, dict) or not record.get("source"):
        raise UsageError(f"{path} does not say where the weights of {name} are, so it cannot be scored.")
    revision = record.get("revision")
    pinned = None if revision is None or str(record["source"]).startswith("embedded:") else revision
    return Member(name=name, source=record["source"], revision=pinned, template=record.get("template") or "raw")


def _arm(member: Member, origin: Origin, request: PasskRequest, problems: tuple[Problem, ...]) -> Arm:
    kind = problems[0].kind
    benchmark = Benchmark(request.benchmark, problems, kind, None, {})
    return Arm(member.name, member, request, origin, benchmark, "")
