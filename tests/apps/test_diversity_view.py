"""The Diversity view shows what the studies say, when asked, and at once where it was asked before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opened_views import PASSK, RUNS, address_of, figures, open_view, press, said, sample, sound

from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import page, read_rollout
from s2l_lab.browse.store import open_store
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.figures.diversity import within_figure
from s2l_lab.policies import find_member
from s2l_lab.policies.checkpoint import find_here
from s2l_lab.studies.diversity import DiversityReport, diversity_of_run
from s2l_lab.studies.metric_validity import metric_marks
from s2l_lab.studies.within import CONDITIONS, Condition

POLICIES = ["tiny-360k", "tiny-2m"]
SMALL: dict[str, Any] = {"run": PASSK, "embedder": "none", "rollouts": "8", "m": "4"}
PAIR = SMALL | {"policy": POLICIES}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("diversity") / "runs")


@pytest.fixture(scope="module")
def report(runs: Path) -> DiversityReport:
    return diversity_of_run(runs / PASSK, policies=POLICIES, n=8, m_all=4, embedder="none")


@pytest.mark.parametrize(
    "condition", [CONDITIONS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in CONDITIONS[1:])]
)
def test_the_table_is_the_studys_and_a_link_shows_it_at_once(
    runs: Path, report: DiversityReport, condition: Condition, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2l_lab.app.parts.diversity_within import explained, number_rows, shown_table

    app = sound(open_view(monkeypatch, runs, "diversity", condition=condition, **PAIR))
    if any(button.label == "Measure" for button in app.button):
        assert not app.dataframe
        app = sound(press(app, "Measure"))
    assert report.within.n_problems[condition] > 0
    table = app.dataframe[0].value
    expected = shown_table(report, condition)
    assert table.to_dict("records") == expected
    assert f"m = {report.within.m[condition]}, n = {report.within.n_problems[condition]} problems" in said(app)
    assert figures(app) == 1
    address = address_of(app)
    assert address["run"] == [PASSK]
    assert [address[name] for name in ("m", "policy", "rollouts")] == [["4"], POLICIES, ["8"]]
    link = {name: values[0] if len(values) == 1 else values for name, values in address.items()}
    again = sound(open_view(monkeypatch, runs, "diversity", **link))
    assert again.dataframe[0].value.equals(table)
    assert not any(button.label == "Measure" for button in again.button)
    told = [a.hovertext for a in explained(within_figure(report, metric_marks())).layout.annotations if a.hovertext]
    assert len(told) == len(METRICS)
    rows = number_rows(report)
    first = report.within.policies[0]
    assert {"value": first.accuracy.value, "lower": first.accuracy.lower}.items() <= rows[0].items()


@pytest.mark.parametrize("same", [True, False])
def test_a_study_of_another_verifier_than_the_one_that_is_shown_says_so(
    runs: Path, report: DiversityReport, same: bool
) -> None:
    """A study takes a version of its own, whatever the switch of the app says."""
    from s2l_lab.app.parts.diversity_measure import measured_caption

    own = report.verifier_version
    here: Any = SimpleNamespace(store=open_store(runs / PASSK), version=own if same else "countdown-0")
    words = "\n".join(measured_caption(here, report))
    assert (f"takes verdicts of {own}, whatever version the app shows" in words) == (not same)


def test_shares_stand_beside_their_null(runs: Path, report: DiversityReport, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2l_lab.app.parts.diversity_between import NULL, share_rows

    app = sound(open_view(monkeypatch, runs, "diversity", part="between", **PAIR))
    if any(button.label == "Measure" for button in app.button):
        app = sound(press(app, "Measure"))
    rows = {(row["policy"], row["feature"]): row for row in share_rows(report)}
    for between in report.between:
        for feature, found in between.features.items():
            row = rows[between.policy, feature]
            assert (row["value"], row["p"]) == pytest.approx((found.share.value, found.p_value), nan_ok=True)
    for feature, null in report.split_halves.items():
        row = rows[NULL, feature]
        assert (row["lower"], row["upper"]) == pytest.approx((null.lower, null.upper), nan_ok=True)
    table = app.dataframe[0].value
    assert list(table.columns[2:]) == [*(between.policy for between in report.between), NULL]
    answers = table.set_index("feature").loc["answers"]
    share = report.between[0].features["answers"].share
    assert answers[report.between[0].policy].startswith(f"{share.value:.1%} [{share.lower:.1%}, {share.upper:.1%}]")
    assert figures(app) == 1


def test_one_policy_adds_nothing_to_itself(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "diversity", part="between", policy="tiny-2m", **SMALL))
    assert "Choose two policies" in said(app)


def test_persistence_is_scored_when_asked_and_says_what_it_lacks(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    switches = {"part": "persistence", "run": PASSK, "score_problems": "4", "score_rollouts": "4"}
    app = sound(open_view(monkeypatch, runs, "diversity", policy=["tiny-60k", "tiny-360k"], **switches))
    assert not figures(app)
    app = sound(press(app, "Score"))
    assert figures(app) == 1
    assert "No matched temperature" in said(app)


def test_only_policies_whose_weights_are_here_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer is enough to read tokens, not to score them: scoring would have gone for the weights."""
    place = sample(tmp_path / "runs")
    model = tmp_path / "model"
    model.mkdir()
    whole = find_here(find_member("tiny-60k"))
    assert isinstance(whole, Path)
    shutil.copy(whole / "tokenizer.json", model)
    path = place / PASSK / "config.json"
    content = json.loads(path.read_text())
    content["config"]["policies"]["tiny-60k"]["source"] = str(model)
    path.write_text(json.dumps(content))
    assert decoder_of(open_store(place / PASSK), "tiny-60k") is not None
    app = sound(open_view(monkeypatch, place, "diversity", part="persistence", run=PASSK))
    (under,) = [box for box in app.selectbox if box.label == "Scored under"]
    assert under.options == POLICIES
    words = said(app).replace("\\", "")  # signs are escaped
    assert "Not scored: tiny-60k: " in words
    assert "lacks a whole config.json, weights (*.safetensors)." in words
    both = ["tiny-60k", "tiny-2m"]
    app = sound(open_view(monkeypatch, place, "diversity", part="persistence", run=PASSK, policy=both))
    assert "1 can be had" in said(app)
    assert not any(button.label == "Score" for button in app.button)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_a_learner_that_was_not_sampled_at_1_is_not_called_the_null(temperature: float) -> None:
    from s2l_lab.app.parts.diversity_persistence import NO_CONTROL, control_words

    words = control_words(SimpleNamespace(result=SimpleNamespace(rows=[SimpleNamespace(temperature=temperature)])))
    assert words.endswith(NO_CONTROL)
    assert ("no null" in words) == (temperature != 1)


