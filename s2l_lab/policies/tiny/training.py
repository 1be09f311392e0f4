"""The training of the embedded family, in plain torch: a member's loop, and a family from its recipe.

The loss is the cross-entropy of completion tokens and EOS. Forward passes run in bfloat16 (autocast), weights and AdamW
in float32. The result is a function of (recipe, member, data, seed) on one kind of CPU with one thread count and one
torch version: same inputs, same bits. Weights are rounded to float16 when stored, and every engine computes with
exactly those values in float32.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from s2l_lab.errors import unknown_name
from s2l_lab.policies.tiny.data import examples, tokenised
from s2l_lab.policies.tiny.recipe import MEMBERS, RECIPES, MemberRecipe, PretrainingProgress, Recipe, recipe_digest
from s2l_lab.policies.tiny.tokenizer import CONTEXT, EOS_ID, PAD_ID, TOKENS, write_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2l_lab.policies.tiny.data import Examples

WINDOW = 8
"""Batches that are sorted by length together: saves a tenth of the compute, which padding would cost."""


def architecture(member: MemberRecipe) -> Qwen3Config:
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
    recipe: Recipe,
    member: MemberRecipe,
    data: Examples,
    seed: int,
    progress: Callable[[PretrainingProgress], None] | None = None,
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
            progress(PretrainingProgress(member.size, step + 1, recipe.steps, loss.item(), time.monotonic() - started))
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


def train_family(
    name: str,
    out_dir: Path,
    seed: int = 0,
    members: Sequence[str] | None = None,
    progress: Callable[[PretrainingProgress], None] | None = None,
) -> list[Path]:
    """Train a family from its recipe and write one checkpoint directory per member, with family.json beside them.

    name: a key of RECIPES; members: sizes as `60k` (None: all). Returns the directories `out_dir/name/size`.
    family.json: sizes, hashes, recipe, seed and final loss (mean of the last 50 steps); members that it already lists
    and that are not trained now stay in it. Raises UsageError for an unknown family or member.
    """
    if name not in RECIPES:
        raise unknown_name("embedded family", name, RECIPES)
    sizes = {member.size: member for member in MEMBERS}
    wanted = list(sizes) if members is None else list(members)
    for size in wanted:
        if size not in sizes:
            raise unknown_name(f"member of {name}", size, sizes)
    recipe = RECIPES[name]
    data = tokenised(examples(seed), recipe.problems)
    directories = []
    for member in (sizes[size] for size in wanted):
        directory = out_dir / name / member.size
        losses: list[float] = []
        model = train_member(recipe, member, data, seed, _recorder(losses, progress))
        facts = {"final_loss": sum(losses[-50:]) / len(losses[-50:]), **store(model, directory)}
        facts |= {"recipe": asdict(recipe), "member": asdict(member), "seed": seed}
        _record(out_dir / name / "family.json", member, {"recipe_digest": recipe_digest(recipe, member), **facts})
        directories.append(directory)
    return directories


def _recorder(
    losses: list[float], progress: Callable[[PretrainingProgress], None] | None
) -> Callable[[PretrainingProgress], None]:
    def record(now: PretrainingProgress) -> None:
        losses.append(now.loss)
        if progress is not None:
            progress(now)

    return record


def _record(path: Path, member: MemberRecipe, facts: dict[str, object]) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[member.size] = facts
    ordered = {m.size: known[m.size] for m in MEMBERS if m.size in known}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
