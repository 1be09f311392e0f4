"""Teacher forcing: rollouts in padded batches through causal language models, and the logits of completion tokens only.

Equal (prompt, completion) pairs run once. Distinct ones are sorted by length and padded on the right, where a causal
model never looks, so what stands beside a rollout changes it by rounding at most. Of the final states only those that
predict completion tokens meet the vocabulary, a chunk of positions at a time: memory does not grow with T * V.

What would surprise: that needs a model whose logits are its output layer times its last hidden state. Some scale or cap
them afterwards (Gemma 2, Cohere, Granite). Each model is therefore asked once, on four tokens; one that does more gives
its own logits of all positions instead, and is slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch

from s2l_lab.errors import DataError, PolicyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_Float = TypeVar("_Float", np.float32, np.float64)

_SAME = 1e-5  # of the largest logit: the same products in the same order, but for rounding
_ENTRIES_CPU, _ENTRIES_GPU, _LEAST_ROWS = 2**22, 2**27, 64
"""Number of logits held at once, some five times over. More leave a CPU's cache; fewer rows slow the matrix product."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B distinct rollouts side by side, N completion tokens in all, rollout after rollout."""

    member_B: list[int]
    """Index of the distinct rollout in each row, B of them."""
    length_B: list[int]
    """Number of completion tokens of each row, B of them; they sum to N."""
    ids_BL: torch.Tensor
    """Token ids (B, L): prompt and completion without its last token, which predicts nothing here; padded on the right
    with id 0."""
    row_N: torch.Tensor
    position_N: torch.Tensor
    """Position in its row of `ids_BL` at which each completion token is predicted, (N,): one before its own place."""
    token_N: torch.Tensor


class ScoringBatches(NamedTuple):
    """Batches of distinct rollouts, and where each rollout asked for is among them."""

    batches: list[Batch]
    distinct_R: list[int]
    """Index of the distinct rollout; -1 for an empty completion, which is in no batch."""


