"""Real checkpoints for tests: a Qwen3-shaped model with random weights and a character tokenizer, written to disk.

Nothing here stands in for our own code: the files load in transformers and in vLLM like any downloaded checkpoint
(head_dim 32, since vLLM on a CPU supports no 16).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = "0123456789+-*/()= abcdefghijklmnopqrstuvwxyz#:,.?\n\\{}"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}\n{{ message['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
"""ChatML in small letters: what an instruct model's tokenizer ships."""


def write_tokenizer(
    directory: Path,
    characters: str = CHARACTERS,
    *,
    chat_template: str | None = CHAT_TEMPLATE,
    adds_bos: bool = False,
) -> int:
    """Save a one-character-one-token tokenizer; return its vocabulary size. `adds_bos` is how Llama's behaves."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    specials = ["<|pad|>", "<|eos|>", "<|bos|>", "<|start|>", "<|end|>"]
    vocabulary = {token: i for i, token in enumerate([*specials, *dict.fromkeys(characters)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|pad|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.add_special_tokens(specials)
    from tokenizers import decoders

    tokenizer.decoder = decoders.Fuse()
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|bos|> $A", special_tokens=[("<|bos|>", vocabulary["<|bos|>"])]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|eos|>", pad_token="<|pad|>", bos_token="<|bos|>"
    )
    fast.chat_template = chat_template
    fast.save_pretrained(directory)
    return len(vocabulary)


def write_checkpoint(
    directory: Path,
    *,
    seed: int = 0,
    width: int = 64,
    layers: int = 2,
    characters: str = CHARACTERS,
    chat_template: str | None = CHAT_TEMPLATE,
    spread: float = 0.6,
) -> Path:
    """Save a random Qwen3 causal LM with its tokenizer; `spread` scales the weights, hence how peaked its draws are."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    vocabulary = write_tokenizer(directory, characters, chat_template=chat_template)
    config = Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 32,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    config.dtype = torch.float32
    generator = torch.Generator().manual_seed(seed)
    model = Qwen3ForCausalLM(config).to(torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread / parameter.shape[1] ** 0.5)
        # A tied head over normalised states gives logits of scale |embedding| * sqrt(width): make them worth drawing.
        model.model.embed_tokens.weight.mul_(2.5)
    model.save_pretrained(directory)
    return directory
