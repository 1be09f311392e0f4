"""Explorers: who fills the explorer's slots of a group, and what every one of them must keep.

An explorer answers prompts that are token ids (the learner's own) with completions in the learner's token ids and the
log-probabilities under the distribution that sampled them. Here are the explorers that sample as training goes: a
policy (a smaller member, by the transformers or the vLLM engine) and a function of the user's; bank.py has the one that
draws from rollouts sampled before, perturbed.py copies of the learner.

What would surprise: nothing here draws from a global generator. A policy's draws are keyed by (seed, policy, sampling,
prompt, number of the group in the run, slot), so they are the same on one process and on two, and after a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from s2l_lab.digest import content_digest, content_seed
from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.endpoint import TokenEndpointPolicy
from s2l_lab.policies.policy import SamplingParams
from s2l_lab.policies.tokenizers import tokenizer_difference
from s2l_lab.policies.waves import Prompted
from s2l_lab.training.correction import WITHOUT_PROBABILITIES, Correction

if TYPE_CHECKING:
    from s2l_lab.policies import Completion, Draw, ModelShape

Tokens = list[list[int]]
ExplorerFunction = Callable[[Tokens, SamplingParams], Tokens | tuple[Tokens, list[list[float]]]]
"""A user's explorer: see FunctionExplorer."""

RETOKENISE = (
    "Or let the learner's tokenizer spell its text, which leaves no log-probabilities: RetokenisedExplorer(policy), "
    "with correction='none' or 'luffy' (in a plan: retokenise = true)."
)


@dataclass(frozen=True, slots=True)
class Learner:
    """What an explorer may know of the learner."""

    model: Any
    """The unwrapped causal language model; its parameters change between rounds."""
    tokenizer: Any
    eos_ids: frozenset[int]
    vocabulary: int
    """Rows of the embedding: ids are below it."""
    sharded: bool = False
    """True where no process holds the whole weights (FSDP, DeepSpeed)."""
    correction: Correction | None = None
    """The config's correction of the explorer's tokens; None if it is not set."""
    dataset: Any = None
    """What is trained on, with a column `prompt`."""
    encode: Callable[[Any], Sequence[int]] | None = None
    """Token ids of an entry of that column, as training makes them."""
    most: int = 0
    """Rollouts of one prompt that a round asks the explorer for, at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """The explorer's part of one group."""

    prompt_ids: tuple[int, ...]
    count: int
    """Number Gw of rollouts wanted per prompt."""
    group: int
    """Number of the group in the whole run, over all rounds and processes, from 0."""
    round: int
    """Number of the round, from 1."""
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
    """False where nobody gave them for these tokens: all are NaN then, so that whatever would use them shows it."""


class Explorer(Protocol):
    """What the trainer asks of an explorer."""

    name: str

    @property
    def shape(self) -> ModelShape | None:
        """Of the model that samples, for compute accounting; known once bound. None: its FLOPs cannot be counted."""
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
        """Raises PolicyError for a policy that gives no token ids (scripted, or a server of text)."""
        if not isinstance(policy, PromptPolicy):
            raise PolicyError(
                f"{getattr(policy, 'name', policy)!r} gives text without token ids and log-probabilities, which "
                "training needs. Explorers are members run by the transformers or the vllm engine, a served model "
                f"(ServedExplorer), a rollout bank, texts, or a copy of the learner. {RETOKENISE}"
            )
        self.name, self.shape = policy.name, policy.shape
        self._policy: PromptPolicy = policy

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Refuse another tokenizer or another EOS set, and a server whose log-probabilities are those of another
        distribution than it samples from. Raises PolicyError."""
        self._sampling = sampling
        require_same_tokens(self.name, self._policy.tokenizer, self._policy.eos_ids, learner)
        if isinstance(self._policy, TokenEndpointPolicy):
            self._policy.require_logprobs(sampling)

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


class FunctionExplorer:
    """A function of the user's, `function(prompts, sampling)`, as explorer.

    prompts: a list of token ids (the learner's) for every rollout that is wanted, those of a group in a row.
    sampling: temperature, top_p and max_tokens by the config; a seed of its own for each call, which depends on the
    run's seed, the round and the process alone, so that a run which draws by it can be resumed.

    It returns the completions: as many lists of 1 to max_tokens token ids of the learner, each with its EOS where it
    ended. Or the pair (completions, logprobs), with the nats of these tokens under the distribution that sampled them.
    Without log-probabilities only the corrections "none" and "luffy" are possible (UsageError in the first round).
    """

    def __init__(self, function: ExplorerFunction, shape: ModelShape | None = None) -> None:
        """`shape` of the model behind it; None leaves the explorer's FLOPs out of the cost, as NaN."""
        self.name = getattr(function, "__name__", type(function).__name__)
        self.shape = shape
        self._function = function

    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Fits every learner: what it gives is checked round by round."""
        self._sampling, self._correction = sampling, learner.correction

    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """One call for the whole round. Raises PolicyError for an answer of another form."""
        prompts = [list(request.prompt_ids) for request in requests for _ in range(request.count)]
        seed = content_seed("explorer", self._sampling.seed, requests[0].group) >> 1
        answer = self._function(prompts, self._sampling.model_copy(update={"seed": seed}))
        completions, logprobs = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        rollouts = iter(self._rollouts(completions, logprobs, len(prompts)))
        if logprobs is None and self._correction not in (None, *WITHOUT_PROBABILITIES):
            raise UsageError(
                f"correction {self._correction!r} needs the explorer's log-probabilities, and {self.name} returned "
                "completions alone. Return (completions, logprobs), or use correction='none' or 'luffy'."
            )
        return [[next(rollouts) for _ in range(request.count)] for request in requests]

    def _rollouts(self, completions: Any, logprobs: Any, wanted: int) -> list[ExplorerRollout]:
        if not isinstance(completions, list) or len(completions) != wanted:
            given = f"{len(completions)} completions" if isinstance(completions, list) else type(completions).__name__
            raise PolicyError(f"explorer {self.name} returned {given}; a list of {wanted} completions was asked for.")
        if any(isinstance(row, str) for row in completions):
            raise PolicyError(
                f"explorer {self.name} returned text; completions are lists of the learner's token ids. Encode it with "
                "the learner's tokenizer."
            )
        rows = [tuple(map(int, row)) for row in completions]
        if logprobs is None:
            return [ExplorerRollout(row, (float("nan"),) * len(row), logprobs_known=False) for row in rows]
        if len(logprobs) != wanted:
            raise PolicyError(f"explorer {self.name} returned {len(logprobs)} lists of log-probabilities for {wanted}.")
        return [ExplorerRollout(row, tuple(map(float, own))) for row, own in zip(rows, logprobs, strict=True)]


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
