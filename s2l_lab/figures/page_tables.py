"""The tables of the diversity page. Each number stands over its interval, and says its n where that is not the table's.

Conditions stand side by side, since no metric over all rollouts should be read without the one over correct ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.page import Html, head, row_head, table, tag
from s2l_lab.figures.palette import member_colours
from s2l_lab.figures.study_tables import (
    coherence_table,
    contrasts_table,
    differences_table,
    paper_beside_table,
    within_table,
)
from s2l_lab.figures.tables import Number, Strong
from s2l_lab.figures.within_panels import CONDITION_WORDS, LEVEL_WORDS, mark_words
from s2l_lab.studies.within import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.diversity.metric import Level
    from s2l_lab.figures.paper import PaperDiversity
    from s2l_lab.figures.tables import Cell
    from s2l_lab.studies.within import Condition

LEVEL_LOOKS: Mapping[Level, str] = {
    "answer": "final answers",
    "strategy": "solution classes",
    "text": "the wording",
    "embedding": "a sentence embedding",
}
WARN = ("phrasing only", "neither")
"""Marks that a reader must not miss."""
Found = Mapping[str, Any]
"""numbers.json of a diversity report."""


def within_html(found: Found, marks: Mapping[str, str]) -> Html:
    """A row per metric; per condition a column for each policy."""
    policies, n = [policy["policy"] for policy in found["policies"]], _problems(found)
    made = {c: {row.key: row.cells[1:] for row in within_table(found, c).rows} for c in CONDITIONS}

    def row(key: str, first: Html) -> list[Html]:
        blank = ("",) * len(policies)
        return [first, *(_cell(cell, n[c]) for c in CONDITIONS for cell in made[c].get(key, blank))]

    counts = (tag("td", f"{policy['n_rollouts'][c]:,}") for c in CONDITIONS for policy in found["policies"])
    body = [row("pass@1", row_head("pass@1")), row("tokens", row_head("tokens per completion"))]
    body.append([row_head("rollouts"), *counts])
    for level, words in LEVEL_WORDS.items():
        body.append([row_head(words, scope="rowgroup", colspan=str(1 + 2 * len(policies)))])
        body += [row(name, _metric_head(name, marks)) for name, metric in METRICS.items() if metric.level == level]
    return table("", _condition_heads(found, policies), body, [1, len(policies), len(policies)])


def differences_html(found: Found, marks: Mapping[str, str]) -> Html:
    """Every policy minus the reference, paired over problems."""
    made = [differences_table(found, condition) for condition in CONDITIONS]
    others = [column.title for column in made[0].columns[1:]]
    body = [
        [_metric_head(row.key, marks), *(_cell(cell) for one in (row, other) for cell in one.cells[1:])]
        for row, other in zip(*(one.rows for one in made), strict=True)
    ]
    return table(made[0].title, _condition_heads(found, others), body, [1, len(others), len(others)])


def contrasts_html(found: Found) -> Html:
    """What each policy adds to the reference, by feature; a feature's name stands once beside its rows."""
    made = contrasts_table(found)
    body = []
    for _, group in groupby(made.rows, key=lambda row: row.key):
        rows = list(group)
        for i, row in enumerate(rows):
            words, policy, *cells = row.cells
            first = [] if i else [row_head(str(words), rowspan=str(len(rows)), scope="rowgroup")]
            body.append([*first, tag("td", policy_name(str(policy), found)), *map(_cell, cells)])
    return table(made.title, [[head(column.title) for column in made.columns]], body)


def coherence_html(found: Found) -> Html:
    """Whether single steps keep their direction, a row per policy."""
    made = coherence_table(found)
    body = [
        [row_head(policy_name(str(first), found)), *map(_cell, cells)]
        for first, *cells in (row.cells for row in made.rows)
    ]
    return table(made.title, [[head(column.title) for column in made.columns]], body)


def paper_html(found: Found, paper: Sequence[PaperDiversity], marks: Mapping[str, str]) -> Html:
    """The paper's Table 3 above ours."""
    made = paper_beside_table(found, paper)
    first, *metrics = (column.title for column in made.columns)
    body = []
    for row in made.rows:
        name, *cells = row.cells
        shown = policy_name(str(name), found) if row.key == "ours" else str(name)
        wide = {} if cells else {"scope": "rowgroup", "colspan": str(len(made.columns))}
        body.append([row_head(shown, **wide), *map(_cell, cells)])
    return table("", [[head(first), *(_metric_head(metric, marks, scope="col") for metric in metrics)]], body)


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


def policy_name(name: str, found: Found) -> Html:
    """A policy's name after a dot in its colour."""
    colour = member_colours([policy["policy"] for policy in found["policies"]])[name]
    return tag("span", tag("span", "\u25cf", style=f"color:{colour}", aria_hidden="true"), " ", name, class_="policy")


def _condition_heads(found: Found, policies: Sequence[str]) -> list[list[Html]]:
    """A cell per condition over a cell per policy."""
    wide, n = str(len(policies)), _problems(found)
    groups = [
        head(
            CONDITION_WORDS[c],
            tag("small", f"m = {found['conditions'][c]['m']}, n = {n[c]}"),
            scope="colgroup",
            colspan=wide,
        )
        for c in CONDITIONS
    ]
    return [
        [tag("td"), *groups],
        [head("metric"), *(head(policy_name(name, found)) for _ in CONDITIONS for name in policies)],
    ]


def _problems(found: Found) -> dict[Condition, int]:
    """Number of problems by condition."""
    return {c: found["conditions"][c]["n_problems"] for c in CONDITIONS}


def _metric_head(name: str, marks: Mapping[str, str], scope: str = "row") -> Html:
    """A metric's name, linked to its explanation, with its mark."""
    mark = _mark(marks.get(name))
    link = tag("a", metric_title(name), href=f"#metric-{name}")
    return tag("th", link, *((tag("small", mark),) if mark else ()), scope=scope)


def _mark(mark: str | None) -> Html | None:
    if not (words := mark_words(mark)):
        return None
    return tag("span", words, class_="mark warn" if mark in WARN else "mark")


def _cell(cell: Cell, n: int = 0) -> Html:
    """A text with its further lines in small; or a value over its interval, and on how many problems where that is not
    `n` (0: where the cell says it)."""
    if not isinstance(cell, Number):
        first, *more = cell.split("\n")
        shown = {"": (), "-": ("\u2013",)}.get(first, (tag("b", first) if isinstance(cell, Strong) else first,))
        return tag("td", *shown, *(tag("small", line) for line in more))
    counted = f"n = {cell.n}"
    if cell.value is None:
        return tag("td", "\u2013", tag("small", counted))
    value, lower, upper = (
        "" if x is None else f"{x:{cell.sign}.{cell.digits}f}".replace("-", "\u2212")
        for x in (cell.value, cell.lower, cell.upper)
    )
    ends = f"[{lower}, {upper}]" if lower else "no interval"
    few = (*cell.about, *((counted,) if n and cell.n != n else ()))
    return tag("td", tag("b", value), tag("small", ends), *(tag("small", words) for words in few))
