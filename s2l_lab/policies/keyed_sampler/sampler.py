"""The transformers sampler: exact draws from a causal language model, one forward pass per distinct prefix.

A wave of rollouts (waves.py) is prefilled once per problem and decoded token by token (decoding.py). Per step: shape
the distribution of every distinct prefix (warping.py), draw every rollout's token with its own uniform (draw_keys.py),
give finished rollouts away (tape.py), and run the model on the prefixes that are left (prefixes.py). The model's cache
is only ever reordered (row_cache.py), which works alike for full, sliding-window and linear attention.

A rollout is a function of its key and the model alone. On a CPU the model's bits are made independent of the batch
(invariant_attention.py, decoding.ROW_MULTIPLE) and, for small models, of the number of cores (wave_threads.py), so a
rollout comes out equal to the bit whatever is sampled beside it. On other devices logits move by rounding when the
batch changes, as they do between machines anywhere; a token changes with them only if its uniform falls that close to
the edge between two tokens (about one token in a million in float32).
"""

from __future__ import annotations

import functools
import inspect
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

from s2l_lab.errors import PolicyError
from s2l_lab.policies import waves
from s2l_lab.policies.keyed_sampler.decoding import Decoding
from s2l_lab.policies.keyed_sampler.invariant_attention import use_invariant_attention
from s2l_lab.policies.keyed_sampler.packed_linear import is_small
from s2l_lab.policies.keyed_sampler.row_cache import ROOM, cache_bytes, row_cache
from s2l_lab.policies.keyed_sampler.tape import Tape
from s2l_lab.policies.keyed_sampler.wave_threads import side_by_side
from s2l_lab.policies.policy import StopReason
from s2l_lab.policies.stopping import StopStrings, eos_ids, token_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from s2l_lab.policies.policy import Draw, SamplingParams

MAX_ROWS = 1024
"""Rollouts in a wave at most; more gain nothing."""
SMALL_BUDGET = 3 * 2**29
"""Bytes that the waves of a small model share: a run of the embedded family stays under 2 GB in all."""
_MAX_THREADS = 8  # waves side by side; Python's lock is one
_EXACT_DTYPES = (torch.float32, torch.float64)
_CACHE_TOLERANCE = 0.01  # nats; rounding gives 1e-5 in float32, and half precision is not judged
_WORKSPACE = 40  # bytes per row and vocabulary entry while a distribution is shaped: logits and four float64 arrays