def test_the_map_has_every_completion_and_the_colours_are_a_switch(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = list(open_store(runs / PASSK).problems())[1]
    switches = {"part": "map", "run": PASSK, "problem": problem, "map_rollouts": "10", "colour": "outcome"}
    app = sound(open_view(monkeypatch, runs, "diversity", policy="tiny-60k", **switches))
    app = sound(press(app, "Make the map"))
    assert figures(app) == 1
    assert "10 completions of tiny" in said(app)
    assert address_of(app)["colour"] == ["outcome"]
    for colour in ("answer", "policy"):
        app = sound(open_view(monkeypatch, runs, "diversity", policy="tiny-60k", **switches | {"colour": colour}))
        assert figures(app) == 1  # nothing is embedded again


def test_the_completion_of_an_address_is_open_before_the_map_is_made(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s2l_lab.app.parts.safe import visible

    store = open_store(runs / PASSK)
    row = page(store, RolloutFilter(policies=("tiny-60k",))).rows[3]
    text = visible(read_rollout(store, row.address).text)
    switches = {"part": "map", "run": PASSK, "policy": "tiny-60k"}
    there = {"problem": row.problem_id, "rollout": row.address}
    app = sound(open_view(monkeypatch, runs, "diversity", **switches, **there))
    assert text in [code.value for code in app.code]
    assert address_of(app)["rollout"] == [row.address]
    sound(app.segmented_control(key="diversity.colour").set_value("outcome").run())
    assert text in [code.value for code in app.code]
    assert address_of(app)["rollout"] == [row.address]
    other = next(problem for problem in store.problems() if problem != row.problem_id)
    sound(app.selectbox(key="diversity.problem").set_value(other).run())
    assert "rollout" not in address_of(app)
    assert not app.warning
    for wrong in (there | {"problem": other}, there | {"policy": "tiny-2m"}, there | {"rollout": "<b>nothing</b>"}):
        lost = sound(open_view(monkeypatch, runs, "diversity", **switches | wrong))
        assert "is none of this map" in said(lost)
        assert "rollout" not in address_of(lost)
        assert text not in [code.value for code in lost.code]


def test_a_click_wins_over_the_address_and_letting_go_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    from s2l_lab.app.parts.address import Address
    from s2l_lab.app.parts.diversity_map import FIGURE, _clicked

    state: dict[str, Any] = {"diversity.rollout": "p.1"}
    monkeypatch.setattr(streamlit, "session_state", state)
    for points, opened in (([{"customdata": ["p.2"]}], "p.2"), ([], "")):
        state[FIGURE] = {"selection": {"points": points}}
        address = Address.__new__(Address)
        address.view = "diversity"
        _clicked(address)
        assert state["diversity.rollout"] == opened


@pytest.mark.parametrize("part", ["within", "between", "persistence", "map"])
def test_no_policy_is_an_empty_state_of_every_part(runs: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "diversity", run=PASSK, part=part, policy=""))
    assert app.multiselect(key="diversity.policy").value == []
    assert ":material/inbox:" in said(app)
    assert address_of(app)["policy"] == [""]


def test_rollouts_of_training_are_not_measured_and_can_be_mapped(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "diversity", run=RUNS[0], store="rollouts"))
    assert "drawn for training" in said(app)
    app = sound(open_view(monkeypatch, runs, "diversity", run=RUNS[0], store="rollouts", part="map"))
    assert any(button.label == "Make the map" for button in app.button)


def test_a_run_without_rollouts_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sample(tmp_path / "runs")
    for part in (place / PASSK / "rollouts").iterdir():
        part.unlink()
    app = open_view(monkeypatch, place, "diversity", **SMALL)
    assert not app.exception
    assert "left out" in said(app) or "no rollouts" in said(app).lower()
    assert not figures(app)


def test_an_address_with_what_is_not_there_is_reported_and_the_rest_is_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sound(open_view(monkeypatch, runs, "diversity", condition="nonsense", **SMALL))
    assert any("nonsense" in warning.value for warning in app.warning)
    assert "condition" not in address_of(app)
