"""What is drawn can be read on a white page and on the app's dark one; text needs 4.5 to 1, a mark 3 to 1."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from contrast import DARK, MARK, PAGES, TEXT, THEME, contrast

from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.dots import HOLE
from s2l_lab.figures.on_page import on_page
from s2l_lab.figures.palette import FAINT, GRID, INK, RAMP, SOURCE_COLOURS, member_colours
from s2l_lab.figures.panel import Axis
from s2l_lab.figures.run_curves import COLOURS
from s2l_lab.figures.strategy_map import OUTCOME_SYMBOLS, MapPoint, strategy_map_figure


def test_contrast_is_that_of_the_definition() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the best known example of a near miss
    assert contrast("#000000", "#ffffff", 0.0) == contrast("rgba(0,0,0,0)", "#ffffff") == pytest.approx(1)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("by", ["policy", "answer", "outcome"])
def test_every_mark_of_the_strategy_map_is_seen_also_after_a_click(by: Any, page: str) -> None:
    """Marks were drawn at an opacity of .75, at which their colours have 2.2 to 2.7 to 1; a click left .15 of that."""
    policies = ["a", "b", "c", "d", "explorer", "learner"]
    colours = member_colours(policies[:4]) | SOURCE_COLOURS
    points = [
        MapPoint(0.0, 0.0, policies[i % 6], None if i % 7 == 0 else str(i % 13), outcome, 1, f"a.{i}", "text")
        for i, outcome in enumerate([*OUTCOME_SYMBOLS] * 12)
    ]
    traces = strategy_map_figure(points, (0.5, 0.2), by, colours).data
    assert len(traces) >= 6
    for trace in traces:
        for opacity in (trace.marker.opacity, trace.unselected.marker.opacity):
            assert contrast(trace.marker.line.color, page, opacity) >= MARK, trace.name
            for symbol, colour in zip(trace.marker.symbol, trace.marker.color, strict=True):
                if symbol.endswith("-open"):  # plotly draws its edge in the colour of its filling
                    assert contrast(colour, page, opacity) >= MARK, trace.name
        assert trace.selected.marker.size >= max(trace.marker.size)


def test_line_breaks_of_a_completion_are_blanks_in_the_maps_hover() -> None:
    point = MapPoint(0.0, 0.0, "p", "7", "correct", 1, "a.0", "3 + 4\n\nis\t7")
    (trace,) = strategy_map_figure([point], (0.5, 0.2), "policy", {"p": RAMP[0]}).data
    assert trace.hovertext[0].endswith("<br>3 + 4 is 7")


@pytest.mark.parametrize("page", PAGES)
def test_every_colour_of_data_is_seen(page: str) -> None:
    assert all(contrast(colour, page) >= MARK for colour in (*RAMP, *COLOURS.values(), FAINT))


def test_the_dark_theme_is_read() -> None:
    """Streamlit writes in white on the primary colour; it was #93a8ff once, where white has 2.3 to 1."""
    for theme in (THEME["light"], THEME["dark"]):
        grounds = (theme.get("backgroundColor", "#ffffff"), theme["secondaryBackgroundColor"])
        assert contrast("#ffffff", theme["primaryColor"]) >= TEXT
        assert all(contrast(theme["primaryColor"], ground) >= MARK for ground in grounds)
        assert all(contrast(theme["textColor"], ground) >= TEXT for ground in grounds)


@pytest.fixture
def printed() -> Any:
    """A figure with all that is in ink, on paper, or in a colour of data."""
    canvas = Canvas(600, "title", "about")
    panel = canvas.panel((60, 100, 300, 200), "panel", "of it", Axis("x", 0, 1), Axis("y", 0, 1))
    ends = np.array([0.0, 1.0])
    panel.line(ends, ends, INK, ["a", "b"])
    panel.line(ends, ends, RAMP[0], ["a", "b"])
    panel.line(ends, ends, HOLE, name="hole")
    panel.rule(0.5, "rule")
    panel.end_labels([(0.5, "label", RAMP[0])])
    panel.note(0.1, 0.1, f'<span style="color:{FAINT}">faint</span> <span style="color:{INK}">ink</span>')
    return canvas.finish(["a caption"])


def test_a_printed_figure_leaves_ink_and_paper_to_the_page(printed: Any) -> None:
    """Figures of `Canvas` stood on a dark page as white sheets."""
    before = copy.deepcopy(printed.to_dict())
    made = on_page(printed)
    assert printed.to_dict() == before
    assert (made.layout.template, made.layout.meta) == (printed.layout.template, printed.layout.meta)
    layout = made.to_dict()["layout"] | {"template": None}
    said = json.dumps(layout)
    assert not [colour for colour in (INK, GRID, '"white"', "#ffffff") if colour in said]
    assert all(note.font.color is None for note in made.layout.annotations)
    assert made.layout.paper_bgcolor is made.layout.plot_bgcolor is made.layout.font.color is None
    assert made.layout.hoverlabel.bgcolor is None
    assert (made.layout.xaxis.gridcolor, made.layout.xaxis.tickfont.color) == (None, None)
    assert "<span>faint</span> <span>ink</span>" in said
    assert f"color:{RAMP[0]}" in said


def test_data_keep_their_colours_on_the_page_and_ink_becomes_a_grey_that_both_pages_show(printed: Any) -> None:
    inked, coloured, hole = (trace for trace in on_page(printed).data if len(trace.x) == 2)
    assert (coloured.line.color, coloured.marker.color) == (RAMP[0], RAMP[0])
    assert (inked.line.color, inked.marker.color) == (FAINT, FAINT)
    assert hole.marker.color == HOLE  # the page's style sheet knows it by this colour
    assert contrast(INK, DARK) < MARK, "or ink could stay"
    assert list(inked.hovertext) == ["a", "b"]
    assert list(coloured.x) == [0.0, 1.0]
