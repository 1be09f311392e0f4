"""From a store to a report: counts, answers and totals through the estimators. No model is needed.

What depends on counts alone is made by `estimates`, which the app reads too. Random numbers (bootstrap replicates, vote
orders) are seeded by what they are about, so the same rollouts give the same report to the last digit, in whatever call
it is built.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2l_lab.estimators import (
    Comparison,
    Counts,
    Estimate,
    Unknown,
    Votes,
    leave_unknown_out,
    other_problem_guess,
    rollout_flops,
    uniform_guess,
)
from s2l_lab.estimators.curve import estimate_at
from s2l_lab.estimators.guess import CHOICE_ANSWERS, CHOICE_MAX_K
from s2l_lab.estimators.majority import maj_curves
from s2l_lab.passk.estimates import (
    estimate_rng,
    every_k,
    policy_comparisons,
    policy_cover,
    policy_curve,
    policy_pass_hat,
)
from s2l_lab.passk.report import PolicyReport
from s2l_lab.policies import ModelShape, SamplingParams
from s2l_lab.problems import Benchmark, Problem
from s2l_lab.problems.clusters import problem_clusters
from s2l_lab.rollouts import AnswerCount, Origin, RolloutStore
from s2l_lab.rollouts.repeats import doubt, is_greedy
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem

CARRIES_OVER = ("math", "choice", "exact")
"""Kinds whose answers mean the same on another problem, so that a policy's favourite answers can be guesses."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One policy's rollouts in the store."""

    origin: Origin
    shape: ModelShape | None


@dataclass(frozen=True, slots=True)
class Reader:
    """What all policies of a report are read with."""

    store: RolloutStore
    benchmark: Benchmark
    """The benchmark, reduced to the report's problems."""
    n_rollouts: int
    verifier_version: str
    sampling: SamplingParams
    largest_k: int
    """N, or the fewest verdicts of a problem where rollouts without one are left out."""
    unknown: Unknown = "bounds"
    left_out: tuple[str, ...] = ()
    """Problems that have no verdict of some policy; they are not in `benchmark`."""

    @property
    def problem_ids(self) -> list[str]:
        return [problem.id for problem in self.benchmark.problems]

    @property
    def cluster(self) -> tuple[str, ...] | None:
        """The problems' clusters, where their metadata names any."""
        return problem_clusters(self.benchmark.problems)

    def counts(self, origin: Origin) -> Counts:
        """Outcomes over sample indices below N."""
        counts = stored_counts(self.store, origin, self.verifier_version, self.benchmark.problems, self.n_rollouts)
        return counts if self.unknown == "bounds" else leave_unknown_out({origin.policy: counts}).counts[origin.policy]

    def without_unknown(self, sampled: Sequence[Sampled]) -> Reader:
        """The reader that leaves rollouts without a verdict out, and problems on which some policy has none."""
        verdicts = leave_unknown_out({one.origin.policy: self.counts(one.origin) for one in sampled})
        kept = tuple(p for p in self.benchmark.problems if p.id not in verdicts.left_out)
        benchmark = dataclasses.replace(self.benchmark, problems=kept)
        return dataclasses.replace(
            self,
            benchmark=benchmark,
            largest_k=verdicts.fewest,
            unknown="missing-at-random",
            left_out=verdicts.left_out,
        )


def stored_counts(store: RolloutStore, origin: Origin, version: str, problems: Sequence[Problem], n: int) -> Counts:
    """Outcomes of an origin's rollouts with sample index below n, by problem, with the problems' clusters."""
    c = store.counts(origin, version, [problem.id for problem in problems], n)
    return Counts(c.problem_ids, c.correct_P, c.total_P, c.unknown_P, problem_clusters(problems))


def policy_report(reader: Reader, sampled: Sampled, pool: VerifierPool) -> PolicyReport:
    """Everything about one policy."""
    origin, name = sampled.origin, sampled.origin.policy
    counts, n = reader.counts(origin), reader.largest_k
    total, unknown = counts.total_P, counts.unknown_P
    ks = every_k(n)
    answers = reader.store.answers(origin, reader.verifier_version, reader.problem_ids, reader.n_rollouts)
    gold = _gold_forms(reader.benchmark, answers, pool)
    votes = [_votes(a, g) for a, g in zip(answers, gold, strict=True)]
    if reader.unknown != "bounds":
        votes = [dataclasses.replace(one, unknown=0) for one in votes]
    majority = _majority(reader, votes, name)
    totals = reader.store.totals(origin, reader.problem_ids, reader.n_rollouts)
    own, why_not_own = _own(reader.benchmark, votes, ks)
    no_data = {"guess of own answers": why_not_own} if why_not_own else {}
    if unknown.any():
        why = f"{unknown.sum():,} of {total.sum():,} rollouts have no verdict, so only bounds are known"
        no_data = dict.fromkeys(("pass@k", "pass^k", "maj@k", "Cover@tau"), why) | no_data
    return PolicyReport(
        name=name,
        shape=sampled.shape,
        curve_rollouts=policy_curve(name, counts, n, "rollouts"),
        curve_problems=policy_curve(name, counts, n, "problems"),
        pass_hat_rollouts=policy_pass_hat(name, counts, n, "rollouts"),
        pass_hat_problems=policy_pass_hat(name, counts, n, "problems"),
        maj=majority["problems"],
        maj_rollouts=majority["rollouts"],
        cover=policy_cover(name, counts, n),
        guess_uniform=_uniform(reader.benchmark.answer_space, ks),
        guess_own=own,
        outcomes=reader.store.outcomes(origin, reader.verifier_version, reader.problem_ids, reader.n_rollouts),
        completion_tokens=totals.completion_tokens,
        prompt_tokens=totals.prompt_tokens,
        mean_length=totals.mean_length,
        mean_entropy=totals.mean_entropy,
        flops_per_rollout=_flops(sampled.shape, totals.prompt_tokens / max(totals.rollouts, 1), totals.mean_length),
        no_data=no_data,
        distinct=reader.store.distinct(origin, reader.problem_ids, reader.n_rollouts),
        cut_short=reader.store.cut_short(origin, reader.problem_ids, reader.sampling.max_tokens, reader.n_rollouts),
        remarks=_remarks(reader, origin),
    )


