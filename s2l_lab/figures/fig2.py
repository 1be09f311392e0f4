"""Figure 2 of arXiv 2605.30789: do curves of a small and a large member cross? Ours beside the paper's.

One row a panel: the paper's digitised curves, ours with intervals, and our difference with the simultaneous band on
which our verdict rests. The paper gives two lines and no interval, so a difference between "crosses at 28" there and
"undetermined" here is no contradiction: the right column shows what 30 or 100 problems can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import crossing_words, interval_words, sampling_text, wrapped
from s2l_lab.figures.differences import difference_title, draw_difference, reach
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import SCHEMA, numbers, plain
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.panel import Axis, Traces, log2_axis
from s2l_lab.figures.passk import curve_axis, curve_ends, draw_passk, guesses_of, label_curves
from s2l_lab.studies.study import details

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.estimators import Comparison
    from s2l_lab.figures.experiment import PairPanel
    from s2l_lab.figures.paper import PaperPanel
    from s2l_lab.passk.report import PasskReport, PolicyReport

WIDTH = 1240
CAPTION_CHARACTERS = 190
ROW = 262
PLOT = 172.0
PAPER_SIZES = ("1.7B", "4B", "8B", "14B")


@dataclass(frozen=True, slots=True)
class PanelResult:
    """One panel of ours with the paper's beside it."""

    panel: PairPanel
    paper: PaperPanel
    report: PasskReport
    small: PolicyReport
    large: PolicyReport
    comparison: Comparison

    @property
    def paper_words(self) -> str:
        """What the paper's picture shows."""
        return self.paper.crossing_words()


def panel_result(panel: PairPanel, paper: Mapping[str, PaperPanel], report: PasskReport) -> PanelResult:
    """A panel's plan, the paper's panel and our report together. Raises DataError where the report lacks the pair."""
    if panel.name not in paper:
        raise DataError(f"Figure 2 has no panel {panel.name!r}; its panels are {', '.join(paper)}.")
    policies = {policy.name: policy for policy in report.policies}
    pairs = {(c.a, c.b): c for c in report.comparisons}
    if panel.pair not in pairs:
        known = ", ".join(f"{a} and {b}" for a, b in pairs) or "none"
        raise DataError(
            f"panel {panel.name}: no comparison of {' and '.join(panel.pair)} (small first); there are {known}."
        )
    small, large = (policies[name] for name in panel.pair)
    return PanelResult(panel, paper[panel.name], report, small, large, pairs[panel.pair])


def fig2_numbers(results: Sequence[PanelResult], scale: str, command: str) -> dict[str, Any]:
    """The figure for programs: per panel the paper's points and both verdicts, and every run in full."""
    reports = list({id(result.report): result.report for result in results}.values())
    return {
        "schema": SCHEMA,
        "figure": "fig2",
        "scale": scale,
        "command": command,
        "panels": [_panel_numbers(result, reports) for result in results],
        "runs": [numbers(report) for report in reports],
    }


def _panel_numbers(result: PanelResult, reports: Sequence[PasskReport]) -> dict[str, Any]:
    return {
        "panel": result.panel.name,
        "paper": plain(result.paper),
        "paper_crossing": result.paper_words,
        "pair": list(result.panel.pair),
        "preset": result.panel.preset,
        "run": next(i for i, report in enumerate(reports) if report is result.report),
        "crossing": plain(result.comparison.crossing),
        "crossing_words": crossing_words(result.comparison),
    }


def fig2_figure(results: Sequence[PanelResult], members: Sequence[str], scale: str, command: str) -> Any:
    """The plotly Figure: a row for each result, in order. `members` are all members drawn, small to large."""
    ours, theirs = member_colours(members), member_colours(PAPER_SIZES)
    title = "Figure 2: does the smaller member overtake as k grows?"
    about = f"Left: the paper, digitised. Middle: ours, {scale} scale. Right: our difference with the verdict's band."
    canvas = Canvas(WIDTH, title, about)
    half_height = reach([result.comparison for result in results])
    for row, result in enumerate(results):
        top = 126.0 + ROW * row
        _paper_panel(canvas, result, top, theirs)
        _our_panel(canvas, result, top, ours)
        _difference_panel(canvas, result, top, ours, half_height)
    return canvas.finish([markup(line) for line in wrapped(_caption(results, command), CAPTION_CHARACTERS)])


