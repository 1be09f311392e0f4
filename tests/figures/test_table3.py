"""Table 3: the paper's digits without an interval, ours with one, in every reading of its columns."""

import json
from typing import Any

import pytest
from synthetic_studies import synthetic_diversity

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.paper import PaperDiversity, table3
from s2l_lab.figures.table3 import COLUMNS, table3_figure, table3_numbers
from s2l_lab.studies.diversity import DiversityReport
from s2l_lab.studies.study import DETAILS

PAPER = table3()
OURS = {"self_bleu": 4, "self_bleu_all": 5, "edit_diversity": 6, "unique_answers": 7, "unique_answers_official": 8}
"""Panel by metric."""


@pytest.fixture(scope="module")
def report() -> DiversityReport:
    return synthetic_diversity(problems=6, rollouts=6, embed=False)


@pytest.fixture(scope="module")
def figure(report: DiversityReport) -> Any:
    return table3_figure(report, (), {"self_bleu": "phrasing only"})


def on_axis(figure: Any, number: int) -> dict[str, Any]:
    axis = "x" if number == 1 else f"x{number}"
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def test_the_papers_rows_as_printed() -> None:
    rows = (
        PaperDiversity("1.7B", 0.314, 0.788, 0.576),
        PaperDiversity("4B", 0.334, 0.773, 0.523),
        PaperDiversity("8B", 0.336, 0.769, 0.492),
        PaperDiversity("14B", 0.352, 0.760, 0.476),
    )
    assert rows == PAPER
    assert round(PAPER[0].unique_answers / PAPER[-1].unique_answers, 2) == 1.21  # the paper's "21 % higher"


def test_the_papers_values_are_dots_without_whiskers(figure: Any) -> None:
    for number, name in enumerate(COLUMNS, 1):
        drawn = on_axis(figure, number)
        assert [t.x[0] for t in drawn.values()] == [getattr(row, name) for row in PAPER]
        assert not any("interval" in name for name in drawn)
        assert all("no interval given" in t.hovertext[0] for t in drawn.values())


def test_ours_have_their_intervals_in_both_conditions(report: DiversityReport, figure: Any) -> None:
    words = {"all": "all rollouts", "correct": "correct rollouts only"}
    for metric, number in OURS.items():
        drawn = on_axis(figure, number)
        for policy in report.within.policies:
            for condition, said in words.items():
                value = policy.cells[condition][metric].value  # type: ignore[index]
                name = f"{policy.name}: {METRICS[metric].title.replace(chr(39), '&#x27;')}, {said}"
                assert list(drawn[name].x) == [value.value]
                assert list(drawn[f"{name}: interval"].x) == [value.lower, value.upper]


def test_marks_caption_and_provenance(report: DiversityReport, figure: Any) -> None:
    texts = [a.text for a in figure.layout.annotations]
    assert any("<b>moves with phrasing only</b>" in text for text in texts)
    caption = texts[-1].replace("<br>", " ")
    facts = ("as printed", "no interval", "not define n-gram order", "n = 6 problems", "N = 6 rollouts", "top-p 0.8")
    for fact in (*facts, "countdown-1", report.benchmark_digest, report.command):
        assert fact in caption


def test_without_marks_given_the_packages_own_are_shown(report: DiversityReport, monkeypatch: Any) -> None:
    monkeypatch.setattr("s2l_lab.figures.table3.metric_marks", lambda: {"edit_diversity": "neither"})
    texts = [a.text for a in table3_figure(report, ["a line of the caller's"]).layout.annotations]
    shown, _, how = texts[-1].partition(DETAILS)
    assert "a line of the caller&#x27;s" in shown
    assert DETAILS not in how
    assert sum("follows neither" in text for text in texts) == 1


def test_numbers_hold_the_papers_rows_and_ours(report: DiversityReport) -> None:
    read = json.loads(as_json(table3_numbers(report)), parse_constant=pytest.fail)
    assert [row["unique_answers"] for row in read["paper"]["rows"]] == [0.576, 0.523, 0.492, 0.476]
    assert len(read["ours"]) == len(OURS) * 3 * 2
    last = next(
        r for r in read["ours"] if (r["policy"], r["metric"], r["condition"]) == ("tiny-2m", "self_bleu", "all")
    )
    value = report.within.policies[-1].cells["all"]["self_bleu"].value
    assert (last["value"], last["lower"], last["n_problems"], last["m"]) == (
        value.value,
        value.lower,
        value.n_problems,
        report.within.m["all"],
    )
