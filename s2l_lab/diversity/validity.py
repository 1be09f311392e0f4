"""Metric validity: does a metric follow strategies, or phrasing alone?

In: a metric's values on the designed experiment (`designed`), value[item, s, f, order, replicate]. Out, for each
factor, two numbers with intervals over items:

- *follows*: Spearman's rank correlation of the metric with the factor's level, over levels and replicates, at fixed
  levels of the other two factors; averaged over those, then over items. In [-1, 1], oriented so that up = more diverse.
- *share of variance*: from the balanced three-way ANOVA of each item, eta^2 = SS_factor / SS_total, where SS_factor is
  first reduced by what replicates alone would give it, (levels - 1) * MS_within (Kelley's epsilon^2, with the variance
  between replicates as the error). Plain eta^2 is .06 for pure noise at two replicates and would fall with their
  number. `rest` = 1 - the three: interactions and noise. Averaged over items; slightly below 0 is possible.

A factor is *followed* if the interval of its correlation excludes 0 and it explains at least NOTICEABLE of the
variance. Strategies must be followed upwards: a metric that falls as strategies are added does not measure them.
Phrasing counts in either direction, as what disturbs.

What would surprise: with noise between replicates the largest possible correlation is below 1 (.95 for three cleanly
separated levels of four replicates), since replicates of one level have different ranks. Where a metric does not move
at all along a factor its correlation is 0 there, a finding; an item on which it never moves at all is undefined and
counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Estimate

Mark = Literal["strategy", "both", "phrasing only", "neither", "undetermined"]
"""Mark shown beside a metric: what it follows; `undetermined` for fewer than two items on which it moves."""

NOTICEABLE = 0.05
"""Share of variance below which a factor is not said to be followed, however sure its sign is."""

_DIGITS = 9
"""Values of one item are compared to this many digits of the largest: ranks must not follow rounding."""


@dataclass(frozen=True, slots=True)
class Factor:
    """What one factor does to a metric, with intervals over items."""

    follows: Estimate
    """Mean rank correlation with the factor's level: -1 to 1, up = more diverse."""
    share: Estimate
    """Share of the metric's variance, noise taken off: at most 1."""

    @property
    def moves(self) -> bool:
        """The correlation's interval excludes 0, on either side, and the share is noticeable. False for NaN."""
        sure = self.follows.lower > 0 or self.follows.upper < 0
        return bool(sure and self.share.value >= NOTICEABLE)


@dataclass(frozen=True, slots=True)
class Validity:
    """What a metric follows."""

    strategies: Factor
    phrasing: Factor
    order: Factor
    rest: Estimate
    """Share of the metric's variance that is interaction or noise, at most 1."""
    mark: Mark
    n_items: int
    """Number of items behind all numbers."""
    n_constant: int
    """Number of items left out because the metric is the same in all their cells."""
    n_undefined: int
    """Number of items left out because the metric is NaN in one of their cells."""


