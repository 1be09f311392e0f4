"""Problems x policies: how often each policy solves each problem, for the heat map and the lists of who solves what.

Rates stand with their counts and an interval for each cell: Jeffreys' 95 % (the beta posterior under a prior of half a
success and half a failure), about these problems under other draws; at 0 or N correct the end there is 0 or 1. A cell
without verdicts is NaN, never 0. Rollouts that no verifier could judge are in the total and in `unknown`, and count as
not correct, so a cell that has some is a lower bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from s2l_lab.browse.filters import OUTCOMES
from s2l_lab.browse.listing import TABLE, listing
from s2l_lab.browse.provenance import spanned
from s2l_lab.browse.store import BrowsedStore
from s2l_lab.errors import unknown_name
from s2l_lab.problems.clusters import named_clusters

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Order = Literal["arrival", "easiest", "hardest", "spread", "policy", "difference"]
"""As the problems came; by mean rate over policies, falling or rising; by the largest gap between policies; by one
policy's rate, falling; by one policy's rate minus another's, falling. Ties stay in order of arrival, NaN comes last."""
ORDERS: tuple[Order, ...] = get_args(Order)
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class SolveRates:
    """P problems under M policies. Arrays have shape (P, M)."""

    policies: tuple[str, ...]
    problem_ids: tuple[str, ...]
    correct_PM: Ints
    total_PM: Ints
    """Rollouts that have a verdict."""
    unknown_PM: Ints
    """(P, M) number of rollouts that no verifier could judge; part of the totals."""
    version: str | None
    """Verifier version; None if nothing is verified, and then every total is 0."""
    clusters: Mapping[str, str] = field(default_factory=dict)
    """Cluster by problem id, for problems that name one."""

    @property
    def rate_PM(self) -> Floats:  # noqa: N802
        """correct / total; NaN without rollouts."""
        rate_PM: Floats = np.divide(
            self.correct_PM, self.total_PM, out=np.full(self.total_PM.shape, np.nan), where=self.total_PM > 0
        )
        return rate_PM

    @property
    def lower_PM(self) -> Floats:  # noqa: N802
        """Lower ends of the cells' intervals; NaN without rollouts."""
        return self._ends((1 - LEVEL) / 2, self.correct_PM == 0, 0.0)

    @property
    def upper_PM(self) -> Floats:  # noqa: N802
        """Upper ends of the cells' intervals; NaN without rollouts."""
        return self._ends((1 + LEVEL) / 2, self.correct_PM == self.total_PM, 1.0)

    def _ends(self, quantile: float, at_edge: NDArray[np.bool_], edge: float) -> Floats:
        from scipy.special import betaincinv

        ends = betaincinv(self.correct_PM + 0.5, self.total_PM - self.correct_PM + 0.5, quantile)
        return np.where(self.total_PM > 0, np.where(at_edge, edge, ends), np.nan)

    def column(self, policy: str) -> int:
        """The column of the policy. Raises UsageError for an unknown policy."""
        if policy not in self.policies:
            raise unknown_name("policy", policy, self.policies)
        return self.policies.index(policy)

    @property
    def rollouts_per_problem(self) -> str:
        """N of the cells that have rollouts: `64`, or `60 to 64`."""
        return spanned(self.total_PM[self.total_PM > 0].tolist())

    def order(self, by: Order, policy: str | None = None, other: str | None = None) -> Ints:
        """Row numbers (P,) in this order. `policy` is for "policy", `policy` and `other` for "difference"."""
        if by not in ORDERS:
            raise unknown_name("order", by, ORDERS)
        if by == "arrival":
            return np.arange(len(self.problem_ids))
        return np.argsort(self._key(by, policy, other), kind="stable")

    def _key(self, by: Order, policy: str | None, other: str | None) -> Floats:
        """What rises along the order, shape (P,); NaN where unknown, which sorts last."""
        rate_PM = self.rate_PM
        known_PM = self.total_PM > 0
        none_P = ~known_PM.any(axis=1)
        if by == "policy":
            return -rate_PM[:, self.column(policy or "")]
        if by == "difference":
            return rate_PM[:, self.column(other or "")] - rate_PM[:, self.column(policy or "")]
        if by == "spread":
            most = np.where(known_PM, rate_PM, -np.inf).max(axis=1, initial=-np.inf)
            least = np.where(known_PM, rate_PM, np.inf).min(axis=1, initial=np.inf)
            return np.where(none_P, np.nan, least - most)
        mean_P = np.where(known_PM, rate_PM, 0).sum(axis=1) / np.maximum(known_PM.sum(axis=1), 1)
        return np.where(none_P, np.nan, mean_P if by == "hardest" else -mean_P)

    def take(self, order: Ints) -> SolveRates:
        """The problems in the given order, as returned by `order`."""
        return SolveRates(
            self.policies,
            tuple(self.problem_ids[i] for i in order),
            self.correct_PM[order],
            self.total_PM[order],
            self.unknown_PM[order],
            self.version,
            self.clusters,
        )

    def of(self, policies: Sequence[str]) -> SolveRates:
        """The rates of these policies only, in this order. Raises UsageError for an unknown policy."""
        columns = [self.column(name) for name in policies]
        return SolveRates(
            tuple(policies),
            self.problem_ids,
            self.correct_PM[:, columns],
            self.total_PM[:, columns],
            self.unknown_PM[:, columns],
            self.version,
            self.clusters,
        )

    def cells(self) -> pa.Table:
        """One row per cell, problem by problem: problem_id, policy, correct, total, unknown, rate, lower, upper."""
        wide, long = len(self.policies), len(self.problem_ids)
        columns = {
            "problem_id": pa.array([name for name in self.problem_ids for _ in range(wide)], pa.string()),
            "policy": pa.array(list(self.policies) * long, pa.string()),
            "correct": self.correct_PM.ravel(),
            "total": self.total_PM.ravel(),
            "unknown": self.unknown_PM.ravel(),
            "rate": self.rate_PM.ravel(),
            "lower": self.lower_PM.ravel(),
            "upper": self.upper_PM.ravel(),
        }
        return pa.table(columns)


