"""A batch in flight: its cache, its live rollouts, and the four moves of a decoding step.

`begin` or `admit` bring rollouts in, `draw` gives every live rollout a token, `drop` takes finished rollouts out,
`advance` runs the model once on every distinct prefix that is left. Rows (R, what the model sees) are prefixes; B live
rollouts point at them.

Rows of different lengths are right-aligned in the cache: the model is told each row's position, and which columns are
padding before its first token.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from s2l_lab.errors import PolicyError
from s2l_lab.policies.keyed_sampler import prefixes
from s2l_lab.policies.keyed_sampler.row_cache import append_rows, row_cache, trim
from s2l_lab.policies.keyed_sampler.warping import draw, log_probability, shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from s2l_lab.policies.policy import SamplingParams
    from s2l_lab.policies.waves import Wave

ROW_MULTIPLE = 16
"""Where bits are promised, batches are filled to a multiple of this: kernels for fewer rows round differently."""
_PREFILL_TOKENS = 4096  # of prompts that are read in one pass when they join a batch: more gain nothing
_BLOCK_ENTRIES = 2**17
"""Logits that are shaped at a time on a CPU (1 MB in float64): what stays in the cores' caches, and below the size at
which every new array is fresh memory from the system."""


class Forward(Protocol):
    """The model: (R, T) token ids that extend the cache -> (R, V) logits after the last of them.

    `lengths_R` are the tokens that each row of the cache holds, right-aligned; None where no row has padding.
    """

    def __call__(
        self, tokens_RT: NDArray[np.int64], cache: Any, lengths_R: NDArray[np.int64] | None = None
    ) -> torch.Tensor: ...


@dataclass(frozen=True, slots=True)
class _Prefilled:
    """Prompts of one length, read: row i of the cache and of the logits is prompt i."""

    prompts: tuple[tuple[int, ...], ...]
    cache: Any
    logits_PV: torch.Tensor


class Decoding:
    """The state of a batch. `live_B` are the tracks (tape.py) of the rollouts that go on."""

    def __init__(
        self,
        forward: Forward,
        config: Any,
        sampling: SamplingParams,
        *,
        merge: bool,
        multiple: int,
        most_rows: int | None = None,
    ) -> None:
        """Batches are filled to a multiple of `multiple` rows. At most `most_rows` rollouts are live at a time."""
        self._forward, self._config, self._sampling = forward, config, sampling
        self._merge, self._multiple, self._most_rows = merge, multiple, most_rows
        self.live_B = np.zeros(0, dtype=np.int64)
        self._row_B = np.zeros(0, dtype=np.int64)
        self._length_R = np.zeros(0, dtype=np.int64)
        self._may_merge = merge
        self._last_read: _Prefilled | None = None

    def begin(self, wave: Wave, tracks_W: NDArray[np.int64]) -> None:
        """Start a wave whose prompts have one length, in a batch of its own."""
        prompts_PL = np.array(wave.prompts, dtype=np.int64)
        prompts, length = prompts_PL.shape
        filled = -(-prompts // self._multiple) * self._multiple
        self._cache = row_cache(self._config)
        self._logits_RV = self._forward(prompts_PL[np.arange(filled) % prompts], self._cache)
        self._length_R = np.full(filled, length)
        self.live_B, self._row_B, self._may_merge = tracks_W, wave.prompt_W, self._merge
        self._held_RV = torch.zeros_like(self._logits_RV, dtype=torch.bool) if self._sampling.presence_penalty else None

    @torch.inference_mode()
    def admit(self, wave: Wave, tracks_W: NDArray[np.int64]) -> None:
        """Start the wave's rollouts, of prompts of any length, beside those that are live."""
        if not len(self.live_B):
            self._cache, self._length_R = row_cache(self._config, self._most_rows), np.zeros(0, dtype=np.int64)
        logits = [self._logits_RV] if len(self.live_B) else []
        row_P = np.empty(len(wave.prompts), dtype=np.int64)
        for chosen, read in self._read(wave.prompts):
            rows = [read.prompts.index(wave.prompts[p]) for p in chosen]
            append_rows(self._cache, read.cache, torch.tensor(rows))
            logits.append(read.logits_PV[rows])
            row_P[chosen] = len(self._length_R) + np.arange(len(rows))
            self._length_R = np.concatenate([self._length_R, [len(read.prompts[row]) for row in rows]])
        held = self._held_RV if len(self.live_B) else None
        self._logits_RV = torch.cat(logits)
        self._held_RV = None
        if self._sampling.presence_penalty:
            self._held_RV = torch.zeros_like(self._logits_RV, dtype=torch.bool)
            if held is not None:
                self._held_RV[: len(held)] = held
        self.live_B = np.concatenate([self.live_B, tracks_W])
        self._row_B = np.concatenate([self._row_B, row_P[wave.prompt_W]])
        self._may_merge = self._merge

    def _read(self, prompts: tuple[tuple[int, ...], ...]) -> list[tuple[list[int], _Prefilled]]:
        """Which prompts are in which pass of the model, each unpadded. The last prompt read before is not read again,
        since a request that is cut goes on with it."""
        passes: list[tuple[list[int], _Prefilled]] = []
        new: list[int] = []
        for p, prompt in enumerate(prompts):
            if self._last_read is not None and prompt in self._last_read.prompts:
                passes.append(([p], self._last_read))
            else:
                new.append(p)
        for length, group in groupby(sorted(new, key=lambda p: len(prompts[p])), key=lambda p: len(prompts[p])):
            members, most = list(group), max(1, _PREFILL_TOKENS // length)
            for i in range(0, len(members), most):
                chosen = members[i : i + most]
                texts = tuple(dict.fromkeys(prompts[p] for p in chosen))
                cache = row_cache(self._config)
                passes.append((chosen, _Prefilled(texts, cache, self._forward(np.array(texts), cache))))
        self._last_read = next(read for chosen, read in passes if prompts[-1] in read.prompts)
        return passes

    @torch.inference_mode()
    def draw(self, uniform_B: NDArray[np.float64], describe: Callable[[int], str]) -> NDArray[np.float64]:
        """(C, B): token ids, log-probabilities, entropies and, where they differ, log-probabilities at temperature 1.

        Raises PolicyError, with `describe(track)`, if the model gave NaN or infinite logits.
        """
        self._refuse_bad_logits(describe)
        device = self._logits_RV.device
        uniform = torch.from_numpy(uniform_B).to(device)
        total, vocabulary = self._logits_RV.shape
        block = max(1, _BLOCK_ENTRIES // vocabulary) if device.type == "cpu" else total
        if total <= block:
            values = self._draw_rows(slice(0, total), torch.from_numpy(self._row_B).to(device), uniform)
            whole: NDArray[np.float64] = values.cpu().numpy()
            return whole
        order = np.argsort(self._row_B, kind="stable")
        starts = np.arange(0, total, block)
        edges = np.searchsorted(self._row_B[order], [*starts, total])
        parts = []
        for start, first, last in zip(starts, edges, edges[1:], strict=False):
            if first < last:
                chosen = order[first:last]
                rows = torch.from_numpy(self._row_B[chosen] - start)
                parts.append(self._draw_rows(slice(start, start + block), rows, uniform[torch.from_numpy(chosen)]))
        sorted_CB: NDArray[np.float64] = torch.cat(parts, 1).numpy()
        values_CB = np.empty_like(sorted_CB)
        values_CB[:, order] = sorted_CB
        return values_CB

    def _draw_rows(self, block: slice, rows: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        """(C, B) for the rollouts that point at these rows of the batch, `rows` counted from the first of them."""
        held = None if self._held_RV is None else self._held_RV[block]
        distribution = shape(self._logits_RV[block], self._sampling, held)
        tokens = draw(distribution, rows, uniform)
        columns = [tokens, log_probability(distribution, rows, tokens, self._sampling), distribution.entropy_R[rows]]
        if distribution.plain_RV is not None:
            columns.append(distribution.plain_RV[rows, tokens])
        return torch.stack([c.double() for c in columns])  # one transfer for all; float64 holds token ids exactly

    def drop(self, finished_B: NDArray[np.bool_]) -> None:
        """Take finished rollouts out."""
        self.live_B, self._row_B = self.live_B[~finished_B], self._row_B[~finished_B]

    def children(self, token_B: NDArray[np.int64]) -> prefixes.Children:
        """The distinct prefixes of the live rollouts after these tokens."""
        return prefixes.extend(self._row_B, token_B, self._may_merge)

    @torch.inference_mode()
    def advance(self, token_B: NDArray[np.int64]) -> None:
        """Extend the live rollouts by these tokens: one row, and one forward, per distinct prefix."""
        children = self.children(token_B)
        self._may_merge &= len(children.token_C) < len(token_B)  # prefixes that have all parted never meet again
        rows = prefixes.place(children, self._multiple)
        self._row_B = rows.row_B
        parents = torch.from_numpy(rows.parent_R)
        if not np.array_equal(rows.parent_R, np.arange(len(self._logits_RV))):
            self._cache.reorder_cache(parents)
        if self._held_RV is not None:
            self._held_RV = self._held_RV[parents.to(self._held_RV.device)]
            self._held_RV[np.arange(len(rows.token_R)), rows.token_R] = True
        columns = int(self._length_R.max())
        length_R = self._length_R[rows.parent_R]
        if spare := columns - int(length_R.max()):
            trim(self._cache, spare)
        padded = bool((length_R != length_R[0]).any())
        self._logits_RV = self._forward(rows.token_R[:, None], self._cache, length_R if padded else None)
        self._length_R = length_R + 1

    def _refuse_bad_logits(self, describe: Callable[[int], str]) -> None:
        bad_R = ~torch.isfinite(self._logits_RV.amax(-1))
        if bad_R.any():
            victim = self.live_B[np.isin(self._row_B, np.flatnonzero(bad_R.cpu().numpy()))][0]
            raise PolicyError(
                f"{describe(int(victim))} Nothing was drawn from them. Check the checkpoint's weights, or run it in "
                "float32."
            )
