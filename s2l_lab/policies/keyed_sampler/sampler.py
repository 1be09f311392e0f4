"""The transformers sampler: exact draws from a causal language model, one forward pass per distinct prefix.

A batch of rollouts is prefilled once per problem and decoded token by token (decoding.py). Per step: shape the
distribution of every distinct prefix (warping.py), draw every rollout's token with its own uniform (draw_keys.py), give
finished rollouts away (tape.py), and run the model on the prefixes that are left (prefixes.py).

There are two ways to keep a batch full (waves.py):

- One batch that is refilled: prompts of any length are read unpadded, their rows join the cache (row_cache.py) beside
  those in flight, and finished rollouts are replaced at once. The rule for every model that is not named below.
- Waves of prompts of one length, which start together and are never refilled: no row has padding. For models whose
  draws are promised to the bit, and for those whose cache takes no new rows, which a warning names.

A rollout is a function of its key and the model alone. Where the sampler is `exact` its bits are, too: the model's
arithmetic is made independent of the batch (invariant_attention.py, decoding.ROW_MULTIPLE) and, for small models, of
the number of cores (wave_threads.py), so a rollout comes out equal to the bit whatever is sampled beside it. That is
the rule for models of up to packed_linear.MAX_PARAMETERS on a CPU, and an option for larger ones there. Elsewhere
logits move by rounding when the batch changes, as they do between machines anywhere; a token changes with them only if
its uniform falls that close to the edge between two tokens (about one token in a million in float32).
"""

from __future__ import annotations

import functools
import inspect
import warnings
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import torch

from s2l_lab.errors import PolicyError
from s2l_lab.policies import waves
from s2l_lab.policies.keyed_sampler.decoding import ROW_MULTIPLE, Decoding
from s2l_lab.policies.keyed_sampler.invariant_attention import use_invariant_attention
from s2l_lab.policies.keyed_sampler.packed_linear import is_small
from s2l_lab.policies.keyed_sampler.row_cache import (
    ROOM,
    append_rows,
    cache_bytes,
    row_cache,
    takes_rows,
)
from s2l_lab.policies.keyed_sampler.tape import Tape
from s2l_lab.policies.keyed_sampler.wave_threads import side_by_side
from s2l_lab.policies.policy import StopReason
from s2l_lab.policies.stopping import StopStrings, eos_ids, token_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from s2l_lab.policies.policy import Draw, SamplingParams

MAX_ROWS = 1024
"""Rollouts in a batch at most; more gain nothing."""
CPU_ROWS = 128
"""The same for a batch that is refilled on a CPU: of a model that is not small, this many rows keep the cores busy."""
SMALL_BUDGET = 3 * 2**29
"""Bytes that the waves of a small model share: a run of the embedded family stays under 2 GB in all."""
_MAX_THREADS = 8  # waves side by side; Python's lock is one
_EXACT_DTYPES = (torch.float32, torch.float64)
_CACHE_TOLERANCE = 0.01  # nats; rounding gives 1e-5 in float32, and half precision is not judged
_WORKSPACE = 40  # bytes per row and vocabulary entry while a distribution is shaped: logits and four float64 arrays
_CPU_WORKSPACE = 12  # on a CPU, where few rows are shaped at a time: logits, those before, and both put together


