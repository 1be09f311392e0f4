"""One process of a sweep: its lock, its log, its cores, its end.

It is started with the lock's open file, so the lock lasts as long as it or the sweep does: after `kill -9` of the sweep
the process trains on, and a second sweep leaves it alone. It has a session of its own, so that Ctrl-C in the terminal
reaches the sweep only, which then ends its processes in its own way. Affinity is inherited from the starting thread;
setting it from outside would miss threads that the process has made by then.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from s2l_lab.rollouts.durable import append_line, make_folder, replacing
from s2l_lab.rollouts.lock import RunLockedError, WriterLock, holder
from s2l_lab.sweeps.status import FAILED, LOCK, LOG
from s2l_lab.training.report import LOCK as TRAINING_LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from s2l_lab.sweeps.places import Place
    from s2l_lab.training.plan import TrainingPlan

PLAN = "sweep-plan.json"


@dataclass(slots=True)
class Process:
    """A running process, with the right to its directory."""

    directory: Path
    command: Sequence[str]
    place: Place
    _lock: WriterLock
    _log: IO[bytes]
    _child: subprocess.Popen[bytes]

    @classmethod
    def start(cls, directory: Path, plan: TrainingPlan, command: Sequence[str], place: Place) -> Process | None:
        """Write the plan and start `command` for a run or bank directory; None while another process works there."""
        make_folder(directory)
        if holder(directory / LOCK) or holder(directory / TRAINING_LOCK):
            return None
        try:
            lock = WriterLock(directory / LOCK)
        except RunLockedError:
            return None
        (directory / FAILED).unlink(missing_ok=True)
        with replacing(directory / PLAN) as stream:
            stream.write(plan.model_dump_json(indent=1).encode())
        append_line(directory / LOG, f"--- {_now()} on {place.title}: {shlex.join(command)}")
        log = (directory / LOG).open("ab")
        with _pinned(place.processors):
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **place.environment},
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
        return cls(directory, command, place, lock, log, child)

    def ended(self) -> int | None:
        """The exit status (minus the signal's number where one ended it); None while it runs."""
        return self._child.poll()

    def interrupt(self) -> None:
        """Ask it to stop where it can be resumed."""
        self._child.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Stop it at once, with what it has started."""
        if self._child.poll() is None:  # not waited for, so the number is still its own
            os.killpg(self._child.pid, signal.SIGKILL)

    def close(self, *, failed: bool) -> None:
        """Wait for its end, keep the status of a failure, give the directory back."""
        status = self._child.wait()
        if failed:
            with replacing(self.directory / FAILED) as stream:
                stream.write(json.dumps({"status": status, "at": _now(), "command": list(self.command)}).encode())
        self._log.close()
        self._lock.release()


@contextlib.contextmanager
def _pinned(processors: frozenset[int]) -> Iterator[None]:
    """This thread on these logical processors, where the system can; nothing for an empty set."""
    if not processors or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
