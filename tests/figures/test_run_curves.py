"""Figures of training runs and of the map: what is drawn is what was given, a source looks alike everywhere, and no
name becomes markup."""

from __future__ import annotations

from typing import Any

import numpy as np

from s2l_lab.figures.annealing import EFFECTIVE, ONE_SEED, PLANNED, annealing_figure
from s2l_lab.figures.palette import SOURCE_COLOURS, arm_looks, translucent
from s2l_lab.figures.paper import PaperCurve, fig2_panels
from s2l_lab.figures.paper_beside import passk_beside, training_beside
from s2l_lab.figures.run_curves import CUT, CurvePanel, readable_range, run_curves_figure
from s2l_lab.figures.strategy_map import NO_ANSWER, OTHER, MapPoint, strategy_map_figure
from s2l_lab.figures.training_cost import cost_figure
from s2l_lab.training.explorer_weight import Annealing, SeedWeight
from s2l_lab.training.logged import CostRow
from s2l_lab.training.results import StepCurve

HOSTILE = "<b>arm</b> & <img src=x>"


def band(values: list[float], *, seeds: int = 3) -> StepCurve:
    mean = np.array(values)
    reach = np.full(len(values), np.nan if seeds < 2 else 0.1)
    return StepCurve(np.arange(1, len(values) + 1), mean, mean - reach, mean + reach, seeds, f"t over {seeds} seeds")


