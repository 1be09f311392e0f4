"""The tables of the diversity page. Each number stands over its interval, and says its n where that is not the table's.

Conditions stand side by side, since no metric over all rollouts should be read without the one over correct ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.diversity import diversity_numbers
from s2l_lab.figures.numbers import plain
from s2l_lab.figures.page import Html, head, row_head, table, tag
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.study_tables import within_table
from s2l_lab.figures.tables import Number
from s2l_lab.figures.within_panels import CONDITION_WORDS, LEVEL_WORDS, mark_words
from s2l_lab.studies.between import FEATURE_WORDS, FEATURES
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.diversity.decomposition import Decomposition
    from s2l_lab.diversity.metric import Level
    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.figures.tables import Cell
    from s2l_lab.studies.diversity import DiversityReport
    from s2l_lab.studies.within import PolicyDiversity

LEVEL_LOOKS: Mapping[Level, str] = {
    "answer": "final answers",
    "strategy": "solution classes",
    "text": "the wording",
    "embedding": "a sentence embedding",
}
WARN = ("phrasing only", "neither")
"""Marks that a reader must not miss."""
TABLE3_METRICS = ("self_bleu", "edit_diversity", "unique_answers")


def within_html(report: DiversityReport, marks: Mapping[str, str]) -> Html:
    """A row per metric; per condition a column for each policy."""
    policies, n = report.within.policies, report.within.n_problems
    found = diversity_numbers(report, marks)
    made = {c: {row.key: row.cells[1:] for row in within_table(found, c).rows} for c in CONDITIONS}

    def row(key: str, first: Html) -> list[Html]:
        blank = ("",) * len(policies)
        return [first, *(_cell(cell, n[c]) for c in CONDITIONS for cell in made[c].get(key, blank))]

    counts = (tag("td", f"{p.n_rollouts[c]:,}") for c in CONDITIONS for p in policies)
    body = [row("pass@1", row_head("pass@1")), row("tokens", row_head("tokens per completion"))]
    body.append([row_head("rollouts"), *counts])
    for level, words in LEVEL_WORDS.items():
        body.append([row_head(words, scope="rowgroup", colspan=str(1 + 2 * len(policies)))])
        body += [row(name, _metric_head(name, marks)) for name, metric in METRICS.items() if metric.level == level]
    return table("", _condition_heads(report, policies), body, [1, len(policies), len(policies)])


def differences_html(report: DiversityReport, marks: Mapping[str, str]) -> Html:
    """Every policy minus the reference, paired over problems."""
    within = report.within
    others = [policy for policy in within.policies if policy.name != within.reference]
    body = []
    for name in METRICS:
        less = [(c, policy.cells[c][name].less_reference) for c in CONDITIONS for policy in others]
        body.append([_metric_head(name, marks), *(_estimate(found, within.n_problems[c], "+") for c, found in less)])
    title = f"Policy minus {within.reference}, paired over problems"
    return table(title, _condition_heads(report, others), body, [1, len(others), len(others)])


def between_table(report: DiversityReport) -> Html:
    """A row per feature and policy."""
    reference = report.within.reference
    body = []
    for feature in FEATURES:
        null = report.split_halves.get(feature)
        halves = _missing("not recorded") if null is None else _estimate(null, report.n_problems)
        words = row_head(FEATURE_WORDS[feature], rowspan=str(len(report.between)), scope="rowgroup")
        for i, between in enumerate(report.between):
            cells = _contrast_cells(between.features.get(feature), halves)
            body.append([*([] if i else [words]), tag("td", policy_name(between.policy, report)), *cells])
    heads = ("what differs", "policy", "share", "between-part", f"split halves of {reference}", "p", "n problems")
    caption = (
        "Between-part in units of the distance; split halves as a share. p: policies permuted within problems, "
        "one-sided. n: problems with two rollouts of both policies."
    )
    return table(caption, [[head(words) for words in heads]], body)


def coherence_table(report: DiversityReport) -> Html:
    """A row per policy: a step and the next one of its own rollout, of another rollout, and the difference."""
    body = [
        [
            row_head(policy_name(name, report)),
            *(_estimate(e, report.n_problems, "+") for e in (found.observed, found.null, found.excess)),
        ]
        for name, found in report.coherence.items()
    ]
    caption = "Mean cosine between a step's and the next step's residual from the problem's mean step; first rollouts."
    heads = ("policy", "same rollout", "other rollouts (null)", "excess")
    return table(caption, [[head(words) for words in heads]], body)


def paper_table(report: DiversityReport, rows: Sequence[PaperDiversity], marks: Mapping[str, str]) -> Html:
    """The paper's Table 3 above ours."""
    within = report.within
    body = [[row_head("paper: AIME24, K = 64, no interval", scope="rowgroup", colspan="4")]]
    for row in rows:
        values = row.self_bleu, row.edit_diversity, row.unique_answers
        body.append([row_head(row.model), *(tag("td", tag("b", f"{value:.3f}")) for value in values)])
    ours = f"ours: {report.benchmark}, m = {within.m['all']}, n = {report.n_problems} problems, all rollouts"
    body.append([row_head(ours, scope="rowgroup", colspan="4")])
    for policy in within.policies:
        cells = (_estimate(policy.cells["all"][name].value, report.n_problems) for name in TABLE3_METRICS)
        body.append([row_head(policy_name(policy.name, report)), *cells])
    heads = [_metric_head(name, marks, scope="col") for name in TABLE3_METRICS]
    return table("", [[head("policy"), *heads]], body)


