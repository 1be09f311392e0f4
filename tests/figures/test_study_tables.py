"""The terminal tables of the studies: every arm and metric is there, nothing is cut at 80 columns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from synthetic_studies import synthetic_persistence, synthetic_share, synthetic_validity

from s2l_lab.cli.tables import show
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.metric_validity import metric_validity_numbers
from s2l_lab.figures.persistence import persistence_numbers
from s2l_lab.figures.policy_share import policy_share_numbers
from s2l_lab.figures.study_tables import persistence_printed, policy_share_printed, validity_printed
from s2l_lab.figures.tables import Printed, number
from s2l_lab.studies.metric_validity import MetricValidity


def printed(found: Printed, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    show(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_arms_share_and_interval_is_printed_whole() -> None:
    result = synthetic_share()
    text = printed(policy_share_printed(None, policy_share_numbers(result, ())))
    assert max(map(len, text.splitlines())) <= 80
    assert "\u2026" not in text, "a cell was cut"
    for row in result.rows:
        for found in row.features.values():
            assert f"{100 * found.share.value:.1f}%" in text
            assert f"{100 * found.share.lower:.1f}, {100 * found.share.upper:.1f}]" in text
    assert "small, or merely different?" in text


def test_without_seeds_the_open_question_is_said() -> None:
    assert "stays open" in printed(policy_share_printed(None, policy_share_numbers(synthetic_share(seeds=0), ())))


def test_every_arms_drift_and_ratios_are_printed_whole() -> None:
    result = synthetic_persistence()
    text = printed(persistence_printed(None, persistence_numbers(result, ())))
    assert "\u2026" not in text
    for row in result.rows:
        assert number(row.drift.value, 3, "+") in text
        assert number(row.kl.value) in text


@pytest.mark.parametrize("width", [80, 120])
def test_every_metric_has_its_mark_and_the_marks_are_explained(width: int) -> None:
    result = MetricValidity(synthetic_validity(), 30, 2, 16, None)
    text = printed(validity_printed(None, metric_validity_numbers(result, ())), width)
    assert "\u2026" not in text
    assert text.count("strategies") >= 2
    for name, found in result.metrics.items():
        assert number(found.strategies.follows.value, 2, "+") in text, METRICS[name].title
    assert "Marks:" in text
