"""pass@k of a store's policies over k, their crossings and Cover@tau, from solve rates: what the Family view shows.

A curve is over one problem set at one N. A run that is being written, or was broken off, has problems with fewer
rollouts than others; N is then the number that at least half of the problems begun have of every policy, and the
problems with fewer are left out and counted. Where a policy has more, its first N count (`at_one_n`). All estimates are
made by `passk.estimates`, at every k, as those of `s2l-lab passk` are: the same rollouts have the same numbers here and
there. Above MOST_KS rollouts fewer k are *drawn* (`thinned`). The guessers, and the FLOPs of a rollout, need
answers and model shapes; `s2l-lab passk` wrote both to `numbers.json`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeGuard, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from s2l_lab.browse.solve_rates import SolveRates, solve_rates
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.store_facts import json_object
from s2l_lab.estimators import Comparison, Counts, CoverCurve, Curve
from s2l_lab.figures.caption import crossing_words
from s2l_lab.figures.numbers import plain
from s2l_lab.passk.estimates import Interval, every_k, policy_comparisons, policy_cover, policy_curve
from s2l_lab.problems.clusters import cluster_labels

MOST_KS = 64
"""Values of k up to which every one is drawn."""
NUMBERS = "numbers.json"
Floats = NDArray[np.float64]
Record = TypeVar("Record", Curve, CoverCurve, Comparison)


@dataclass(frozen=True, slots=True)
class FamilyCurves:
    """Curves of M policies over one problem set."""

    curves: dict[str, Curve]
    n_problems: int
    n_rollouts: int
    """Number N of rollouts per problem."""
    notes: tuple[str, ...]
    """What is left out and why, one sentence each."""
    n_clusters: int | None = None
    """Number of clusters of problems; None if every problem stands alone."""

    def table(self) -> pa.Table:
        """One row per policy and k. `value` is null where rollouts without a verdict leave it open between the bounds;
        `lower` and `upper` are the interval's ends, around both bounds."""
        ends = ("lower", "upper", "bound_low", "bound_high")
        names = ("k", "value", *ends, "interval", "level", "method", "n_problems", "n_rollouts")
        rows = [row for name, curve in self.curves.items() for row in by_k(curve, names, policy=name)]
        return pa.Table.from_pylist(rows)


@dataclass(frozen=True, slots=True)
class Covers:
    """Cover@tau of M policies over the problems of `family_curves`."""

    curves: dict[str, CoverCurve]

    def table(self) -> pa.Table:
        """One row per policy and tau: plug-in and smoothed Cover@tau with their ends, the likeliest, exact bounds."""
        ends = ("plug_in", "plug_in_lower", "plug_in_upper", "smoothed", "smoothed_lower", "smoothed_upper")
        names = ("tau", *ends, "npmle", "bounds_lower", "bounds_upper")
        rows = [row for policy, cover in self.curves.items() for row in by_k(cover, names, policy=policy)]
        return pa.Table.from_pylist(rows)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `numbers.json` records about a policy. Guesses map k to pass@k; they are empty if there are none."""

    flops_per_rollout: float
    """Mean FLOPs of a rollout; NaN if unknown."""
    uniform: dict[int, float]
    own_answers: dict[int, float]
    rests_on: str
    """The rollouts behind the record, in words. A run that was extended since then has more."""


def at_one_n(store: BrowsedStore, rates: SolveRates, policies: Sequence[str]) -> SolveRates:
    """The store's rates with at most N rollouts in a cell, the first verified ones: what `s2l-lab passk` reads at this
    N. `rates`, which are the store's, where none of these policies has more. UsageError for one that is not there."""
    chosen = _chosen(rates, policies)
    if chosen is None or all((one.total_P == chosen.n).all() for one in chosen.counts.values()):
        return rates
    return solve_rates(store, rates.version, first=chosen.n)


