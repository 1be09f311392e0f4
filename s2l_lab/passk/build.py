"""From a store to a report: counts, answers and totals through the estimators. No model is needed.

What depends on counts alone is made by `estimates`, which the app reads too. Random numbers (bootstrap replicates, vote
orders) are seeded by what they are about, so the same rollouts give the same report to the last digit, in whatever call
it is built.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2l_lab.estimators import (
    Comparison,
    Counts,
    Estimate,
    Votes,
    maj_at_k,
    other_problem_guess,
    pass_hat_k,
    rollout_flops,
    uniform_guess,
)
from s2l_lab.estimators.guess import CHOICE_ANSWERS, CHOICE_MAX_K
from s2l_lab.passk.estimates import estimate_rng, every_k, policy_comparisons, policy_cover, policy_curve
from s2l_lab.passk.report import PolicyReport
from s2l_lab.policies import ModelShape
from s2l_lab.problems import Benchmark
from s2l_lab.rollouts import AnswerCount, Origin, RolloutStore
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

    @property
    def problem_ids(self) -> list[str]:
        return [problem.id for problem in self.benchmark.problems]

    def counts(self, origin: Origin) -> Counts:
        """Outcomes over sample indices below N."""
        c = self.store.counts(origin, self.verifier_version, self.problem_ids, self.n_rollouts)
        return Counts(c.problem_ids, c.correct_P, c.total_P, c.unknown_P)


def policy_report(reader: Reader, sampled: Sampled, pool: VerifierPool) -> PolicyReport:
    """Everything about one policy."""
    origin, name = sampled.origin, sampled.origin.policy
    counts, n = reader.counts(origin), reader.n_rollouts
    ks = every_k(n)
    answers = reader.store.answers(origin, reader.verifier_version, reader.problem_ids, reader.n_rollouts)
    gold = _gold_forms(reader.benchmark, answers, pool)
    votes = [_votes(a, g) for a, g in zip(answers, gold, strict=True)]
    totals = reader.store.totals(origin, reader.problem_ids, reader.n_rollouts)
    return PolicyReport(
        name=name,
        shape=sampled.shape,
        curve_rollouts=policy_curve(name, counts, n, "rollouts"),
        curve_problems=policy_curve(name, counts, n, "problems"),
        pass_hat=pass_hat_k(counts.correct_P, counts.total_P, ks),
        maj=_majority(reader, votes, name),
        cover=policy_cover(name, counts, n),
        guess_uniform=_uniform(reader.benchmark.answer_space, ks),
        guess_own=_own(reader.benchmark, votes, ks),
        outcomes=reader.store.outcomes(origin, reader.verifier_version, reader.problem_ids, reader.n_rollouts),
        completion_tokens=totals.completion_tokens,
        prompt_tokens=totals.prompt_tokens,
        mean_length=totals.mean_length,
        mean_entropy=totals.mean_entropy,
        flops_per_rollout=_flops(sampled.shape, totals.prompt_tokens / max(totals.rollouts, 1), totals.mean_length),
    )


def compare_policies(reader: Reader, sampled: Sequence[Sampled]) -> tuple[Comparison, ...]:
    """Every pair, in the given order (small to large); none where there is one policy."""
    return policy_comparisons({one.origin.policy: reader.counts(one.origin) for one in sampled}, reader.n_rollouts)


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


def _majority(reader: Reader, votes: Sequence[Votes], name: str) -> tuple[tuple[int, Estimate], ...]:
    """maj@k at powers of two up to N, and at N."""
    n = reader.n_rollouts
    ks = sorted({2**i for i in range(n.bit_length()) if 2**i <= n} | {n})
    curve = maj_at_k(votes, ks, rng=estimate_rng(reader.problem_ids, n, "maj@k", name))
    return tuple(
        (
            k,
            Estimate(
                value=float(curve.value[i]),
                lower=float(curve.lower[i]),
                upper=float(curve.upper[i]),
                level=curve.level,
                method=curve.method[i],
                interval=curve.interval,
                n_problems=curve.n_problems,
                n_rollouts=curve.n_problems * n,
            ),
        )
        for i, k in enumerate(ks)
    )


def _uniform(answer_space: int | None, ks: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The uniform guesser; NaN beyond k = 2 on a choice set, where it would say nothing."""
    if answer_space is None:
        return None
    reach = CHOICE_MAX_K if answer_space <= CHOICE_ANSWERS else int(ks[-1])
    guess = np.full(len(ks), np.nan)
    guess[ks <= reach] = uniform_guess(answer_space, ks[ks <= reach])
    return guess


def _own(benchmark: Benchmark, votes: Sequence[Votes], ks: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The guesser who draws this policy's answers to the other problems; None where answers do not carry over."""
    if benchmark.kind not in CARRIES_OVER or len(votes) < 2:
        return None
    return other_problem_guess(votes, ks)


def _flops(shape: ModelShape | None, prompt_tokens: float, length: float) -> float:
    """Forward FLOPs of a rollout of mean length that reads its prompt by itself; NaN where a length is unknown."""
    if shape is None or not (math.isfinite(prompt_tokens) and math.isfinite(length)):
        return math.nan
    return float(rollout_flops(shape, max(round(prompt_tokens), 1), max(round(length), 1)))
