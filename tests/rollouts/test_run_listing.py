"""Manifests and the list of runs: a run says what made it, and a broken one is listed as broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, manifest, problems, verify, writer
from pydantic import ValidationError

import s2l_lab
from s2l_lab.browse.store_facts import read_facts
from s2l_lab.cli.runs import run as list_runs
from s2l_lab.digest import content_digest
from s2l_lab.errors import UsageError
from s2l_lab.rollouts import RolloutStore, RunManifest, collect
from s2l_lab.rollouts.listing import is_run, run_folders


def fill(run: Path, n: int = 2) -> None:
    with writer(run) as store:
        collect(store, HashedPolicy(), problems(3), n, SAMPLING, verify=verify, verifier_version=VERSION)


def test_the_manifest_says_what_made_the_run(tmp_path: Path) -> None:
    before = manifest(rollouts=2, note=None)
    assert before.config == {"rollouts": 2, "note": None}
    assert before.config_digest == content_digest(before.config)
    assert before.s2l_lab == s2l_lab.__version__
    assert before.command == tuple(sys.argv)
    assert before.packages["duckdb"]
    assert before.cores >= 1
    assert (before.commit is None) == (before.dirty is None)
    assert RunManifest.model_validate_json(before.model_dump_json()) == before
    with pytest.raises(ValidationError):
        RunManifest.model_validate({**before.model_dump(), "colour": "red"})


def test_a_session_is_noted_at_its_first_write_and_ended_at_its_close(tmp_path: Path) -> None:
    run = tmp_path / "run"
    writer(run).close()
    assert RolloutStore(run).sessions == []
    with writer(run) as store:
        store.add_problems(problems(1))
        assert [session.end for session in RolloutStore(run).sessions] == [None]
    (session,) = RolloutStore(run).sessions
    assert session.end is not None
    assert session.end > session.start
    config = json.loads((run / "config.json").read_text())
    assert config["identity"]["sampling"] == {"temperature": 1.0, "top_k": None}


def test_runs_are_found_below_a_folder_with_what_they_hold(tmp_path: Path) -> None:
    fill(tmp_path / "b" / "deep")
    writer(tmp_path / "a").close()
    fill(tmp_path / "c")
    (tmp_path / "c" / "parts.json").write_text("{")
    fill(tmp_path / "d")
    with writer(tmp_path / "d") as store:
        store.add_problems(problems(5))
        rows = {path.name: read_facts(path) for path in run_folders(tmp_path)}
    assert list(rows) == ["a", "deep", "c", "d"]
    assert {name: row.state for name, row in rows.items()} == {
        "a": "empty",
        "deep": "done",
        "c": "unreadable",
        "d": "being written",
    }
    deep = rows["deep"]
    assert (deep.policies, deep.problems, deep.rollouts, deep.unverified) == (("hashed",), 3, 6, 0)
    assert deep.when == RolloutStore(tmp_path / "b" / "deep").sessions[-1].end
    assert "parts.json" in rows["c"].trouble[0]
    assert [is_run(tmp_path / name) for name in ("a", "b", "c", "nowhere")] == [True, False, True, False]
    assert list(run_folders(tmp_path / "b" / "deep")) == [tmp_path / "b" / "deep"]


def test_the_command_prints_one_line_a_run_and_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    list_runs(Path("runs"))
    assert "No run directories below runs" in capsys.readouterr().out
    fill(Path("runs/good"))
    fill(Path("runs/bad"))
    next(Path("runs/bad/rollouts").iterdir()).unlink()
    list_runs(Path("runs"))
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.startswith("runs/good"))
    assert line.split()[:5] == ["runs/good", "hashed", "3", "6", "0"]
    assert "it is missing" in out
    with pytest.raises(UsageError, match="is no folder"):
        list_runs(Path("elsewhere"))
