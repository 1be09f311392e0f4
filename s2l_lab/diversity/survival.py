"""Prefix survival: how likely a policy is to follow a given trace for t tokens, without sampling.

    S_b(t) = prod_{s <= t} b(a*_s | a*_<s)      one teacher-forced pass over the trace a*; hazard 1 - b(a*_t | a*_<t)

M_t = 1 is the paper's event that a rollout has equalled the reference decode for t tokens (Eq. 7), so S_b(t) =
Pr(M_t = 1) exactly. Lemma E.1 bounds it by (1 - p)^t where every hazard is at least p. Say whose trace it is: the
learner's greedy one, or the policy's own. b is the sampling distribution, so `TokenScores.behaviour_logprob` of a
trace's completion is what goes in.

Over problems: a trace ends at its EOS, and a rollout that has followed it to there has nowhere left to deviate. S is
therefore carried on at its last value, so that one set of problems stands behind the whole curve (leaving ended traces
out would make it jump); `alive_T1` says how many still have a token at t. A trace that was cut before its EOS says
nothing of what comes after, so the curve stops where the shortest cut trace does.

The constant-hazard curve has the same carry: the mean over traces of (1 - p)^min(t, T), with p the pooled hazard
sum h / sum T. It is above or below the real curve only because hazards differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.over_problems import REPLICATES, ratio_over_problems
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.problem_interval import share_ends
from s2l_lab.estimators.units import cluster_codes, kept_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Estimate, Floats, Ints

_ROUNDING = 1e-4  # nats by which float32 log-probabilities may exceed 0


def prefix_survival(logprob_T: ArrayLike) -> Floats:
    """(T + 1,) S(0) = 1, ..., S(T), given log b of a trace's T tokens in nats. UsageError for one that is above 0."""
    logprob = _checked(logprob_T)
    survival_T1: Floats = np.exp(np.concatenate([[0.0], np.cumsum(logprob)]))
    return survival_T1


def hazard(logprob_T: ArrayLike) -> Floats:
    """(T,) chance of leaving the trace at each token, having followed it so far."""
    chance_T: Floats = -np.expm1(_checked(logprob_T))
    return chance_T


def matched_length(token_ids: ArrayLike, trace_T: ArrayLike) -> int:
    """How many leading tokens of a rollout (L,) are those of the trace (T,): M_t = 1 for t up to this."""
    rollout, trace = np.asarray(token_ids), np.asarray(trace_T)
    shared = min(len(rollout), len(trace))
    differs = rollout[:shared] != trace[:shared]
    return int(differs.argmax()) if differs.any() else shared


def sampled_survival(token_ids: Sequence[ArrayLike | None], trace_T: ArrayLike) -> Floats:
    """(T + 1,) share of sampled rollouts that follow the trace for t tokens; NaN for no rollouts.

    Raises DataError for a rollout without token ids.
    """
    if any(ids is None for ids in token_ids):
        raise DataError(
            "a rollout has no token ids (its engine gave text only), so nobody knows where it left a trace."
        )
    steps_T1 = np.arange(len(np.asarray(trace_T)) + 1)
    if not token_ids:
        return np.full(len(steps_T1), np.nan)
    matched_N = np.array([matched_length(ids, trace_T) for ids in token_ids if ids is not None])
    share_T1: Floats = (matched_N[:, None] >= steps_T1).mean(0)
    return share_T1


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """Prefix survival over the traces of P problems, t = 0, 1, ..., T. NaN where there is no trace."""

    survival_T1: Floats
    """Mean over problems of S(t), (T + 1,), 0 to 1; an ended trace keeps its last value."""
    lower_T1: Floats
    upper_T1: Floats
    """Upper end of the interval over problems at `level`, (T + 1,), like `lower_T1`; NaN for one problem."""
    alive_T1: Ints
    """Number of traces that have a t-th token, (T + 1,); all of them at t = 0."""
    hazard: tuple[Estimate, ...]
    """Mean hazard of token t = 1, ..., T over the traces that have one, (T,), 0 to 1."""
    pooled_hazard: Estimate
    """Pooled hazard p = sum of hazards / number of tokens over whole traces, 0 to 1."""
    constant_T1: Floats
    """Survival under the hazard p at every token, (T + 1,): mean over the same traces of (1 - p)^min(t, T)."""
    level: float
    n_problems: int


