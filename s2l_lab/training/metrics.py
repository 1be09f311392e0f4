"""What is logged of a round, source by source, and of its explorer tokens. (browse/metric_words.py explains names.)"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from s2l_lab.training.advantages import zero_variance
from s2l_lab.training.correction import Corrected, passes_gradient

SOURCES = ("explorer", "learner")


def round_metrics(
    rewards_PG: torch.Tensor, advantages_PG: torch.Tensor, lengths_PG: torch.Tensor, explorer_PG: torch.Tensor
) -> dict[str, float]:
    """Means of a round by source; a source without rollouts, or a mean over nothing, has no entry."""
    found = {
        "zero_variance_groups": zero_variance(rewards_PG).float().mean().item(),
        "unscored": rewards_PG.isnan().float().mean().item(),
    }
    total = lengths_PG.sum().item()
    for source, own_PG in zip(SOURCES, (explorer_PG, ~explorer_PG), strict=True):
        if not own_PG.any():
            continue
        own_rewards_PG = rewards_PG.masked_fill(~own_PG, torch.nan)
        found[f"{source}/reward"] = own_rewards_PG.nanmean().item()
        found[f"{source}/length"] = lengths_PG[own_PG].float().mean().item()
        found[f"{source}/advantage"] = advantages_PG[own_PG].mean().item()
        found[f"{source}/token_share"] = lengths_PG[own_PG].sum().item() / max(total, 1)
        several_P = own_PG.sum(dim=1) >= 2
        if several_P.any():
            groups = own_rewards_PG[several_P]
            found[f"{source}/zero_variance_groups"] = zero_variance(groups).float().mean().item()
            deviations = ((groups - groups.nanmean(dim=1, keepdim=True)) ** 2).nanmean(dim=1).sqrt()
            found[f"{source}/reward_std"] = deviations.nanmean().item()
    return {name: value for name, value in found.items() if not math.isnan(value)}


@dataclass(slots=True)
class ExplorerTokens:
    """Sums over the explorer's tokens of a micro-batch; those of processes and micro-batches add up."""

    sums: torch.Tensor
    """(10,), float64, since a share of float32 sums can come out above 1: tokens, logprobs, ratios, then of tokens with
    A > 0: number and number with gradient, of those with A < 0: the same, then sum of factors, of their squares, and
    number of tokens that have an advantage."""

    @classmethod
    def of(
        cls,
        logps_BT: torch.Tensor,
        corrected: Corrected,
        advantages_BT: torch.Tensor,
        explorer_B: torch.Tensor,
        mask_BT: torch.Tensor,
        clip: tuple[float, float, float | None],
    ) -> ExplorerTokens:
        """Of B rollouts of up to T tokens, without gradient. `advantages_BT` are those before the weight; `clip` is
        (epsilon low, epsilon high, delta)."""
        logps_BT, weight_BT = logps_BT.detach(), corrected.weight_BT.detach()
        own_BT = mask_BT.bool() & explorer_B[:, None]
        wide = torch.float32 if logps_BT.device.type == "mps" else torch.float64  # MPS has no float64
        ratio = torch.exp(logps_BT - corrected.denominator_BT.detach())[own_BT].float()
        advantage = advantages_BT.expand_as(logps_BT)[own_BT]
        passes = passes_gradient(ratio, advantage, *clip) & (weight_BT[own_BT] != 0)
        moved_BT = weight_BT if corrected.slope_BT is None else corrected.slope_BT
        factor = ratio.to(wide) * moved_BT[own_BT].to(wide) * passes
        up, down = advantage > 0, advantage < 0
        parts = (
            torch.ones_like(ratio),
            logps_BT[own_BT],
            ratio,
            up,
            up & passes,
            down,
            down & passes,
            factor,
            factor**2,
            up | down,
        )
        return cls(torch.stack([part.to(wide).sum() for part in parts]))

    def __add__(self, other: ExplorerTokens) -> ExplorerTokens:
        return ExplorerTokens(self.sums + other.sums)

    @property
    def weight(self) -> float:
        """Mean factor over tokens that have an advantage; NaN without any."""
        return _ratio(self.sums[7], self.sums[9])

    def metrics(self) -> dict[str, float]:
        """Under the names above; a mean over nothing has no entry."""
        tokens, logps, ratios, up, up_passes, down, down_passes, factor, squares, valued = self.sums.tolist()
        found = {
            "explorer/learner_logprob": _ratio(logps, tokens),
            "explorer/ratio": _ratio(ratios, tokens),
            "explorer/gradient_positive": _ratio(up_passes, up),
            "explorer/gradient_negative": _ratio(down_passes, down),
            "explorer/clip_positive": 1 - _ratio(up_passes, up),
            "explorer/clip_negative": 1 - _ratio(down_passes, down),
            "explorer/weight": self.weight,
            "explorer/ess": min(_ratio(factor**2, squares * valued), 1.0),  # of equal factors it is 1 up to rounding
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}


def _ratio(numerator: float | torch.Tensor, denominator: float | torch.Tensor) -> float:
    return float(numerator) / float(denominator) if float(denominator) else math.nan
