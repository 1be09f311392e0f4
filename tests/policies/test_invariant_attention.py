"""Attention equals transformers' own to rounding, and to the bit it does not see the rest of the batch."""

from __future__ import annotations

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from s2l_lab.policies.keyed_sampler.invariant_attention import NAME, use_invariant_attention
from s2l_lab.policies.keyed_sampler.row_cache import row_cache


def model(**changes: object) -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    fields = {
        "vocab_size": 40,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    }
    return Qwen3ForCausalLM(Qwen3Config(**{**fields, **changes})).eval()


SLIDING = {"use_sliding_window": True, "sliding_window": 9, "layer_types": ["full_attention", "sliding_attention"]}


@torch.inference_mode()
def decode(model: Qwen3ForCausalLM, tokens_RT: torch.Tensor, prompt: int) -> torch.Tensor:
    """Logits (R, T - prompt + 1, V) of a prefill and one-token steps."""
    cache = row_cache(model.config)
    steps = [tokens_RT[:, :prompt], *tokens_RT[:, prompt:].split(1, dim=1)]
    return torch.cat([model(s, past_key_values=cache, use_cache=True, logits_to_keep=1).logits for s in steps], dim=1)


@pytest.mark.parametrize("changes", [{}, SLIDING], ids=["full", "sliding"])
def test_equals_fused_attention_without_a_cache(changes: dict[str, object]) -> None:
    tokens_RT = torch.randint(0, 40, (16, 50))
    subject = model(**changes)
    with torch.inference_mode():
        expected = subject(tokens_RT).logits
    use_invariant_attention(subject)
    assert subject.config._attn_implementation == NAME
    torch.testing.assert_close(decode(subject, tokens_RT, 34), expected[:, 33:], atol=1e-5, rtol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", [{}, SLIDING], ids=["full", "sliding"])
def test_bits_do_not_depend_on_the_batch(changes: dict[str, object], threads: int) -> None:
    """With the fused kernel and two threads, half of the rows fail this."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        tokens_RT = torch.randint(0, 40, (64, 40))
        subject = model(**changes)
        use_invariant_attention(subject)
        everything = decode(subject, tokens_RT, 34)
        for rows in (16, 48):
            chosen = torch.randperm(64)[:rows]
            assert torch.equal(decode(subject, tokens_RT[chosen], 34), everything[chosen])
    finally:
        torch.set_num_threads(before)


def test_other_attention_is_left_alone() -> None:
    subject = model(attn_implementation="eager")
    use_invariant_attention(subject)
    assert subject.config._attn_implementation == "eager"
