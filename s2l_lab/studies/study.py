"""What every study has in common: how it is watched while it runs, and what it gives.

A study is a module here with its plan and `measure(plan, command, watch) -> Measured`. How the result is drawn, tabled
and written as numbers.json stands in `figures`; the registry of figures brings the parts together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2l_lab.rollouts import Progress


DETAILS = "Details: "
"""Beginning of the line of a caption that says how the numbers were made."""


def details(*parts: str) -> str:
    """The last line of a caption, from its parts."""
    return DETAILS + "; ".join(parts)


def _unseen(_: object) -> None:
    """Do nothing: nobody watches."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Functions that are told about the progress of a study."""

    announce: Callable[[str], None] = _unseen
    """Called with one line of text when something slow begins."""
    show: Callable[[str], None] = _unseen
    """Called with a prompt and a completion, as text, of every policy that is sampled."""
    progress: Callable[[Progress], None] = _unseen
    """Called with the state of sampling, from another thread."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a study, with its data and provenance."""

    result: Any
    """The study's own record of what it found."""
    about: tuple[str, ...] = ()
    """Plain lines for the caption: data, n, N and the interval first, `details` last."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Entries of numbers.json besides the result: the command, the plan, digests."""
