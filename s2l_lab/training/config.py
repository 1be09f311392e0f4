"""S2LPOConfig: TRL's GRPOConfig with the paper's defaults and the switches of S2L-PO.

Every disputed choice is a named field; its help text says what the paper (arXiv 2605.30789) and its released code do.
What TRL hard-codes otherwise: 1e-4 is added to the standard deviation of rewards (released code: 1e-6), and the sample
standard deviation is used (as in the released code).

Combinations that make no sense are refused when the config is built, with the reason and a way out (UsageError).
"""

# ruff: noqa: RUF009  # _option makes a field
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, get_args

from trl import GRPOConfig

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.plans import check_types, read_values
from s2l_lab.policies import SamplingParams
from s2l_lab.training.advantages import Grouping, LoneRollout
from s2l_lab.training.correction import CLIPPED_LOSSES, DEFAULT_GAMMA, WITHOUT_PROBABILITIES, Correction
from s2l_lab.training.schedule import AnnealingSchedule, Kind, Rounding

DEFAULT_CAP = 2.0


def _option(default: Any, text: str) -> Any:
    """A field of the config with its help text."""
    return field(default=default, metadata={"help": text})


@dataclass
class S2LPOConfig(GRPOConfig):  # type: ignore[misc]  # trl has no types
    """Everything of GRPOConfig, with the paper's values, and the fields of S2L-PO.

    Each field is described by its help text, which `--help` of TRL's parser shows: `TrlParser(S2LPOConfig)`. A round is
    one generation, which several optimiser steps may use. Raises UsageError for options that do not go together.
    """

    schedule: Kind = _option(
        "linear",
        "How the explorer's share of a group falls from round to round. 'linear' is the paper's Algorithm 1, 1 - (i - "
        "1)/(T_mix - 1) in round i. 'cosine' follows half a cosine. 'step' switches to the learner after T_mix rounds "
        "(Figure 6). 'step_equal_slots' switches when the explorer has had as many slots as with 'linear'. 'constant' "
        "never changes: fraction 1 is the small-only run of Figure 5, 0 is GRPO.",
    )
    mix_steps: int | None = _option(
        None,
        "Number of rounds in which the explorer takes part (T_mix). A round is one generation, not one optimiser "
        "step. None takes half of the run's rounds. Paper: 8 of 16 rounds; Figure 7 compares 8 with 5. Released 14B "
        "script: 4.",
    )
    explorer_fraction: float = _option(
        1.0,
        "Share of each group that the explorer samples in the first round, from 0 to 1; with schedule 'constant', in "
        "every round. 0 is plain GRPO. Paper, Algorithm 1: 1.",
    )
    slot_rounding: Rounding = _option(
        "exact",
        "'exact' computes the explorer's slots in exact fractions. 'released' repeats the floating-point arithmetic "
        "of the released launch script, which can give the explorer one slot too many.",
    )
    grouping: Grouping = _option(
        "mixed",
        "'mixed' puts the explorer's and the learner's rollouts of a prompt into one group with one baseline (paper, "
        "Algorithm 1). 'split' gives each source its own baseline; the released code never puts both sources into one "
        "group.",
    )
    lone_rollout: LoneRollout = _option(
        "zero",
        "Advantage of a source's only rollout in a 'split' group. 'zero' sets it to 0. 'released' uses the raw "
        "reward, as the released code does (mean 0, standard deviation 1).",
    )
    correction: Correction = _option(
        "none",
        "Importance weighting of the explorer's tokens. 'none' treats them as if the old learner had sampled them "
        "(released code). 'behaviour' uses the ratio of learner to explorer for each token, 'behaviour_sequence' for "
        "the whole rollout (paper, Eq. 2, which does not say how the explorer's probabilities are obtained). "
        "'truncated' multiplies the advantage by the weight old learner / explorer, at most correction_cap; 'masked' "
        "sets weights outside [1/correction_cap, correction_cap] to 0. 'luffy' has no ratio: a token of probability p "
        "under the learner counts p / (p + correction_gamma), unclipped (LUFFY, arXiv 2504.14945). 'none' and 'luffy' "
        "are the two for texts without log-probabilities.",
    )
    correction_cap: float | None = _option(
        None,
        "Cap of the weights of correction 'truncated' and 'masked', above 1. None is 2.0 for these two; the other "
        "corrections have no cap. Released code: an unused configuration file truncates at 2.0, the scripts do not.",
    )
    correction_gamma: float | None = _option(
        None,
        "gamma of correction 'luffy', above 0: the probability of a token at which its gradient is largest, so a small "
        "gamma teaches unlikely tokens. None is 0.1 for 'luffy' (LUFFY's); the other corrections have none.",
    )
    explorer_temperature: float = _option(
        1.0,
        "Sampling temperature of the explorer, above 0. Paper: not stated. Released script: 0.7, with 1.0 for the "
        "learner.",
    )
    explorer_top_p: float = _option(
        1.0,
        "Nucleus sampling of the explorer, above 0 and up to 1. Below 1 only correction 'none' is allowed: tokens "
        "outside the nucleus cannot be drawn, so ratios to the explorer would be biased. Paper: not stated. Released "
        "script: 0.95.",
    )
    explorer_weight_floor: float = _option(
        0.01,
        "Stop the run when the mean weight that correction and clipping leave to the explorer's tokens falls below "
        "this value in a round: their rollouts would cost compute and no longer teach the learner. 0 never stops. "
        "Corrections 'none' and 'luffy' divide by no probability of the explorer's and never stop a run. For "
        "scale, a ratio over 200 tokens with a mean gap of 0.05 nats per token is 4.5e-5.",
    )

    # GRPOConfig's fields, with the paper's values.
    num_generations: int = _option(
        16,
        "Rollouts per prompt: the group size G. It must divide per_device_train_batch_size * steps_per_generation, so "
        "that no group is cut between processes. Paper: 16. Released 14B script: 8. TRL: 8.",
    )
    per_device_train_batch_size: int = _option(
        16,
        "Rollouts per device in one forward pass; the default is one whole group. Paper: batches of 1024 prompts, "
        "mini-batches of 16 prompts. TRL: 8.",
    )
    max_completion_length: int = _option(4096, "Maximum length of a completion, in tokens. Paper: 4096. TRL: 512.")
    lr_scheduler_type: str = _option(
        "constant",
        "Learning-rate schedule of transformers. Released scripts: constant, without warm-up (the paper gives the "
        "learning rate, 1e-6, which is TRL's default). transformers: linear.",
    )
    weight_decay: float = _option(
        0.01, "Weight decay of AdamW. Released scripts: their framework's default, 0.01. TRL: 0."
    )
    beta: float = _option(
        1e-3,
        "Coefficient of the KL term in the loss (low-variance estimate, k3). 0 loads no reference model. Paper: "
        "0.001. TRL: 0.",
    )
    use_bias_correction_kl: bool = _option(
        False,
        "Multiply the KL term by the importance ratio. Paper: no ratio. TRL: True, which with correction 'behaviour' "
        "would weight the KL term by the ratio of learner to explorer.",
    )
    delta: float | None = _option(
        3.0,
        "Upper clipping bound of the importance ratio (two-sided clipping); None turns it off. Paper: not stated; the "
        "default dual clip of its framework is 3.0. TRL: None.",
    )
    loss_type: str = _option(
        "dapo",
        "Loss formulation; TRL's documentation lists them. 'dapo' is TRL's default and the nearest to the "
        "mean over tokens of the paper's framework. A correction other than 'none' needs one of "
        f"{', '.join(CLIPPED_LOSSES)}.",
    )

    def __post_init__(self) -> None:
        for name, allowed in _LITERALS.items():
            if getattr(self, name) not in get_args(allowed):
                raise unknown_name(name, str(getattr(self, name)), get_args(allowed))
        if self.correction_cap is None and self.correction in ("truncated", "masked"):
            self.correction_cap = DEFAULT_CAP
        if self.correction_gamma is None and self.correction == "luffy":
            self.correction_gamma = DEFAULT_GAMMA
        super().__post_init__()
        _ranges(self)
        _ignored(self)
        _groups(self)
        if self.correction != "none":
            _correction(self)
        _checkpoints(self)
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
        known = {one.name for one in fields(cls) if one.init}
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


