"""A filter as a condition on the listing: what DuckDB is asked, with every value bound.

Names of policies and problems become places in the listing's lists, sources and steps become policies or ranges of
sample indices. Text and answers are not in the listing; they are looked for in Parquet, among the policies and the
problem that the filter names, and the condition holds for the rollouts that were found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from s2l_lab.browse.filters import OUTCOMES, RolloutFilter
from s2l_lab.browse.listing import TABLE, Listing
from s2l_lab.browse.rows import evaluated_step, source_of
from s2l_lab.training.rounds import Rounds


@dataclass(slots=True)
class Selection:
    """A SQL condition with its parameters, and notes for the reader."""

    terms: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    table: str = TABLE
    reads_parquet: bool = False
    """Whether the filter needs texts or answers to be read."""

    @property
    def where(self) -> str:
        """The condition with the keyword `where`; empty if there is none."""
        return " where " + " and ".join(self.terms) if self.terms else ""

    def add(self, term: str, *parameters: Any) -> None:
        """Add a condition that must hold."""
        self.terms.append(term)
        self.parameters.extend(parameters)

    def among(self, column: str, values: list[Any]) -> None:
        """Require that the column is one of these values; an empty list matches nothing."""
        self.add(f"{column} in ({', '.join('?' * len(values))})" if values else "false", *values)


def select(filter: RolloutFilter, made: Listing, rounds: Rounds | None) -> Selection:
    """The condition that a filter is on the table `listed`. A part that the run has no such thing for fits nothing, and
    a note says so."""
    found = Selection()
    policies = _policies(filter, made, rounds, found.notes)
    if policies is not None:
        found.among("policy", [made.policies.index(name) for name in policies])
    if filter.problem is not None:
        known = filter.problem in made.problem_ids
        found.among("problem", [made.problem_ids.index(filter.problem)] if known else [])
        if not known:
            found.notes.append(f"This run has no problem {filter.problem!r}.")
    if filter.outcomes:
        found.among("outcome", [OUTCOMES.index(name) for name in filter.outcomes])
    if filter.min_tokens is not None:
        found.add("tokens >= ?", filter.min_tokens)
    if filter.max_tokens is not None:
        found.add("tokens <= ?", filter.max_tokens)
    if rounds is not None and (filter.min_step is not None or filter.max_step is not None):
        indices = rounds.indices(filter.min_step, filter.max_step)
        found.add("sample_index >= ? and sample_index < ?", indices.start, indices.stop)
        if not rounds.exact:
            found.notes.append("Steps are counted as for one process: the run has no report yet that says more.")
    _in_parquet(filter, policies, found)
    return found


def _policies(filter: RolloutFilter, made: Listing, rounds: Rounds | None, notes: list[str]) -> list[str] | None:
    """The policies that the filter selects; None if it does not restrict them."""
    left = list(made.policies)
    if filter.policies:
        left = [name for name in left if name in filter.policies]
        for name in filter.policies:
            if name not in made.policies:
                notes.append(f"This run has no policy {name!r}.")
    if filter.source is not None:
        left = [name for name in left if source_of(name) == filter.source]
        if all(source_of(name) is None for name in made.policies):
            notes.append("This run has no sources: explorer and learner are of training runs.")
    if rounds is None and (filter.min_step is not None or filter.max_step is not None):
        low, high = filter.min_step or 0, 2**31 if filter.max_step is None else filter.max_step
        steps = {name: evaluated_step(name) for name in made.policies}
        left = [name for name in left if (step := steps[name]) is not None and low <= step <= high]
        if all(step is None for step in steps.values()):
            notes.append("This run has no steps: they are of training runs and their evaluations.")
    return None if len(left) == len(made.policies) else left


def _in_parquet(filter: RolloutFilter, policies: list[str] | None, found: Selection) -> None:
    """Add conditions on columns that are not in the listing."""
    near = Selection()
    if policies is not None:
        near.among("policy", policies)
    if filter.problem is not None:
        near.add("problem_id = ?", filter.problem)

    def among(view: str, term: str, *parameters: Any) -> None:
        inner = " and ".join([*near.terms, term])
        found.reads_parquet = True
        found.add(
            f"exists (from {view} v where v.digest = {TABLE}.digest and v.sample_index = {TABLE}.sample_index "
            f"and {inner})",
            *near.parameters,
            *parameters,
        )

    if filter.text:
        among("rollouts", "contains(lower(text), lower(?))", filter.text)
    if filter.answer == "":
        among("verdicts", "answer is null and canonical is null")
    elif filter.answer is not None:
        among("verdicts", "(answer = ? or canonical = ?)", filter.answer, filter.answer)
