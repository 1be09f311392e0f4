"""The main job: sample what is owed, verify it, report. One model is in memory at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError
from s2l_lab.passk.build import Reader, Sampled, compare_policies, policy_report
from s2l_lab.passk.example import prompt_line, showing_first
from s2l_lab.passk.plan import Plan, Task, make_plan, recorded_policies
from s2l_lab.passk.prompted import prompt_notes
from s2l_lab.passk.report import PasskReport
from s2l_lab.passk.request import PasskRequest
from s2l_lab.policies import Policy
from s2l_lab.policies.device import device_name
from s2l_lab.policies.instructions import NEEDED
from s2l_lab.policies.opening import check_members, open_policy
from s2l_lab.rollouts import (
    Origin,
    Progress,
    RolloutStore,
    RunManifest,
    collect,
    verify_errors_again,
    verify_unverified,
    verify_with,
)
from s2l_lab.rollouts.durable import WriteError
from s2l_lab.rollouts.listing import is_run
from s2l_lab.rollouts.lock import RunLockedError
from s2l_lab.rollouts.repeats import settle, unsettled
from s2l_lab.verifiers import VerifierPool

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Completed:
    """A request whose rollouts are all stored and verified."""

    plan: Plan
    """The plan as it was before sampling."""
    origins: tuple[Origin, ...]
    """Origins of the rollouts, in the order of the plan's tasks."""


