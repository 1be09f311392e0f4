"""The terminal tables of the studies: one row an arm or a metric, each number with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2l_lab.cli.diversity_tables import p_words, percent
from s2l_lab.cli.tables import number
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.arms import arm_words
from s2l_lab.figures.markup import printable
from s2l_lab.studies.between import FEATURE_TITLES, FEATURES
from s2l_lab.studies.marks import WORDS

if TYPE_CHECKING:
    from s2l_lab.estimators import Estimate
    from s2l_lab.studies.metric_validity import MetricValidity
    from s2l_lab.studies.persistence_report import ByLag, Persistence
    from s2l_lab.studies.policy_share import PolicyShare

HORIZON = 20
"""Of the variance ratio in the table; the figure has all."""


def policy_share_table(result: PolicyShare) -> RenderableType:
    """Share of every arm against the learner by feature, then the size effect."""
    table = _grid(f"share of an even mix's diversity that lies between an arm and {result.learner}", "arm", 18)
    for feature in FEATURES:
        table.add_column(FEATURE_TITLES[feature], justify="right", no_wrap=True)
    for row in result.rows:
        cells = [
            Text.assemble(percent(found.share, "\n"), (f"\np {p_words(found.p_value)} n {found.n_problems}", "dim"))
            if (found := row.features.get(feature)) is not None
            else Text("-")
            for feature in FEATURES
        ]
        table.add_row(Text(printable(arm_words(row))), *cells)
    null = [percent(result.split_halves[f], "\n") if f in result.split_halves else Text("-") for f in FEATURES]
    table.add_row(Text("split halves of the learner", style="dim"), *null)
    if not result.sizes:
        return Group(table, Text("No other pretraining seeds: small or merely different stays open.", style="dim"))
    sizes = _grid("small, or merely different? small member beyond a sibling of the learner's size", "explorer", 12)
    for head in ("feature", "difference in between-part", "p", "method"):
        sizes.add_column(head, overflow="fold")
    for size in result.sizes:
        effect = size.effect
        ends = f"{number(effect.value, 4, '+')} [{number(effect.lower, 4, '+')}, {number(effect.upper, 4, '+')}]"
        sizes.add_row(Text(printable(size.explorer)), size.feature, ends, number(effect.p_value), effect.method)
    return Group(table, Text(), sizes)


def persistence_table(result: Persistence) -> RenderableType:
    """KL, drift and variance ratios of every arm; the figure has the rest."""
    table = _grid(f"persistence of surprisal under {result.learner} (KL, drift: nats a token)", "arm", 18)
    heads = ("KL", "drift", f"VR({HORIZON}) of e", f"VR({HORIZON}) of m")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in result.rows:
        cells = [
            _cell(row.kl),
            _cell(row.drift, sign="+"),
            _at(row.variance_ratio, HORIZON),
            _at(row.variance_ratio_m, HORIZON),
        ]
        table.add_row(Text(printable(arm_words(row))), *cells)
    return table


def validity_table(result: MetricValidity) -> RenderableType:
    """What every metric follows, and its mark."""
    table = _grid("what each metric follows: rank correlation [95%], share of its variance", "metric", 18)
    for head in ("strategies", "phrasing", "step order"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("mark", overflow="fold")
    for name, found in result.metrics.items():
        factors = [
            Text.assemble(_cell(f.follows, sign="+"), (f" {number(f.share.value, 2)}", ""))
            for f in (found.strategies, found.phrasing, found.order)
        ]
        table.add_row(Text(METRICS[name].title), *factors, found.mark)
    meanings = "; ".join(f"{mark}: {words}" for mark, words in WORDS.items())
    return Group(table, Text(), Text(f"Marks: {meanings}.", style="dim"))


def _at(curve: ByLag, place: int) -> Text:
    """The value at the largest point up to `place`."""
    i = int(np.searchsorted(curve.at, place, side="right")) - 1
    return _ends(float(curve.value[i]), float(curve.lower[i]), float(curve.upper[i]))


def _cell(estimate: Estimate, sign: str = "") -> Text:
    return _ends(estimate.value, estimate.lower, estimate.upper, sign)


def _ends(value: float, lower: float, upper: float, sign: str = "") -> Text:
    return Text.assemble((number(value, 3, sign), "bold"), (f"\n[{number(lower, 2)}, {number(upper, 2)}]", "dim"))


def _grid(title: str, first: str, width: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold", min_width=width, max_width=width)
    return table
