"""Explorers: who fills the explorer's slots of a group, and what every one of them must keep.

An explorer answers prompts that are token ids (the learner's own) with completions in the learner's token ids and the
log-probabilities under the distribution that sampled them. Here are the explorers that sample as training goes: a
policy (a smaller member, by the transformers or the vLLM engine), and copies of the learner (perturbed.py says how they
are changed); bank.py has the one that draws from rollouts sampled before.

What would surprise: nothing here draws from a global generator. A policy's draws are keyed by (seed, policy, sampling,
prompt, number of the group in the run, slot), so they are the same on one process and on two, and after a resume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import PolicyError
from s2l_lab.policies.tokenizers import tokenizer_difference
from s2l_lab.policies.waves import Prompted

if TYPE_CHECKING:
    from s2l_lab.policies import Completion, Draw, ModelShape, SamplingParams
    from s2l_lab.training.correction import Correction

RETOKENISE = (
    "Or let the learner's tokenizer spell its text, which leaves no log-probabilities: RetokenisedExplorer(policy), "
    "with correction='none' (in a plan: retokenise = true)."
)


@dataclass(frozen=True, slots=True)
class Learner:
    """What an explorer may know of the learner."""

    model: Any
    """The causal language model, unwrapped; its parameters move between rounds."""
    tokenizer: Any
    eos_ids: frozenset[int]
    vocabulary: int
    """Rows of the embedding: ids are below it."""
    sharded: bool = False
    """True where no process holds the whole weights (FSDP, DeepSpeed)."""
    correction: Correction | None = None
    """What the config makes of the explorer's tokens; None where nobody said."""


@dataclass(frozen=True, slots=True)
class Request:
    """The explorer's part of one group."""

    prompt_ids: tuple[int, ...]
    count: int
    """Rollouts wanted: Gw."""
    group: int
    """Number of the group in the whole run, over all rounds and processes, from 0."""
    round: int
    """From 1."""
    drawn: int | None = None
    """Rollouts that earlier epochs took for this prompt at most; None where the dataset has no length."""


@dataclass(frozen=True, slots=True)
class ExplorerRollout:
    """One completion in the learner's tokens."""

    token_ids: tuple[int, ...]
    """(T,) with the EOS that ended it, if one did."""
    logprobs: tuple[float, ...]
    """(T,) nats, under the distribution that sampled it."""
    logprobs_known: bool = True
    """False where the text was tokenised anew: all are NaN then, so that whatever would use them shows it."""


class Explorer(Protocol):
    """What the trainer asks of an explorer."""

    name: str

    @property
    def shape(self) -> ModelShape:
        """Of the model that samples, for compute accounting; known once bound."""
        ...

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Meet the learner and the config's sampling, once, before training.

        Raises PolicyError if the two do not fit together, UsageError if this explorer cannot sample so.
        """
        ...

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """`count` rollouts for each request, in order. Called once a round."""
        ...


@runtime_checkable
class PromptPolicy(Protocol):
    """A policy that takes token ids and gives token ids: the transformers and the vLLM engine."""

    name: str
    digest: str
    shape: ModelShape | None
    tokenizer: Any
    eos_ids: frozenset[int]

    def sample_prompts(self, prompts: Sequence[Prompted], sampling: SamplingParams) -> Iterator[Draw]:
        """One draw for every (prompt, index)."""
        ...


class PolicyExplorer:
    """A frozen policy that samples anew in every round."""

    def __init__(self, policy: Any) -> None:
        """Raises PolicyError for a policy that gives no token ids (endpoint, scripted)."""
        if not isinstance(policy, PromptPolicy) or policy.shape is None:
            raise PolicyError(
                f"{getattr(policy, 'name', policy)!r} gives text without token ids and log-probabilities, which "
                "training needs. Explorers are members run by the transformers or the vllm engine, a rollout bank, or "
                f"a copy of the learner. {RETOKENISE}"
            )
        self.name, self.shape = policy.name, policy.shape
        self._policy: PromptPolicy = policy

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Refuse another tokenizer or another EOS set. Raises PolicyError."""
        self._sampling = sampling
        require_same_tokens(self.name, self._policy.tokenizer, self._policy.eos_ids, learner)

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """Sampled now; a draw's index is its group's number times G plus its place."""
        prompts = [
            Prompted(prompt_id(request.prompt_ids), request.prompt_ids, slot_indices(request, group_size))
            for request in requests
        ]
        draws = {
            (draw.problem_id, draw.index): rollout_of(self.name, draw.completion)
            for draw in self._policy.sample_prompts(prompts, self._sampling)
        }
        return [[draws[prompt.problem_id, index] for index in prompt.indices] for prompt in prompts]


