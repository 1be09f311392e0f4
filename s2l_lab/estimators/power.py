"""How many seeds, problems and rollouts show a gain? Power of the comparisons that this package makes, before them.

- `run`: two fixed policies on P problems, Student's t over problems:
  Var = (problem + interaction + noise) / P on P - 1 degrees. What a run gains on all problems is part of the gain.
- `training`: S paired training runs crossed with P problems:
  Var = seed / S + problem / P + (interaction + noise) / (S P) on Satterthwaite's degrees of the mean squares.

The noise is that of N rollouts (`components.py`). Clusters of m problems that are variants of one template, whose gains
correlate by rho, count as P / m units: the design effect 1 + (m - 1) rho multiplies the problem and interaction
components, not the noise, and the degrees are those of the clusters.

Power is the chance that the interval at `level` lies above 0, from the noncentral t. The components are held at the
gain that was planned for, so the smallest detectable gain of a design is exact only near it. What was assumed or
estimated from a small pilot is as uncertain as that: plan with room.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_level
from s2l_lab.estimators.problem_interval import student_t
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.estimators.components import Components

Claim = Literal["run", "training"]
"""About two fixed policies, or about two ways of training."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Problems that come in groups of `size` whose gains correlate by `correlation` (0 to 1)."""

    size: float = 1.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not (1 <= self.size < np.inf and 0 <= self.correlation <= 1):
            raise UsageError(
                f"clusters of {self.size:g} problems with correlation {self.correlation:g} were given; a cluster has 1 "
                "problem or more, and the correlation within it lies in 0..1."
            )

    @property
    def design_effect(self) -> float:
        """How many times the variance of independent problems: 1 + (m - 1) rho."""
        return 1 + (self.size - 1) * self.correlation


@dataclass(frozen=True, slots=True)
class Design:
    """One design and what it can show."""

    seeds: int
    """Training runs of each method."""
    problems: int
    rollouts: int
    """N, of each problem, run and method."""
    se: float
    """Standard error of the difference in pass@k."""
    df: float
    power: float
    """Chance that the interval lies above 0 if the planned gain is true."""
    detectable: float
    """Gain that is shown with the wanted power."""

    @property
    def total_rollouts(self) -> int:
        """Rollouts of both methods together."""
        return 2 * self.seeds * self.problems * self.rollouts


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """The designs of a grid, in the order of seeds, problems, rollouts."""

    claim: Claim
    k: int
    gain: float
    power: float
    """Requested power, 0 to 1."""
    level: float
    clusters: Clusters
    designs: tuple[Design, ...]

    @property
    def cheapest(self) -> Design | None:
        """Of the designs with the wanted power the one with fewest training runs, then fewest rollouts; None if none.

        A claim about training needs ten seeds whatever the power, so smaller numbers do not count there.
        """
        least = SEEDS_FOR_A_CLAIM if self.claim == "training" else 1
        enough = [one for one in self.designs if one.power >= self.power and one.seeds >= least]
        return min(enough, key=lambda one: (one.seeds, one.total_rollouts), default=None)


def plan_power(
    components: Components,
    gain: float,
    *,
    claim: Claim,
    seeds: Sequence[int] = (1,),
    problems: Sequence[int],
    rollouts: Sequence[int],
    clusters: Clusters | None = None,
    power: float = 0.8,
    level: float = 0.95,
) -> PowerPlan:
    """Power of every design of the grid to show `gain` in pass@k, and the gain it shows with the wanted `power`.

    `seeds` are training runs of each method (for `run` always 1). UsageError for a gain or power out of range, fewer
    than two seeds or two clusters of problems, N below k, or components that know nothing of seeds.
    """
    check_level(level)
    clusters = clusters or Clusters()
    if not 0 < gain < 1:
        raise UsageError(f"a gain of {gain:g} was asked; it is a difference in pass@k, as 0.05, above 0 and below 1.")
    if not 0.5 <= power < 1:
        raise UsageError(f"power = {power:g} was asked; it lies in 0.5..1, usually 0.8 or 0.9.")
    if claim == "training" and not np.isfinite(components.seed):
        raise UsageError(
            "one run of each method says nothing of other training runs; give two pairs of runs at least, state the "
            "spreads, or plan a comparison of these two policies (claim run)."
        )
    runs = (1,) if claim == "run" else tuple(dict.fromkeys(seeds))
    if claim == "training" and min(runs, default=0) < 2:
        raise UsageError("a claim about training needs two seeds at least, and ten to be more than a smoke result.")
    if not problems or min(problems) / clusters.size < 2:
        raise UsageError(f"a design needs two clusters of problems at least; a cluster has {clusters.size:g}.")
    if not rollouts:
        raise UsageError(f"no number of rollouts was given; N is at least k = {components.k}.")
    designs = []
    for s, p, n in itertools.product(runs, dict.fromkeys(problems), dict.fromkeys(rollouts)):
        se, df = _error(components, claim, s, p, n, clusters)
        found = shown(gain, se, df, level)
        designs.append(Design(s, p, n, se, df, found, _detectable(se, df, power, level)))
    return PowerPlan(claim, components.k, gain, power, level, clusters, tuple(designs))


def shown(gain: float, se: float, df: float, level: float) -> float:
    """Chance that gain + t se +- critical se lies above 0: the upper tail of the noncentral t."""
    from scipy.special import nctdtr

    if se <= 0:
        return 1.0
    return float(1 - nctdtr(df, gain / se, student_t(level, df)))


def _error(
    components: Components, claim: Claim, seeds: int, problems: int, rollouts: int, clusters: Clusters
) -> tuple[float, float]:
    """Standard error of the difference and its degrees of freedom, from expected mean squares over clusters."""
    noise = components.rollout_noise(rollouts) / clusters.size
    units = problems / clusters.size
    effect = clusters.design_effect / clusters.size
    if claim == "run":
        return np.sqrt(((components.problem + components.interaction) * effect + noise) / units), units - 1
    left = components.interaction * effect + noise
    by_seed = units * components.seed + left
    by_problem = seeds * components.problem * effect + left
    total = by_seed + by_problem - left
    spread = by_seed**2 / (seeds - 1) + by_problem**2 / (units - 1) + left**2 / ((seeds - 1) * (units - 1))
    df = total**2 / spread if spread > 0 else min(seeds, units) - 1
    return np.sqrt(total / (seeds * units)), df


def _detectable(se: float, df: float, power: float, level: float) -> float:
    """The gain that is shown with this power, by bisection."""
    low, high = 0.0, se * (student_t(level, df) + student_t(2 * power - 1, df) + 5) * 4
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if shown(middle, se, df, level) < power else (low, middle)
    return high
