"""The order of prompts after a resume.

TRL 1.16's sampler permutes every epoch anew from one generator that a resumed run starts from its seed: from the second
epoch on, a resumed GRPOTrainer sees the first epoch's order again. Here the permutations of the finished epochs are
drawn and thrown away, so the resumed run goes on where the interrupted one stopped. No global generator is touched.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback
from trl.trainer.utils import RepeatSampler

from s2l_lab.errors import UsageError


class DataOrder(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Brings the sampler's generator to where it was when the checkpoint's epoch began."""

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        if state.global_step == 0 or args.ignore_data_skip or not self._trainer.shuffle_dataset:
            return
        sampler = _repeat_sampler(train_dataloader)
        if sampler is None:
            raise UsageError(
                "a run on a dataset without a length cannot be resumed to the same order of prompts. Use a dataset "
                "with a length, or begin the run anew."
            )
        rounds = len(sampler.data_source) // (args.generation_batch_size // args.num_generations)
        steps = -(-rounds * args.micro_steps_per_round // args.gradient_accumulation_steps)
        for _epoch in range(state.global_step // steps):
            torch.randperm(sampler.num_samples, generator=sampler.generator)


def _repeat_sampler(loader: Any) -> Any:
    """TRL's sampler under whatever accelerate wrapped it in; None without one."""
    layers = [loader]
    for layer in layers:
        if isinstance(layer, RepeatSampler):
            return layer
        inner = (getattr(layer, name, None) for name in ("sampler", "batch_sampler", "base_dataloader"))
        layers += [part for part in inner if part is not None]
    return None
