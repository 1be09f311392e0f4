"""The Family view draws exactly what the estimators say of the store, and its address shows it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_runs import HOSTILE, hostile_runs, known_runs
from opened_views import APPS, PASSK, SAMPLE, address_of, figures, open_view, said, sound
from streamlit.testing.v1 import AppTest

from s2l_lab.app.parts.family_figures import waiting_figure
from s2l_lab.browse.family_curves import family_comparisons, recorded
from s2l_lab.browse.report_page import Section
from s2l_lab.browse.solve_rates import solve_rates
from s2l_lab.browse.store import open_store
from s2l_lab.errors import DataError
from s2l_lab.estimators import pass_at_k
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.palette import member_colours


def drawn(app: AppTest, place: int) -> list[dict[str, Any]]:
    """The traces of the figure at this place on the page."""
    return list(json.loads(app.get("plotly_chart")[place].proto.spec)["data"])


def numbers(values: Any) -> Any:
    """Plotly's way with arrays, undone."""
    import base64

    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.asarray(values)


def lines(traces: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The traces that stand in the legend."""
    return {trace["name"]: trace for trace in traces if "name" in trace and trace.get("showlegend") is not False}


def test_curves_are_pass_at_k_of_the_stores_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "family", run=PASSK))
    rates = solve_rates(open_store(SAMPLE / PASSK))
    curves, cover = (lines(drawn(app, place)) for place in (0, 1))
    assert list(curves) == list(cover) == list(rates.policies)
    colours = member_colours(rates.policies)
    for m, policy in enumerate(rates.policies):
        k = numbers(curves[policy]["x"]).astype(int)
        assert k.tolist() == list(range(1, 17))
        wanted = pass_at_k(rates.correct_PM[:, m], rates.total_PM[:, m], k)
        np.testing.assert_allclose(numbers(curves[policy]["y"]), wanted)
        assert curves[policy]["line"]["color"] == cover[policy]["line"]["color"] == colours[policy]
    for comparison in family_comparisons(rates, rates.policies):
        (table,) = [frame.value for frame in app.dataframe if "verdict" in frame.value.columns]
        row = table[(table["smaller"] == comparison.a) & (table["larger"] == comparison.b)]
        assert row["verdict"].tolist() == [crossing_words(comparison)]
        assert row["first_difference"].tolist() == pytest.approx([comparison.value[0]])


def test_squares_are_the_solve_rates_and_say_where_they_lead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = known_runs(tmp_path)
    app = sound(open_view(monkeypatch, tmp_path, "family", order="arrival"))
    (squares,) = drawn(app, 3)
    cells = {}
    for one in known:
        if one.outcome != "unverified":
            cells.setdefault((one.problem_id, one.policy), []).append(one.outcome == "correct")
    shown = dict(zip(map(tuple, squares["customdata"]), numbers(squares["marker"]["color"]).tolist(), strict=True))
    assert shown == pytest.approx({cell: np.mean(correct) for cell, correct in cells.items()})


def test_squares_and_report_are_of_the_policies_that_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Section] = []
    report = "s2l_lab.app.parts.export_row.export_report"
    monkeypatch.setattr(report, lambda _, __, sections, *___: made.extend(sections()))
    chosen = ["tiny-60k", "tiny-2m"]
    app = sound(open_view(monkeypatch, SAMPLE, "family", run=PASSK, policy=chosen, order="difference"))
    rates = solve_rates(open_store(SAMPLE / PASSK))
    (squares,) = drawn(app, 3)
    wanted = [rates.problem_ids[i] for i in rates.order("difference", "tiny-2m", "tiny-60k")]
    assert [tuple(cell) for cell in squares["customdata"]] == [(problem, name) for problem in wanted for name in chosen]
    colours = member_colours(rates.policies)  # a policy keeps its colour
    assert {name: line["line"]["color"] for name, line in lines(drawn(app, 0)).items()} == {
        name: colours[name] for name in chosen
    }
    cells = [table.table for section in made for table in section.tables][-1]
    assert set(cells["policy"].to_pylist()) == set(chosen)


def test_a_reader_may_choose_no_policy_and_the_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The widget once jumped back to all of them."""
    app = open_view(monkeypatch, SAMPLE, "family", run=PASSK)
    for _ in range(2):
        sound(app.multiselect(key="family.policy").set_value([]).run())
        assert app.multiselect(key="family.policy").value == []
        assert "No policy is chosen" in said(app)
    address = address_of(app)
    assert address == {"run": [PASSK], "policy": [""]}
    again = sound(open_view(monkeypatch, SAMPLE, "family", **address))
    assert again.multiselect(key="family.policy").value == []
    assert (address_of(again), said(again)) == (address, said(app))
    sound(again.multiselect(key="family.policy").set_value(["tiny-2m"]).run())
    assert address_of(again) == {"run": [PASSK], "policy": ["tiny-2m"]}


def test_axes_stand_while_the_store_is_counted_and_go_when_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known_runs(tmp_path)
    seen = []

    def axes() -> Any:
        seen.append("axes")
        return waiting_figure()

    def counting(*_: Any) -> None:
        seen.append("counting")
        raise DataError("the counting failed")

    monkeypatch.setattr("s2l_lab.app.parts.family_figures.waiting_figure", axes)
    monkeypatch.setattr("s2l_lab.app.parts.runs.solve_rates", counting)
    monkeypatch.setenv("S2L_LAB_RUNS", str(tmp_path))
    app = AppTest.from_file(str(APPS / "dashboard.py"), default_timeout=600)
    for wanted in (["axes", "counting"], ["axes", "counting", "counting"]):
        app.run()
        assert seen == wanted
        assert "the counting failed" in said(app)
        assert figures(app) == 0


def test_policies_that_are_all_gone_are_said_and_all_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "family", run=PASSK, policy=["gone"]))
    assert any("gone" in warning.value for warning in app.warning)
    assert address_of(app) == {"run": [PASSK]}


