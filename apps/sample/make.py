"""The small runs that ship with the explorer app, so that it opens on something: made anew by

    python apps/sample/make.py

A pass@k run of the embedded family (12 Countdown problems, 16 rollouts of each by each member, with log-probabilities
and entropies) and two seeds of a training run of six steps (groups of four, evaluated on the same problems). Far too
small to claim anything; every view has something to show. Weights and checkpoints are not kept.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from s2l_lab.figures.numbers import as_json, numbers
from s2l_lab.passk.request import PasskRequest
from s2l_lab.passk.run import run_passk
from s2l_lab.policies import SamplingParams
from s2l_lab.rollouts import loop
from s2l_lab.training.plan import plan_of
from s2l_lab.training.run import train

ROOT = Path(__file__).resolve().parents[2]
HERE = Path("apps/sample")
"""From ROOT: no path of the machine gets into the files."""
COMMAND = "python apps/sample/make.py"
PASSK, TRAINING = "passk-tiny-countdown", "training"
SEEDS = (0, 1)
PLAN: dict[str, Any] = {
    "learner": {"member": "tiny-360k"},
    "explorer": {"kind": "member", "member": "tiny-60k"},
    "problems": {"benchmark": "countdown-train", "count": 16},
    "evaluation": [{"benchmark": "countdown", "problems": 12, "rollouts": 8, "every": 3, "k": [1, 2, 4, 8]}],
    "training": {
        "max_steps": 6,
        "num_generations": 4,
        "per_device_train_batch_size": 16,
        "mix_steps": 5,
        "learning_rate": 2e-4,
        "max_completion_length": 64,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    },
}
NOT_KEPT = ("model", "checkpoints")
LOCKS = (".lock", "training.lock")


def main() -> None:
    """Sample, train, and leave only what the app reads."""
    os.chdir(ROOT)
    loop.FLUSH_SECONDS = 3600.0  # few files, however slow the machine
    sys.argv = COMMAND.split()  # what the manifests record
    for name in (PASSK, TRAINING):
        shutil.rmtree(HERE / name, ignore_errors=True)
    request = PasskRequest(problems=12, rollouts=16, sampling=SamplingParams(max_tokens=160), out=HERE / PASSK)
    report = run_passk(request, command=COMMAND, announce=print)
    (HERE / PASSK / "numbers.json").write_text(as_json(numbers(report)), encoding="utf-8")
    for seed in SEEDS:
        plan = plan_of(PLAN | {"training": PLAN["training"] | {"seed": seed}}, __file__)
        train(plan, HERE / TRAINING / f"seed-{seed}", command=COMMAND, announce=print)
    for path in [path for name in (*NOT_KEPT, *LOCKS) for path in HERE.rglob(name)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    size = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{size / 1000:.0f} kB in {HERE}")


if __name__ == "__main__":
    main()
