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
_COLUMNS = {
    "arm": "Runs whose plans differ in the seed alone, named by what sets them apart.",
    "run": "Learner, explorer and seed of the run.",
    "seed": "Seed of the training.",
    "seeds": "Training runs that the number is over.",
    "finished": "Whether the run reached its end; one that did not has what it logged so far.",
    "step": "Optimiser step of the evaluation that is shown, the last that every seed has.",
    "steps": "Optimiser steps that were made.",
    "of": "What the number is over: seeds, problems, rollouts.",
    "interval": "How the 95 % interval was made, and what it is about.",
    "stands beside": "Row of the paper's table that the arm stands beside; `ours`: the paper has no such row.",
    "trained on": "Problems that the learner was trained on.",
    "benchmark": "Held-out problems that the learner was evaluated on.",
    "problems": "Problems of the benchmark that were evaluated.",
    "first evaluated": "pass@1 at the first evaluated step, with its 95 % interval.",
    "relative rollout compute": "Rollout FLOPs, the explorer's included, over those of the same rollouts all sampled "
    "by the learner: 1 is GRPO's.",
    "explorer's share": "Explorer's share of the rollout FLOPs.",
    "source": "Who sampled the rollout: explorer or learner.",
    "problem": "Problem that the rollout answers.",
    "rollout": "Number of the rollout among all of this problem and policy.",
    "outcome": "What the verifier said.",
    "tokens": "Length of the completion.",
    "answer": "Answer that the verifier extracted.",
    "beginning": "First characters of the completion.",
    "verdict": "What our interval says of the claim.",
    "why": "What the verdict rests on.",
    "claim": "The paper's claim.",
    "difference": "Ours, of the two arms that the claim compares, with its 95 % interval.",
    "panel": "Panel of Figure 2.",
    "pair": "Our two policies, small and large.",
    "paper": "k at which the paper's curves cross.",
    "ours": "What our band says of the crossing.",
}
"""Of tables on the Training and Paper views."""
_COST = re.compile(r"(explorer|learner|updates) (FLOPs|tokens|seconds)")
_PASS = re.compile(r"pass@([0-9]+)")
_EVALUATION = re.compile(r"eval/(.+)/pass@([0-9]+)(/lower|/upper)?")


def explain(name: str) -> str:
    """What a metric of this name is; empty where nobody has said."""
    if match := _EVALUATION.fullmatch(name):
        benchmark, k, end = match.groups()
        about = f"pass@{k} of the learner on held-out problems of {benchmark}"
        return f"{'Lower' if end == '/lower' else 'Upper'} end of the 95 % interval of {about}." if end else f"{about}."
    return EXPLAINED.get(name) or _OTHERS.get(name, "")


def explain_column(name: str) -> str:
    """What a column of a table of training runs holds; empty where nobody has said."""
    if match := _COST.fullmatch(name):
        part, unit = match.groups()
        return EXPLAINED[f"cost/{part}/{unit.lower()}"]
    if match := _PASS.fullmatch(name):
        return f"Chance that any of {match[1]} rollouts of a problem is correct, mean over problems; 95 % interval."
    return _COLUMNS.get(name, "")
