"""The main job as a user runs it: `s2l-lab passk --family tiny`, then the same call again, then `s2l-lab --help`.

Whole processes, timed from outside, with the operating system's own peak memory of the process. `--help` is set beside
a bare interpreter, in turn, since a machine's load moves both. The numbers that the job found are kept too: README
shows them, and nothing in it is typed by hand.

    python benchmarks/main_job.py
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "main_job.json"
COMMAND = ("passk", "--family", "tiny")
HELP_PAIRS = 15


@dataclass(frozen=True)
class Run:
    """One finished process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def timed(*command: str, log: Path) -> Run:
    """Run a command to its end, its output in a file. Raises SystemExit if it fails."""
    start = time.perf_counter()
    with log.open("wb") as output:
        pid = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1), (os.POSIX_SPAWN_DUP2, output.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} failed:\n{log.read_text()}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main() -> None:
    """Measure, print a table, write the result."""
    program = str(Path(sys.executable).with_name("s2l-lab"))
    with tempfile.TemporaryDirectory() as folder:
        log, out = Path(folder, "log"), Path(folder, "run")
        job = (program, *COMMAND, "--out", str(out))
        first, second = timed(*job, log=log), timed(*job, log=log)
        numbers = json.loads((out / "numbers.json").read_text())
        pairs = [
            (timed(program, "--help", log=log), timed(sys.executable, "-c", "pass", log=log)) for _ in range(HELP_PAIRS)
        ]
    helps, bare = ([run.seconds for run in column] for column in zip(*pairs, strict=True))
    result = {
        "command": "s2l-lab " + " ".join(COMMAND),
        "first call": asdict(first),
        "second call": asdict(second),
        "first_over_second": first.seconds / second.seconds,
        "help": {"median_seconds": statistics.median(helps), "bare_interpreter": statistics.median(bare)},
        "machine": {"cores": os.cpu_count(), "python": sys.version.split()[0], "torch": version("torch")},
        "numbers": {k: v for k, v in numbers.items() if k not in ("run_directory", "differences", "command")},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{'':14}{'seconds':>9}{'CPU s':>9}{'peak MB':>9}")
    for name, run in (("first call", first), ("second call", second)):
        print(f"{name:14}{run.seconds:9.1f}{run.cpu_seconds:9.1f}{run.peak_mb:9.0f}")
    print(f"--help: {statistics.median(helps):.3f} s, bare interpreter {statistics.median(bare):.3f} s (medians)")


if __name__ == "__main__":
    main()
