"""The process in which a check runs that might not end: a question a line on standard input, a reply a line.

A question is a case as JSON; a reply is `["verdict", ...]` with the fields of a Verdict, or `["refused", message]`
where the case cannot be checked at all. As in `maths_worker.py` the kernel ends the process when a case takes too long,
by its own processor time first and by the wall clock last; what must be imported for a kind does not count.

Started with `python -P -m s2l_lab.verifiers.check_worker SECONDS MEGABYTES`; never imported by the parent.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import resource
import signal
import sys
from typing import Any, TextIO

from s2l_lab.errors import S2LError
from s2l_lab.problems.gym import gym_set, gym_version
from s2l_lab.verifiers.checks import Case, check
from s2l_lab.verifiers.maths_process import READY, WALL_CLOCK


def main(seconds: float, megabytes: int) -> None:
    """Answer questions until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its worker
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (4 * megabytes << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a checker prints must not be read as a reply
    _reply(replies, READY)
    for line in sys.stdin:
        case = Case(**json.loads(line))
        try:
            if case.kind == "reasoning_gym":
                gym_version()
                gym_set(case.metadata["set"], case.metadata["seed"])
            _allow(seconds)
            verdict = check(case)
        except S2LError as error:
            _allow(0)
            _reply(replies, ["refused", str(error)])
            continue
        _allow(0)
        _reply(replies, ["verdict", *dataclasses.astuple(verdict)])


def _allow(seconds: float) -> None:
    """From now on so much processor time, and WALL_CLOCK times as much wall clock; 0 ends the limits."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_CLOCK * seconds)


def _reply(replies: TextIO, value: Any) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
