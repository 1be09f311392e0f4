"""The sampling distribution: from a model's logits to what a token is drawn from, exactly, and the draw itself.

Order and meaning are vLLM's: presence penalty on the raw logits of tokens that the completion (not the prompt) holds,
division by T, min-p, top-k, then top-p on what is left.

- min-p keeps p >= min_p * max p; top-k keeps every token tied with the k-th; both can keep more than asked for by ties.
- top-p keeps the smallest set of most likely tokens whose mass reaches top_p: the token that crosses is kept, and so is
  the most likely one always. Among equal probabilities the higher token id is kept first (a stable ascending sort).
- T = 0 puts all mass on the most likely token, the lowest id among equals: log-probability 0, entropy 0.

All of it is float64, and a token is found by inverting the cumulative sum in vocabulary order: the smallest id whose
cumulative weight exceeds u * total. Scaling u by the sum as it came out, instead of normalising, closes the end of the
distribution: u <= 1 - 2**-53 gives u * total < total after rounding, so there is always such an id, and a removed token
adds nothing to the sum, so it is never the first to exceed anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from s2l_lab.policies.policy import SamplingParams

_FEW_ROWS = 8
_FLOOR = -1e300  # a finite stand-in for -inf: exp gives exactly 0, and 0 * _FLOOR is 0 where 0 * -inf is NaN


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distributions of the next token after R prefixes over a vocabulary of V."""

    logits_RV: torch.Tensor
    """float64: penalised logits / T minus their row maximum, so the largest is 0 (T = 1 where T is 0)."""
    cumulative_RV: torch.Tensor
    """float64: running sum of exp(logits) over kept tokens in vocabulary order, not normalised."""
    entropy_R: torch.Tensor
    """float64: nats of softmax(penalised logits / T) before truncation; 0 at T = 0."""
    plain_RV: torch.Tensor | None
    """float64: log-probabilities of the model at temperature 1; None where the distribution is just that."""


def shape(logits_RV: torch.Tensor, sampling: SamplingParams, held_RV: torch.Tensor | None = None) -> Distribution:
    """The exact sampling distribution. Each row must hold a finite maximum; -inf removes a token.

    `held_RV` (bool) marks the tokens that each completion holds; needed for a presence penalty only.
    """
    raw_RV = logits_RV.double()
    logits_RV = raw_RV
    if sampling.presence_penalty and held_RV is not None:
        logits_RV = raw_RV - sampling.presence_penalty * held_RV
    if sampling.temperature not in {0, 1}:
        logits_RV = logits_RV / sampling.temperature
    logits_RV = (logits_RV - logits_RV.amax(-1, keepdim=True)).clamp_(min=_FLOOR)
    plain = sampling.full_support and sampling.temperature == 1 and not sampling.presence_penalty
    plain_RV = None if plain else torch.log_softmax(raw_RV, -1)
    if sampling.temperature == 0:
        weights_RV = torch.zeros_like(logits_RV).scatter_(-1, logits_RV.argmax(-1, keepdim=True), 1.0)
        return Distribution(logits_RV, weights_RV.cumsum(-1), logits_RV.new_zeros(len(logits_RV)), plain_RV)
    weights_RV = logits_RV.exp()
    total_R = weights_RV.sum(-1)
    entropy_R = total_R.log() - (weights_RV * logits_RV).sum(-1) / total_R
    if not sampling.full_support:
        weights_RV = weights_RV * kept(weights_RV, sampling)
    return Distribution(logits_RV, weights_RV.cumsum(-1), entropy_R, plain_RV)


def kept(weights_RV: torch.Tensor, sampling: SamplingParams) -> torch.Tensor:
    """(R, V) bool: the tokens that min-p, top-k and top-p leave, given weights whose row maximum is 1."""
    keep_RV = torch.ones_like(weights_RV, dtype=torch.bool)
    vocabulary = weights_RV.shape[-1]
    if sampling.min_p:
        keep_RV &= weights_RV >= sampling.min_p
    if 0 < sampling.top_k < vocabulary:
        keep_RV &= weights_RV >= weights_RV.topk(sampling.top_k, -1).values[:, -1:]
    if sampling.top_p < 1:
        ascending_RV, order_RV = (weights_RV * keep_RV).sort(dim=-1, stable=True)
        below_RV = ascending_RV.cumsum(-1)
        outside_RV = below_RV <= (1 - sampling.top_p) * below_RV[:, -1:]
        outside_RV[:, -1] = False
        keep_RV &= ~torch.empty_like(outside_RV).scatter_(-1, order_RV, outside_RV)
    return keep_RV


def draw(distribution: Distribution, row_B: torch.Tensor, uniform_B: torch.Tensor) -> torch.Tensor:
    """(B,) token ids: rollout i draws from row row_B[i] with its own uniform in [0, 1) (float64)."""
    cumulative_RV = distribution.cumulative_RV
    target_B = uniform_B * cumulative_RV[row_B, -1]
    if len(cumulative_RV) <= _FEW_ROWS:  # of many entries: do not copy a row for each rollout
        token_B = torch.empty_like(row_B)
        for row, cumulative_V in enumerate(cumulative_RV):
            here = row_B == row
            token_B[here] = torch.searchsorted(cumulative_V, target_B[here], right=True)
        return token_B
    return torch.searchsorted(cumulative_RV[row_B], target_B[:, None], right=True)[:, 0]


def log_probability(
    distribution: Distribution, row_B: torch.Tensor, token_B: torch.Tensor, sampling: SamplingParams
) -> torch.Tensor:
    """(B,) float64 nats of drawn tokens under the sampling distribution."""
    if sampling.temperature == 0:
        return torch.zeros(len(token_B), dtype=torch.float64, device=token_B.device)
    log_total_R = distribution.cumulative_RV[:, -1].log()
    return distribution.logits_RV[row_B, token_B] - log_total_R[row_B]
