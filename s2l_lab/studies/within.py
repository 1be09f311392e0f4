"""Within: how varied are one policy's rollouts? Every metric, per problem, then over problems with intervals.

Two conditions stand side by side. *All* rollouts are rarefied to m, by default the smallest N of the policies.
*Correct* rollouts alone are rarefied to two unless told otherwise, on the problems where every policy has so many
correct ones: the same problems for all, with their count. Two is what most problems have to offer, and what pairwise
metrics need. Metrics rise when accuracy falls, so only the second condition can speak of strategies. Length stands
beside both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.measure import (
    CONDITIONS,
    EMBEDDED,
    M_CORRECT,
    Condition,
    Vectors,
    condition_values,
    texts_to_embed,
)
from s2l_lab.diversity.metrics import METRICS
from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.diversity.rollout_set import set_clusters
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators import Counts, Estimate
from s2l_lab.passk.estimates import policy_curve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from s2l_lab.diversity.rollout_set import RolloutSet

__all__ = [
    "CONDITIONS",
    "EMBEDDED",
    "M_CORRECT",
    "Cell",
    "Condition",
    "PolicyDiversity",
    "Vectors",
    "Within",
    "pass_at_1",
    "texts_to_embed",
    "within",
]


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one policy in one condition."""

    value: Estimate
    less_reference: Estimate | None
    """This policy minus the reference policy, paired over problems; None for the reference itself."""


@dataclass(frozen=True, slots=True)
class PolicyDiversity:
    """One policy's table column."""

    name: str
    cells: Mapping[Condition, Mapping[str, Cell]]
    """Cell of each metric, by condition and metric name (the keys of METRICS)."""
    length: Mapping[Condition, Estimate]
    """Mean number of tokens per completion, by condition."""
    accuracy: Estimate
    """pass@1 over all rollouts, 0 to 1; NaN between its ends where some have no verdict."""
    n_rollouts: Mapping[Condition, int]
    n_unknown: int
    """Number of rollouts whose verifier failed; they are in no correct-only metric."""


@dataclass(frozen=True, slots=True)
class Within:
    """The table."""

    policies: tuple[PolicyDiversity, ...]
    reference: str
    """The policy that differences are taken to: the last one, the largest member."""
    m: Mapping[Condition, int]
    m_embedding: Mapping[Condition, int]
    """Number of rollouts that metrics of embeddings are rarefied to, by condition."""
    n_problems: Mapping[Condition, int]
    level: float = 0.95
    n_clusters: int | None = None
    """Number of clusters of problems that were resampled whole; None where every problem stands alone."""

    def rarefied(self, metric: str, condition: Condition) -> int:
        """Rollouts that this metric is rarefied to."""
        return (self.m_embedding if METRICS[metric].level == "embedding" else self.m)[condition]


def within(
    sets: Mapping[str, Sequence[RolloutSet]],
    vectors: Vectors | None,
    *,
    m_all: int | None = None,
    m_correct: int = M_CORRECT,
    done: Callable[[str], None] = lambda _: None,
) -> Within:
    """All metrics of all policies. `sets` runs from small to large; the last policy is the reference.

    Every policy has its sets for the same problems in the same order. `vectors` None leaves embedding metrics
    undefined. `m_all` (None: the smallest N) and `m_correct` are what the two conditions are rarefied to. `done` is
    called with a policy's name when its metrics are there. Raises DataError for fewer than two rollouts and for
    policies on different problems, UsageError for an m that the rollouts do not allow.
    """
    names = list(sets)
    _check(sets)
    least = min(len(s) for one in sets.values() for s in one)
    _check_m(m_all, m_correct, least)
    m: dict[Condition, int] = {"all": least if m_all is None else m_all, "correct": m_correct}
    m_embedding: dict[Condition, int] = {c: min(m[c], EMBEDDED) for c in CONDITIONS}
    enough = _enough_correct(sets, m_correct)
    chosen: dict[str, dict[Condition, Sequence[RolloutSet]]] = {}
    values: dict[str, dict[Condition, dict[str, NDArray[np.float64]]]] = {}
    for name in names:
        correct = [s.take(np.flatnonzero(s.correct_N & good)) for s, good in zip(sets[name], enough, strict=True)]
        chosen[name] = {"all": sets[name], "correct": correct}
        values[name] = {
            "all": condition_values("all", sets[name], m["all"], vectors, EMBEDDED, m_embedding["all"]),
            "correct": condition_values("correct", correct, m_correct, vectors, None, m_embedding["correct"]),
        }
        done(name)
    last = names[-1]
    policies = tuple(
        _policy(name, chosen[name], values[name], None if name == last else values[last], m, m_embedding)
        for name in names
    )
    clusters = set_clusters(sets[last])
    return Within(
        policies,
        last,
        m,
        m_embedding,
        {"all": len(enough), "correct": int(enough.sum())},
        n_clusters=None if clusters is None else len(set(clusters)),
    )


