"""Evaluated runs to the numbers that figures, tables and the app show: levels over steps, differences, decisions, cost.

Nobody else computes any of these. Levels and differences carry intervals about other seeds and other problems, crossed
(estimators.seeds, seed_differences); they are made there and only put together here. Pairs are by seed: seed s of both
arms has the same initial model and data order. Where all seeds draw from one rollout bank, by their plans, the number
says so. Seeds that one arm lacks are left out of the pair, not of the level, and every number says how many it has. An
arm of a sweep without a finished run stays, with nothing but the seeds that it owes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_seed
from s2l_lab.errors import DataError
from s2l_lab.estimators import Estimate, pass_at_k_curve, seed_difference, seeds_curve
from s2l_lab.estimators.curve import estimate_at, settled
from s2l_lab.estimators.decisions import Decision, judge
from s2l_lab.estimators.seed_differences import for_these_banks
from s2l_lab.training.arms import bank_of, evaluations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from s2l_lab.estimators import Curve
    from s2l_lab.estimators.estimate import Floats, Ints
    from s2l_lab.training.arms import Arm, TrainingRun
    from s2l_lab.training.claims import ClaimPlan, TrainingFigure
    from s2l_lab.training.report import EvaluationReport, TrainingReport

Reports = dict[int, "TrainingReport"]
"""Seed -> the report of its finished run."""


@dataclass(frozen=True, slots=True)
class SeedCounts:
    """Outcomes of an arm at one step on one set of problems. S seeds, P problems."""

    seeds: tuple[int, ...]
    problem_ids: tuple[str, ...]
    correct_SP: Ints
    total_SP: Ints
    bank_S: tuple[str | None, ...]
    """Rollout bank that each seed's explorer reads; None if its explorer is no bank."""
    unknown_SP: Ints
    """Rollouts that no verifier could judge: neither right nor wrong."""

    def of(self, seeds: Sequence[int]) -> tuple[Ints, Ints]:
        """Correct and total of these seeds, in this order."""
        rows = [self.seeds.index(seed) for seed in seeds]
        return self.correct_SP[rows], self.total_SP[rows]

    @property
    def largest_k(self) -> int:
        """The smallest N."""
        return int(self.total_SP.min())

    def estimate(self, k: int) -> Estimate:
        """pass@k of the arm, about other seeds and other problems: whoever shows it takes it from here. Where unknown
        rollouts leave the value open it is NaN, and the ends are those of all wrong and all right."""
        bounds = [self.correct_SP, *([self.correct_SP + self.unknown_SP] if self.unknown_SP.any() else [])]
        curves = [seeds_curve(one, self.total_SP, [k], rng=np.random.default_rng(0)) for one in bounds]
        low, high = curves[0], curves[-1]
        return replace(
            estimate_at(low, 0, int(self.total_SP.sum())),
            value=float(settled(low.value, high.value)[0]),
            upper=float(high.upper[0]),
            given=for_these_banks(len(set(self.bank_S) - {None})),
        )


@dataclass(frozen=True, slots=True)
class Level:
    """pass@k of an arm at a step."""

    step: int
    k: int
    estimate: Estimate
    unknown: int = 0
    """Rollouts at this step that no verifier could judge."""


@dataclass(frozen=True, slots=True)
class StepCurve:
    """A number of an arm over optimiser steps, with its interval. Arrays have shape (S,): steps that every seed has."""

    step_S: Ints
    value_S: Floats
    lower_S: Floats
    upper_S: Floats
    """Ends at 95 %; NaN where there is no interval, as over a single seed."""
    n_seeds: int
    method: str

    @property
    def points(self) -> list[tuple[int, float, float, float]]:
        """(step, value, lower, upper) of each step."""
        columns = (self.step_S, self.value_S, self.lower_S, self.upper_S)
        return list(zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True, slots=True)
