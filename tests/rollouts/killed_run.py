"""A collecting process that tests kill: `killed_run.py RUN POLICY N [EVENT]`.

Prints a line at every progress report. With EVENT it kills itself, by SIGKILL, just before its EVENT-th opening or
renaming of a file of the run, so that every step of a flush and of a merge can be the last one.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from hashed_policy import SAMPLING, VERSION, HashedPolicy, problems, verify, writer

from s2l_lab.rollouts import Progress, collect

PROBLEMS = 5
FLUSH = 20


def report(progress: Progress) -> None:
    print(progress.sampled, progress.verified, flush=True)


def die_before(run: Path, event: int) -> None:
    left = event

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if name in ("open", "os.rename") and str(arguments[0]).startswith(str(run)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(run: Path, policy: HashedPolicy, n: int) -> None:
    with writer(run) as store:
        collect(
            store,
            policy,
            problems(PROBLEMS),
            n,
            SAMPLING,
            verify=verify,
            verifier_version=VERSION,
            progress=report,
            flush_rollouts=FLUSH,
        )


if __name__ == "__main__":
    path = Path(sys.argv[1])
    if len(sys.argv) > 4:
        die_before(path, int(sys.argv[4]))
    main(path, HashedPolicy(sys.argv[2]), int(sys.argv[3]))
