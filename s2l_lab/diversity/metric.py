"""What a within-policy metric is: a function of one problem's rollouts, and what a reader has to know of it.

A metric stands in the file that computes it, in that file's tuple METRICS; `metrics` lists the files. The sentences are
shown wherever the metric is shown: in the terminal, on the page, in the app. Whether it follows strategies or only
phrasing is not said here but measured (`s2l-lab figures metric-validity`), and shown as a mark beside its title.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from s2l_lab.diversity.rollout_set import RolloutSet

Level = Literal["answer", "strategy", "text", "embedding"]
"""Level that a metric looks at: final answers, solution classes, the wording, or a sentence embedding of it."""
Need = Literal["answers", "strategies", "all strategies", "token ids", "embeddings"]
"""What a metric needs beside the texts: canonical answers; the solution class of every correct rollout; the number of
classes that exist; token ids; sentence embeddings."""

SUBSETS = 8
"""Number of random m-subsets over which a metric without a closed form is averaged."""


@dataclass(frozen=True, slots=True)
class Sample:
    """N rollouts of one policy on one problem, as a metric sees them. A metric is only called where its needs are met.

    A metric that grows with the number of rollouts brings them to m (`rarefaction`).
    """

    rollouts: RolloutSet
    m: int
    """Number of rollouts to rarefy to, 2 to N; for a metric of embeddings, 2 to the number of embeddings."""
    rng: np.random.Generator
    """The metric's own generator, for random subsets: no other metric moves its draws."""
    embedding_ND: NDArray[np.float32]
    """Embeddings, (N, D): one row for each rollout that has an embedding."""

    @property
    def token_ids(self) -> tuple[NDArray[np.int32], ...]:
        """Token ids of each rollout, without EOS."""
        ids_N = self.rollouts.token_ids_N
        assert ids_N is not None
        return ids_N

    @property
    def n_classes(self) -> int:
        """Solution classes that exist for the problem."""
        assert self.rollouts.n_classes is not None
        return self.rollouts.n_classes

    @property
    def strategies(self) -> list[str | None]:
        """The solution class of each correct rollout; None for the others, which take a place among m and count for
        none."""
        pairs = zip(self.rollouts.canonical_N, self.rollouts.correct_N, strict=True)
        return [strategy if correct else None for strategy, correct in pairs]


@dataclass(frozen=True, slots=True)
class Metric:
    """One within-policy metric."""

    name: str = field(metadata={"numbers": False})
    """Name of the metric in results, tables and arguments."""
    value: Callable[[Sample], float] = field(metadata={"numbers": False}, compare=False)
    """The metric of one problem's rollouts; NaN where they do not define it, never 0."""
    title: str
    level: Level
    up: bool
    """True if a higher value is more diverse."""
    most: Literal["1", "2", "m", "ln m", "unbounded"]
    """Largest possible value for m rollouts. Intervals stay below it."""
    span: str
    """Range of the metric's values, in words."""
    measures: str
    """One sentence on what the metric measures."""
    fooled_by: str
    """One sentence on what moves the metric without more diversity."""
    least: float = 0.0
    """Smallest possible value of the metric."""
    needs: tuple[Need, ...] = field(default=(), metadata={"numbers": False})
    """Inputs that the metric needs beside the texts; it is undefined (NaN) without them."""

    def bounds(self, m: int) -> tuple[float, float] | None:
        """Smallest and largest possible value for m rollouts; None if there is no largest."""
        most = {"1": 1.0, "2": 2.0, "m": float(m), "ln m": math.log(m), "unbounded": math.inf}[self.most]
        return (self.least, most) if math.isfinite(most) else None
