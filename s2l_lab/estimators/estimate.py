"""Counts in, Estimates, Curves and Comparisons out: the records of the estimators.

An estimate never travels without its interval, the name of what was resampled, and its counts. Undefined is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from s2l_lab.errors import DataError
from s2l_lab.estimators.display import Displayed, about_interval, reading, spread_of_k

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Interval = Literal["rollouts", "problems", "seeds"]
"""What an interval is about: these problems with other draws; other problems of this kind; other training runs."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Outcomes of one policy on one problem set. All arrays have shape (P,), one entry per problem.

    Raises DataError where the arrays differ in length or a problem id stands twice.
    """

    problem_ids: tuple[str, ...]
    correct_P: Ints
    """Rollouts with outcome CORRECT."""
    total_P: Ints
    """All rollouts, unknown ones included."""
    unknown_P: Ints
    """Rollouts with outcome VERIFIER_ERROR: correct lies between correct_P and correct_P + unknown_P."""
    cluster: tuple[str, ...] | None = None
    """The cluster of every problem (its template, its source text), where problems come in clusters: a bootstrap over
    problems then draws whole clusters. None where every problem stands alone."""

    def __post_init__(self) -> None:
        lengths = [len(self.problem_ids), *(len(array) for array in (self.correct_P, self.total_P, self.unknown_P))]
        if self.cluster is not None:
            lengths.append(len(self.cluster))
        if len(set(lengths)) > 1:
            raise DataError(
                f"counts need one entry per problem: ids, correct, total, unknown (and cluster) have lengths {lengths}."
            )
        if len(set(self.problem_ids)) < len(self.problem_ids):
            twice = next(name for name in self.problem_ids if self.problem_ids.count(name) > 1)
            raise DataError(f"problem {twice!r} stands twice in the counts; sum its rollouts into one entry.")


@dataclass(frozen=True, slots=True, repr=False)
class Estimate(Displayed):
    """One number with its interval."""

    value: float
    lower: float
    upper: float
    level: float
    """Nominal coverage of the interval, for example .95."""
    method: str
    """How the interval was made, as `u-statistic`, `eb-beta-binomial, prior-dependent`, `studentised bootstrap`."""
    interval: Interval
    n_problems: int
    n_rollouts: int
    """Rollouts in all; 0 makes every value NaN."""
    n_seeds: int = 1
    """Training runs behind the number."""
    se: float = math.nan
    """Standard error of `value`; NaN where the interval was not made from one."""
    df: float = math.nan
    """Degrees of freedom of Student's t that goes with `se`; NaN where there is no `se`."""
    given: str = ""
    """What the interval is conditional on, as "for this bank"; empty where on nothing that `interval` does not say."""

    def _columns(self) -> dict[str, Any]:
        names = ("value", "lower", "upper", "level", "method", "interval", "n_problems", "n_rollouts", "n_seeds")
        return {name: [getattr(self, name)] for name in names}

    def _rows(self) -> list[tuple[str, str]]:
        return [("", reading(self.value, self.lower, self.upper))]

    def _notes(self) -> list[str]:
        n = f"n = {self.n_problems} problems, {self.n_rollouts} rollouts"
        seeds = f", {self.n_seeds} seeds" if self.n_seeds > 1 else ""
        return [about_interval(self.level, self.interval), n + seeds, *([self.given] if self.given else [])]


@dataclass(frozen=True, slots=True, repr=False)
class Curve(Displayed):
    """A share by k (pass@k, maj@k) over ONE problem set. Arrays have shape (K,)."""

    k: Ints
    value: Floats
    """NaN where VERIFIER_ERROR outcomes leave it undetermined; `bound_low`, `bound_high` then say between what."""
    lower: Floats
    upper: Floats
    """Pointwise interval ends at `level`; with unknown rollouts bound_low's lower and bound_high's upper end."""
    band_lower: Floats
    band_upper: Floats
    """Simultaneous band over all k at `level` (problems only; NaN otherwise)."""
    bound_low: Floats
    bound_high: Floats
    """The curve with unknown rollouts all wrong, and with all right; both equal `value` where none is unknown."""
    method: tuple[str, ...]
    """How the interval at each k was made; `prior-dependent` is said where it applies."""
    interval: Interval
    level: float
    n_problems: int
    n_rollouts: int
    """Rollouts per problem (the smallest, where they differ)."""
    n_seeds: int = 1
    """Training runs behind the curve."""
    n_clusters: int | None = None
    """Clusters of problems that were drawn whole; None where every problem stands alone."""

    def _columns(self) -> dict[str, Any]:
        return {
            name: getattr(self, name)
            for name in ("k", "value", "lower", "upper", "band_lower", "band_upper", "bound_low", "bound_high")
        } | {
            "method": list(self.method),
            "interval": self.interval,
            "level": self.level,
            "n_problems": self.n_problems,
            "n_rollouts": self.n_rollouts,
        }

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (f"k = {self.k[i]}", reading(self.value[i], self.lower[i], self.upper[i]))
            for i in spread_of_k(self.k.tolist())
        ]

    def _notes(self) -> list[str]:
        n = f"n = {self.n_problems} problems, N = {self.n_rollouts} rollouts per problem"
        seeds = f", {self.n_seeds} seeds" if self.n_seeds > 1 else ""
        return [about_interval(self.level, self.interval, self.n_clusters), n + seeds]


