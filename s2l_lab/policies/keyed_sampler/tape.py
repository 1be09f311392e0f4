"""The tape: what rollouts in flight have drawn so far, and the completions made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.policies.draw_keys import uniforms
from s2l_lab.policies.policy import Completion, Draw, SamplingParams, StopReason
from s2l_lab.policies.stopping import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from s2l_lab.policies.stopping import StopStrings
    from s2l_lab.policies.waves import Wave

_FIRST_ROOM = 64
_UNIFORM_POSITIONS = 32  # uniforms are made for this many positions at once


@dataclass(frozen=True, slots=True)
class Owner:
    """The rollout whose tokens a track holds."""

    problem_id: str
    index: int
    prompt_tokens: int


class Tape:
    """Token ids, log-probabilities and entropies of rollouts, one track (S) each, by position.

    A track of a finished rollout is given to a later one.
    """

    def __init__(
        self, sampling: SamplingParams, tokenizer: Any, stops: StopStrings, limit: Callable[[int], int]
    ) -> None:
        """`limit(prompt length)`: tokens that a completion may have."""
        self._tokenizer, self._stops, self._limit = tokenizer, stops, limit
        self._plain_differs = sampling.temperature != 1 or sampling.presence_penalty != 0 or not sampling.full_support
        room = min(sampling.max_tokens, _FIRST_ROOM)
        self._tokens_ST = np.zeros((0, room), dtype=np.int32)
        self._values_3ST = np.zeros((3, 0, room), dtype=np.float32)
        self._uniform_ST = np.zeros((0, _UNIFORM_POSITIONS))
        self._keys_S2 = np.zeros((0, 2), dtype=np.uint64)
        self._rollouts: list[Owner] = []
        self._free: list[int] = []
        self.length_S = np.zeros(0, dtype=np.int64)
        """Tokens that each track holds."""
        self.limit_S = np.zeros(0, dtype=np.int64)
        """Tokens that each track may hold."""

    def add(self, wave: Wave) -> NDArray[np.int64]:
        """(W,) the tracks of the wave's rollouts, empty yet."""
        count = len(wave.prompt_W)
        reused, self._free = self._free[:count], self._free[count:]
        new = count - len(reused)
        tracks = np.array([*reused, *range(len(self._rollouts), len(self._rollouts) + new)], dtype=np.int64)
        if new:
            self._rollouts += [Owner("", 0, 0)] * new
            self._tokens_ST = np.pad(self._tokens_ST, ((0, new), (0, 0)))
            self._values_3ST = np.pad(self._values_3ST, ((0, 0), (0, new), (0, 0)))
            self._uniform_ST = np.pad(self._uniform_ST, ((0, new), (0, 0)))
            self._keys_S2 = np.pad(self._keys_S2, ((0, new), (0, 0)))
            self.length_S, self.limit_S = np.pad(self.length_S, (0, new)), np.pad(self.limit_S, (0, new))
        self._keys_S2[tracks] = wave.keys_W2
        self.length_S[tracks] = 0
        lengths = [len(prompt) for prompt in wave.prompts]
        self.limit_S[tracks] = np.array([self._limit(n) for n in lengths])[wave.prompt_W]
        for track, prompt, index in zip(tracks.tolist(), wave.prompt_W.tolist(), wave.indices_W, strict=True):
            self._rollouts[track] = Owner(wave.problem_ids[prompt], index, lengths[prompt])
        return tracks

    def rollout(self, track: int) -> Owner:
        """The rollout whose tokens a track holds."""
        return self._rollouts[track]

    def longest_prompt(self, tracks: NDArray[np.int64]) -> int:
        """Tokens of the longest prompt among these tracks; 0 for none."""
        return max((self._rollouts[track].prompt_tokens for track in tracks.tolist()), default=0)

    def uniforms(self, live_B: NDArray[np.int64]) -> NDArray[np.float64]:
        """(B,) the uniforms that draw the next token of these tracks."""
        position_B = self.length_S[live_B]
        column_B = position_B % _UNIFORM_POSITIONS
        due = live_B[column_B == 0]
        for start in np.unique(self.length_S[due]) if len(due) else ():
            tracks = due[self.length_S[due] == start]
            positions = np.arange(start, start + _UNIFORM_POSITIONS)
            self._uniform_ST[tracks] = uniforms(self._keys_S2[tracks], positions)
        drawn: NDArray[np.float64] = self._uniform_ST[live_B, column_B]
        return drawn

    def record(self, live_B: NDArray[np.int64], values_CB: NDArray[np.float64]) -> NDArray[np.int64]:
        """Append one position to these tracks: rows are token id, log-probability, entropy and, where it differs,
        log-probability at temperature 1. Returns the token ids."""
        position_B = self.length_S[live_B]
        room = self._tokens_ST.shape[1]
        if position_B.max(initial=0) == room:
            self._tokens_ST = np.pad(self._tokens_ST, ((0, 0), (0, room)))
            self._values_3ST = np.pad(self._values_3ST, ((0, 0), (0, 0), (0, room)))
        token_B: NDArray[np.int64] = values_CB[0].astype(np.int64)
        self._tokens_ST[live_B, position_B] = token_B
        self._values_3ST[: len(values_CB) - 1, live_B, position_B] = values_CB[1:]
        self.length_S[live_B] += 1
        return token_B

    def full(self, live_B: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B,) True for tracks that hold all that they may."""
        at_limit: NDArray[np.bool_] = self.length_S[live_B] >= self.limit_S[live_B]
        return at_limit

    def tokens_of(self, track: int) -> NDArray[np.int32]:
        """(T,) what one rollout has drawn so far."""
        return self._tokens_ST[track, : self.length_S[track]]

    def finish(self, tracks: NDArray[np.int64], reason: StopReason) -> Iterator[Draw]:
        """The draws of rollouts that end at their last recorded position. Their tracks are free afterwards."""
        drawn = [self.tokens_of(track).copy() for track in tracks.tolist()]
        texts = self._texts([ids[:-1] if reason is StopReason.EOS else ids for ids in drawn], reason)
        finished = [
            (self._rollouts[track], self._values_3ST[:, track, : self.length_S[track]].copy())
            for track in tracks.tolist()
        ]
        self._free += tracks.tolist()
        for (rollout, values), token_ids, text in zip(finished, drawn, texts, strict=True):
            logprobs, entropies, plain = values
            yield Draw(
                problem_id=rollout.problem_id,
                index=rollout.index,
                completion=Completion(
                    text=text,
                    token_ids=token_ids,
                    logprobs=logprobs,
                    logprobs_t1=plain if self._plain_differs else None,
                    entropies=entropies.astype(np.float16),
                    stop_reason=reason,
                    prompt_tokens=rollout.prompt_tokens,
                ),
            )

    def _texts(self, drawn: list[NDArray[np.int32]], reason: StopReason) -> list[str]:
        if reason is StopReason.STOP:
            return [self._stops.text(token_ids) for token_ids in drawn]
        return decode(self._tokenizer, drawn)
