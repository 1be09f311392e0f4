"""pass@k beyond N, by a model of the solve rates: what a larger k would give, and how far that rests on the model.

    p = 0 with probability z, else p ~ Beta(a, b);   c ~ Binomial(N, p)
    pass@K = (1 - z) (1 - B(a, b + K) / B(a, b))

fitted by maximum likelihood to the counts of all problems (Kazdan et al. 2025, arXiv 2510.05197: the beta-binomial
fit forecasts far better than a line through the log of the curve; z is for problems that no number of tries solves).
The likelihood takes problems with different N, also where more rollouts were drawn of the hard ones, as that paper
does: it does not ask why sampling stopped.

The interval is the range of pass@K over all (a, b, z) whose log-likelihood is within t(P - 1)^2 / 2 of the largest, the
profile likelihood interval for every K at once. It is about other problems of this kind, and it holds for populations
that the model can describe: from 30 and 100 problems at N = 64 it covers .94 to .98 for K up to 64 N. (The value lies
.01 to .08 low there where no problem is unsolvable, since z cannot be negative.)

Nothing in N rollouts says what rates far below 1 / N do: unsolved problems may be unsolvable or need ten times N. So
two more things stand beside it:

- `fit_p`, the parametric bootstrap p-value of the model against these counts. Small means that the model is wrong, and
  the method then says `refuted`. A large one only means that nothing was found: 30 problems, a third at rate .95 and
  the others at .0003, pass 19 times in 20, and their pass@K is then far above the ends.
- `free_lower`, `free_upper`, which hold for every population. The share of problems solved within N tries is binomial,
  so Clopper-Pearson ends of pass@N are exact (too wide where N differs). pass@K is at least pass@N, and at most
  1 - (1 - pass@N)^(K / N): E (1 - p)^K >= (E (1 - p)^N)^(K / N).

Both take N as fixed in advance; where outcomes decided how often a problem was tried only the fit stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.cells import Cells, check_increasing, check_level, pool, whole
from s2l_lab.estimators.problem_interval import binomial_ends, student_t
from s2l_lab.estimators.randomness import generator
from s2l_lab.estimators.unbiased import subset_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from s2l_lab.estimators.estimate import Floats, Ints

REFUTED = 0.05
"""Below this p-value of the fit the method says that the counts refute the model."""

_LOGIT_MEAN = (-18.0, 14.0)
_LOG_SIZE = (-7.0, 11.0)
"""Where fits are looked for: logit a / (a + b) and log(a + b)."""
_STEPS = 41
_REPLICATES = 199


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """pass@K beyond N over ONE problem set. Arrays have shape (K,)."""

    k: Ints
    value: Floats
    """pass@K of the fitted model: model-dependent, whatever its interval."""
    lower: Floats
    upper: Floats
    """Profile likelihood ends at `level`, about other problems of this kind, if the model holds."""
    free_lower: Floats
    free_upper: Floats
    """Ends at `level` that hold for every population of solve rates."""
    a: float
    b: float
    zero: float
    """Fitted share of problems with solve rate 0; the others follow Beta(a, b)."""
    fit_p: float
    """Goodness of fit: how often the fitted model's own draws lie farther from their fit than these counts."""
    level: float
    method: str
    n_problems: int
    n_rollouts: int
    """Rollouts per problem (the smallest, where they differ)."""

    @property
    def refuted(self) -> bool:
        """Whether the counts refute the model (`fit_p` below .05)."""
        return self.fit_p < REFUTED