def test_the_address_shows_the_same_view(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_view(monkeypatch, SAMPLE, "family", run=PASSK)
    app.multiselect(key="family.policy").set_value(["tiny-60k", "tiny-2m"])
    app.segmented_control(key="family.x").set_value("FLOPs")
    app.selectbox(key="family.order").set_value("spread")
    sound(app.segmented_control(key="family.interval").set_value("problems").run())
    address = address_of(app)
    assert address == {
        "run": [PASSK], "policy": ["tiny-60k", "tiny-2m"], "interval": ["problems"], "x": ["FLOPs"],
        "order": ["spread"],
    }  # fmt: skip
    again = sound(open_view(monkeypatch, SAMPLE, "family", **address))
    assert address_of(again) == address
    assert [drawn(again, place) for place in range(4)] == [drawn(app, place) for place in range(4)]
    flops = recorded(open_store(SAMPLE / PASSK))["tiny-2m"].flops_per_rollout
    np.testing.assert_allclose(numbers(lines(drawn(again, 0))["tiny-2m"]["x"]), flops * np.arange(1, 17))


def test_another_interval_is_another_ribbon_around_the_same_curve(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (
        drawn(open_view(monkeypatch, SAMPLE, "family", run=PASSK, interval=interval), 0)
        for interval in ("rollouts", "problems")
    )
    assert lines(one)["tiny-2m"]["y"] == lines(other)["tiny-2m"]["y"]
    ribbons = [[trace["y"] for trace in traces if trace.get("fill")] for traces in (one, other)]
    assert ribbons[0] != ribbons[1]


def test_a_run_without_numbers_json_has_no_flops_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known_runs(tmp_path)
    app = sound(open_view(monkeypatch, tmp_path, "family", x="FLOPs"))
    assert "FLOPs of these policies are not recorded" in said(app)


def test_one_policy_on_one_problem_of_hostile_names_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = sound(open_view(monkeypatch, hostile_runs(tmp_path), "family", run=HOSTILE))
    assert "Choose two policies" in said(app)
    (name,) = lines(drawn(app, 0))
    assert "<" not in name
