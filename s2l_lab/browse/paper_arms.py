"""Which of our arms belong to which table of the paper, and which of its rows each stands beside.

Tables 1 and 2 set S2L-PO beside GRPO after training; Table 4 adds S2L-PO whose explorer is a bank of rollouts without
its diversity, and ours adds the two arms without which that says nothing: the bank with nothing taken away, and with as
many rollouts dropped at random. All of them train by the ordinary recipe; an arm with another schedule, grouping,
correction or temperature belongs to a figure (`experiments/` has the plans of all).
"""

from __future__ import annotations

from s2l_lab.training.plan import EXPLORER_FIELDS, TrainingPlan

TABLES = ("table1", "table2", "table4")
_RECIPE = {
    "schedule": "linear",
    "grouping": "mixed",
    "correction": "none",
    "temperature": 1.0,
    "explorer_temperature": 1.0,
}
"""What arms of the figures vary, at its default."""
_BANKS = {
    "all": "S2L-PO, explorer from a bank (ours)",
    "diversity_removed": "S2L-PO without diversity",
    "placebo": "placebo: as many rollouts dropped at random (ours)",
}


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