def plan(
    prompt_ids: Sequence[Sequence[int]], completion_ids: Sequence[NDArray[np.integer] | None], max_tokens: int
) -> ScoringBatches:
    """Batches of at most `max_tokens` tokens, padding included (a longer rollout has a batch of its own).

    Raises UsageError for lists of different lengths, DataError for an empty prompt or a completion without token ids.
    """
    if len(prompt_ids) != len(completion_ids):
        raise UsageError(f"one prompt per completion is needed; given: {len(prompt_ids)} and {len(completion_ids)}.")
    if max_tokens < 1:
        raise UsageError(f"max_tokens_in_batch = {max_tokens} was asked; at least 1 is needed.")
    number: dict[tuple[int, bytes], int] = {}
    rollouts: list[tuple[NDArray[np.int64], int]] = []  # all ids, and how many of them are prompt
    distinct_R = []
    for index, (prompt, completion) in enumerate(zip(prompt_ids, completion_ids, strict=True)):
        ids = _joined(index, prompt, completion)
        key = len(prompt), ids.tobytes()
        if len(ids) > len(prompt) and key not in number:
            number[key] = len(rollouts)
            rollouts.append((ids, len(prompt)))
        distinct_R.append(number.get(key, -1))
    order = sorted(range(len(rollouts)), key=lambda i: (-len(rollouts[i][0]), i))
    batches: list[Batch] = []
    while order:
        rows = max(1, max_tokens // max(1, len(rollouts[order[0]][0]) - 1))
        batches.append(_batch(order[:rows], rollouts))
        order = order[rows:]
    return ScoringBatches(batches, distinct_R)


def _joined(index: int, prompt: Sequence[int], completion: NDArray[np.integer] | None) -> NDArray[np.int64]:
    if completion is None:
        raise DataError(
            f"rollout {index} has no token ids, so nothing can be scored: its engine (an endpoint) gave text only. "
            "Sample it with the engine transformers or vllm, or leave it out."
        )
    if len(prompt) == 0:
        raise DataError(f"the prompt of rollout {index} has no tokens; nothing predicts its first completion token.")
    return np.concatenate([np.asarray(prompt, np.int64), np.asarray(completion, np.int64)])


def _batch(members: list[int], rollouts: list[tuple[NDArray[np.int64], int]]) -> Batch:
    ids_BL = np.zeros((len(members), len(rollouts[members[0]][0]) - 1), np.int64)
    row, position, token, length_B = [], [], [], []
    for b, member in enumerate(members):
        ids, prompt_length = rollouts[member]
        ids_BL[b, : len(ids) - 1] = ids[:-1]
        length_B.append(len(ids) - prompt_length)
        row.append(np.full(length_B[-1], b))
        position.append(np.arange(prompt_length - 1, len(ids) - 1))
        token.append(ids[prompt_length:])
    flat = (torch.from_numpy(np.concatenate(parts)) for parts in (row, position, token))
    return Batch(members, length_B, torch.from_numpy(ids_BL), *flat)


class Scored:
    """A causal language model, ready to give logits of completion tokens."""

    def __init__(self, model: Any, role: str) -> None:
        if model.training:
            raise UsageError(f"the {role} is in training mode, where dropout is random; call its eval() first.")
        self.model, self.role = model, role
        self.output = model.get_output_embeddings()
        self.vocabulary = int(self.output.weight.shape[0])
        self.context: int | None = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        self.plain_head = self._head_is_all()
        """True if the logits are the output layer times the last hidden state, and nothing more."""

    def check(self, batches: Sequence[Batch]) -> None:
        """DataError for ids outside the vocabulary, or rollouts longer than the model's context."""
        for batch in batches:
            largest = max(int(batch.ids_BL.max()), int(batch.token_N.max()))
            if largest >= self.vocabulary or min(int(batch.ids_BL.min()), int(batch.token_N.min())) < 0:
                raise DataError(
                    f"token id {largest} was given, and the {self.role} knows ids from 0 to {self.vocabulary - 1}: the "
                    "rollouts were made with another tokenizer. Score them with a model that shares theirs."
                )
            if self.context is not None and batch.ids_BL.shape[1] > self.context:
                raise DataError(
                    f"a rollout has {batch.ids_BL.shape[1] + 1} tokens with its prompt, and the {self.role}'s context "
                    f"is {self.context}. Leave longer rollouts out, or use a longer model."
                )

    def states(self, batch: Batch) -> torch.Tensor:
        """(N, D) last hidden states that predict the completion tokens; (N, V) logits where there is no plain head."""
        device = self.model.device
        trunk = self._states if self.plain_head else self._logits
        return trunk(batch.ids_BL.to(device))[batch.row_N.to(device), batch.position_N.to(device)]

    def logits(self, states_ND: torch.Tensor) -> torch.Tensor:
        """(N, V) float32 logits of what `states` gave."""
        logits: torch.Tensor = self.output(states_ND) if self.plain_head else states_ND
        return logits.float()

    def _states(self, ids_BL: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model.base_model(input_ids=ids_BL, use_cache=False).last_hidden_state
        return states

    def _logits(self, ids_BL: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=ids_BL, use_cache=False).logits
        return logits

    @torch.inference_mode()
    def _head_is_all(self) -> bool:
        if self.model.base_model is self.model:
            return False
        probe = torch.arange(4, device=self.model.device)[None] % self.vocabulary
        own, product = self._logits(probe).double(), self.output(self._states(probe)).double()
        slack = _SAME * float(own.nan_to_num().abs().max())
        return own.shape == product.shape and torch.allclose(own, product, rtol=0, atol=slack, equal_nan=True)


def chunks(models: Sequence[Scored], batch: Batch) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
    """For successive completion tokens of a batch: the logits (n, V) of each model, and the tokens (n,).

    All on the first model's device.
    """
    device = models[0].model.device
    states = [model.states(batch) for model in models]
    entries = _ENTRIES_CPU if device.type == "cpu" else _ENTRIES_GPU
    step = max(_LEAST_ROWS, entries // models[0].vocabulary)
    for start in range(0, len(batch.token_N), step):
        here = slice(start, start + step)
        logits = [model.logits(own[here]).to(device) for model, own in zip(models, states, strict=True)]
        yield logits, batch.token_N[here].to(device)


def refuse_bad(value_CN: NDArray[Any], model: str) -> None:
    """PolicyError where logits were NaN or infinite, which leaves no score finite."""
    if not np.isfinite(value_CN).all():
        raise PolicyError(
            f"the {model} gave NaN or infinite logits for a completion token, so it has no score. Check the "
            "checkpoint's weights, or load it in float32."
        )


def by_rollout(
    planned: ScoringBatches, run: Callable[[Batch], NDArray[_Float]], empty_C0: NDArray[_Float]
) -> list[NDArray[_Float]]:
    """Run every batch to (C, N), and give each rollout its (C, T) in the order asked for; empty ones get `empty_C0`."""
    scored = {-1: empty_C0}
    for batch in planned.batches:
        parts: list[NDArray[_Float]] = np.split(run(batch), np.cumsum(batch.length_B)[:-1], axis=1)
        scored.update(zip(batch.member_B, parts, strict=True))
    return [scored[number] for number in planned.distinct_R]
