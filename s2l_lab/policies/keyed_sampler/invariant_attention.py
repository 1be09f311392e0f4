"""Attention on a CPU whose bits do not depend on the batch.

PyTorch's fused CPU attention gives each thread its own scratch buffer, and that buffer's alignment changes the last
bits: with two threads, half of the rows of a decoding step differ by about 5e-7 according to where in the batch they
stand. A draw would then change, rarely, with whatever is sampled beside it. Here one query per row (decoding) is two
batched matrix products, and many queries (prefill) go through the fused kernel one row at a time, so that a row's
arithmetic is the same in every batch. Seen to be as fast as the fused kernel for the models that a CPU samples from.

The other half of the promise is in the sampler: with fewer than some eight rows a thread the matrix products choose
other kernels, so batches are filled up to a multiple of `sampler.ROW_MULTIPLE`.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

NAME = "s2l_invariant"


def use_invariant_attention(model: Any) -> None:
    """Switch a model on a CPU from fused attention to this one. Models with another attention are left alone."""
    if model.device.type == "cpu" and model.config._attn_implementation == "sdpa":
        AttentionInterface.register(NAME, _attend)
        AttentionMaskInterface.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
        model.set_attn_implementation(NAME)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query (rows, heads, queries, D), key and value (rows, kv heads, length, D) -> (rows, queries, heads, D)."""
    rows, heads, queries, dim = query.shape
    if queries > 1 or kwargs.get("position_bias") is not None:
        return _attend_by_row(module, query, key, value, attention_mask, scaling=scaling, **kwargs), None
    groups = key.shape[1]  # grouped-query attention: the heads of a group are the queries of one matrix product
    scale = dim**-0.5 if scaling is None else scaling
    scores = torch.matmul(query.view(rows, groups, heads // groups, dim) * scale, key.transpose(2, 3))
    if attention_mask is not None:
        scores = _masked(scores, attention_mask)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    return torch.matmul(weights, value).view(rows, 1, heads, value.shape[-1]), None


def _masked(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Scores (rows, groups, heads per group, length) under a mask (rows or 1, 1, 1, length), boolean or additive."""
    return scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask


def _attend_by_row(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **kwargs: Any,
) -> torch.Tensor:
    """The fused kernel, one row at a time: the shape, hence the division over threads, is that of a batch of one."""
    outputs = []
    for row in range(query.shape[0]):
        one = slice(row, row + 1)
        row_mask = mask if mask is None or mask.shape[0] == 1 else mask[one]
        outputs.append(sdpa_attention_forward(module, query[one], key[one], value[one], row_mask, **kwargs)[0])
    return torch.cat(outputs)