def metrics_table(marks: Mapping[str, str]) -> Html:
    """Every metric in words."""
    body = []
    for name, metric in METRICS.items():
        words = LEVEL_LOOKS[metric.level], metric.measures, metric.span, metric.fooled_by
        cells = [tag("td", *(cell,), class_="words") for cell in (*words, _mark(marks.get(name)) or "not tested")]
        body.append([row_head(metric_title(name), id=f"metric-{name}"), *cells])
    heads = ("metric", "looks at", "measures", "range", "what fools it", "what it follows")
    return table("", [[head(words) for words in heads]], body)


def metric_title(metric: str) -> str:
    """A metric's title with the arrow to more diversity."""
    arrow = "\u2191" if METRICS[metric].up else "\u2193"
    return f"{METRICS[metric].title} {arrow}"


def policy_name(name: str, report: DiversityReport) -> Html:
    """A policy's name after a dot in its colour."""
    colour = member_colours([policy.name for policy in report.within.policies])[name]
    return tag("span", tag("span", "\u25cf", style=f"color:{colour}", aria_hidden="true"), " ", name, class_="policy")


def _condition_heads(report: DiversityReport, policies: Sequence[PolicyDiversity]) -> list[list[Html]]:
    """A cell per condition over a cell per policy."""
    within, wide = report.within, str(len(policies))
    groups = [
        head(
            f"{CONDITION_WORDS[c]}",
            tag("small", f"m = {within.m[c]}, n = {within.n_problems[c]}"),
            scope="colgroup",
            colspan=wide,
        )
        for c in CONDITIONS
    ]
    return [
        [tag("td"), *groups],
        [head("metric"), *(head(policy_name(p.name, report)) for _ in CONDITIONS for p in policies)],
    ]


def _contrast_cells(found: Decomposition | None, halves: Html) -> list[Html]:
    if found is None:
        return [_missing("no embeddings or token ids"), _missing(), halves, _missing(), tag("td", "0")]
    p = f"{found.p_value:.3g}" if math.isfinite(found.p_value) else "\u2013"
    counts = tag("td", f"{found.n_problems}", tag("small", f"{found.n_b:,} + {found.n_a:,} rollouts"))
    n = found.n_problems
    return [_estimate(found.share, n), _estimate(found.between, n), halves, tag("td", p), counts]


def _missing(why: str = "") -> Html:
    return tag("td", "\u2013", *((tag("small", why),) if why else ()))


def _metric_head(name: str, marks: Mapping[str, str], scope: str = "row") -> Html:
    """A metric's name, linked to its explanation, with its mark."""
    mark = _mark(marks.get(name))
    link = tag("a", metric_title(name), href=f"#metric-{name}")
    return tag("th", link, *((tag("small", mark),) if mark else ()), scope=scope)


def _mark(mark: str | None) -> Html | None:
    if not (words := mark_words(mark)):
        return None
    return tag("span", words, class_="mark warn" if mark in WARN else "mark")


def _estimate(estimate: Estimate | None, n: int, sign: str = "") -> Html:
    if estimate is None:
        return _missing()
    ends = (plain(estimate.value), plain(estimate.lower), plain(estimate.upper))
    return _cell(Number(*ends, sign=sign, n=estimate.n_problems), n)


def _cell(cell: Cell, n: int) -> Html:
    """A text; or a value over its interval, and on how many problems where that is not `n`."""
    if not isinstance(cell, Number):
        return tag("td", *([cell] if cell else []))
    counted = f"n = {cell.n}"
    if cell.value is None:
        return _missing(counted)
    value, lower, upper = (
        "" if x is None else f"{x:{cell.sign}.{cell.digits}f}".replace("-", "\u2212")
        for x in (cell.value, cell.lower, cell.upper)
    )
    ends = f"[{lower}, {upper}]" if lower else "no interval"
    few = (tag("small", counted),) if cell.n != n else ()
    return tag("td", tag("b", value), tag("small", ends), *few)