def _ranges(config: S2LPOConfig) -> None:
    if not 0 <= config.explorer_fraction <= 1:
        raise UsageError(
            f"explorer_fraction is a share of the group's slots, from 0 to 1; {config.explorer_fraction} was given. "
            "The explorer cannot have more slots than the group."
        )
    if config.mix_steps is not None and config.mix_steps < 1:
        raise UsageError(
            f"mix_steps counts rounds and is 1 or more, {config.mix_steps} was given; None is half the run."
        )
    if not 0 < config.explorer_temperature <= 10:
        raise UsageError(f"explorer_temperature lies above 0, up to 10; {config.explorer_temperature} was given.")
    if not 0 < config.explorer_top_p <= 1:
        raise UsageError(f"explorer_top_p lies above 0, up to 1; {config.explorer_top_p} was given.")
    if not 0 <= config.explorer_weight_floor < 1:
        raise UsageError(f"explorer_weight_floor is 0 or more, below 1; {config.explorer_weight_floor} was given.")
    if config.correction_cap is not None and not config.correction_cap > 1:
        raise UsageError(
            f"correction_cap is above 1, {config.correction_cap} was given: at 1 or below, even tokens that the "
            "learner likes as much as the explorer would lose weight."
        )
    if config.correction_gamma is not None and not 0 < config.correction_gamma < math.inf:
        raise UsageError(
            f"correction_gamma is above 0, {config.correction_gamma} was given: at 0 every token would count 1, "
            "whatever its probability, and nothing would be learnt from it."
        )


