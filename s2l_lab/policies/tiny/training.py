"""The training loop of the embedded family, in plain torch.

The loss is the cross-entropy of completion tokens and EOS. Forward passes run in bfloat16 (autocast), weights and AdamW
in float32. The result is a function of (recipe, member, data, seed) on one kind of CPU with one thread count and one
torch version: same inputs, same bits. Weights are rounded to float16 when stored, and every engine computes with
exactly those values in float32.
"""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from s2l_lab.policies.tiny.recipe import Member, Progress, Recipe
from s2l_lab.policies.tiny.tokenizer import CONTEXT, EOS_ID, PAD_ID, TOKENS, write_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from s2l_lab.policies.tiny.data import Examples

WINDOW = 8
"""Batches that are sorted by length together: saves a tenth of the compute, which padding would cost."""


def architecture(member: Member) -> Qwen3Config:
    """The member as a transformers configuration; float32 is what engines compute in."""
    return Qwen3Config(
        vocab_size=len(TOKENS),
        hidden_size=member.width,
        num_hidden_layers=member.layers,
        num_attention_heads=member.heads,
        num_key_value_heads=member.heads,
        head_dim=32,
        intermediate_size=member.mlp_width,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
        dtype="float32",
    )


def batches(length_E: NDArray[np.int64], recipe: Recipe, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of the examples of each step: epochs of permutations, cut into batches of similar length."""
    rng, n = np.random.default_rng(seed), len(length_E)
    windows = math.ceil(recipe.steps / WINDOW)
    need = windows * WINDOW * recipe.batch
    order = np.concatenate([rng.permutation(n) for _ in range(math.ceil(need / n))])[:need]
    for window in order.reshape(windows, -1):
        by_length = window[np.argsort(length_E[window], kind="stable")].reshape(WINDOW, recipe.batch)
        yield from by_length[rng.permutation(WINDOW)]


def completion_loss(model: Qwen3ForCausalLM, data: Examples, rows: NDArray[np.int64]) -> torch.Tensor:
    """Mean cross-entropy in nats of the completion tokens (EOS included) of some examples."""
    length = int(data.length_E[rows].max())
    tokens_BT = torch.from_numpy(data.tokens_ET[rows, :length])
    target_T = np.arange(1, length)
    learned = (target_T >= data.prompt_length_E[rows, None]) & (target_T < data.length_E[rows, None])
    learned_BT = torch.from_numpy(learned)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits_BTV = model(input_ids=tokens_BT[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits_BTV.float()[learned_BT], tokens_BT[:, 1:][learned_BT])


def train_member(
    recipe: Recipe, member: Member, data: Examples, seed: int, progress: Callable[[Progress], None] | None = None
) -> Qwen3ForCausalLM:
    """Train one member from scratch. The caller's RNG state is left as it was.

    Attention is eager: on a CPU at 60 tokens, the fused kernel's backward pass takes as long as all the rest together.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM._from_config(architecture(member), attn_implementation="eager").float()
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=recipe.weight_decay)
    started = time.monotonic()
    for step, rows in zip(range(recipe.steps), batches(data.length_E, recipe, seed), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate(member.peak_learning_rate, step)
        loss = completion_loss(model, data, rows)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.gradient_clip)
        optimiser.step()
        optimiser.zero_grad()
        if progress is not None:
            progress(Progress(member.size, step + 1, recipe.steps, loss.item(), time.monotonic() - started))
    return model.eval()


def store(model: Qwen3ForCausalLM, directory: Path) -> dict[str, Any]:
    """Write a checkpoint: float16 weights, configuration and tokenizer. Returns its size and hash as facts."""
    directory.mkdir(parents=True, exist_ok=True)
    parameters = model.num_parameters()
    model.half().save_pretrained(directory)
    architecture_dtype = Qwen3Config.from_pretrained(directory)
    architecture_dtype.dtype = torch.float32
    architecture_dtype.save_pretrained(directory)
    GenerationConfig(eos_token_id=EOS_ID, pad_token_id=PAD_ID, do_sample=True).save_pretrained(directory)
    write_tokenizer(directory)
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    return {"parameters": parameters, "sha256": digest, "torch": torch.__version__}
