"""Greedy traces of a policy, and how likely policies are to follow them: exact products, no sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.scoring import score
from s2l_lab.diversity.survival import matched_length, survival_curve
from s2l_lab.errors import DataError
from s2l_lab.policies import Draws, SamplingParams, StopReason
from s2l_lab.problems.clusters import problem_clusters
from s2l_lab.studies.persistence_report import ByLag, Survival

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.problems import Problem
    from s2l_lab.studies.arms import Completions


@dataclass(frozen=True, slots=True)
class GreedyTraces:
    """One greedy completion per problem: the paper's deterministic reference decode (Eq. 7)."""

    policy: str
    problems: tuple[Problem, ...]
    token_ids_P: tuple[NDArray[np.int32], ...]
    """EOS included where the trace ended."""
    ended_P: tuple[bool, ...]
    """False where a trace was cut at max_tokens."""

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
