"""What S2L-PO's trainer costs beside TRL's: time of a step, time of generation, peak memory, each a ratio in one run.

    python benchmarks/training.py [--pairs 32]

The learner is the embedded family's largest member on Countdown, G = 16, one thread.

1. *A step at explorer fraction 0* over one of TRL's GRPOTrainer, rewards verified. Aim: at most 1.03. The two take
   turns, a whole cycle of the training loop each (data, generation, update, logging), each with its own random state:
   both do the same work to the bit, which their losses must show.
2. *Generation at explorer fraction 1/2* with an explorer 5.3 times smaller, over GRPO's, both per FLOP that the learner
   would have needed for the same tokens, against what counted FLOPs predict (`Cost.relative_rollout_compute`). Aim:
   within 15 %. In turn, at two sizes of round. Beside it both halves alone, and what the explorer's half takes in TRL's
   own generation instead of our sampler: they say where a miss comes from, and the notes in the result put it in words.
3. *Peak memory* of a process that trains with that explorer, less its weights, over one of TRL's trainer. Aim: at most
   1.05. What the package imports counts: the other process has none of it.

Medians of ratios within a pair with their order-statistic interval (95 %); wall clock, and CPU time for a machine that
is busy. Writes results/training.json.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a thread of ours is then all of a trainer's work

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from results_file import keep, machine
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl import GRPOConfig, GRPOTrainer

if TYPE_CHECKING:
    from collections.abc import Callable

FAMILY = Path(str(resources.files("s2l_lab"))) / "policies" / "tiny" / "tiny"
LEARNER, EXPLORER = "2m", "360k"
STEP_PROBLEMS, GROUP, MAX_TOKENS = 4, 16, 96
GENERATION_PAIRS = {8: 10, 32: 6}
"""Pairs by problems in a round; the first pair of each warms up and is not counted."""
MEMORY_STEPS, MEMORY_PAIRS = 3, 2
AIMS = {"step": 1.03, "generation": 0.15, "memory": 1.05}
SETTINGS: dict[str, Any] = {
    "num_generations": GROUP,
    "per_device_train_batch_size": STEP_PROBLEMS * GROUP,
    "max_completion_length": MAX_TOKENS,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": [],
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "seed": 3,
}
PAPER: dict[str, Any] = {
    "lr_scheduler_type": "constant",
    "weight_decay": 0.01,
    "beta": 1e-3,
    "use_bias_correction_kl": False,
    "delta": 3.0,
}
"""S2LPOConfig's defaults that are not TRL's; equal losses in part 1 show that none is missing."""


class Seconds(NamedTuple):
    """Of one turn or call."""

    wall: float
    cpu: float


class Turn(TrainerCallback):
    """Lets a trainer do one cycle of its loop, then the next trainer; keeps global random states apart."""

    def __init__(self, trainer: Any, mine: threading.Semaphore, following: threading.Semaphore) -> None:
        self.trainer, self._mine, self._following = trainer, mine, following
        self.cycles: list[Seconds] = []
        self._began: Seconds | None = None

    def run(self) -> None:
        self._mine.acquire()
        try:
            set_seed(self.trainer.args.seed)
            self.trainer.train()
        finally:
            self._following.release()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._began is not None:
            self.cycles.append(since(self._began, time.thread_time))
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()
        self._following.release()
        self._mine.acquire()
        torch.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])
        self._began = Seconds(time.perf_counter(), time.thread_time())


def since(began: Seconds, cpu: Callable[[], float]) -> Seconds:
    return Seconds(time.perf_counter() - began.wall, cpu() - began.cpu)


def member(name: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(FAMILY / name, dtype=torch.float32)


def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(FAMILY / LEARNER)


def trl_trainer(folder: str, rows: dict[str, list[str]], reward: Any, steps: int) -> GRPOTrainer:
    config = GRPOConfig(folder, max_steps=steps, **SETTINGS, **PAPER)
    return GRPOTrainer(member(LEARNER), reward, config, Dataset.from_dict(rows), processing_class=tokenizer())


def our_trainer(
    folder: str, rows: dict[str, list[str]], reward: Any, steps: int, fraction: float, learner: str = LEARNER
) -> Any:
    from s2l_lab.policies import open_policy
    from s2l_lab.training import S2LPOConfig, S2LPOTrainer

    config = S2LPOConfig(folder, max_steps=steps, schedule="constant", explorer_fraction=fraction, **SETTINGS)
    explorer = open_policy(f"tiny-{EXPLORER}", engine="transformers") if fraction else None
    data = Dataset.from_dict(rows)
    return S2LPOTrainer(member(learner), reward, config, data, processing_class=tokenizer(), explorer=explorer)


def prompts(n: int) -> tuple[Any, dict[str, list[str]]]:
    """Countdown problems, and the rows of their dataset."""
    from s2l_lab.policies.tiny.prompt import render_compact
    from s2l_lab.problems.countdown import countdown_benchmark
    from s2l_lab.training import problem_rows

    problems = countdown_benchmark(n, split="train").problems
    return problems, problem_rows(problems, render_compact)


def any_reward(completions: list[str], **_: Any) -> list[float]:
    return [float(sum(map(ord, text)) % 2) for text in completions]


def median(values: list[float]) -> dict[str, float]:
    """Median with the narrowest pair of order statistics that covers it with 95 % (or all, for fewer than six)."""
    from scipy.stats import binom

    ordered, n = sorted(values), len(values)
    cut = max(int(binom.ppf(0.025, n, 0.5)) - 1, 0)
    return {"value": float(np.median(ordered)), "lower": ordered[cut], "upper": ordered[n - 1 - cut], "n": n}


# 1. A step.


def step_result(pairs: int) -> dict[str, Any]:
    from s2l_lab.policies.stopping import eos_ids
    from s2l_lab.training import VerifiedReward

    steps = pairs + 2  # the first cycle warms up, the last has no end in on_step_begin
    problems, rows = prompts(STEP_PROBLEMS * steps)
    reward = VerifiedReward(problems, eos_ids(member(LEARNER), tokenizer()))
    with tempfile.TemporaryDirectory() as folder:
        trainers = trl_trainer(folder, rows, reward, steps), our_trainer(folder, rows, reward, steps, 0.0)
        gates = [threading.Semaphore(0) for _ in trainers]
        turns = [Turn(t, gate, other) for t, gate, other in zip(trainers, gates, reversed(gates), strict=True)]
        for turn in turns:
            turn.trainer.add_callback(turn)
        gates[0].release()
        with ThreadPoolExecutor(len(turns)) as threads:
            for done in [threads.submit(turn.run) for turn in turns]:
                done.result()
    reward.close()
    losses = [[e["loss"] for e in t.state.log_history if "loss" in e] for t in trainers]
    if losses[0] != losses[1]:
        sys.exit("TRL's trainer and ours at explorer fraction 0 had other losses: they did not do the same work.")
    timed = list(zip(turns[1].cycles[1:], turns[0].cycles[1:], strict=True))
    return {
        "problems": STEP_PROBLEMS,
        "ratio": median([ours.wall / trl.wall for ours, trl in timed]),
        "ratio_cpu": median([ours.cpu / trl.cpu for ours, trl in timed]),
        "seconds_of_trl": median([trl.wall for _, trl in timed]),
        "same_losses": True,
        "aim": AIMS["step"],
    }


# 2. Generation.


class Generated(NamedTuple):
    """One generation of a round: seconds, of its two parts too, and counted FLOPs."""

    seconds: Seconds
    learner: float
    explorer: float
    cost: Any

    def per_flop(self, seconds: float) -> float:
        """Seconds per FLOP that the learner would have needed for these tokens."""
        return seconds / self.cost.grpo_rollout_flops


def generate(trainer: Any, prompt_ids: list[list[int]], index: int, slots: int, group: int) -> Generated:
    """What the trainer does for round `index`, nothing else."""
    from s2l_lab.training.cost import Cost
    from s2l_lab.training.rounds import Round, count
    from s2l_lab.training.schedule import explorer_mask

    trainer._round = this = Round(index, slots, explorer_mask(group, slots), None)
    rows = [ids for ids in prompt_ids for _ in range(group)]
    began = Seconds(time.perf_counter(), time.process_time())
    trainer._generate_single_turn(rows, None, {}, group)
    taken, cost, learner = since(began, time.process_time), Cost(), trainer._learner_shape
    shape = trainer.explorer.shape if trainer.explorer else learner
    count(cost, this, this.lengths_B, this.explorer_G * len(prompt_ids), learner_shape=learner, explorer_shape=shape)
    return Generated(taken, this.learner_seconds, this.explorer_seconds, cost)


def generation_result(problems: int, pairs: int, trainers: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    read, half = tokenizer(), GROUP // 2
    seen = []
    for i in range(pairs + 1):
        ids = [read(text)["input_ids"] for text in texts[i * problems : (i + 1) * problems]]
        seen.append(
            (
                generate(trainers["GRPO"], ids, i + 1, 0, GROUP),
                generate(trainers["half"], ids, i + 1, half, GROUP),
                generate(trainers["explorer by TRL"], ids, i + 1, 0, half),
            )
        )
    seen = seen[1:]
    predicted = [b.cost.relative_rollout_compute for _, b, _ in seen]
    measured = [b.per_flop(b.learner + b.explorer) / a.per_flop(a.learner) for a, b, _ in seen]
    cpu = [b.per_flop(b.seconds.cpu) / a.per_flop(a.seconds.cpu) for a, b, _ in seen]
    # The explorer's tokens in TRL's generation, at the seconds per token that it takes there.
    by_trl = [
        b.per_flop(c.learner / c.cost.learner.tokens * b.cost.explorer.tokens) / a.per_flop(a.learner)
        for a, b, c in seen
    ]
    return {
        "problems": problems,
        "measured": median(measured),
        "measured_cpu": median(cpu),
        "predicted": float(np.median(predicted)),
        "measured_over_predicted": median([m / p for m, p in zip(measured, predicted, strict=True)]),
        "measured_over_predicted_cpu": median([m / p for m, p in zip(cpu, predicted, strict=True)]),
        "learner_half": {
            "measured": median([b.per_flop(b.learner) / a.per_flop(a.learner) for a, b, _ in seen]),
            "predicted": float(np.median([b.per_flop(b.cost.learner.flops) for _, b, _ in seen])),
        },
        "explorer_half": {
            "measured": median([b.per_flop(b.explorer) / a.per_flop(a.learner) for a, b, _ in seen]),
            "in_trls_generation": median(by_trl),
            "predicted": float(np.median([b.per_flop(b.cost.explorer.flops) for _, b, _ in seen])),
        },
        "aim": AIMS["generation"],
    }


def generation_results() -> list[dict[str, Any]]:
    _, rows = prompts(max(n * (pairs + 1) for n, pairs in GENERATION_PAIRS.items()))
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            "GRPO": our_trainer(folder, rows, any_reward, 1, 0.0),
            "half": our_trainer(folder, rows, any_reward, 1, 0.5),
            "explorer by TRL": our_trainer(folder, rows, any_reward, 1, 0.0, EXPLORER),
        }
        for trainer in trainers.values():
            trainer.model.train()  # the trainer's own generation is for training alone
        return [generation_result(n, pairs, trainers, rows["prompt"]) for n, pairs in GENERATION_PAIRS.items()]


def generation_notes(result: dict[str, Any]) -> str:
    """Whether the aim was met at this size of round, and where the difference is."""
    over, own = result["measured_over_predicted"], result["explorer_half"]
    met = "met" if abs(over["value"] - 1) <= AIMS["generation"] else "missed"
    learner = result["learner_half"]
    return (
        f"{result['problems']} problems a round, aim {met}: {over['value']:.2f} times what FLOPs predict. The "
        f"learner's half took {learner['measured']['value']:.3f} of GRPO's generation (FLOPs: "
        f"{learner['predicted']:.3f}), the explorer's {own['measured']['value']:.3f} (FLOPs: {own['predicted']:.3f}; "
        f"in TRL's own generation it takes {own['in_trls_generation']['value']:.3f}). What the explorer takes above "
        "its FLOPs in either engine is the cost of a decoding step that does not shrink with the model; the rest is "
        "our sampler's against TRL's generation. Both are per step, so they weigh less the more rows a round has."
    )


# 3. Memory.


def child(arm: str, rows: Path) -> None:
    """Train some steps and print the peak memory of this process, in MB, and the explorer's weights in it."""
    data, explorer_bytes = json.loads(rows.read_text()), 0
    with tempfile.TemporaryDirectory() as folder:
        if arm == "TRL":
            trainer = trl_trainer(folder, data, any_reward, MEMORY_STEPS)
        else:
            trainer = our_trainer(folder, data, any_reward, MEMORY_STEPS, 0.5)
            weights = trainer.explorer._policy.model.parameters()
            explorer_bytes = sum(p.numel() * p.element_size() for p in weights)
        before = _status("VmRSS")
        trainer.train()
    print(json.dumps({"peak": _status("VmHWM"), "before": before, "explorer": explorer_bytes / 2**20}))


