"""The state of a run from its directory, and the tables of `s2l-lab sweep`."""

import json
from pathlib import Path

import pytest
from sweep_files import write_sweep

from s2l_lab.cli import sweep as cli
from s2l_lab.errors import DataError
from s2l_lab.rollouts.lock import WriterLock
from s2l_lab.sweeps import read_sweep, reports, state_of
from s2l_lab.sweeps.status import last_metrics, tail

ARMS = """
[factors.method.GRPO]
training = {explorer_fraction = 0}
[factors.method.S2L-PO]
[factors.explorer.60k]
[factors.explorer.bank]
explorer = {kind = "bank", rollouts = 8}
"""


def test_a_state_for_each_thing_that_can_have_become_of_a_run(tmp_path: Path) -> None:
    assert state_of(tmp_path / "nowhere").condition == "owed"
    (tmp_path / "log.txt").touch()
    assert state_of(tmp_path).condition == "interrupted"
    (tmp_path / "failed.json").write_text(json.dumps({"status": 3}))
    assert state_of(tmp_path).condition == "failed"
    assert "exit status 3" in state_of(tmp_path).detail
    (tmp_path / "metrics.jsonl").write_text('{"step": 4, "reward": 0.25}\n')
    lock = WriterLock(tmp_path / "sweep.lock")
    running = state_of(tmp_path)
    assert (running.condition, running.step, running.reward) == ("running", 4, 0.25)
    lock.release()
    (tmp_path / "report.json").touch()
    assert state_of(tmp_path).condition == "done"


def test_the_last_step_and_the_last_reward_past_evaluations_and_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert last_metrics(path) == (None, None)
    path.write_text('{"step": 0, "pass@1": 0.2}\n')
    assert last_metrics(path) == (0, None)
    lines = [
        '{"step": 5, "reward": 0.5}',
        '{"step": 6, "reward": null}',
        '{"step": 7, "pass@1": 1}',
        '{"step": 8, "rew',
    ]
    path.write_text("\n".join(lines))
    assert last_metrics(path) == (7, 0.5)


def test_the_tail_of_a_long_file_is_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("\n".join(f"line {i} é" for i in range(30_000)))
    assert tail(path, 2) == ["line 29998 é", "line 29999 é"]
    assert tail(tmp_path / "nowhere", 2) == []


def test_a_damaged_report_is_refused_by_path(tmp_path: Path) -> None:
    sweep = read_sweep(write_sweep(tmp_path, ARMS))
    directory = tmp_path / next(iter(sweep.runs))
    directory.mkdir()
    (directory / "report.json").write_text("{}")
    with pytest.raises(DataError, match=str(directory)):
        reports(sweep, tmp_path)


def test_a_dry_run_shows_arms_runs_and_banks_and_launches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_sweep(tmp_path, ARMS)
    root = tmp_path / "runs"
    cli.run(path, root=root, workers=None, dry_run=True, status=False)
    shown = capsys.readouterr().out
    assert "8 arms with seeds are 6 runs: 6 owed." in shown
    assert "Bank: 8 rollouts of tiny-60k for each of countdown-train, sampling seed 0." in shown
    assert "Nothing was launched." in shown
    rows = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    assert rows["GRPO / bank"][-3:] == ["GRPO", "/", "60k"]
    assert rows["S2L-PO / bank"][-1] == "2"
    assert not root.exists()


def test_status_shows_how_far_running_and_failed_runs_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path, ARMS)
    first, second, *_ = [tmp_path / digest for digest in read_sweep(path).runs]
    for directory in (first, second):
        directory.mkdir()
        (directory / "metrics.jsonl").write_text('{"step": 12, "reward": 0.375}\n')
    lock = WriterLock(first / "sweep.lock")
    (second / "failed.json").write_text(json.dumps({"status": 3}))
    cli.run(path, root=tmp_path, workers=None, dry_run=False, status=True)
    shown = capsys.readouterr().out
    lock.release()
    assert "GRPO / 60k, seed 0: running at step 12, reward .375" in shown
    assert f"S2L-PO / 60k, seed 0: failed at step 12; exit status 3, log in {second / 'log.txt'}" in shown
    assert "6 runs: 1 running, 1 failed, 4 owed." in shown
    assert "Bank" not in shown
