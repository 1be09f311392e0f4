"""From a store to a report: counts, answers and totals through the estimators. No model is needed.

Random numbers (bootstrap replicates, vote orders) are seeded by what they are about, so the same rollouts give the same
report to the last digit, in whatever call it is built.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s2l_lab.digest import content_digest
from s2l_lab.estimators import (
    Comparison,
    Counts,
    CoverCurve,
    Curve,
    Estimate,
    Unknown,
    Votes,
    compare_all,
    cover_curve,
    leave_unknown_out,
    other_problem_guess,
    pass_at_k_curve,
    pass_hat_k_curve,
    rollout_flops,
    uniform_guess,
)
from s2l_lab.estimators.guess import CHOICE_ANSWERS, CHOICE_MAX_K
from s2l_lab.estimators.majority import maj_curves
from s2l_lab.passk.report import PolicyReport
from s2l_lab.policies import ModelShape, SamplingParams
from s2l_lab.problems import Benchmark
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
    """Of the report's problems alone."""
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

    def counts(self, origin: Origin) -> Counts:
        """Outcomes over sample indices below N."""
        c = self.store.counts(origin, self.verifier_version, self.problem_ids, self.n_rollouts)
        counts = Counts(c.problem_ids, c.correct_P, c.total_P, c.unknown_P)
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

    def rng(self, *about: str) -> np.random.Generator:
        """The generator for one estimate of this report."""
        return np.random.default_rng(int(content_digest([self.benchmark.digest, self.n_rollouts, *about]), 16))


def policy_report(reader: Reader, sampled: Sampled, pool: VerifierPool) -> PolicyReport:
    """Everything about one policy."""
    origin, name = sampled.origin, sampled.origin.policy
    counts = reader.counts(origin)
    correct, total, unknown = counts.correct_P, counts.total_P, counts.unknown_P
    ks = np.arange(1, reader.largest_k + 1)
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
        curve_rollouts=pass_at_k_curve(correct, total, ks, interval="rollouts", unknown_P=unknown),
        curve_problems=pass_at_k_curve(
            correct, total, ks, interval="problems", unknown_P=unknown, rng=reader.rng("pass@k", name)
        ),
        pass_hat_rollouts=pass_hat_k_curve(correct, total, ks, interval="rollouts", unknown_P=unknown),
        pass_hat_problems=pass_hat_k_curve(
            correct, total, ks, interval="problems", unknown_P=unknown, rng=reader.rng("pass^k", name)
        ),
        maj=majority["problems"],
        maj_rollouts=majority["rollouts"],
        cover=_cover(reader, counts, ks / reader.largest_k, name),
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
    if len(sampled) < 2:
        return ()
    counts = {one.origin.policy: reader.counts(one.origin) for one in sampled}
    return tuple(compare_all(counts, rng=reader.rng("compare", *counts)))


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
    curves = maj_curves(votes, ks, ("problems", "rollouts"), rng=reader.rng("maj@k", name))
    return {interval: tuple((k, _estimate(curve, i)) for i, k in enumerate(ks)) for interval, curve in curves.items()}


def _estimate(curve: Curve, at: int) -> Estimate:
    return Estimate(
        value=float(curve.value[at]),
        lower=float(curve.lower[at]),
        upper=float(curve.upper[at]),
        level=curve.level,
        method=curve.method[at],
        interval=curve.interval,
        n_problems=curve.n_problems,
        n_rollouts=curve.n_problems * curve.n_rollouts,
    )


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


def _cover(reader: Reader, counts: Counts, taus: NDArray[np.float64], name: str) -> CoverCurve:
    """Cover@tau; where verdicts are missing, only what all wrong and all right agree on, within the ends of both."""
    low = cover_curve(counts.correct_P, counts.total_P, taus, rng=reader.rng("cover", name))
    if not counts.unknown_P.any():
        return low
    high = cover_curve(counts.correct_P + counts.unknown_P, counts.total_P, taus, rng=reader.rng("cover", name))
    return replace(
        low,
        plug_in=_settled(low.plug_in, high.plug_in),
        plug_in_lower=np.fmin(low.plug_in_lower, high.plug_in_lower),
        plug_in_upper=np.fmax(low.plug_in_upper, high.plug_in_upper),
        smoothed=_settled(low.smoothed, high.smoothed),
        smoothed_lower=np.fmin(low.smoothed_lower, high.smoothed_lower),
        smoothed_upper=np.fmax(low.smoothed_upper, high.smoothed_upper),
        npmle=_settled(low.npmle, high.npmle),
        bounds_lower=low.bounds_lower,
        bounds_upper=high.bounds_upper,
    )


def _settled(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The value with missing verdicts all wrong where it is the same with them all right, else NaN."""
    return np.where(np.abs(high - low) <= 1e-12, low, np.nan)


def _flops(shape: ModelShape | None, prompt_tokens: float, length: float) -> float:
    """Forward FLOPs of a rollout of mean length that reads its prompt by itself; NaN where a length is unknown."""
    if shape is None or not (math.isfinite(prompt_tokens) and math.isfinite(length)):
        return math.nan
    return float(rollout_flops(shape, max(round(prompt_tokens), 1), max(round(length), 1)))
