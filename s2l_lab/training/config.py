"""S2LPOConfig: TRL's GRPOConfig with the paper's defaults and the switches of S2L-PO.

Every disputed choice is a named field; its paper (arXiv 2605.30789) and its released code are told beneath it. What TRL
hard-codes otherwise: 1e-4 is added to the standard deviation of rewards (released code: 1e-6), and the sample standard
deviation is used (as in the released code).

Combinations that make no sense are refused when the config is built, with the reason and a way out (UsageError).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Self, get_args

from trl import GRPOConfig

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.plans import check_types, read_values
from s2l_lab.policies import SamplingParams
from s2l_lab.training import refusals
from s2l_lab.training.advantages import Grouping, LoneRollout
from s2l_lab.training.correction import Correction
from s2l_lab.training.schedule import AnnealingSchedule, Kind, Rounding

DEFAULT_CAP = 2.0


@dataclass
class S2LPOConfig(GRPOConfig):  # type: ignore[misc]  # trl has no types
    """Everything of GRPOConfig, and the fields of S2L-PO. Rounds are generations, not optimiser steps."""

    schedule: Literal["linear", "cosine", "step", "step_equal_slots", "constant"] = "linear"
    """How the explorer fraction falls. Paper, Algorithm 1: alpha = 1 - (i - 1)/(T_mix - 1), linearly to 0. `step` is
    its abrupt switch (Fig. 6), `constant` with fraction 1 its small-only run (Fig. 5), with 0 GRPO."""
    mix_steps: int | None = None
    """T_mix, in rounds. None is half of the run's rounds. Paper: 16 logical steps of which the first 8 anneal; Fig. 7
    compares 8 with 5. Released 14B script: 4."""
    explorer_fraction: float = 1.0
    """Explorer fraction in the first round (throughout for `constant`). Paper, Algorithm 1: alpha begins with 1."""
    slot_rounding: Literal["exact", "released"] = "exact"
    """`released` repeats the floats of the launch script, which can give the explorer a slot too many."""
    grouping: Literal["mixed", "split"] = "mixed"
    """Paper, Algorithm 1: explorer and learner rollouts "form one candidate group". Released code: never in one group
    (`split` gives each source its own baseline)."""
    lone_rollout: Literal["zero", "released"] = "zero"
    """Advantage of a source's only rollout in a `split` group. Released code: mean 0 and deviation 1, so its raw
    reward."""
    correction: Literal["none", "behaviour", "behaviour_sequence", "truncated", "masked"] = "none"
    """What the explorer's tokens count for (correction.py). Paper, Eq. 2: pi_theta over the rollout policy, per
    sequence, which is `behaviour_sequence`; its text never says how explorer ratios are had. Released code: `none`."""
    correction_cap: float | None = None
    """Largest weight pi_old / b of `truncated`; `masked` keeps weights in [1/cap, cap]. None is 2.0 there. A leftover
    yaml of the released code has a threshold of 2.0 (truncate); the scripts use none."""
    explorer_temperature: float = 1.0
    """Paper: not stated. Released script: 0.7, colder than the learner's 1.0."""
    explorer_top_p: float = 1.0
    """Paper: not stated. Released script: 0.95. Below 1, tokens outside the nucleus cannot be drawn, so ratios by the
    explorer's probabilities are biased: only correction `none` is allowed."""
    explorer_weight_floor: float = 0.01
    """A run stops when the mean factor that a correction and the clip leave to explorer tokens falls below this in a
    round: the explorer would cost baseline and compute, and teach nothing. (A sequence ratio at a mean gap of .05 nat
    over 200 tokens is 4.5e-5.) 0 never stops."""

    # GRPOConfig's fields, with the paper's values.
    num_generations: int = 16
    """G. Paper: 16 rollouts a prompt (README); released 14B script: 8. TRL: 8."""
    per_device_train_batch_size: int = 16
    """One whole group. Paper: batches of 1024 prompts, mini-batches of 16 prompts. TRL: 8."""
    max_completion_length: int = 4096
    """Paper: responses up to 4096 tokens. TRL: 512."""
    lr_scheduler_type: str = "constant"
    """Paper: learning rate 1e-6 (TRL's default); released scripts: constant, no warm-up. transformers: linear."""
    weight_decay: float = 0.01
    """Released scripts (their framework's default). transformers: 0."""
    beta: float = 1e-3
    """Paper: KL term in the loss with coefficient 1e-3, low-variance estimate (k3). TRL: 0."""
    use_bias_correction_kl: bool = False
    """The paper's KL has no ratio before it. TRL: True, which under `behaviour` would weigh it by pi_theta / b."""
    delta: float | None = 3.0
    """Upper clamp of the ratio. Paper: clip not stated; its framework's default dual clip is 3.0. TRL: none."""
    loss_type: str = "dapo"
    """TRL's own default, and the nearest to the token mean of the paper's framework."""

    def __post_init__(self) -> None:
        for name, allowed in _LITERALS.items():
            if getattr(self, name) not in get_args(allowed):
                raise unknown_name(name, str(getattr(self, name)), get_args(allowed))
        if self.correction_cap is None and self.correction in ("truncated", "masked"):
            self.correction_cap = DEFAULT_CAP
        super().__post_init__()
        refusals.check(self)
        self.annealing(rounds=1)  # a schedule that cannot be is refused now, not when training starts

    @property
    def explorer_sampling(self) -> SamplingParams:
        """How the explorer samples."""
        return SamplingParams(
            temperature=self.explorer_temperature,
            top_p=self.explorer_top_p,
            max_tokens=self.max_completion_length,
            seed=self.seed,
        )

    @property
    def micro_steps_per_round(self) -> int:
        """Forward passes that one generation serves."""
        return int(self.steps_per_generation * self.num_iterations)

    def rounds(self, optimiser_steps: int) -> int:
        """Rounds of a run of this many optimiser steps, the last one counted though it may be cut."""
        return -(-optimiser_steps * int(self.gradient_accumulation_steps) // self.micro_steps_per_round)

    def annealing(self, rounds: int) -> AnnealingSchedule:
        """The schedule of a run of this many rounds. Raises UsageError for values out of range."""
        mix_steps = max(1, rounds // 2) if self.mix_steps is None else self.mix_steps
        return AnnealingSchedule(self.schedule, mix_steps, Fraction(str(self.explorer_fraction)), self.slot_rounding)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """A config from named values. Raises UsageError for a name that is none, with the nearest ones."""
        known = {field.name for field in fields(cls) if field.init}
        for name in values:
            if name not in known:
                near = unknown_name("training option", name, known)
                raise UsageError(
                    str(near).split(" Known:")[0] + " All fields of trl's GRPOConfig and of S2LPOConfig are."
                )
        check_types(cls, values, "training options")
        return cls(**values)

    @classmethod
    def from_toml(cls, path: Path) -> Self:
        """A config from a TOML file. Raises DataError for a file that is none, UsageError as `from_mapping`."""
        return cls.from_mapping(read_values(path))


_LITERALS: dict[str, Any] = {
    "schedule": Kind,
    "slot_rounding": Rounding,
    "grouping": Grouping,
    "lone_rollout": LoneRollout,
    "correction": Correction,
}
