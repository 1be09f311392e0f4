"""The paper's Table 3 beside ours: Self-BLEU, edit diversity and unique answers by model size.

The paper prints three digits, no interval and no definitions, on 30 problems; so its dots have no whiskers, and ours
show in both readings of a name where there are two. Hollow dots are correct rollouts alone, which the paper lacks: only
they can carry a claim about strategies, since wrong answers scatter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.diversity import diversity_caption, diversity_numbers
from s2l_lab.figures.diversity_page import write_pages
from s2l_lab.figures.dots import Dot, DotRow, draw_dots, ends_of, height_of
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import SCHEMA, as_json, plain
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.paper import table3
from s2l_lab.figures.within_panels import (
    CONDITION_WORDS,
    LABEL_CHARACTERS,
    LEFT,
    PITCH,
    PLOT,
    ROOM,
    metric_heads,
    metric_rows,
)
from s2l_lab.figures.write import replace_file
from s2l_lab.studies.metric_validity import metric_marks
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.studies.diversity import DiversityReport

WIDTH = 1180
CAPTION_CHARACTERS = 182
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "self_bleu": ("self_bleu", "self_bleu_all"),
    "edit_diversity": ("edit_diversity",),
    "unique_answers": ("unique_answers", "unique_answers_official"),
}
"""The paper's columns, each with the metrics of ours that it may be."""
PAPER_TITLES = {"self_bleu": "Self-BLEU", "edit_diversity": "edit diversity", "unique_answers": "unique answers"}


def table3_figure(report: DiversityReport, about: Sequence[str] = (), marks: Mapping[str, str] | None = None) -> Any:
    """The plotly Figure: the paper's row of panels, then ours, then the other readings.

    `about` are plain lines before the caption's details. `marks` holds keys of `studies.metric_validity.WORDS` by
    metric; None takes those that the package ships.
    """
    marks, paper = metric_marks() if marks is None else marks, table3()
    within = report.within
    subtitle = (
        f"above: the paper, Qwen3-Base on AIME24, K = 64; below: ours, \u25cf all rollouts (m = {within.m['all']}, n = "
        f"{report.n_problems} problems) \u25cb correct only (m = {within.m['correct']}, n = "
        f"{within.n_problems['correct']})"
    )
    canvas = Canvas(WIDTH, f"Table 3: the paper's, and ours on {report.benchmark}", subtitle)
    top = 118.0
    canvas.text(24, top - 42, "<b>Paper</b>", size=13)
    for column, name in enumerate(COLUMNS):
        _draw(canvas, column, top, (_paper_title(name), "no interval given"), _paper_rows(paper, name), room=1)
    top += height_of(_paper_rows(paper, "self_bleu")) + 96
    canvas.text(24, top - 42, "<b>Ours</b>", size=13)
    for column, names in enumerate(COLUMNS.values()):
        at = top
        for name in names:
            rows = metric_rows(report, name)
            _draw(canvas, column, at, metric_heads(name, marks.get(name)), rows, room=ROOM)
            at += height_of(rows, ROOM) + 88
    return canvas.finish([markup(line) for line in wrapped(_caption(report, about), CAPTION_CHARACTERS)])


def report_numbers(report: DiversityReport, _: Sequence[str] = ()) -> dict[str, Any]:
    """All measured numbers, in the form of `s2l-lab diversity`."""
    return diversity_numbers(report, metric_marks())


def write_more(report: DiversityReport, folder: Path) -> tuple[Path, ...]:
    """Write the numbers of the figure as table3.json, and the page and figure of `s2l-lab diversity`."""
    made = replace_file(folder / "table3.json", as_json(table3_numbers(report)).encode())
    return made, *write_pages(report, folder).paths


def table3_numbers(report: DiversityReport) -> dict[str, Any]:
    """The figure for programs: the paper's rows, and ours for every reading of its columns and both conditions."""
    values = {
        "schema": SCHEMA,
        "figure": "table3",
        "command": report.command,
        "paper": {"benchmark": "AIME24", "rollouts": 64, "rows": list(table3())},
        "benchmark": {"name": report.benchmark, "digest": report.benchmark_digest, "n_problems": report.n_problems},
        "sampling": report.sampling.model_dump(mode="json"),
        "n_rollouts": report.n_rollouts,
        "verifier_version": report.verifier_version,
        "ours": [
            {"policy": policy.name, "column": column, "metric": metric, "condition": condition}
            | {"m": report.within.rarefied(metric, condition)}
            | dict(plain(policy.cells[condition][metric].value))
            for column, metrics in COLUMNS.items()
            for metric in metrics
            for policy in report.within.policies
            for condition in CONDITIONS
        ],
    }
    return dict(plain(values))


def _draw(
    canvas: Canvas,
    column: int,
    top: float,
    heads: tuple[str, str],
    rows: Sequence[DotRow],
    *,
    room: int,
) -> None:
    axis = fine_axis(ends_of(rows))
    characters = 0 if column else LABEL_CHARACTERS
    draw_dots(canvas, (LEFT + PITCH * column, top), PLOT, heads, rows, axis, label_characters=characters, room=room)


def _paper_rows(paper: Sequence[PaperDiversity], name: str) -> list[DotRow]:
    """The paper's dots: a value and nothing else."""
    colours = member_colours([row.model for row in paper])
    nan = math.nan
    rows = []
    for row in paper:
        value = getattr(row, name)
        hover = f"<b>Qwen3-{markup(row.model)}-Base</b><br>{value:.3f}, no interval given"
        what = markup(f"paper {row.model}: {PAPER_TITLES[name]}")
        rows.append(DotRow(f"Qwen3-{row.model}", (Dot(what, value, nan, nan, colours[row.model], hover),)))
    return rows


def _paper_title(name: str) -> str:
    arrow = "\u2191" if METRICS[name].up else "\u2193"
    return f"{PAPER_TITLES[name]} {arrow}"


def _caption(report: DiversityReport, about: Sequence[str]) -> list[str]:
    """Caption lines on the paper's numbers, then on ours, with `about` before the details."""
    return [
        "Paper: arXiv 2605.30789, Table 3, as printed: 30 problems, K = 64 rollouts. It gives no interval and does not "
        "define n-gram order, smoothing, tokens, normaliser, extractor or sampler. Where its metric may be one of two "
        f"of ours, both are shown. Values of {CONDITION_WORDS['all']} rise when accuracy falls.",
        *diversity_caption(report, about),
    ]
