"""Score functions of the learner along one fixed direction, and their covariances by lag beside the paper's bounds.

The direction is the mean `head` score of an explorer's rollouts on the first half of the problems: the way in which
imitating it would push the learner. It is fixed before anything is measured, on problems that are not measured on;
covariances are taken on the other half, over the first rollouts of each problem. Only the `head` use of the output
matrix is differentiated, which for tied embeddings is not the gradient of the shared matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.score_functions import head_gradient, projected_scores, score_covariance
from s2l_lab.diversity.scoring import HeadInputs, head_inputs
from s2l_lab.diversity.theory_bounds import score_bound
from s2l_lab.studies.persistence_report import ByLag, ScoreCovariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.studies.arms import Completions
    from s2l_lab.studies.traces import GreedyTraces

ROLLOUTS = 32
"""Rollouts per problem that are projected: each token costs a vocabulary and a state in memory."""


@dataclass(frozen=True, slots=True)
class HeadScores:
    """The learner with a direction."""

    learner: TransformersPolicy
    direction_VD: NDArray[np.float64]
    """Of length 1 (Frobenius)."""
    words: str
    traces: GreedyTraces
    """Of the learner: what M_t = 1 means."""

    @classmethod
    def along(cls, learner: TransformersPolicy, explorer: Completions, name: str, traces: GreedyTraces) -> HeadScores:
        """The mean score of an explorer's rollouts on the first half of the problems."""
        held_out = explorer.half(first=True, rollouts=ROLLOUTS)
        total: NDArray[np.float64] = np.zeros(())
        for inputs, ids in zip(_inputs(learner, held_out), held_out.token_ids_R, strict=True):
            total = total + head_gradient(inputs.prob_TV, inputs.hidden_TD, ids)
        words = f"mean score of {name}'s rollouts on the first half of the problems"
        return cls(learner, total / np.linalg.norm(total), words, traces)

    def covariance(self, completions: Completions, lags: Sequence[int]) -> ScoreCovariance:
        """Cov(z_t, z_s) of completions on the second half of the problems, by lag."""
        measured = completions.half(first=False, rollouts=ROLLOUTS)
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
