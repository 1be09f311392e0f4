"""kill -9 and Ctrl-C of a real process: what was flushed stays, nothing is there twice, and resuming gives the run that
was never stopped. `S2L_LAB_KILLS=20` kills twenty times at random instead of twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hashed_policy import SAMPLING, HashedPolicy, content, problems
from killed_run import FLUSH, PROBLEMS, main

from s2l_lab.rollouts import Origin, RolloutStore

SCRIPT = Path(__file__).with_name("killed_run.py")
KILLS = int(os.environ.get("S2L_LAB_KILLS", "2"))
N = 80
POLICY = HashedPolicy("killed")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    run = tmp_path_factory.mktemp("reference") / "run"
    main(run, POLICY, N)
    return content(run)


def start(run: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(run), POLICY.name, str(N), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stored(run: Path) -> set[tuple[str, int]]:
    """Keys that are there, each once; an unmade run holds none."""
    if not (run / "parts.json").exists():
        return set()
    rows = content(run)
    keys = {(row["problem_id"], row["sample_index"]) for row in rows}
    assert len(keys) == len(rows)
    return keys


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, KILLS))])
def test_killed_at_a_random_moment_and_resumed_equals_uninterrupted(
    tmp_path: Path, seed: int, uninterrupted: list[dict[str, object]]
) -> None:
    run, rng = tmp_path / "run", random.Random(seed)
    child = start(run)
    assert child.stdout
    sampled = 0
    for _ in range(rng.randint(1, 25)):  # progress lines, so that the moment is not bound to this machine's speed
        if line := child.stdout.readline():
            sampled = int(line.split()[0])
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    before = stored(run)
    # All but what had not been flushed: one flush being written and one being gathered.
    assert len(before) >= sampled - 2 * FLUSH
    main(run, POLICY, N)
    assert before <= stored(run)
    assert content(run) == uninterrupted


@pytest.mark.parametrize(
    "events", [(3, 9), (314, 25), *(pytest.param(e, marks=pytest.mark.slow) for e in ((3, 9, 14), (314, 25, 33, 41)))]
)
def test_killed_at_any_step_of_a_flush_or_merge_and_resumed_equals_uninterrupted(
    tmp_path: Path, events: tuple[int, ...], uninterrupted: list[dict[str, object]]
) -> None:
    """Each session goes on where the last one was killed; what it had is never lost. The chains from 3
    die while a run begins, those from 314 while sixteen parts are merged."""
    run = tmp_path / "run"
    before: set[tuple[str, int]] = set()
    for event in events:
        child = start(run, str(event))
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        now = stored(run)
        assert before <= now
        before = now
    main(run, POLICY, N)
    assert content(run) == uninterrupted
    with RolloutStore(run) as store:
        ends = [session.end for session in store.sessions]
    assert ends[-1] is not None
    assert set(ends[:-1]) <= {None}


def test_control_c_keeps_what_was_sampled_and_says_how_to_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    child = start(run)
    assert child.stdout
    for _ in range(4):
        sampled = int(child.stdout.readline().split()[0])
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate()
    assert child.returncode == 1
    number = len(stored(run))
    assert number >= sampled
    last = errors.strip().splitlines()[-1]
    assert (
        f"interrupted: {number} of {PROBLEMS * N} rollouts of killed are kept in {run}; the same command goes on"
        in last
    )
    with RolloutStore(run) as store:
        assert store.sessions[-1].end is not None
        owed = store.owed(problems(PROBLEMS), Origin.of(POLICY, SAMPLING), N)
        assert sum(len(draws.indices) for draws in owed) == PROBLEMS * N - number
        assert store.writer is None
