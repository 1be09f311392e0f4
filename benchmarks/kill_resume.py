"""kill -9 at twenty random moments of a real run, then resume: what is lost, doubled or changed?

The run is the command that users type, on the largest embedded member. Each attempt is killed after a random time; the
last one runs to its end. Its rollouts are then compared, key by key, with those of a run that nobody disturbed: keys,
token ids, verdicts, and the largest difference of any log-probability (aim: 1e-5).

    python benchmarks/kill_resume.py [--kills 20]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from s2l_lab.rollouts import RolloutStore
from s2l_lab.rollouts.listing import is_run

RESULT = Path(__file__).parent / "results" / "kill_resume.json"
COMMAND = ("passk", "--family", "tiny", "--member", "tiny-2m", "--problems", "40", "-n", "256")
COLUMNS = ("problem_id", "sample_index", "token_ids", "logprobs", "text", "outcome")


def command(out: Path) -> list[str]:
    """The command line for a run directory."""
    return [str(Path(sys.executable).with_name("s2l-lab")), *COMMAND, "--out", str(out)]


def stored(out: Path) -> int:
    """Rollouts in a run directory, 0 before there is one."""
    if not is_run(out):
        return 0
    with RolloutStore(out) as store:
        return store.sizes()[0]


def rows(out: Path) -> dict[tuple[str, int], dict[str, object]]:
    """Every rollout with its verdict, by key. Fails if a key stands twice."""
    with RolloutStore(out) as store:
        table = store.read(COLUMNS, version=store.verifier_versions[0]).to_pylist()
    found = {(row["problem_id"], row["sample_index"]): row for row in table}
    if len(found) != len(table):
        sys.exit(f"{len(table) - len(found)} keys stand twice in {out}")
    return found


def main() -> None:
    """Kill, resume, compare, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    moments, seen = random.Random(0), []
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole"), Path(folder, "broken")
        start = time.monotonic()
        subprocess.run(command(whole), check=True, capture_output=True)
        seconds = time.monotonic() - start
        for _ in range(kills):
            process = subprocess.Popen(command(broken), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(moments.uniform(0.1, max(seconds * 0.3, 6.0)))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            seen.append(stored(broken))
        subprocess.run(command(broken), check=True, capture_output=True)
        expected, got = rows(whole), rows(broken)
    same = sum(got[key]["token_ids"] == row["token_ids"] for key, row in expected.items() if key in got)
    verdicts = sum(got[key]["outcome"] == row["outcome"] for key, row in expected.items() if key in got)
    apart = max(
        (
            float(np.abs(np.subtract(got[key]["logprobs"], row["logprobs"])).max())
            for key, row in expected.items()
            if key in got and len(got[key]["logprobs"]) == len(row["logprobs"])  # type: ignore[arg-type]
        ),
        default=math.nan,
    )
    result = {
        "command": "s2l-lab " + " ".join(COMMAND),
        "kills": kills,
        "stored_after_each_kill": seen,
        "rollouts": len(expected),
        "same_keys": expected.keys() == got.keys(),
        "same_token_ids": same,
        "same_verdicts": verdicts,
        "largest_logprob_difference": apart,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
