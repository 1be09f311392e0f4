"""Rows of dots: every number where its record says, whiskers from end to end, and no silent gap."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.estimators import Estimate
from s2l_lab.estimators.display import reading
from s2l_lab.figures.axes import FineAxis, decade_axis, fine_axis
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.dots import Dot, DotRow, draw_dots, estimate_dot, height_of, places_of

NAN = math.nan
HOSTILE = "<script>alert(1)</script>\x1b[31m"


def estimate(value: float, lower: float, upper: float, n: int = 12) -> Estimate:
    return Estimate(value, lower, upper, 0.95, "studentised bootstrap", "problems", n, 96)


def drawn(rows: list[DotRow], **options: Any) -> Any:
    canvas = Canvas(600, "t")
    values = [v for row in rows for d in row.dots for v in (d.value, d.lower, d.upper)]
    draw_dots(canvas, (100.0, 100.0), 300.0, ("head", "about"), rows, fine_axis(values), **options)
    return canvas.finish([])


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def notes(figure: Any) -> list[Any]:
    return [a for a in figure.layout.annotations if "domain" in a.xref]


def test_a_dot_stands_at_its_value_and_its_whisker_ends_at_the_interval() -> None:
    rows = [
        DotRow("a", (estimate_dot("a", estimate(0.3, 0.1, 0.6), "#111111", symbol="diamond"),)),
        DotRow("b", (estimate_dot("b", estimate(0.7, 0.6, 0.9), "#222222"),)),
    ]
    found = traces(drawn(rows))
    assert (list(found["a"].x), list(found["b"].x)) == ([0.3], [0.7])
    assert list(found["a: interval"].x) == [0.1, 0.6]
    assert list(found["a: interval"].y) == [found["a"].y[0]] * 2
    assert (found["a"].marker.color, found["a"].marker.symbol) == ("#111111", "diamond")
    assert found["a"].y[0] < found["b"].y[0]  # and the axis runs downwards
    low, high = drawn(rows).layout.yaxis.range
    assert low > high


def test_conditions_of_one_row_stand_below_each_other_within_it() -> None:
    pair = tuple(estimate_dot(name, estimate(0.3, 0.1, 0.6), "#111111", hollow=name == "h") for name in "sh")
    found = traces(drawn([DotRow("a", pair), DotRow("b", ())]))
    assert -0.5 < found["s"].y[0] < 0 < found["h"].y[0] < 0.5
    assert found["s"].y[0] == -found["h"].y[0]
    assert (found["s"].marker.symbol, found["h"].marker.symbol) == ("circle", "circle-open")
    assert list(found["h: hole"].x) == list(found["h"].x)


def test_an_undefined_value_is_a_dash_with_the_reason() -> None:
    rows = [
        DotRow("a", (estimate_dot("a", estimate(NAN, NAN, NAN, n=0), "#111111", why="n = 0 of 12"),)),
        DotRow("b", (estimate_dot("b", estimate(NAN, NAN, NAN, n=0), "#111111", unit="items"),)),
        DotRow("c", (estimate_dot("c", estimate(0.5, 0.4, 0.6), "#111111"),)),
    ]
    figure = drawn(rows)
    assert not {"a", "b", "a: interval"} & traces(figure).keys()
    texts = [note.text for note in notes(figure) if "\u2013" in note.text]
    assert [text.partition("</span> ")[2] for text in texts] == ["n = 0 of 12", "n = 0 items"]


@pytest.mark.parametrize("value", [0.1, 0.9])
def test_a_value_without_ends_has_no_whisker_and_says_so_beside_it(value: float) -> None:
    other = DotRow("b", (estimate_dot("b", estimate(0.5, 0.0, 1.0), "#111111"),))
    figure = drawn([DotRow("a", (estimate_dot("a", estimate(value, NAN, NAN, n=1), "#111111"),)), other])
    assert list(traces(figure)["a"].x) == [value]
    assert "a: interval" not in traces(figure)
    (note,) = [n for n in notes(figure) if n.text == "n = 1"]
    assert note.xanchor == ("left" if value < 0.5 else "right")  # towards the middle, where there is room
    many = estimate_dot("a", estimate(value, NAN, NAN), "#111111")
    assert many.absent == "no interval"  # with many problems, n is no reason


def test_rule_and_band_stand_where_they_are_told_behind_the_dots() -> None:
    rows = [DotRow("a", (estimate_dot("a", estimate(0.3, 0.1, 0.6), "#111111"),))]
    found = traces(drawn(rows, rule=0.25, band=(0.2, 0.28)))
    assert list(found["reference"].x) == [0.25, 0.25]
    assert set(found["reference interval"].x) - {None} == {0.2, 0.28}
    assert list(found).index("reference") < list(found).index("a")
    assert "reference interval" not in traces(drawn(rows, rule=0.25, band=(NAN, NAN)))
    nothing = [DotRow("a", (estimate_dot("a", estimate(NAN, NAN, NAN), "#111111"),))]
    assert "reference" not in traces(drawn(nothing, rule=0.0))  # its axis has no numbers


def test_labels_and_texts_are_escaped_shortened_and_beside_their_rows() -> None:
    dot = estimate_dot(HOSTILE, estimate(0.3, 0.1, 0.6), "#111111", why=HOSTILE)
    figure = drawn([DotRow(HOSTILE, (dot,), text="p 0.2"), DotRow("b" * 40, ())], label_characters=30)
    left = [note for note in notes(figure) if note.xanchor == "right"]
    assert left[0].text == "&lt;script&gt;alert(1)&lt;/script&gt;\ufffd[31m"
    assert len(left[1].text) == 30
    (right,) = [note for note in notes(figure) if note.text == "p 0.2"]
    assert (right.x, right.y) == (1, left[0].y)
    assert "<script" not in dot.name + dot.hover + dot.absent
    assert len(notes(drawn([DotRow("label", (dot,))]))) == 0


def test_hover_says_value_interval_what_was_resampled_and_the_counts() -> None:
    hover = estimate_dot("a", estimate(0.3, 0.1, 0.6), "#111111", unit="items").hover
    for fact in ("0.3 [0.1, 0.6]", "95 % CI over items", "studentised", "n = 12 items, 96 rollouts"):
        assert fact in hover


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.7312, 0.70, 0.76), "0.731 [0.7, 0.76]"),
        ((0.5, NAN, NAN), "0.5 (no interval)"),
        ((NAN, NAN, NAN), "\u2013"),
        ((NAN, 0.2, 0.3), "\u2013 [0.2, 0.3]"),
    ],
)
def test_reading(numbers: tuple[float, float, float], words: str) -> None:
    assert reading(*numbers) == words


def test_groups_stand_apart_and_the_panel_grows_with_its_rows() -> None:
    rows = [DotRow(name, (), group=group) for name, group in (("a", "x"), ("b", "x"), ("c", "y"))]
    places = places_of(rows)
    assert places[1] - places[0] == 1 < places[2] - places[1]
    assert height_of(rows) > height_of(rows[:2]) > height_of(rows[:1])
    assert height_of(rows, room=2) > height_of(rows)
    two = [DotRow("a", (Dot("n", 0, 0, 0, "#111111", ""),) * 2)]
    assert height_of(two) == height_of(two[:1], room=2)
    figure = drawn(rows)
    assert figure.layout.yaxis.domain[1] - figure.layout.yaxis.domain[0] == pytest.approx(
        height_of(rows) / figure.layout.height
    )


finite = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: 0.0 if abs(v) < 1e-12 else v)


@given(st.lists(finite | st.just(NAN), max_size=8), st.integers(2, 6))
def test_an_axis_holds_every_value_and_has_few_even_ticks_within_it(values: list[float], most: int) -> None:
    axis = fine_axis(values, hold=[0.5], most=most)
    there = [v for v in values if math.isfinite(v)]
    assert isinstance(axis, FineAxis)
    assert axis.low < axis.high
    ticks = axis.ticks or ()
    assert (not ticks) if not there else len(ticks) <= most
    assert all(axis.low < v < axis.high for v in ([*there, 0.5] if there else []))
    assert all(axis.low - 1e-9 <= t <= axis.high + 1e-9 for t in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert np.allclose(steps, steps[:1] or 0, rtol=1e-6)


def test_ticks_by_hand() -> None:
    """From .0 to .02 with air .0014 on both sides: steps of .01 are the finest with at most three ticks."""
    assert fine_axis([0.0, 0.02], most=3).ticks == (0.0, 0.01, 0.02)
    assert fine_axis([0.3, 0.1 + 0.2]).high - fine_axis([0.3, 0.1 + 0.2]).low == pytest.approx(0.06)  # one value
    assert fine_axis([0.004]).layout()["tickformat"] == "~g"


def test_a_decade_axis_holds_probabilities_down_to_its_floor() -> None:
    axis = decade_axis([1.0, 0.03, 0.0, NAN], "S")
    assert axis.low == 0.01
    assert axis.position(1.0) < 1
    assert axis.position(0.0) == 0
    assert axis.layout()["ticktext"] == ["0.01", "0.1", "1"]
    assert decade_axis([1e-30], "S").low == 1e-6
    assert decade_axis([], "S").low == 0.1


def test_a_panel_in_which_nothing_is_defined_keeps_its_axes() -> None:
    """plotly.js drops axes without a trace: "no embeddings were made" then stood over the first panel's dots."""
    canvas = Canvas(600, "t")
    there, absent = (
        estimate_dot("a", estimate(0.3, 0.1, 0.6), "#111111"),
        estimate_dot("a", estimate(NAN, NAN, NAN), "#111111"),
    )
    for left, dot in ((100.0, there), (300.0, absent)):
        draw_dots(canvas, (left, 100.0), 100.0, ("head", "about"), [DotRow("a", (dot,))], fine_axis([dot.value]))
    figure = canvas.finish([])
    assert {trace.xaxis or "x" for trace in figure.data} == {"x", "x2"}
    assert any("x2" in note.xref for note in notes(figure))
