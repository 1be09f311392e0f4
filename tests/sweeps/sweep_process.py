"""run_sweep over the stand-in in a process of its own, for tests that kill it: SWEEP.pickle ROOT."""

import pickle
import sys
from pathlib import Path

from s2l_lab.sweeps import run_sweep

FAKE = Path(__file__).with_name("fake_training.py")


def command(plan: Path, out: Path) -> list[str]:
    return [sys.executable, str(FAKE), str(plan), str(out)]


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sweep = pickle.loads(Path(sys.argv[1]).read_bytes())
    outcome = run_sweep(sweep, root=Path(sys.argv[2]), workers=1, announce=say, command=command, fill=command)
    sys.exit(outcome.exit_status)