def extrapolate_pass_at_k(
    correct_P: ArrayLike,
    total_P: ArrayLike,
    ks: Sequence[int] | Ints,
    *,
    zero_inflated: bool = True,
    level: float = 0.95,
    rng: int | np.random.Generator | None = 0,
) -> Extrapolation:
    """pass@k at increasing `ks`, each larger than the smallest N, by a beta-binomial model (see the module's note).

    `correct_P` and `total_P` as in `pass_at_k`. `zero_inflated=False` forces z = 0, as the paper's plain fit does: its
    curve always reaches 1. `rng` draws the goodness of fit alone. NaN ends for one problem. UsageError for impossible
    counts, or a k that needs no model since it is at most N.
    """
    check_level(level)
    draws = generator(rng)
    cells = pool(correct_P, total_P)
    ks_K = check_increasing(_beyond(ks, cells.min_total))
    model = _Model.of(cells, zero_inflated)
    n = cells.n_problems
    drop = student_t(level, n - 1) ** 2 / 2 if n > 1 else 1.0
    box, best = _region(model, drop)
    a, b = (float(one[0]) for one in _shapes(*best[:2]))
    value_K = (1 - best[2]) * _reach(np.array([a]), np.array([b]), ks_K)[0]
    nan_K = np.full(ks_K.size, np.nan)
    lower_K, upper_K, free_lower_K, free_upper_K = nan_K, nan_K, nan_K, nan_K
    if n > 1:
        lower_K, upper_K = _profile_ends(model, box, best, drop, ks_K)
        free_lower_K, free_upper_K = _free_ends(cells, ks_K, level)
    fit_p = _goodness(model, box, best, draws)
    said = f"; refuted by the counts (p = {fit_p:.3g})" if fit_p < REFUTED else ""
    name = "zero-inflated beta-binomial" if zero_inflated else "beta-binomial"
    return Extrapolation(
        k=ks_K,
        value=value_K,
        lower=np.minimum(lower_K, value_K),
        upper=np.maximum(upper_K, value_K),
        free_lower=free_lower_K,
        free_upper=free_upper_K,
        a=a,
        b=b,
        zero=float(best[2]),
        fit_p=fit_p,
        level=level,
        method=f"{name}, profile likelihood, model-dependent{said}",
        n_problems=n,
        n_rollouts=cells.min_total,
    )


def _beyond(ks: Sequence[int] | Ints, smallest: int) -> Ints:
    ks_K = whole("k", np.atleast_1d(np.asarray(ks)))
    if ks_K.size == 0 or ks_K.min() <= smallest:
        raise UsageError(
            f"k = {ks_K.tolist()} was asked; an extrapolation is for k above {smallest}, the smallest N of these "
            "problems. Up to N pass_at_k_curve needs no model."
        )
    return ks_K


def _shapes(mean: Floats | float, size: Floats | float) -> tuple[Floats, Floats]:
    """a and b from logit a / (a + b) and log(a + b)."""
    total = np.exp(np.atleast_1d(size))
    return total / (1 + np.exp(-np.atleast_1d(mean))), total / (1 + np.exp(np.atleast_1d(mean)))


def _reach(a_G: Floats, b_G: Floats, ks_K: Ints) -> Floats:
    """1 - B(a, b + k) / B(a, b), shape (G, K): pass@k of Beta(a, b)."""
    from scipy.special import betaln

    a, b = a_G[:, None], b_G[:, None]
    reach_GK: Floats = -np.expm1(betaln(a, b + ks_K) - betaln(a, b))
    return reach_GK


