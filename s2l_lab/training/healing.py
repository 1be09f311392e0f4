"""Healing: a pruned model learns from its source what the missing layers did.

The loss is distillation: KL(source || pruned) of the next token, in nats, at every token of completions that the source
itself sampled at temperature 1. In expectation over those samples its gradient is that of the plain next-token loss,
and the sum over the vocabulary takes the place of one drawn token, so each token teaches more. This is how pruned
models are usually healed (Minitron, arXiv 2407.14679, whose best practices retrain with a distillation loss alone; the
losses on inner states that they add where depth shrinks much are left out here). 0 is the source itself.

The two tables of the vocabulary (embedding and head) are not trained: they are the source's, and most of their rows
never occur in a few hundred steps. Dropout stays off, so nothing is drawn. Forward passes run in bfloat16 (autocast),
weights and AdamW in float32. The result is a function of (model, samples, settings) on one kind of machine with one
thread count and one torch version.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WARMUP = 0.1
"""Share of the steps in which the learning rate rises to its peak; then it falls to 0 along a cosine."""


@dataclass(frozen=True, slots=True)
class Healing:
    """How long and how fast. Raises UsageError for values that are out of range."""

    steps: int
    batch: int = 8
    """Completions in one step."""
    rate: float = 5e-4
    """Peak learning rate of AdamW."""
    seed: int = 0
    """Order of the completions."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UsageError(f"healing takes 1 step of 1 completion at least, not {self.steps} of {self.batch}.")
        if not 0 < self.rate < math.inf:
            raise UsageError(f"the learning rate of healing must be above 0, {self.rate} was given.")


@dataclass(frozen=True, slots=True)
class SourceCompletion:
    """A completion of the source, as ids."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


def heal(
    pruned: Any,
    source: Any,
    samples: Sequence[SourceCompletion],
    healing: Healing,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Train `pruned`, which is in eval mode, in place on the samples.

    `progress` gets every step's number, from 1, and its loss in nats a token.

    Raises UsageError where the loss stops being a number: the learning rate is too high.
    """
    tables = {id(table.weight) for table in (pruned.get_input_embeddings(), pruned.get_output_embeddings())}
    trained = [weight for weight in pruned.parameters() if id(weight) not in tables]
    optimiser = torch.optim.AdamW(trained, lr=healing.rate, betas=(0.9, 0.95), weight_decay=0.0)
    device = pruned.device.type
    for step, rows in zip(range(1, healing.steps + 1), _batches(len(samples), healing), strict=False):
        for group in optimiser.param_groups:
            group["lr"] = healing.rate * _schedule(step, healing.steps)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = _divergence(pruned, source, [samples[i] for i in rows])
        if not math.isfinite(loss.item()):
            raise UsageError(f"the loss of healing is no number at step {step}. Lower its rate {healing.rate:g}.")
        for weight, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        progress(step, loss.item())


@torch.no_grad()
def divergence(pruned: Any, source: Any, samples: Sequence[SourceCompletion], batch: int = 8) -> float:
    """Mean KL(source || pruned) in nats per completion token, from 0, in the models' own precision."""
    total = tokens = 0.0
    for start in range(0, len(samples), batch):
        rows = samples[start : start + batch]
        here = sum(len(sample.completion) for sample in rows)
        total += float(_divergence(pruned, source, rows)) * here
        tokens += here
    return total / tokens


def _divergence(pruned: Any, source: Any, samples: Sequence[SourceCompletion]) -> torch.Tensor:
    """The same of one batch, with its gradient. Rows are padded on the right, which no earlier token sees."""
    length = max(len(sample.prompt) + len(sample.completion) for sample in samples)
    ids_BT = np.zeros((len(samples), length - 1), dtype=np.int64)
    learned_BT = np.zeros(ids_BT.shape, dtype=bool)
    for row, sample in enumerate(samples):
        ids = [*sample.prompt, *sample.completion]
        ids_BT[row, : len(ids) - 1] = ids[:-1]
        learned_BT[row, len(sample.prompt) - 1 : len(ids) - 1] = True
    given = torch.from_numpy(ids_BT).to(pruned.device)
    learned = torch.from_numpy(learned_BT).to(pruned.device)
    with torch.no_grad():
        target_LV = source(input_ids=given, use_cache=False).logits[learned].float().log_softmax(-1)
    logprobs_LV = pruned(input_ids=given, use_cache=False).logits[learned].float().log_softmax(-1)
    divergence_L: torch.Tensor = (target_LV.exp() * (target_LV - logprobs_LV)).sum(-1)
    return divergence_L.mean()


def _batches(n: int, healing: Healing) -> Iterator[list[int]]:
    """Batches of indices below n, without end: epochs of permutations."""
    rng = np.random.default_rng(healing.seed)
    waiting: list[int] = []
    while True:
        while len(waiting) < healing.batch:
            waiting += rng.permutation(n).tolist()
        yield waiting[: healing.batch]
        waiting = waiting[healing.batch :]


def _schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step, from 1."""
    warm = max(1, round(WARMUP * steps))
    if step <= warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm + 1)))
