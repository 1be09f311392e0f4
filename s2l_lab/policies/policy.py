"""The policy's vocabulary: sampling parameters, draws, completions, and the one protocol that every engine meets.

A *policy* is a model at a revision with a template, a precision and an engine; `SamplingParams` say how it draws. A
draw is keyed by (run seed, policy digest, sampling digest, problem id, sample index, token position), so that a rollout
is the same whatever else is sampled beside it, in whatever order, before or after a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from s2l_lab.digest import content_digest
from s2l_lab.problems import Problem


class SamplingParams(BaseModel):
    """How tokens are drawn. The order is vLLM's: penalties, temperature, min-p, then top-k and top-p together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=1.0, ge=0.0, le=10.0, allow_inf_nan=False)
    """Divides the logits; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Nucleus: the smallest set of most likely tokens whose probability reaches top_p; 1 keeps all."""
    top_k: int = Field(default=0, ge=0)
    """Keep the k most likely tokens; 0 keeps all (-1, vLLM's spelling, is read as 0)."""
    min_p: float = Field(default=0.0, ge=0.0, le=1.0)
    """Keep tokens at least min_p times as likely as the most likely one; 0 keeps all."""
    presence_penalty: float = Field(default=0.0, ge=-2.0, le=2.0)
    """Subtracted from the logit of every token that the completion already holds."""
    max_tokens: int = Field(default=1024, ge=1)
    """Length at which a completion is cut and counts as TRUNCATED."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; the string itself is not part of the text. None is empty: every text holds it."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Random seed of the run."""

    @field_validator("top_k", mode="before")
    @classmethod
    def _minus_one_keeps_all(cls, value: object) -> object:
        return 0 if value == -1 else value

    @field_validator("stop")
    @classmethod
    def _stop_strings_can_be_met(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("an empty stop string stands in every text, so nothing could be said. Leave it out")
        for string in value:
            try:
                string.encode()
            except UnicodeEncodeError:
                raise ValueError("a stop string must be text that UTF-8 can encode, as completions are") from None
        return value

    @property
    def digest(self) -> str:
        """Identity of these parameters, seed included: rollouts of two seeds never share a key."""
        return content_digest(self.model_dump(mode="json"))

    @property
    def full_support(self) -> bool:
        """True if every token the model gives probability to can be drawn (no truncation, not greedy)."""
        return self.temperature > 0 and self.top_p == 1 and self.top_k == 0 and self.min_p == 0


class StopReason(StrEnum):
    """Why a completion ended."""

    EOS = "eos"  # the policy drew its end-of-sequence token, which is the last token id
    STOP = "stop"  # a stop string appeared; token ids run to the token that completed it, the text ends before it
    LENGTH = "length"  # max_tokens was reached, or before it the model's context or a cap of the server's own


@dataclass(frozen=True, slots=True)
class Completion:
    """The tokens of one draw. Arrays have shape (T,): T tokens, an EOS included."""

    text: str
    """Decoded completion without EOS and without the stop string."""
    token_ids: NDArray[np.int32] | None
    """Token ids of the completion; None if an endpoint gives text only."""
    logprobs: NDArray[np.float32] | None
    """Nats, of the sampled tokens under the distribution that sampled them (after penalties, T, truncation)."""
    logprobs_t1: NDArray[np.float32] | None
    """Nats, of the sampled tokens under the plain model at temperature 1; None where identical to `logprobs` or unknown
    (they are identical iff temperature is 1, nothing truncates and nothing penalises)."""
    entropies: NDArray[np.float16] | None
    """Nats, of softmax(logits / T) after penalties and before truncation at every position; None where unknown."""
    stop_reason: StopReason
    prompt_tokens: int
    """Length of the templated prompt in tokens; 0 where unknown. Context length for compute accounting."""
    counted_tokens: int | None = None
    """Tokens as a server counted them where it gave no ids; None with ids, and where nobody said."""

    @property
    def tokens(self) -> int | None:
        """Length in tokens, an EOS included; None where unknown."""
        return self.counted_tokens if self.token_ids is None else len(self.token_ids)


@dataclass(frozen=True, slots=True)
class Draws:
    """A request: these sample indices of this problem."""

    problem: Problem
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """An answer: one completion under its key."""

    problem_id: str
    index: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What compute accounting needs to know of a model (STATISTICS section 5)."""

    parameters: int
    """All parameters; tied embeddings once."""
    non_embedding_parameters: int
    width: int
    vocabulary: int
    layers: int
    heads: int
    head_dim: int


class Policy(Protocol):
    """What every engine offers. Opening one loads the model; `close` frees it (vLLM is started once per member)."""

    @property
    def name(self) -> str:
        """The member's name as tables and figures show it."""
        ...

    @property
    def digest(self) -> str:
        """Identity: weights, tokenizer, template, precision and engine. Part of every draw's key."""
        ...

    @property
    def engine(self) -> str:
        """`transformers`, `vllm`, `endpoint` or `scripted`."""
        ...

    @property
    def shape(self) -> ModelShape | None:
        """None where the model is not ours to see (endpoint, scripted)."""
        ...

    def prompt(self, problem: Problem) -> str:
        """The text that a completion of this problem continues, special tokens written out."""
        ...

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """Yield one Draw for every requested (problem, index), in any order, as they finish.

        The result for a key does not depend on what else is requested. Raises PolicyError for a request that the
        engine cannot meet (prompt too long, a parameter it does not know) before anything is sampled.
        """
        ...

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A policy that learns, while it samples, what a reader of its rollouts must know."""

    def remarks(self) -> tuple[str, ...]:
        """What is known so far, oldest first, each a short clause; what concerns a draw is here once it is yielded."""
        ...
