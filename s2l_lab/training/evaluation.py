"""pass@k while training: the learner as it is, sampled on held-out problems by our own sampler, never by TRL's.

Draws are keyed by the weights' digest, so equal learners give equal rollouts, whichever run they are from, and no
global generator is touched: a run that is evaluated trains as one that is not. What is sampled is kept in stores of the
usual kind: `evaluation-BENCHMARK` in the run directory with policies step-20, step-40, ...; and for the learner before
training one beside the run directories, which every run of that learner reads, so that a sweep samples it once.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from s2l_lab.digest import content_digest
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.device import device_name
from s2l_lab.policies.keyed_sampler.packed_linear import pack_linears
from s2l_lab.policies.transformers_engine import TransformersPolicy, weights_digest
from s2l_lab.rollouts import Origin, RolloutCounts, RolloutStore, RunManifest, Verify, collect
from s2l_lab.rollouts.durable import append_line, replacing
from s2l_lab.rollouts.listing import is_run
from s2l_lab.rollouts.lock import RunLockedError
from s2l_lab.training.perturbed import frozen_copy
from s2l_lab.training.report import EVALUATIONS, EvaluationReport
from s2l_lab.training.results import evaluation_curve
from s2l_lab.verifiers import verifier_version

if TYPE_CHECKING:
    from s2l_lab.problems import Benchmark, Problem
    from s2l_lab.training.plan import EvaluationPlan


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is asked, looked up."""

    plan: EvaluationPlan
    benchmark: Benchmark
    sampling: SamplingParams