def _paper_panel(canvas: Canvas, result: PanelResult, top: float, colours: Mapping[str, str]) -> None:
    paper = result.paper
    title = f"{paper.name} \u00b7 paper \u00b7 {paper.benchmark}, {paper.mode}"
    y = curve_axis([paper.small_value, paper.large_value])
    panel = canvas.panel(
        (64.0, top, 270.0, PLOT), title, f"crossing: {result.paper_words}", log2_axis(paper.n_rollouts), y
    )
    draw_paper(panel, paper, colours)
    sizes = ((paper.small, paper.small_value), (paper.large, paper.large_value))
    panel.end_labels([(float(values[-1]), size, colours[size]) for size, values in sizes])


def draw_paper(panel: Traces, paper: PaperPanel, colours: Mapping[str, str]) -> None:
    """The paper's two lines, without intervals, since none are given; `colours` by size."""
    for size, values in ((paper.small, paper.small_value), (paper.large, paper.large_value)):
        hover = [
            f"Qwen3-{size}-Base<br>pass@{k} = {v:.2f} \u00b1 0.01 (digitised)"
            for k, v in zip(paper.k, values, strict=True)
        ]
        name = f"paper {size}"
        look = {"mode": "lines+markers", "size": 5, "name": name, "of": name, "entry": True}
        panel.line(paper.k, values, colours[size], hover, **look)


def _our_panel(canvas: Canvas, result: PanelResult, top: float, colours: Mapping[str, str]) -> None:
    report, pair = result.report, (result.small, result.large)
    curves = {policy.name: policy.curve_problems for policy in pair}
    title = f"ours \u00b7 {markup(report.benchmark)}, {result.panel.preset}"
    about = f"n = {report.n_problems} problems, N = {report.n_rollouts}"
    axes = log2_axis(report.n_rollouts), curve_axis(curve_ends(curves))
    panel = canvas.panel((470.0, top, 270.0, PLOT), title, about, *axes)
    draw_passk(panel, curves, colours, guesses=guesses_of(pair))
    label_curves(panel, curves, colours)


def _difference_panel(
    canvas: Canvas, result: PanelResult, top: float, colours: Mapping[str, str], half_height: float
) -> None:
    c = result.comparison
    x, y = log2_axis(int(c.k[-1])), Axis("difference", -half_height, half_height)
    panel = canvas.panel((926.0, top, 286.0, PLOT), difference_title(c, colours), markup(crossing_words(c)), x, y)
    draw_difference(panel, c)


def _caption(results: Sequence[PanelResult], command: str) -> list[str]:
    """What the paper reports; n, N and the interval of each of our runs; then their sampling, verifier and hash."""
    level = results[0].comparison.level
    lines = [
        "Paper: arXiv 2605.30789, Figure 2, Qwen3-Base on 30 problems per panel, digitised to 0.01 (unreliable for k "
        "under 5). It reports no interval, counts, seed or verifier version.",
        f"Ours: unbiased pass@k. Ribbons: {interval_words(level, 'problems')}. Right column: {level:.0%} band over "
        "problems, simultaneous over all k and all pairs of a run.",
    ]
    reports = {id(result.report): result.report for result in results}
    how = []
    for report in reports.values():
        panels = ", ".join(result.panel.name for result in results if result.report is report)
        lines.append(
            f"{panels}: {report.benchmark}, n = {report.n_problems} problems, N = {report.n_rollouts} rollouts."
        )
        made = f"verifier {report.verifier_version}, data {report.benchmark_digest}"
        how.append(f"{panels}: {sampling_text(report.sampling)}, {made}")
    return [*lines, details(*how, f"made by: {command}")]
