"""One wave in flight: its cache, its live rollouts, and the three moves of a decoding step.

`draw` gives every live rollout a token, `drop` takes finished rollouts out, `advance` runs the model once on every
distinct prefix that is left. Rows (R, what the model sees) are prefixes; B live rollouts point at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from s2l_lab.errors import PolicyError
from s2l_lab.policies.draw_keys import uniforms
from s2l_lab.policies.keyed_sampler import prefixes
from s2l_lab.policies.keyed_sampler.row_cache import row_cache
from s2l_lab.policies.keyed_sampler.warping import draw, log_probability, shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.policies.policy import SamplingParams
    from s2l_lab.policies.waves import Wave

ROW_MULTIPLE = 16
"""Batches are filled up to a multiple of this: matrix kernels for fewer rows round differently."""
_UNIFORM_POSITIONS = 32  # uniforms are made for this many positions at once


class Forward(Protocol):
    """The model: (R, T) token ids that extend the cache -> (R, V) logits after the last of them."""

    def __call__(self, tokens_RT: NDArray[np.int64], cache: Any) -> torch.Tensor: ...


class Decoding:
    """The state of a wave. `live_B` are the numbers, in the wave, of the rollouts that go on."""

    def __init__(self, wave: Wave, forward: Forward, config: Any, sampling: SamplingParams, *, merge: bool) -> None:
        self._wave, self._forward, self._sampling, self._merge = wave, forward, sampling, merge
        self.live_B = np.arange(len(wave.prompt_W))
        self._position = 0
        self._uniform_WT = np.empty((len(self.live_B), _UNIFORM_POSITIONS))
        self._cache = row_cache(config)
        prompts = len(wave.prompts_PL)
        self._row_B = wave.prompt_W
        filled = -(-prompts // ROW_MULTIPLE) * ROW_MULTIPLE
        self._logits_RV = forward(wave.prompts_PL[np.arange(filled) % prompts], self._cache)
        self._held_RV = torch.zeros_like(self._logits_RV, dtype=torch.bool) if sampling.presence_penalty else None

    @torch.inference_mode()
    def draw(self, name: str) -> NDArray[np.float64]:
        """(C, B): token ids, log-probabilities, entropies and, where they differ, log-probabilities at temperature 1.

        Raises PolicyError in the name of the policy if the model gave NaN or infinite logits.
        """
        self._refuse_bad_logits(name)
        column = self._position % _UNIFORM_POSITIONS
        if column == 0:
            positions = np.arange(self._position, self._position + _UNIFORM_POSITIONS)
            self._uniform_WT[self.live_B] = uniforms(self._wave.keys_W2[self.live_B], positions)
        self._position += 1
        device = self._logits_RV.device
        rows = torch.from_numpy(self._row_B).to(device)
        uniform = torch.from_numpy(self._uniform_WT[self.live_B, column]).to(device)
        distribution = shape(self._logits_RV, self._sampling, self._held_RV)
        tokens = draw(distribution, rows, uniform)
        columns = [tokens, log_probability(distribution, rows, tokens, self._sampling), distribution.entropy_R[rows]]
        if distribution.plain_RV is not None:
            columns.append(distribution.plain_RV[rows, tokens])
        # One transfer for all; float64 holds token ids exactly.
        values_CB: NDArray[np.float64] = torch.stack([c.double() for c in columns]).cpu().numpy()
        return values_CB

    def drop(self, finished_B: NDArray[np.bool_]) -> None:
        """Take finished rollouts out."""
        self.live_B, self._row_B = self.live_B[~finished_B], self._row_B[~finished_B]

    def children(self, token_B: NDArray[np.int64]) -> prefixes.Children:
        """The distinct prefixes of the live rollouts after these tokens."""
        return prefixes.extend(self._row_B, token_B, self._merge)

    @torch.inference_mode()
    def advance(self, token_B: NDArray[np.int64]) -> None:
        """Extend the live rollouts by these tokens: one row, and one forward, per distinct prefix."""
        rows = prefixes.place(self.children(token_B), ROW_MULTIPLE)
        self._row_B = rows.row_B
        parents = torch.from_numpy(rows.parent_R)
        if not np.array_equal(rows.parent_R, np.arange(len(self._logits_RV))):
            self._cache.reorder_cache(parents)
        if self._held_RV is not None:
            self._held_RV = self._held_RV[parents.to(self._held_RV.device)]
            self._held_RV[np.arange(len(rows.token_R)), rows.token_R] = True
        self._logits_RV = self._forward(rows.token_R[:, None], self._cache)

    def _refuse_bad_logits(self, name: str) -> None:
        bad_R = ~torch.isfinite(self._logits_RV.amax(-1))
        if bad_R.any():
            victim = self.live_B[np.isin(self._row_B, np.flatnonzero(bad_R.cpu().numpy()))][0]
            raise PolicyError(
                f"policy {name!r} gave NaN or infinite logits at position {self._position} of a completion of problem "
                f"{self._wave.problem_ids[self._wave.prompt_W[victim]]} (sample index {self._wave.indices_W[victim]}). "
                "Nothing was drawn from them. Check the checkpoint's weights, or run it in float32."
            )
