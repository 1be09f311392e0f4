"""A policy whose truth is known: a softmax over tokens of state features, the state being the last token.

Token V - 1 is EOS, and how likely it is depends on the state, so when a rollout ends depends on what was drawn. The
features are what a language model calls final states, the weights its output layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

STATES, WIDTH = 6, 4
EOS = STATES
FEATURES_SD = np.random.default_rng(10).normal(0, 0.8, (STATES, WIDTH))
FEATURES_SD[:, 0] = 1.0
LEARNER_VD = np.random.default_rng(11).normal(0, 1.1, (STATES + 1, WIDTH))
LEARNER_VD[EOS, 0] = -2.0
EXPLORER_VD = LEARNER_VD + np.random.default_rng(12).normal(0, 0.5, LEARNER_VD.shape)


def policy(weight_VD: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """(S, V) probabilities of the next token by state."""
    logits = FEATURES_SD @ weight_VD.T / temperature
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


@dataclass
class Rollouts:
    """R rollouts, their N tokens one after another."""

    state_N: np.ndarray
    token_N: np.ndarray
    length_R: np.ndarray
    problem_R: np.ndarray

    def by_rollout(self, value_N: np.ndarray) -> list[Any]:
        return np.split(value_N, np.cumsum(self.length_R)[:-1])


def sample(behaviour_SV: np.ndarray, problems: int, rollouts: int, seed: int) -> Rollouts:
    """Problem p starts in state p mod S."""
    rng = np.random.default_rng(seed)
    problem_R = np.repeat(np.arange(problems), rollouts)
    state, live = problem_R % STATES, np.arange(len(problem_R))
    cumulative_SV = behaviour_SV.cumsum(1)
    states, tokens, owners = [], [], []
    while live.size:
        token = (cumulative_SV[state] < rng.random(len(state))[:, None]).sum(1)
        states.append(state), tokens.append(token), owners.append(live)
        goes_on = token != EOS
        state, live = token[goes_on], live[goes_on]
    owner = np.concatenate(owners)
    order = np.argsort(owner, kind="stable")  # positions of a rollout come in order
    return Rollouts(
        np.concatenate(states)[order],
        np.concatenate(tokens)[order],
        np.bincount(owner, minlength=len(problem_R)),
        problem_R,
    )


def scores(rollouts: Rollouts, learner_SV: np.ndarray, behaviour_SV: np.ndarray) -> tuple[np.ndarray, ...]:
    """(N,) log pi_L of the drawn tokens, H_L and CE(b, pi_L)."""
    log_SV = np.log(learner_SV)
    entropy_S, cross_S = -(learner_SV * log_SV).sum(1), -(behaviour_SV * log_SV).sum(1)
    s = rollouts.state_N
    return log_SV[s, rollouts.token_N], entropy_S[s], cross_S[s]
