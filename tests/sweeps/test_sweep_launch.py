"""run_sweep with real processes: a scripted stand-in for `s2l-lab train` notes every start and does as it is told."""

import contextlib
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sweep_files import sweep_of
from sweep_process import command

from s2l_lab.errors import UsageError
from s2l_lab.rollouts.lock import WriterLock
from s2l_lab.sweeps import SweepOutcome, SweepPlan, reports, run_sweep, state_of
from s2l_lab.sweeps import places as places_module
from s2l_lab.sweeps.places import places

SCRIPT = Path(__file__).with_name("sweep_process.py")
ONE_ARM = "[[arm]]\nname = 'one'"
TWO_ARMS = """
[[arm]]
name = "GRPO"
change = {training = {explorer_fraction = 0}}
[[arm]]
name = "mixed"
[[arm]]
name = "GRPO again"
change = {training = {explorer_fraction = 0, schedule = "constant"}}
"""
BANKS = """
[[arm]]
name = "no bank"
[[arm]]
name = "small"
change = {explorer = {kind = "bank", rollouts = 4}}
[[arm]]
name = "large"
change = {explorer = {kind = "bank", rollouts = 9, select = "placebo"}}
[[arm]]
name = "other"
change = {explorer = {kind = "bank", rollouts = 5, seed = 1}}
"""


