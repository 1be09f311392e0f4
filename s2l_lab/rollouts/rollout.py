"""Rollout: one completion under the key that says where it came from.

The key is what is looked up, resumed and counted; two rollouts of one key never stand in a store. Policy *name* and
policy *digest* are both part of it, so two names for one checkpoint are two policies (whether their draws are equal is
decided by the engine, which keys its uniforms by the digest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2l_lab.policies import Completion, Policy, SamplingParams


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sampled, and how: what all rollouts of one policy in one run have in common."""

    policy: str
    """The policy's name, as tables and figures show it."""
    policy_digest: str
    sampling_digest: str

    @classmethod
    def of(cls, policy: Policy, sampling: SamplingParams) -> Origin:
        """The origin of what `policy.sample(..., sampling)` yields."""
        return cls(policy.name, policy.digest, sampling.digest)


@dataclass(frozen=True, slots=True)
class RolloutKey:
    """Identity of a rollout."""

    origin: Origin
    problem_id: str
    index: int
    """Sample index, from 0: a run of N holds 0 .. N - 1, and a larger run continues it."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion and its key; verdicts are kept apart, since one rollout may be verified by several verifiers."""

    key: RolloutKey
    completion: Completion
