"""One maths worker as its parent sees it: a process that is asked one question at a time and may die of it.

A plain subprocess rather than multiprocessing: nothing is forked from a process that holds torch or a GPU, and a user's
script is not imported again. It runs in a session of its own, so Ctrl-C in a terminal reaches the parent alone; when
the parent dies, the worker's input ends, or its timer does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from s2l_lab.errors import S2LError

READY = "ready"
"""What a worker says first, once all that it needs at once is imported."""


WALL_CLOCK = 6
"""An item may take so many times its processor time by the wall clock."""


class Status(StrEnum):
    """What a comparison came to."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"  # the answer is no mathematics: it is wrong
    UNREADABLE_GOLD = "unreadable_gold"  # nothing can be compared with this gold answer
    ERROR = "error"  # not known: out of time, out of memory, or an exception
    DIED = "died"  # not known: the worker was ended by someone else's signal; asking again may help


@dataclass(frozen=True, slots=True)
class MathsComparison:
    """The result for one (gold, answer)."""

    status: Status
    canonical: str | None
    """Canonical form of the answer; None if the worker ended before it had one."""
    detail: str


class MathsProcess:
    """A running worker, idle or with one question."""

    def __init__(self, seconds: float, megabytes: int) -> None:
        self._seconds, self._megabytes = seconds, megabytes
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        command = [sys.executable, "-P", "-m", "s2l_lab.verifiers.maths_worker", str(seconds), str(megabytes)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        self._ready = False
        self._buffer = b""
        self._verdict: tuple[Status, str] | None = None
        self._over_memory = False
        self.question: tuple[str, str] | None = None
        """The (gold, answer) that it is working on; None when idle."""
        self.ended = False
        """No further question can be asked."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Its replies, for a selector."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def ask(self, gold: str, answer: str) -> None:
        """Give it a question. Its death shows in `receive`."""
        assert self._process.stdin is not None
        self.question = (gold, answer)
        try:
            self._process.stdin.write(json.dumps([gold, answer]).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died while idle; the end of its replies says so

    def receive(self) -> MathsComparison | None:
        """Read what there is; the result once it is complete or the worker has died, else None.

        Raises S2LError if the worker could not even start.
        """
        chunk = os.read(self.fileno(), 1 << 16)
        if not chunk:
            return self._died()
        self._buffer += chunk
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            result = self._reply(json.loads(line))
            if result is not None:
                return result
        return None

    def _reply(self, value: Any) -> MathsComparison | None:
        if value == READY:
            self._ready = True
            return None
        if self._verdict is None:
            self._verdict = (Status(value[0]), value[1])
            return None
        canonical, stays = value
        self.ended = not stays
        return self._finish(MathsComparison(self._verdict[0], canonical, self._verdict[1]))

    def _finish(self, result: MathsComparison) -> MathsComparison:
        self.question, self._verdict = None, None
        return result

    def _died(self) -> MathsComparison | None:
        """The result of a question that its worker did not survive; None if it was idle."""
        code = self._process.wait()
        self.ended = True
        if not self._ready:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise S2LError(
                f"the maths verifier could not start ({said[-1] if said else f'exit status {code}'}). Check that "
                "math-verify, latex2sympy2-extended[antlr4_13_2], sympy and mpmath are installed in this environment."
            )
        if self.question is None:
            return None
        if self._verdict is not None:  # only the canonical form was missing
            return self._finish(MathsComparison(self._verdict[0], None, self._verdict[1]))
        if self._over_memory:
            return self._finish(MathsComparison(Status.ERROR, None, f"more than {self._megabytes} MB"))
        if code == -signal.SIGPROF:
            return self._finish(MathsComparison(Status.ERROR, None, f"no verdict in {self._seconds:g} s of computing"))
        if code == -signal.SIGALRM:
            return self._finish(MathsComparison(Status.ERROR, None, f"no verdict in {WALL_CLOCK * self._seconds:g} s"))
        cause = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return self._finish(MathsComparison(Status.DIED, None, f"the maths worker died ({cause})"))

    def watch_memory(self) -> None:
        """Kill it if it is larger than allowed."""
        import psutil

        try:
            if psutil.Process(self.pid).memory_info().rss > self._megabytes << 20:
                self._over_memory = True
                self._process.kill()
        except psutil.NoSuchProcess:
            pass  # the end of its replies says so

    def close(self) -> None:
        """End it, busy or not, and reap it. Safe to call twice."""
        self.ended = True
        self._process.kill()
        self._process.communicate()
        self._errors.close()