def survival_curve(
    logprob_P: Sequence[NDArray[np.floating]],
    ended_P: Sequence[bool],
    *,
    seed: int = 0,
    level: float = 0.95,
    cluster: Sequence[object] | None = None,
) -> SurvivalCurve:
    """Survival over one trace per problem: log b of its tokens (T,), and whether its last token is EOS.

    A trace without tokens leaves its problem out. `cluster` has the cluster of each problem, (P,), None where every
    problem stands alone. Raises UsageError for lists of different lengths.
    """
    if len(logprob_P) != len(ended_P):
        raise UsageError(f"one flag per trace is needed; given: {len(logprob_P)} traces and {len(ended_P)} flags.")
    has_P = np.array([len(logprob) > 0 for logprob in logprob_P], dtype=bool)
    code_P = None if cluster is None else kept_codes(cluster_codes(cluster, len(logprob_P)), has_P)
    known = [(logprob, ended) for logprob, ended in zip(logprob_P, ended_P, strict=True) if len(logprob)]
    length_P = np.array([len(logprob) for logprob, _ in known], dtype=np.int64)
    whole_P = np.array([ended for _, ended in known], dtype=bool)
    last = 0 if not known else int(length_P.max() if whole_P.all() else length_P[~whole_P].min())
    hazards = [hazard(logprob) for logprob, _ in known]
    pooled = ratio_over_problems([h.sum() for h in hazards], length_P, len(known), level=level, cluster=code_P)
    steps_T1 = np.arange(last + 1)
    at_PT1 = np.minimum(steps_T1, length_P[:, None])
    survival_PT1 = np.array([prefix_survival(p)[at] for (p, _), at in zip(known, at_PT1, strict=True)])
    lower_T1, upper_T1 = _ends(survival_PT1, seed, level, code_P)
    by_token = []
    for t in range(last):
        alive_P = length_P > t
        alive = [h[t] for h in hazards if len(h) > t]
        cluster_P = None if code_P is None else code_P[alive_P]
        by_token.append(ratio_over_problems(alive, np.ones(len(alive)), len(alive), level=level, cluster=cluster_P))
    nan_T1 = np.full(last + 1, np.nan)
    return SurvivalCurve(
        survival_T1=survival_PT1.mean(0) if known else nan_T1,
        lower_T1=lower_T1,
        upper_T1=upper_T1,
        alive_T1=(length_P[:, None] >= steps_T1).sum(0),
        hazard=tuple(by_token),
        pooled_hazard=pooled,
        constant_T1=((1 - pooled.value) ** at_PT1).mean(0) if known else nan_T1,
        level=level,
        n_problems=len(known),
    )


def _ends(survival_PT1: Floats, seed: int, level: float, code_P: Ints | None) -> tuple[Floats, Floats]:
    """Ends of the mean over problems; S(0) is 1 by definition and has no error."""
    if len(survival_PT1) < 2:
        nan_T1 = np.full(survival_PT1.shape[-1] if len(survival_PT1) else 1, np.nan)
        return nan_T1, nan_T1
    weight_P = np.ones(len(survival_PT1), np.int64)
    rounded_PT1 = survival_PT1.round(9)  # problems that differ by rounding alone are equal
    ends = share_ends(rounded_PT1, weight_P, level, np.random.default_rng(seed), REPLICATES, code_P)
    lower_T1, upper_T1 = ends.lower_K.copy(), ends.upper_K.copy()
    lower_T1[0] = upper_T1[0] = 1.0
    return lower_T1, upper_T1


def _checked(logprob_T: ArrayLike) -> Floats:
    logprob = np.asarray(logprob_T, np.float64)
    if logprob.ndim != 1 or not (logprob <= _ROUNDING).all():
        raise UsageError("a trace needs one array (T,) of log-probabilities in nats, none above 0 and none NaN.")
    return np.minimum(logprob, 0.0)