class Evaluator:
    """Evaluates a model at a step, as many times as asked; `reports` are by benchmark, then step."""

    def __init__(
        self,
        evaluations: Sequence[Evaluation],
        tokenizer: Any,
        render: Callable[[Problem], str],
        template_digest: str,
        *,
        run: Path,
        verify: Verify,
    ) -> None:
        """`run` is the run directory; the shared store of the learner before training lies beside it."""
        self._evaluations, self._tokenizer, self._render = tuple(evaluations), tokenizer, render
        self._template_digest, self._run, self._verify = template_digest, run, verify
        self._found: dict[tuple[str, int], EvaluationReport] = {}

    @property
    def reports(self) -> tuple[EvaluationReport, ...]:
        """What was evaluated, by benchmark in the plan's order, then step."""
        order = [evaluation.benchmark.name for evaluation in self._evaluations]
        return tuple(self._found[key] for key in sorted(self._found, key=lambda key: (order.index(key[0]), key[1])))

    def resume(self, step: int) -> None:
        """Take up what an interrupted session had evaluated up to this step, and forget what came after."""
        path = self._run / EVALUATIONS
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() and step else []
        kept = [report for line in lines if (report := EvaluationReport.model_validate_json(line)).step <= step]
        self._found = {(report.benchmark, report.step): report for report in kept}
        if path.is_file():
            with replacing(path) as stream:
                stream.write("".join(f"{report.model_dump_json()}\n" for report in kept).encode())

    def due(self, step: int) -> bool:
        """Whether an evaluation between the ends falls on this step."""
        return any(e.plan.every is not None and step % e.plan.every == 0 for e in self._evaluations)

    def evaluate(self, model: Any, step: int, *, end: bool) -> dict[str, float]:
        """Evaluate at `step` what is due then, or everything at an `end` of training; metrics to be logged."""
        wanted = [(e, n) for e in self._evaluations if (n := self._rollouts(e, step, end=end)) is not None]
        if not wanted:
            return {}
        policy = self._policy(model, step)
        metrics: dict[str, float] = {}
        for evaluation, n in wanted:
            found = self._evaluated(policy, evaluation, step, n)
            self._found[evaluation.benchmark.name, step] = found
            append_line(self._run / EVALUATIONS, found.model_dump_json())  # an interrupted run keeps it
            for place, k in enumerate(found.k):
                name = f"eval/{found.benchmark}/pass@{k}"
                metrics |= {name: found.value[place], f"{name}/lower": found.lower[place]}
                metrics[f"{name}/upper"] = found.upper[place]
        return metrics

    def _rollouts(self, evaluation: Evaluation, step: int, *, end: bool) -> int | None:
        plan = evaluation.plan
        if end:
            return plan.rollouts
        return (plan.between or plan.rollouts) if plan.every is not None and step % plan.every == 0 else None

    def _policy(self, model: Any, step: int) -> TransformersPolicy:
        """The model as a policy. A small one on a CPU is copied, so that its layers can be packed for sampling."""
        training, frozen = model.training, model
        if next(model.parameters()).device.type == "cpu" and not hasattr(model, "peft_config"):
            frozen = frozen_copy(model)
        weights = weights_digest(frozen)
        if frozen is not model:
            pack_linears(frozen)
        policy = TransformersPolicy(
            f"step-{step}",
            frozen,
            self._tokenizer,
            self._render,
            weights=weights,
            template_digest=self._template_digest,
        )
        model.train(training)  # a policy's model is put into eval mode
        return policy

    def _evaluated(self, policy: TransformersPolicy, e: Evaluation, step: int, n: int) -> EvaluationReport:
        own = self._run / f"evaluation-{e.benchmark.name}"
        if step == 0:
            about = content_digest([policy.digest, e.benchmark.digest, e.sampling.digest])
            with contextlib.suppress(RunLockedError):  # another run is at it: sample for ourselves
                return self._sampled(self._run.parent / "before-training" / about, policy, e, step, n)
        return self._sampled(own, policy, e, step, n)

    def _sampled(self, path: Path, policy: TransformersPolicy, e: Evaluation, step: int, n: int) -> EvaluationReport:
        version = verifier_version(e.benchmark.kind)
        ids, origin = [problem.id for problem in e.benchmark.problems], Origin.of(policy, e.sampling)
        counts = _stored(path, origin, version, ids, n)
        if counts is None:
            config = {
                "evaluation": e.plan.model_dump(mode="json"),
                "benchmark": e.benchmark.name,
                "data": e.benchmark.digest,
                "sampling": e.sampling.model_dump(mode="json"),
            }
            manifest = RunManifest.of_this_process(
                config, device=device_name(), seeds={"run": e.sampling.seed}, verifier_version=version
            )
            identity = {"evaluation": 1, "data": e.benchmark.digest, "sampling": config["sampling"]}
            with RolloutStore.open(path, manifest, identity) as store, torch.no_grad():
                collect(
                    store, policy, e.benchmark.problems, n, e.sampling, verify=self._verify, verifier_version=version
                )
                counts = store.counts(origin, version, ids, n)
        ks = [k for k in sorted(set(e.plan.k)) if k <= n]
        curve = evaluation_curve(e.benchmark.digest, step, counts.correct_P, counts.total_P, counts.unknown_P, ks)
        return EvaluationReport(
            benchmark=e.benchmark.name,
            step=step,
            problem_ids=tuple(ids),
            correct=tuple(map(int, counts.correct_P)),
            total=tuple(map(int, counts.total_P)),
            unknown=tuple(map(int, counts.unknown_P)),
            k=tuple(map(int, curve.k)),
            value=tuple(map(float, curve.value)),
            lower=tuple(map(float, curve.lower)),
            upper=tuple(map(float, curve.upper)),
            data=e.benchmark.digest,
            sampling=e.sampling.digest,
            verifier_version=version,
            rollouts=os.path.relpath(path, self._run),
        )


def _stored(path: Path, origin: Origin, version: str, ids: Sequence[str], n: int) -> RolloutCounts | None:
    """What a store holds already, if that is everything."""
    if not is_run(path):
        return None
    with RolloutStore(path) as store:
        if origin not in store.origins():
            return None
        counts = store.counts(origin, version, ids, n)
    return counts if (counts.total_P >= n).all() else None
