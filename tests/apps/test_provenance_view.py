"""The Provenance view says of a run what is stored of it, to the letter."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from hostile_runs import HOSTILE, hostile_runs
from opened_views import PASSK, SAMPLE, address_of, open_view, said, sample, sound

from s2l_lab.browse.catalog import find_runs
from s2l_lab.browse.provenance import provenance
from s2l_lab.browse.store import open_store


def test_facts_sessions_and_commands_are_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "provenance", run=PASSK))
    store = open_store(SAMPLE / PASSK)
    about = provenance(store)
    (facts,) = [frame.value for frame in app.dataframe if "fact" in frame.value.columns]
    said_ = dict(zip(facts["fact"], facts["value"], strict=True))
    assert said_["data hash (problems)"] == about.data_hash
    assert said_["rollouts hash (keys and completions)"] == about.rollouts_hash
    assert said_["sampling"] == about.sampling
    assert said_["verifier"] == about.verifier
    commands = [code.value for code in app.code]
    assert about.command in commands
    assert f"s2l-lab dashboard --runs {shlex.quote(str(SAMPLE))}" in commands
    (sessions,) = [frame.value for frame in app.dataframe if "commit" in frame.value.columns]
    assert sessions["config"].tolist() == [session.config_digest for session in store.sessions()]
    assert address_of(app) == {"run": [PASSK]}


def test_every_run_of_the_directory_is_listed_with_its_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = sample(tmp_path / "runs")
    (runs / PASSK / "manifest.json").write_text("{")
    app = sound(open_view(monkeypatch, runs, "provenance", run=PASSK))
    (table,) = [frame.value for frame in app.dataframe if "what is wrong" in frame.value.columns]
    entries = find_runs(runs).entries
    assert table["run"].tolist() == [entry.name for entry in entries]
    assert table["state"].tolist() == [entry.state for entry in entries]
    assert table["rollouts"].tolist() == [entry.rollouts for entry in entries]
    assert "No session is recorded" in said(app)


def test_a_training_run_shows_its_own_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "provenance", run="training/seed-0"))
    labels = [button.label for button in app.get("download_button")]
    assert any("report" in label for label in labels)


def test_a_training_run_without_a_readable_store_still_has_its_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = sample(tmp_path / "runs")
    run = runs / "training" / "seed-0"
    report = json.loads((run / "report.json").read_text())
    (run / "report.json").write_text(json.dumps(report | {"command": "s2l-lab train plan.toml seed=0"}))
    app = sound(open_view(monkeypatch, runs, "provenance", run="training/seed-0"))
    about = provenance(open_store(run / "rollouts"))
    assert [code.value for code in app.code][:2] == ["s2l-lab train plan.toml seed=0", "\n".join(about.commands)]
    bare = tmp_path / "bare"  # a directory of its own: a list of runs is kept for some seconds
    shutil.copytree(runs, bare)
    for store in [path.parent for path in (bare / "training" / "seed-0").glob("*/parts.json")]:
        shutil.rmtree(store)
    app = sound(open_view(monkeypatch, bare, "provenance", run="training/seed-0"))
    assert "has no rollouts that can be read" in said(app)
    assert app.code[0].value == "s2l-lab train plan.toml seed=0"


def test_every_command_of_a_topped_up_run_is_shown_and_packages_leave_as_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = sample(tmp_path / "runs")
    file = runs / PASSK / "manifest.json"
    stored = json.loads(file.read_text())
    last = stored["sessions"][-1]
    stored["sessions"].append(last | {"command": ["s2l-lab", "passk", "-n", "32"], "packages": {"numpy": "9.9"}})
    file.write_text(json.dumps(stored))
    app = sound(open_view(monkeypatch, runs, "provenance", run=PASSK))
    commands = provenance(open_store(runs / PASSK)).commands
    assert commands[-1] == "s2l-lab passk -n 32"
    assert len(commands) == 2
    assert app.code[0].value == "\n".join(commands)
    keys = {button.proto.id.rpartition("-")[2] for button in app.get("download_button")}
    assert {"provenance.versions.csv", "provenance.versions.parquet"} <= keys
    (packages,) = [frame.value for frame in app.dataframe if "package" in frame.value.columns]
    assert packages.to_dict("records") == [{"package": "numpy", "version": "9.9"}]


def test_a_hostile_run_is_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = sound(open_view(monkeypatch, hostile_runs(tmp_path), "provenance", run=HOSTILE))
    assert "Again" in said(app)
