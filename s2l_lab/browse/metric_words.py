"""One sentence on each metric that a training run logs.

The names of our own are explained in `training/metrics.py`, once; they are read from its docstring without importing
it, which would import torch. Those that TRL logs, and evaluations, are explained here.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import s2l_lab

SOURCES = ("explorer", "learner")
_OTHERS = {
    "loss": "The loss of the update; in policy-gradient training its value says little, its gradient matters.",
    "grad_norm": "Norm of the gradient before clipping.",
    "learning_rate": "Step size of the optimiser.",
    "num_tokens": "Tokens of prompts and completions seen so far, in all.",
    "reward": "Mean reward over a round's rollouts, both sources together.",
    "reward_std": "Mean over groups of the rewards' deviation within the group.",
    "frac_reward_zero_std": "Share of groups whose rewards are all equal, so that they teach nothing.",
    "kl": "Mean divergence of the learner from its reference, in nats per token (k3 estimate).",
    "entropy": "Mean entropy of the learner's next-token distribution, in nats.",
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
    "cost/explorer/tokens": "Tokens that the explorer drew so far.",
    "cost/explorer/flops": "FLOPs of the explorer's rollouts so far, counted.",
    "cost/explorer/seconds": "Seconds of the explorer's rollouts so far.",
    "cost/learner/tokens": "Tokens that the learner drew so far.",
    "cost/learner/flops": "FLOPs of the learner's rollouts so far, counted.",
    "cost/learner/seconds": "Seconds of the learner's rollouts so far.",
    "cost/updates/tokens": "Tokens that the updates read so far.",
    "cost/updates/flops": "FLOPs of the updates so far, counted.",
    "cost/updates/seconds": "Seconds of the updates so far.",
    "cost/rollout_compute_relative_to_grpo": "FLOPs of all rollouts over those of GRPO on the same rollouts.",
    "cost/explorer_share": "Share of the rollouts' FLOPs that the explorer took.",
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
    source, _, rest = name.partition("/")
    if source in SOURCES and (words := own_words().get(f"<source>/{rest}")):
        return f"Of the {source}: {words}."
    words = own_words().get(name)
    return f"{words[0].upper()}{words[1:]}." if words else _OTHERS.get(name, "")


@cache
def own_words() -> dict[str, str]:
    """Name -> words, from the list in `training/metrics.py`; `<source>/reward` stands for both sources."""
    path = Path(s2l_lab.__file__).parent / "training" / "metrics.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    found: dict[str, str] = {}
    for line in text.splitlines():
        listed, gap, words = line.partition("  ")
        if gap and re.match(r"[<a-z]", listed):
            names, parts = _names(listed), words.strip().split("; ")
            # `round, explorer/slots` are two metrics in two clauses; `clip_positive, _negative` are one sentence.
            each = parts if len(parts) == len(names) else [words.strip()] * len(names)
            found |= dict(zip(names, each, strict=True))
    return found


def _names(listed: str) -> list[str]:
    """`explorer/clip_positive, _negative` is two names."""
    first, *others = [part.strip() for part in listed.split(",")]
    stem = first.rpartition("_")[0]
    return [first, *(stem + other if other.startswith("_") else other for other in others)]