class Control:
    """The control files of the stand-in."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "control"
        self.folder.mkdir(parents=True)

    def ledger(self) -> list[dict[str, Any]]:
        path = self.folder / "ledger"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def starts(self) -> Counter[int]:
        """Of runs, by seed."""
        return Counter(line["seed"] for line in self.ledger() if line["filling"] is None)

    def gate(self, seed: int) -> None:
        os.mkfifo(self.folder / "started")
        os.mkfifo(self.folder / f"gate-{seed}")

    def wait_for_start(self) -> str:
        """The digest of the run that stands at its gate."""
        return (self.folder / "started").read_text()

    def open_gate(self, seed: int) -> None:
        gate = self.folder / f"gate-{seed}"
        gate.write_text("open")
        gate.unlink()


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """No run stays at its gate after the test."""
    control = Control(tmp_path / "runs")
    yield control
    for gate in control.folder.glob("gate-*"):
        with contextlib.suppress(OSError):  # nobody stands there
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))


def launch(sweep: SweepPlan, tmp_path: Path, said: list[str] | None = None, workers: int = 1) -> SweepOutcome:
    announce = (lambda _: None) if said is None else said.append
    return run_sweep(sweep, root=tmp_path / "runs", workers=workers, announce=announce, command=command, fill=command)


@pytest.fixture
def in_process(tmp_path: Path) -> Iterator[Any]:
    """Starts run_sweep in a process of its own, one run at once; none outlives the test."""
    started = []

    def start(sweep: SweepPlan, shell: str = "", stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        pickled = tmp_path / "sweep.pickle"
        pickled.write_bytes(pickle.dumps(sweep))
        program = [sys.executable, str(SCRIPT), str(pickled), str(tmp_path / "runs")]
        if shell:
            program = ["sh", "-c", f'{shell}; exec "$@"', "sh", *program]
        started.append(subprocess.Popen(program, stdout=stdout, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_each_distinct_run_is_made_once_in_order_of_seed(tmp_path: Path, control: Control) -> None:
    sweep = sweep_of(tmp_path, TWO_ARMS)
    outcome = launch(sweep, tmp_path)
    assert (len(outcome.finished), outcome.failed, outcome.exit_status) == (4, (), 0)
    assert [line["digest"] for line in control.ledger()] == list(sweep.runs)
    assert [line["seed"] for line in control.ledger()] == [0, 0, 1, 1]
    found = reports(sweep, tmp_path / "runs")
    assert {name: list(seeds) for name, seeds in found.items()} == {
        "GRPO": [0, 1],
        "mixed": [0, 1],
        "GRPO again": [0, 1],
    }
    assert found["GRPO"][1] == found["GRPO again"][1]
    assert found["GRPO"][1].digest != found["mixed"][1].digest
    assert launch(sweep, tmp_path).finished == ()
    assert len(control.ledger()) == 4


def test_a_run_that_another_sweep_finished_is_not_made_again(tmp_path: Path, control: Control) -> None:
    launch(sweep_of(tmp_path, ONE_ARM, "[0, 1]"), tmp_path)
    wider = sweep_of(tmp_path, ONE_ARM.replace("one", "other"), "[1, 2]")
    launch(wider, tmp_path)
    assert control.starts() == {0: 1, 1: 1, 2: 1}
    assert list(reports(wider, tmp_path / "runs")["other"]) == [1, 2]


def test_processes_at_once_are_pinned_apart(tmp_path: Path, control: Control) -> None:
    at_once = min(2, len(places(None)))
    if at_once == 2:
        os.mkfifo(control.folder / "together")  # either run ends only while the other is there
    launch(sweep_of(tmp_path, ONE_ARM), tmp_path, workers=at_once)
    lines = control.ledger()
    assert len(lines) == 2
    mine = places(at_once)
    seen = {frozenset(line["processors"]) for line in lines}
    assert seen == {place.processors for place in mine}
    assert {line["threads"] for line in lines} == {place.environment["OMP_NUM_THREADS"] for place in mine}
    assert all(not a & b for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (8, None), (8, 3), (8, 8), (5, 2)])
def test_places_share_the_cores_out(monkeypatch: pytest.MonkeyPatch, cores: int, workers: int | None) -> None:
    """Cores of two logical processors each: place by place disjoint, together all, sizes apart by at most one."""
    monkeypatch.setattr(places_module, "gpus", list)
    all_cores = [frozenset({i, i + cores}) for i in range(cores)]
    monkeypatch.setattr(places_module, "physical_cores", lambda: all_cores)
    found = places(workers)
    assert len(found) == (workers or cores)
    assert sum(len(place.processors) for place in found) == len(frozenset().union(*(p.processors for p in found)))
    assert frozenset().union(*(place.processors for place in found)) == frozenset(range(2 * cores))
    threads = [int(place.environment["OMP_NUM_THREADS"]) for place in found]
    assert threads == [len(place.processors) // 2 for place in found]
    assert max(threads) - min(threads) <= 1


def test_each_place_has_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "gpus", lambda: ["3", "GPU-a"])
    assert [place.environment for place in places(None)] == [
        {"CUDA_VISIBLE_DEVICES": "3"},
        {"CUDA_VISIBLE_DEVICES": "GPU-a"},
    ]


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_workers_without_a_place_are_refused(tmp_path: Path, control: Control, workers: int) -> None:
    with pytest.raises(UsageError, match="of its own: give 1 to"):
        launch(sweep_of(tmp_path, ONE_ARM), tmp_path, workers=workers)
    assert control.ledger() == []


@pytest.mark.parametrize(("fault", "status"), [("fail-0", 3), ("silent-0", 0)])
def test_a_failed_run_is_shown_and_tried_again(tmp_path: Path, control: Control, fault: str, status: int) -> None:
    sweep = sweep_of(tmp_path, ONE_ARM)
    (control.folder / fault).touch()
    said: list[str] = []
    outcome = launch(sweep, tmp_path, said)
    assert (outcome.finished, outcome.failed, outcome.exit_status) == (("one, seed 1",), ("one, seed 0",), 1)
    directory = tmp_path / "runs" / next(iter(sweep.runs))
    (shown,) = [line for line in said if "FAILED" in line]
    assert "training with seed 0" in shown
    assert str(directory / "log.txt") in shown
    assert ("the loss is not finite" in shown) == (fault == "fail-0")
    assert json.loads((directory / "failed.json").read_bytes())["status"] == status
    assert state_of(directory).condition == "failed"
    assert list(reports(sweep, tmp_path / "runs")["one"]) == [1]
    (control.folder / fault).unlink()
    assert launch(sweep, tmp_path).exit_status == 0
    assert control.starts() == {0: 2, 1: 1}
    assert state_of(directory).condition == "done"
    assert not (directory / "failed.json").exists()


def test_banks_are_filled_once_before_the_runs_that_draw_from_them(tmp_path: Path, control: Control) -> None:
    """`small` and `large` share a bank, which is filled for the larger; `other` has another sampling seed."""
    assert launch(sweep_of(tmp_path, BANKS), tmp_path).exit_status == 0
    lines = control.ledger()
    assert [line["filling"] for line in lines[:2]] == [9, 5]
    assert [line["filling"] for line in lines[2:]] == [None] * 8
    control.folder.joinpath("ledger").unlink()
    assert launch(sweep_of(tmp_path, BANKS), tmp_path).exit_status == 0
    assert control.ledger() == []


def test_no_run_overtakes_its_bank(tmp_path: Path, control: Control) -> None:
    """The bank of `small` and `large` is held back until a run without a bank ended with the last seed."""
    if len(places(None)) > 1:
        os.mkfifo(control.folder / "gate-bank-9")

    def announce(line: str) -> None:
        gate = control.folder / "gate-bank-9"
        if line.startswith("no bank, seed 1") and "finished" in line and gate.exists():
            gate.write_text("open")

    sweep = sweep_of(tmp_path, BANKS)
    at_once = min(2, len(places(None)))
    run_sweep(sweep, root=tmp_path / "runs", workers=at_once, announce=announce, command=command, fill=command)
    lines = control.ledger()
    digests = {arm.plan.digest for arm in sweep.arms() if arm.name in ("small", "large")}
    drawing = [at for at, line in enumerate(lines) if line["digest"] in digests]
    assert len(drawing) == 4
    assert min(drawing) > [line["filling"] for line in lines].index(9)


def test_without_its_bank_a_run_is_not_started_and_the_rest_is(tmp_path: Path, control: Control) -> None:
    (control.folder / "fail-bank").touch()
    outcome = launch(sweep_of(tmp_path, BANKS, "[0]"), tmp_path)
    assert outcome.finished == ("no bank, seed 0",)
    assert set(outcome.failed) >= {"small, seed 0", "large, seed 0", "other, seed 0"}
    assert control.starts() == {0: 1}
    (control.folder / "fail-bank").unlink()
    assert launch(sweep_of(tmp_path, BANKS, "[0]"), tmp_path).exit_status == 0
    assert control.starts() == {0: 4}


@pytest.mark.parametrize("orphan_lives", [True, False])
def test_after_kill_9_only_what_is_owed_is_made(
    tmp_path: Path, control: Control, in_process: Any, orphan_lives: bool
) -> None:
    """Seed 0 is done, seed 1 trains when the sweep is killed, seed 2 waits. The process of seed 1 outlives the sweep
    and keeps its lock, or dies too and is resumed."""
    sweep = sweep_of(tmp_path, ONE_ARM, "[0, 1, 2]")
    control.gate(1)
    first = in_process(sweep)
    digest = control.wait_for_start()
    first.kill()
    first.wait()
    directory = tmp_path / "runs" / digest
    assert state_of(directory).condition == "running"
    if not orphan_lives:
        os.kill(control.ledger()[-1]["process"], signal.SIGKILL)
        (control.folder / "gate-1").unlink()
    said: list[str] = []

    def announce(line: str) -> None:
        said.append(line)
        if orphan_lives and "running elsewhere" in line:
            control.open_gate(1)

    outcome = run_sweep(sweep, root=tmp_path / "runs", workers=1, announce=announce, command=command, fill=command)
    assert outcome.exit_status == 0
    assert set(outcome.finished) == {"one, seed 1", "one, seed 2"}
    assert control.starts() == {0: 1, 1: 1 if orphan_lives else 2, 2: 1}
    assert list(reports(sweep, tmp_path / "runs")["one"]) == [0, 1, 2]


def test_two_sweeps_at_once_make_no_run_twice(tmp_path: Path, control: Control, in_process: Any) -> None:
    sweep = sweep_of(tmp_path, ONE_ARM, "[0, 1, 2]")
    control.gate(0)
    other = in_process(sweep)
    control.wait_for_start()
    said: list[str] = []

    def announce(line: str) -> None:
        said.append(line)
        if "finished" in line and "seed 2" in line:
            control.open_gate(0)

    run_sweep(sweep, root=tmp_path / "runs", workers=1, announce=announce, command=command, fill=command)
    assert other.wait() == 0
    assert control.starts() == {0: 1, 1: 1, 2: 1}
    assert sum("running elsewhere" in line for line in said) == 1
    assert list(reports(sweep, tmp_path / "runs")["one"]) == [0, 1, 2]


def test_a_run_that_train_holds_is_left_alone(tmp_path: Path, control: Control) -> None:
    """`s2l-lab train` by hand has no lock of a sweep, but one of its own."""
    sweep = sweep_of(tmp_path, ONE_ARM, "[0]")
    directory = tmp_path / "runs" / next(iter(sweep.runs))
    directory.mkdir()
    lock = WriterLock(directory / "training.lock")
    said: list[str] = []

    def announce(line: str) -> None:
        said.append(line)
        if "running elsewhere" in line:
            assert state_of(directory).condition == "running"
            assert control.ledger() == []
            lock.release()

    run_sweep(sweep, root=tmp_path / "runs", workers=1, announce=announce, command=command, fill=command)
    assert sum("running elsewhere" in line for line in said) == 1
    assert control.starts() == {0: 1}


@pytest.mark.parametrize(
    ("number", "shell"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGTERM, "trap '' INT")]
)
def test_an_interrupt_ends_processes_in_order_and_all_is_resumed(
    tmp_path: Path, control: Control, in_process: Any, number: signal.Signals, shell: str
) -> None:
    """The stand-in leaves a checkpoint on SIGINT, and hears it though a shell started the sweep with SIGINT ignored."""
    sweep = sweep_of(tmp_path, ONE_ARM)
    control.gate(0)
    process = in_process(sweep, shell)
    directory = tmp_path / "runs" / control.wait_for_start()
    process.send_signal(number)
    assert process.wait() != 0
    assert (directory / "checkpoint").exists()
    assert state_of(directory).condition == "interrupted"
    assert not (directory / "failed.json").exists()
    (control.folder / "gate-0").unlink()
    assert launch(sweep, tmp_path).exit_status == 0
    assert control.starts() == {0: 2, 1: 1}


def test_a_second_interrupt_ends_a_process_that_hears_none(tmp_path: Path, control: Control, in_process: Any) -> None:
    sweep = sweep_of(tmp_path, ONE_ARM)
    (control.folder / "deaf").touch()
    control.gate(0)
    process = in_process(sweep, stdout=subprocess.PIPE)
    directory = tmp_path / "runs" / control.wait_for_start()
    process.send_signal(signal.SIGINT)
    assert any(b"interrupted; waiting for 1 processes" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    assert process.wait() != 0
    assert state_of(directory).condition == "interrupted"
    assert control.starts() == {0: 1}
