"""Coherence of steps: authors who keep their direction stand out from position alone, and only they."""

from __future__ import annotations

import numpy as np
from rollout_sets import rollout_set

from s2l_lab.studies.diversity import STEPPED, step_coherence, steps_to_embed

PROBLEMS, STEPS, WIDTH = 20, 3, 6


def sets_and_vectors(own: float) -> tuple[list, dict[str, np.ndarray]]:
    """Steps with a part of their position and, with weight `own`, a part of their rollout; unit vectors."""
    rng = np.random.default_rng(0)
    position_SD = 3 * rng.normal(size=(STEPS, WIDTH))
    sets, vectors = [], {}
    for p in range(PROBLEMS):
        texts = [[f"p{p} r{r} s{s}" for s in range(STEPS)] for r in range(STEPPED + 2)]
        for lines in texts:
            author_D = own * rng.normal(size=WIDTH)
            for s, line in enumerate(lines):
                vector = position_SD[s] + author_D + 0.5 * rng.normal(size=WIDTH)
                vectors[line] = (vector / np.linalg.norm(vector)).astype(np.float32)
        joined = ["\n".join(lines) for lines in texts]
        sets.append(rollout_set(joined, joined, [True] * len(joined), problem_id=f"p{p}"))
    return sets, vectors


def test_position_alone_is_no_excess_and_an_authors_direction_is() -> None:
    none, some = (step_coherence(*sets_and_vectors(own)) for own in (0.0, 1.5))
    assert none.excess.lower < 0 < none.excess.upper
    assert abs(none.null.value) > 0.05, "position alone moves the raw cosine"
    assert some.excess.lower > 0.05
    assert np.isclose(some.excess.value, some.observed.value - some.null.value)
    assert some.excess.n_problems == PROBLEMS
    assert some.excess.n_rollouts == PROBLEMS * STEPPED


def test_only_the_steps_of_the_first_rollouts_are_embedded() -> None:
    sets, _ = sets_and_vectors(0.0)
    wanted = list(steps_to_embed(sets[:1]))
    assert len(wanted) == STEPPED * STEPS
    assert wanted[0] == "p0 r0 s0"


def test_one_step_rollouts_have_no_coherence() -> None:
    sets = [rollout_set(["a", "b"], ["x", "y"], [True, True], problem_id=i) for i in "pq"]
    found = step_coherence(sets, {"a": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])})
    assert np.isnan(found.excess.value)
    assert found.excess.n_problems == 0
