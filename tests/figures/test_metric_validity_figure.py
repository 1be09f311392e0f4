"""Metric validity: dots and bars are the records' fields, and every metric carries its mark."""

import json
import math
from typing import Any

import pytest
from synthetic_studies import ABOUT, synthetic_validity

from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.metric_validity import metric_validity_figure, metric_validity_numbers
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.palette import FACTORS
from s2l_lab.studies.metric_validity import WORDS, MetricValidity


@pytest.fixture(scope="module")
def result() -> MetricValidity:
    return MetricValidity(synthetic_validity(), 8, 3, 16, None)


@pytest.fixture(scope="module")
def figure(result: MetricValidity) -> Any:
    return metric_validity_figure(result, ABOUT)


def on_axis(figure: Any, number: int) -> dict[str, Any]:
    axis = "x" if number == 1 else f"x{number}"
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def texts(figure: Any) -> list[str]:
    return [a.text for a in figure.layout.annotations]


def test_dots_are_the_correlations_with_their_intervals(result: MetricValidity, figure: Any) -> None:
    words = {"strategies": "strategies", "phrasing": "phrasing", "order": "step order"}
    for number, (factor, said) in enumerate(words.items(), 1):
        drawn = on_axis(figure, number)
        for name, found in result.metrics.items():
            follows, trace = getattr(found, factor).follows, f"{METRICS[name].title}: {said}"
            if not math.isfinite(follows.value):
                assert trace not in drawn
                continue
            assert list(drawn[trace].x) == [follows.value]
            assert list(drawn[f"{trace}: interval"].x) == [follows.lower, follows.upper]
            assert drawn[trace].marker.color == FACTORS[factor]
            assert "CI over items" in drawn[trace].hovertext[0]


def test_bars_are_the_shares_one_after_the_other(result: MetricValidity, figure: Any) -> None:
    drawn = on_axis(figure, 4)
    for name, found in result.metrics.items():
        end = 0.0
        for factor in FACTORS:
            share = found.rest if factor == "rest" else getattr(found, factor).share
            if not share.value > 0:  # chance, or undefined
                assert f"{name}: {factor}" not in drawn
                continue
            bar = drawn[f"{name}: {factor}"]
            assert bar.x[0] == pytest.approx(end)
            assert bar.x[1] - bar.x[0] == pytest.approx(share.value)
            assert f"{share.value:.3g}" in bar.hovertext[0]
            end = bar.x[1]
    assert {t.line.color for t in drawn.values() if t.name.endswith("phrasing")} == {FACTORS["phrasing"]}


def test_bars_stand_beside_the_dots_of_their_metric(figure: Any) -> None:
    dot = on_axis(figure, 2)["Self-BLEU, pairwise: phrasing"]
    assert set(on_axis(figure, 4)["self_bleu: phrasing"].y) == {dot.y[0]}


def test_every_metric_has_its_mark_and_an_undefined_one_its_reason(result: MetricValidity, figure: Any) -> None:
    assert [found.mark for found in result.metrics.values()] == ["strategy", "phrasing only", "both", "undetermined"]
    for found in result.metrics.values():
        assert any(WORDS[found.mark] in text for text in texts(figure))
    assert "\u2013 no item: never moves on 8, undefined on 0" in texts(figure)


def test_caption_carries_the_callers_lines(figure: Any) -> None:
    caption = texts(figure)[-1].replace("<br>", " ")
    for fact in (*ABOUT, "Spearman", "up = more diverse", "noise between replicates taken off"):
        assert fact in caption


def test_numbers_are_json_from_which_marks_can_be_read(result: MetricValidity) -> None:
    read = json.loads(as_json(metric_validity_numbers(result, ABOUT)), parse_constant=pytest.fail)
    assert {name: m["mark"] for name, m in read["metrics"].items()} == {n: f.mark for n, f in result.metrics.items()}
    found, written = result.metrics["vendi"], read["metrics"]["vendi"]
    assert written["phrasing"]["follows"]["lower"] == found.phrasing.follows.lower
    assert written["rest"]["value"] == found.rest.value
    assert read["metrics"]["compression"]["strategies"]["follows"]["value"] is None
    assert read["metrics"]["compression"]["n_constant"] == 8
    assert (read["n_items"], read["replicates"], read["rollouts_per_cell"]) == (8, 3, 16)
