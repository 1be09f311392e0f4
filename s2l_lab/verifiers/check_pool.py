"""Checks with an end to each: what might not end runs in a process that is killed when its time is over.

The rules of this package take time linear in the text, so short texts are checked in place. A process of its own is for
the checkers of reasoning-gym, which are not ours, and for texts longer than SHORT. Such a case is then VERIFIER_ERROR
with the reason, never wrong. The process is started when first needed and kept.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any

from s2l_lab.errors import S2LError, UsageError
from s2l_lab.verifiers.checks import Case, check
from s2l_lab.verifiers.maths_process import READY, WALL_CLOCK
from s2l_lab.verifiers.pool import Pool
from s2l_lab.verifiers.verdict import Outcome, Verdict

SHORT = 20_000
"""Characters that are checked in place, in some milliseconds; a completion of 4,096 tokens has fewer."""


class CheckPool(Pool):
    """Checks cases; keeps its process until `close`."""

    def __init__(self, *, seconds: float, megabytes: int) -> None:
        """`seconds` of processor time for one case, and WALL_CLOCK times as much by the wall clock."""
        self._limits = (seconds, megabytes)
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def check(self, case: Case) -> Verdict:
        """The verdict on a case that is no comparison of maths. Raises UsageError where the case cannot be checked."""
        if case.kind != "reasoning_gym" and len(case.text) <= SHORT:
            return check(case)
        with self._lock:
            try:
                return self._ask(case)
            except BaseException:  # Ctrl-C included: a reply that comes later must not answer the next question
                self.close()
                raise

    def close(self) -> None:
        """End and reap the process. Safe to call twice; another is started when asked again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _ask(self, case: Case) -> Verdict:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        fields = {field.name: getattr(case, field.name) for field in dataclasses.fields(case)}
        try:
            process.stdin.write(json.dumps({**fields, "metadata": dict(case.metadata)}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it died while idle; the end of its replies says so
        reply = process.stdout.readline()
        if not reply.endswith(b"\n"):
            return self._died(process)
        kind, *rest = json.loads(reply)
        if kind == "refused":
            raise UsageError(rest[0])
        outcome, answer, canonical, detail = rest
        return Verdict(Outcome(outcome), answer, canonical, detail)

    def _start(self) -> subprocess.Popen[bytes]:
        """A process that says that it is ready. Raises S2LError if it cannot start."""
        command = [sys.executable, "-P", "-m", "s2l_lab.verifiers.check_worker", *map(str, self._limits)]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,
            )
            self._process = process
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line or json.loads(line) != READY:
                process.wait()
                errors.seek(0)
                said: list[Any] = errors.read().decode(errors="replace").strip().splitlines()
                raise S2LError(f"the verifiers' worker could not start ({said[-1] if said else 'it said nothing'}).")
        return process

    def _died(self, process: subprocess.Popen[bytes]) -> Verdict:
        """The verdict on a case that its process did not survive."""
        code = process.wait()
        self.close()
        seconds = self._limits[0]
        if code == -signal.SIGPROF:
            detail = f"no verdict in {seconds:g} s of computing"
        elif code == -signal.SIGALRM:
            detail = f"no verdict in {WALL_CLOCK * seconds:g} s"
        elif code < 0:
            detail = f"the verifiers' worker died ({signal.Signals(-code).name})"
        else:
            raise S2LError(
                f"the verifiers' worker ended with status {code}, which is a defect of s2l-lab. Please report it with "
                "the rollout that it was asked about."
            )
        return Verdict(Outcome.VERIFIER_ERROR, None, None, detail)
