"""What a training run logs, every name explained once: for metrics.jsonl, trackers, docs/training.md and the app.

Names that TRL logs itself (loss, kl, entropy, completions/..., clip_ratio/...) are explained in its documentation; of
those only the ones that the lab's own pages show are listed.
"""

from __future__ import annotations

EXPLAINED: dict[str, str] = {
    # Of a whole round, over all processes.
    "round": "Number of the round (one generation), from 1.",
    "explorer/slots": "Slots of the explorer in every group of G.",
    "explorer/reward": "Mean reward of the scored explorer rollouts.",
    "learner/reward": "Mean reward of the scored learner rollouts.",
    "explorer/reward_std": "Deviation of explorer rewards within a group, mean over groups.",
    "learner/reward_std": "Deviation of learner rewards within a group, mean over groups.",
    "explorer/length": "Mean completion length of explorer rollouts, in tokens.",
    "learner/length": "Mean completion length of learner rollouts, in tokens.",
    "explorer/advantage": "Mean advantage of explorer rollouts: in mixed groups, how far they stand above the others.",
    "learner/advantage": "Mean advantage of learner rollouts: in mixed groups, how far they stand above the others.",
    "explorer/token_share": "Explorer's share of the completion tokens; a token-mean loss weighs by it.",
    "learner/token_share": "Learner's share of the completion tokens; a token-mean loss weighs by it.",
    "zero_variance_groups": "Share of groups whose scored rewards are all equal: they teach nothing.",
    "explorer/zero_variance_groups": "The same among the explorer's rollouts of a group, where it has two or more.",
    "learner/zero_variance_groups": "The same among the learner's rollouts of a group, where it has two or more.",
    "unscored": "Share of rollouts that no verifier could judge; above 5 % the run stops.",
    # Of an update, over explorer tokens.
    "explorer/learner_logprob": "Mean log-probability of explorer tokens under the learner now, in nats.",
    "explorer/ratio": "Mean importance ratio of explorer tokens, as the loss uses it.",
    "explorer/clip_positive": "Share of explorer tokens with advantage above 0 that the clip leaves without gradient.",
    "explorer/clip_negative": "Share of explorer tokens with advantage below 0 that the clip leaves without gradient.",
    "explorer/gradient_positive": "Share of explorer tokens with advantage above 0 that have a gradient.",
    "explorer/gradient_negative": "Share of explorer tokens with advantage below 0 that have a gradient.",
    "explorer/weight": "Effective explorer weight: mean factor before A grad log pi (correction weight x ratio, 0 "
    "where clipped); under explorer_weight_floor the run stops.",
    "explorer/ess": "Effective sample size of these factors, as a share of the explorer's tokens.",
    # Running totals.
    "cost/explorer/tokens": "Completion tokens that the explorer sampled, or that were drawn from its bank.",
    "cost/learner/tokens": "Completion tokens that the learner sampled.",
    "cost/updates/tokens": "Prompt and completion tokens that updates went over.",
    "cost/explorer/flops": "Counted FLOPs of the explorer's rollouts.",
    "cost/learner/flops": "Counted FLOPs of the learner's rollouts.",
    "cost/updates/flops": "Counted FLOPs of updates, reference and old-logprob passes included.",
    "cost/explorer/seconds": "Seconds spent in the explorer's sampling.",
    "cost/learner/seconds": "Seconds spent in the learner's sampling.",
    "cost/updates/seconds": "Seconds spent in updates.",
    "cost/rollout_compute_relative_to_grpo": "Rollout FLOPs so far, the explorer's included, over those of the same "
    "rollouts all sampled by the learner.",
    "cost/explorer_share": "Explorer's share of the rollout FLOPs.",
    # TRL's, where our pages show them.
    "reward": "Mean reward of all rollouts of the round.",
    "kl": "Mean divergence of the learner from the initial learner (k3 estimate), in nats per token.",
    "entropy": "Mean entropy of the learner's next-token distribution over the round's tokens, in nats.",
    "loss": "The loss that was applied.",
}
"""Name to one sentence."""

EVALUATION = (
    "Unbiased pass@k of the learner on held-out problems; /lower and /upper are its 95 % interval about problems like "
    "these (other training seeds need other runs)."
)
"""Of every `eval/BENCHMARK/pass@K`."""


def explanation(name: str) -> str | None:
    """The sentence for a logged name; None for one of TRL's that is not listed."""
    return EVALUATION if name.startswith("eval/") else EXPLAINED.get(name)
