"""What the sweep tests share: a SWEEP.toml over the smallest embedded member."""

from pathlib import Path

from s2l_lab.sweeps import SweepPlan, read_sweep

BASE = """
[base]
learner = {member = "tiny-60k"}
explorer = {member = "tiny-60k"}
problems = {count = 8}
[[base.evaluation]]
problems = 4
rollouts = 4
k = [1, 4]
[base.training]
num_generations = 4
per_device_train_batch_size = 8
max_completion_length = 12
max_steps = 2
learning_rate = 1e-3
logging_steps = 1
save_strategy = "no"
"""


def write_sweep(folder: Path, text: str, seeds: str = "[0, 1]", base: str = BASE) -> Path:
    path = folder / "sweep.toml"
    path.write_text(f"seeds = {seeds}\n{base}\n{text}")
    return path


def sweep_of(folder: Path, text: str, seeds: str = "[0, 1]") -> SweepPlan:
    return read_sweep(write_sweep(folder, text, seeds))