class Sampler:
    """Draws rollouts from one model. `memory_budget` in bytes bounds cache and workspace of a wave.

    `merge=False` gives every rollout a row of its own; it exists for tests and benchmarks, the draws are the same.
    """

    def __init__(
        self, model: Any, tokenizer: Any, name: str, *, memory_budget: int | None = None, merge: bool = True
    ) -> None:
        use_invariant_attention(model)
        self._model, self._tokenizer, self._name, self._merge = model, tokenizer, name, merge
        self._vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._eos_V = token_mask(eos_ids(model, tokenizer), self._vocabulary)
        self._budget = _default_budget(model) if memory_budget is None else memory_budget
        self._threads = min(torch.get_num_threads(), _MAX_THREADS) if is_small(model) else 0
        keeps_last = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._last_logits_only = {"logits_to_keep": 1} if keeps_last else {}
        self.context: int | None = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        """Tokens that prompt and completion may have together; None if the model states no bound."""

    def sample(
        self, requests: Sequence[waves.Prompted], sampling: SamplingParams, policy_digest: str
    ) -> Iterator[Draw]:
        """Every requested rollout, as it finishes. A completion is cut by max_tokens or by the model's context.

        Raises PolicyError, naming problem and position, when the model gives NaN or infinite logits.
        """
        stops = StopStrings(self._tokenizer, sampling.stop, self._vocabulary)
        row_bytes, token_bytes = self._cache_bytes

        def capacity(prompt_length: int) -> int:
            tokens = prompt_length + self._limit(prompt_length, sampling)
            per_row = row_bytes + int(ROOM * token_bytes * tokens) + _WORKSPACE * self._vocabulary
            return min(MAX_ROWS, max(1, self._budget // max(self._threads, 1) // per_row))

        planned = waves.plan(requests, capacity, (sampling.seed, policy_digest, sampling.digest))
        decode = functools.partial(self._decode, sampling=sampling, stops=stops)
        if self._threads:
            yield from side_by_side(planned, decode, self._threads)
        else:
            yield from chain.from_iterable(map(decode, planned))

    def _decode(self, wave: waves.Wave, sampling: SamplingParams, stops: StopStrings) -> Iterator[Draw]:
        limit = self._limit(wave.prompts_PL.shape[1], sampling)
        tape = Tape(wave, sampling, self._tokenizer, stops)
        decoding = Decoding(wave, self._forward, self._model.config, sampling, merge=self._merge)
        while True:
            token_B = tape.record(decoding.live_B, decoding.draw(self._name))
            for reason in (StopReason.EOS, StopReason.STOP, StopReason.LENGTH):
                finished_B = self._finished(reason, decoding, token_B, tape, stops, limit)
                if finished_B.any():
                    yield from tape.finish(decoding.live_B[finished_B], reason)
                    decoding.drop(finished_B)
                    token_B = token_B[~finished_B]
            if not len(token_B):
                return
            decoding.advance(token_B)

    def _finished(
        self,
        reason: StopReason,
        decoding: Decoding,
        token_B: NDArray[np.int64],
        tape: Tape,
        stops: StopStrings,
        limit: int,
    ) -> NDArray[np.bool_]:
        """(B,) True for the live rollouts that end for this reason with these tokens."""
        if reason is StopReason.EOS:
            return self._eos_V[token_B]
        if reason is StopReason.LENGTH:
            return np.full(len(token_B), tape.length == limit)
        if not stops.may_complete_V[token_B].any():
            return np.zeros(len(token_B), dtype=bool)
        children = decoding.children(token_B)  # each distinct prefix is looked at once
        stopped_C = stops.may_complete_V[children.token_C]
        for c in np.flatnonzero(stopped_C):
            stopped_C[c] = stops.completed(tape.tokens_of(decoding.live_B[children.member_C[c]]))
        return stopped_C[children.child_B]

    def _limit(self, prompt_length: int, sampling: SamplingParams) -> int:
        """Tokens that a completion may have."""
        return sampling.max_tokens if self.context is None else min(sampling.max_tokens, self.context - prompt_length)

    @torch.inference_mode()
    def _forward(self, tokens_RT: NDArray[np.int64], cache: Any) -> torch.Tensor:
        """(R, V) logits after the last of these tokens, which extend the cache."""
        tokens = torch.from_numpy(tokens_RT).to(self._model.device)
        output = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, **self._last_logits_only)
        logits: torch.Tensor = output.logits[:, -1]
        return logits.cpu() if logits.device.type == "mps" else logits  # distributions need float64, MPS has none

    @functools.cached_property
    def _cache_bytes(self) -> tuple[int, int]:
        """Per row, and per token of a row: measured on a prompt of four tokens and one more, when first needed.

        Raises PolicyError where the cache changes what the model says: some architectures' cached code is wrong.
        """
        tokens_RT = np.arange(5)[None] % self._vocabulary
        cache = row_cache(self._model.config)
        self._forward(tokens_RT[:, :4], cache)
        four = cache_bytes(cache)
        cached = self._forward(tokens_RT[:, 4:], cache)
        per_token = cache_bytes(cache) - four
        plain = self._forward(tokens_RT, row_cache(self._model.config))
        gap = float((cached.log_softmax(-1) - plain.log_softmax(-1)).abs().max())
        if self._model.dtype in _EXACT_DTYPES and gap > _CACHE_TOLERANCE:
            raise PolicyError(
                f"{self._name}: {type(self._model).__name__} gives other log-probabilities with its cache than without "
                f"(by {gap:.2g} nats), so transformers' code for it cannot be sampled from here. Use --engine vllm, or "
                "another version of transformers."
            )
        return four - 4 * per_token, per_token


def _default_budget(model: Any) -> int:
    """Six tenths of what a GPU has free, or a quarter of the memory that a CPU has available."""
    if model.device.type == "cuda":
        return int(0.6 * torch.cuda.mem_get_info(model.device)[0])
    quarter = int(psutil.virtual_memory().available) // 4
    return min(quarter, SMALL_BUDGET) if is_small(model) else quarter
