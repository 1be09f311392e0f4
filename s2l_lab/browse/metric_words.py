"""One sentence on each metric that a training run logs: for metrics.jsonl, trackers, docs/training.md and the app.

`EXPLAINED` holds our own, and of TRL's those that docs/training.md lists; `_OTHERS` the rest of TRL's that the app
shows (TRL's documentation explains all of its own).
"""

from __future__ import annotations

import re

EXPLAINED: dict[str, str] = {
    # Of a whole round, over all processes.
    "round": "Number of the round (one generation), from 1.",
    "explorer/slots": "Number of the G slots of every group that the explorer fills.",
    "explorer/reward": "Mean reward of the scored explorer rollouts.",
    "learner/reward": "Mean reward of the scored learner rollouts.",
    "explorer/reward_std": "Standard deviation of the explorer's rewards within a group, mean over groups.",
    "learner/reward_std": "Standard deviation of the learner's rewards within a group, mean over groups.",
    "explorer/length": "Mean completion length of explorer rollouts, in tokens.",
    "learner/length": "Mean completion length of learner rollouts, in tokens.",
    "explorer/advantage": "Mean advantage of explorer rollouts: in mixed groups, how far they stand above the others.",
    "learner/advantage": "Mean advantage of learner rollouts: in mixed groups, how far they stand above the others.",
    "explorer/token_share": "Explorer's share of the completion tokens, which is its weight in a token-mean loss.",
    "learner/token_share": "Learner's share of the completion tokens, which is its weight in a token-mean loss.",
    "zero_variance_groups": "Share of groups whose scored rewards are all equal; such a group gives no gradient.",
    "explorer/zero_variance_groups": "Share of groups in which the explorer's scored rewards are all equal, among "
    "groups with two or more explorer rollouts.",
    "learner/zero_variance_groups": "Share of groups in which the learner's scored rewards are all equal, among groups "
    "with two or more learner rollouts.",
    "unscored": "Share of rollouts that no verifier could judge; above 5 % the run stops.",
    # Of an update, over explorer tokens.
    "explorer/learner_logprob": "Mean log-probability of explorer tokens under the current learner, in nats.",
    "explorer/ratio": "Mean importance ratio of explorer tokens, as the loss uses it (1 under correction luffy, which "
    "has none).",
    "explorer/clip_positive": "Share of explorer tokens with advantage above 0 that the clip leaves without gradient.",
    "explorer/clip_negative": "Share of explorer tokens with advantage below 0 that the clip leaves without gradient.",
    "explorer/gradient_positive": "Share of explorer tokens with advantage above 0 that have a gradient.",
    "explorer/gradient_negative": "Share of explorer tokens with advantage below 0 that have a gradient.",
    "explorer/weight": "Effective explorer weight: mean factor before A grad log pi (correction weight x ratio, 0 "
    "where clipped; under luffy the slope of its shaping). Below explorer_weight_floor the run stops, except under "
    "none and luffy.",
    "explorer/ess": "Effective sample size of the factors in explorer/weight, as a share of the explorer's tokens.",
    # Running totals.
    "cost/explorer/tokens": "Completion tokens that the explorer sampled, or that were drawn from its bank.",
    "cost/learner/tokens": "Completion tokens that the learner sampled.",
    "cost/updates/tokens": "Prompt and completion tokens that updates processed.",
    "cost/explorer/flops": "Counted FLOPs of the explorer's rollouts.",
    "cost/learner/flops": "Counted FLOPs of the learner's rollouts.",
    "cost/updates/flops": "Counted FLOPs of updates, reference and old-logprob passes included.",
    "cost/explorer/seconds": "Seconds spent in the explorer's sampling.",
    "cost/learner/seconds": "Seconds spent in the learner's sampling.",
    "cost/updates/seconds": "Seconds spent in updates.",
    "cost/rollout_compute_relative_to_grpo": "Rollout FLOPs so far (explorer included), divided by the FLOPs if the "
    "learner had sampled all these rollouts.",
    "cost/explorer_share": "Explorer's share of the rollout FLOPs.",
    # TRL's, where our pages show them.
    "reward": "Mean reward of all rollouts of the round.",
    "kl": "Mean KL divergence of the learner from the initial learner (k3 estimate), in nats per token.",
    "entropy": "Mean entropy of the learner's next-token distribution over the round's tokens, in nats.",
    "loss": "Value of the loss that was optimised.",
}
"""Name to one sentence."""

