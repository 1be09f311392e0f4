"""What the study tests share: rollout sets whose texts, answers and outcomes are drawn from laws that a test states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2l_lab.diversity.rollout_set import RolloutSet


def rollout_set(
    texts: Sequence[str],
    answers: Sequence[str | None],
    correct: Sequence[bool],
    *,
    problem_id: str = "p",
    n_classes: int | None = 5,
    ids: bool = True,
    unknown: Sequence[bool] | None = None,
) -> RolloutSet:
    """A set from its columns; token ids are code points."""
    return RolloutSet(
        problem_id=problem_id,
        text_N=tuple(texts),
        token_ids_N=tuple(np.array([ord(c) for c in text], np.int32) for text in texts) if ids else None,
        length_N=np.array([len(text) + 1.0 for text in texts]),
        canonical_N=tuple(answers),
        official_N=tuple(answers),
        correct_N=np.array(correct, dtype=bool),
        unknown_N=np.zeros(len(texts), dtype=bool) if unknown is None else np.array(unknown, dtype=bool),
        n_classes=n_classes,
    )


def drawn_sets(
    problems: int,
    rollouts: int,
    *,
    rng: np.random.Generator,
    correct: float = 0.5,
    strategies: Sequence[float] = (0.5, 0.3, 0.2),
    wrong_answers: int = 20,
) -> list[RolloutSet]:
    """Rollouts that are correct at a rate, by one of some strategies; wrong ones answer one of many wrong things."""
    sets = []
    for p in range(problems):
        is_correct = rng.random(rollouts) < correct
        strategy = rng.choice(len(strategies), rollouts, p=strategies)
        wrong = rng.integers(0, wrong_answers, rollouts)
        answers = [f"s{s}" if c else f"w{w}" for c, s, w in zip(is_correct, strategy, wrong, strict=True)]
        texts = [f"{a} {'abcd'[int(i)]}" for a, i in zip(answers, rng.integers(0, 4, rollouts), strict=True)]
        sets.append(rollout_set(texts, answers, list(is_correct), problem_id=f"p{p}"))
    return sets