def complete_run(
    request: PasskRequest,
    *,
    pool: VerifierPool,
    fresh: bool = False,
    announce: Callable[[str], None] = lambda _: None,
    show: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Completed:
    """Bring every policy to N verified rollouts per problem.

    `announce` gets a line when something slow begins. `show` gets a line with one rendered prompt before a policy is
    sampled, and one with a completion among the first (example.py). `progress`, and `show` for completions, are called
    from another thread while rollouts come in.
    A run whose rollouts and verdicts are all there is only read: no model is loaded and no lock is taken. Where some
    verdicts are errors of a cause that may have passed, those rollouts are verified again first, once.
    `pool` verifies by the request's extraction; UsageError for another one, whose verdicts would be kept as that.
    """
    if pool.extraction != request.extraction:
        raise UsageError(
            f"the pool reads answers by {pool.extraction} extraction and the request by {request.extraction}. Open "
            "VerifierPool(extraction=request.extraction)."
        )
    plan = make_plan(request, fresh=fresh)
    path = request.run_directory
    origins = None if fresh else _complete(plan, path)
    if origins is None:
        origins = _sample(plan, path, pool, fresh=fresh, announce=announce, show=show, progress=progress)
    elif errors := _passing_errors(plan, path, origins):
        announce(f"verifying {errors:,} rollouts again that had no verdict")
        try:
            _sample(plan, path, pool, fresh=False, announce=announce, show=show, progress=progress)
        except (RunLockedError, WriteError) as locked:  # the run is complete: it is reported as it stands
            announce(f"they stay without a verdict: {locked}")
    return Completed(plan, tuple(origins))


def run_passk(
    request: PasskRequest,
    *,
    fresh: bool = False,
    command: str = "",
    announce: Callable[[str], None] = lambda _: None,
    show: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> PasskReport:
    """Complete the run and report: see `complete_run`."""
    start = time.monotonic()
    path = request.run_directory
    with VerifierPool(extraction=request.extraction, seconds=request.verifier_timeout) as pool:
        done = complete_run(request, pool=pool, fresh=fresh, announce=announce, show=show, progress=progress)
        plan = done.plan
        with RolloutStore(path) as store:
            reader = Reader(
                store, plan.benchmark, request.rollouts, plan.verifier_version, request.sampling, request.rollouts
            )
            sampled = [Sampled(o, task.shape) for o, task in zip(done.origins, plan.tasks, strict=True)]
            if request.unknown != "bounds":
                reader = reader.without_unknown(sampled)
            policies = tuple(policy_report(reader, one, pool) for one in sampled)
            comparisons = compare_policies(reader, sampled)
    return PasskReport(
        benchmark=plan.benchmark.name,
        benchmark_digest=plan.benchmark.digest,
        provenance=plan.benchmark.provenance,
        verifier_version=plan.verifier_version,
        sampling=request.sampling,
        interval=request.interval,
        n_problems=len(reader.problem_ids),
        n_rollouts=reader.largest_k,
        unknown=reader.unknown,
        left_out=reader.left_out,
        policies=policies,
        comparisons=comparisons,
        command=command,
        run_directory=path,
        sampled=plan.owed,
        seconds=time.monotonic() - start,
    )


def _complete(plan: Plan, path: Path) -> list[Origin] | None:
    """The origins if every rollout has its verdict already, else None."""
    origins = [task.origin for task in plan.tasks if task.origin is not None]
    if plan.owed or len(origins) < len(plan.tasks):
        return None
    ids = [problem.id for problem in plan.benchmark.problems]
    n = plan.request.rollouts
    with RolloutStore(path) as store:
        for origin in origins:
            if (store.counts(origin, plan.verifier_version, ids, n).total_P < n).any():
                return None
            if unsettled(store, origin, ids, n, plan.request.sampling) is not None:
                return None
    return origins


def _passing_errors(plan: Plan, path: Path, origins: list[Origin]) -> int:
    """Rollouts of these policies without a verdict whose cause may have passed."""
    with RolloutStore(path) as store:
        return sum(store.number_of_errors(plan.verifier_version, origin, passing=True) for origin in origins)


def _sample(
    plan: Plan,
    path: Path,
    pool: VerifierPool,
    *,
    fresh: bool,
    announce: Callable[[str], None],
    show: Callable[[str], None],
    progress: Callable[[Progress], None],
) -> list[Origin]:
    """Sample and verify what is owed; the origins in the order of the tasks."""
    request = plan.request
    for in_family in (True, False):
        check_members(
            [task.member for task in plan.tasks if task.owed and task.in_family is in_family],
            engine=request.engine,
            model_root=request.model_root,
            trust_remote_code=request.trust_remote_code,
            one_tokenizer=in_family,
            promptings={task.member.name: task.prompting for task in plan.tasks},
            problems=plan.benchmark.problems,
        )
    known = {} if fresh or not is_run(path) else _records_of(path)
    config = request.model_dump(mode="json") | {
        "instruction": plan.identity.get("instruction", "none"),
        "preset_template": plan.prompted.template,
        "policies": _merged(known, {task.member.name: dict(task.record) for task in plan.tasks}),
    }
    if plan.prompted.instruction == "auto":
        config["instruction_text"] = NEEDED[plan.benchmark.kind]
    manifest = RunManifest.of_this_process(
        config,
        device=device_name(),
        seeds={"run": request.sampling.seed},
        verifier_version=plan.verifier_version,
    )
    verify = verify_with(pool)
    with RolloutStore.open(path, manifest, plan.identity, fresh=fresh) as store:
        origins = []
        for line in prompt_notes(plan.benchmark.kind, plan.prompted, plan.tasks):
            show(line)
        for task in plan.tasks:
            if task.origin is not None and not task.owed:
                verify_errors_again(store, verify, plan.verifier_version, task.origin, passing=True)
                verify_unverified(store, verify, plan.verifier_version, task.origin)
                ids = [problem.id for problem in plan.benchmark.problems]
                settle(store, task.origin, ids, request.rollouts, request.sampling, accept=request.accept_repeats)
                origins.append(task.origin)
                continue
            announce(f"opening {task.member.name}")
            policy = _open(task, request)
            try:
                first, name = plan.benchmark.problems[0], task.member.name
                show(prompt_line(name, task.prompting.template, first, policy.prompt(first)))
                collect(
                    store,
                    policy,
                    plan.benchmark.problems,
                    request.rollouts,
                    request.sampling,
                    verify=showing_first(verify, name, show),
                    verifier_version=plan.verifier_version,
                    progress=progress,
                    accept_repeats=request.accept_repeats,
                )
                origins.append(Origin.of(policy, request.sampling))
            finally:
                policy.close()
    return origins


def _merged(known: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """All records, `asked` in their order (small to large), which is the one that tables and the app list policies in:
    they stand in the places that they and the new ones have among all."""
    every, order = known | asked, iter(asked)
    return {name: every[name] for name in [next(order) if name in asked else name for name in every]}


def _records_of(path: Path) -> dict[str, Any]:
    with RolloutStore(path) as store:
        return recorded_policies(store)


def _open(task: Task, request: PasskRequest) -> Policy:
    return open_policy(
        task.member,
        engine=request.engine,
        dtype=request.dtype,
        tensor_parallel=request.tensor_parallel,
        max_model_len=request.max_model_len,
        model_root=request.model_root,
        prompting=task.prompting,
        trust_remote_code=request.trust_remote_code,
        tokenizer=request.tokenizer,
    )
