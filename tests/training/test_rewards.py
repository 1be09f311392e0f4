"""Rewards are verdicts: 1, 0, or None where the verifier does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from tiny_training import config, explorer, learner, losses, tokenizer, trained

from s2l_lab.errors import UsageError
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.problems import Problem
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.training import S2LPOTrainer
from s2l_lab.training.rewards import VerifiedReward, problem_rows

EOS = 1
COUNTDOWN = countdown_benchmark(8, split="train").problems


def test_verdicts_become_rewards() -> None:
    problem = COUNTDOWN[0]
    reward = VerifiedReward(COUNTDOWN, frozenset({EOS}))
    texts = [f"#### {problem.answer}", "#### 1+1", "I do not know", f"#### {problem.answer}"]
    ids = [[5, EOS], [5, EOS], [5, EOS], [5, 5]]
    assert reward(texts, ids, [problem.id] * 4) == [1.0, 0.0, 0.0, 1.0]
    messages: list[Any] = [[{"role": "assistant", "content": text}] for text in texts]
    assert reward(messages, ids, [problem.id] * 4) == [1.0, 0.0, 0.0, 1.0]


def test_maths_and_a_verifier_that_does_not_know() -> None:
    half = Problem.make("Half of one?", r"\frac{1}{2}", "math", "test", {})
    proof = Problem.make("Prove it.", "a long proof", "math", "test", {"proof": True})
    reward = VerifiedReward([half, proof], frozenset({EOS}), workers=1)
    try:
        ids = [[5, EOS]] * 4
        texts = [r"\boxed{0.5}", r"\boxed{2}", "nothing", r"\boxed{0.5}"]
        assert reward(texts, ids, [half.id, half.id, half.id, proof.id]) == [1.0, 0.0, 0.0, None]
    finally:
        reward.close()


def test_what_cannot_be_rewarded_is_refused() -> None:
    with pytest.raises(UsageError, match="none was given"):
        VerifiedReward([], frozenset())
    with pytest.raises(UsageError, match="which is none of the reward's 8 problems"):
        VerifiedReward(COUNTDOWN, frozenset({EOS}))(["x"], [[EOS]], ["unknown"])


def test_a_run_on_countdown_with_the_verifier(tmp_path: Path) -> None:
    model = learner()
    reward = VerifiedReward(COUNTDOWN, eos_ids(model, tokenizer()))
    trainer = S2LPOTrainer(
        model,
        reward,
        config(tmp_path, max_completion_length=60, max_steps=2),
        Dataset.from_dict(problem_rows(COUNTDOWN, render_compact)),
        processing_class=tokenizer(),
        explorer=explorer(),
    )
    trained(trainer)
    assert len(losses(trainer)) == 2
    first = trainer.state.log_history[0]
    assert first["unscored"] == 0
    assert "rewards/correct/mean" in first
