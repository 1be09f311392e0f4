"""Rollouts: the store that never loses or doubles one, and the loop that fills it."""

from s2l_lab.rollouts.loop import (
    InterruptedRunError,
    Progress,
    Retried,
    Verify,
    collect,
    verify_errors_again,
    verify_unverified,
)
from s2l_lab.rollouts.manifest import RunManifest
from s2l_lab.rollouts.rollout import Origin, Rollout, RolloutKey
from s2l_lab.rollouts.store import RolloutStore
from s2l_lab.rollouts.tally import AnswerCount, RolloutCounts, TokenTotals
from s2l_lab.rollouts.verifying import verify_with

__all__ = [
    "AnswerCount",
    "InterruptedRunError",
    "Origin",
    "Progress",
    "Retried",
    "Rollout",
    "RolloutCounts",
    "RolloutKey",
    "RolloutStore",
    "RunManifest",
    "TokenTotals",
    "Verify",
    "collect",
    "verify_errors_again",
    "verify_unverified",
    "verify_with",
]
