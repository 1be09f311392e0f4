"""The Training view shows what runs logged, spent and were trained on; one bad run hides no other."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from opened_views import PASSK, RUNS, address_of, figures, open_view, said, sample, sound

from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.metric_words import explain
from s2l_lab.browse.rollout_pages import page
from s2l_lab.browse.store import open_store
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.arms import read_run, rounds_of
from s2l_lab.training.logged import metrics
from s2l_lab.training.report import read_report


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample(tmp_path_factory.mktemp("training") / "runs")


def test_metrics_by_source_are_the_means_of_what_the_seeds_logged(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from s2l_lab.app.parts.training_curves import _bands, metric_names

    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0]))
    assert figures(app) == 1
    (switch,) = [box for box in app.selectbox if box.label == "Metric"]
    logged = [metrics(runs / run) for run in RUNS]
    assert switch.value == "<source>/reward"
    assert switch.options[0].endswith("by source")
    assert "<source>/length" in metric_names(logged)
    by_hand: dict[int, list[float]] = {}
    for run in RUNS:
        for line in (runs / run / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            if record.get("learner/reward") is not None:
                by_hand.setdefault(record["step"], []).append(record["learner/reward"])
    band = _bands(logged, "<source>/reward")["learner"]
    shared = [step for step, values in by_hand.items() if len(values) == len(RUNS)]
    assert band.step_S.tolist() == sorted(shared)
    assert band.value_S == pytest.approx([np.mean(by_hand[step]) for step in sorted(shared)])


def test_every_metric_can_be_drawn_and_stands_in_the_address(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for metric in ("loss", "explorer/weight", "<source>/token_share"):
        app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], metric=metric))
        assert figures(app) == 1
        assert address_of(app)["metric"] == [metric]


@pytest.mark.parametrize("part", ["evaluations", "annealing"])
def test_the_other_figures_are_drawn(runs: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part=part))
    assert figures(app) == 1
    if part == "evaluations":
        (row,) = app.dataframe[0].value.to_dict("records")
        assert row["step"] == read_report(runs / RUNS[0]).steps
        assert row["of"].startswith("2 seeds")


def test_cost_is_the_reports(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part="cost"))
    table = app.dataframe[0].value.set_index("seed")
    for run in RUNS:
        report = read_report(runs / run)
        row = table.loc[report.plan["training"].get("seed", 0)]
        assert row["explorer FLOPs"] == report.cost.explorer.flops
        assert row["updates tokens"] == report.cost.updates.tokens
        assert row["relative rollout compute"] == report.relative_rollout_compute


@pytest.mark.parametrize("step", [1, 3])
def test_the_rollouts_of_a_step_are_those_it_was_trained_on(
    runs: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part="rollouts", step=str(step)))
    rounds = rounds_of(read_run(runs / RUNS[0]))
    with RolloutStore(runs / RUNS[0] / "rollouts") as store:
        rows = store.read(["policy", "problem_id", "sample_index"], {}).to_pylist()
    expected = {
        (row["policy"], row["problem_id"], row["sample_index"])
        for row in rows
        if rounds.step(row["sample_index"]) == step
    }
    table = app.dataframe[0].value
    found = set(zip(table["source"], table["problem"], table["rollout"], strict=True))
    assert found == expected
    by = Counter(source for source, *_ in expected)
    for source, n in by.items():
        assert f"{n} by the {source}" in said(app)
    one = sound(
        open_view(monkeypatch, runs, "training", run=RUNS[0], part="rollouts", step=str(step), source="learner")
    )
    if by["learner"]:
        assert set(one.dataframe[0].value["source"]) == {"learner"}


def test_the_row_that_is_open_stands_in_the_address(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = 2
    at = {"run": RUNS[0], "part": "rollouts", "step": str(step)}
    app = sound(open_view(monkeypatch, runs, "training", **at))
    assert "rollout" not in address_of(app)
    assert "Choose a row" in said(app)
    store, rounds = open_store(runs / RUNS[0] / "rollouts"), rounds_of(read_run(runs / RUNS[0]))
    found = page(store, RolloutFilter(min_step=step, max_step=step, page_size=50), rounds)
    chosen = found.rows[-1]
    app = sound(open_view(monkeypatch, runs, "training", **at, rollout=chosen.address))
    assert address_of(app)["rollout"] == [chosen.address]
    words = said(app).replace("\\", "")
    assert f"{chosen.policy}, rollout {chosen.sample_index} of problem {chosen.problem_id}" in words
    app = sound(open_view(monkeypatch, runs, "training", **at, rollout="gone.0"))
    assert "is not in this list" in said(app)
    assert "rollout" not in address_of(app)


@pytest.mark.parametrize("part", ["curves", "evaluations", "annealing", "cost", "rollouts"])
def test_every_part_has_its_report(runs: Path, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part=part))
    assert len([button for button in app.get("download_button") if button.proto.label == "Report"]) == 1


def test_hovering_the_metric_explains_the_one_that_is_chosen(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], metric="loss"))
    (switch,) = [box for box in app.selectbox if box.label == "Metric"]
    assert switch.help.replace("\\", "") == explain("loss")


def test_every_column_of_the_cost_is_explained(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part="cost"))
    columns = json.loads(app.dataframe[0].proto.columns)
    assert [name for name in app.dataframe[0].value.columns if not columns.get(name, {}).get("help")] == []


def test_each_step_without_an_effective_weight_says_why(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part="annealing"))
    words = said(app).replace("\\", "")
    assert "the rewards of every group were equal" in words
    assert "the explorer has no slot (seed 0, steps 5 to 6; seed 1, steps 5 to 6)" in words


def test_one_bad_run_hides_no_other_and_torn_lines_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sample(tmp_path / "runs")
    with (place / RUNS[0] / "metrics.jsonl").open("a") as file:
        file.write('{"step": 7, "learner/rew')
    (place / RUNS[1] / "report.json").write_text("{")
    app = sound(open_view(monkeypatch, place, "training", run=RUNS[0]))
    assert figures(app) == 1
    words = said(app).replace("\\", "")
    assert "1 lines of metrics" in words
    assert f"{RUNS[1]} is left out" in words


def test_an_unfinished_run_is_shown_as_far_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sample(tmp_path / "runs")
    for run in RUNS:
        (place / run / "report.json").unlink()
        lines = (place / run / "metrics.jsonl").read_text().splitlines()
        (place / run / "metrics.jsonl").write_text("\n".join(lines[:5]) + "\n")
    for part in ("curves", "evaluations", "annealing", "cost", "rollouts"):
        app = sound(open_view(monkeypatch, place, "training", run=RUNS[0], part=part))
        assert figures(app) == (0 if part == "rollouts" else 1)
        if part == "cost":
            assert not app.dataframe[0].value["finished"].any()
        if part == "rollouts":
            assert "not finished" in said(app)


def test_without_a_training_run_the_view_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = sample(tmp_path / "runs")
    for run in RUNS:
        for file in ("plan.json", "report.json"):
            (place / run / file).unlink()
    app = sound(open_view(monkeypatch, place, "training", run=PASSK))
    assert "There is no training run" in said(app)
    assert any("s2l-lab train" in code.value for code in app.code)


def test_a_reader_may_choose_no_run_and_the_address_says_so(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_view(monkeypatch, runs, "training", run=RUNS[0])
    sound(app.multiselect(key="training.runs").set_value([]).run())
    address = address_of(app)
    assert address["runs"] == [""]
    again = open_view(monkeypatch, runs, "training", run=RUNS[0])
    again.query_params["runs"] = ""
    for shown in (app, again.run()):
        assert sound(shown).multiselect(key="training.runs").value == []
        assert "No run that can be read is chosen" in said(shown)


def test_rollouts_that_nobody_judged_are_said_beside_the_curve(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in RUNS:
        path = runs / run / "report.json"
        report = json.loads(path.read_bytes())
        last = report["evaluations"][-1]
        last["correct"][0], last["unknown"][0] = 0, 2
        path.write_text(json.dumps(report))
    app = sound(open_view(monkeypatch, runs, "training", run=RUNS[0], part="evaluations"))
    assert f"{2 * len(RUNS)} rollouts at step {last['step']} have no verdict because the verifier failed" in said(app)
    (table,) = [frame.value for frame in app.dataframe if "pass@1" in frame.value.columns]
    assert table["pass@1"].tolist()[0].startswith("\u2013 [")
