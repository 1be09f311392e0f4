"""Real GGUF files for tests: a small Llama with random weights and a byte-level tokenizer, written by `gguf`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gguf import GGUFWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot|>")
WIDTH, HEADS, FORWARD = 64, 2, 96


def byte_letters() -> list[str]:
    """GPT-2's letter for each of the 256 bytes."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [b for b in range(256) if b not in shown]
    letters = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [letters[b] for b in range(256)]


MERGES = [
    # Digits, spaces, line ends, letters and signs that stick together only where a split lets them.
    *("1 2", "12 3", "123 4", "2 2", "Ġ 1", "Ġ 12", "Ġ Ġ", "ĠĠ Ġ", "Ċ Ċ", "ĊĊ Ċ", "č Ċ", "Ġ Ċ", "ĉ a", "Ġ a", "a b"),
    *("ab c", "Ġ ab", "' s", "' S", "' l", "'l l", "! Ċ", "! !", "!! Ċ", "Ġ !", "( a", ". a", "a 1", "1 a", "Ã ©"),
    *("a Ì", "aÌ ģ", "_ a", "- -", "Ġ (", "Ġ '", "ĠĠĠ a"),
]
VOCABULARY = [*SPECIALS, *byte_letters(), *("".join(merge.split(" ")) for merge in MERGES)]


def write_gguf(
    path: Path, *, leave_out: tuple[str, ...] = (), extra: dict[str, NDArray[Any]] | None = None, **keys: Any
) -> Path:
    """Write the file. `keys` are metadata with `__` for dots, over the defaults; None leaves a key out."""
    rng = np.random.default_rng(0)
    values: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.context_length": 256,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 2,
        "llama.feed_forward_length": FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10000.0,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": len(VOCABULARY),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": VOCABULARY,
        "tokenizer.ggml.token_type": [3] * len(SPECIALS) + [1] * (len(VOCABULARY) - len(SPECIALS)),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.chat_template": CHAT,
        **{key.replace("__", "."): value for key, value in keys.items()},
    }
    writer = GGUFWriter(path, values.pop("general.architecture"))
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, value)
    shapes = {
        "attn_norm": (WIDTH,),
        "ffn_norm": (WIDTH,),
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (WIDTH // HEADS, WIDTH),
        "attn_v": (WIDTH // HEADS, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "ffn_gate": (FORWARD, WIDTH),
        "ffn_up": (FORWARD, WIDTH),
        "ffn_down": (WIDTH, FORWARD),
    }
    tensors = {"token_embd.weight": (len(VOCABULARY), WIDTH), "output_norm.weight": (WIDTH,)}
    tensors |= {f"blk.{i}.{name}.weight": shape for i in range(2) for name, shape in shapes.items()}
    for name, shape in tensors.items():
        if name not in leave_out:
            spread = 1.0 if "norm" in name else 0.3
            writer.add_tensor(name, rng.normal(0, spread, shape).astype(np.float32))
    for name, value in (extra or {}).items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
