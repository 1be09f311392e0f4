"""Group-relative advantages: one baseline for the group (Algorithm 1) or one per source (the released code).

A_i = (r_i - mean r) / (std r + EPSILON), Eq. 1 of arXiv 2605.30789, with the sample standard deviation. EPSILON is
TRL's 1e-4 (the released code has 1e-6). In a `mixed` group the weaker explorer's rollouts have a negative mean
advantage; `split` groups remove that.

An unscored rollout (NaN) is left out of mean and deviation and gets advantage 0: unknown is not wrong.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from s2l_lab.errors import UsageError, unknown_name

EPSILON = 1e-4
"""What TRL 1.16 adds to the standard deviation; it has no setting for it."""

Grouping = Literal["mixed", "split"]
"""`mixed`: one group, one baseline (Algorithm 1). `split`: a baseline for each source (as if sampled in two steps)."""
LoneRollout = Literal["zero", "released"]
"""What a source's only rollout in a `split` group gets: advantage 0, or (released code) its raw reward."""


def summed_rewards(rewards_BF: torch.Tensor, weights_F: torch.Tensor, group_size: int) -> torch.Tensor:
    """(P, G) weighted sums over F reward functions of B = P G rollouts; NaN where no function gave a reward.

    As TRL sums them: a function that gives None (NaN) for a rollout is left out of its sum.
    """
    rewards_B = (rewards_BF * weights_F.to(rewards_BF.device)).nansum(dim=1)
    rewards_B[rewards_BF.isnan().all(dim=1)] = torch.nan
    return rewards_B.view(-1, group_size)


def mixed_advantages(rewards_PG: torch.Tensor, *, scale: bool = True) -> torch.Tensor:
    """(P, G) advantages of each group against its own mean; `scale=False` leaves out the division.

    `rewards_PG`: P groups of G rewards, NaN where unscored. A group with fewer than two scored rollouts gets 0 when
    scaled: it has no deviation.
    """
    mean_P1 = torch.nanmean(rewards_PG, dim=1, keepdim=True)
    advantages_PG = rewards_PG - mean_P1
    if scale:
        advantages_PG = advantages_PG / (_deviation(rewards_PG, mean_P1) + EPSILON)
    return torch.nan_to_num(advantages_PG, nan=0.0)


def split_advantages(
    rewards_PG: torch.Tensor, explorer_PG: torch.Tensor, *, scale: bool = True, lone: LoneRollout = "zero"
) -> torch.Tensor:
    """(P, G) advantages of every rollout against the rollouts of its own source in its group.

    `explorer_PG` is True for the explorer's rollouts. `lone` says what the only scored rollout of a source gets.
    Raises UsageError for an unknown `lone`.
    """
    if lone not in get_args(LoneRollout):
        raise unknown_name("lone rollout rule", lone, get_args(LoneRollout))
    if rewards_PG.shape != explorer_PG.shape:
        raise UsageError(f"{tuple(rewards_PG.shape)} rewards need as many sources, got {tuple(explorer_PG.shape)}.")
    result_PG = torch.zeros_like(rewards_PG)
    for source_PG in (explorer_PG, ~explorer_PG):
        own_PG = rewards_PG.masked_fill(~source_PG, torch.nan)
        advantages_PG = mixed_advantages(own_PG, scale=scale)
        if lone == "released":
            is_lone_P1 = (~own_PG.isnan()).sum(dim=1, keepdim=True) == 1
            advantages_PG = torch.where(is_lone_P1, torch.nan_to_num(own_PG, nan=0.0), advantages_PG)
        result_PG = torch.where(source_PG, advantages_PG, result_PG)
    return result_PG


def zero_variance(rewards_PG: torch.Tensor) -> torch.Tensor:
    """(P,) True for a group whose scored rewards are all equal (or which has none): it teaches nothing."""
    high_P = torch.nan_to_num(rewards_PG, nan=-torch.inf).amax(dim=1)
    low_P = torch.nan_to_num(rewards_PG, nan=torch.inf).amin(dim=1)
    return high_P <= low_P


def _deviation(rewards_PG: torch.Tensor, mean_P1: torch.Tensor) -> torch.Tensor:
    """(P, 1) sample standard deviation of the scored rewards; NaN where there are fewer than two.

    The operations are those of TRL's `nanstd`, so that results are equal to the bit.
    """
    variance_P1 = torch.nanmean((rewards_PG - mean_P1) ** 2, dim=1, keepdim=True)
    count_P1 = (~rewards_PG.isnan()).sum(dim=1, keepdim=True)
    bessel_P1 = count_P1 / (count_P1 - 1)
    bessel_P1 = torch.where(count_P1 > 1, bessel_P1, torch.full_like(bessel_P1, torch.nan))
    return torch.sqrt(variance_P1 * bessel_P1)
