"""Figures 3c, 4 to 7 and Tables 1, 2 and 4 of arXiv 2605.30789: training by GRPO, S2L-PO and its controls.

A figure has a row per panel: the paper's curve, ours at pass@1, and ours at the largest k that every evaluation allows.
The paper shows pass@1 alone; whether a method that wins there keeps its coverage is seen in the third column. Below
stand the ends of all arms with the difference to the baseline, the compute, and a verdict on each claim
(`training_blocks`). A table has the paper's rows in place of curves. Numbers come as TrainingResults; nothing is
computed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.claim_tables import claim_numbers, claims_table
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import SCHEMA, plain
from s2l_lab.figures.palette import FAINT, MARKS, arm_looks
from s2l_lab.figures.paper import TABLES, paper_cells, paper_curve
from s2l_lab.figures.run_curves import draw_paper_curve, draw_step_curve
from s2l_lab.figures.training_blocks import (
    DAGGER,
    draw_claims,
    draw_ends,
    draw_paper_table,
    hover,
    level_words,
    seeds_words,
)
from s2l_lab.training.results import step_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators.decisions import Expectation
    from s2l_lab.figures.palette import Look
    from s2l_lab.figures.panel import Box
    from s2l_lab.training.claims import PanelPlan, TrainingFigure
    from s2l_lab.training.results import ArmResult, TrainingResults

WIDTH = 1340
CAPTION_CHARACTERS = 224
PAPER = (64.0, 360.0)
"""Left and width of the paper's column."""
OURS = ((506.0, 360.0), (948.0, 360.0))
OURS_ALONE = ((64.0, 560.0), (748.0, 560.0))
"""Of ours, beside the paper's and where no panel has one of the paper's."""
HEIGHT = 176.0
RULES: dict[Expectation, str] = {
    "above": "higher is supported by an interval above 0, smaller than the margin if it ends below the margin too, and "
    "contradicted by one that ends below the margin and is not above 0",
    "below": "lower is supported by an interval below 0, smaller than the margin if it begins within the margin too, "
    "and contradicted by one that begins within the margin and is not below 0",
    "equal": "equal is supported by an interval inside the margin on both sides, and contradicted by one outside it",
    "not_below": "no loss is supported by an interval above minus the margin, and contradicted by one below it",
}
"""Expectation -> how the interval decides it."""
ROW = 330.0


def training_figure(
    name: str, plan: TrainingFigure, results: TrainingResults, about: Sequence[str], *, scale: str
) -> Any:
    """The plotly Figure. `name` is the paper's (`fig4`, `table1`); `about` are plain lines on data, sampling and
    command, for the caption."""
    theirs = "arXiv 2605.30789, one run each, pass@1" if _has_paper(plan) else "no numbers of the paper could be had"
    subtitle = f"paper: {theirs}; ours: {markup(scale)} scale, 95 % CI over training seeds and problems"
    canvas = Canvas(WIDTH, f"{_spoken(name)}: {plan.title}", subtitle)
    top = 76.0
    for line in wrapped([plan.note], CAPTION_CHARACTERS - 44) if plan.note else ():
        canvas.text(24, top, f"<b>{markup(line)}</b>", size=13)
        top += 20
    top += 12
    if name in TABLES:
        for panel in plan.panel:
            for learner in panel.paper:
                top = draw_paper_table(canvas, f"Paper, learner {learner}", paper_cells(name, learner), top)
    else:
        looks = arm_looks([arm.name for arm in results.arms])
        for panel in plan.panel:
            top = _draw_row(canvas, name, plan, panel, results, looks, top)
    top = draw_ends(canvas, plan, results, top)
    draw_claims(canvas, plan, claims_table(claim_numbers(results.claims)), top)
    lines = [*_caption(plan, results), *about]
    return canvas.finish([markup(line) for line in wrapped(lines, CAPTION_CHARACTERS)])


def training_numbers(
    name: str, plan: TrainingFigure, results: TrainingResults, about: Sequence[str], *, scale: str, command: str
) -> dict[str, Any]:
    """The figure for programs: schema 1, plain JSON values, undefined is null beside its counts."""
    paper: Any = (
        [cell for panel in plan.panel for learner in panel.paper for cell in paper_cells(name, learner)]
        if name in TABLES
        else [paper_curve(name, series) for panel in plan.panel for series in panel.paper]
    )
    values = {
        "schema": SCHEMA,
        "figure": name,
        "scale": scale,
        "command": command,
        "about": list(about),
        "plan": plan.model_dump(mode="json"),
        "paper": paper,
        "arms": [_arm_numbers(arm) for arm in results.arms],
        "before": [
            {"benchmarks": group, "k": level.k, "estimate": level.estimate}
            for group, levels in results.before.items()
            for level in levels
        ],
        "claims": claim_numbers(results.claims),
    }
    return dict(plain(values))


def _arm_numbers(arm: ArmResult) -> dict[str, Any]:
    def listed(levels: Any) -> list[dict[str, Any]]:
        return [
            {"benchmarks": group, "step": level.step, "k": level.k, "estimate": level.estimate}
            for group, found in levels.items()
            for level in found
        ]

    return {
        "arm": arm.name,
        "finished_seeds": arm.finished,
        "owed_seeds": arm.owed,
        "curve": listed(arm.levels),
        "end": listed(arm.ends),
        "difference_to_baseline": [
            {"benchmarks": group, "k": k, "estimate": found} for (group, k), found in arm.differences.items()
        ],
        "cost": arm.cost,
    }


