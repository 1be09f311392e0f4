"""The figures and tables of the paper (arXiv 2605.30789), one by one: what each shows, what of it can be had as
numbers, and what the paper does not give.

Numbers are the CSV files of `s2l_lab.figures.reference`; whichever of them ship are read, and an item whose file does
not ship says so. Lines that begin with # say how the numbers were had, and go wherever the numbers go.

Arms of ours stand beside rows of its tables. Tables 1 and 2 set S2L-PO beside GRPO after training; Table 4 adds S2L-PO
whose explorer is a bank of rollouts without its diversity, and ours adds the two arms without which that says nothing:
the bank with nothing taken away, and with as many rollouts dropped at random. All of them train by the ordinary recipe;
an arm with another schedule, grouping, correction or temperature belongs to a figure (`experiments/` has all plans).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from s2l_lab.figures.paper import reference_file
from s2l_lab.figures.registry import ITEMS, PaperItem
from s2l_lab.training.plan import EXPLORER_FIELDS, TrainingPlan


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference file's rows for an item."""

    file: str
    rows: tuple[dict[str, str], ...]
    """Empty where the file does not ship."""
    notes: tuple[str, ...]
    """How the numbers were obtained."""
    shipped: bool


SCHEMATIC = "Figures 1, 3a and 3b are schematic: they show the method and no numbers."

COLUMN_WORDS = {
    "panel": "Panel of Figure 2: left or right column, from the top.",
    "benchmark": "Benchmark that pass@k was measured on.",
    "mode": "Prompts with or without thinking.",
    "k": "Rollouts per problem of which one has to be correct.",
    "model_a": "The smaller of the panel's two models.",
    "model_b": "The larger of the panel's two models.",
    "passk_a": "pass@k of the smaller model as a share, digitised.",
    "passk_b": "pass@k of the larger model as a share, digitised.",
    "small": "The smaller model.",
    "large": "The larger model.",
    "n": "Largest k of the panel.",
    "k_low": "Smallest k at which the small model may overtake; empty where it does nowhere in the panel.",
    "k_high": "Largest k at which the small model may overtake; empty where it does nowhere in the panel.",
    "model": "Qwen3-Base model.",
    "self_bleu": "Overlap of n-grams between rollouts: lower is more diverse. The paper does not define it further.",
    "edit_diversity": "Edit distance between rollouts: higher is more diverse. The paper does not define it further.",
    "unique_answers": "Share of different answers among rollouts. The paper does not define it further.",
    "figure": "Figure of the paper.",
    "series": "Line of the figure: method, explorer and learner.",
    "step": "Training problems seen, in thousands, which the paper takes as logical steps.",
    "value": "The paper's number: of curves pass@1 as a share, of tables percent after training.",
    "by_eye": "1 where markers overlap, so that the value was read by eye.",
    "family": "Family of models.",
    "learner": "The model that is trained.",
    "method": "How it is trained.",
    "explorer": "The smaller model that gives rollouts; empty for GRPO.",
    "quantity": "What is compared.",
    "unit": "Unit of the row.",
    "baseline": "GRPO.",
    "token-level noise": "More noise at each token, such as a higher temperature.",
    "trajectory-level noise": "S2L-PO: whole rollouts of a smaller model.",
}
"""What each column of a reference file holds."""
_RECIPE = {
    "schedule": "linear",
    "grouping": "mixed",
    "correction": "none",
    "temperature": 1.0,
    "explorer_temperature": 1.0,
}
"""Default values of the settings that arms of the figures vary."""
_BANKS = {
    "all": "S2L-PO, explorer from a bank (ours)",
    "diversity_removed": "S2L-PO without diversity",
    "placebo": "placebo: as many rollouts dropped at random (ours)",
}


def paper_item(name: str) -> PaperItem:
    """The item of that name. Raises KeyError."""
    return {item.name: item for item in ITEMS}[name]


def references(item: PaperItem) -> tuple[Reference, ...]:
    """The numbers of an item that ship with this release, by file."""
    return tuple(_reference(name, item.only) for name in item.files)


def reference_columns(rows: Sequence[dict[str, str]]) -> list[dict[str, float | str | None]]:
    """The rows with numbers as numbers; an empty cell is None."""
    return [{name: _value(text) for name, text in row.items()} for row in rows]


def stands_beside(table: str, plan: TrainingPlan) -> str:
    """The row of this table that an arm of the plan stands beside, in the words of the paper's reference file, or of
    ours where the paper has none; empty where the arm is not of this table."""
    said = {name: value for name, value in plan.training.items() if plan.explores or name not in EXPLORER_FIELDS}
    if any(said.get(name, usual) != usual for name, usual in _RECIPE.items()):
        return ""
    if not plan.explores or plan.explorer is None:
        return "GRPO"
    if plan.explorer.kind == "member":
        return "S2L-PO"
    if plan.explorer.kind == "bank" and table == "table4":
        return _BANKS[plan.explorer.select]
    return ""


def _reference(name: str, only: str) -> Reference:
    try:
        notes, rows = reference_file(name)
    except FileNotFoundError:
        return Reference(name, (), (), shipped=False)
    return Reference(name, tuple(r for r in rows if not only or r["figure"] == only), tuple(notes), shipped=True)


def _value(text: str | None) -> float | str | None:
    if not text:
        return None
    try:
        return float(text) if not text.isdigit() else int(text)
    except ValueError:
        return text
