"""What is measured along fixed paths: greedy traces, and score functions of the learner along one fixed direction.

How likely a policy is to follow a *trace* is an exact product, no sampling. The *direction* is the mean `head` score of
an explorer's rollouts on the first half of the problems: the way in which imitating it would push the learner. It is
fixed before anything is measured, on problems that are not measured on; covariances by lag are taken on the other half,
over the first rollouts of each problem, beside the paper's bounds. Only the `head` use of the output matrix is
differentiated, which for tied embeddings is not the gradient of the shared matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.score_functions import head_gradient, projected_scores, score_covariance
from s2l_lab.diversity.scoring import HeadInputs, head_inputs, score
from s2l_lab.diversity.survival import matched_length, survival_curve
from s2l_lab.diversity.theory_bounds import score_bound
from s2l_lab.errors import DataError
from s2l_lab.policies import Draws, SamplingParams, StopReason
from s2l_lab.problems.clusters import problem_clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.estimators import Estimate
    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.problems import Problem
    from s2l_lab.studies.arms import Completions

PROJECTED = 32
"""Number of rollouts per problem that are projected: each token costs a vocabulary and a state in memory."""


@dataclass(frozen=True, slots=True)
class ByLag:
    """One statistic at several lags, horizons or positions; arrays have shape (L,)."""

    at: NDArray[np.int64]
    value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    n: NDArray[np.int64]
    """Count behind each value: pairs of tokens for a lag, rollouts that reach the horizon, or traces still alive."""

    @classmethod
    def of(cls, at: Sequence[int], estimates: Sequence[Estimate], n: Sequence[int]) -> ByLag:
        """One estimate and its n for each place."""
        value, lower, upper = (np.array([getattr(e, end) for e in estimates]) for end in ("value", "lower", "upper"))
        return cls(np.array(at), value, lower, upper, np.array(n))


@dataclass(frozen=True, slots=True)
class Survival:
    """Prefix survival of one policy along greedy traces: an exact product, no sampling."""

    trace: str
    """Name of the policy whose greedy traces these are: the learner, or the policy itself."""
    curve: ByLag
    """Mean over problems of the probability of the first t tokens of the trace, t = 0, 1, ...; S(0) = 1."""
    hazard: Estimate
    """Probability per token of leaving the trace, 0 to 1, pooled over tokens."""
    constant: NDArray[np.float64]
    """Survival under a constant hazard on the same traces: mean of (1 - hazard)^min(t, T), at the t of the curve."""


@dataclass(frozen=True, slots=True)
class ScoreCovariance:
    """Cov(z_t, z_s) of `head` score functions along a fixed direction, by lag, beside the paper's bounds."""

    covariance: ByLag
    bound: NDArray[np.float64]
    """The paper's bound by lag: 5 B^2 Pr(M_t = 0), averaged over the same pairs (Corollary E.3)."""
    cauchy_schwarz: float
    """B^2, the bound on |Cov| that holds for every policy."""
    direction: str
    """Origin of the direction, in words."""


