"""Figures that `s2l-lab figures` has made: their numbers.json below the runs, with the verdicts that are in them.

The command writes `figures/NAME-SCALE/` below the runs directory. What cannot be read is said and hides nothing else.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2l_lab.figures.registry import SCALES

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
    return MadeFigure(name, scale, folder, command, tuple(_verdicts(values)), found, "", note)


def _verdicts(values: dict[str, Any]) -> list[dict[str, str]]:
    """Claims of a training figure, or the crossings of Figure 2's panels."""
    rows = [
        {
            "claim": str(claim.get("claim")),
            "difference": _difference(claim.get("difference")),
            "verdict": str((claim.get("verdict") or {}).get("decision")),
            "why": str((claim.get("verdict") or {}).get("why") or ""),
        }
        for claim in _objects(values.get("claims"))
    ]
    rows += [
        {
            "panel": str(panel.get("panel")),
            "pair": " and ".join(map(str, panel.get("pair") or ())),
            "paper": str(panel.get("paper_crossing")),
            "ours": str(panel.get("crossing_words")),
        }
        for panel in _objects(values.get("panels"))
    ]
    return rows


def _objects(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _difference(value: Any) -> str:
    """`+0.012 [-0.003, 0.027], 5 seeds`."""
    if not isinstance(value, dict) or not isinstance(value.get("value"), int | float):
        return "\u2013"
    ends = [
        f"{end:.3f}" if isinstance(end, int | float) else "\u2013" for end in (value.get("lower"), value.get("upper"))
    ]
    return f"{value['value']:+.3f} [{', '.join(ends)}], {value.get('n_seeds') or 1} seeds"
