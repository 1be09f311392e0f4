"""Figure 2: the paper's points and our report side by side, each as it stands."""

import json
from typing import Any

import pytest
from synthetic_reports import synthetic_report

from s2l_lab.errors import DataError
from s2l_lab.figures.experiment import PairPanel
from s2l_lab.figures.fig2 import PanelResult, fig2_figure, fig2_numbers, panel_result
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.paper import fig2_panels

MEMBERS = ("tiny-60k", "tiny-360k", "tiny-2m")
PAPER = fig2_panels()


def panel(name: str, *pair: str) -> PairPanel:
    return PairPanel(name=name, pair=(pair[0], pair[1]), benchmark="countdown", preset="nothink", n=32)


@pytest.fixture(scope="module")
def results() -> list[PanelResult]:
    report = synthetic_report(problems=60, rollouts=32, interval="problems")
    pairs = {"L1": ("tiny-60k", "tiny-360k"), "L2": ("tiny-360k", "tiny-2m"), "R3": ("tiny-60k", "tiny-2m")}
    return [panel_result(panel(name, *pair), PAPER, report) for name, pair in pairs.items()]


def on_axis(figure: Any, number: int) -> dict[str, Any]:
    axis = "x" if number == 1 else f"x{number}"
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def test_each_row_holds_the_papers_points_our_curves_and_our_difference(results: list[PanelResult]) -> None:
    figure = fig2_figure(results, MEMBERS, "mini", "s2l-lab figures fig2 --scale mini")
    for row, result in enumerate(results):
        paper, ours, difference = (on_axis(figure, 3 * row + column) for column in (1, 2, 3))
        assert list(paper[f"paper {result.paper.small}"].y) == result.paper.small_value.tolist()
        assert list(paper[f"paper {result.paper.large}"].y) == result.paper.large_value.tolist()
        for policy in (result.small, result.large):
            assert list(ours[policy.name].y) == policy.curve_problems.value.tolist()
        assert list(difference["difference"].y) == result.comparison.value.tolist()
        assert (result.comparison.a, result.comparison.b) == result.panel.pair


def test_a_member_has_one_colour_in_every_panel(results: list[PanelResult]) -> None:
    figure = fig2_figure(results, MEMBERS, "mini", "c")
    colours: dict[str, set[str]] = {}
    for trace in figure.data:
        if trace.name in MEMBERS:
            colours.setdefault(trace.name, set()).add(trace.line.color)
    assert [len(found) for found in colours.values()] == [1, 1, 1]
    assert len(set.union(*colours.values())) == 3


def test_caption_says_what_the_paper_does_not_give_and_what_ours_is(results: list[PanelResult]) -> None:
    figure = fig2_figure(results, MEMBERS, "mini", "s2l-lab figures fig2 --scale mini")
    text = figure.layout.annotations[-1].text.replace("<br>", " ")
    for fact in (
        "digitised to 0.01",
        "30 problems per panel",
        "no interval, counts, seed or verifier version",
        "L1, L2, R3: countdown, n = 60 problems, N = 32 rollouts",
        "top-p 0.8",
        "data 3f8a09bc12de4567",
        "s2l-lab figures fig2 --scale mini",
    ):
        assert fact in text


@pytest.mark.parametrize(("name", "words"), [("L1", "none by k = 64"), ("R1", "at k = 25 to 30"), ("L2", "at k = 28")])
def test_the_papers_verdict_in_words(results: list[PanelResult], name: str, words: str) -> None:
    result = panel_result(panel(name, "tiny-60k", "tiny-360k"), PAPER, results[0].report)
    assert result.paper_words == words


def test_numbers_hold_both_verdicts_and_each_run_once(results: list[PanelResult]) -> None:
    read = json.loads(as_json(fig2_numbers(results, "mini", "c")))
    assert [p["panel"] for p in read["panels"]] == ["L1", "L2", "R3"]
    assert [p["run"] for p in read["panels"]] == [0, 0, 0]
    assert len(read["runs"]) == 1
    assert read["panels"][2]["paper"]["crossing"] == [195, 195]
    assert read["panels"][0]["paper"]["small_value"] == PAPER["L1"].small_value.tolist()
    assert read["panels"][1]["crossing"]["outcome"] == results[1].comparison.crossing.outcome


def test_a_panel_that_does_not_fit_is_refused(results: list[PanelResult]) -> None:
    report = results[0].report
    with pytest.raises(DataError, match="no panel 'L9'"):
        panel_result(panel("L9", "tiny-60k", "tiny-2m"), PAPER, report)
    with pytest.raises(DataError, match="no comparison of tiny-2m and tiny-60k"):
        panel_result(panel("L1", "tiny-2m", "tiny-60k"), PAPER, report)
