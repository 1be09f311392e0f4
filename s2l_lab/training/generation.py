"""What may shape the learner's rollouts: the trainer's config alone.

A checkpoint's generation_config.json says how its makers would sample it (min-p, penalties, suppressed tokens, beams).
`generate` fills whatever TRL's own config leaves open from there, so such settings would choose the tokens, while the
loss takes log-probabilities of another distribution. While TRL generates, the model has a generation config of token
ids and nothing else; before and after it has its own, which is what a trained checkpoint is saved with.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@contextmanager
def neutral_generation(model: Any) -> Iterator[None]:
    """The model generates as it is asked to; its own generation config is put back at the end."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    own = base.generation_config
    base.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    try:
        yield
    finally:
        base.generation_config = own


def length_to_eos(token_ids: list[int], eos_ids: Collection[int]) -> int:
    """Tokens up to the first EOS, which counts; all of them where there is none."""
    return next((place for place, token in enumerate(token_ids, start=1) if token in eos_ids), len(token_ids))
