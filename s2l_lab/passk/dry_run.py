"""What a request would take, without a hub and without a model: rollouts, tokens, FLOPs and, at a given rate, hours.

What lies on this machine is looked up as `make_plan` looks it up. What does not is taken from what is known by name:
the number of problems of a benchmark (catalog), a member's parameters (families.toml). What neither says is None, and
is said. FLOPs are those of the completions at full length, `max_tokens` each, since how long they will be is not known;
prompts are left out. A member whose files are here counts by its layers (estimators.compute); of another, a token is 2
FLOPs a parameter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2l_lab.errors import UsageError
from s2l_lab.estimators.compute import forward_flops
from s2l_lab.passk.plan import begun_run, benchmark_of, known_origin, members_of, recorded_policies, task_of
from s2l_lab.passk.prompted import PromptDefaults, prompt_notes
from s2l_lab.policies.checkpoint import Checkpoint, checkpoint_here
from s2l_lab.policies.opening import choose_engine, choose_template
from s2l_lab.problems.catalog import BENCHMARKS
from s2l_lab.problems.hub import cached

if TYPE_CHECKING:
    from s2l_lab.passk.plan import Task
    from s2l_lab.passk.request import PasskRequest
    from s2l_lab.policies.families import Member
    from s2l_lab.problems import Benchmark
    from s2l_lab.rollouts import RolloutStore


@dataclass(frozen=True, slots=True)
class Expected:
    """One policy of a forecast."""

    member: Member
    source: str
    """Where its files come from."""
    engine: str
    template: str | None
    """None where its tokenizer decides and is not here."""
    here: bool
    """Whether its files are on this machine; True for a policy that has none."""
    owed: int | None
    """Rollouts still to be sampled; None where the number of problems is not known."""
    flops_per_rollout: float | None
    """Of a completion of `max_tokens`; None where the policy's size is not known."""

    @property
    def flops(self) -> float | None:
        """At most, over the rollouts owed."""
        if self.owed == 0:
            return 0.0
        return None if self.owed is None or self.flops_per_rollout is None else self.owed * self.flops_per_rollout


@dataclass(frozen=True, slots=True)
class Forecast:
    """A request before anything is sampled."""

    request: PasskRequest
    benchmark: str
    problems: int | None
    """Number of problems; None where it is not known without the benchmark's file."""
    benchmark_here: bool
    expected: tuple[Expected, ...]
    """Small to large; policies of unknown size last."""
    notes: tuple[str, ...] = ()
    """What a person wants to be told of the prompts, of policies that are here: lines for the screen."""

    @property
    def wanted(self) -> int | None:
        """Rollouts that the report is made of."""
        return None if self.problems is None else len(self.expected) * self.problems * self.request.rollouts

    @property
    def owed(self) -> int | None:
        """Rollouts still to be sampled, over all policies."""
        owed = [one.owed for one in self.expected]
        return None if None in owed else sum(n for n in owed if n is not None)

    @property
    def flops(self) -> float | None:
        """At most, over the policies whose FLOPs are known; None where none are."""
        known = [one.flops for one in self.expected if one.flops is not None]
        return sum(known) if known else None

    def hours(self, rate: float) -> float | None:
        """Hours for those FLOPs at `rate` FLOP/s, as they are sustained. UsageError for a rate that is none."""
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"--rate is {rate:g}; it is a number of FLOP/s above 0, for example 4e14.")
        return None if self.flops is None else self.flops / rate / 3600


def forecast(request: PasskRequest, *, fresh: bool = False) -> Forecast:
    """Look up what is here and take the rest from what is known. `fresh` plans as if the run directory were empty.

    Raises as `make_plan`, but not for a benchmark or members that a hub would have to bring.
    """
    benchmark = _benchmark_here(request)
    members = members_of(request)
    files = {member.name: _files_here(request, member) for member, _ in members}
    problems = len(benchmark.problems) if benchmark is not None else _known_size(request)
    store = None if fresh else begun_run(request)
    try:
        tasks: dict[str, Task] = {}
        notes: list[str] = []
        if benchmark is not None:
            prompted = PromptDefaults.of(request, benchmark, store)
            for member, in_family in members:
                here, found = files[member.name]
                if here:
                    tasks[member.name] = task_of(request, prompted, benchmark, member, in_family, found, store)
            used = prompted.used_by([task.record for task in tasks.values()])
            notes = prompt_notes(benchmark.kind, used, list(tasks.values()))
        expected = [
            _expected(request, benchmark, problems, m, files[m.name], tasks.get(m.name), store) for m, _ in members
        ]
    finally:
        if store is not None:
            store.close()
    expected.sort(key=lambda one: one.flops_per_rollout if one.flops_per_rollout is not None else math.inf)
    name = request.benchmark if benchmark is None else benchmark.name
    return Forecast(request, name, problems, benchmark is not None, tuple(expected), tuple(notes))


def _benchmark_here(request: PasskRequest) -> Benchmark | None:
    """The benchmark, unless the hub would have to be asked for it."""
    source = BENCHMARKS.get(request.benchmark)
    if source is not None and request.data_root is None and cached(source) is None:
        return None
    return benchmark_of(request)


def _known_size(request: PasskRequest) -> int | None:
    known = BENCHMARKS[request.benchmark].problems
    if known is not None and request.problems is not None and request.problems > known:
        raise UsageError(
            f"benchmark {request.benchmark!r} has {known} problems, {request.problems} were asked for. Ask for 1 to "
            f"{known}."
        )
    return known if request.problems is None else request.problems


def _files_here(request: PasskRequest, member: Member) -> tuple[bool, Checkpoint | None]:
    """Whether the policy could be opened without a hub, and its files, if it has any."""
    if choose_engine(member, request.engine) not in ("transformers", "vllm"):
        return True, None
    found = checkpoint_here(member, request.model_root)
    return isinstance(found, Checkpoint), found if isinstance(found, Checkpoint) else None


def _expected(
    request: PasskRequest,
    benchmark: Benchmark | None,
    problems: int | None,
    member: Member,
    files: tuple[bool, Checkpoint | None],
    task: Task | None,
    store: RolloutStore | None,
) -> Expected:
    here, found = files
    wanted = None if problems is None else problems * request.rollouts
    owed, shape = wanted, None
    if task is not None:
        owed, shape = task.owed, task.shape
    elif found is not None:
        from s2l_lab.policies.model_shape import shape_of

        shape = shape_of(found)
    elif store is not None and benchmark is not None:
        # Weights that are not here: what the run recorded of this policy is taken at its word.
        record = recorded_policies(store).get(member.name)
        if record is not None and record.get("source") == member.source:
            origin = known_origin(store, member.name, record, request)
            if origin is not None:
                owed = sum(len(draws.indices) for draws in store.owed(benchmark.problems, origin, request.rollouts))
    length = request.sampling.max_tokens
    flops = None if member.parameters is None else 2.0 * member.parameters * length
    if shape is not None:
        flops = forward_flops(shape, length)
    if task is not None:
        template = task.prompting.template
    elif here:
        template = choose_template(member, found, request.template)
    else:
        template = member.template if request.template is None else request.template
    source = member.source if found is None else found.member.source
    return Expected(member, source, choose_engine(member, request.engine), template, here, owed, flops)