def family_curves(rates: SolveRates, policies: Sequence[str], interval: Interval = "rollouts") -> FamilyCurves:
    """The curves of these policies (in their order), with intervals about `interval`.

    Without a problem that every one of them has verified rollouts of, everything is empty and a note says so. Raises
    UsageError for a policy that is not there.
    """
    chosen = _chosen(rates, policies)
    if chosen is None:
        return FamilyCurves({}, 0, 0, ("No problem has verified rollouts of every policy that is chosen.",))
    curves = {name: policy_curve(name, one, chosen.n, interval) for name, one in chosen.counts.items()}
    first = next(iter(chosen.counts.values()))
    n_clusters = None if first.cluster is None else len(set(first.cluster))
    return FamilyCurves(curves, len(first.problem_ids), chosen.n, _notes(chosen), n_clusters)


def family_covers(rates: SolveRates, policies: Sequence[str]) -> Covers:
    """Cover@tau at tau = k / N for the k of `family_curves`, with intervals about problems. Errors as there."""
    chosen = _chosen(rates, policies)
    if chosen is None:
        return Covers({})
    return Covers({name: policy_cover(name, one, chosen.n) for name, one in chosen.counts.items()})


def family_comparisons(rates: SolveRates, policies: Sequence[str]) -> tuple[Comparison, ...]:
    """Every pair of these policies on the problems of `family_curves`, the first of a pair as `a`; one band over all k
    and all pairs. This is the slow part (seconds for five policies on a thousand problems)."""
    chosen = _chosen(rates, policies)
    return () if chosen is None else policy_comparisons(chosen.counts, chosen.n)


def crossings_table(comparisons: Sequence[Comparison]) -> pa.Table:
    """One row per pair: the verdict in words, and the difference at the smallest and the largest k with its band."""
    return pa.Table.from_pylist([_crossing(comparison) for comparison in comparisons])


def differences_table(comparisons: Sequence[Comparison]) -> pa.Table:
    """One row per pair and k: b's pass@k minus a's, its pointwise interval, the simultaneous band, and the bounds
    between which a null value lies."""
    names = ("k", "value", "lower", "upper", "band_lower", "band_upper", "bound_low", "bound_high")
    rows = [row for c in comparisons for row in by_k(c, names, a=c.a, b=c.b)]
    return pa.Table.from_pylist(rows)


