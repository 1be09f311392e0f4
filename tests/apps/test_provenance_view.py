"""The Provenance view says of a run what is stored of it, to the letter."""

from __future__ import annotations

import shlex
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


def test_a_hostile_run_is_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = sound(open_view(monkeypatch, hostile_runs(tmp_path), "provenance", run=HOSTILE))
    assert "Again" in said(app)
