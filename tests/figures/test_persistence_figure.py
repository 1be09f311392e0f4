"""Persistence: lines are the rows' curves, the argument's arms have one, and the others are named."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from synthetic_studies import ABOUT, HOSTILE, by_lag, synthetic_persistence

from s2l_lab.figures.arms import arm_looks, arm_words
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import as_json
from s2l_lab.figures.persistence import DRAWN, persistence_figure, persistence_numbers
from s2l_lab.studies.persistence import Persistence, PersistenceRow

VR, AUTOCOVARIANCE, SURVIVAL, SCORES, KL, DRIFT, DRIFT_D, ICC = range(1, 9)


@pytest.fixture(scope="module")
def result() -> Persistence:
    return synthetic_persistence()


@pytest.fixture(scope="module")
def figure(result: Persistence) -> Any:
    return persistence_figure(result, ABOUT)


def on_axis(figure: Any, number: int) -> dict[str, Any]:
    axis = "x" if number == 1 else f"x{number}"
    return {trace.name: trace for trace in figure.data if (trace.xaxis or "x") == axis}


def lined(result: Persistence) -> list[PersistenceRow]:
    return [row for row in result.rows if row.role in ("learner", "explorer", "temperature", "kl")]


def caption(figure: Any) -> str:
    return str(figure.layout.annotations[-1].text).replace("<br>", " ")


def test_lines_and_ribbons_are_the_rows_curves(result: Persistence, figure: Any) -> None:
    for row in lined(result):
        name = markup(arm_words(row))
        assert row.score_covariance is not None
        for panel, curve in (
            (VR, row.variance_ratio),
            (AUTOCOVARIANCE, row.autocovariance_d),
            (SURVIVAL, row.survival[0].curve),
            (SCORES, row.score_covariance.covariance),
        ):
            drawn = on_axis(figure, panel)
            assert list(drawn[name].x) == curve.at.tolist()
            assert list(drawn[name].y) == curve.value.tolist()
            assert list(drawn[f"{name}: interval"].y)[:-1] == [*curve.lower, *curve.upper[::-1]]


def test_the_check_on_the_instrument_and_the_constant_hazard_are_drawn(result: Persistence, figure: Any) -> None:
    for row in lined(result):
        name = markup(arm_words(row))
        assert list(on_axis(figure, VR)[f"{name}: VR of m"].y) == row.variance_ratio_m.value.tolist()
        constant = on_axis(figure, SURVIVAL)[f"{name}: constant hazard"]
        assert list(constant.y) == row.survival[0].constant.tolist()
        assert constant.line.dash == "dash"
    assert set(on_axis(figure, VR)["no persistence"].y) == {1.0}
    assert figure.layout[f"yaxis{SURVIVAL}"].type == "log"


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_learner_that_was_not_drawn_at_1_is_not_called_the_null(result: Persistence, temperature: float) -> None:
    rows = tuple(replace(row, temperature=temperature) if row.role == "learner" else row for row in result.rows)
    words = " ".join(str(a.text) for a in persistence_figure(replace(result, rows=rows), ABOUT).layout.annotations)
    assert ("(the null)" in words) == (temperature == 1)
    assert ("drawn at T = 0.7, so no null" in words) == (temperature != 1)


def test_other_arms_have_no_line_and_are_named(result: Persistence, figure: Any) -> None:
    others = [row for row in result.rows if row.role not in DRAWN]
    assert others
    for row in others:
        assert markup(arm_words(row)) not in on_axis(figure, VR)
        assert markup(arm_words(row)) in caption(figure)


def test_every_arm_has_its_dots(result: Persistence, figure: Any) -> None:
    fields = {KL: "kl", DRIFT: "drift", DRIFT_D: "persistent_drift", ICC: "icc"}
    for panel, field in fields.items():
        dots = [t for t in figure.data if t.xaxis == f"x{panel}" and t.mode == "markers"]
        assert [t.x[0] for t in dots] == [getattr(row, field).value for row in result.rows]


def test_no_two_lines_look_alike(result: Persistence) -> None:
    looks = arm_looks(result.learner, lined(result))
    assert len({(look.colour, look.dash) for look in looks}) == len(looks)


def test_bounds_are_said_and_not_drawn(result: Persistence, figure: Any) -> None:
    about = next(a.text for a in figure.layout.annotations if "not to scale" in a.text)
    rows = lined(result)
    bounds = [b for row in rows for b in row.score_covariance.bound]  # type: ignore[union-attr]
    assert f"{min(bounds):.3g} to {max(bounds):.3g}" in about
    assert "B\u00b2 = 12.5" in about
    assert max(y for t in on_axis(figure, SCORES).values() for y in t.y if y is not None) < 1


def test_without_scores_the_panel_says_so() -> None:
    figure = persistence_figure(synthetic_persistence(scores=False), ABOUT)
    assert any(a.text == "no score functions were computed" for a in figure.layout.annotations)
    assert "Scores" not in caption(figure)


def test_undefined_lags_are_gaps_and_a_line_of_them_has_no_label(result: Persistence) -> None:
    first = result.rows[0]
    gap = by_lag([1, 2, 3], [1.0, np.nan, 1.2], 0.1)
    figure = persistence_figure(replace(result, rows=(replace(first, variance_ratio=gap), *result.rows[1:])), ABOUT)
    assert list(on_axis(figure, VR)[arm_words(first)].y) == [1.0, None, 1.2]
    nothing = by_lag([1, 2], [np.nan, np.nan], 0.1)
    figure = persistence_figure(replace(result, rows=(replace(first, variance_ratio=nothing),)), ABOUT)
    labels = [a for a in figure.layout.annotations if a.xref == "x domain" and "\u25cf" in a.text]
    assert labels == []


def test_a_trace_that_two_records_share_is_drawn_once(result: Persistence, figure: Any) -> None:
    assert [s.trace for s in result.rows[0].survival] == ["tiny-2m"] * 2  # the learner's is its own
    names = [t.name for t in figure.data if t.xaxis == f"x{SURVIVAL}"]
    assert len(names) == len(set(names))


def test_caption_carries_the_callers_lines_and_the_matching(figure: Any) -> None:
    facts = (*ABOUT, "martingale", "a held-out mean score", "T = 1.620 (0.403 for 0.4)", "clustered by problem")
    for fact in facts:
        assert fact in caption(figure)


def test_numbers_hold_every_arm_in_full(result: Persistence) -> None:
    read = json.loads(as_json(persistence_numbers(result, ABOUT)), parse_constant=pytest.fail)
    assert [arm["name"] for arm in read["arms"]] == [row.name for row in result.rows]
    row, written = result.rows[5], read["arms"][5]
    assert written["words"] == "learner, T = 1.5"
    assert written["autocorrelation"]["value"] == row.autocorrelation.value.tolist()
    assert row.variance_ratio_own is not None
    assert written["variance_ratio_own"]["upper"] == row.variance_ratio_own.upper.tolist()
    assert written["survival"][1]["hazard"]["value"] == row.survival[1].hazard.value
    assert row.score_covariance is not None
    assert written["score_covariance"]["bound"] == row.score_covariance.bound.tolist()
    assert read["arms"][0]["variance_ratio_own"] is None
    assert read["about"] == list(ABOUT)


def test_text_from_outside_has_no_effect() -> None:
    result = synthetic_persistence(explorer=HOSTILE)
    figure = persistence_figure(replace(result, learner=HOSTILE), [HOSTILE])
    shown = [a.text for a in figure.layout.annotations]
    shown += [t.name for t in figure.data] + [h for t in figure.data for h in t.hovertext or ()]
    assert not any("<script" in text or "<img" in text or "\x1b" in text for text in shown)
    assert any("&lt;script&gt;alert(1)" in text for text in shown)
