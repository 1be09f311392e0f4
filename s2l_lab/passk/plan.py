"""What a request would take: which policies, which of their rollouts are there, which are owed.

Making a plan loads no model, so a call whose rollouts are all there answers at once. A policy's digest is known only
once it was opened; a stored run is matched by what it recorded instead: source, revision (or fingerprint of the files),
template and engine of each policy by name. Another record under a known name is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s2l_lab.errors import UsageError
from s2l_lab.passk.prompted import PromptDefaults, prompting_of
from s2l_lab.passk.request import PasskRequest
from s2l_lab.policies import ModelShape
from s2l_lab.policies.checkpoint import Checkpoint, locate
from s2l_lab.policies.families import Member, load_family, parse_policy
from s2l_lab.policies.model_shape import shape_of
from s2l_lab.policies.opening import SERVED, choose_engine
from s2l_lab.policies.served_files import shape_in
from s2l_lab.policies.templates import Prompting
from s2l_lab.problems import Benchmark
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.rollouts import Origin, RolloutStore
from s2l_lab.rollouts.listing import is_run
from s2l_lab.verifiers import verifier_version


@dataclass(frozen=True, slots=True)
class Task:
    """One policy of the plan."""

    member: Member
    in_family: bool
    record: Mapping[str, Any]
    """What identifies the policy before it is opened."""
    prompting: Prompting
    """How it is prompted, its template included."""
    shape: ModelShape | None
    origin: Origin | None
    """Origin of the policy's rollouts in the store; None if there are none yet."""
    owed: int
    """Rollouts still to be sampled."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with everything looked up."""

    request: PasskRequest
    prompted: PromptDefaults
    benchmark: Benchmark
    verifier_version: str
    tasks: tuple[Task, ...]
    """Small to large; policies of unknown size last."""

    @property
    def identity(self) -> dict[str, Any]:
        """What the run directory's sessions have in common."""
        return self.request.identity() | self.prompted.identity

    @property
    def owed(self) -> int:
        """Rollouts still to be sampled, over all policies."""
        return sum(task.owed for task in self.tasks)

    @property
    def wanted(self) -> int:
        """Rollouts that the report is made of."""
        return len(self.tasks) * len(self.benchmark.problems) * self.request.rollouts


def make_plan(request: PasskRequest, *, fresh: bool = False) -> Plan:
    """Look everything up. `fresh` plans as if the run directory were empty.

    Raises UsageError, DataError or PolicyError for a benchmark, family, member or checkpoint that is not to be had, and
    for a run directory that holds other weights under one of these names.
    """
    benchmark = benchmark_of(request)
    members = members_of(request)
    if request.tokenizer is not None and not any(_served(request, member) for member, _ in members):
        raise UsageError(
            "--tokenizer is for served models (--policy NAME=http://...), and there is none. Leave it out."
        )
    found = _checkpoints(request, [member for member, _ in members])
    store = None if fresh else begun_run(request)
    try:
        prompted = PromptDefaults.of(request, benchmark, store)
        tasks = [
            task_of(request, prompted, benchmark, member, in_family, found.get(member.name), store)
            for member, in_family in members
        ]
    finally:
        if store is not None:
            store.close()
    prompted = prompted.used_by([task.record for task in tasks])
    tasks.sort(key=lambda task: _size(task.member, task.shape))
    return Plan(request, prompted, benchmark, verifier_version(benchmark.kind, request.extraction), tuple(tasks))


def begun_run(request: PasskRequest) -> RolloutStore | None:
    """The run that the request goes on with; None where nothing was sampled yet, since nothing then binds."""
    if not is_run(request.run_directory):
        return None
    store = RolloutStore(request.run_directory)
    if store.origins():
        return store
    store.close()
    return None


def recorded_policies(store: RolloutStore) -> dict[str, Any]:
    """Records of every policy that the run has seen, by name."""
    found: dict[str, Any] = store.config.get("policies", {})
    return found


def benchmark_of(request: PasskRequest) -> Benchmark:
    """The problems that the request names. Raises as `load_benchmark`."""
    return load_benchmark(
        request.benchmark,
        n=request.problems,
        data_root=request.data_root,
        question=request.question,
        answer=request.answer,
    )