def solve_rates(
    store: BrowsedStore, version: str | None = None, n: int | None = None, first: int | None = None
) -> SolveRates:
    """Counts of every policy on every problem of the store, over sample indices below `n` (None: all), and of the
    verified rollouts in a cell over the `first` ones by sample index (None: all).

    `version` is the verifier's, the newest where None. A policy that drew under several digests or sampling parameters
    is summed over them. A verdict counts through the rollout that it was given to.
    """
    version = store.newest_version() if version is None else version
    limit = 2**31 - 1 if n is None else n
    sql, params = (
        (_SQL.format(listed=TABLE), [limit]) if first is None else (_SQL.format(listed=_FIRST), [first, limit])
    )
    with store.reading(version) as ask:
        made = listing(store, version)
        table = ask(lambda connection: connection.sql(sql, params=params).to_arrow_table())
    counts_3PM = np.zeros((3, len(made.problem_ids), len(made.policies)), np.int64)
    rows, columns = table["problem"].to_numpy(), table["policy"].to_numpy()
    for i, name in enumerate(("correct", "total", "unknown")):
        counts_3PM[i][rows, columns] = table[name].to_numpy()
    clusters = named_clusters(store.problems().values())
    return SolveRates(
        made.policies, made.problem_ids, counts_3PM[0], counts_3PM[1], counts_3PM[2], made.version, clusters
    )


_PLACE = {name: place for place, name in enumerate(OUTCOMES)}
_SQL = f"""
    select problem, policy, count(*) filter (outcome = {_PLACE["correct"]}) as correct, count(*) as total,
        count(*) filter (outcome = {_PLACE["verifier_error"]}) as unknown
    from {{listed}} where sample_index < ? and outcome <> {_PLACE["unverified"]} group by problem, policy
"""
_FIRST = f"""
    (select * from {TABLE} where outcome <> {_PLACE["unverified"]}
    qualify row_number() over (partition by problem, policy order by sample_index, digest) <= ?)
"""
