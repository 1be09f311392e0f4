"""One sentence on each metric that a training run logs.

Ours are explained in `training/metric_names.py`, once. Those that TRL logs, and evaluations, are explained here.
"""

from __future__ import annotations

import re

from s2l_lab.training.metric_names import EXPLAINED

SOURCES = ("explorer", "learner")
_OTHERS = {
    "grad_norm": "Norm of the gradient before clipping.",
    "learning_rate": "Step size of the optimiser.",
    "num_tokens": "Tokens of prompts and completions seen so far, in all.",
    "reward_std": "Mean over groups of the rewards' deviation within the group.",
    "frac_reward_zero_std": "Share of groups whose rewards are all equal, so that they teach nothing.",
    "epoch": "Passes over the training problems.",
    "step_time": "Seconds of an optimiser step.",
    "completions/mean_length": "Mean completion length in tokens.",
    "completions/min_length": "Shortest completion of the round, in tokens.",
    "completions/max_length": "Longest completion of the round, in tokens.",
    "completions/mean_terminated_length": "Mean length of the completions that ended by themselves, in tokens.",
    "completions/min_terminated_length": "Shortest completion that ended by itself, in tokens.",
    "completions/max_terminated_length": "Longest completion that ended by itself, in tokens.",
    "rewards/correct/mean": "Mean reward of the verifier: the share of rollouts that are correct.",
    "rewards/correct/std": "Deviation of that reward over a round's rollouts.",
    "clip_ratio/low_mean": "Share of tokens whose ratio was clipped from below, mean over processes.",
    "clip_ratio/low_min": "Share of tokens whose ratio was clipped from below, smallest over processes.",
    "clip_ratio/high_mean": "Share of tokens whose ratio was clipped from above, mean over processes.",
    "clip_ratio/high_max": "Share of tokens whose ratio was clipped from above, largest over processes.",
    "clip_ratio/region_mean": "Share of tokens whose ratio was clipped on either side.",
    "train_runtime": "Seconds of the whole training.",
    "train_loss": "Mean loss over the training.",
    "completions/clipped_ratio": "Share of completions that were cut at the largest length.",
}
_EVALUATION = re.compile(r"eval/(.+)/pass@([0-9]+)(/lower|/upper)?")


def explain(name: str) -> str:
    """What a metric of this name is; empty where nobody has said."""
    if match := _EVALUATION.fullmatch(name):
        benchmark, k, end = match.groups()
        about = f"pass@{k} of the learner on held-out problems of {benchmark}"
        return f"{'Lower' if end == '/lower' else 'Upper'} end of the 95 % interval of {about}." if end else f"{about}."
    return EXPLAINED.get(name) or _OTHERS.get(name, "")
