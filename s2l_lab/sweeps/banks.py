"""Which rollout banks the runs of a sweep draw from, so that each is filled once, before they start.

`s2l-lab bank` finds a bank by what its rollouts are, which takes the opened policy to know. Here a key of the plan's
own values stands for it. Keys may tell apart what is one bank (its second filling finds it full), never the reverse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.digest import content_digest
from s2l_lab.training.arms import bank_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s2l_lab.training.plan import TrainingPlan


def bank_key(plan: TrainingPlan) -> str | None:
    """What stands for the plan's bank; None where it draws from none."""
    bank = bank_of(plan.model_dump(mode="json"))
    return None if bank is None else content_digest([bank, str(plan.model_root), str(plan.data_root)])


def banks_of(plans: Iterable[TrainingPlan]) -> dict[str, TrainingPlan]:
    """Key -> the plan that wants most of the bank; filled for it, the bank serves the others too."""
    largest: dict[str, TrainingPlan] = {}
    for plan in plans:
        key = bank_key(plan)
        if key is not None and (key not in largest or _rollouts(plan) > _rollouts(largest[key])):
            largest[key] = plan
    return largest


def _rollouts(plan: TrainingPlan) -> int:
    return (plan.explorer and plan.explorer.rollouts) or 0
