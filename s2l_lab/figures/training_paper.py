"""The paper's numbers on training (arXiv 2605.30789): curves of Figures 4 and 7, Tables 1, 2 and 4.

One run each, no seed and no interval anywhere, and pass@1 alone: what coverage does after training is not in the paper.
Figures 3c, 5 and 6 could not be recovered from any source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import unknown_name
from s2l_lab.figures.paper import reference_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLES = ("table1", "table2", "table4")


@dataclass(frozen=True, slots=True)
class PaperCurve:
    """pass@1 averaged over AIME 2024 and 2025. Arrays have shape (steps,)."""

    name: str
    step: NDArray[np.int64]
    """Logical steps, of a thousand prompts each."""
    value: NDArray[np.float64]
    """A share, 0 to 1."""


@dataclass(frozen=True, slots=True)
class PaperCell:
    """A printed number."""

    family: str
    learner: str
    """Size, as `8B`."""
    method: str
    explorer: str
    """Size; empty for GRPO."""
    benchmark: str
    value: float
    """A share, 0 to 1 (printed in percent)."""

    @property
    def row(self) -> str:
        """Its row: the method, and the explorer's size."""
        return f"{self.method}, {self.explorer}" if self.explorer else self.method


def paper_curve(figure: str, name: str) -> PaperCurve:
    """A curve by figure and name. Raises UsageError for one that there is not."""
    rows = [row for row in reference_rows("training_curves.csv") if row["figure"] == figure]
    found = [row for row in rows if row["series"] == name]
    if not found:
        raise unknown_name("series", name, dict.fromkeys(row["series"] for row in rows), f"(of the paper's {figure})")
    return PaperCurve(name, np.array([int(r["step"]) for r in found]), np.array([float(r["value"]) for r in found]))


def paper_cells(table: str, learner: str) -> tuple[PaperCell, ...]:
    """The cells of a table for one learner (`8B`), in its order. Raises UsageError for a learner it does not have."""
    cells = [
        PaperCell(r["family"], r["learner"], r["method"], r["explorer"], r["benchmark"], float(r["value"]) / 100)
        for r in reference_rows(f"{table}.csv")
    ]
    found = tuple(cell for cell in cells if cell.learner == learner)
    if not found:
        raise unknown_name("learner", learner, dict.fromkeys(cell.learner for cell in cells), f"(of {table})")
    return found