def _remarks(reader: Reader, origin: Origin) -> tuple[str, ...]:
    """What is kept of who sampled, and what its rollouts show by themselves."""
    kept = reader.store.remarks(origin)
    if is_greedy(reader.sampling):
        return kept
    found = doubt(reader.store.contents(origin, reader.problem_ids, reader.n_rollouts))
    return kept if found is None else (*kept, found)


def compare_policies(reader: Reader, sampled: Sequence[Sampled]) -> tuple[Comparison, ...]:
    """Every pair, in the given order (small to large); none where there is one policy."""
    return policy_comparisons({one.origin.policy: reader.counts(one.origin) for one in sampled}, reader.largest_k)


def _votes(answers: Sequence[AnswerCount], gold: frozenset[str]) -> Votes:
    """A problem's histogram as votes. An answer without a canonical form (unreadable) casts none, like no answer."""
    known = {a.canonical: a.count - a.unknown for a in answers if a.canonical is not None and a.count > a.unknown}
    correct = frozenset(a.canonical for a in answers if a.canonical is not None and a.correct) | gold
    unknown = sum(a.unknown for a in answers)
    silent = sum(a.count for a in answers) - sum(known.values()) - unknown
    return Votes(known, correct, silent, unknown)


def _gold_forms(
    benchmark: Benchmark, answers: Sequence[Sequence[AnswerCount]], pool: VerifierPool
) -> list[frozenset[str]]:
    """Canonical gold answers by problem, where answers carry over and no rollout has shown the form already."""
    open_ = [
        i
        for i, found in enumerate(answers)
        if benchmark.kind in CARRIES_OVER and not any(a.correct and a.canonical for a in found)
    ]
    items = [VerifyItem(benchmark.problems[i], rf"\boxed{{{benchmark.problems[i].answer}}}", False) for i in open_]
    forms = [frozenset[str]()] * len(answers)
    for i, verdict in zip(open_, pool.verify_many(items), strict=True):
        if verdict.outcome is Outcome.CORRECT and verdict.canonical is not None:
            forms[i] = frozenset({verdict.canonical})
    return forms


def _majority(reader: Reader, votes: Sequence[Votes], name: str) -> dict[str, tuple[tuple[int, Estimate], ...]]:
    """maj@k at powers of two up to N, and at N, by interval."""
    n = reader.largest_k
    ks = sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})
    rng = estimate_rng(reader.problem_ids, n, "maj@k", name)
    curves = maj_curves(votes, ks, ("problems", "rollouts"), rng=rng, cluster=reader.cluster)
    return {
        interval: tuple((k, estimate_at(curve, i, curve.n_problems * curve.n_rollouts)) for i, k in enumerate(ks))
        for interval, curve in curves.items()
    }


def _uniform(answer_space: int | None, ks: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The uniform guesser; NaN beyond k = 2 on a choice set, where it would say nothing."""
    if answer_space is None:
        return None
    reach = CHOICE_MAX_K if answer_space <= CHOICE_ANSWERS else int(ks[-1])
    guess = np.full(len(ks), np.nan)
    guess[ks <= reach] = uniform_guess(answer_space, ks[ks <= reach])
    return guess


def _own(benchmark: Benchmark, votes: Sequence[Votes], ks: NDArray[np.int64]) -> tuple[NDArray[np.float64] | None, str]:
    """The guesser who draws this policy's answers to the other problems, and why it has no value at some k.

    None where answers do not carry over, or where nothing is known of the answers to other problems; NaN at a k above
    what is known of them.
    """
    if benchmark.kind not in CARRIES_OVER or len(votes) < 2:
        return None, ""
    known = [one.total - one.unknown for one in votes]
    reach = sum(known) - max(known)
    guess = np.full(len(ks), np.nan)
    if reach:
        guess[ks <= reach] = other_problem_guess(votes, ks[ks <= reach])
    few = f"only {reach:,} rollouts of other problems have a verdict" if reach < ks[-1] else ""
    return (guess if reach else None), few


def _flops(shape: ModelShape | None, prompt_tokens: float, length: float) -> float:
    """Forward FLOPs of a rollout of mean length that reads its prompt by itself; NaN where a length is unknown."""
    if shape is None or not (math.isfinite(prompt_tokens) and math.isfinite(length)):
        return math.nan
    return float(rollout_flops(shape, max(round(prompt_tokens), 1), max(round(length), 1)))