def by_k(record: Record, names: Sequence[str], **about: str) -> list[dict[str, Any]]:
    """One row for each k (or tau) with `about` and these fields of a record; undefined values are null."""
    found = plain(record)
    size = len(found["tau" if isinstance(record, CoverCurve) else "k"])
    columns = {name: found[name] if isinstance(found[name], list) else [found[name]] * size for name in names}
    return [about | dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The counts that a family's numbers are made of."""

    counts: dict[str, Counts]
    n: int
    short: int
    """Number of problems that are left out because they have fewer than n rollouts."""
    without: int
    """Number of problems for which some policy has no rollouts."""


def _chosen(rates: SolveRates, policies: Sequence[str]) -> _Chosen | None:
    """The counts of these policies; None if no problem has rollouts of all of them."""
    columns = [rates.column(name) for name in policies]
    least_P = rates.total_PM[:, columns].min(axis=1, initial=np.iinfo(np.int64).max)
    started = np.sort(least_P[least_P > 0])[::-1]
    if not columns or not started.size:
        return None
    n = int(started[(started.size - 1) // 2])
    kept = np.flatnonzero(least_P >= n)
    ids = tuple(rates.problem_ids[i] for i in kept)
    cluster = cluster_labels(ids, rates.clusters)
    counts = {
        name: Counts(ids, rates.correct_PM[kept, c], rates.total_PM[kept, c], rates.unknown_PM[kept, c], cluster)
        for name, c in zip(policies, columns, strict=True)
    }
    return _Chosen(counts, n, short=started.size - len(kept), without=int((least_P == 0).sum()))


def drawn(record: Record) -> Record:
    """A curve or comparison at the k (tau) that are drawn of it: see `thinned`."""
    size = len(record.tau if isinstance(record, CoverCurve) else record.k)
    at = thinned(size) - 1
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    taken: dict[str, Any] = {
        name: value[at] if isinstance(value, np.ndarray) else tuple(value[i] for i in at)
        for name, value in values.items()
        if isinstance(value, np.ndarray | tuple) and len(value) == size
    }
    return replace(record, **taken)


def thinned(n: int) -> NDArray[np.int64]:
    """The values of k from 1 to `n` that are drawn: all up to MOST_KS, else about that many, ever wider apart."""
    if n <= MOST_KS:
        return every_k(n)
    return np.unique(np.rint(np.geomspace(1, n, MOST_KS)).astype(np.int64))


def recorded(store: BrowsedStore) -> dict[str, Recorded]:
    """The records by policy from the run's `numbers.json`; empty if it is missing, damaged or from another release."""
    content = json_object(store.path / NUMBERS) or {}
    policies = content.get("policies")
    found = {}
    for one in policies if isinstance(policies, list) else []:
        if isinstance(one, dict) and isinstance(one.get("policy"), str):
            guess, cost = _object(one.get("guess")), _object(one.get("cost"))
            flops = cost.get("flops_per_rollout")
            found[one["policy"]] = Recorded(
                float(flops) if _is_number(flops) else math.nan,
                _by_k(guess, "uniform"),
                _by_k(guess, "own_answers"),
                _rests_on(content),
            )
    return found


def _rests_on(content: Mapping[str, Any]) -> str:
    benchmark = _object(content.get("benchmark"))
    numbers = (("n", benchmark.get("n_problems"), "problems"), ("N", content.get("n_rollouts"), "rollouts"))
    words = [f"{name} = {value} {unit}" for name, value, unit in numbers if _is_number(value)]
    version = content.get("verifier_version")
    return ", ".join([*words, *([f"verifier {version}"] if isinstance(version, str) else [])])


def _notes(chosen: _Chosen) -> tuple[str, ...]:
    notes, n = [], chosen.n
    if chosen.short:
        notes.append(f"{chosen.short} problems with fewer than {n} verified rollouts of some policy are left out.")
    if chosen.without:
        notes.append(f"{chosen.without} problems without any of some policy are left out.")
    drawn = len(thinned(n))
    if drawn < n:
        notes.append(f"{drawn} of the {n} values of k are drawn; the files have all.")
    unknown = sum(int(one.unknown_P.sum()) for one in chosen.counts.values())
    if unknown:
        notes.append(
            f"{unknown} rollouts have no verdict because the verifier failed; pass@k and Cover@tau have bounds where "
            "the missing verdicts matter."
        )
    return tuple(notes)


def _crossing(comparison: Comparison) -> dict[str, Any]:
    c = comparison
    row: dict[str, Any] = {"smaller": c.a, "larger": c.b, "verdict": crossing_words(c), "outcome": c.crossing.outcome}
    low, high = c.crossing.k_set or (None, None)
    row |= {"k": c.crossing.k, "k_low": low, "k_high": high}
    for place, name in ((0, "first"), (-1, "last")):
        row |= {
            f"{name}_k": int(c.k[place]),
            f"{name}_difference": _number(c.value[place]),
            f"{name}_band_lower": _number(c.band_lower[place]),
            f"{name}_band_upper": _number(c.band_upper[place]),
        }
    return row | {"n_problems": c.n_problems, "n_rollouts": c.n_rollouts}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _by_k(guess: Mapping[str, Any], name: str) -> dict[int, float]:
    ks, values = guess.get("k"), guess.get(name)
    if not isinstance(ks, list) or not isinstance(values, list):
        return {}
    return {
        int(k): float(value) for k, value in zip(ks, values, strict=False) if isinstance(k, int) and _is_number(value)
    }


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Whether it is a JSON number that a float can hold: not true, NaN, 1e999, nor an integer of 400 digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
