"""Who finds each token of a rollout likelier: log p(token | its policy) - log p(token | another policy), in nats.

A rollout holds the log-probabilities of the policy that drew it. The other's are in the store only where it drew the
very same tokens; else its model has to score them. `log_ratio` loads nothing: where the weights are on this machine it
gives what `scored` is to do when the reader asks for it, and else says in words what is missing.

Both sides are at one temperature: 1 where the rollout's own log-probabilities at 1 are known, else the one that
sampled. Sampling that truncates has no such pair, since it gives no probability to what the other allows. Each policy
has the problem in its own template. Two policies that spell the tokens differently are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.rows import FullRollout
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.tokens import plain_temperature
from s2l_lab.policies.opening import member_here

if TYPE_CHECKING:
    from s2l_lab.policies.families import Member
    from s2l_lab.problems import Problem

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LogRatio:
    """The log-ratio of two policies on the same tokens."""

    values_T: Floats | None
    words: str
    """Explanation of the numbers, or the reason why there are none."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """Everything that is needed to score tokens under another policy's model."""

    policy: str
    """Name of the policy that sampled the tokens."""
    other: Member
    """The other policy; its source is a directory on this machine."""
    problem: Problem
    token_ids: NDArray[np.int32]
    """(T,) token ids of the completion, including EOS."""
    own_T: Floats
    """log p under `policy`, nats, at the temperature."""
    temperature: float


def log_ratio(store: BrowsedStore, rollout: FullRollout, other: str) -> LogRatio | Scoring:
    """The log-ratio of a rollout's own tokens from what the store holds, else the scoring that gives it."""
    row = rollout.row
    if other == row.policy:
        return LogRatio(None, f"{other} drew this rollout itself; choose another policy.")
    if rollout.token_ids is None or rollout.logprobs is None:
        return LogRatio(None, "No log-probabilities are stored with this rollout.")
    return _stored(store, rollout, other) or _to_score(store, rollout, other)


def scored(asked: Scoring) -> LogRatio:
    """Load the other policy's model, from this machine alone, and score the tokens under it.

    Raises PolicyError for a model that cannot be opened or gives no finite logits, DataError for ids outside its
    vocabulary and tokens beyond its context.
    """
    from s2l_lab.diversity.scoring import score
    from s2l_lab.policies.opening import open_policy
    from s2l_lab.policies.transformers_engine import TransformersPolicy

    policy = open_policy(asked.other, engine="transformers")
    assert isinstance(policy, TransformersPolicy)
    at = asked.temperature
    try:
        prompt = policy.encode(asked.problem)
        (found,) = score(policy.model, [prompt], [asked.token_ids], behaviour_temperature=at, learner_temperature=at)
    finally:
        policy.close()
    words = (
        f"log p under {asked.policy} minus log p under {asked.other.name}, at temperature {at:g}, in nats; the first "
        "stored when these tokens were drawn, the second scored here, so the rounding of two computations is in it."
    )
    return LogRatio(asked.own_T - found.logprob.astype(np.float64), words)


def _stored(store: BrowsedStore, rollout: FullRollout, other: str) -> LogRatio | None:
    """The stored log-ratio if the other policy drew exactly the same tokens; else None."""
    assert rollout.token_ids is not None
    row = rollout.row
    sql = """select logprobs, logprobs_t1 from rollouts where problem_id = ? and policy = ? and text = ?
        and token_ids = ?::integer[] and logprobs is not null order by sample_index limit 1"""
    ids = [int(token) for token in rollout.token_ids]
    found = store.query(sql, [row.problem_id, other, rollout.text, ids]).to_pylist()
    if not found:
        return None
    plain = rollout.logprobs_t1 is not None and found[0]["logprobs_t1"] is not None
    mine = rollout.logprobs_t1 if plain else rollout.logprobs
    theirs = found[0]["logprobs_t1" if plain else "logprobs"]
    where = "at temperature 1" if plain else "under the distributions that sampled"
    words = f"log p under {row.policy} minus log p under {other}, {where}, in nats; both drew these very tokens."
    return LogRatio(np.asarray(mine, np.float64) - np.asarray(theirs, np.float64), words)


def _to_score(store: BrowsedStore, rollout: FullRollout, other: str) -> LogRatio | Scoring:
    assert rollout.token_ids is not None
    assert rollout.logprobs is not None
    policy = rollout.row.policy
    member = member_here(store.config(), other)
    problem = store.problems().get(rollout.row.problem_id)
    temperature = plain_temperature(store.sampling(policy))
    own_T = rollout.logprobs
    if rollout.logprobs_t1 is not None:
        temperature, own_T = 1.0, rollout.logprobs_t1
    if isinstance(member, str):
        missing = member
    elif problem is None:
        missing = "The store does not have the problem's text, which comes before the tokens."
    elif temperature is None:
        missing = f"{policy} was sampled with truncation or a penalty, or it is not recorded how; T = 1 is not stored."
    elif not _spelt_alike(store, (policy, other), rollout.token_ids.tolist()):
        missing = f"The tokenizers on this machine do not show that {other} spells these tokens as {policy} does."
    else:
        return Scoring(policy, member, problem, rollout.token_ids, own_T.astype(np.float64), temperature)
    return LogRatio(
        None,
        f"{other} did not draw these very tokens, and log-probabilities of another policy's tokens are not stored: "
        f"they take the model itself. {missing}",
    )


def _spelt_alike(store: BrowsedStore, policies: tuple[str, str], token_ids: list[int]) -> bool:
    """Whether these ids are the same texts, token by token, for both; False where a tokenizer is not at hand."""
    mine, theirs = (decoder_of(store, policy) for policy in policies)
    return mine is not None and theirs is not None and mine(token_ids) == theirs(token_ids)
