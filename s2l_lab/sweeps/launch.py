"""run_sweep: every distinct run of a sweep once, in local processes, until nothing is owed.

    ROOT/DIGEST/              a run directory of `s2l-lab train`, which ends with report.json; beside that of ours:
        sweep-plan.json       the plan that train is given
        log.txt               what it said, attempt by attempt
        failed.json           exit status of the last attempt, if it failed
    ROOT/banks/filling-KEY/   the same three for the filling of a bank

A run is named by its plan's digest, so sweeps that share arms share runs. What is owed is read from the disk, so a
sweep that was stopped in any way is resumed by the same command, and `s2l-lab train` resumes each run. A run that
another process works on is waited for, and made here if that one gives up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s2l_lab.rollouts.durable import make_folder
from s2l_lab.sweeps.banks import bank_key, banks_of
from s2l_lab.sweeps.interrupts import interruptible
from s2l_lab.sweeps.places import Place, places
from s2l_lab.sweeps.process import PLAN, Process
from s2l_lab.sweeps.status import LOG, tail
from s2l_lab.training.report import REPORT

if TYPE_CHECKING:
    from s2l_lab.sweeps.plan import SweepPlan
    from s2l_lab.training.plan import TrainingPlan

ROOT = Path("runs") / "training"
PROGRAM = (sys.executable, "-c", "from s2l_lab.cli import main; main()")
POLL_SECONDS = 0.2
LAST_LINES = 8
"""Of a failed run's log."""

Command = Callable[[Path, Path], list[str]]
"""Plan file and directory (a run's, or the root for a bank) -> program and arguments."""


def train_command(plan: Path, out: Path) -> list[str]:
    """`s2l-lab train` of one run."""
    return [*PROGRAM, "train", str(plan), "--out", str(out)]


def bank_command(plan: Path, root: Path) -> list[str]:
    """`s2l-lab bank` of the bank that a plan draws from."""
    return [*PROGRAM, "bank", str(plan), "--root", str(root)]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A run or the filling of a bank."""

    title: str
    directory: Path
    plan: TrainingPlan
    needs: Job | None = None
    """Job of the bank that has to be filled first; None if there is none."""
    is_run: bool = True

    @property
    def done(self) -> bool:
        """Whether it is a finished run. (A bank is asked anew by every sweep; a full one is found full.)"""
        return self.is_run and (self.directory / REPORT).exists()


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a call of run_sweep came to. Titles of runs and banks."""

    finished: tuple[str, ...]
    """Here or elsewhere, in this call."""
    failed: tuple[str, ...]
    """Runs whose bank could not be filled among them."""

    @property
    def exit_status(self) -> int:
        """1 where something failed."""
        return 1 if self.failed else 0


def run_sweep(
    sweep: SweepPlan,
    *,
    root: Path = ROOT,
    workers: int | None = None,
    announce: Callable[[str], None] = print,
    command: Command = train_command,
    fill: Command = bank_command,
) -> SweepOutcome:
    """Fill the banks that are needed, then make every run that is not finished, `workers` at once.

    A failed run is shown and the rest is finished. Raises UsageError for workers that the machine has no place for; on
    KeyboardInterrupt, SIGTERM and SIGHUP all processes are interrupted and waited for, and KeyboardInterrupt is raised.
    """
    make_folder(root)
    jobs = _jobs(sweep, root)
    free = list(places(workers))
    runs = sum(job.is_run for job in jobs)
    announce(f"{sweep.name}: {len(sweep.runs)} runs, {len(sweep.runs) - runs} of them done; {len(free)} at once")

    def words_of(job: Job, plan_file: Path) -> list[str]:
        return command(plan_file, job.directory) if job.is_run else fill(plan_file, root)

    launcher = _Launcher(jobs, free, words_of, announce)
    with interruptible():
        try:
            while launcher.advance():
                time.sleep(POLL_SECONDS)
        except BaseException:
            launcher.stop()
            raise
    return SweepOutcome(*(tuple(job.title for job in jobs) for jobs in (launcher.finished, launcher.failed)))