@dataclass(frozen=True, slots=True)
class GreedyTraces:
    """One greedy completion per problem: the paper's deterministic reference decode (Eq. 7)."""

    policy: str
    problems: tuple[Problem, ...]
    token_ids_P: tuple[NDArray[np.int32], ...]
    """Token ids of each problem's greedy trace, P arrays; EOS included where the trace ended."""
    ended_P: tuple[bool, ...]
    """Whether each problem's trace ended, P of them; False where it was cut at max_tokens."""

    @classmethod
    def of(cls, policy: TransformersPolicy, problems: Sequence[Problem], sampling: SamplingParams) -> GreedyTraces:
        """The policy's greedy traces; of `sampling`, max_tokens counts. Raises DataError without token ids."""
        greedy = sampling.model_copy(update={"temperature": 0.0})
        drawn = {d.problem_id: d.completion for d in policy.sample([Draws(p, (0,)) for p in problems], greedy)}
        done = [drawn[problem.id] for problem in problems]
        ids = tuple(c.token_ids for c in done if c.token_ids is not None)
        if len(ids) < len(done):
            raise DataError(f"{policy.name} gives no token ids, so there is no trace to follow.")
        return cls(policy.name, tuple(problems), ids, tuple(c.stop_reason is StopReason.EOS for c in done))

    def survival(self, policy: TransformersPolicy, temperature: float) -> Survival:
        """Prefix survival of `policy` at a temperature along these traces."""
        scored = score(
            policy.model,
            [policy.encode(problem) for problem in self.problems],
            self.token_ids_P,
            behaviour_temperature=temperature,
        )
        curve = survival_curve(
            [s.behaviour_logprob for s in scored], self.ended_P, cluster=problem_clusters(self.problems)
        )
        at = np.arange(len(curve.survival_T1))
        by_token = ByLag(at, curve.survival_T1, curve.lower_T1, curve.upper_T1, curve.alive_T1)
        return Survival(self.policy, by_token, curve.pooled_hazard, curve.constant_T1)

    def matched(self, completions: Completions) -> NDArray[np.int64]:
        """(R,) how many leading tokens of each completion are those of its problem's trace."""
        trace = dict(zip((p.id for p in self.problems), self.token_ids_P, strict=True))
        of_problem = [trace[problem.id] for problem in completions.problems]
        pairs = zip(completions.token_ids_R, completions.problem_R, strict=True)
        return np.array([matched_length(ids, of_problem[p]) for ids, p in pairs], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class HeadScores:
    """The learner with a direction."""

    learner: TransformersPolicy
    direction_VD: NDArray[np.float64]
    """Direction in the output layer's weights, (V, D), of Frobenius norm 1."""
    words: str
    traces: GreedyTraces
    """The learner's greedy traces: M_t = 1 as long as a rollout follows them."""

    @classmethod
    def along(cls, learner: TransformersPolicy, explorer: Completions, name: str, traces: GreedyTraces) -> HeadScores:
        """The mean score of an explorer's rollouts on the first half of the problems."""
        held_out = explorer.half(first=True, rollouts=PROJECTED)
        total: NDArray[np.float64] = np.zeros(())
        for inputs, ids in zip(_inputs(learner, held_out), held_out.token_ids_R, strict=True):
            total = total + head_gradient(inputs.prob_TV, inputs.hidden_TD, ids)
        words = f"mean score of {name}'s rollouts on the first half of the problems"
        return cls(learner, total / np.linalg.norm(total), words, traces)

    def covariance(self, completions: Completions, lags: Sequence[int]) -> ScoreCovariance:
        """Cov(z_t, z_s) of completions on the second half of the problems, by lag."""
        measured = completions.half(first=False, rollouts=PROJECTED)
        inputs = _inputs(self.learner, measured)
        z_R = [
            projected_scores(i.prob_TV, i.hidden_TD, ids, self.direction_VD)
            for i, ids in zip(inputs, measured.token_ids_R, strict=True)
        ]
        largest = max(float(np.linalg.norm(i.hidden_TD, axis=1).max(initial=0.0)) for i in inputs)
        bound = score_bound(largest, self.direction_VD)
        found = score_covariance(
            z_R, self.traces.matched(measured), measured.problem_R, lags, bound, measured.clusters()
        )
        by_lag = ByLag.of(lags, [f.covariance for f in found], [f.n_pairs for f in found])
        return ScoreCovariance(by_lag, np.array([f.paper_bound for f in found]), bound**2, self.words)


def _inputs(learner: TransformersPolicy, completions: Completions) -> list[HeadInputs]:
    prompts = [learner.encode(problem) for problem in completions.problems]
    return head_inputs(learner.model, [prompts[p] for p in completions.problem_R], completions.token_ids_R)
