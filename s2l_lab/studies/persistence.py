"""Persistence: do deviations from the learner last along a trajectory, and more for an explorer than for temperature?

Every arm's stored rollouts are scored token by token under the learner (`diversity.scoring`), and surprisal is split
into a martingale part and the part that persists (`diversity.temporal`). The learner itself is the null; the learner at
T = 1.5 and at the temperature of equal KL are the controls: temperature is a time-invariant perturbation too, so
persistence alone says nothing. Rollouts of a temperature are scored at that temperature as well, where nothing may
persist. Other pretraining seeds of small members have no part here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.scoring import sampling_temperature, score
from s2l_lab.diversity.temporal import (
    autocorrelation,
    autocovariance,
    drift,
    intraclass_correlation,
    pooled_mean,
    split,
    variance_ratio,
)
from s2l_lab.studies.arms import read_completions
from s2l_lab.studies.contrast_arms import open_for_scoring
from s2l_lab.studies.head_scores import HeadScores
from s2l_lab.studies.persistence_report import ByLag, Persistence, PersistenceRow
from s2l_lab.studies.traces import GreedyTraces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.diversity.scoring import TokenScores
    from s2l_lab.estimators import Estimate
    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.studies.arms import Completions
    from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms

HORIZONS = (1, 2, 3, 5, 8, 12, 20, 30)
"""q of the variance ratios."""
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24)


def persistence(arms: ContrastArms, announce: Callable[[str], None] = lambda _: None) -> Persistence:
    """Score every arm under the learner. One policy beside the learner is in memory at a time.

    Raises DataError where rollouts have no token ids, PolicyError for models of different vocabularies.
    """
    learner = open_for_scoring(arms.learner.arm, arms.plan)
    chosen = [arm for arm in arms.all if arm.role != "other seed"]
    try:
        traces = GreedyTraces.of(learner, arms.learner.arm.benchmark.problems, arms.plan.sampling())
        scores = _head_scores(arms, learner, traces)
        rows = []
        for arm in chosen:
            announce(f"scoring {arm.arm.name}")
            rows.append(_row(arm, arms, learner, traces, scores))
    finally:
        learner.close()
    return Persistence(arms.learner.arm.name, tuple(rows), arms.matches)


def _head_scores(arms: ContrastArms, learner: TransformersPolicy, traces: GreedyTraces) -> HeadScores:
    """The direction for score functions, from the first explorer's rollouts of the first half of the problems."""
    explorer = next(arm for arm in arms.others if arm.role == "explorer")
    return HeadScores.along(learner, read_completions(explorer.arm), explorer.arm.name, traces)


def _row(
    arm: ContrastArm, arms: ContrastArms, learner: TransformersPolicy, traces: GreedyTraces, scores: HeadScores
) -> PersistenceRow:
    completions = read_completions(arm.arm)
    same = arm.arm.member == arms.learner.arm.member
    temperature = sampling_temperature(arm.arm.request.sampling)
    policy = learner if same else open_for_scoring(arm.arm, arms.plan)
    try:
        found = score_completions(learner, policy, temperature, completions)
        survival = [traces.survival(policy, temperature)]
        if not same:
            own = GreedyTraces.of(policy, arm.arm.benchmark.problems, arms.plan.sampling())
            survival.append(own.survival(policy, temperature))
    finally:
        if not same:
            policy.close()
    parts = [split(s.logprob, s.entropy, s.cross_entropy) for s in found]
    e_R, m_R, d_R = ([getattr(p, name) for p in parts] for name in ("e", "m", "d"))
    problem_R, cluster_R = completions.problem_R, completions.clusters()
    at_own = same and temperature != 1.0
    return PersistenceRow(
        name=arm.arm.name,
        role=arm.role,
        temperature=arm.temperature,
        matches=arm.matches,
        n_rollouts=len(found),
        n_tokens=sum(len(s.kl) for s in found),
        kl=pooled_mean([s.kl for s in found], problem_R, cluster_R),
        drift=drift(e_R, problem_R, cluster_R),
        persistent_drift=drift(d_R, problem_R, cluster_R),
        variance_ratio=_ratios(e_R, completions),
        variance_ratio_m=_ratios(m_R, completions),
        variance_ratio_own=_own(learner, temperature, completions) if at_own else None,
        autocorrelation=_by_lag(LAGS, autocorrelation(e_R, problem_R, LAGS, cluster_R)),
        autocovariance_d=_by_lag(LAGS, autocovariance(d_R, problem_R, LAGS, cluster_R)),
        icc=intraclass_correlation(e_R, problem_R, cluster_R),
        survival=tuple(survival),
        score_covariance=scores.covariance(completions, LAGS),
    )


def score_completions(
    learner: TransformersPolicy,
    policy: TransformersPolicy,
    temperature: float,
    completions: Completions,
    learner_temperature: float = 1.0,
) -> list[TokenScores]:
    """Token scores of stored completions that `policy` sampled at a temperature, in their order."""
    prompts = [learner.encode(problem) for problem in completions.problems]
    return score(
        learner.model,
        [prompts[p] for p in completions.problem_R],
        completions.token_ids_R,
        behaviour_model=policy.model,
        behaviour_temperature=temperature,
        learner_temperature=learner_temperature,
    )


def _own(learner: TransformersPolicy, temperature: float, completions: Completions) -> ByLag:
    """VR(q) of e where the learner scores at the temperature that sampled: on policy, so 1 in expectation."""
    found = score_completions(learner, learner, temperature, completions, learner_temperature=temperature)
    return _ratios([split(s.logprob, s.entropy, s.cross_entropy).e for s in found], completions)


def _ratios(value_R: Sequence[NDArray[np.float64]], completions: Completions) -> ByLag:
    problem_R, cluster_R = completions.problem_R, completions.clusters()
    return _by_lag(HORIZONS, [variance_ratio(value_R, problem_R, q, cluster_R) for q in HORIZONS])


def _by_lag(at: Sequence[int], estimates: Sequence[Estimate]) -> ByLag:
    return ByLag.of(at, estimates, [e.n_rollouts for e in estimates])
