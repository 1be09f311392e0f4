"""From one value a problem to one number with its interval: other problems of this kind.

Every diversity metric is computed within problems and then averaged over them, so problems are what is resampled:
rollouts of one problem are no independent evidence about problems. A metric is undefined on some problems (fewer than
two correct rollouts); those are left out of the mean and of `n_problems`, and never count as 0.

- A mean of values: studentised bootstrap of problems, symmetric |t| as for pass@k (`estimators.problem_interval`), on
  the logit scale for values with bounds. Without bounds it is cut at Gaffke's ends for a support that reaches as far
  beyond the values seen, on either side, as they are apart: where one problem carries the mean, t* explodes (one .9
  among 29 values near 0 gave [-59, 59]).
- A ratio of sums, as sum e / sum T: the mean of per-problem ratios would be biased where lengths depend on what is
  measured (STATISTICS 7: +.07). Its ends are the bootstrap-t's of `jackknife_t.py`.

Problems of one cluster (variants of one template) are no independent evidence either. Where `cluster` names the
clusters, these are resampled whole (`estimators.units`), and the method says how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.jackknife_t import ratio_ends
from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import check_aligned, refuse_masked
from s2l_lab.estimators.estimate import Estimate
from s2l_lab.estimators.gaffke import gaffke_ends
from s2l_lab.estimators.problem_interval import binomial_ends, critical_values, difference_ends, share_ends
from s2l_lab.estimators.units import Units, cluster_codes, kept_codes, make_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Ints

REPLICATES = 2_000
NO_SPREAD = "no spread, and no bounds are known"
"""The method of a value whose problems are all equal, and of which nothing says how else they could be: no interval."""


def mean_over_problems(
    value_P: ArrayLike,
    n_rollouts: int,
    *,
    seed: int = 0,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
    cluster: Sequence[object] | Ints | None = None,
) -> Estimate:
    """Mean over problems of values (P,), NaN where a problem does not define one.

    `bounds` are the least and largest value that there can be, which ends then respect: (0, 1) for shares, (-1, 1) for
    their differences (bounds that are symmetric about 0 get the rule for differences). `cluster` has the cluster of
    each problem, (P,), None where every problem stands alone. NaN for no defined problem; NaN ends for one problem or
    one cluster, and for values that are all equal where no bounds say what another could be. Raises UsageError where
    values leave the bounds.
    """
    refuse_masked("value_P", value_P)
    value = np.asarray(value_P, dtype=np.float64)
    drawn = _Drawn.of(cluster, np.isfinite(value))
    value = value[np.isfinite(value)]
    if bounds is not None and value.size:
        low, high = bounds
        slack = 1e-9 * (high - low)
        if not (value.min() >= low - slack and value.max() <= high + slack):
            raise UsageError(f"values lie between {low:g} and {high:g}; given: {value.min():g} to {value.max():g}.")
    if drawn.units < 2:
        mean = float(value.mean()) if value.size else np.nan
        return _estimate(mean, (np.nan, np.nan), level, drawn.too_few, value.size, n_rollouts)
    mean, rng, weight_C = float(value.mean()), np.random.default_rng(seed), np.ones(value.size, np.int64)
    if bounds is not None and low == -high:
        [ends] = difference_ends([_plain(value)[:, None] / high], weight_C, level, rng, REPLICATES, drawn.code_P)
        here = high * float(ends.lower_K[0]), high * float(ends.upper_K[0])
        method = f"studentised bootstrap{drawn.words}, cut at Gaffke's ends"
        return _estimate(mean, here, level, method, value.size, n_rollouts)
    if bounds is not None:
        share_CK = np.clip((_plain(value)[:, None] - low) / (high - low), 0.0, 1.0)
        ends = share_ends(share_CK, weight_C, level, rng, REPLICATES, drawn.code_P)
        pair = (low + (high - low) * float(end[0]) for end in (ends.lower_K, ends.upper_K))
        return _estimate(
            mean, (next(pair), next(pair)), level, f"logit-t bootstrap{drawn.words}", value.size, n_rollouts
        )
    if np.ptp(value) <= 1e-9 * np.abs(value).max():
        return _estimate(mean, (np.nan, np.nan), level, NO_SPREAD, value.size, n_rollouts)
    middle, scale = float(value.min() + value.max()) / 2, float(np.ptp(value)) / 2
    # What is taken for rounding supposes values in [-1, 1].
    units = make_units(_plain((value - middle) / scale)[:, None], weight_C, drawn.code_P)
    critical_K = critical_values(units, level, rng, REPLICATES, logit=False)
    reach_K = critical_K * units.se
    [(least_K, most_K)] = gaffke_ends(units, (-3.0, 3.0), (1 - level,), rng)
    lower, upper = np.maximum(units.mean - reach_K, least_K), np.minimum(units.mean + reach_K, most_K)
    here = middle + scale * float(lower[0]), middle + scale * float(upper[0])
    return _estimate(mean, here, level, f"studentised bootstrap{drawn.words}", value.size, n_rollouts)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is resampled: P problems, or their clusters whole."""

    problems: int
    code_P: Ints | None
    """The number of each problem's cluster, 0 to G - 1; None where every problem stands alone."""

    @classmethod
    def of(cls, cluster: Sequence[object] | Ints | None, defined_P: NDArray[np.bool_]) -> _Drawn:
        """The problems that count, and their clusters."""
        kept = int(defined_P.sum())
        if cluster is None:
            return cls(kept, None)
        return cls(kept, kept_codes(cluster_codes(cluster, defined_P.size), defined_P))

    @property
    def units(self) -> int:
        return self.problems if self.code_P is None else int(self.code_P.max(initial=-1)) + 1

    @property
    def words(self) -> str:
        return "" if self.code_P is None else f" of {self.units} clusters"

    @property
    def too_few(self) -> str:
        return "too few problems" if self.code_P is None else "too few clusters"

    def whole(self, value_P: NDArray[np.float64]) -> Units:
        """Sums over clusters, shape (G, 1)."""
        return make_units(value_P[:, None], np.ones(value_P.size, np.int64), self.code_P)


