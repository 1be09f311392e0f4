"""The lower part of every training figure: what each arm ends with, what it costs, and the verdict on every claim.

Tables are these blocks alone, the paper's numbers above ours; figures of curves have their curves above them. The words
for an arm's numbers are here too, for the whole figure and for the command.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM
from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.claim_tables import signed_reading
from s2l_lab.figures.dots import Dot, DotRow, draw_dots, height_of
from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import FAINT, arm_looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.canvas import Canvas
    from s2l_lab.figures.palette import Look
    from s2l_lab.figures.paper import PaperCell
    from s2l_lab.figures.tables import Table
    from s2l_lab.training.claims import TrainingFigure
    from s2l_lab.training.results import ArmCost, ArmResult, Level, TrainingResults

LEFT = 214.0
PITCH = 284.0
PLOT = 116.0
ACROSS = 4
"""Columns beside each other."""
LABEL_CHARACTERS = 30
HEAD = 74.0
"""Pixels from a block's title to its panels."""
DAGGER = "\u2020"
"""Of an interval that holds for these banks alone."""
CLAIM = 22.0
COLUMNS = (24.0, 640.0, 920.0)
"""Where a claim, its difference and its verdict begin."""

Column = tuple[tuple[str, str], list[DotRow], float | None]
"""Heads (markup), rows, reference value."""


def draw_ends(canvas: Canvas, plan: TrainingFigure, results: TrainingResults, top: float) -> float:
    """Levels (tables), differences to the baseline and cost; returns the next free pixel."""
    looks = arm_looks([arm.name for arm in results.arms])
    if plan.kind == "table":
        levels = [_levels(results, looks, group, k) for group in plan.groups for k in plan.end_k]
        top = draw_block(canvas, "Ours, after training", levels, top)
    differences = [_differences(plan, results, looks, group, k) for group in plan.groups for k in plan.end_k]
    names = " or ".join(dict.fromkeys(arm.baseline for arm in results.arms))
    title = f"After training, against {names}, paired by seed; and what rollouts cost"
    return draw_block(canvas, title, [*differences, _costs(results, looks)], top)


def draw_paper_table(canvas: Canvas, title: str, cells: Sequence[PaperCell], top: float) -> float:
    """A learner's rows of the paper's table; returns the next free pixel."""
    names = list(dict.fromkeys(cell.row for cell in cells))
    looks = arm_looks(["GRPO", *(name for name in names if name != "GRPO")])
    columns: list[Column] = []
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        found = {cell.row: cell for cell in cells if cell.benchmark == benchmark}
        rows = [_paper_row(name, found.get(name), looks[name]) for name in names]
        columns.append(((f"{markup(benchmark)} \u00b7 pass@1", "as printed: one run, no interval"), rows, None))
    return draw_block(canvas, title, columns, top)


def draw_claims(canvas: Canvas, plan: TrainingFigure, claims: Table, top: float) -> float:
    """A line for each claim of `claims_table`: what is said, what was found, the verdict."""
    if not claims.rows:
        return top
    title = f"Claims, decided by these intervals (Holm over the page; a difference within {plan.margin:g} is small)"
    canvas.text(24, top, f"<b>{markup(title)}</b>", size=14)
    for i, row in enumerate(claims.rows):
        said, found, decision = map(str, row.cells)
        word, *why = map(markup, decision.split("\n"))
        reason = "".join(f' <span style="color:{FAINT}">({words})</span>' for words in why)
        for left, text in zip(COLUMNS, (markup(said), markup(found), f"<b>{word}</b>{reason}"), strict=True):
            canvas.text(left, top + 30 + CLAIM * i, text, size=13)
    return top + 30 + CLAIM * len(claims.rows) + 20


def level_words(estimate: Estimate) -> str:
    """A share with its interval, as ".731 [.700, .762]"; a dash for one that rollouts without a verdict leave open."""
    numbers = (estimate.value, estimate.lower, estimate.upper)
    shares = [f"{v:.3f}".removeprefix("0") if math.isfinite(v) else "\u2013" for v in numbers]
    if not math.isfinite(estimate.lower):
        return f"{shares[0]} (no interval)"
    return f"{shares[0]} [{shares[1]}, {shares[2]}]"


def hover(name: str, words: str, estimate: Estimate) -> str:
    """What a mark says, escaped: the number, what its interval is about, how it was made, and its counts."""
    given = f", {estimate.given}" if estimate.given else ""
    lines = [
        words,
        f"{estimate.level:.0%} interval about other seeds and other problems of this kind{given}",
        estimate.method,
        f"n = {estimate.n_problems} problems, {estimate.n_seeds} seeds, {estimate.n_rollouts:,} rollouts",
    ]
    return "<br>".join([f"<b>{markup(name)}</b>", *map(markup, lines)])


def estimate_dot(name: str, estimate: Estimate, words: str, look: Look) -> Dot:
    """A number of one arm as a dot with its whisker; `words` stand beside it, and say where there is no interval."""
    return Dot(
        name=markup(name),
        value=estimate.value,
        lower=estimate.lower,
        upper=estimate.upper,
        colour=look.colour,
        hover=hover(name, words, estimate),
        symbol=look.symbol,
    )


def absent_dot(name: str, look: Look, why: str) -> Dot:
    """The dash, with the reason."""
    nan = math.nan
    return Dot(markup(name), nan, nan, nan, look.colour, "", absent=markup(why))


