"""Coherence of steps: hand cases, and the matched null that position alone cannot beat."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2l_lab.diversity.coherence import LONG_LINE, matched_coherence, mean_step, step_coherence, steps

ORIGIN = np.zeros(2)
EAST, NORTH, WEST = (np.array(v, dtype=float) for v in ((1, 0), (0, 1), (-1, 0)))


def test_steps_are_lines_and_sentences_only_of_one_long_line() -> None:
    assert steps("let 7*8 be 56\n\n  12 over 3 is 4 \n#### 56-4\n") == ("let 7*8 be 56", "12 over 3 is 4", "#### 56-4")
    assert steps("") == steps(" \n ") == ()
    short = "We add 3.5 first. Then we stop!"
    assert steps(short) == (short,)
    long = short + " Why? " + "x" * LONG_LINE
    assert steps(long) == ("We add 3.5 first.", "Then we stop!", "Why?", "x" * LONG_LINE)
    assert steps(long + "\nDone.") == (long, "Done.")


def test_hand_numbers() -> None:
    straight, turning, back = np.array([EAST, 3 * EAST]), np.array([EAST, NORTH]), np.array([EAST, WEST, WEST])
    assert step_coherence([straight], ORIGIN) == pytest.approx(1)
    assert step_coherence([turning], ORIGIN) == pytest.approx(0)
    # Pairs are pooled, not rollouts: 1, then -1 and 1.
    assert step_coherence([straight, back], ORIGIN) == pytest.approx(1 / 3)
    # Around (1, 1) instead, the turning rollout's residuals are (0, -1) and (-1, 0), around (.5, .5) opposite.
    assert step_coherence([turning], np.array([1.0, 1.0])) == pytest.approx(0)
    assert step_coherence([turning], np.array([0.5, 0.5])) == pytest.approx(-1)


def test_mean_step_pools_steps_and_leaves_nan_rows_out() -> None:
    nothing = np.full((1, 2), np.nan)
    assert mean_step([np.array([EAST, EAST]), np.array([NORTH]), nothing]) == pytest.approx([2 / 3, 1 / 3])
    assert np.isnan(mean_step([nothing, np.zeros((0, 2))])).all()


def test_undefined_is_nan_with_its_count() -> None:
    one, none, at_mean = np.array([EAST]), np.zeros((0, 2)), np.array([EAST, ORIGIN])
    for rollouts in ([], [none], [one, none], [at_mean], [np.array([EAST, [np.nan, np.nan]])]):
        assert math.isnan(step_coherence(rollouts, ORIGIN))
        matched = matched_coherence(rollouts, ORIGIN)
        assert math.isnan(matched.observed)
        assert math.isnan(matched.null)
        assert math.isnan(matched.excess)
        assert matched.pairs == 0
    # One rollout alone has a coherence and no null.
    assert step_coherence([np.array([EAST, EAST])], ORIGIN) == pytest.approx(1)
    assert matched_coherence([np.array([EAST, EAST])], ORIGIN).pairs == 0


def test_the_null_by_a_loop_over_pairs_of_rollouts() -> None:
    rng = np.random.default_rng(0)
    rollouts = [rng.normal(size=(s, 5)) for s in (4, 1, 3, 3, 6)]
    rollouts[2][1] = np.nan
    mean_D = mean_step(rollouts)

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - mean_D, b - mean_D
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    own, null = [], []
    for i, rollout in enumerate(rollouts):
        for t in range(len(rollout) - 1):
            others = [r for j, r in enumerate(rollouts) if j != i and len(r) > t + 1]
            across = [cosine(rollout[t], other[t + 1]) for other in others]
            across = [c for c in across if not math.isnan(c)]
            if across and not math.isnan(c := cosine(rollout[t], rollout[t + 1])):
                own.append(c)
                null.append(np.mean(across))
    matched = matched_coherence(rollouts, mean_D)
    assert matched.pairs == len(own) == 3 + 2 + 3  # the last rollout is alone after its fourth step
    assert matched.observed == pytest.approx(np.mean(own))
    assert matched.null == pytest.approx(np.mean(null))
    assert matched.excess == pytest.approx(np.mean(own) - np.mean(null))


def excesses(author: float, repetitions: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """Coherence and excess of 8 rollouts of random length, steps = what the position says + author * own + noise."""
    rng = np.random.default_rng(1)
    position_TD = np.repeat(3 * rng.normal(size=(3, 6)), 2, axis=0)  # neighbours alike: coherent for a dull reason
    coherence, excess = [], []
    for _ in range(repetitions):
        rollouts = []
        for _ in range(8):
            own_D, length = author * rng.normal(size=6), rng.integers(2, 7)
            rollouts.append(position_TD[:length] + own_D + rng.normal(size=(length, 6)))
        mean_D = mean_step(rollouts)
        coherence.append(step_coherence(rollouts, mean_D))
        excess.append(matched_coherence(rollouts, mean_D).excess)
    return np.array(coherence), np.array(excess)


def z(values: np.ndarray) -> float:
    return float(values.mean() / (values.std(ddof=1) / np.sqrt(values.size)))


def test_position_alone_gives_coherence_but_no_excess_and_a_direction_of_its_own_gives_both() -> None:
    coherence, excess = excesses(author=0.0)
    assert z(coherence) > 10
    assert abs(z(excess)) < 3
    _, of_authors = excesses(author=1.0)
    assert z(of_authors) > 10
