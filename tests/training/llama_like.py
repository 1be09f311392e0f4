"""A checkpoint whose tokenizer puts a BOS before every text, while its chat template writes one too: as Llama's do."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from s2l_lab.problems import Problem

CHARACTERS = "0123456789+-*/()= abcdefghijklmnopqrstuvwxyz?\n<|>_"
CHAT = (
    "{{ bos_token }}{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
PROBLEMS = tuple(Problem.make(f"what is {a}+{b}?", str(a + b), "math", "test", {}) for a, b in ((3, 4), (12, 5)))


def write_llama_like(
    directory: Path, *, bos: str = "<|bos|>", backwards: bool = False, adds_bos: bool = True, chat: str = CHAT
) -> Path:
    """`backwards` gives the tokens other ids."""
    specials = ["<pad>", "<eos>", bos, "<|start|>", "<|end|>"]
    tokens = [*specials, *CHARACTERS]
    vocabulary = {token: i for i, token in enumerate(reversed(tokens) if backwards else tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(specials)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])]
        )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=bos, eos_token="<eos>", pad_token="<pad>")
    fast.chat_template = chat
    fast.save_pretrained(directory)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=vocabulary[bos],
        eos_token_id=vocabulary["<eos>"],
        pad_token_id=vocabulary["<pad>"],
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    return directory