@dataclass(frozen=True, slots=True)
class _Model:
    """Log-likelihood of counts by the model. Every count that could be seen is a cell; D distinct N, B tables."""

    correct_C: Ints
    total_C: Ints
    weight_CB: Floats
    log_choose_C: Floats
    zero_inflated: bool

    @classmethod
    def of(cls, cells: Cells, zero_inflated: bool) -> _Model:
        from scipy.special import gammaln

        size_D = np.unique(cells.total_C)
        correct_C = np.concatenate([np.arange(size + 1) for size in size_D])
        total_C = np.repeat(size_D, size_D + 1)
        start_D = np.concatenate([[0], np.cumsum(size_D + 1)[:-1]])
        weight_C = np.zeros(correct_C.size)
        weight_C[start_D[np.searchsorted(size_D, cells.total_C)] + cells.correct_C] = cells.weight_C
        log_choose_C = gammaln(total_C + 1) - gammaln(correct_C + 1) - gammaln(total_C - correct_C + 1)
        return cls(correct_C, total_C, weight_C[:, None], log_choose_C, zero_inflated)

    def with_tables(self, weight_CB: Floats) -> _Model:
        return _Model(self.correct_C, self.total_C, weight_CB, self.log_choose_C, self.zero_inflated)

    def log_mass(self, mean_G: Floats, size_G: Floats, seen_C: Ints) -> Floats:
        """Log-probability of the cells `seen_C` at z = 0, shape (G, len(seen_C))."""
        from scipy.special import betaln

        a_G, b_G = _shapes(mean_G, size_G)
        a, b = a_G[:, None], b_G[:, None]
        correct, total = self.correct_C[seen_C], self.total_C[seen_C]
        mass: Floats = self.log_choose_C[seen_C] + betaln(a + correct, b + total - correct) - betaln(a, b)
        return mass

    def parts(self, mean_G: Floats, size_G: Floats) -> _Parts:
        seen_C = np.flatnonzero(self.weight_CB.any(1) | (self.correct_C == 0))
        mass = self.log_mass(mean_G, size_G, seen_C)
        unsolved = self.correct_C[seen_C] == 0
        weight = self.weight_CB[seen_C]
        return _Parts(
            solved_GB=mass[:, ~unsolved] @ weight[~unsolved],
            some_B=weight[~unsolved].sum(0),
            none_DB=weight[unsolved],
            fail_GD=np.exp(mass[:, unsolved]),
            zero_inflated=self.zero_inflated,
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the log-likelihood is made of at grid points (G), as a concave function of z."""

    solved_GB: Floats
    some_B: Floats
    none_DB: Floats
    fail_GD: Floats

    zero_inflated: bool

    def value(self, zero_GB: Floats) -> Floats:
        """Log-likelihood, shape (G, B)."""
        total_GB: Floats = self.solved_GB + np.where(self.some_B > 0, self.some_B * np.log1p(-zero_GB), 0.0)
        for none_B, fail_G in zip(self.none_DB, self.fail_GD.T, strict=True):
            here = zero_GB + (1 - zero_GB) * fail_G[:, None]
            total_GB = total_GB + np.where(none_B > 0, none_B * np.log(np.maximum(here, 1e-300)), 0.0)
        return total_GB

    def _rises(self, zero_GB: Floats) -> NDArray[np.bool_]:
        slope_GB: Floats = -self.some_B / (1 - zero_GB)
        for none_B, fail_G in zip(self.none_DB, self.fail_GD.T, strict=True):
            fail = fail_G[:, None]
            slope_GB = slope_GB + none_B * (1 - fail) / np.maximum(zero_GB + (1 - zero_GB) * fail, 1e-300)
        rises_GB: NDArray[np.bool_] = slope_GB > 0
        return rises_GB

    def best_zero(self) -> Floats:
        """The z of largest likelihood, shape (G, B)."""
        low = np.zeros_like(self.solved_GB)
        if not self.zero_inflated:
            return low
        return _bisect(self._rises, low, np.full_like(low, 1 - 1e-12))

    def zero_range(self, best_GB: Floats, floor: float) -> tuple[Floats, Floats]:
        """Smallest and largest z whose log-likelihood is at least `floor`, given that the best one's is."""
        if not self.zero_inflated:
            return best_GB, best_GB
        zeros, ones = np.zeros_like(best_GB), np.ones_like(best_GB)
        low = _bisect(lambda z: self.value(z) < floor, zeros, best_GB)
        return low, _bisect(lambda z: self.value(np.minimum(z, 1 - 1e-15)) >= floor, best_GB, ones)


def _bisect(holds: Callable[[Floats], NDArray[np.bool_]], low: Floats, high: Floats) -> Floats:
    """Where a condition that holds at first stops to hold between low and high; low where it never holds."""
    for _ in range(45):
        middle = (low + high) / 2
        here = holds(middle)
        low, high = np.where(here, middle, low), np.where(here, high, middle)
    return low


def _grid(box: Floats, steps: int) -> tuple[Floats, Floats]:
    axes = [np.linspace(low, high, steps) for low, high in box]
    mean, size = np.meshgrid(*axes, indexing="ij")
    return mean.ravel(), size.ravel()


def _around(inside: Floats, points: tuple[Floats, Floats], box: Floats, steps: int) -> Floats:
    """The box of the grid points that are inside, a step and a half larger at each side, within the search limits."""
    step = 1.5 * (box[:, 1] - box[:, 0]) / (steps - 1)
    limits = np.array([_LOGIT_MEAN, _LOG_SIZE])
    low = np.array([one[inside].min() for one in points]) - step
    high = np.array([one[inside].max() for one in points]) + step
    return np.stack([np.maximum(low, limits[:, 0]), np.minimum(high, limits[:, 1])], axis=1)


def _region(model: _Model, drop: float) -> tuple[Floats, tuple[float, float, float]]:
    """A box around all (mean, size) whose best log-likelihood is within `drop` of the largest, and the best fit."""
    box = np.array([_LOGIT_MEAN, _LOG_SIZE])
    for _ in range(8):
        points = _grid(box, _STEPS)
        parts = model.parts(*points)
        height = parts.value(parts.best_zero())[:, 0]
        box = _around(height >= height.max() - drop, points, box, _STEPS)
    peak_box = box
    for _ in range(6):
        points = _grid(peak_box, 21)
        parts = model.parts(*points)
        zero = parts.best_zero()
        height = parts.value(zero)[:, 0]
        top = int(height.argmax())
        peak_box = _around(np.arange(height.size) == top, points, peak_box, 21)
    return box, (float(points[0][top]), float(points[1][top]), float(zero[top, 0]))


def _profile_ends(
    model: _Model, box: Floats, best: tuple[float, float, float], drop: float, ks_K: Ints
) -> tuple[Floats, Floats]:
    """Range of pass@k over the likelihood region, each end of shape (K,)."""
    mean, size = (np.append(one, centre) for one, centre in zip(_grid(box, 61), best, strict=False))
    parts = model.parts(mean, size)
    zero = parts.best_zero()
    height = parts.value(zero)
    floor = float(height.max() - drop)
    inside = height[:, 0] >= floor
    parts = model.parts(mean[inside], size[inside])
    low, high = parts.zero_range(zero[inside], floor)
    reach_GK = _reach(*_shapes(mean[inside], size[inside]), ks_K)
    return ((1 - high) * reach_GK).min(0), ((1 - low) * reach_GK).max(0)


def _free_ends(cells: Cells, ks_K: Ints, level: float) -> tuple[Floats, Floats]:
    """Ends of pass@k that hold for every population of solve rates, from the exact ends of pass@N."""
    smallest = cells.min_total
    solved = 1 - subset_ratio(cells.total_C - cells.correct_C, cells.total_C, np.array([smallest]))[:, 0]
    mean = np.array([cells.weight_C @ solved / cells.n_problems])
    lower, upper = binomial_ends(mean, cells.n_problems, level)
    return np.full(ks_K.size, lower[0]), 1 - (1 - upper[0]) ** (ks_K / smallest)


def _goodness(model: _Model, box: Floats, best: tuple[float, float, float], rng: np.random.Generator) -> float:
    """Parametric bootstrap p-value: counts drawn from the fit, fitted again, by the distance to their own fit."""
    middle = box.mean(1, keepdims=True)
    wide = np.clip(
        middle + 1.6 * (box - middle), [[_LOGIT_MEAN[0]], [_LOG_SIZE[0]]], [[_LOGIT_MEAN[1]], [_LOG_SIZE[1]]]
    )
    mean, size = (np.append(one, centre) for one, centre in zip(_grid(wide, 21), best, strict=False))
    every_C = np.arange(model.correct_C.size)
    mass_GC = np.exp(model.log_mass(mean, size, every_C))
    unsolved_C = model.correct_C == 0
    size_D, first_D = np.unique(model.total_C, return_index=True)
    drawn_CB = np.zeros((every_C.size, _REPLICATES))
    for total, first in zip(size_D, first_D, strict=True):
        cells = slice(first, first + total + 1)
        chance = (1 - best[2]) * mass_GC[-1, cells] + best[2] * unsolved_C[cells]
        n = int(model.weight_CB[cells, 0].sum())
        drawn_CB[cells] = rng.multinomial(n, chance / chance.sum(), size=_REPLICATES).T
    tables = model.with_tables(np.concatenate([model.weight_CB, drawn_CB], axis=1))
    parts = tables.parts(mean, size)
    zero_GB = parts.best_zero()
    top_B = parts.value(zero_GB).argmax(0)
    zero_B = zero_GB[top_B, np.arange(top_B.size)]
    fitted_CB = (mass_GC[top_B] * (1 - zero_B[:, None]) + np.outer(zero_B, unsolved_C)).T
    n_C = np.repeat([model.weight_CB[f : f + t + 1, 0].sum() for t, f in zip(size_D, first_D, strict=True)], size_D + 1)
    distance_B = _distance(model, tables.weight_CB, fitted_CB * n_C[:, None])
    return float((1 + (distance_B[1:] >= distance_B[0] - 1e-12).sum()) / (1 + _REPLICATES))


def _distance(model: _Model, seen_CB: Floats, expected_CB: Floats) -> Floats:
    """Anderson-Darling's squared distance of the shares of solved rollouts from their expectation, shape (B,)."""
    share_C = model.correct_C / model.total_C
    order = np.argsort(share_C, kind="stable")
    last = np.append(np.diff(share_C[order]) > 1e-12, True)
    seen, expected = (np.cumsum(one[order], axis=0)[last][:-1] for one in (seen_CB, expected_CB))
    n = model.weight_CB.sum()
    spread = np.maximum(expected * (n - expected), 1e-9 * n)
    step = np.diff(expected, axis=0, prepend=0.0)
    distance_B: Floats = ((seen - expected) ** 2 / spread * step).sum(0)
    return distance_B
