"""A GGUF file as a policy's source: it is turned once into a checkpoint directory, which the rest of the package sees.

transformers dequantises the weights; tokenizer and end of text come from the file's metadata (`gguf_tokenizer`). The
directory lies in the cache (`cache_root()/gguf/SHA256-VERSION`), whole or not at all, and is made again when the
conversion changes. The policy's identity is the SHA-256 of the GGUF file, wherever the file or its directory lies.

What would surprise: the directory holds the weights dequantised, a four-bit model thus in eight times its size; and
llama.cpp, which computes with quantised activations, gives slightly other log-probabilities for the same file.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import PolicyError
from s2l_lab.policies.cache import cache_root, made_whole
from s2l_lab.policies.gguf_tokenizer import check_tokenizer, end_ids, tokenizer_of

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".gguf"
MAGIC = b"GGUF"
CONVERSION = 1
"""Raised when what is written into a directory changes."""
INSTALL = "pip install -c constraints.txt 's2l-lab[gguf]'"
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_MADE = re.compile(rf"([0-9a-f]{{64}})-{CONVERSION}")
_DAMAGED = (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError, OSError)
"""What the package `gguf` raises for bytes that are no whole GGUF file."""
_REFUSED = (ValueError, KeyError, TypeError, IndexError, RuntimeError, AttributeError, ImportError, OSError)
"""What transformers raises for a file whose metadata or tensors are not those of a model that it knows."""
_ROTARY = "rope_freqs.weight"


def is_gguf(path: Path) -> bool:
    """Whether this is a file that is called, or begins like, a GGUF file."""
    if not path.is_file():
        return False
    if path.suffix.lower() == SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def directory_of(sha256: str) -> Path:
    """Where the directory made from the file with this SHA-256 lies, or would."""
    return cache_root() / "gguf" / f"{sha256}-{CONVERSION}"


def made_from(directory: Path) -> str | None:
    """SHA-256 of the GGUF file that a directory of the cache was made from; None for any other directory."""
    name = _MADE.fullmatch(directory.name)
    return name[1] if name and directory.resolve().parent == (cache_root() / "gguf").resolve() else None


def converted(path: Path) -> tuple[Path, str]:
    """The checkpoint directory of a GGUF file, made if it is not there yet, and the file's SHA-256.

    Raises PolicyError, which names the file, where it is no whole GGUF file or one that is not read here, and where the
    package `gguf` is missing.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror or error}.") from error
    if start != MAGIC:
        raise PolicyError(f"{path} is no GGUF file: it does not begin with GGUF. Download it again or name another.")
    if part := _PART.search(path.name):
        raise PolicyError(_in_parts(path, int(part[2])))
    sha256 = sha256_of(path)
    directory = directory_of(sha256)
    if not directory.is_dir():
        _convert(path, directory)
    return directory, sha256


def _convert(path: Path, directory: Path) -> None:
    metadata, tensors = _read(path)
    if metadata.get("split.count", 1) > 1:
        raise PolicyError(_in_parts(path, metadata["split.count"]))
    _check_model(metadata, tensors, path)
    check_tokenizer(metadata, path)
    with made_whole(directory) as filling:
        _write(path, metadata, tensors, filling)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metadata and tensors (their types by name). Raises PolicyError for damaged files."""
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise PolicyError(f"{path} is a GGUF file, and the package that reads them is missing: {INSTALL}") from error
    try:
        reader = GGUFReader(path)
        return {name: field.contents() for name, field in reader.fields.items()}, {t.name: t for t in reader.tensors}
    except _DAMAGED as error:
        raise PolicyError(
            f"{path} is damaged or cut short ({_one_line(error)}). Download the file again and compare its size."
        ) from error


def _check_model(metadata: dict[str, Any], tensors: dict[str, Any], path: Path) -> None:
    """What transformers would read wrongly, or in part, without a word."""
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    architecture = str(metadata.get("general.architecture"))
    serve = f"llama.cpp may serve it: llama-server -m {path} --port 8080, then --policy NAME=http://localhost:8080/v1."
    if architecture not in GGUF_SUPPORTED_ARCHITECTURES:
        known = sorted(name for name in GGUF_SUPPORTED_ARCHITECTURES if "t5" not in name)
        raise PolicyError(
            f"{path} holds a model of the architecture {architecture!r}, which transformers does not read from GGUF; "
            f"it reads {', '.join(known)}. {serve}"
        )
    if "tokenizer.ggml.tokens" in metadata and not tensors:
        raise PolicyError(f"{path} holds a vocabulary and no weights. Name a file with the model itself.")
    scaling = metadata.get(f"{architecture}.rope.scaling.type", "none")
    if scaling != "none" or _ROTARY in tensors:
        what = f"positions scaled by {scaling!r}" if scaling != "none" else f"scaled positions ({_ROTARY})"
        raise PolicyError(f"{path} has {what}, which transformers drops when it reads GGUF. {serve}")


def _write(path: Path, metadata: dict[str, Any], tensors: dict[str, Any], directory: Path) -> None:
    """Config, weights and tokenizer into a folder. Raises PolicyError where they do not make up one whole model."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging as transformers_logging

    precisions = {"F16": torch.float16, "BF16": torch.bfloat16}
    kinds = {tensor.tensor_type.name for tensor in tensors.values() if len(tensor.shape) > 1}
    dtype = precisions.get(min(kinds), torch.float32) if len(kinds) == 1 else torch.float32
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    before = logging.getLogger("transformers").level
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=dtype, output_loading_info=True
        )
    except _REFUSED as error:
        raise PolicyError(f"{path} cannot be read by transformers as a model: {_one_line(error)}.") from error
    finally:
        logging.getLogger("transformers").setLevel(before)
        if bars:
            transformers_logging.enable_progress_bar()
    left_out = sorted(info["missing_keys"])
    if left_out:
        raise PolicyError(
            f"{path} lacks weights that the model has ({len(left_out)}, the first {left_out[0]}). Take a whole file."
        )
    ends = end_ids(metadata)
    bos = metadata.get("tokenizer.ggml.bos_token_id")
    pad = metadata.get("tokenizer.ggml.padding_token_id")
    config = model.config
    for name in ("quantization_config", "_pre_quantization_dtype"):  # the weights are quantised no longer
        if hasattr(config, name):
            delattr(config, name)
    config.bos_token_id, config.pad_token_id = bos, pad
    config.eos_token_id = ends[0] if ends else None
    config.dtype = dtype
    model.generation_config = GenerationConfig(
        bos_token_id=bos, pad_token_id=pad, eos_token_id=ends if len(ends) > 1 else config.eos_token_id
    )
    model.hf_quantizer = None
    model.save_pretrained(directory)
    tokenizer_of(metadata).save_pretrained(directory)


def _in_parts(path: Path, parts: int) -> str:
    return (
        f"{path} is one of {parts} parts of a split GGUF file. Join them first: llama-gguf-split --merge FIRST_PART "
        "WHOLE.gguf."
    )


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
