"""Copies of the learner as explorers: perturbed ones, frozen at the start of training, and one that follows it.

The paper explains a small member as "one time-invariant parameter perturbation" of the large one (arXiv 2605.30789,
Eq. 3). These copies are that perturbation without the small model: noise on the weights, layers left out, weights
rounded to few bits. `None` perturbs nothing and follows the learner: at another temperature it is the control for
token-level randomness.

A copy is made from the model that the trainer was given, before any checkpoint is resumed from, so it is the same
explorer after a resume. Layers and bits need no randomness; noise has a generator of its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.pruning import prune
from s2l_lab.policies.transformers_engine import TransformersPolicy, weights_digest
from s2l_lab.training.explorer import ExplorerRollout, Learner, PolicyExplorer, Request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.policies import ModelShape, SamplingParams


@dataclass(frozen=True, slots=True)
class WeightNoise:
    """Gaussian noise on every matrix, in units of its root mean square weight."""

    scale: float

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise UsageError(f"weight noise needs a scale above 0 (0.05 is five per cent), {self.scale} was given.")

    def apply(self, model: Any, seed: int) -> Any:
        """The model, changed in place."""
        generator = torch.Generator().manual_seed(seed)
        for matrix in _matrices(model):
            noise = torch.randn(matrix.shape, generator=generator).to(matrix)
            matrix.add_(noise, alpha=self.scale * float(matrix.square().mean().sqrt()))
        return model


@dataclass(frozen=True, slots=True)
class PrunedLayers:
    """These layers (from 0) are left out."""

    layers: tuple[int, ...]

    def apply(self, model: Any, seed: int) -> Any:  # every perturbation is given a seed
        """A smaller model. Raises PolicyError for an architecture whose layers cannot be pruned."""
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        kept = [i for i in range(layers) if i not in set(self.layers)]
        if not kept or len(kept) + len(set(self.layers)) != layers:
            raise UsageError(f"the learner has layers 0 to {layers - 1}; {list(self.layers)} cannot be left out.")
        return prune(model, kept).requires_grad_(False)


@dataclass(frozen=True, slots=True)
class RoundedWeights:
    """Every matrix rounded, symmetrically and row by row, to 2^bits - 1 values."""

    bits: int

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 16:
            raise UsageError(f"weights are rounded to 2 to 16 bits, {self.bits} were given.")

    def apply(self, model: Any, seed: int) -> Any:  # every perturbation is given a seed
        """The model, changed in place."""
        levels = 2 ** (self.bits - 1) - 1
        for matrix in _matrices(model):
            step = matrix.abs().amax(dim=-1, keepdim=True).clamp(min=torch.finfo(matrix.dtype).tiny) / levels
            matrix.copy_((matrix / step).round() * step)
        return model


Perturbation = WeightNoise | PrunedLayers | RoundedWeights


class LearnerCopy:
    """A copy of the learner as explorer. It costs the learner's memory once more, without optimiser state."""

    def __init__(self, perturbation: Perturbation | None = None) -> None:
        """`perturbation` None follows the learner's weights, round by round."""
        self.name = f"learner with {perturbation}" if perturbation else "learner"
        self._perturbation = perturbation

    @property
    def shape(self) -> ModelShape | None:
        """Of the copy, whose pruned layers cost nothing."""
        return self._explorer.shape

    @property
    def model(self) -> Any:
        """The copy."""
        return self._model

    @torch.no_grad()
    def bind(self, learner: Learner, sampling: SamplingParams) -> None:
        """Copy the learner as it is now. Raises PolicyError where the model does not hold its weights itself."""
        if learner.sharded or hasattr(learner.model, "peft_config"):
            raise PolicyError(
                "a learner whose weights are sharded (FSDP, DeepSpeed) or in adapters (LoRA) cannot be copied as an "
                "explorer. Take a member of its family or a rollout bank."
            )
        self._learner = learner.model
        self._model = frozen_copy(learner.model)
        if self._perturbation is not None:
            self._model = self._perturbation.apply(self._model, sampling.seed)
        policy = TransformersPolicy(
            self.name,
            self._model,
            learner.tokenizer,
            lambda problem: problem.prompt,
            weights=weights_digest(self._model) if self._perturbation is not None else "follows the learner",
            template_digest="",
        )
        self._explorer = PolicyExplorer(policy)
        self._explorer.bind(learner, sampling)

    @torch.no_grad()
    def explore(self, requests: Sequence[Request], group_size: int) -> list[list[ExplorerRollout]]:
        """Rollouts of the copy, brought up to date first if it follows the learner."""
        if self._perturbation is None:
            for mine, its in zip(self._model.parameters(), self._learner.parameters(), strict=True):
                mine.copy_(its)
        return self._explorer.explore(requests, group_size)


def frozen_copy(model: Any) -> Any:
    """A copy in eval mode that no optimiser moves."""
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    # TRL and accelerate hang forwards of their own on the object; the copies of those call the original.
    vars(copied).pop("forward", None)
    return copied


def _matrices(model: Any) -> list[torch.Tensor]:
    """Weights of two dimensions or more; norms and biases are left alone. Tied ones are listed once."""
    return [parameter for parameter in model.parameters() if parameter.ndim >= 2]
