"""Waves: which rollouts are decoded together.

Prompts of one length share a wave, so that there is no padding and every row is at the same position. A wave holds as
many rollouts as fit the memory budget if every one ran to its last allowed token; rollouts of one problem stay together
as far as possible, because they share their prefill and their prefixes. The division never touches the draws.
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
    """W rollouts of P prompts of one length L."""

    problem_ids: tuple[str, ...]
    prompts_PL: NDArray[np.int64]
    prompt_W: NDArray[np.int64]
    """Index of the prompt of each rollout, 0 to P - 1."""
    indices_W: tuple[int, ...]
    keys_W2: NDArray[np.uint64]
    """Key of each rollout's draw."""


def plan(
    requests: Sequence[Prompted], capacity: Callable[[int], int], key_fields: tuple[int, str, str]
) -> Iterator[Wave]:
    """Waves of at most capacity(prompt length) rollouts, of nearly equal size within a length.

    `key_fields` are (run seed, policy digest, sampling digest).
    """
    by_length: defaultdict[int, list[Prompted]] = defaultdict(list)
    for request in requests:
        by_length[len(request.prompt_ids)].append(request)
    for length, group in sorted(by_length.items()):
        total = sum(len(r.indices) for r in group)
        waves = -(-total // capacity(length))
        for chosen in _divide(group, -(-total // waves) if waves else 1):
            yield _wave(chosen, key_fields)


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


def _wave(chosen: Sequence[Prompted], key_fields: tuple[int, str, str]) -> Wave:
    return Wave(
        problem_ids=tuple(r.problem_id for r in chosen),
        prompts_PL=np.array([r.prompt_ids for r in chosen], dtype=np.int64),
        prompt_W=np.repeat(np.arange(len(chosen)), [len(r.indices) for r in chosen]),
        indices_W=tuple(i for r in chosen for i in r.indices),
        keys_W2=np.concatenate([rollout_keys(*key_fields, r.problem_id, r.indices) for r in chosen]),
    )