@dataclass(frozen=True, slots=True)
class Shown:
    """A run of ks at which a simultaneous band excludes 0 with one sign."""

    ahead: Literal["a", "b"]
    first_k: int
    last_k: int


@dataclass(frozen=True, slots=True)
class Crossing:
    """What a simultaneous band says about two curves changing places; `crossing.py` defines every word."""

    outcome: Literal["none", "at", "ahead", "undetermined"]
    k: int | None
    """The estimate of k*. None unless the outcome is `at`, and where the leader is ahead again at N (none by N)."""
    k_set: tuple[int, int | None] | None
    """Confidence set of k*, both ends included; its high end is None for "none by N". None where the set is "none by N"
    alone."""
    leader: Literal["a", "b"] | None
    """Who is ahead where the band first excludes 0; with outcome `at` the other one is ahead later."""
    sign_changes: int
    """How often the estimated difference changes sign over k (zeros skipped). Noise makes many: never a test."""
    shown: tuple[Shown, ...] = ()
    """The ranges of k in which the band shows one side ahead, in order. Words are made from these, not from the set."""
    resampled: Literal["problems"] = "problems"


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Displayed):
    """pass@k of b minus pass@k of a, matched by problem. Arrays have shape (K,); positive: b is better."""

    a: str
    b: str
    k: Ints
    value: Floats
    """NaN where VERIFIER_ERROR outcomes leave it undetermined."""
    lower: Floats
    upper: Floats
    """Pointwise interval ends at `level`."""
    band_lower: Floats
    band_upper: Floats
    """Band at `level`, simultaneous over k and over the `n_pairs` pairs that were compared together."""
    bound_low: Floats
    bound_high: Floats
    """The difference with unknown rollouts all against b, and all for b; both equal `value` where none is unknown."""
    crossing: Crossing
    level: float
    resampled: Literal["problems"]
    n_problems: int
    n_rollouts: int
    """Rollouts per problem (the smallest of both policies)."""
    n_pairs: int
    """Pairs that share the band's level: 1 from compare_counts, M (M - 1) / 2 from compare_all."""
    n_clusters: int | None = None
    """Clusters of problems that were drawn whole; None where every problem stands alone."""

    def words(self) -> str:
        """The outcome for a pair, as "tiny-60k overtakes at k = 12 (set: 6 to 20)".

        Who is ahead where is said of the ranges of k that the band excludes, and of nothing else.
        """
        c = self.crossing
        first, last = int(self.k[0]), int(self.k[-1])
        names = {"a": self.a, "b": self.b}
        ranges = [
            f"{names[one.ahead]} ahead at k = {one.first_k}" + (f" to {one.last_k}" if one.last_k > one.first_k else "")
            for one in c.shown
        ]
        if c.outcome == "at":
            behind = names["a" if c.leader == "b" else "b"]
            if c.k is None or c.k_set is None:
                return f"{behind} overtakes for some k only: {', '.join(ranges)}"
            low, high = c.k_set
            crossing = f"{behind} overtakes at k = {c.k} (set: {low} to {high or f'none by {last}'})"
            # Two ranges that reach both ends are what the set says already.
            plain = len(c.shown) == 2 and c.shown[0].first_k == first and high
            return crossing if plain else f"{crossing}: {', '.join(ranges)}"
        if len(c.shown) == 1:
            ahead, low, high = names[c.shown[0].ahead], c.shown[0].first_k, c.shown[0].last_k
            below = "" if low == first else f" from k = {low}, below: cannot tell"
            beyond = "" if high == last else f" to k = {high}, beyond: cannot tell"
            if not (below and beyond):
                return f"{ahead} ahead" + (below or beyond or f" at every k to {last}")
        return (
            f"{', '.join(ranges)}; elsewhere: cannot tell" if ranges else f"cannot tell who is ahead at any k to {last}"
        )

    def _columns(self) -> dict[str, Any]:
        arrays = ("k", "value", "lower", "upper", "band_lower", "band_upper", "bound_low", "bound_high")
        about = ("level", "n_problems", "n_rollouts", "n_pairs")
        return (
            {"a": [self.a] * self.k.size, "b": [self.b] * self.k.size}
            | {name: getattr(self, name) for name in arrays}
            | {"outcome": self.crossing.outcome}
            | {name: getattr(self, name) for name in about}
        )

    def _title(self) -> str:
        return f"{self.b} minus {self.a}"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (f"k = {self.k[i]}", reading(self.value[i], self.lower[i], self.upper[i], signed=True))
            for i in spread_of_k(self.k.tolist())
        ]

    def _notes(self) -> list[str]:
        n = f"n = {self.n_problems} problems, N = {self.n_rollouts} rollouts per problem"
        return [about_interval(self.level, self.resampled, self.n_clusters), n, self.words()]


class Comparisons(tuple[Comparison, ...]):
    """Every pair of several policies, with one band over all k and all pairs."""

    __slots__ = ()

    def to_frame(self) -> pd.DataFrame:
        """The frames of all pairs, one below the other; columns a and b have the names."""
        import pandas as pd

        return pd.concat([one.to_frame() for one in self], ignore_index=True)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(one._repr_html_() for one in self)