EVALUATION = (
    "Unbiased pass@k of the learner on held-out problems; /lower and /upper are its 95 % CI over problems. The "
    "interval does not cover other training seeds, which need further runs."
)
"""Explanation of every `eval/BENCHMARK/pass@K`."""
_OTHERS = {
    "grad_norm": "Norm of the gradient before clipping.",
    "learning_rate": "Step size of the optimiser.",
    "num_tokens": "Total tokens of prompts and completions so far.",
    "reward_std": "Standard deviation of the rewards within a group, mean over groups.",
    "frac_reward_zero_std": "Share of groups whose rewards are all equal; such a group gives no gradient.",
    "epoch": "Passes over the training problems.",
    "step_time": "Seconds of an optimiser step.",
    "completions/mean_length": "Mean completion length in tokens.",
    "completions/min_length": "Shortest completion of the round, in tokens.",
    "completions/max_length": "Longest completion of the round, in tokens.",
    "completions/mean_terminated_length": "Mean length of the completions that ended by themselves, in tokens.",
    "completions/min_terminated_length": "Shortest completion that ended by itself, in tokens.",
    "completions/max_terminated_length": "Longest completion that ended by itself, in tokens.",
    "rewards/correct/mean": "Mean reward of the verifier: the share of rollouts that are correct.",
    "rewards/correct/std": "Standard deviation of the verifier's reward over a round's rollouts.",
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
    "arm": "Runs whose plans differ only in the seed. The name says how the arm differs from the others.",
    "run": "Learner, explorer and seed of the run.",
    "seed": "Seed of the training.",
    "seeds": "Number of training runs behind the value.",
    "finished": "Whether the run reached its end. An unfinished run shows what it has logged so far.",
    "step": "Optimiser step of the evaluation shown: the last one that every seed has.",
    "steps": "Number of optimiser steps done.",
    "of": "Number of seeds, problems and rollouts behind the value.",
    "interval": "Method of the 95 % CI, and what was resampled.",
    "stands beside": "Row of the paper's table to compare with; `ours`: the paper has no such row.",
    "trained on": "Problems that the learner was trained on.",
    "benchmark": "Held-out problems that the learner was evaluated on.",
    "problems": "Problems of the benchmark that were evaluated.",
    "first evaluated": "pass@1 at the first evaluated step, with its 95 % interval.",
    "relative rollout compute": "Rollout FLOPs (explorer included), divided by the FLOPs if the learner had sampled "
    "all these rollouts. GRPO is 1.",
    "explorer's share": "Explorer's share of the rollout FLOPs.",
    "source": "Who sampled the rollout: explorer or learner.",
    "problem": "Problem that the rollout answers.",
    "rollout": "Index of the rollout among those of this problem and policy.",
    "outcome": "The verifier's outcome.",
    "tokens": "Length of the completion.",
    "answer": "Answer that the verifier extracted.",
    "beginning": "First characters of the completion.",
    "verdict": "Decision about the claim, from our interval, with its reason.",
    "claim": "The paper's claim.",
    "difference": "Our difference between the two arms that the claim compares, with its 95 % CI.",
    "panel": "Panel of Figure 2.",
    "paper": "The paper's two models, and the k at which their curves cross in the picture.",
    "ours": "Our two policies, and the decision about the crossing, from our band.",
}
"""Column name to one sentence, for tables on the Training and Paper views."""
_COST = re.compile(r"(explorer|learner|updates) (FLOPs|tokens|seconds)")
_PASS = re.compile(r"pass@([0-9]+)")
_EVALUATION = re.compile(r"eval/(.+)/pass@([0-9]+)(/lower|/upper)?")


def explain(name: str) -> str:
    """One sentence that explains the metric of this name; empty if there is none."""
    if match := _EVALUATION.fullmatch(name):
        benchmark, k, end = match.groups()
        about = f"pass@{k} of the learner on held-out problems of {benchmark}"
        return f"{'Lower' if end == '/lower' else 'Upper'} end of the 95 % CI of {about}." if end else f"{about}."
    return EXPLAINED.get(name) or _OTHERS.get(name, "")


def explain_column(name: str) -> str:
    """One sentence that explains a column of a table of training runs; empty if there is none."""
    if match := _COST.fullmatch(name):
        part, unit = match.groups()
        return EXPLAINED[f"cost/{part}/{unit.lower()}"]
    if match := _PASS.fullmatch(name):
        return f"Chance that at least one of {match[1]} rollouts of a problem is correct, mean over problems; 95 % CI."
    return _COLUMNS.get(name, "")
