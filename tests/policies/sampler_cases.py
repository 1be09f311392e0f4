"""Small random models of many architectures with a character tokenizer, for tests of the sampler."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from tiny_checkpoints import write_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers import models as architectures

EOS = 1  # tiny_checkpoints' tokenizers have five special tokens, then one per character

ATTENTION = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
WIDTH = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 64}
LINEAR = {
    "linear_num_value_heads": 2,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Qwen3Config": {},
    "Qwen3Config sliding": {
        "use_sliding_window": True,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "Gemma3TextConfig": {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
    "Qwen3NextConfig": {
        **LINEAR,
        "layer_types": ["linear_attention", "full_attention"],
        "num_experts": 0,
        "mlp_only_layers": [0, 1],
    },
    "Lfm2Config": {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
}
INCONSISTENT = "BambaConfig"
"""transformers 5.17 gives this architecture other logits with a cache than without (on a CPU, without mamba_ssm)."""
ARCHITECTURES[INCONSISTENT] = {
    "attn_layer_indices": [1],
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}


def tokenizer(characters: str) -> Any:
    with tempfile.TemporaryDirectory() as directory:
        write_tokenizer(Path(directory), characters)
        return AutoTokenizer.from_pretrained(directory)


def model(characters: str, name: str = "Qwen3Config", seed: int = 0, peak: float = 1.0, **changes: Any) -> Any:
    """A random model; `peak` scales the weight matrices, hence how far its distributions are from uniform."""
    config_class = getattr(architectures, name.partition(" ")[0])
    fields = {**ATTENTION, **WIDTH, **ARCHITECTURES[name], **changes}
    config = config_class(vocab_size=5 + len(characters), eos_token_id=EOS, pad_token_id=0, bos_token_id=None, **fields)
    torch.manual_seed(seed)
    subject = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in subject.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn_like(parameter) * peak / parameter.shape[1] ** 0.5)
    return subject
