"""The tape: what a wave has drawn so far, and the completions made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.policies.policy import Completion, Draw, SamplingParams, StopReason
from s2l_lab.policies.stopping import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from s2l_lab.policies.stopping import StopStrings
    from s2l_lab.policies.waves import Wave

_FIRST_ROOM = 64


class Tape:
    """Token ids, log-probabilities and entropies of the W rollouts of a wave, by position."""

    def __init__(self, wave: Wave, sampling: SamplingParams, tokenizer: Any, stops: StopStrings) -> None:
        self._wave, self._tokenizer, self._stops = wave, tokenizer, stops
        self._plain_differs = sampling.temperature != 1 or sampling.presence_penalty != 0 or not sampling.full_support
        shape = (len(wave.prompt_W), min(sampling.max_tokens, _FIRST_ROOM))
        self._tokens_WT = np.zeros(shape, dtype=np.int32)
        self._values_3WT = np.zeros((3, *shape), dtype=np.float32)
        self.length = 0

    def record(self, live_B: NDArray[np.int64], values_CB: NDArray[np.float64]) -> NDArray[np.int64]:
        """Append one position of the live rollouts: rows are token id, log-probability, entropy and, where it differs,
        log-probability at temperature 1. Returns the token ids."""
        t = self.length
        if t == self._tokens_WT.shape[1]:
            self._tokens_WT = np.pad(self._tokens_WT, ((0, 0), (0, t)))
            self._values_3WT = np.pad(self._values_3WT, ((0, 0), (0, 0), (0, t)))
        token_B: NDArray[np.int64] = values_CB[0].astype(np.int64)
        self._tokens_WT[live_B, t] = token_B
        self._values_3WT[: len(values_CB) - 1, live_B, t] = values_CB[1:]
        self.length += 1
        return token_B

    def tokens_of(self, rollout: int) -> NDArray[np.int32]:
        """(T,) what one rollout has drawn so far."""
        return self._tokens_WT[rollout, : self.length]

    def finish(self, rollouts: NDArray[np.int64], reason: StopReason) -> Iterator[Draw]:
        """The draws of rollouts that end at the last recorded position."""
        wave, n = self._wave, self.length
        drawn = self._tokens_WT[rollouts, :n]
        texts = self._texts(drawn[:, : n - 1] if reason is StopReason.EOS else drawn, reason)
        for rollout, token_ids, text in zip(rollouts, drawn, texts, strict=True):
            logprobs, entropies, plain = self._values_3WT[:, rollout, :n].copy()
            yield Draw(
                problem_id=wave.problem_ids[wave.prompt_W[rollout]],
                index=wave.indices_W[rollout],
                completion=Completion(
                    text=text,
                    token_ids=token_ids.copy(),
                    logprobs=logprobs,
                    logprobs_t1=plain if self._plain_differs else None,
                    entropies=entropies.astype(np.float16),
                    stop_reason=reason,
                    prompt_tokens=wave.prompts_PL.shape[1],
                ),
            )

    def _texts(self, drawn_BT: NDArray[np.int32], reason: StopReason) -> list[str]:
        if reason is StopReason.STOP:
            return [self._stops.text(token_ids) for token_ids in drawn_BT]
        return decode(self._tokenizer, drawn_BT)
