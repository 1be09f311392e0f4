"""PasskReports made from binomial draws by the real estimators: what figures and tables are tested on."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.estimators import Counts, Estimate, compare_all, cover_curve, pass_at_k_curve, pass_hat_k_curve
from s2l_lab.passk.report import PasskReport, PolicyReport
from s2l_lab.policies import ModelShape, SamplingParams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SMALL_FAMILY = (("tiny-60k", 61_000, 0.8, 2.6), ("tiny-360k", 362_000, 0.8, 2.0), ("tiny-2m", 1_930_000, 0.25, 0.45))
"""Name, parameters, and the Beta law of the solve rates: the largest is sharp, so the smaller ones overtake it."""


def once(make: Callable[..., PasskReport]) -> Callable[..., PasskReport]:
    """The same report for the same arguments: it is frozen, and tests only read it."""
    made: dict[str, PasskReport] = {}

    @functools.wraps(make)
    def report(*arguments: object, **options: object) -> PasskReport:
        key = repr((arguments, options))
        if key not in made:
            made[key] = make(*arguments, **options)
        return made[key]

    return report


@once
def synthetic_report(
    members: Sequence[tuple[str, int, float, float]] = SMALL_FAMILY,
    *,
    problems: int = 100,
    rollouts: int = 64,
    unknown: int = 0,
    guessers: int | None = None,
    interval: str = "rollouts",
    benchmark: str = "countdown",
    sampling: SamplingParams | None = None,
) -> PasskReport:
    """A report of `members`, all solving the same problems. `unknown` rollouts of the first problem have no verdict;
    `guessers` is the size of the answer space, if there is one."""
    rng = np.random.default_rng(3)
    ids = tuple(f"p{i}" for i in range(problems))
    difficulty_P = rng.random(problems)
    counts = {}
    for name, _, a, b in members:
        rates = np.quantile(rng.beta(a, b, 5_000), difficulty_P)
        correct = rng.binomial(rollouts, np.clip(rates + rng.normal(0, 0.03, problems), 0, 1))
        missing = np.zeros(problems, dtype=np.int64)
        correct[0], missing[0] = min(correct[0], rollouts - unknown), unknown
        counts[name] = Counts(ids, correct, np.full(problems, rollouts), missing)
    return PasskReport(
        benchmark=benchmark,
        benchmark_digest="3f8a09bc12de4567",
        provenance={"generator": "countdown", "seed": "0"},
        verifier_version="countdown-1",
        sampling=sampling or SamplingParams(temperature=0.7, top_p=0.8, top_k=20, max_tokens=128),
        interval=interval,
        n_problems=problems,
        n_rollouts=rollouts,
        policies=tuple(_policy(name, size, counts[name], rng, guessers) for name, size, _, _ in members),
        comparisons=tuple(compare_all(counts, rng=rng, replicates=400)) if len(counts) > 1 else (),
        unknown="bounds",
        left_out=(),
        command="s2l-lab passk --family tiny --preset nothink --presence-penalty 0 -n 64",
        run_directory=Path("runs/passk-tiny-countdown-3f8a09bc"),
        sampled=0,
        seconds=0.4,
    )


def _policy(name: str, size: int, counts: Counts, rng: np.random.Generator, guessers: int | None) -> PolicyReport:
    correct, total, unknown = counts.correct_P, counts.total_P, counts.unknown_P
    k = np.arange(1, total[0] + 1)
    votes = tuple((int(v), _vote(correct / total, int(v), len(correct))) for v in (1, 4, 16, 64) if v <= total[0])
    wrong = int((total - correct - unknown).sum())
    return PolicyReport(
        name=name,
        shape=ModelShape(size, size // 2, 48, 30, 2, 2, 32) if size else None,
        curve_rollouts=pass_at_k_curve(correct, total, interval="rollouts", unknown_P=unknown),
        curve_problems=pass_at_k_curve(correct, total, interval="problems", rng=rng, unknown_P=unknown, replicates=400),
        pass_hat_rollouts=pass_hat_k_curve(correct, total, interval="rollouts", unknown_P=unknown),
        pass_hat_problems=pass_hat_k_curve(correct, total, rng=np.random.default_rng(5), unknown_P=unknown),
        maj=votes,
        maj_rollouts=votes,
        cover=cover_curve(correct, total, k / total[0], rng=rng, replicates=400),
        guess_uniform=None if guessers is None else 1 - (1 - 1 / guessers) ** k,
        guess_own=None if guessers is None else 1 - (1 - 0.004) ** k,
        outcomes={
            "correct": int(correct.sum()),
            "incorrect": wrong - wrong // 8,
            "no_answer": 0,
            "truncated": wrong // 8,
            "verifier_error": int(unknown.sum()),
        },
        completion_tokens=31 * int(total.sum()),
        prompt_tokens=14 * int(total.sum()),
        mean_length=31.2,
        mean_entropy=0.41,
        flops_per_rollout=2.1e7 if size else float("nan"),
    )


def _vote(rates: np.ndarray, k: int, problems: int) -> Estimate:
    value = float((rates > 0.5 - 0.1 * np.log2(k) / 6).mean())
    return Estimate(value, value - 0.06, value + 0.06, 0.95, "studentised bootstrap", "problems", problems, k)