def cost_dot(name: str, cost: ArmCost | None, look: Look) -> Dot:
    """Relative rollout compute with its range over seeds."""
    if cost is None:
        return absent_dot(name, look, "owed")
    words = f"{cost.relative:.3f} of GRPO's rollout FLOPs ({cost.low:.3f} to {cost.high:.3f} over {cost.n_seeds} seeds)"
    share = f"{cost.explorer_share:.1%} of it is the explorer's"
    told = f"<b>{markup(name)}</b><br>{words}<br>{share}"
    return Dot(markup(name), cost.relative, cost.low, cost.high, look.colour, told, look.symbol)


def seeds_words(arm: ArmResult) -> str:
    """How many of its seeds have a finished run."""
    done, owed = len(arm.finished), len(arm.owed)
    if not done:
        return f"no finished run, {owed} owed" if owed else "no run"
    return f"{done} of {done + owed} seeds" if owed else f"{done} seed{'s' if done != 1 else ''}"


def draw_block(canvas: Canvas, title: str, columns: Sequence[Column], top: float) -> float:
    """Columns of dots with their labels at the left, ACROSS beside each other; returns the next free pixel."""
    canvas.text(24, top, f"<b>{markup(title)}</b>", size=14)
    for first in range(0, len(columns), ACROSS):
        beside = columns[first : first + ACROSS]
        for i, (heads, rows, rule) in enumerate(beside):
            values = [v for row in rows for dot in row.dots for v in (dot.value, dot.lower, dot.upper)]
            axis = fine_axis(values, hold=[] if rule is None else [rule], most=3)
            characters = 0 if i else LABEL_CHARACTERS
            corner = LEFT + PITCH * i, top + HEAD
            draw_dots(canvas, corner, PLOT, heads, rows, axis, label_characters=characters, rule=rule)
        top += HEAD + max(height_of(rows) for _, rows, _ in beside) + 32
    return top + 24


def _levels(results: TrainingResults, looks: dict[str, Look], group: tuple[str, ...], k: int) -> Column:
    rows = []
    for baseline, arms in groupby(_together(results.arms), key=lambda arm: arm.baseline):
        before = _at(results.before[baseline, group], k)
        if before is not None:
            words = level_words(before)
            dot = replace(estimate_dot("before training", before, words, looks[baseline]), hollow=True)
            rows.append(DotRow("before training", (dot,), words, baseline))
        for arm in arms:
            found = _at(arm.ends[group], k)
            rows.append(_row(arm, found, level_words(found) if found else "", looks[arm.name]))
    return (f"{markup(' + '.join(group))} \u00b7 pass@{k}", "higher is better"), rows, None


def _differences(
    plan: TrainingFigure, results: TrainingResults, looks: dict[str, Look], group: tuple[str, ...], k: int
) -> Column:
    rows = []
    for arm in _together(results.arms):
        found = arm.differences.get((group, k))
        rows.append(_row(arm, found, _difference_text(found), looks[arm.name], is_baseline=arm.name == arm.baseline))
    where = "" if plan.kind == "curves" else f"{markup(' + '.join(group))} \u00b7 "
    return (f"{where}pass@{k}, difference", "above 0: better than the baseline"), rows, 0.0


def _together(arms: Sequence[ArmResult]) -> list[ArmResult]:
    """Arms with those of one baseline together, the baseline first."""
    order = list(dict.fromkeys(arm.baseline for arm in arms))
    return sorted(arms, key=lambda arm: (order.index(arm.baseline), arm.name != arm.baseline))


def _costs(results: TrainingResults, looks: dict[str, Look]) -> Column:
    rows = []
    for arm in _together(results.arms):
        share = f"{arm.cost.relative:.2f}, explorer {arm.cost.explorer_share:.0%} of it" if arm.cost else ""
        rows.append(DotRow(arm.name, (cost_dot(arm.name, arm.cost, looks[arm.name]),), share, arm.baseline))
    return ("rollout compute", "counted FLOPs, 1 = GRPO; range of seeds"), rows, None


def _row(arm: ArmResult, found: Estimate | None, text: str, look: Look, *, is_baseline: bool = False) -> DotRow:
    if found is not None:
        return DotRow(arm.name, (estimate_dot(arm.name, found, text, look),), text, arm.baseline)
    why = "baseline" if is_baseline else "not evaluated" if arm.finished else "owed"
    return DotRow(arm.name, (absent_dot(arm.name, look, why),), "", arm.baseline)


def _difference_text(found: Estimate | None) -> str:
    """The interval in short, starred with too few seeds for a claim, with a dagger if it is for these banks alone."""
    if found is None:
        return ""
    marks = ["*"] * (found.n_seeds < SEEDS_FOR_A_CLAIM) + [DAGGER] * bool(found.given)
    return " ".join([signed_reading(found.value, found.lower, found.upper), *marks])


def _at(levels: Sequence[Level], k: int) -> Estimate | None:
    return next((level.estimate for level in levels if level.k == k), None)


def _paper_row(name: str, cell: PaperCell | None, look: Look) -> DotRow:
    if cell is None:
        return DotRow(name, (absent_dot(name, look, "not given"),))
    nan = math.nan
    told = f"<b>{markup(name)}</b><br>{cell.value:.1%}, as printed"
    return DotRow(name, (Dot(markup(name), cell.value, nan, nan, look.colour, told, look.symbol),), f"{cell.value:.1%}")
