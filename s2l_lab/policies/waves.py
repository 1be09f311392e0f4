"""Which rollouts are decoded together: waves that start and end together, and a queue that refills a batch.

Where bits are promised, prompts of one length share a wave, so that there is no padding and every row is at the same
position. A wave holds as many rollouts as fit the memory budget if every one ran to its last allowed token; rollouts of
one problem stay together as far as possible, because they share their prefill and their prefixes. Elsewhere a queue
hands rollouts of any length to one batch as room falls free. Neither division touches the draws' uniforms.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.policies.draw_keys import rollout_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Prompted:
    """A request in tokens: these sample indices of one problem's prompt."""

    problem_id: str
    prompt_ids: tuple[int, ...]
    indices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wave:
    """W rollouts of P prompts that start together."""

    problem_ids: tuple[str, ...]
    prompts: tuple[tuple[int, ...], ...]
    prompt_W: NDArray[np.int64]
    """Index of the prompt of each rollout, 0 to P - 1."""
    indices_W: tuple[int, ...]
    keys_W2: NDArray[np.uint64]
    """Key of each rollout's draw."""


KeyFields = tuple[int, str, str]
"""Run seed, policy digest, sampling digest."""


def plan(requests: Sequence[Prompted], capacity: Callable[[int], int], key_fields: KeyFields) -> Iterator[Wave]:
    """Waves of at most capacity(prompt length) rollouts with prompts of one length, nearly equal in size."""
    by_length: defaultdict[int, list[Prompted]] = defaultdict(list)
    for request in requests:
        by_length[len(request.prompt_ids)].append(request)
    for length, group in sorted(by_length.items()):
        total = sum(len(r.indices) for r in group)
        waves = -(-total // capacity(length))
        for chosen in _divide(group, -(-total // waves) if waves else 1):
            yield _wave(chosen, key_fields)


class Queue:
    """Requests that wait for room in one batch, shortest prompts first, so that neighbours need little padding.

    Rollouts of one problem can share prefixes only if they start together. So a request waits until it fits whole; one
    that is larger than what is free is cut only when at least half of the batch is free.
    """

    def __init__(self, requests: Sequence[Prompted], capacity: Callable[[int], int], key_fields: KeyFields) -> None:
        """`capacity(prompt length)`: rollouts that a batch may hold when that is its longest prompt."""
        self._waiting = sorted((r for r in requests[::-1] if r.indices), key=lambda r: -len(r.prompt_ids))
        self._capacity, self._key_fields = capacity, key_fields

    def take(self, live: int, longest: int) -> Wave | None:
        """The rollouts that start now, beside `live` ones with prompts of at most `longest` tokens; None for none."""
        chosen: list[Prompted] = []
        while self._waiting:
            request = self._waiting[-1]
            longest = max(longest, len(request.prompt_ids))
            capacity = self._capacity(longest)
            room = capacity - live
            if room <= 0 or (len(request.indices) > room and 2 * room < capacity):
                break
            part, rest = request.indices[:room], request.indices[room:]
            chosen.append(Prompted(request.problem_id, request.prompt_ids, part))
            live += len(part)
            self._waiting.pop()
            if rest:
                self._waiting.append(Prompted(request.problem_id, request.prompt_ids, rest))
        return _wave(chosen, self._key_fields) if chosen else None


def _divide(group: Sequence[Prompted], size: int) -> Iterator[list[Prompted]]:
    """Runs of requests of `size` rollouts each (the last may be smaller); a request may be cut."""
    chosen: list[Prompted] = []
    room = size
    for request in group:
        indices = request.indices
        while indices:
            part, indices = indices[:room], indices[room:]
            chosen.append(Prompted(request.problem_id, request.prompt_ids, part))
            room -= len(part)
            if room == 0:
                yield chosen
                chosen, room = [], size
    if chosen:
        yield chosen


def _wave(chosen: Sequence[Prompted], key_fields: KeyFields) -> Wave:
    return Wave(
        problem_ids=tuple(r.problem_id for r in chosen),
        prompts=tuple(r.prompt_ids for r in chosen),
        prompt_W=np.repeat(np.arange(len(chosen)), [len(r.indices) for r in chosen]),
        indices_W=tuple(i for r in chosen for i in r.indices),
        keys_W2=np.concatenate([rollout_keys(*key_fields, r.problem_id, r.indices) for r in chosen]),
    )
