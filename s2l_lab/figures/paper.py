"""The paper's own numbers, as far as they can be had (arXiv 2605.30789).

Figure 2 was digitised from the published picture: pass@k to about 0.01, no interval, no count of correct rollouts, no
seed. Between-problem standard errors at n = 30 are 0.06 to 0.09, larger than every gap between two of its curves.
Table 3 is printed with three digits and nothing beside them; no definition of its metrics was published. Curves of
Figures 4 and 7 and Tables 1, 2 and 4 are one run each, no seed and no interval anywhere, and pass@1 alone: what
coverage does after training is not in the paper. Figures 3c, 5 and 6 could not be recovered from any source.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLES = ("table1", "table2", "table4")
"""Of learners after training."""
TABLE3_BENCHMARK = "aime24"


@dataclass(frozen=True, slots=True)
class PaperPanel:
    """One panel of Figure 2. Arrays have shape (K,)."""

    name: str
    """L1 to L3 (no thinking, k to 64), R1 to R3 (thinking, k to 256)."""
    benchmark: str
    mode: str
    """Sampling preset: `nothink` or `think`."""
    small: str
    large: str
    """Sizes of the two Qwen3-Base models, as `4B`."""
    k: NDArray[np.int64]
    small_value: NDArray[np.float64]
    large_value: NDArray[np.float64]
    n_rollouts: int
    crossing: tuple[int, int] | None
    """The two values of k between which the small model overtakes in the picture; None if it does not."""

    def crossing_words(self, never: str = "none") -> str:
        """What the picture shows, as "at k = 25 to 30" or "none by k = 64"."""
        if self.crossing is None:
            return f"{never} by k = {self.n_rollouts}"
        return "at k = " + " to ".join(map(str, dict.fromkeys(self.crossing)))


@dataclass(frozen=True, slots=True)
class PaperDiversity:
    """One row of Table 3: AIME24, K = 64 rollouts per problem."""

    model: str
    """Size of the Qwen3-Base model, as `4B`."""
    self_bleu: float
    edit_diversity: float
    unique_answers: float


@dataclass(frozen=True, slots=True)
class PaperCurve:
    """pass@1 averaged over AIME 2024 and 2025. Arrays have shape (steps,)."""

    name: str
    step: NDArray[np.int64]
    """Logical steps, of a thousand prompts each."""
    value: NDArray[np.float64]
    """Values of the curve as shares, 0 to 1."""

    @property
    def explores(self) -> bool:
        """Whether the curve is of S2L-PO rather than GRPO."""
        return not self.name.startswith("GRPO")


@dataclass(frozen=True, slots=True)
class PaperCell:
    """A printed number."""

    family: str
    learner: str
    """Size of the learner, for example `8B`."""
    method: str
    explorer: str
    """Size of the explorer; empty for GRPO."""
    benchmark: str
    value: float
    """Value as a share, 0 to 1 (the paper prints percent)."""

    @property
    def row(self) -> str:
        """Name of the table row: the method and the explorer's size."""
        return f"{self.method}, {self.explorer}" if self.explorer else self.method


def table3() -> tuple[PaperDiversity, ...]:
    """The rows of Table 3, small to large."""
    return tuple(
        PaperDiversity(row["model"], *(float(row[name]) for name in ("self_bleu", "edit_diversity", "unique_answers")))
        for row in reference_rows("table3.csv")
    )


def table3_beside(benchmark: str) -> tuple[PaperDiversity, ...]:
    """The rows of Table 3 if the benchmark is the paper's; else empty."""
    return table3() if benchmark == TABLE3_BENCHMARK else ()


def fig2_panels() -> dict[str, PaperPanel]:
    """The six panels by name."""
    points: dict[str, list[dict[str, str]]] = {}
    for row in reference_rows("fig2_passk.csv"):
        points.setdefault(row["panel"], []).append(row)
    return {row["panel"]: _panel(row, points[row["panel"]]) for row in reference_rows("fig2_crossings.csv")}


def paper_curve(figure: str, name: str) -> PaperCurve:
    """The curve of a figure by name. Raises UsageError for an unknown curve."""
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


def _panel(facts: dict[str, str], points: list[dict[str, str]]) -> PaperPanel:
    first = points[0]
    small, large = ("a", "b") if first["model_a"] == facts["small"] else ("b", "a")
    return PaperPanel(
        name=facts["panel"],
        benchmark=first["benchmark"],
        mode=first["mode"],
        small=first[f"model_{small}"],
        large=first[f"model_{large}"],
        k=np.array([int(row["k"]) for row in points]),
        small_value=np.array([float(row[f"passk_{small}"]) for row in points]),
        large_value=np.array([float(row[f"passk_{large}"]) for row in points]),
        n_rollouts=int(facts["n"]),
        crossing=(int(facts["k_low"]), int(facts["k_high"])) if facts["k_low"] else None,
    )


def reference_rows(name: str) -> list[dict[str, str]]:
    """A shipped CSV without its comment lines."""
    return reference_file(name)[1]


def reference_file(name: str) -> tuple[list[str], list[dict[str, str]]]:
    """Comment lines (how the numbers were had) and rows of a shipped CSV. Raises FileNotFoundError."""
    lines = (files(__package__) / "reference" / name).read_text(encoding="utf-8").splitlines()
    notes = [line.lstrip("# ") for line in lines if line.startswith("#")]
    return notes, list(csv.DictReader(line for line in lines if not line.startswith("#")))
