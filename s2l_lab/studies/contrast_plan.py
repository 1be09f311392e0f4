"""The plan of the two studies that compare a learner with explorers, `policy_share` and `persistence`.

Both have the same arms, which `contrast_arms` samples from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from s2l_lab.passk import PasskRequest
from s2l_lab.policies import SamplingParams


class ContrastPlan(BaseModel):
    """Learner, explorers, controls, problems. Explorers and siblings are sampled at temperature 1, top-p 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str = "tiny"
    learner: str = "tiny-2m"
    explorers: tuple[str, ...] = Field(default=("tiny-60k", "tiny-360k"), min_length=1)
    """Members of the family, small to large."""
    seeds: tuple[int, ...] = ()
    """Other pretraining seeds of every member, for the question *small or merely different*. Embedded families only."""
    benchmark: str = "countdown"
    problems: int = Field(default=100, ge=2)
    rollouts: int = Field(default=64, ge=4)
    """N, the number of rollouts per problem and arm."""
    temperature: float = Field(default=1.5, gt=0)
    """Sampling temperature of the paper's token-noise baseline, above 0."""
    validation: str = "countdown-validation"
    """Benchmark on which the temperatures of the matched controls are found; never the test problems."""
    validation_seed: int = Field(default=0, ge=0)
    """Seed of its items, for a procedural benchmark; another seed of `benchmark` itself can be the validation."""
    validation_problems: int = Field(default=100, ge=2)
    validation_rollouts: int = Field(default=16, ge=1)
    max_tokens: int = Field(default=160, ge=1)
    seed: int = Field(default=0, ge=0)
    embedder: str = "minilm"
    """Sentence embedder: `minilm`, another by name, or `none`."""
    model_root: Path | None = None
    data_root: Path | None = None

    @model_validator(mode="after")
    def _apart(self) -> ContrastPlan:
        if self.learner in self.explorers:
            raise ValueError(f"{self.learner} is the learner and an explorer; a policy adds nothing to itself")
        if self.validation == self.benchmark and self.validation_seed == 0:
            raise ValueError(f"temperatures would be found on the problems they are used on ({self.benchmark})")
        return self

    def describe(self) -> str:
        """A summary of what the plan samples, in a few lines."""
        matched = 3 * len(self.explorers)
        seeds = len(self.seeds) * (1 + len(self.explorers))
        arms = 2 + len(self.explorers) + matched + seeds
        training = f" {seeds} members are pretrained from other seeds, once." if seeds else ""
        return (
            f"{arms} arms (learner {self.learner}, {len(self.explorers)} explorers, T = {self.temperature:g}, "
            f"{matched} temperatures found on {self.validation}, {seeds} members of other pretraining seeds) x "
            f"{self.problems} problems of {self.benchmark} x {self.rollouts} rollouts = at most "
            f"{arms * self.problems * self.rollouts:,} rollouts.{training}"
        )

    def sampling(self, temperature: float = 1.0) -> SamplingParams:
        """Plain sampling at a temperature: top-p 1, top-k off, no penalty, as the persistence statistics need it."""
        return SamplingParams(temperature=temperature, max_tokens=self.max_tokens, seed=self.seed)

    def request(self, members: tuple[str, ...], temperature: float = 1.0, family: str | None = None) -> PasskRequest:
        """The run that holds these members at this temperature."""
        changes: dict[str, Any] = {"model_root": self.model_root, "data_root": self.data_root}
        return PasskRequest(
            family=family or self.family,
            members=members,
            benchmark=self.benchmark,
            problems=self.problems,
            rollouts=self.rollouts,
            sampling=self.sampling(temperature),
            interval="problems",
            **changes,
        )
