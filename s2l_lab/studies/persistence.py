"""Persistence: do deviations from the learner last along a trajectory, and more for an explorer than for temperature?

Every arm's stored rollouts are scored token by token under the learner (`diversity.scoring`), and surprisal is split
into a martingale part and the part that persists (`diversity.temporal`). The learner itself is the null; the learner at
T = 1.5 and at the temperature of equal KL are the controls: temperature is a time-invariant perturbation too, so
persistence alone says nothing. Rollouts of a temperature are scored at that temperature as well, where nothing may
persist. Other pretraining seeds of small members have no part here.

The same measurement is made of a stored run, without sampling anything (`persistence_of_run`): the learner, and the
other policies as explorers. Sampling parameters are the identity of a run, so no run holds one policy at two
temperatures: whether an explorer persists more than temperature does is not answered there, and who shows it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from s2l_lab.errors import PolicyError, UsageError, unknown_name
from s2l_lab.passk import PasskRequest
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.opening import member_here
from s2l_lab.problems import Benchmark
from s2l_lab.rollouts import RolloutStore
from s2l_lab.studies.arms import SampledArm, read_completions
from s2l_lab.studies.contrast_arms import ContrastArm, ContrastArms, contrast_arms, open_for_scoring
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.diversity import origins_in_order
from s2l_lab.studies.study import Measured, Watch
from s2l_lab.studies.traces import ByLag, GreedyTraces, HeadScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.diversity.scoring import TokenScores
    from s2l_lab.estimators import Estimate
    from s2l_lab.policies.families import Member
    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.problems import Problem
    from s2l_lab.rollouts import Origin
    from s2l_lab.studies.arms import Completions
    from s2l_lab.studies.contrast_arms import Role
    from s2l_lab.studies.matching import Match
    from s2l_lab.studies.traces import ScoreCovariance, Survival

HORIZONS = (1, 2, 3, 5, 8, 12, 20, 30)
"""Horizons q of the variance ratios, in tokens."""
LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24)


@dataclass(frozen=True, slots=True)
class PersistenceRow:
    """One behaviour policy, scored by the learner at temperature 1."""

    name: str
    role: Role
    temperature: float
    matches: str | None
    n_rollouts: int
    n_tokens: int
    kl: Estimate
    """KL(b || learner) in nats per token, at least 0, pooled along the rollouts of the behaviour policy b."""
    drift: Estimate
    """Drift of e, sum e / sum T: surprisal minus the learner's entropy, in nats per token."""
    persistent_drift: Estimate
    """Drift of d, sum d / sum T: the part that persists, in nats per token; equals `drift` in expectation."""
    variance_ratio: ByLag
    """Variance ratio VR(q) of e by horizon q; 1 where deviations do not add up."""
    variance_ratio_m: ByLag
    """Variance ratio VR(q) of m by horizon q: the check on the instrument, as every policy's expectation is 1."""
    variance_ratio_own: ByLag | None
    """Variance ratio VR(q) of e where the learner scores at the arm's own temperature: 1 in expectation. None for other
    policies, and at temperature 1."""
    autocorrelation: ByLag
    """Autocorrelation of e by lag in tokens, from uncentred products."""
    autocovariance_d: ByLag
    """Autocovariance of d by lag in tokens, in nats squared, around the problem's mean."""
    icc: Estimate
    """Intraclass correlation of e within rollouts, at most 1."""
    survival: tuple[Survival, ...]
    """Prefix survival along the learner's greedy traces, then along the policy's own where it is another model."""
    score_covariance: ScoreCovariance | None


@dataclass(frozen=True, slots=True)
class Persistence:
    """The study's result."""

    learner: str
    rows: tuple[PersistenceRow, ...]
    """A row per policy, the learner first: it is the null."""
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class RunPersistence:
    """The persistence of a run's policies, with the numbers of problems and rollouts."""

    result: Persistence
    n_problems: int
    n_rollouts: int
    """Largest number of rollouts per problem and policy."""


def measure(plan: ContrastPlan, command: str, watch: Watch) -> Measured:
    """Sample what the arms owe, and score every arm under the learner."""
    arms = contrast_arms(plan, announce=watch.announce)
    result = persistence(arms, announce=watch.announce)
    return Measured(result, arms.about("95 % CI over problems", command), arms.provenance(command))


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


def persistence_of_run(
    path: Path,
    *,
    learner: str | None = None,
    policies: Sequence[str] | None = None,
    problems: int = 20,
    n: int = 16,
    announce: Callable[[str], None] = lambda _: None,
) -> RunPersistence:
    """Score a pass@k run's policies (None: all) under `learner` (None: the largest), on the first `problems` problems
    and the rollouts with sample index below n. Loads the models, from this machine alone.

    Raises UsageError for an unknown policy, fewer than two, and sampling that truncates; DataError for rollouts without
    token ids; PolicyError, before a model is loaded, for weights that are not on this machine, and for models that
    cannot be opened or compared.
    """
    with RolloutStore(path) as store:
        config = store.config
        sampling = SamplingParams.model_validate(config["sampling"])
        temperature = sampling_temperature(sampling)
        chosen = tuple(store.problems()[:problems])
        origins = {origin.policy: origin for origin in origins_in_order(store, policies, sampling)}
    names = list(origins)
    reference = names[-1] if learner is None else learner
    if reference not in origins:
        raise unknown_name("policy", reference, origins)
    if len(names) < 2:
        raise UsageError(f"{path}: persistence compares policies with a learner, and only {names[0]} was chosen.")
    request = PasskRequest(
        family=None,
        policies=("learner=scripted:0",),  # a request names some policy; these rollouts are there already
        benchmark=str(config["benchmark"]),
        rollouts=n,
        sampling=sampling,
        out=path,
    )
    members = _members(config, names, path)

    def arm(name: str, role: Any) -> ContrastArm:
        found = _arm(members[name], origins[name], request, chosen)
        return ContrastArm(found, role, temperature)

    explorers = tuple(name for name in names if name != reference)
    plan = ContrastPlan(
        learner=reference,
        explorers=explorers,
        benchmark=request.benchmark,
        problems=max(2, len(chosen)),
        rollouts=max(4, n),
        validation=f"not {request.benchmark}",
        max_tokens=sampling.max_tokens,
        seed=sampling.seed,
    )
    arms = ContrastArms(plan, arm(reference, "learner"), tuple(arm(name, "explorer") for name in explorers), ())
    return RunPersistence(persistence(arms, announce), len(chosen), n)


def _members(config: dict[str, Any], names: Sequence[str], path: Path) -> dict[str, Member]:
    """The members by name. Raises PolicyError that lists all policies that cannot be scored."""
    found = {name: member_here(config, name) for name in names}
    if missing := [one for one in found.values() if isinstance(one, str)]:
        raise PolicyError(
            f"{path}: {len(missing)} of {len(names)} policies cannot be scored here:\n  " + "\n  ".join(missing) + "\n"
            "Choose policies whose weights are on this machine, or bring the others here."
        )
    return {name: one for name, one in found.items() if not isinstance(one, str)}


def _arm(member: Member, origin: Origin, request: PasskRequest, problems: tuple[Problem, ...]) -> SampledArm:
    kind = problems[0].kind
    benchmark = Benchmark(request.benchmark, problems, kind, None, {})
    return SampledArm(member.name, member, request, origin, benchmark, "")
