"""Figures that `s2l-lab figures` has made: their numbers.json below the runs, with the verdicts that are in them.

The command writes `figures/NAME-SCALE/` below the runs directory. What cannot be read is said and hides nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.claim_tables import claims_table, crossings_table
from s2l_lab.figures.registry import SCALES

if TYPE_CHECKING:
    from s2l_lab.figures.tables import Cell

NUMBERS = "numbers.json"
OLD_RULES = (
    "These differences and decisions were made by an earlier release. Their intervals are over training seeds only, "
    "for the same problems, so they exclude 0 too often. They stay until the runs are made again."
)
"""Note on numbers by a release whose estimates carried no standard error."""


@dataclass(frozen=True, slots=True)
class MadeFigure:
    """One figure at one scale. Texts are plain."""

    name: str
    scale: str
    folder: Path
    command: str
    verdicts: tuple[dict[str, str], ...]
    """One row per claim or panel, in words."""
    image: Path | None
    """Path of the PNG; None if there is none."""
    trouble: str
    """Why the numbers could not be read; empty if they could."""
    note: str = ""
    """Remark that a reader of the verdicts needs; empty if there is none."""


def by_old_rules(values: dict[str, Any]) -> bool:
    """Whether a training figure's numbers.json comes from a release that judged claims over training seeds only."""
    claims = [claim.get("difference") for claim in _objects(values.get("claims"))]
    return any("se" not in difference for difference in _objects(claims))


def made_figures(directory: Path, name: str) -> tuple[MadeFigure, ...]:
    """Every version of the figure `name` that was made below a runs directory, one per scale."""
    folders = [(scale, directory / "figures" / f"{name}-{scale}") for scale in SCALES]
    return tuple(_made(name, scale, folder) for scale, folder in folders if (folder / NUMBERS).is_file())


def _made(name: str, scale: str, folder: Path) -> MadeFigure:
    image = folder / f"{name}.png"
    found = image if image.is_file() else None
    try:
        values = json.loads((folder / NUMBERS).read_bytes())
    except (OSError, ValueError) as error:
        return MadeFigure(name, scale, folder, "", (), found, f"{folder / NUMBERS} cannot be read: {error}")
    if not isinstance(values, dict):
        return MadeFigure(name, scale, folder, "", (), found, f"{folder / NUMBERS} is no object.")
    note = OLD_RULES if by_old_rules(values) else ""
    command = str(values.get("command", ""))
    return MadeFigure(name, scale, folder, command, _verdicts(values), found, "", note)


def _verdicts(values: dict[str, Any]) -> tuple[dict[str, str], ...]:
    """Claims of a training figure, or the crossings of Figure 2's panels, by the short titles of their columns."""
    claims, panels = _objects(values.get("claims")), _objects(values.get("panels"))
    made = crossings_table(panels) if panels else claims_table(claims)
    names = [re.split(r"[,(]", column.title)[0].strip() for column in made.columns]
    return tuple(dict(zip(names, map(_words, row.cells), strict=True)) for row in made.rows)


def _words(cell: Cell) -> str:
    first, *more = str(cell).split("\n")
    return first + "".join(f" ({words})" for words in more)


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