def prompt_id(prompt_ids: Sequence[int]) -> str:
    """Identity of a prompt by its token ids: what the trainer knows of a problem."""
    return content_digest(list(prompt_ids))


def rollout_of(name: str, completion: Completion) -> ExplorerRollout:
    """A stored or drawn completion as the trainer takes it. Raises PolicyError where it lacks ids or logprobs."""
    if completion.token_ids is None or completion.logprobs is None:
        raise PolicyError(f"{name} gave a completion without token ids and log-probabilities, which training needs.")
    return ExplorerRollout(tuple(map(int, completion.token_ids)), tuple(map(float, completion.logprobs)))


def require_same_tokens(name: str, tokenizer: Any, eos_ids: frozenset[int], learner: Learner) -> None:
    """Ids must mean the same text to both, and the same ids must end a completion. Raises PolicyError."""
    if difference := tokenizer_difference(learner.tokenizer, tokenizer):
        raise PolicyError(
            f"explorer {name} has another tokenizer than the learner: {difference}. Its token ids would be other text "
            f"to the learner. Take an explorer of the learner's own family. {RETOKENISE}"
        )
    if eos_ids != learner.eos_ids:
        raise PolicyError(
            f"explorer {name} ends completions at ids {sorted(eos_ids)} and the learner at {sorted(learner.eos_ids)}. "
            "What ends for one would go on for the other. Let generation_config.json, config.json and tokenizer name "
            "the same ids for both."
        )


def check_rollouts(
    name: str, requests: Sequence[Request], answers: Sequence[Sequence[ExplorerRollout]], limit: int, vocabulary: int
) -> None:
    """What an explorer gave must be what was asked. Raises PolicyError.

    `limit` is the learner's longest completion in tokens. An empty completion would leave TRL without a last token.
    """
    if [len(group) for group in answers] != [request.count for request in requests]:
        raise PolicyError(
            f"explorer {name} gave {[len(g) for g in answers]} rollouts, asked were {[r.count for r in requests]}."
        )
    for rollout in (rollout for group in answers for rollout in group):
        ids, logprobs = np.asarray(rollout.token_ids), np.asarray(rollout.logprobs)
        if not 0 < len(ids) <= limit:
            raise PolicyError(
                f"explorer {name} gave a completion of {len(ids)} tokens; 1 to {limit} (max_completion_length) are "
                "allowed. Sample it again with that bound."
            )
        if ids.min() < 0 or ids.max() >= vocabulary:
            raise PolicyError(
                f"explorer {name} gave token id {ids.max()}; the learner has embeddings for ids below {vocabulary}."
            )
        fine = np.isfinite(logprobs) if rollout.logprobs_known else np.isnan(logprobs)
        if len(ids) != len(logprobs) or not fine.all():
            wanted = "one finite number for each token" if rollout.logprobs_known else "NaN throughout, as told"
            raise PolicyError(f"explorer {name} gave log-probabilities that are not {wanted}.")


def slot_indices(request: Request, group_size: int) -> tuple[int, ...]:
    """Indices of the draws of a request: number of the group in the run times G plus the place."""
    return tuple(request.group * group_size + j for j in range(request.count))
