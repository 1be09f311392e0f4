"""When a run stops by itself, and when it warns: nothing is trained on that nobody scored, and nothing diverges unseen.

A stopped run keeps the checkpoints that it wrote; `last_whole_checkpoint` finds the one to resume from.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch

from s2l_lab.errors import S2LError

UNSCORED_LIMIT = 0.05
"""Share of a round's rollouts that may be without a reward."""
SILENT_ROUNDS = 10
"""Rounds in a row in which every group's rewards are all equal, after which a warning says why nothing is learnt."""

_LAST_WRITTEN = "trainer_state.json"


class TrainingStoppedError(S2LError):
    """A run was stopped because going on would train on what is not known or not finite."""


def require_scored(unscored: float, round_index: int, output_dir: str) -> None:
    """Raise TrainingStoppedError when more than UNSCORED_LIMIT of a round's rollouts have no reward."""
    if unscored > UNSCORED_LIMIT:
        raise TrainingStoppedError(
            f"round {round_index}: {unscored:.1%} of the rollouts could not be scored; at most {UNSCORED_LIMIT:.0%} "
            "may be. Look at the verifier's messages (a time-out, a gold answer that it cannot read), leave those "
            f"problems out, and resume. {_resume_from(output_dir)}"
        )


def require_finite(finite: bool, step: int, output_dir: str) -> None:
    """Raise TrainingStoppedError when the loss of a forward pass is NaN or infinite, before it is applied."""
    if not finite:
        raise TrainingStoppedError(
            f"the loss after optimiser step {step} is not finite, so nothing was updated with it. Lower learning_rate, "
            "use float32 or bfloat16 instead of float16, or (under a correction by 'behaviour') set delta. "
            f"{_resume_from(output_dir)}"
        )


def require_weight(weight: float, floor: float, correction: str, round_index: int) -> None:
    """Raise TrainingStoppedError when a correction leaves explorer tokens less than `floor` on average."""
    if weight < floor:
        raise TrainingStoppedError(
            f"round {round_index}: correction {correction!r} and the clip leave explorer tokens a mean weight of "
            f"{weight:.2g}, below explorer_weight_floor={floor:g}. Their rewards would move the baseline and their "
            "tokens would teach nothing. Use correction='none' or 'truncated', an explorer nearer to the learner, or "
            "lower explorer_weight_floor."
        )


@dataclass(slots=True)
class SilenceWatch:
    """Counts rounds in which no group has any variance, and warns once when they are SILENT_ROUNDS in a row."""

    rounds: int = 0

    def see(self, silent_share: float, mean_reward: float) -> None:
        """`silent_share`: share of groups with equal rewards; `mean_reward` of the round, NaN if nothing is scored."""
        self.rounds = self.rounds + 1 if silent_share == 1 else 0
        if self.rounds != SILENT_ROUNDS:
            return
        if math.isnan(mean_reward):
            why = "no rollout was scored"
        elif mean_reward == 0:
            why = "every rollout gets 0: the problems are too hard for G draws, or the verifier reads no answer in them"
        else:
            why = f"the rollouts of a problem are all equally good (mean reward {mean_reward:.3g}): nothing is left to "
            why += "learn here, or sampling is too cold to differ"
        warnings.warn(
            f"{SILENT_ROUNDS} rounds in a row had no group with different rewards, so all advantages are 0 and only "
            f"the KL term moves the model; {why}.",
            stacklevel=2,
        )


def last_whole_checkpoint(output_dir: str | Path) -> Path | None:
    """The latest checkpoint whose last-written file is there; None without one. A folder without it is partial."""
    found: list[tuple[int, Path]] = []
    for path in Path(output_dir).glob("checkpoint-*"):
        number = re.fullmatch(r"checkpoint-(\d+)", path.name)
        if number and (path / _LAST_WRITTEN).is_file():
            found.append((int(number[1]), path))
    return max(found)[1] if found else None


def all_finite(loss: torch.Tensor) -> torch.Tensor:
    """0 if every entry is finite, else 1, as a float that processes can add up."""
    return (~torch.isfinite(loss.detach())).any().float()


def _resume_from(output_dir: str) -> str:
    checkpoint = last_whole_checkpoint(output_dir)
    if checkpoint is None:
        return "No checkpoint was written yet."
    return f"The last whole checkpoint is {checkpoint}."
