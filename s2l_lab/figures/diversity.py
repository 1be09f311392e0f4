"""The figure and the numbers of `s2l-lab diversity`: within every policy, and between each policy and the largest one.

`within_panels` and `between_panels` draw the two parts; here they are put together, and one by one for the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.between_panels import decomposition_numbers, draw_contrast, p_text, share_dot
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import interval_words, sampling_text, wrapped
from s2l_lab.figures.dots import DotRow
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import SCHEMA, plain
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.within_panels import LABEL_CHARACTERS, LEFT, draw_within, within_subtitle
from s2l_lab.studies.between import FEATURES
from s2l_lab.studies.study import details
from s2l_lab.studies.vectors import embedding_words
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.studies.diversity import DiversityReport

WIDTH = 1180
CAPTION_CHARACTERS = 182
PITCH = 252.0
"""Pixels from one feature's panel to the next."""
PLOT = 182.0


def diversity_figure(report: DiversityReport, marks: Mapping[str, str]) -> Any:
    """The plotly Figure of a report. `marks` holds keys of `studies.metric_validity.WORDS` by metric."""
    canvas = Canvas(WIDTH, f"Diversity on {report.benchmark}", within_subtitle(report))
    foot = draw_within(canvas, report, marks, 118.0)
    canvas.text(24, foot + 6, "<b>Between</b>", size=16)
    _draw_between(canvas, report, foot + 36)
    return canvas.finish([markup(line) for line in wrapped(diversity_caption(report), CAPTION_CHARACTERS)])


def within_figure(report: DiversityReport, marks: Mapping[str, str]) -> Any:
    """The first part alone, for the page."""
    canvas = Canvas(WIDTH, f"Diversity within each policy on {report.benchmark}", within_subtitle(report))
    draw_within(canvas, report, marks, 118.0)
    return canvas.finish(_short_caption(report))


def between_figure(report: DiversityReport) -> Any:
    """The second part alone."""
    canvas = Canvas(WIDTH, f"Diversity between each policy and {report.within.reference} on {report.benchmark}")
    _draw_between(canvas, report, 58.0)
    return canvas.finish(_short_caption(report))


def diversity_caption(report: DiversityReport, more: Sequence[str] = ()) -> list[str]:
    """The caption of a diversity report in plain lines; `more` stands before the details."""
    within = report.within
    unknown = sum(policy.n_unknown for policy in within.policies)
    without = f", {unknown} rollouts without a verdict (in no correct-only metric)" if unknown else ""
    return [
        f"Diversity of each policy's rollouts. All rollouts: rarefied to m = {within.m['all']} (embedding metrics: m = "
        f"{within.m_embedding['all']}). Correct only: rarefied to m = {within.m['correct']}, on the "
        f"{within.n_problems['correct']} of {report.n_problems} problems where every policy has "
        f"{within.m['correct']} correct rollouts. Compare policies, not the two conditions, whose m differ.",
        f"{report.benchmark}: n = {report.n_problems} problems, N = {report.n_rollouts} rollouts per problem and "
        f"policy{without}; {interval_words(within.level, 'problems', within.n_clusters)}.",
        "p: one-sided permutation test of policies within problems that have two rollouts of both. Neither intervals "
        "nor p are corrected for the number of metrics or features.",
        *more,
        details(
            f"sampling {sampling_text(report.sampling)}",
            embedding_words(report.embedding),
            f"Verifier {report.verifier_version}",
            f"data {report.benchmark_digest}",
            f"made by: {report.command}",
        ),
    ]


def _short_caption(report: DiversityReport) -> list[str]:
    """The caption of one part as a picture of its own."""
    counts = (
        f"{report.benchmark}: n = {report.n_problems} problems, N = {report.n_rollouts} rollouts; "
        f"{interval_words(report.within.level, 'problems', report.within.n_clusters)}."
    )
    how = details(
        sampling_text(report.sampling), f"verifier {report.verifier_version}", f"data {report.benchmark_digest}"
    )
    return [markup(piece) for piece in wrapped([counts, how], CAPTION_CHARACTERS)]


def _draw_between(canvas: Canvas, report: DiversityReport, top: float) -> None:
    if not report.between:
        canvas.text(24, top, "Between: one policy only, so there is nothing to compare it with.", size=13)
        return
    reference = markup(report.within.reference)
    words = (
        f"Share of the diversity of an even mix with {reference} that lies between the two policies; band: two halves "
        f"of {reference}'s own rollouts"
    )
    canvas.text(24, top, f"<b>{words}</b>", size=14)
    colours = member_colours([policy.name for policy in report.within.policies])
    for column, feature in enumerate(FEATURES):
        rows = []
        for between in report.between:
            name, found = between.policy, between.features.get(feature)
            rows.append(
                DotRow(name, (share_dot(name, feature, found, colours[name]),), p_text(found.p_value) if found else "")
            )
        draw_contrast(
            canvas,
            (LEFT + PITCH * column, top + 74),
            PLOT,
            feature,
            rows,
            null=report.split_halves.get(feature),
            label_characters=0 if column else LABEL_CHARACTERS,
        )


def diversity_numbers(report: DiversityReport, marks: Mapping[str, str]) -> dict[str, Any]:
    """The report for programs: schema 1, plain JSON values, undefined is null beside its counts."""
    within = report.within
    values = {
        "schema": SCHEMA,
        "benchmark": {"name": report.benchmark, "digest": report.benchmark_digest, "n_problems": report.n_problems},
        "sampling": report.sampling.model_dump(mode="json"),
        "n_rollouts": report.n_rollouts,
        "verifier_version": report.verifier_version,
        "command": report.command,
        "run_directory": str(report.run_directory),
        "seconds": report.seconds,
        "reference": within.reference,
        "conditions": {
            c: {"m": within.m[c], "m_embedding": within.m_embedding[c], "n_problems": within.n_problems[c]}
            for c in CONDITIONS
        },
        "metrics": {name: plain(metric) | {"mark": marks.get(name)} for name, metric in METRICS.items()},
        "policies": [
            {"policy": policy.name, "accuracy": policy.accuracy, "length": dict(policy.length)}
            | {"n_rollouts": dict(policy.n_rollouts), "n_unknown": policy.n_unknown}
            for policy in within.policies
        ],
        "within": _within_numbers(report, marks),
        "between": [
            {"policy": between.policy, "feature": feature} | decomposition_numbers(found)
            for between in report.between
            for feature, found in between.features.items()
        ],
        "split_halves": dict(report.split_halves),
        "coherence": dict(report.coherence),
        "embedding": report.embedding,
    }
    return dict(plain(values))


def _within_numbers(report: DiversityReport, marks: Mapping[str, str]) -> list[dict[str, Any]]:
    """One entry per policy, condition and metric."""
    return [
        {"policy": policy.name, "condition": condition, "metric": metric, "mark": marks.get(metric)}
        | {"m": report.within.rarefied(metric, condition)}
        | dict(plain(cell.value))
        | {"less_reference": cell.less_reference}
        for policy in report.within.policies
        for condition in CONDITIONS
        for metric, cell in policy.cells[condition].items()
    ]