def _ignored(config: S2LPOConfig) -> None:
    """Options that would be accepted and not used."""
    if config.schedule == "constant" and config.mix_steps is not None:
        raise UsageError("schedule 'constant' never ends, so mix_steps would be ignored. Leave it out, or use 'step'.")
    if config.lone_rollout != "zero" and config.grouping != "split":
        raise UsageError("lone_rollout is about split groups; a mixed group has no lone rollout. Set grouping='split'.")
    if config.correction_cap is not None and config.correction not in ("truncated", "masked"):
        raise UsageError(
            f"correction {config.correction!r} has no cap, so correction_cap would be ignored. Leave it out, or set "
            "correction='truncated' or 'masked'."
        )
    if config.correction_gamma is not None and config.correction != "luffy":
        raise UsageError(
            f"correction {config.correction!r} shapes nothing, so correction_gamma would be ignored. Leave it out, or "
            "set correction='luffy'."
        )


def _groups(config: S2LPOConfig) -> None:
    local = config.per_device_train_batch_size * config.steps_per_generation
    if local % config.num_generations:
        raise UsageError(
            f"each process generates {config.per_device_train_batch_size} x {config.steps_per_generation} = {local} "
            f"rollouts a round, which is no whole number of groups of {config.num_generations}: a group would be cut "
            "between processes. Make per_device_train_batch_size * steps_per_generation a multiple of num_generations."
        )
    if config.grouping == "split" and config.scale_rewards == "batch":
        raise UsageError(
            "grouping 'split' gives each source its own baseline and deviation; scale_rewards='batch' would divide "
            "both by one deviation of the whole batch. Use scale_rewards='group' or 'none'."
        )
    if config.grouping == "split" and config.multi_objective_aggregation != "sum_then_normalize":
        raise UsageError(
            "grouping 'split' normalises the summed reward of each source; multi_objective_aggregation "
            f"{config.multi_objective_aggregation!r} would need a baseline for each reward and source. Use "
            "'sum_then_normalize'."
        )


def _correction(config: S2LPOConfig) -> None:
    name = config.correction
    if config.explorer_top_p < 1 and name not in WITHOUT_PROBABILITIES:
        raise UsageError(
            f"correction {name!r} divides by the explorer's probabilities, and under explorer_top_p="
            f"{config.explorer_top_p} tokens outside the nucleus have none: the ratio would be biased without a "
            "sign of it. Use explorer_top_p=1, or correction='none'."
        )
    if config.loss_type not in CLIPPED_LOSSES:
        raise UsageError(
            f"correction {name!r} is exact for losses of the form min(ratio A, clip(ratio) A) only, and loss_type "
            f"{config.loss_type!r} is none. Use one of {', '.join(CLIPPED_LOSSES)}, or correction='none'."
        )
    if config.importance_sampling_level != "token":
        raise UsageError(
            f"correction {name!r} is defined on token ratios; importance_sampling_level="
            f"{config.importance_sampling_level!r} would average them over the rollout (GSPO). Use 'token'; the "
            "paper's sequence ratio is correction='behaviour_sequence'."
        )
    if config.off_policy_mask_threshold is not None and name.startswith("behaviour"):
        raise UsageError(
            f"off_policy_mask_threshold measures drift from the ratio's denominator, which correction {name!r} sets to "
            "the explorer: it would drop explorer rollouts for being the explorer's. Use one of the two."
        )
    if name == "luffy":
        _no_ratio(config)


def _no_ratio(config: S2LPOConfig) -> None:
    """Options that are about the importance ratio, which LUFFY's explorer tokens do not have."""
    given = {
        "off_policy_mask_threshold": config.off_policy_mask_threshold is not None,
        "use_bias_correction_kl": bool(config.use_bias_correction_kl) and config.beta != 0,
        "delta": config.delta is not None and config.delta <= 1,
    }
    if named := [option for option, is_given in given.items() if is_given]:
        raise UsageError(
            f"correction 'luffy' has no importance ratio for explorer tokens (it stands at 1, unclipped), and "
            f"{named[0]}={getattr(config, named[0])} is about that ratio. Leave it out, or use another correction."
        )


def _checkpoints(config: S2LPOConfig) -> None:
    """A checkpoint inside a round would lose the round's rollouts: a resumed run would not equal an unbroken one."""
    per_round, accumulation = config.micro_steps_per_round, config.gradient_accumulation_steps
    if config.save_strategy != "steps" or accumulation % per_round == 0:
        return
    if config.save_steps < 1 or (int(config.save_steps) * accumulation) % per_round:
        steps = per_round // accumulation if per_round % accumulation == 0 else per_round
        raise UsageError(
            f"save_steps={config.save_steps} puts checkpoints inside a round, whose rollouts are not saved. A round "
            f"lasts {per_round} forward passes, an optimiser step {accumulation}: make save_steps a multiple of "
            f"{steps}."
        )
