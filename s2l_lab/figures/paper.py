"""The paper's own numbers, as far as they can be had (arXiv 2605.30789).

Figure 2 was digitised from the published picture: pass@k to about 0.01, no interval, no count of correct rollouts, no
seed. Between-problem standard errors at n = 30 are 0.06 to 0.09, larger than every gap between two of its curves.
Table 3 is printed with three digits and nothing beside them; no definition of its metrics was published.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    """Between which k the small model's curve overtakes, as drawn there; None where it does not by `n_rollouts`."""

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


def table3() -> tuple[PaperDiversity, ...]:
    """The rows of Table 3, small to large."""
    return tuple(
        PaperDiversity(row["model"], *(float(row[name]) for name in ("self_bleu", "edit_diversity", "unique_answers")))
        for row in reference_rows("table3.csv")
    )


def fig2_panels() -> dict[str, PaperPanel]:
    """The six panels by name."""
    points: dict[str, list[dict[str, str]]] = {}
    for row in reference_rows("fig2_passk.csv"):
        points.setdefault(row["panel"], []).append(row)
    return {row["panel"]: _panel(row, points[row["panel"]]) for row in reference_rows("fig2_crossings.csv")}


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