def _status(name: str) -> float:
    """A line of this process's /proc status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def memory_result() -> dict[str, Any]:
    """Both processes of a pair run at once: peaks do not depend on who else is busy."""
    arms, seen = ("TRL", "ours"), []
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.json")
        rows.write_text(json.dumps(prompts(STEP_PROBLEMS * MEMORY_STEPS)[1]))
        for _ in range(MEMORY_PAIRS):
            command = [sys.executable, __file__, "--rows", str(rows), "--child"]
            running = [subprocess.Popen([*command, arm], stdout=subprocess.PIPE, text=True) for arm in arms]
            outputs = [process.communicate()[0] for process in running]
            if any(process.returncode for process in running):
                sys.exit("a child process failed; its message is above.")
            seen.append([json.loads(output.splitlines()[-1]) for output in outputs])
    ratios = [(ours["peak"] - ours["explorer"]) / trl["peak"] for trl, ours in seen]
    return {
        "ratio": {"value": float(np.median(ratios)), "least": min(ratios), "greatest": max(ratios), "n": len(ratios)},
        "peak_mb": {arm: [pair[i]["peak"] for pair in seen] for i, arm in enumerate(arms)},
        "before_training_mb": {arm: [pair[i]["before"] for pair in seen] for i, arm in enumerate(arms)},
        "explorer_weights_mb": seen[0][1]["explorer"],
        "aim": AIMS["memory"],
    }


def show(report: dict[str, Any]) -> None:
    def line(name: str, ratio: dict[str, float]) -> None:
        low, high = (ratio[k] for k in (("lower", "upper") if "lower" in ratio else ("least", "greatest")))
        print(f"{name:58}{ratio['value']:8.3f}   {low:.3f} to {high:.3f}, n = {ratio['n']}")

    line("a step at fraction 0 over TRL's", report["step_at_fraction_0"]["ratio"])
    line("  CPU time", report["step_at_fraction_0"]["ratio_cpu"])
    for result in report["generation_at_fraction_half"]:
        where = f"{result['problems']} problems"
        line(f"generation at 1/2 over its FLOPs' prediction, {where}", result["measured_over_predicted"])
        line("  CPU time", result["measured_over_predicted_cpu"])
    line("peak memory over TRL's, less the explorer's weights", report["peak_memory"]["ratio"])
    print("\n".join(report["notes"]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--child", choices=("TRL", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.rows)
        return
    load = os.getloadavg()[0]
    step, generation, memory = step_result(options.pairs), generation_results(), memory_result()
    report = {
        "learner": f"tiny-{LEARNER}",
        "explorer": f"tiny-{EXPLORER}",
        "group": GROUP,
        "max_tokens": MAX_TOKENS,
        "step_at_fraction_0": step,
        "generation_at_fraction_half": generation,
        "peak_memory": memory,
        "notes": [generation_notes(result) for result in generation],
        "machine": machine("torch", "transformers", "trl", threads=torch.get_num_threads(), load_before=load),
    }
    show(report)
    keep("training", report)


if __name__ == "__main__":
    main()