def named(figure: Any, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def panels() -> list[CurvePanel]:
    both = {"explorer": band([0.1, np.nan, 0.3]), "learner": band([0.4, 0.5, 0.6])}
    return [CurvePanel("grpo", {"learner": band([0.2, 0.3, 0.4], seeds=1)}), CurvePanel(HOSTILE, both)]


def test_lines_are_the_bands_in_the_colours_of_their_sources() -> None:
    figure = run_curves_figure(panels(), "reward", "grpo")
    one, two = named(figure, "learner")
    assert list(one.y) == [0.2, 0.3, 0.4]
    assert list(two.y) == [0.4, 0.5, 0.6]
    (explorer,) = named(figure, "explorer")
    assert list(explorer.y) == [0.1, None, 0.3]
    for trace, source in ((one, "learner"), (two, "learner"), (explorer, "explorer")):
        assert trace.line.color == SOURCE_COLOURS[source]
    (faint,) = named(figure, "grpo: learner")
    assert list(faint.y) == [0.2, 0.3, 0.4]
    assert faint.xaxis == two.xaxis != one.xaxis
    assert [trace.showlegend for trace in (one, two)] == [True, False]


def test_a_band_is_drawn_where_there_is_one_and_one_seed_has_none() -> None:
    figure = run_curves_figure(panels(), "reward")
    filled = [trace for trace in figure.data if trace.fill == "toself"]
    assert len(filled) == 2
    explorer, learner = filled
    assert np.allclose(learner.y[:6], [0.3, 0.4, 0.5, 0.7, 0.6, 0.5])  # lower ends, then upper ends backwards
    assert {round(x) for x in explorer.x if x is not None} == {1, 3}  # the middle step is undefined: a gap in both
    assert [list(line.y) for line in named(figure, "explorer")] == [[0.1, None, 0.3]]


def test_no_name_is_markup() -> None:
    for figure in (
        run_curves_figure(panels(), HOSTILE, HOSTILE),
        strategy_map_figure(
            [point(policy=HOSTILE, answer=HOSTILE, preview=HOSTILE)], (0.5, 0.2), "answer", {HOSTILE: "#123456"}
        ),
        cost_figure([cost(HOSTILE)]),
        annealing_figure([schedule(HOSTILE)]),
        training_beside(
            [PaperCurve(HOSTILE, np.array([1]), np.array([0.1]))], {HOSTILE: band([0.1, 0.2])}, {HOSTILE: True}
        ),
    ):
        assert "<img" not in figure.to_json().replace("\\u003c", "<")


def schedule(name: str) -> Annealing:
    planned = np.array([1.0, 0.5, 0.0])
    alone = SeedWeight(7, np.array([2, 4]), np.array([0.3, 0.2]), {})
    bands = (band([1.0, 0.5, 0.0]), band([0.8, 0.3]), band([0.4, 0.1]))
    return Annealing(name, np.array([1, 2, 3]), planned, *bands, (alone,))


def test_the_schedule_and_what_arrives_of_it_are_drawn_as_given() -> None:
    figure = annealing_figure([schedule("a"), schedule("b")])
    for trace in named(figure, PLANNED):
        assert (list(trace.y), trace.line.shape) == ([1.0, 0.5, 0.0], "hv")
    first, second = named(figure, EFFECTIVE)
    assert list(first.y) == list(second.y) == [0.4, 0.1]
    assert first.line.color == SOURCE_COLOURS["explorer"]
    rings, _ = named(figure, ONE_SEED)
    assert (list(rings.x), list(rings.y)) == ([2, 4], [0.3, 0.2])
    assert "seed 7" in rings.hovertext[0]


def point(**given: Any) -> MapPoint:
    values = {"x": 0.0, "y": 1.0, "policy": "p", "answer": "7", "outcome": "correct", "count": 1, "address": "a.0"}
    return MapPoint(**(values | {"preview": "text"} | given))


def test_every_mark_is_drawn_once_whatever_it_is_coloured_by() -> None:
    points = [point(answer=str(i), count=i + 1, address=f"a.{i}") for i in range(12)]
    points += [point(answer=None, outcome="no_answer", policy="q", address="a.x")]
    for colour in ("policy", "answer", "outcome"):
        figure = strategy_map_figure(points, (0.5, 0.2), colour, {"p": "#e96f0a", "q": "#3756d6"})
        drawn = [row[0] for trace in figure.data for row in trace.customdata]
        assert sorted(drawn) == sorted(p.address for p in points)
    by_answer = strategy_map_figure(points, (0.5, 0.2), "answer", {})
    assert {OTHER, NO_ANSWER, "11"} <= {trace.name for trace in by_answer.data}
    assert [row[0] for row in named(by_answer, OTHER)[0].customdata] == ["a.3", "a.2", "a.1", "a.0"]  # the rarest four


def cost(label: str) -> CostRow:
    flops = {"explorer": 1.0, "learner": 2.0, "updates": float("nan")}
    return CostRow(label, 0, True, 6, flops, flops, flops, 0.8, 0.3)


def test_an_unknown_part_of_the_cost_has_no_bar() -> None:
    explorer, learner, updates = cost_figure([cost("a"), cost("b")]).data
    assert list(explorer.x) == [1.0, 1.0]
    assert list(learner.x) == [2.0, 2.0]
    assert list(updates.x) == [None, None]


def test_theirs_stand_at_the_left_and_ours_at_the_right_on_one_axis_of_heights() -> None:
    panel = fig2_panels()["L1"]
    figure = passk_beside(panel, ("#111111", "#222222"), {}, {})
    assert [list(trace.y) for trace in figure.data] == [panel.small_value.tolist(), panel.large_value.tolist()]
    theirs = [PaperCurve("GRPO 8B", np.array([0, 1]), np.array([0.1, 0.2]))]
    made = training_beside(theirs, {"ours": band([0.5, 0.6])}, {"ours": True})
    assert list(named(made, "paper GRPO 8B")[0].y) == [0.1, 0.2]
    (ours,) = named(made, "ours")
    assert (ours.xaxis, made.layout.yaxis2.matches) == ("x2", "y")


def test_arms_beside_the_paper_look_as_in_print_and_none_as_a_source() -> None:
    """Orange was an explorer on one page and S2L-PO's learner in print. The baseline comes first wherever it stands."""
    theirs = [PaperCurve(name, np.array([0, 1]), np.array([0.1, 0.2])) for name in ("S2L-PO 1.7B", "GRPO 8B")]
    ours = {"mixed": band([0.5, 0.6]), "plain": band([0.2, 0.3]), "hot": band([0.1, 0.2])}
    figure = training_beside(theirs, ours, {"mixed": True, "plain": False, "hot": False})
    printed = [*arm_looks(["GRPO 8B", "S2L-PO 1.7B"]).items(), *arm_looks(["plain", "mixed", "hot"]).items()]
    lines = {(trace.name or "").removeprefix("paper "): trace for trace in figure.data if trace.name is not None}
    for name, look in printed:
        drawn = lines[name]
        assert (drawn.line.color, drawn.line.dash, drawn.marker.symbol) == (look.colour, look.dash, look.symbol)
    bands = [trace.fillcolor for trace in figure.data if trace.fill == "toself"]
    assert bands == [translucent(lines[name].line.color, 0.16) for name in ours]
    assert not {trace.line.color for trace in lines.values()} & set(SOURCE_COLOURS.values())


def wide(values: list[float], reach: float) -> StepCurve:
    mean = np.array(values)
    return StepCurve(np.arange(1, len(values) + 1), mean, mean - reach, mean + reach, 2, "Student's t over 2 seeds")


def test_a_wide_band_is_cut_and_said_so_and_leaves_the_lines_half_of_the_axis() -> None:
    figure = run_curves_figure([CurvePanel("arm", {"learner": wide([0.1, 0.2], 1.5)})], "reward")
    low, high = figure.layout.yaxis.range
    assert low < 0.1
    assert high > 0.2
    assert (0.2 - 0.1) / (high - low) > 0.4
    (title,) = [note.text for note in figure.layout.annotations]
    assert f"2 seeds; {CUT}" in title
    theirs = [PaperCurve("GRPO 8B", np.array([0, 1]), np.array([0.1, 0.2]))]
    beside = training_beside(theirs, {"ours": wide([0.1, 0.2], 1.5)}, {"ours": True})
    assert beside.layout.yaxis.range[1] < 0.4
    assert any(CUT in note.text for note in beside.layout.annotations)


def test_a_band_that_fits_is_whole_and_nothing_defined_has_no_range() -> None:
    figure = run_curves_figure([CurvePanel("arm", {"learner": wide([0.1, 0.5], 0.1)})], "reward")
    low, high = figure.layout.yaxis.range
    assert low < 0.0
    assert high > 0.6
    assert CUT not in figure.layout.annotations[0].text
    assert readable_range([wide([np.nan], 1.0)]) is None