def _plain(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values without the last digits: problems that differ by rounding alone are equal, or a replicate of such problems
    has a spread of 1e-9 and a t in the millions."""
    return value.round(9)


def ratio_over_problems(
    numerator_P: ArrayLike,
    denominator_P: ArrayLike,
    n_rollouts: int,
    *,
    level: float = 0.95,
    largest: float | None = None,
    cluster: Sequence[object] | Ints | None = None,
) -> Estimate:
    """sum of numerators (P,) over sum of denominators (P,), each already summed within its problem.

    `largest` says that the ratio cannot be negative nor exceed it: ends then lie in between. Problems with NaN in
    either, or with denominator 0 (no rollout to speak of), are left out. `cluster` has the cluster of each problem,
    (P,), None where every problem stands alone. NaN ends for fewer than two problems or clusters; NaN where the
    denominators sum to 0. Raises UsageError for different lengths.
    """
    check_aligned(numerator_P=numerator_P, denominator_P=denominator_P)
    refuse_masked("numerator_P", numerator_P)
    refuse_masked("denominator_P", denominator_P)
    numerator, denominator = (np.asarray(a, dtype=np.float64) for a in (numerator_P, denominator_P))
    if numerator.shape != denominator.shape:
        raise UsageError(f"a ratio needs one pair per problem; given: {numerator.size} and {denominator.size} values.")
    defined = np.isfinite(numerator) & np.isfinite(denominator) & (denominator != 0)
    drawn = _Drawn.of(cluster, defined)
    numerator, denominator = numerator[defined], denominator[defined]
    problems, total = numerator.size, float(denominator.sum())
    value = float(numerator.sum()) / total if problems and total else np.nan
    if drawn.units < 2 or not np.isfinite(value):
        return _estimate(value, (np.nan, np.nan), level, drawn.too_few, problems, n_rollouts)
    if np.abs(numerator - value * denominator).max() <= 1e-12 * np.abs(numerator).max(initial=0.0):
        if largest is None:
            return _estimate(value, (np.nan, np.nan), level, NO_SPREAD, problems, n_rollouts)
        least, most = binomial_ends(np.array([value / largest]), drawn.whole(numerator).effective, level)
        ends = largest * float(least[0]), largest * float(most[0])
        return _estimate(value, ends, level, f"exact ends of equal problems{drawn.words}", problems, n_rollouts)
    whole, parts = drawn.whole(numerator), drawn.whole(denominator)
    sums = whole.total_UK[:, 0], parts.total_UK[:, 0]
    lower, upper = ratio_ends(*sums, level, df=whole.df, log=largest is not None)
    if largest is not None:
        lower, upper = max(lower, 0.0), max(min(upper, largest), value)
    return _estimate(value, (lower, upper), level, f"bootstrap-t{drawn.words}, jackknife", problems, n_rollouts)


def _estimate(
    value: float, ends: tuple[float, float], level: float, method: str, n_problems: int, n_rollouts: int
) -> Estimate:
    return Estimate(value, *ends, level, method, "problems", n_problems, n_rollouts)
