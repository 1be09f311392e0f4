"""What the explorer's tokens count for: five readings of the importance ratio, as small tensors.

Eq. 2 of arXiv 2605.30789 divides by the policy that sampled (b, the explorer), at the level of whole rollouts, and the
text never says how that ratio is had; the released code drops the explorer's log-probabilities and divides by the
learner's own. With theta the learner now, old the learner at generation:

none                ratio pi_theta / pi_old: the explorer's text as if the learner had written it (released code)
behaviour           ratio pi_theta / b per token; the clip is then centred on the explorer
behaviour_sequence  Eq. 2: every token of a rollout has the rollout's ratio prod_t pi_theta / b, not length-normalised,
                    and the gradient is that of the product
truncated           weight min(pi_old / b, cap), a constant, times the clipped surrogate in pi_theta / pi_old
masked              weight pi_old / b, dropped outside [1/cap, cap], times the same surrogate

A correction is a denominator for the ratio and a weight for the advantage; TRL's clipped losses take both as they are.
Rows of the learner keep denominator pi_old and weight 1. b is the distribution that sampled: after temperature; a
truncating sampler (top-p, top-k) lacks support and is refused where b is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

Correction = Literal["none", "behaviour", "behaviour_sequence", "truncated", "masked"]

CLIPPED_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo")
"""TRL's losses of the form min(ratio A, clip(ratio) A), for which folding a weight into A is exact."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What replaces TRL's denominator and multiplies its advantages. Both (B, T), without gradient."""

    denominator_BT: torch.Tensor
    """Log-probabilities in the denominator of the ratio, in nats."""
    weight_BT: torch.Tensor


def correct(
    correction: Correction,
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    behaviour_logps_BT: torch.Tensor,
    explorer_B: torch.Tensor,
    mask_BT: torch.Tensor,
    cap: float,
) -> Corrected:
    """Denominators and weights of B rollouts of up to T tokens.

    `logps_BT`: the learner's log-probabilities now; `old_logps_BT`: at generation; `behaviour_logps_BT`: the explorer's
    when it sampled (read in its rows alone); all in nats. `mask_BT` is 1 on completion tokens.
    """
    logps_BT, old_logps_BT = logps_BT.detach(), old_logps_BT.detach()
    rows_B1 = explorer_B[:, None]
    ones_BT = torch.ones_like(old_logps_BT)
    if correction == "none":
        return Corrected(old_logps_BT, ones_BT)
    if correction == "behaviour":
        return Corrected(torch.where(rows_B1, behaviour_logps_BT, old_logps_BT), ones_BT)
    if correction == "behaviour_sequence":
        # exp(logp - denominator) has the value of the rollout's ratio in every token and, since the denominator is a
        # constant, the gradient ratio * d logp_t; summed over tokens that is the gradient of the product.
        log_ratio_B1 = ((logps_BT - behaviour_logps_BT) * mask_BT).sum(dim=1, keepdim=True)
        return Corrected(torch.where(rows_B1, logps_BT - log_ratio_B1, old_logps_BT), ones_BT)
    ratio_BT = torch.exp(old_logps_BT - behaviour_logps_BT)
    if correction == "truncated":
        weight_BT = ratio_BT.clamp(max=cap)
    else:
        inside_BT = (ratio_BT >= 1 / cap) & (ratio_BT <= cap)
        weight_BT = torch.where(inside_BT, ratio_BT, torch.zeros_like(ratio_BT))
    return Corrected(old_logps_BT, torch.where(rows_B1, weight_BT, ones_BT))


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