def _draw_row(
    canvas: Canvas,
    name: str,
    plan: TrainingFigure,
    panel: PanelPlan,
    results: TrainingResults,
    looks: dict[str, Look],
    top: float,
) -> float:
    """A panel of the plan; returns the next free pixel."""
    arms = [results.arm(arm) for arm in panel.arms]
    canvas.text(24, top, f"<b>{markup(panel.title)}</b>", size=14)
    canvas.text(24, top + 22, _legend(arms, looks), size=13)
    plot = top + 98
    if _has_paper(plan):
        _paper_panel(canvas, name, panel, looks, plot)
    ks = (min(plan.curve_k), max(plan.curve_k))
    for (left, width), k in zip(OURS if _has_paper(plan) else OURS_ALONE, ks, strict=True):
        _our_panel(canvas, plan, arms, looks, k, (left, plot, width, HEIGHT))
    return top + ROW


def _our_panel(
    canvas: Canvas,
    plan: TrainingFigure,
    arms: Sequence[ArmResult],
    looks: dict[str, Look],
    k: int,
    box: Box,
) -> None:
    """pass@k of each arm over optimiser steps, with seed bands."""
    found = {
        arm.name: [level for level in arm.levels[plan.benchmarks] if level.k == k]
        for arm in arms
        if any(level.k == k for level in arm.levels[plan.benchmarks])
    }
    estimates = [level.estimate for levels in found.values() for level in levels]
    ends = [v for e in estimates for v in (e.value, e.lower, e.upper)]
    last = max((level.step for levels in found.values() for level in levels), default=1)
    x = fine_axis([0.0, float(last)], "optimiser steps", most=6)
    title = f"ours \u00b7 {markup(' + '.join(plan.benchmarks))} \u00b7 pass@{k}"
    about = "bands: 95 %, other seeds and problems" if estimates else "no finished run was evaluated at this k"
    panel = canvas.panel(box, title, about, x, fine_axis(ends, f"pass@{k}"))
    for name, levels in found.items():
        told = [
            hover(name, f"step {level.step}: pass@{level.k} = {level_words(level.estimate)}", level.estimate)
            for level in levels
        ]
        look = looks[name]
        draw_step_curve(
            panel,
            step_curve(levels),
            name,
            look.colour,
            told=told,
            alpha=0.11,
            mode="lines+markers",
            dash=look.dash,
            symbol=look.symbol,
            width=2.4,
            size=7,
        )


def _paper_panel(canvas: Canvas, name: str, panel: PanelPlan, looks: dict[str, Look], top: float) -> None:
    """The digitised curves, each with the look of our arm that is its counterpart, by their places in the panel."""
    if not panel.paper:
        canvas.text(PAPER[0], top - 42, "<b>paper</b>", size=14)
        canvas.text(PAPER[0], top - 20, "no curve of the paper could be had for this panel", size=12, color=FAINT)
        return
    curves = [paper_curve(name, series) for series in panel.paper]
    own = {series: looks[arm] for series, arm in zip(panel.paper, panel.arms, strict=False)}
    x = fine_axis([0.0, float(max(curve.step[-1] for curve in curves))], "thousand prompts", most=6)
    y = fine_axis([v for curve in curves for v in curve.value.tolist()], "pass@1")
    legend = " \u00b7 ".join(f"{_mark(own[curve.name])} {markup(curve.name)}" for curve in curves)
    drawn = canvas.panel(
        (PAPER[0], top, PAPER[1], HEIGHT), "paper \u00b7 AIME 2024 and 2025 \u00b7 pass@1", legend, x, y
    )
    for curve in curves:
        draw_paper_curve(drawn, curve, curve.name, own[curve.name], size=5)


def _legend(arms: Sequence[ArmResult], looks: dict[str, Look]) -> str:
    """Arms with their mark and seeds; those without a run are named too, and their marks are hollow."""
    parts = []
    for arm in arms:
        seeds = f'<span style="color:{FAINT}">({markup(seeds_words(arm))})</span>'
        parts.append(f"{_mark(looks[arm.name], hollow=not arm.finished)} {markup(arm.name)} {seeds}")
    return "\u2003".join(parts)


def _mark(look: Look, *, hollow: bool = False) -> str:
    """An arm's symbol in its colour, for a line of text; markup."""
    return f'<span style="color:{look.colour}">{MARKS[look.symbol][hollow]}</span>'


def _caption(plan: TrainingFigure, results: TrainingResults) -> list[str]:
    """What the intervals are over, what they are conditional on, and how claims are decided."""
    found = [difference for arm in results.arms for difference in arm.differences.values()]
    conditions = " or ".join(dict.fromkeys(difference.given for difference in found if difference.given))
    shared = f" {DAGGER}: {conditions}, from which all seeds draw their explorer's rollouts." if conditions else ""
    return [
        "Levels: unbiased pass@k, 95 % CI over training seeds and problems (crossed draws). Differences: paired by "
        "seed and problem, 95 % t interval over training seeds and problems (crossed). *: fewer than ten seeds, so no "
        f"claim is decided (cannot tell).{shared} All seeds share the checkpoints of learner and explorer.",
        f"Decisions, with a margin of {plan.margin:g} set before the runs: {_rules(plan)}. Otherwise: cannot tell. "
        "Holm correction over the claims that have ten seeds.",
        "Rollout compute: counted FLOPs of all rollouts (explorer included), divided by the FLOPs if the learner had "
        "sampled all of them.",
    ]


def _rules(plan: TrainingFigure) -> str:
    """How the kinds of claims that this page has are decided."""
    return "; ".join(RULES[name] for name in RULES if name in {claim.expects for claim in plan.claim}) or "no claim"


def _has_paper(plan: TrainingFigure) -> bool:
    return any(panel.paper for panel in plan.panel)


def _spoken(name: str) -> str:
    """`fig3c` as "Figure 3c"."""
    return name.replace("fig", "Figure ").replace("table", "Table ")
