"""What choosing among a bank's rollouts did: its diversity, answers, correct rate and lengths before and after.

Every number is a mean over problems of a value within them, with an interval about problems like these, and its counts.
What was removed, and what is left above the learner's own level, are paired by problem. Edit diversity is a mean over
pairs and needs no rarefaction; unique answers are rarefied to the number that is kept. Correct rollouts alone stand
beside all of them, since wrong ones scatter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from s2l_lab.diversity import edit_diversity, mean_over_problems, unique_answer_ratio
from s2l_lab.errors import UsageError
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training.selection import COLUMNS, Select, StoredRollout, bank_key, keep, tokens, verdict_version
from s2l_lab.verifiers import Outcome

if TYPE_CHECKING:
    from s2l_lab.estimators import Estimate


@dataclass(frozen=True, slots=True)
class BankFacts:
    """What rollouts of a bank are like: means over problems, with intervals about problems."""

    edit_diversity: Estimate
    edit_diversity_correct: Estimate
    """Edit diversity of correct rollouts only, over problems with two or more of them."""
    unique_answers: Estimate
    """Rarefied to the number that is kept, before and after alike; all failures to answer are one."""
    correct_rate: Estimate
    """Share of correct rollouts among those with a known outcome."""
    tokens: Estimate
    """Mean completion length, EOS included."""
    unknown: int
    """Rollouts with VERIFIER_ERROR, over all problems."""


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """What a selection did to a bank."""

    select: Select
    before: BankFacts
    after: BankFacts
    removed: Estimate
    """Edit diversity before minus after, paired by problem."""
    above_learner: Estimate | None
    """Edit diversity after minus the learner's, paired by problem; None where the learner's was not given."""

    @property
    def reached(self) -> Literal["yes", "no", "cannot tell"] | None:
        """Whether the explorer was brought down to the learner's level: by the interval of `above_learner`."""
        if self.above_learner is None:
            return None
        if self.above_learner.upper <= 0:
            return "yes"
        return "no" if self.above_learner.lower > 0 else "cannot tell"


def edit_diversities(path: str | Path) -> dict[str, float]:
    """Edit diversity by problem id of all rollouts in a bank: of the learner's own bank, the level to reach."""
    with RolloutStore(path) as store:
        rows = _rows(store)
    return {id: edit_diversity([tokens(row) for row in rows_N]) for id, rows_N in rows.items()}


def selection_report(
    path: str | Path, select: Select, *, learner: Mapping[str, float] | None = None
) -> SelectionReport:
    """What `select` keeps of a bank, beside all of it.

    `learner` is the learner's edit diversity by problem id (`edit_diversities` of a bank that it filled). Raises
    UsageError and DataError as `keep`, and UsageError for a learner's level of none of the bank's problems.
    """
    with RolloutStore(path) as store:
        rows, key = _rows(store), bank_key(store)
    kept = {id: [rows_N[i] for i in keep(select, rows_N, f"{key} {id}")] for id, rows_N in rows.items()}
    m = min(map(len, kept.values()))
    after_P = {id: edit_diversity([tokens(row) for row in rows_n]) for id, rows_n in kept.items()}
    before_P = {id: edit_diversity([tokens(row) for row in rows_N]) for id, rows_N in rows.items()}
    above = None
    if learner is not None:
        shared = [id for id in after_P if id in learner]
        if not shared:
            raise UsageError("the learner's level is of none of the bank's problems. Take it from the same problems.")
        above = mean_over_problems([after_P[id] - learner[id] for id in shared], m)
    return SelectionReport(
        select=select,
        before=_level(rows, before_P, m),
        after=_level(kept, after_P, m),
        removed=mean_over_problems([before_P[id] - after_P[id] for id in rows], m),
        above_learner=above,
    )


def _rows(store: RolloutStore) -> dict[str, list[StoredRollout]]:
    table: Any = store.read([*COLUMNS, "outcome", "canonical"], version=verdict_version(store))
    found: dict[str, list[StoredRollout]] = {}
    for row in table.sort_by("sample_index").to_pylist():
        found.setdefault(row["problem_id"], []).append(row)
    return found


def _level(rows: Mapping[str, Sequence[StoredRollout]], edit_P: Mapping[str, float], m: int) -> BankFacts:
    n = min(map(len, rows.values()))
    correct = [[row for row in rows_N if row["outcome"] == Outcome.CORRECT] for rows_N in rows.values()]
    unknown = [sum(row["outcome"] == Outcome.VERIFIER_ERROR for row in rows_N) for rows_N in rows.values()]
    known = [len(rows_N) - u for rows_N, u in zip(rows.values(), unknown, strict=True)]
    return BankFacts(
        edit_diversity=mean_over_problems(list(edit_P.values()), n, bounds=(0, 1)),
        edit_diversity_correct=mean_over_problems(
            [edit_diversity([tokens(row) for row in rows_c]) for rows_c in correct], n, bounds=(0, 1)
        ),
        unique_answers=mean_over_problems(
            [unique_answer_ratio([row["canonical"] for row in rows_N], m) for rows_N in rows.values()], n, bounds=(0, 1)
        ),
        correct_rate=mean_over_problems(
            [len(rows_c) / k if k else math.nan for rows_c, k in zip(correct, known, strict=True)], n, bounds=(0, 1)
        ),
        tokens=mean_over_problems([np.mean([len(row["token_ids"]) for row in r]) for r in rows.values()], n),
        unknown=sum(unknown),
    )
