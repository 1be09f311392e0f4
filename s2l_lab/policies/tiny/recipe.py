"""The recipe of the embedded family: three sizes of Qwen3 on Countdown traces, at two sizes of data.

`tiny` is data-limited: its largest member sees every trace many times and becomes sharp. `tiny-rich` is the same
recipe with more problems. Within a family every member sees the same examples in the same order, as often and under
the same schedule; only width, depth and peak learning rate differ.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from s2l_lab.digest import content_digest
from s2l_lab.problems.countdown import VERSION


@dataclass(frozen=True, slots=True)
class MemberRecipe:
    """One size. Heads are 32 wide at every size, since vLLM on a CPU supports none narrower."""

    size: str
    width: int
    layers: int
    heads: int
    mlp_width: int
    peak_learning_rate: float


MEMBERS = (
    MemberRecipe("60k", width=48, layers=2, heads=2, mlp_width=128, peak_learning_rate=6e-3),
    MemberRecipe("360k", width=96, layers=3, heads=3, mlp_width=288, peak_learning_rate=4e-3),
    MemberRecipe("2m", width=192, layers=4, heads=6, mlp_width=576, peak_learning_rate=2e-3),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every member of a family has in common."""

    problems: int
    """Distinct training problems, each with one trace."""
    steps: int
    batch: int = 64
    """Examples in a step."""
    warmup: int = 100
    """Steps of linear warm-up, before the cosine to 0."""
    weight_decay: float = 0.01
    gradient_clip: float = 1.0

    def learning_rate(self, peak: float, step: int) -> float:
        """At a step counted from 0."""
        if step < self.warmup:
            return peak * (step + 1) / self.warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(self.steps - self.warmup, 1)))


RECIPES = {"tiny": Recipe(problems=10_000, steps=2_000), "tiny-rich": Recipe(problems=50_000, steps=2_000)}


@dataclass(frozen=True, slots=True)
class PretrainingProgress:
    """Where a training run is."""

    member: str
    step: int
    steps: int
    loss: float
    """Of this step's batch, nats per token."""
    seconds: float


def recipe_digest(recipe: Recipe, member: MemberRecipe) -> str:
    """Identity of everything but the seed that decides a member's weights on a given machine."""
    return content_digest([VERSION, asdict(recipe), asdict(member)])
