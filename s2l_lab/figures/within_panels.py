"""Within: a panel per metric, a row per policy, a dot per condition. Rows of panels go by what a metric looks at.

Solid dots are all rollouts, hollow ones correct rollouts alone. pass@1 and length stand in a first row of their own:
they are no diversity, but every metric moves with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.dots import DotRow, draw_dots, ends_of, estimate_dot, height_of
from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import member_colours
from s2l_lab.studies.metric_validity import WORDS
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.diversity.metric import Level
    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.canvas import Canvas
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import Condition

COLUMNS = 3
LEFT = 152.0
PLOT = 286.0
PITCH = 336.0
"""Pixels from one column of panels to the next."""
LABEL_CHARACTERS = 18
ROOM = len(CONDITIONS)
CONDITION_WORDS: Mapping[Condition, str] = {"all": "all rollouts", "correct": "correct rollouts only"}
LEVEL_WORDS: Mapping[Level, str] = {
    "answer": "Final answers",
    "strategy": "Strategies",
    "text": "Wording",
    "embedding": "Embeddings",
}

Group = tuple[str, list[tuple[tuple[str, str], list[DotRow]]]]
"""Words at the left, and the heads and rows of each panel."""


def within_subtitle(report: DiversityReport) -> str:
    """Markup: what solid and hollow dots are, with m and n."""
    m, correct = report.within.m, report.within.n_problems["correct"]
    shade = "; the darker and bluer, the larger the policy" if len(report.within.policies) > 1 else ""
    return (
        f"\u25cf all rollouts (m = {m['all']}, n = {report.n_problems} problems) \u00a0 \u25cb correct only "
        f"(m = {m['correct']}, n = {correct}) \u00a0 \u2191 \u2193 towards more diversity{shade}"
    )


def draw_within(canvas: Canvas, report: DiversityReport, marks: Mapping[str, str], top: float) -> float:
    """All metrics, and pass@1 and length above them. `top` is a pixel; returns the pixel of the foot."""
    said = ""
    for words, panels in _groups(report, marks):
        if words != said:
            canvas.text(24, top - 42, f"<b>{words}</b>", size=13)
        said = words
        for column, (heads, rows) in enumerate(panels):
            axis = fine_axis(ends_of(rows))
            characters = LABEL_CHARACTERS if column == 0 else 0
            corner = LEFT + PITCH * column, top
            draw_dots(canvas, corner, PLOT, heads, rows, axis, label_characters=characters, room=ROOM)
        top += max(height_of(rows, ROOM) for _, rows in panels) + 88
    return top - 42


def metric_heads(metric: str, mark: str | None) -> tuple[str, str]:
    """Markup: the title with the arrow to more diversity; the range with the mark."""
    about, words = METRICS[metric], mark_words(mark)
    arrow = "\u2191" if about.up else "\u2193"
    said = f" \u00b7 <b>{markup(words)}</b>" if words else ""
    return f"{markup(about.title)} {arrow}", f"{markup(about.span.split(',')[0])}{said}"


def mark_words(mark: str | None) -> str:
    """A mark in words; empty for a metric without one."""
    return WORDS.get(mark, mark) if mark else ""


def metric_rows(report: DiversityReport, metric: str, conditions: Sequence[Condition] = CONDITIONS) -> list[DotRow]:
    """A row per policy with a dot per condition."""
    found = {p.name: {c: p.cells[c][metric].value for c in conditions} for p in report.within.policies}
    no_vectors = METRICS[metric].level == "embedding" and report.embedding is None
    return _rows(report, METRICS[metric].title, found, "no embeddings were made" if no_vectors else "")


def _groups(report: DiversityReport, marks: Mapping[str, str]) -> list[Group]:
    policies = report.within.policies
    accuracy = _rows(report, "pass@1", {p.name: {"all": p.accuracy} for p in policies})
    length = _rows(report, "tokens per completion", {p.name: p.length for p in policies})
    beside = [
        (("pass@1", "metrics over all rollouts move with it"), accuracy),
        (("tokens per completion", "longer completions overlap more"), length),
    ]
    groups: list[Group] = [("Beside them", beside)]
    for level, words in LEVEL_WORDS.items():
        names = [name for name, metric in METRICS.items() if metric.level == level]
        panels = [(metric_heads(name, marks.get(name)), metric_rows(report, name)) for name in names]
        groups += [(words, panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    return groups


def _rows(
    report: DiversityReport, title: str, found: Mapping[str, Mapping[Condition, Estimate]], why: str = ""
) -> list[DotRow]:
    """Rows of estimates by policy and condition; an undefined one says `why`, or on how many problems it is defined."""
    colours = member_colours([policy.name for policy in report.within.policies])
    rows = []
    for name, estimates in found.items():
        dots = tuple(
            estimate_dot(
                f"{name}: {title}, {CONDITION_WORDS[condition]}",
                estimate,
                colours[name],
                hollow=condition == "correct",
                why=why or f"n = {estimate.n_problems} of {report.n_problems}",
            )
            for condition, estimate in estimates.items()
        )
        rows.append(DotRow(name, dots))
    return rows
