"""A stored run under another verifier: which verdicts flip, and what that does to the curve.

Both curves are over the very same rollouts, so the difference between them holds no sampling noise: it is what the
choice of a verifier is worth. Nothing is written; the run's own verdicts stay what they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2l_lab.errors import DataError
from s2l_lab.estimators import Curve, pass_at_k_curve
from s2l_lab.policies import StopReason
from s2l_lab.verifiers import Extraction, Kind, Outcome, VerifierPool, VerifyItem, verifier_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from s2l_lab.problems import Problem
    from s2l_lab.rollouts import Origin, RolloutStore

EXAMPLES = 3
"""Flips shown of each policy and direction, each of another problem where there are enough."""
_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Flip:
    """One rollout under both verifiers."""

    problem: Problem
    index: int
    before: Outcome
    after: Outcome
    answer_before: str | None
    answer_after: str | None


@dataclass(frozen=True, slots=True)
class PolicyFlips:
    """One policy under both verifiers."""

    origin: Origin
    table: dict[tuple[Outcome, Outcome], int]
    """Rollouts by (before, after)."""
    examples: tuple[Flip, ...]
    """Rollouts that become correct, then rollouts that were."""
    before: Curve | None
    after: Curve | None
    """pass@k over all k with `rollouts` intervals; None where nothing is verified."""

    @property
    def total(self) -> int:
        return sum(self.table.values())

    @property
    def gained(self) -> int:
        """Rollouts that become correct."""
        return sum(c for (b, a), c in self.table.items() if a is Outcome.CORRECT and b is not Outcome.CORRECT)

    @property
    def lost(self) -> int:
        """Rollouts that were correct."""
        return sum(c for (b, a), c in self.table.items() if b is Outcome.CORRECT and a is not Outcome.CORRECT)


@dataclass(frozen=True, slots=True)
class FlipReport:
    """A run under two verifiers."""

    before: str
    after: str
    """Verifier versions."""
    policies: tuple[PolicyFlips, ...]
    unverified: int
    """Rollouts without a verdict of the first version; they are in neither count."""


def flips(before: Sequence[Outcome], after: Sequence[Outcome]) -> dict[tuple[Outcome, Outcome], int]:
    """How many items have each pair of outcomes; the order of the items does not matter."""
    return dict(Counter(zip(before, after, strict=True)))


def run_version(store: RolloutStore, extraction: Extraction = "strict") -> str:
    """The current version of the verifier that a run's problems ask for. Raises DataError for a run without any."""
    problems = store.problems()
    if not problems:
        raise DataError(f"{store.path} holds no problems yet. Run the passk command on it first.")
    return verifier_version(problems[0].kind, extraction)


def compare_verifiers(
    store: RolloutStore, kind: Kind | None, pool: VerifierPool, *, version: str | None = None
) -> FlipReport:
    """Grade every verified rollout of a run with the verifier `kind`, by the pool's extraction, and set the outcomes
    side by side. `kind` None takes each problem's own verifier.

    `version` names the run's own verdicts (None: those of the current strict version where the run has them, else the
    first that it has). Raises DataError if it has none.
    """
    there = store.verifier_versions
    strict = run_version(store)
    other = run_version(store, pool.extraction) if kind is None else pool.version(kind)
    if not there or (version is not None and version not in there):
        raise DataError(
            f"{store.path} has no verdicts {'' if version is None else f'of {version} '}to compare with "
            f"(verifiers there: {', '.join(there) or 'none'}). Run the passk command on it first."
        )
    own = version or (strict if strict in there else there[0])
    problems = {problem.id: problem for problem in store.problems()}
    policies, unverified = [], 0
    for origin in store.origins():
        graded = []
        for rows in _pages(store, origin, own):
            verified = [row for row in rows if row["outcome"] is not None]
            unverified += len(rows) - len(verified)
            graded += _grade(verified, problems, kind, pool)
        policies.append(_policy(origin, graded))
    return FlipReport(own, other, tuple(policies), unverified)


def _pages(store: RolloutStore, origin: Origin, version: str) -> Iterator[list[dict[str, object]]]:
    names = ["problem_id", "sample_index", "text", "stop_reason", "outcome", "answer"]
    where = {
        "policy": origin.policy,
        "policy_digest": origin.policy_digest,
        "sampling_digest": origin.sampling_digest,
    }
    offset = 0
    while rows := store.read(names, where, version=version, limit=_PAGE, offset=offset).to_pylist():
        yield rows
        offset += len(rows)


def _grade(
    rows: Sequence[Mapping[str, object]], problems: Mapping[str, Problem], kind: Kind | None, pool: VerifierPool
) -> list[Flip]:
    """The rows with their outcomes under both verifiers."""
    items = [
        VerifyItem(problems[str(row["problem_id"])], str(row["text"]), row["stop_reason"] == StopReason.LENGTH)
        for row in rows
    ]
    return [
        Flip(
            problem=item.problem,
            index=int(str(row["sample_index"])),
            before=Outcome(str(row["outcome"])),
            after=verdict.outcome,
            answer_before=None if row["answer"] is None else str(row["answer"]),
            answer_after=verdict.answer,
        )
        for row, item, verdict in zip(rows, items, pool.verify_many(items, kind), strict=True)
    ]


def _policy(origin: Origin, graded: Sequence[Flip]) -> PolicyFlips:
    return PolicyFlips(
        origin=origin,
        table=flips([g.before for g in graded], [g.after for g in graded]),
        examples=(*_examples(graded, to_correct=True), *_examples(graded, to_correct=False)),
        before=_curve([(g.problem.id, g.before) for g in graded]),
        after=_curve([(g.problem.id, g.after) for g in graded]),
    )


def _examples(graded: Sequence[Flip], *, to_correct: bool) -> list[Flip]:
    """The first flip of each problem in one direction."""
    first: dict[str, Flip] = {}
    for g in graded:
        correct = (g.before is Outcome.CORRECT, g.after is Outcome.CORRECT)
        if correct == (not to_correct, to_correct):
            first.setdefault(g.problem.id, g)
    return list(first.values())[:EXAMPLES]


def _curve(outcomes: Sequence[tuple[str, Outcome]]) -> Curve | None:
    total = Counter(problem_id for problem_id, _ in outcomes)
    if not total:
        return None
    correct = Counter(problem_id for problem_id, outcome in outcomes if outcome is Outcome.CORRECT)
    unknown = Counter(problem_id for problem_id, outcome in outcomes if outcome is Outcome.VERIFIER_ERROR)
    ids = list(total)
    return pass_at_k_curve(
        [correct[i] for i in ids], [total[i] for i in ids], interval="rollouts", unknown_P=[unknown[i] for i in ids]
    )