class Sampler:
    """Draws rollouts from one model. `memory_budget` in bytes bounds cache and workspace of a batch.

    `exact` promises draws to the bit; None promises it by the rule above. `merge=False` gives every rollout a row of
    its own; it exists for tests and benchmarks, the draws are the same.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        *,
        memory_budget: int | None = None,
        exact: bool | None = None,
        merge: bool = True,
    ) -> None:
        """Raises PolicyError where `exact` is asked for and the model is not on a CPU."""
        if exact and model.device.type != "cpu":
            raise PolicyError(
                f"{name}: draws can be promised to the bit on a CPU only, and the model is on {model.device}. Leave "
                "`exact` out; draws are still keyed, and differ by rounding at most."
            )
        use_invariant_attention(model)
        self.exact = promises_bits(model) if exact is None else exact
        """True where a draw is equal to the bit whatever is sampled beside it."""
        self._model, self._tokenizer, self._name, self._merge = model, tokenizer, name, merge
        self._vocabulary = int(model.get_output_embeddings().weight.shape[0])
        self._eos_V = token_mask(eos_ids(model, tokenizer), self._vocabulary)
        self._budget = _default_budget(model) if memory_budget is None else memory_budget
        self._threads = min(torch.get_num_threads(), _MAX_THREADS) if self.exact and is_small(model) else 0
        self._takes = frozenset(inspect.signature(model.forward).parameters)
        self._last_logits_only = {"logits_to_keep": 1} if "logits_to_keep" in self._takes else {}
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
        on_cpu = self._model.device.type == "cpu"
        workspace = _CPU_WORKSPACE if on_cpu else _WORKSPACE
        refilled = not self.exact and self._refills
        most = CPU_ROWS if refilled and on_cpu else MAX_ROWS

        def capacity(prompt_length: int) -> int:
            tokens = prompt_length + self._limit(prompt_length, sampling)
            per_row = row_bytes + int(ROOM * token_bytes * tokens) + workspace * self._vocabulary
            return min(most, max(1, self._budget // max(self._threads, 1) // per_row))

        key_fields = (sampling.seed, policy_digest, sampling.digest)
        if refilled:
            lengths = [len(request.prompt_ids) for request in requests]
            most_rows = capacity(min(lengths, default=0))
            yield from self._refill(waves.Queue(requests, capacity, key_fields), sampling, stops, most_rows)
            return
        planned = waves.plan(requests, capacity, key_fields)
        decode = functools.partial(self._decode, sampling=sampling, stops=stops)
        if self._threads:
            yield from side_by_side(planned, decode, self._threads)
        else:
            yield from chain.from_iterable(map(decode, planned))

    def _decode(self, wave: waves.Wave, sampling: SamplingParams, stops: StopStrings) -> Iterator[Draw]:
        """One wave, from its prompts to its last draw."""
        tape, decoding = self._start(sampling, stops)
        decoding.begin(wave, tape.add(wave))
        while len(decoding.live_B):
            yield from self._step(decoding, tape, stops)

    def _refill(
        self, queue: waves.Queue, sampling: SamplingParams, stops: StopStrings, most_rows: int
    ) -> Iterator[Draw]:
        """One batch, which takes rollouts from the queue as others finish."""
        tape, decoding = self._start(sampling, stops, most_rows)
        while True:
            if wave := queue.take(len(decoding.live_B), tape.longest_prompt(decoding.live_B)):
                decoding.admit(wave, tape.add(wave))
            if not len(decoding.live_B):
                return
            yield from self._step(decoding, tape, stops)

    def _start(
        self, sampling: SamplingParams, stops: StopStrings, most_rows: int | None = None
    ) -> tuple[Tape, Decoding]:
        tape = Tape(sampling, self._tokenizer, stops, functools.partial(self._limit, sampling=sampling))
        decoding = Decoding(
            self._forward,
            self._model.config,
            sampling,
            merge=self._merge,
            multiple=ROW_MULTIPLE if self.exact else 1,
            most_rows=most_rows,
        )
        return tape, decoding

    def _step(self, decoding: Decoding, tape: Tape, stops: StopStrings) -> Iterator[Draw]:
        """One token for every live rollout, and the draws that it ends."""

        def describe(track: int) -> str:
            rollout = tape.rollout(track)
            return (
                f"policy {self._name!r} gave NaN or infinite logits at position {tape.length_S[track]} of a completion "
                f"of problem {rollout.problem_id} (sample index {rollout.index})."
            )

        drawn_CB = decoding.draw(tape.uniforms(decoding.live_B), describe)
        token_B = tape.record(decoding.live_B, drawn_CB)
        for reason in (StopReason.EOS, StopReason.STOP, StopReason.LENGTH):
            finished_B = self._finished(reason, decoding, token_B, tape, stops)
            if finished_B.any():
                yield from tape.finish(decoding.live_B[finished_B], reason)
                decoding.drop(finished_B)
                token_B = token_B[~finished_B]
        if len(token_B):
            decoding.advance(token_B)

    def _finished(
        self,
        reason: StopReason,
        decoding: Decoding,
        token_B: NDArray[np.int64],
        tape: Tape,
        stops: StopStrings,
    ) -> NDArray[np.bool_]:
        """(B,) True for the live rollouts that end for this reason with these tokens."""
        if reason is StopReason.EOS:
            return self._eos_V[token_B]
        if reason is StopReason.LENGTH:
            return tape.full(decoding.live_B)
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
    def _forward(
        self, tokens_RT: NDArray[np.int64], cache: Any, lengths_R: NDArray[np.int64] | None = None
    ) -> torch.Tensor:
        """(R, V) logits after the last of these tokens, which extend the cache (see decoding.Forward)."""
        tokens = torch.from_numpy(tokens_RT).to(self._model.device)
        places = {}
        if lengths_R is not None:  # of one new token a row
            lengths = torch.from_numpy(lengths_R).to(self._model.device)
            columns = torch.arange(int(lengths_R.max()) + 1, device=self._model.device)
            mask = columns >= columns[-1] - lengths[:, None]
            places = {"attention_mask": mask, "position_ids": lengths[:, None]}
        output = self._model(
            input_ids=tokens, past_key_values=cache, use_cache=True, **places, **self._last_logits_only
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits.cpu() if logits.device.type == "mps" else logits  # distributions need float64, MPS has none

    @functools.cached_property
    def _cache_bytes(self) -> tuple[int, int]:
        """Per row, and per token of a row: measured on two prompts of four tokens and one more, when first needed.

        Raises PolicyError where the cache, its rows changed about, changes what the model says (some architectures'
        cached code is wrong, some keep state outside of it), and for an architecture with a cache of its own kind.
        """
        tokens_RT, swapped = np.arange(10).reshape(2, 5) % self._vocabulary, [1, 0]
        cache = row_cache(self._model.config)
        try:
            self._forward(tokens_RT[:, :4], cache)
            four = cache_bytes(cache) // 2
            with torch.inference_mode():
                cache.reorder_cache(torch.tensor(swapped))
        except (AttributeError, TypeError, ValueError) as error:
            raise PolicyError(
                f"{self._name}: {type(self._model).__name__} does not run with transformers' DynamicCache "
                f"({' '.join(str(error).split())}), so it cannot be sampled from here. Use --engine vllm, or another "
                "version of transformers."
            ) from error
        cached = self._forward(tokens_RT[swapped, 4:], cache)
        per_token = cache_bytes(cache) // 2 - four
        plain = self._forward(tokens_RT[swapped], row_cache(self._model.config))
        gap = float((cached.log_softmax(-1) - plain.log_softmax(-1)).abs().max())
        if self._model.dtype in _EXACT_DTYPES and gap > _CACHE_TOLERANCE:
            raise PolicyError(
                f"{self._name}: {type(self._model).__name__} gives other log-probabilities with its cache than without "
                f"(by {gap:.2g} nats), so transformers' code for it cannot be sampled from here. Use --engine vllm, or "
                "another version of transformers."
            )
        return four - 4 * per_token, per_token

    @functools.cached_property
    def _refills(self) -> bool:
        """True if rows of other lengths can join a batch: tried on prompts of two and five tokens when first needed.

        Warns where they cannot, and what is done instead.
        """
        reason = "its cache holds state that cannot be moved row by row"
        if not {"attention_mask", "position_ids"} <= self._takes:
            reason = "its forward pass takes no mask and positions"
        elif takes_rows(cache := row_cache(self._model.config)):
            lengths_R, texts = np.array([2, 5]), [np.arange(n)[None] % self._vocabulary for n in (3, 6)]
            for text_1T in texts:
                alone = row_cache(self._model.config)
                self._forward(text_1T[:, :-1], alone)
                append_rows(cache, alone, torch.tensor([0]))
            together = self._forward(np.array([text_1T[0, -1:] for text_1T in texts]), cache, lengths_R)
            plain = torch.cat([self._forward(text_1T, row_cache(self._model.config)) for text_1T in texts])
            gap = float((together.log_softmax(-1) - plain.log_softmax(-1)).abs().max())
            if self._model.dtype not in _EXACT_DTYPES or gap <= _CACHE_TOLERANCE:
                return True
            reason = f"it gives other log-probabilities beside a longer prompt (by {gap:.2g} nats)"
        warnings.warn(
            f"{self._name}: prompts of different lengths are sampled one length after another, and finished rollouts "
            f"are not replaced, because {type(self._model).__name__} does not allow it: {reason}. Draws are the same; "
            "sampling is slower.",
            stacklevel=2,
        )
        return False


def promises_bits(model: Any) -> bool:
    """The rule: draws of a model on a CPU of up to packed_linear.MAX_PARAMETERS are promised to the bit."""
    return is_small(model)


def _default_budget(model: Any) -> int:
    """Six tenths of what a GPU has free, or a quarter of the memory that a CPU has available."""
    if model.device.type == "cuda":
        return int(0.6 * torch.cuda.mem_get_info(model.device)[0])
    quarter = int(psutil.virtual_memory().available) // 4
    return min(quarter, SMALL_BUDGET) if is_small(model) else quarter
