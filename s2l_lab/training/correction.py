"""What the explorer's tokens count for: five readings of the importance ratio, and LUFFY's, which has none.

Eq. 2 of arXiv 2605.30789 divides by the policy that sampled (b, the explorer), at the level of whole rollouts, and the
text never says how that ratio is had; the released code drops the explorer's log-probabilities and divides by the
learner's own. With theta the learner now, old the learner at generation:

none                ratio pi_theta / pi_old: the explorer's text as if the learner had written it (released code)
behaviour           ratio pi_theta / b per token; the clip is then centred on the explorer
behaviour_sequence  Eq. 2: every token of a rollout has the rollout's ratio prod_t pi_theta / b, not length-normalised,
                    and the gradient is that of the product
truncated           weight min(pi_old / b, cap), a constant, times the clipped surrogate in pi_theta / pi_old
masked              weight pi_old / b, dropped outside [1/cap, cap], times the same surrogate

luffy               f(pi_theta) = pi_theta / (pi_theta + gamma) instead of the ratio, never clipped: the policy shaping
                    of LUFFY (arXiv 2504.14945; gamma = 0.1), which takes the probability of whoever wrote
                    the text as 1. Its gradient, gamma pi / (pi + gamma)^2 A grad log pi, is largest where
                    pi_theta = gamma, and does not vanish with pi as that of the ratio pi / 1 does

A correction is a denominator for the ratio and a weight for the advantage; TRL's clipped losses take both as they are.
Rows of the learner keep denominator pi_old and weight 1. b is the distribution that sampled: after temperature; a
truncating sampler (top-p, top-k) lacks support and is refused where b is used. `none` and `luffy` do not ask for b, so
they are the two for texts of unknown origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

Correction = Literal[
    "none",
    "behaviour",
    "behaviour_sequence",
    "truncated",
    "masked",
    "luffy",
]

WITHOUT_PROBABILITIES = ("none", "luffy")
"""Corrections that do not ask for the explorer's log-probabilities."""

DEFAULT_GAMMA = 0.1
"""LUFFY's."""
CLIPPED_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo")
"""TRL's losses of the form min(ratio A, clip(ratio) A), for which folding a weight into A is exact."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What replaces TRL's denominator and multiplies its advantages. All (B, T)."""

    denominator_BT: torch.Tensor
    """Log-probabilities in the denominator of the ratio, in nats. A constant; or the learner's own now, with their
    gradient, for a ratio that is 1 and does not move, so that nothing is clipped."""
    weight_BT: torch.Tensor
    """A constant; or, where the ratio does not move, all that does."""
    slope_BT: torch.Tensor | None = None
    """Derivative of a weight that moves by the log-probability, a constant; None where the weight is one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a correction may read of B rollouts of up to T tokens: log-probabilities in nats."""

    logps_BT: torch.Tensor
    """Of the learner now, without gradient (as all but the next)."""
    moving_logps_BT: torch.Tensor
    """The same, with the gradient that they have."""
    old_logps_BT: torch.Tensor
    """Of the learner at generation."""
    behaviour_logps_BT: torch.Tensor
    """Of the explorer when it sampled; meaningful in its rows alone."""
    mask_BT: torch.Tensor
    """1 on completion tokens."""
    cap: float
    """`correction_cap` of the config."""
    gamma: float
    """`correction_gamma` of the config."""


def _none(seen: Seen) -> Corrected:
    return Corrected(seen.old_logps_BT, torch.ones_like(seen.old_logps_BT))


def _behaviour(seen: Seen) -> Corrected:
    return Corrected(seen.behaviour_logps_BT, torch.ones_like(seen.old_logps_BT))


def _behaviour_sequence(seen: Seen) -> Corrected:
    """exp(logp - denominator) has the value of the rollout's ratio in every token and, since the denominator is a
    constant, the gradient ratio * d logp_t; summed over tokens that is the gradient of the product."""
    log_ratio_B1 = ((seen.logps_BT - seen.behaviour_logps_BT) * seen.mask_BT).sum(dim=1, keepdim=True)
    return Corrected(seen.logps_BT - log_ratio_B1, torch.ones_like(seen.old_logps_BT))


def _truncated(seen: Seen) -> Corrected:
    ratio_BT = torch.exp(seen.old_logps_BT - seen.behaviour_logps_BT)
    return Corrected(seen.old_logps_BT, ratio_BT.clamp(max=seen.cap))


def _masked(seen: Seen) -> Corrected:
    ratio_BT = torch.exp(seen.old_logps_BT - seen.behaviour_logps_BT)
    inside_BT = (ratio_BT >= 1 / seen.cap) & (ratio_BT <= seen.cap)
    return Corrected(seen.old_logps_BT, torch.where(inside_BT, ratio_BT, torch.zeros_like(ratio_BT)))


def _luffy(seen: Seen) -> Corrected:
    """The ratio is exp(logp - logp): 1, inside every clip, and still. What moves is the weight f(pi)."""
    probability_BT = torch.exp(seen.moving_logps_BT)
    weight_BT = probability_BT / (probability_BT + seen.gamma)
    shaped_BT = weight_BT.detach()
    return Corrected(seen.moving_logps_BT, weight_BT, slope_BT=shaped_BT * (1 - shaped_BT))


CORRECTIONS: dict[str, Callable[[Seen], Corrected]] = {
    "none": _none,
    "behaviour": _behaviour,
    "behaviour_sequence": _behaviour_sequence,
    "truncated": _truncated,
    "masked": _masked,
    "luffy": _luffy,
}
"""By name, what explorer rows get; the keys are the values of `Correction`."""


def correct(
    correction: Correction,
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    behaviour_logps_BT: torch.Tensor,
    explorer_B: torch.Tensor,
    mask_BT: torch.Tensor,
    cap: float,
    gamma: float = DEFAULT_GAMMA,
) -> Corrected:
    """Denominators and weights of B rollouts of up to T tokens; rows of the learner keep pi_old and weight 1.

    `logps_BT`: the learner's log-probabilities now, with gradient if the loss is to have one; `old_logps_BT`: at
    generation; `behaviour_logps_BT`: the explorer's when it sampled (read in its rows alone); all in nats. `mask_BT` is
    1 on completion tokens.
    """
    seen = Seen(logps_BT.detach(), logps_BT, old_logps_BT.detach(), behaviour_logps_BT, mask_BT, cap, gamma)
    found, rows_B1 = CORRECTIONS[correction](seen), explorer_B[:, None]
    return Corrected(
        torch.where(rows_B1, found.denominator_BT, seen.old_logps_BT),
        torch.where(rows_B1, found.weight_BT, torch.ones_like(seen.old_logps_BT)),
        found.slope_BT,
    )


def passes_gradient(
    ratio_BT: torch.Tensor, advantages_BT: torch.Tensor, epsilon_low: float, epsilon_high: float, delta: float | None
) -> torch.Tensor:
    """(B, T) True where min(ratio A, clip(ratio) A) has a gradient: inside the clip for the advantage's sign, A not 0.

    `delta` is TRL's upper clamp of the ratio (dual clip), which bounds it for negative advantages too.
    """
    rises_BT = (advantages_BT > 0) & (ratio_BT <= 1 + epsilon_high)
    falls_BT = (advantages_BT < 0) & (ratio_BT >= 1 - epsilon_low)
    if delta is None:
        return rises_BT | falls_BT
    return (rises_BT | falls_BT) & (ratio_BT <= delta)
