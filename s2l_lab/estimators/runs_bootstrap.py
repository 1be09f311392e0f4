"""Resampled runs of a table of scores: S training runs by T tasks, as weights that say how often each score counts.

Two tables look alike and are not. With `separate` runs every task has runs of its own (an agent trained anew for every
game), so the runs of each task are resampled apart: the stratified bootstrap of Agarwal et al. 2021 (arXiv 2108.13264).
With `shared` runs row s is ONE training run that was scored on every task (a model on several benchmarks or problems):
its scores rise and fall together, so whole rows are resampled. Strata would then average the runs' spread away: from
ten runs on 30 tasks they cover .39 where rows cover .95. Nobody but the caller knows which it is: there is no default.

Tasks are not resampled: every interval that comes of these weights is about other runs on these tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from s2l_lab.estimators.estimate import Floats

Runs = Literal["separate", "shared"]
"""Whether every task has runs of its own, or row s is one training run scored on all tasks."""

_BLOCK = 4_000_000
"""Weights that are held at once."""


def check_scores(name: str, scores: ArrayLike) -> Floats:
    """The scores as (S, T) numbers, S runs by T tasks; UsageError for another shape, NaN, infinities or masks."""
    if isinstance(scores, np.ma.MaskedArray):
        raise UsageError(f"{name} is a masked array; give a score for every run and task, or leave the task out.")
    array = np.asarray(scores)
    if array.ndim != 2 or array.size == 0:
        raise UsageError(f"{name} must have shape (S, T), S runs by T tasks; it has shape {array.shape}.")
    if array.dtype.kind not in "iufb":
        raise UsageError(f"{name} must hold numbers, one score for every run and task; it holds {array.dtype}.")
    table: Floats = array.astype(np.float64)
    if not np.isfinite(table).all():
        s, t = np.argwhere(~np.isfinite(table))[0]
        raise UsageError(f"{name} has no finite score for run {s} of task {t}; leave out the run or the task.")
    return table


def check_runs(runs: str) -> None:
    """UsageError unless `runs` is one of `Runs`."""
    if runs not in get_args(Runs):
        raise UsageError(
            f"runs = {runs!r} was asked; say 'shared' where row s is one training run scored on every task, or "
            "'separate' where every task has runs of its own."
        )


def run_weights(seeds: int, tasks: int, runs: Runs, rng: np.random.Generator, replicates: int) -> Iterator[Floats]:
    """Blocks of shape (B, S, T): how often each score counts in B replicates; every column sums to S."""
    block = max(_BLOCK // (seeds * tasks), 1)
    even = np.full(seeds, 1 / seeds)
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        if runs == "shared":
            rows_BS = rng.multinomial(seeds, even, size=size).astype(float)
            yield np.broadcast_to(rows_BS[:, :, None], (size, seeds, tasks))
        else:
            yield rng.multinomial(seeds, even, size=(size, tasks)).astype(float).swapaxes(1, 2)


def method_of(name: str, seeds: int) -> str:
    """The method's name, with `cannot tell` where there are fewer runs than a claim needs."""
    if seeds >= SEEDS_FOR_A_CLAIM:
        return name
    return f"{name}; cannot tell: {seeds} of the {SEEDS_FOR_A_CLAIM} seeds that a claim needs"
