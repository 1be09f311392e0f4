"""Where draws come from: a seed, a generator, or nothing, which is seed 0. Same seed, same bits."""

from __future__ import annotations

import numpy as np

from s2l_lab.errors import UsageError


def generator(rng: int | np.random.Generator | None) -> np.random.Generator:
    """`rng` itself where it is a Generator (its state moves on), else a new one from the seed; None is seed 0.

    UsageError for anything else: a bool, a float, a negative seed, the legacy RandomState or a bit generator.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None:
        return np.random.default_rng(0)
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0:
        return np.random.default_rng(int(rng))
    raise UsageError(
        f"rng = {rng!r} was given; it takes a seed (a whole number from 0), a numpy.random.Generator, or None for "
        "seed 0. Give rng=0, or np.random.default_rng(seed)."
    )