def _check(sets: Mapping[str, Sequence[RolloutSet]]) -> None:
    ids = {name: [s.problem_id for s in one] for name, one in sets.items()}
    first = next(iter(ids.values()), [])
    for name, mine in ids.items():
        if mine != first:
            raise DataError(f"{name} has other problems than {next(iter(ids))}; a table compares policies on the same.")
    for name, one in sets.items():
        if few := [s.problem_id for s in one if len(s) < 2]:
            raise DataError(
                f"{name} has fewer than two rollouts of {len(few)} problems (the first: {few[0]}); diversity needs "
                "two. Sample more with -n."
            )


def _check_m(m_all: int | None, m_correct: int, least: int) -> None:
    if m_all is not None and not 2 <= m_all <= least:
        raise UsageError(
            f"rarefaction to m = {m_all} was asked; m lies between 2 and the smallest N, which is {least}."
        )
    if m_correct < 2:
        raise UsageError(f"rarefaction to {m_correct} correct rollouts was asked; pairwise metrics need 2.")


def _enough_correct(sets: Mapping[str, Sequence[RolloutSet]], m: int) -> NDArray[np.bool_]:
    """(P,) True where every policy has m correct rollouts."""
    correct_MP = np.array([[s.correct_N.sum() for s in one] for one in sets.values()])
    enough: NDArray[np.bool_] = np.all(correct_MP >= m, axis=0)
    return enough


def _policy(
    name: str,
    sets: Mapping[Condition, Sequence[RolloutSet]],
    values: Mapping[Condition, Mapping[str, NDArray[np.float64]]],
    reference: Mapping[Condition, Mapping[str, NDArray[np.float64]]] | None,
    m: Mapping[Condition, int],
    m_embedding: Mapping[Condition, int],
) -> PolicyDiversity:
    rollouts: dict[Condition, int] = {c: sum(len(s) for s in sets[c]) for c in CONDITIONS}
    cells: dict[Condition, dict[str, Cell]] = {c: {} for c in CONDITIONS}
    cluster = set_clusters(sets["all"])
    for condition in CONDITIONS:
        for metric, value_P in values[condition].items():
            rarefied = m_embedding if METRICS[metric].level == "embedding" else m
            bounds = METRICS[metric].bounds(rarefied[condition])
            value = mean_over_problems(value_P, rollouts[condition], bounds=bounds, cluster=cluster)
            less = None
            if reference is not None:
                apart = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
                difference_P = value_P - reference[condition][metric]
                less = mean_over_problems(difference_P, rollouts[condition], bounds=apart, cluster=cluster)
            cells[condition][metric] = Cell(value, less)
    length = {
        c: mean_over_problems([_mean(s.length_N) for s in sets[c]], rollouts[c], cluster=cluster) for c in CONDITIONS
    }
    unknown = sum(int(s.unknown_N.sum()) for s in sets["all"])
    return PolicyDiversity(name, cells, length, pass_at_1(name, sets["all"]), rollouts, unknown)


def pass_at_1(policy: str, sets: Sequence[RolloutSet]) -> Estimate:
    """Share of correct rollouts, mean over problems: the first point of the policy's pass@k curve about problems, as
    `s2l-lab passk` has it of the same rollouts."""
    columns = [(s.correct_N.sum(), len(s), s.unknown_N.sum()) for s in sets]
    correct_P, total_P, unknown_P = np.array(columns, dtype=np.int64).reshape(-1, 3).T
    cluster = set_clusters(sets)
    ids = tuple(s.problem_id for s in sets)
    counts = Counts(ids, correct_P, total_P, unknown_P, None if cluster is None else tuple(cluster))
    curve = policy_curve(policy, counts, int(total_P.min()), "problems")
    return Estimate(
        value=float(curve.value[0]),
        lower=float(curve.lower[0]),
        upper=float(curve.upper[0]),
        level=curve.level,
        method=curve.method[0],
        interval=curve.interval,
        n_problems=curve.n_problems,
        n_rollouts=int(total_P.sum()),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