class ArmCost:
    """Over the finished runs of an arm."""

    relative: float
    """Rollout FLOPs over GRPO's, the explorer's included; mean over seeds. NaN without rollouts."""
    low: float
    high: float
    """Least and largest over seeds."""
    explorer_share: float
    """Explorer's share of the rollout FLOPs, mean over seeds, 0 to 1."""
    n_seeds: int


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm. Groups are benchmarks that are evaluated together."""

    name: str
    baseline: str
    """Name of the arm to which this one is compared; its own name for a baseline."""
    finished: tuple[int, ...]
    owed: tuple[int, ...]
    """Seeds whose runs are not finished."""
    levels: Mapping[tuple[str, ...], tuple[Level, ...]]
    """By group: every step that all finished runs were evaluated at, every k of the figure that N allows."""
    ends: Mapping[tuple[str, ...], tuple[Level, ...]]
    """Levels after training."""
    differences: Mapping[tuple[tuple[str, ...], int], Estimate]
    """(group, k) -> this arm minus the baseline after training; empty for the baseline."""
    cost: ArmCost | None


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """A claim with what was found."""

    plan: ClaimPlan
    difference: Estimate | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class TrainingResults:
    """Everything that a figure shows of ours."""

    arms: tuple[ArmResult, ...]
    claims: tuple[ClaimResult, ...]
    before: Mapping[tuple[str, tuple[str, ...]], tuple[Level, ...]]
    """(baseline, group) -> the learner before training."""

    def arm(self, name: str) -> ArmResult:
        """By name."""
        return next(arm for arm in self.arms if arm.name == name)


def training_results(
    plan: TrainingFigure, wanted: Mapping[str, Sequence[int]], reports: Mapping[str, Reports]
) -> TrainingResults:
    """`wanted` are the seeds of every arm of the sweep, `reports` those of finished runs.

    Raises DataError where runs that are compared were evaluated on different problems or a difference would rest on
    rollouts that nobody could judge: unknown is not wrong.
    """
    arms = tuple(_arm(plan, name, wanted[name], reports) for name in plan.arms)
    claims = _claims(plan, reports)
    before = {
        (baseline, group): _levels(counts_at(reports.get(baseline, {}), group, 0), 0, plan.end_k)
        for baseline in dict.fromkeys(arm.baseline for arm in arms)
        for group in plan.groups
    }
    return TrainingResults(arms, claims, before)


def evaluation_levels(arm: Arm, benchmark: str, k: int) -> tuple[Level, ...]:
    """pass@k of an arm on one benchmark at each evaluated step that every seed has; runs need not be finished.

    Over the arm's seeds, other training runs being resampled with other problems, as `training_results` has it; of one
    seed the interval is that run's own, over problems, and its method says so. Steps where k exceeds some seed's N, or
    whose problems differ between seeds, are left out.
    """
    by_seed = [(run, {e.step: e for e in evaluations(run) if e.benchmark == benchmark}) for run in arm.runs]
    by_seed = [(run, found) for run, found in by_seed if found]
    shared = sorted(set.intersection(*(set(found) for _, found in by_seed))) if by_seed else []
    levels = []
    for step in shared:
        reports = [found[step] for _, found in by_seed]
        if k <= min(min(report.total) for report in reports) and len({report.problem_ids for report in reports}) == 1:
            unknown = sum(sum(report.unknown) for report in reports)
            levels.append(Level(step, k, _of_seeds([run for run, _ in by_seed], reports, k), unknown))
    return tuple(levels)


def step_curve(levels: Sequence[Level]) -> StepCurve:
    """The estimates of one k, by step, as a curve."""
    estimates = [level.estimate for level in levels]
    value, lower, upper = (np.array([getattr(e, end) for e in estimates], float) for end in ("value", "lower", "upper"))
    seeds = max((e.n_seeds or 1 for e in estimates), default=0)
    method = "; ".join(dict.fromkeys(map(how, estimates)))
    return StepCurve(np.array([level.step for level in levels], np.int64), value, lower, upper, seeds, method)


def how(estimate: Estimate) -> str:
    """How the interval was made, and what it holds for alone."""
    return f"{estimate.method}, {estimate.given}" if estimate.given else estimate.method


def evaluation_curve(
    data: str, step: int, correct_P: ArrayLike, total_P: ArrayLike, unknown_P: ArrayLike, ks: Sequence[int]
) -> Curve:
    """pass@k of ONE run at increasing `ks`, with intervals about other problems: what its report says, and whoever
    reads the report again. Seeded by the problems' digest `data`, the step and N. Counts as in `pass_at_k_curve`, and
    its errors."""
    total = np.asarray(total_P)
    rng = np.random.default_rng(content_seed("evaluation", data, int(total.min(initial=0)), step))
    return pass_at_k_curve(np.asarray(correct_P), total, ks, interval="problems", unknown_P=unknown_P, rng=rng)


def _of_seeds(runs: Sequence[TrainingRun], reports: Sequence[EvaluationReport], k: int) -> Estimate:
    if len(reports) > 1:
        banks = [bank_of(run.plan.model_dump(mode="json")) for run in runs]
        return seed_counts([run.seed for run in runs], [[report] for report in reports], banks).estimate(k)
    (one,) = reports
    ks = sorted({*one.k, k})
    curve = evaluation_curve(one.data, one.step, one.correct, one.total, one.unknown, ks)
    return estimate_at(curve, ks.index(k), sum(one.total))


def counts_at(reports: Reports, group: Sequence[str], step: int | None) -> SeedCounts | None:
    """Counts of all runs at a step (None: after training), problems of the group's benchmarks one after the other.

    None where there is no run, or one that was not evaluated at that step.
    """
    seeds = tuple(sorted(reports))
    rows = [[_evaluation(reports[seed], name, step) for name in group] for seed in seeds]
    if not rows or any(found is None for row in rows for found in row):
        return None
    banks = [bank_of(reports[seed].plan) for seed in seeds]
    return seed_counts(seeds, [[found for found in row if found is not None] for row in rows], banks)


def seed_counts(
    seeds: Sequence[int], evaluations: Sequence[Sequence[EvaluationReport]], banks: Sequence[str | None]
) -> SeedCounts:
    """Counts of runs from what each was evaluated at, one after the other; `banks` are the runs' rollout banks.

    DataError where their problems differ.
    """
    ids = [tuple(id for found in row for id in found.problem_ids) for row in evaluations]
    if len(set(ids)) > 1:
        raise DataError(
            f"runs of one arm were evaluated on different problems of "
            f"{', '.join(found.benchmark for found in evaluations[0])}; their seeds cannot be crossed with problems. "
            "Give one sweep one evaluation."
        )
    correct, total, unknown = (
        np.array([[n for found in row for n in getattr(found, name)] for row in evaluations], dtype=np.int64)
        for name in ("correct", "total", "unknown")
    )
    return SeedCounts(tuple(seeds), ids[0], correct, total, tuple(banks), unknown)


def difference_at(
    arm: Reports, against: Reports, group: Sequence[str], k: int, step: int | None = None
) -> Estimate | None:
    """pass@k of `arm` minus `against`, paired by the seeds that both have; None without such a pair, or at a k or step
    that was not evaluated."""
    seeds = sorted(set(arm) & set(against))
    a, b = (counts_at({s: reports[s] for s in seeds}, group, step) for reports in (against, arm))
    if a is None or b is None or k > min(a.largest_k, b.largest_k):
        return None
    for one, runs in ((a, against), (b, arm)):
        _refuse_unknown(one, runs)
    if a.problem_ids != b.problem_ids:
        raise DataError(f"two arms were evaluated on different problems of {', '.join(group)}; they cannot be paired.")
    bank_S = list(zip(a.bank_S, b.bank_S, strict=True))
    return seed_difference(a.of(seeds), b.of(seeds), k, bank=bank_S if set(bank_S) != {(None, None)} else None)


def _refuse_unknown(counts: SeedCounts, reports: Reports) -> None:
    """DataError for runs with rollouts that nobody could judge: what is claimed of a difference needs all of them."""
    for seed, unknown in zip(counts.seeds, counts.unknown_SP.sum(1).tolist(), strict=True):
        if unknown:
            raise DataError(
                f"run {reports[seed].digest} (seed {seed}) has {unknown} rollouts that no verifier could judge. Mend "
                "the verifier and re-grade its evaluation (`s2l-lab verify`)."
            )


def _arm(plan: TrainingFigure, name: str, wanted: Sequence[int], reports: Mapping[str, Reports]) -> ArmResult:
    found = reports.get(name, {})
    baseline = plan.baseline_of(name)
    levels, ends, differences = {}, {}, {}
    for group in plan.groups:
        levels[group] = tuple(
            level
            for step in _steps(found, group)
            for level in _levels(counts_at(found, group, step), step, plan.curve_k)
        )
        last = max((report.last(group[0]).step for report in found.values()), default=0)
        ends[group] = _levels(counts_at(found, group, None), last, plan.end_k)
        for k in plan.end_k if name != baseline else ():
            difference = difference_at(found, reports.get(baseline, {}), group, k)
            if difference is not None:
                differences[group, k] = difference
    owed = tuple(seed for seed in wanted if seed not in found)
    return ArmResult(name, baseline, tuple(sorted(found)), owed, levels, ends, differences, _cost(found))


def _steps(reports: Reports, group: Sequence[str]) -> list[int]:
    """Steps that every run was evaluated at on every benchmark of the group."""
    sets = [{found.step for found in report.evaluations_of(name)} for report in reports.values() for name in group]
    return sorted(set.intersection(*sets)) if sets else []


def _levels(counts: SeedCounts | None, step: int, ks: Sequence[int]) -> tuple[Level, ...]:
    ks = [k for k in sorted(set(ks)) if counts is not None and k <= counts.largest_k]
    if counts is None or not ks:
        return ()
    return tuple(Level(step, k, counts.estimate(k), int(counts.unknown_SP.sum())) for k in ks)


def _claims(plan: TrainingFigure, reports: Mapping[str, Reports]) -> tuple[ClaimResult, ...]:
    differences = [
        difference_at(
            reports.get(claim.arm, {}),
            reports.get(claim.against, {}),
            (claim.benchmark,) if claim.benchmark else plan.benchmarks,
            claim.k,
            claim.step,
        )
        for claim in plan.claim
    ]
    decisions = judge(differences, [claim.expects for claim in plan.claim], plan.margin)
    return tuple(map(ClaimResult, plan.claim, differences, decisions))


def _cost(reports: Reports) -> ArmCost | None:
    relative = [r.relative_rollout_compute for r in reports.values() if r.relative_rollout_compute is not None]
    shares = [r.explorer_share for r in reports.values() if r.explorer_share is not None]
    if not relative:
        return None
    share = float(np.mean(shares)) if shares else 0.0
    return ArmCost(float(np.mean(relative)), min(relative), max(relative), share, len(relative))


def _evaluation(report: TrainingReport, benchmark: str, step: int | None) -> EvaluationReport | None:
    if step is None:
        return report.last(benchmark)
    return next((found for found in report.evaluations_of(benchmark) if found.step == step), None)
