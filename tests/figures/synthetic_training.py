"""TrainingReports of known truth: every arm has a solve-rate shift of its own, every seed and problem an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.training.report import CostReport, EvaluationReport, SpentReport, TrainingReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEPS = (0, 15, 30, 45, 60)
PROBLEMS = 40
FIGURE: dict[str, Any] = {
    "kind": "curves",
    "baseline": "GRPO",
    "benchmarks": ["countdown"],
    "curve_k": [1, 16],
    "end_k": [1, 64],
    "margin": 0.004,
}
"""A plan's [figure] without its title, panels and claims."""


def counts(shift: float, seed: int, step: int, n: int, *, problems: int = PROBLEMS, benchmark: str = "x") -> list[int]:
    """Correct of n for each problem: a rate by problem, raised by `shift` over the run, moved a little by the seed."""
    place = sum(map(ord, benchmark))
    problem_P = np.random.default_rng(place).beta(0.4, 4.0, problems)
    moved = np.random.default_rng([seed, place]).normal(0, 0.01) if step else 0.0
    rate_P = np.clip(problem_P + (shift * step / STEPS[-1] + moved), 0.001, 0.999)
    return np.random.default_rng([seed if step else 0, step, place]).binomial(n, rate_P).tolist()


def evaluation(benchmark: str, step: int, correct: Sequence[int], n: int, *, unknown: int = 0) -> EvaluationReport:
    """The values and ends of a real report are not read by the figures: they make their own over seeds."""
    size = len(correct)
    return EvaluationReport(
        benchmark=benchmark,
        step=step,
        problem_ids=tuple(f"{benchmark}-{i}" for i in range(size)),
        correct=tuple(correct),
        total=(n,) * size,
        unknown=(unknown, *(0,) * (size - 1)),
        k=(1,),
        value=(0.0,),
        lower=(0.0,),
        upper=(0.0,),
        data="0123456789abcdef",
        sampling="fedcba9876543210",
        verifier_version="countdown-1",
        rollouts="evaluation",
    )


def report(
    seed: int,
    shift: float = 0.03,
    *,
    relative: float | None = 1.0,
    share: float | None = 0.0,
    benchmarks: Sequence[str] = ("countdown",),
    problems: int = PROBLEMS,
    unknown: int = 0,
    plan: Mapping[str, Any] | None = None,
) -> TrainingReport:
    """A finished run, N = 64 before and after and 16 between."""
    found = [
        evaluation(name, step, counts(shift, seed, step, n, problems=problems, benchmark=name), n, unknown=unknown)
        for name in benchmarks
        for step in STEPS
        for n in (64 if step in (0, STEPS[-1]) else 16,)
    ]
    part = SpentReport(tokens=1, flops=1.0, seconds=1.0)
    return TrainingReport(
        digest=f"{seed}-{shift}",
        plan=dict(plan or {}),
        command="",
        steps=STEPS[-1],
        rounds=STEPS[-1],
        evaluations=tuple(found),
        cost=CostReport(explorer=part, learner=part, updates=part, grpo_rollout_flops=1.0),
        relative_rollout_compute=relative,
        explorer_share=share,
        seconds=1.0,
    )


def reports(arms: Mapping[str, tuple[Sequence[int], float]], **about: object) -> dict[str, dict[int, TrainingReport]]:
    """Arm -> seed -> report, from arm -> (seeds, shift)."""
    return {
        name: {seed: report(seed, shift, **about) for seed in seeds}  # type: ignore[arg-type]
        for name, (seeds, shift) in arms.items()
    }
