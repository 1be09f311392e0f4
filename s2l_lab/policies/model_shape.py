"""A checkpoint's size and shape, as compute accounting needs them, without loading a tensor."""

from __future__ import annotations

import json
import re
import struct
from math import prod
from typing import TYPE_CHECKING

from s2l_lab.errors import PolicyError
from s2l_lab.policies.policy import ModelShape

if TYPE_CHECKING:
    from pathlib import Path

    from s2l_lab.policies.checkpoint import Checkpoint


_OF_SIGHT = re.compile(r"(^|\.)(visual|vision_tower|vision_model|multi_modal_projector|mtp)\.")
"""Tensors beside the text model: a vision tower, what joins it to the text, and layers that only draft tokens."""


def shape_of(checkpoint: Checkpoint) -> ModelShape:
    """Size and shape from config.json and the headers of the weights. Raises PolicyError for damaged files.

    Of a model that also sees, the text model alone: its part of the configuration, and no tensor of a vision tower.
    """
    whole = checkpoint.config
    config = {**whole, **text} if isinstance(text := whole.get("text_config"), dict) else whole
    numbers: dict[str, int] = {}
    for path in sorted(checkpoint.directory.glob("*.safetensors")):
        numbers |= _parameters(path, checkpoint.member.name)
    if config is not whole:
        numbers = {tensor: n for tensor, n in numbers.items() if not _OF_SIGHT.search(tensor)}
    inputs = sum(n for tensor, n in numbers.items() if "embed_tokens" in tensor or "tok_embeddings" in tensor)
    outputs = sum(n for tensor, n in numbers.items() if tensor.startswith(("lm_head", "output.")))
    if config.get("tie_word_embeddings", True):  # a tied head may be stored a second time, and counts once
        numbers_total, outputs = sum(numbers.values()) - outputs, 0
    else:
        numbers_total = sum(numbers.values())
    try:
        width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        return ModelShape(
            parameters=numbers_total,
            non_embedding_parameters=numbers_total - inputs - outputs,
            width=width,
            vocabulary=int(config["vocab_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=heads,
            head_dim=int(config.get("head_dim") or width // heads),
        )
    except KeyError as error:
        raise PolicyError(
            f"{checkpoint.member.name}: {checkpoint.directory}/config.json has no {error}; it is not a causal language "
            "model's configuration as transformers writes it."
        ) from error


def _parameters(path: Path, name: str) -> dict[str, int]:
    """Tensor name to number of elements, from a safetensors header: 8 bytes of length, then JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            size = path.stat().st_size
            header = json.loads(file.read(min(length, size)))
        tensors = {tensor: facts for tensor, facts in header.items() if tensor != "__metadata__"}
        if size < 8 + length + max((facts["data_offsets"][1] for facts in tensors.values()), default=0):
            raise ValueError("it is shorter than its header says")
    except (OSError, ValueError, struct.error) as error:
        raise PolicyError(f"{name}: the weights {path} are damaged: {error}. Fetch or write the file again.") from error
    return {tensor: prod(facts["shape"]) for tensor, facts in tensors.items()}