def validity(
    value_ISFOR: ArrayLike, *, up: bool = True, rollouts_per_cell: int = 16, seed: int = 0, level: float = 0.95
) -> Validity:
    """What a metric follows, from its values by item, strategies, phrasings, order, replicate (I, S, F, O, R).

    Levels must ascend along each axis, order from fixed to free. `up` says that a higher value is more diverse. Raises
    UsageError for another shape, one level of a factor, or fewer than two replicates.
    """
    value = np.asarray(value_ISFOR, dtype=np.float64)
    if value.ndim != 5 or min(value.shape[1:], default=0) < 2:
        raise UsageError(
            f"values by item, strategies, phrasings, order and replicate are needed, with two levels of each factor "
            f"and two replicates at least; given: an array of shape {value.shape}."
        )
    defined_I = np.isfinite(value).all(axis=(1, 2, 3, 4))
    kept = _scaled(value[defined_I] if up else -value[defined_I])
    moving_I = np.ptp(kept, axis=(1, 2, 3, 4)) > 0
    kept = kept[moving_I]

    def over_items(value_I: NDArray[np.float64]) -> Estimate:
        # Sorted, since the bootstrap's draws go by position: the order of items must not matter.
        # Shares of variance, noise taken off, leave [-1, 1] by chance: what an item can be is then what one was.
        widest = max(1.0, float(np.abs(value_I).max(initial=0.0)))
        rollouts = kept.size * rollouts_per_cell
        mean = mean_over_problems(np.sort(value_I), rollouts, seed=seed, level=level, bounds=(-widest, widest))
        return replace(mean, lower=float(np.maximum(mean.lower, -1.0)), upper=float(np.minimum(mean.upper, 1.0)))

    share_FI = _shares(kept)
    strategies, phrasing, order = (
        Factor(over_items(_correlation(kept, axis)), over_items(share_FI[axis - 1])) for axis in (1, 2, 3)
    )
    return Validity(
        strategies,
        phrasing,
        order,
        rest=over_items(1.0 - share_FI.sum(0)),
        mark=_mark(strategies, phrasing, len(kept)),
        n_items=len(kept),
        n_constant=int((~moving_I).sum()),
        n_undefined=int((~defined_I).sum()),
    )


def _mark(strategies: Factor, phrasing: Factor, n_items: int) -> Mark:
    if n_items < 2:
        return "undetermined"
    if strategies.moves and strategies.follows.lower > 0:
        return "both" if phrasing.moves else "strategy"
    return "phrasing only" if phrasing.moves else "neither"


def _scaled(value_ISFOR: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values over the largest of their item, to _DIGITS digits; nothing below depends on their scale."""
    largest = np.abs(value_ISFOR).max(axis=(1, 2, 3, 4), keepdims=True, initial=0.0)
    scaled: NDArray[np.float64] = np.round(value_ISFOR / np.where(largest > 0, largest, 1.0), _DIGITS)
    return scaled


def _correlation(value_ISFOR: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Spearman's correlation with the levels of one axis at fixed others, averaged over these; shape (I,)."""
    from scipy.stats import rankdata

    points = np.moveaxis(value_ISFOR, axis, 3)
    items, *others, levels, replicates = points.shape
    rank_IGC = rankdata(points.reshape(items, int(np.prod(others)), levels * replicates), axis=2)
    rank_IGC -= rank_IGC.mean(2, keepdims=True)
    level_C = np.repeat(np.arange(levels, dtype=np.float64), replicates)  # equally many of each: already ranks
    level_C -= level_C.mean()
    spread_IG = np.linalg.norm(rank_IGC, axis=2) * np.linalg.norm(level_C)
    product_IG = rank_IGC @ level_C
    correlation_IG = np.divide(product_IG, spread_IG, out=np.zeros_like(product_IG), where=spread_IG > 0)
    mean_I: NDArray[np.float64] = correlation_IG.mean(1)
    return mean_I


def _shares(value_ISFOR: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of variance of strategies, phrasings and order, noise taken off, by item: shape (3, I)."""
    every = (1, 2, 3, 4)
    mean = value_ISFOR.mean(axis=every, keepdims=True)
    total_I = ((value_ISFOR - mean) ** 2).sum(axis=every)
    noise_I = value_ISFOR.var(axis=4, ddof=1).mean(axis=(1, 2, 3))
    share_FI = np.zeros((3, len(value_ISFOR)))
    for axis in (1, 2, 3):
        levels = value_ISFOR.shape[axis]
        mean_IL = value_ISFOR.mean(axis=tuple(a for a in every if a != axis))
        between_I = ((mean_IL - mean_IL.mean(1, keepdims=True)) ** 2).sum(1) * (np.prod(value_ISFOR.shape[1:]) / levels)
        share_FI[axis - 1] = (between_I - (levels - 1) * noise_I) / total_I
    return share_FI