def members_of(request: PasskRequest) -> list[tuple[Member, bool]]:
    """The policies of a request, each with whether it is of the family: the family's first, from small to large.

    Raises UsageError for unknown names, and where two policies have one.
    """
    if request.family is None and request.members is not None:
        raise UsageError("--member chooses among a family's members; name the family with --family.")
    family = () if request.family is None else load_family(request.family).select(request.members)
    members = [(member, True) for member in family] + [(parse_policy(policy), False) for policy in request.policies]
    names = [member.name for member, _ in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two policies are called {', '.join(twice)}; give --policy another NAME.")
    return members


def _checkpoints(request: PasskRequest, members: list[Member]) -> dict[str, Checkpoint]:
    """Files of the members that have some, by name; one PolicyError names all that are missing."""
    with_files = [m for m in members if choose_engine(m, request.engine) in ("transformers", "vllm")]
    return {c.member.name: c for c in locate(with_files, request.model_root, request.trust_remote_code)}


def task_of(
    request: PasskRequest,
    prompted: PromptDefaults,
    benchmark: Benchmark,
    member: Member,
    in_family: bool,
    checkpoint: Checkpoint | None,
    store: RolloutStore | None,
) -> Task:
    """What one policy takes; `checkpoint` None is a policy without files. Raises as `known_origin`."""
    shape = None if checkpoint is None else shape_of(checkpoint)
    engine = choose_engine(member, request.engine)
    prompting = prompting_of(request, prompted, member, checkpoint)
    begun = None if store is None else recorded_policies(store).get(member.name)
    if prompting.template == SERVED and begun is not None and begun.get("template") == "raw":
        # Once every server was sent text: such a run goes on as it was begun.
        prompting = prompting.model_copy(update={"template": "raw"})
    record = {
        "source": member.source if checkpoint is None else checkpoint.member.source,
        "revision": member.source if checkpoint is None else checkpoint.revision,
        "template": prompting.template,
        "engine": engine,
    }
    if engine != "scripted":  # a script reads no prompt
        record |= prompting.extras
    if request.tokenizer is not None and _served(request, member):
        shape = shape_in(member, request.tokenizer)
        record["tokenizer"] = str(request.tokenizer)
    wanted = len(benchmark.problems) * request.rollouts
    origin = None if store is None else known_origin(store, member.name, record, request)
    if store is None or origin is None:
        return Task(member, in_family, record, prompting, shape, None, wanted)
    owed = sum(len(draws.indices) for draws in store.owed(benchmark.problems, origin, request.rollouts))
    return Task(member, in_family, record, prompting, shape, origin, owed)


def known_origin(store: RolloutStore, name: str, record: Mapping[str, Any], request: PasskRequest) -> Origin | None:
    """The origin of what this policy has in the store. Raises UsageError for another policy under its name, if it has
    rollouts: a name that was given to a mistyped source is free again."""
    known = recorded_policies(store).get(name)
    stored = [origin for origin in store.origins() if origin.policy == name]
    if known is None or not stored:
        return None
    # As JSON: true, 1 and 1.0 are equal in Python and are different words in a prompt.
    before, after = ({key: json.dumps(value, sort_keys=True) for key, value in of.items()} for of in (known, record))
    if before != after:
        differing = ", ".join(
            f"{key}: another content" if key == "template_text" else f"{key}: {known.get(key)} -> {record.get(key)}"
            for key in dict.fromkeys([*record, *known])
            if before.get(key) != after.get(key)
        )
        raise UsageError(
            f"{store.path} holds rollouts of another policy called {name} ({differing}). Give --out another directory, "
            f"--fresh to move this run aside, or --policy another NAME."
        )
    digest = request.sampling.digest
    origins = [origin for origin in stored if origin.sampling_digest == digest]
    return origins[0] if len(origins) == 1 else None


def _served(request: PasskRequest, member: Member) -> bool:
    return choose_engine(member, request.engine) == "endpoint"


def _size(member: Member, shape: ModelShape | None) -> float:
    if shape is not None:
        return shape.parameters
    return member.parameters if member.parameters is not None else float("inf")
