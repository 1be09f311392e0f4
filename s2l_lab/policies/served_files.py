"""Files of a served model that are at hand: its tokenizer, and what ends a completion; the weights are elsewhere.

A directory with the tokenizer's files is enough. With config.json beside them the model's size and shape are known too
(weights, where they are there, are not read), and with generation_config.json every id that ends a completion.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import PolicyError
from s2l_lab.policies.checkpoint import Checkpoint, find_here
from s2l_lab.policies.gguf_file import converted, is_gguf
from s2l_lab.policies.model_shape import shape_of
from s2l_lab.policies.policy import ModelShape
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.policies.tokenizers import PROBE, load_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from s2l_lab.policies.endpoint_server import Server
    from s2l_lab.policies.families import Member


_TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True, slots=True)
class ServedFiles:
    """What the directory of a served model's tokenizer says."""

    tokenizer: Any
    eos_ids: frozenset[int]
    """By tokenizer, config.json and generation_config.json together, as every engine takes them."""
    shape: ModelShape | None
    """None where there is no config.json."""

    @classmethod
    def read(cls, member: Member, directory: Path, trust_remote_code: bool = False) -> ServedFiles:
        """`directory` may be the GGUF file that a server runs. Raises PolicyError for a directory that holds no
        tokenizer, and for damaged files."""
        directory = _files_of(directory)
        if not directory.is_dir():
            raise PolicyError(
                f"{member.name}: --tokenizer {directory} is no directory and no GGUF file. Give the directory that "
                "holds the served model's tokenizer.json (and config.json), or its GGUF file."
            )
        if not any((directory / name).is_file() for name in _TOKENIZER):
            raise PolicyError(
                f"{member.name}: --tokenizer {directory} holds no tokenizer ({', '.join(_TOKENIZER)}). Give the "
                "directory that holds the served model's."
            )
        tokenizer = load_tokenizer(Checkpoint(member, directory, ""), trust_remote_code)
        config, generation = (_object(directory / name) for name in ("config.json", "generation_config.json"))
        model = SimpleNamespace(config=SimpleNamespace(**config), generation_config=SimpleNamespace(**generation))
        return cls(tokenizer, eos_ids(model, tokenizer), shape_in(member, directory))

    def require_spelling_of(self, server: Server) -> None:
        """Raise PolicyError where a server's own tokenizer gives a probe other ids; one that does not tell passes."""
        own = list(encode_prompt(self.tokenizer, PROBE))
        for one in server.each():
            theirs = one.tokens(PROBE)
            if theirs is not None and theirs != own:
                raise PolicyError(
                    f"--tokenizer is not that of {one.model} at {one.address}: a probe has {len(own)} ids here and "
                    f"{len(theirs)} there, so prompts would be other text to the server. Give the files of the served "
                    "model's own tokenizer."
                )


def tokenizer_here(member: Member, model: str, model_root: Path | None, trust_remote_code: bool) -> Any | None:
    """The tokenizer of the model that a vLLM server names, where its files are on this machine; asks no network."""
    found = find_here(member.model_copy(update={"source": model, "revision": None}), model_root)
    if isinstance(found, str) or not found.is_dir():
        return None
    return load_tokenizer(Checkpoint(member, found, ""), trust_remote_code)


def shape_in(member: Member, directory: Path) -> ModelShape | None:
    """Size and shape by config.json in this directory, or of this GGUF file; None where there is none. No weight is
    needed or read.

    Raises PolicyError for a configuration that transformers does not know.
    """
    directory = _files_of(directory)
    if not _object(directory / "config.json"):
        return None
    checkpoint = Checkpoint(member, directory, "")
    return shape_of(checkpoint) if any(directory.glob("*.safetensors")) else _shape_without_weights(checkpoint)


def _files_of(path: Path) -> Path:
    """The directory itself, or that of a GGUF file's converted checkpoint."""
    return converted(path)[0] if is_gguf(path) else path


def _shape_without_weights(checkpoint: Checkpoint) -> ModelShape:
    """From an empty model of this configuration."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(checkpoint.directory))
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise PolicyError(
            f"{checkpoint.member.name}: {checkpoint.directory}/config.json is no causal language model's that "
            f"transformers knows: {error}. Take it out, and what the rollouts cost is not counted."
        ) from error
    parameters = {id(p): p.numel() for p in model.parameters()}
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    embedding = {id(end.weight): end.weight.numel() for end in ends if end is not None}
    config = model.config
    width, heads = int(config.hidden_size), int(config.num_attention_heads)
    return ModelShape(
        parameters=sum(parameters.values()),
        non_embedding_parameters=sum(parameters.values()) - sum(embedding.values()),
        width=width,
        vocabulary=int(config.vocab_size),
        layers=int(config.num_hidden_layers),
        heads=heads,
        head_dim=int(getattr(config, "head_dim", None) or width // heads),
    )


def _object(path: Path) -> dict[str, Any]:
    """A JSON object; empty for a file that is missing. Raises PolicyError for one that holds something else."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PolicyError(f"{path} is no JSON: {error}. Fetch the file again.") from error
    if not isinstance(value, dict):
        raise PolicyError(f"{path} holds no JSON object. Fetch the file again.")
    return value
