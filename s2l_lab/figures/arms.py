"""The arms of a study in words and colours; used by every figure of a study.

Explorers keep the colours of members; what is made from the learner keeps the learner's (see `palette`). Where a study
has several controls of one role, as the learner at the KL of each explorer, their names tell them apart.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, TypeVar

from s2l_lab.figures.palette import CONTROL_DASHES, ROLE_SYMBOLS, Look, member_colours

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s2l_lab.studies.contrast_arms import Role
    from s2l_lab.studies.matching import Match


class ArmRow(Protocol):
    """What the rows of all studies have in common."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def temperature(self) -> float: ...
    @property
    def matches(self) -> str | None: ...


MATCHED_WORDS = {"entropy": "entropy", "kl": "KL", "pass@1": "pass@1"}
GROUPS: dict[Role, str] = {
    "learner": "learner",
    "explorer": "explorers",
    "sibling": "siblings",
    "other seed": "siblings",
    "temperature": "temperature",
    "entropy": "entropy",
    "kl": "KL",
    "pass@1": "pass@1",
}
"""Rows of one group stand together, groups in this order."""
Arm = TypeVar("Arm", bound=ArmRow)


def arm_words(arm: ArmRow) -> str:
    """An arm's role in words, as "learner at tiny-360k's KL (T = 1.23)". Plain text, not escaped."""
    match arm.role:
        case "learner":
            return f"{arm.name} (learner)"
        case "explorer":
            return arm.name
        case "sibling" | "other seed":
            return f"{arm.name} (sibling)"
        case "temperature":
            return f"learner, T = {arm.temperature:.3g}"
    return f"learner at {arm.matches}'s {MATCHED_WORDS[arm.role]} (T = {arm.temperature:.3g})"


def by_role(arms: Iterable[Arm]) -> list[Arm]:
    """The arms sorted by role in the order of GROUPS; within a role they keep their order."""
    roles = list(GROUPS)
    return sorted(arms, key=lambda arm: roles.index(arm.role))


def arm_label(arm: ArmRow) -> str:
    """A short name for the label at the end of a line, such as "tiny-360k's KL". Plain text, not escaped."""
    if arm.role == "temperature":
        return f"T = {arm.temperature:.3g}"
    return arm.name if arm.matches is None else f"{arm.matches}'s {MATCHED_WORDS[arm.role]}"


def arm_looks(learner: str, arms: Sequence[ArmRow]) -> list[Look]:
    """The look of each arm, in order. Explorers are ordered from small to large, with the learner as the largest."""
    explorers = [arm.name for arm in arms if arm.role == "explorer"]
    colours = member_colours([*explorers, learner])
    return [
        Look(
            colours[arm.name] if arm.role == "explorer" else colours[learner],
            ROLE_SYMBOLS[arm.role],
            _dash(arm, explorers),
        )
        for arm in arms
    ]


def _dash(arm: ArmRow, explorers: Sequence[str]) -> str:
    if arm.role == "temperature":
        return "dot"
    if arm.matches is None:
        return "solid" if arm.role in ("learner", "explorer") else "longdashdot"
    return CONTROL_DASHES[explorers.index(arm.matches) % len(CONTROL_DASHES)] if arm.matches in explorers else "dash"


def match_words(match: Match) -> str:
    """What the matching found, as "learner with tiny-360k's KL: T = 1.23 (reached 0.101 for 0.1)". Plain text."""
    found, what = match.result, MATCHED_WORDS[match.matched]
    head = f"{match.explorer}'s {what}"
    if not math.isfinite(found.temperature):
        return f"{head}: out of reach (nearest {found.achieved:.3g} for {found.target:.3g})"
    return f"{head}: T = {found.temperature:.3f} ({found.achieved:.3g} for {found.target:.3g})"