def _jobs(sweep: SweepPlan, root: Path) -> list[Job]:
    """What is owed, in order: banks, then runs."""
    owed = {digest: arms for digest, arms in sweep.runs.items() if not (root / digest / REPORT).exists()}
    banks = {}
    for key, plan in banks_of(arms[0].plan for arms in owed.values()).items():
        assert plan.explorer is not None
        directory = root / "banks" / f"filling-{key}"
        title = f"bank of {plan.explorer.member}, {plan.explorer.rollouts} rollouts a problem"
        banks[key] = Job(title, directory, plan, is_run=False)
    runs = [
        Job(arms[0].title, root / digest, arms[0].plan, banks.get(bank_key(arms[0].plan) or ""))
        for digest, arms in owed.items()
    ]
    return [*banks.values(), *runs]


class _Launcher:
    """Jobs that wait, processes that run, places that are free."""

    def __init__(
        self,
        jobs: list[Job],
        free: list[Place],
        words_of: Callable[[Job, Path], list[str]],
        announce: Callable[[str], None],
    ) -> None:
        self.finished: list[Job] = []
        self.failed: list[Job] = []
        self._waiting, self._free, self._words_of, self._announce = jobs, free, words_of, announce
        self._running: dict[Job, Process] = {}
        self._elsewhere: set[Job] = set()
        self._total = len(jobs)

    def advance(self) -> bool:
        """Take in what has ended and start what can be; whether anything is left."""
        for job, process in list(self._running.items()):
            status = process.ended()
            if status is not None:
                self._end(job, process, status)
        for job in list(self._waiting):
            if job.done:
                self._drop(job, self.finished, "finished elsewhere")
            elif job.needs is not None and job.needs in self.failed:
                self._drop(job, self.failed, f"not started: the {job.needs.title} was not filled")
            elif self._free and (job.needs is None or job.needs in self.finished):
                self._start(job)
        return bool(self._waiting or self._running)

    def stop(self) -> None:
        """Interrupt all processes and wait for them. A second interrupt kills them."""
        try:
            for process in self._running.values():
                process.interrupt()
            if self._running:
                count = len(self._running)
                self._announce(f"interrupted; waiting for {count} processes to end. Again: stop them at once")
            for process in self._running.values():
                process.close(failed=False)
        except KeyboardInterrupt:
            for process in self._running.values():
                process.kill()
                process.close(failed=False)
            raise

    def _start(self, job: Job) -> None:
        words = self._words_of(job, job.directory / PLAN)
        process = Process.start(job.directory, job.plan, words, self._free[0])
        if process is None:
            if job not in self._elsewhere:
                self._announce(f"{job.title}: running elsewhere; waiting for it ({job.directory})")
                self._elsewhere.add(job)
            return
        del self._free[0]
        self._waiting.remove(job)
        self._running[job] = process
        self._announce(f"{job.title}: started on {process.place.title} ({job.directory})")

    def _end(self, job: Job, process: Process, status: int) -> None:
        good = status == 0 and (job.done or not job.is_run)
        process.close(failed=not good)
        del self._running[job]
        self._free.append(process.place)
        if good:
            self._say(job, self.finished, "finished")
            return
        reason = f"FAILED with exit status {status}" if status else "FAILED: it ended without a report"
        lines = "".join(f"\n    {line}" for line in tail(job.directory / LOG, LAST_LINES))
        self._say(job, self.failed, f"{reason}; its log {job.directory / LOG} ends:{lines}")

    def _drop(self, job: Job, among: list[Job], how: str) -> None:
        self._waiting.remove(job)
        self._say(job, among, how)

    def _say(self, job: Job, among: list[Job], how: str) -> None:
        among.append(job)
        ended = len(self.finished) + len(self.failed)
        self._announce(f"{job.title} ({ended} of {self._total}): {how}")
