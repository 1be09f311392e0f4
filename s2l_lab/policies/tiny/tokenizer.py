"""The embedded family's tokenizer: one token per character, and one per word of the phrasings.

Words are tokens with their spaces, and so is `#### `, so that each phrasing of a step costs nearly the same number of
tokens: length does not tell phrasings apart. There is no BOS; what the vocabulary lacks becomes `<unk>`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from s2l_lab.policies.tiny.traces import WORDS

if TYPE_CHECKING:
    from pathlib import Path

PAD, EOS, UNK = "<pad>", "<eos>", "<unk>"
TOKENS = (PAD, EOS, UNK, *"\n0123456789+-*/()= ", *(f" {w} " for w in WORDS.values()), " is ", "then ", " makes ")
TOKENS = (*TOKENS, "let ", " be ", "#### ")
"""The vocabulary in order of ids."""

PAD_ID, EOS_ID = TOKENS.index(PAD), TOKENS.index(EOS)
CONTEXT = 256
"""Positions of every member: four times the longest trace."""


def tokenizer_json() -> dict[str, Any]:
    """The tokenizer in the format of the `tokenizers` library."""
    words = [t for t in TOKENS if len(t) > 1 and not t.startswith("<")]
    split = {
        "type": "Split",
        "pattern": {"Regex": "|".join([*words, r"[\s\S]"])},
        "behavior": "Isolated",
        "invert": False,
    }
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": TOKENS[i], **special} for i in range(3)],
        "normalizer": None,
        "pre_tokenizer": split,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {t: i for i, t in enumerate(TOKENS)}, "unk_token": UNK},
    }


def write_tokenizer(directory: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as transformers, vLLM and TRL read them."""
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": EOS,
        "unk_token": UNK,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    for name, content in (("tokenizer.json", tokenizer_json()), ("tokenizer_config.json", config)):
        (directory / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
