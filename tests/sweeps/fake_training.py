"""A scripted stand-in for `s2l-lab train` and `s2l-lab bank`: notes each start, then does what control files say.

control/ledger           one line for each start: digest, seed, process, processors, threads
control/fail-SEED        a run of this seed ends with status 3
control/silent-SEED      ... with status 0 and no report
control/gate-SEED        a FIFO: a run of this seed says so in the FIFO `started`, then waits for somebody to open it
control/gate-bank-N       a FIFO: the filling of a bank of N rollouts waits before it notes anything
control/deaf             a run hears no SIGINT
control/together         a FIFO in which two runs wait for each other
"""

import json
import os
import signal
import sys
from pathlib import Path

PART = {"tokens": 1, "flops": 1.0, "seconds": 1.0}


def main(plan_path: Path, out: Path) -> int:
    is_run = plan_path.parent == out
    control = (out.parent if is_run else out) / "control"
    plan = json.loads(plan_path.read_bytes())
    digest, seed = out.name, plan["training"]["seed"]
    line = {
        "digest": digest,
        "seed": seed,
        "filling": None if is_run else plan["explorer"]["rollouts"],
        "process": os.getpid(),
        "processors": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }
    gate = control / f"gate-bank-{line['filling']}"
    if gate.exists():
        gate.read_text()
    with (control / "ledger").open("a") as ledger:
        ledger.write(json.dumps(line) + "\n")
    if line["filling"] is not None:
        return 4 if (control / "fail-bank").exists() else 0
    if (control / "deaf").exists():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(f"training with seed {seed}", flush=True)
    try:
        _wait(control, seed, digest)
    except KeyboardInterrupt:
        (out / "checkpoint").touch()
        return 130
    if (control / f"fail-{seed}").exists():
        print("the loss is not finite", file=sys.stderr)
        return 3
    if not (control / f"silent-{seed}").exists():
        (out / "report.json").write_text(json.dumps(_report(digest, plan)))
    return 0


def _wait(control: Path, seed: int, digest: str) -> None:
    gate = control / f"gate-{seed}"
    if gate.exists():
        (control / "started").write_text(digest)
        gate.read_text()
    if (control / "together").exists():
        try:
            (control / "first").touch(exist_ok=False)
        except FileExistsError:
            (control / "together").write_text("here")
        else:
            (control / "together").read_text()


def _report(digest: str, plan: object) -> dict[str, object]:
    return {
        "digest": digest,
        "plan": plan,
        "command": "fake",
        "steps": 2,
        "rounds": 2,
        "evaluations": [],
        "cost": {"explorer": PART, "learner": PART, "updates": PART, "grpo_rollout_flops": 1.0},
        "relative_rollout_compute": 1.0,
        "explorer_share": 0.0,
        "seconds": 1.0,
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
