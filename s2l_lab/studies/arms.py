"""Arms: the policies of a study, each with how it is sampled, and their rollouts as the diversity metrics want them.

A policy at another temperature is another arm of the same study. A run directory holds one set of sampling parameters,
so arms live in several runs; each is an ordinary pass@k run, and what `s2l-lab passk` has sampled is used again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.diversity.rollout_set import RolloutSet, set_of_rows
from s2l_lab.errors import DataError
from s2l_lab.passk import PasskRequest, complete_run
from s2l_lab.policies.families import Member
from s2l_lab.problems import Benchmark, Problem
from s2l_lab.problems.clusters import problem_clusters
from s2l_lab.rollouts import Origin, Progress, RolloutStore
from s2l_lab.verifiers import Extraction, VerifierPool

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_COLUMNS = ("problem_id", "text", "token_ids", "stop_reason", "completion_tokens")
_VERDICT = ("outcome", "canonical")


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """The specification of an arm."""

    name: str
    """Name of the arm in tables and figures."""
    member: str
    """Name of the policy in the request's family."""
    request: PasskRequest
    """The run that holds its rollouts; arms with equal requests share one."""


@dataclass(frozen=True, slots=True)
class SampledArm:
    """An arm whose rollouts are stored and verified."""

    name: str
    member: Member
    request: PasskRequest
    origin: Origin
    benchmark: Benchmark
    verifier_version: str

    def rollout_sets(self) -> list[RolloutSet]:
        """One RolloutSet per problem, in the benchmark's order, of N rollouts each."""
        with RolloutStore(self.request.run_directory) as store:
            return read_sets(store, self.origin, self.verifier_version, self.benchmark.problems, self.request.rollouts)


@dataclass(frozen=True, slots=True)
class Completions:
    """Stored completions token by token, R of them, grouped by problem: what scoring needs."""

    problems: tuple[Problem, ...]
    problem_R: NDArray[np.int64]
    """Index into `problems` of each completion's problem, (R,), ascending."""
    token_ids_R: tuple[NDArray[np.int32], ...]
    """Token ids of each completion, R arrays, EOS included."""

    def clusters(self) -> list[str] | None:
        """The cluster of each completion's problem, (R,); None where every problem stands alone."""
        cluster_P = problem_clusters(self.problems)
        return None if cluster_P is None else [cluster_P[p] for p in self.problem_R]

    def half(self, *, first: bool, rollouts: int) -> Completions:
        """At most so many completions of each problem, of the first or the second half of the problems."""
        middle = len(self.problems) // 2
        place_R = np.arange(len(self.problem_R)) - np.searchsorted(self.problem_R, self.problem_R)
        keep = np.flatnonzero(((self.problem_R < middle) == first) & (place_R < rollouts))
        return Completions(self.problems, self.problem_R[keep], tuple(self.token_ids_R[i] for i in keep))


def read_completions(arm: SampledArm) -> Completions:
    """The arm's completions with sample index below N. Raises DataError where one has no token ids or is missing."""
    place = {problem.id: i for i, problem in enumerate(arm.benchmark.problems)}
    origin = arm.origin
    where = {
        "policy": origin.policy,
        "policy_digest": origin.policy_digest,
        "sampling_digest": origin.sampling_digest,
        "problem_id": list(place),
        "sample_index": range(arm.request.rollouts),
    }
    with RolloutStore(arm.request.run_directory) as store:
        table = store.read(["problem_id", "sample_index", "token_ids"], where)
    rows = table.to_pylist()
    if any(row["token_ids"] is None for row in rows):
        raise DataError(
            f"{arm.name} has rollouts without token ids in {arm.request.run_directory} (an endpoint gives text only); "
            "token by token nothing can be scored. Sample it with --engine transformers or vllm."
        )
    rows.sort(key=lambda row: (place[row["problem_id"]], row["sample_index"]))
    return Completions(
        arm.benchmark.problems,
        np.array([place[row["problem_id"]] for row in rows], dtype=np.int64),
        tuple(np.array(row["token_ids"], dtype=np.int32) for row in rows),
    )


def complete_arms(
    specs: Sequence[ArmSpec],
    *,
    announce: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> list[SampledArm]:
    """Sample and verify what the arms lack; the arms in the order of `specs`."""
    found: dict[tuple[PasskRequest, str], SampledArm] = {}
    with ExitStack() as stack:
        pools: dict[Extraction, VerifierPool] = {}
        for request in dict.fromkeys(spec.request for spec in specs):
            if request.extraction not in pools:
                pools[request.extraction] = stack.enter_context(VerifierPool(extraction=request.extraction))
            pool = pools[request.extraction]
            done = complete_run(request, pool=pool, announce=announce, progress=progress)
            for task, origin in zip(done.plan.tasks, done.origins, strict=True):
                found[request, task.member.name] = SampledArm(
                    task.member.name, task.member, request, origin, done.plan.benchmark, done.plan.verifier_version
                )
    return [_named(found[spec.request, spec.member], spec.name) for spec in specs]


def _named(arm: SampledArm, name: str) -> SampledArm:
    return SampledArm(name, arm.member, arm.request, arm.origin, arm.benchmark, arm.verifier_version)


def read_sets(
    store: RolloutStore, origin: Origin, version: str, problems: Sequence[Problem], n: int
) -> list[RolloutSet]:
    """The rollouts of one origin with sample index below n, one set per problem in this order.

    Raises DataError where one of them is missing or has no verdict of this version: a study never works on fewer
    rollouts than it says.
    """
    where = {
        "policy": origin.policy,
        "policy_digest": origin.policy_digest,
        "sampling_digest": origin.sampling_digest,
        "problem_id": [problem.id for problem in problems],
        "sample_index": range(n),
    }
    table = store.read([*_COLUMNS, *_VERDICT], where, version=version)
    by_problem = _rows_by_problem(table.filter(table["outcome"].is_valid()))
    sets = []
    clusters = problem_clusters(problems) or (None,) * len(problems)
    for problem, cluster in zip(problems, clusters, strict=True):
        rows = by_problem.get(problem.id, [])
        if len(rows) < n:
            raise DataError(
                f"{origin.policy} has {len(rows)} of {n} verified rollouts of problem {problem.id} in {store.path}. "
                "Run the `s2l-lab passk` call that made the run again: it samples and verifies what is owed."
            )
        sets.append(set_of_rows(problem.id, problem.kind, problem.metadata.get("n_classes"), rows, cluster))
    return sets


def _rows_by_problem(table: pa.Table) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        found.setdefault(row["problem_id"], []).append(row)
    return found
