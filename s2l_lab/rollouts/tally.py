"""What is read off a run: outcome counts, answer histograms, token totals. Plain arrays for the estimators.

A verdict counts only through the rollout that it was given to (they are joined by problem, sample index and digest), so
what counts is always there to be read. Only sample indices below n are taken: a run of 256 gives the numbers of N = 64
exactly as a run of 64 did. A problem without rollouts has zeros; it never drops out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from s2l_lab.rollouts.repeats import CHARACTERS, MOST_CHARACTERS, Contents, Distinct
from s2l_lab.rollouts.rollout import Origin
from s2l_lab.verifiers import Outcome

Query = Callable[..., pa.Table]
"""`Database.query` with the verifier version filled in."""

NO_LIMIT = 2**31 - 1

_ORIGIN = "policy = ? and policy_digest = ? and sampling_digest = ? and sample_index < ?"

VERIFIED = f"""
    (select problem_id, sample_index, digest from rollouts where {_ORIGIN})
    join (select problem_id, sample_index, digest, outcome, canonical from verdicts where {_ORIGIN})
    using (problem_id, sample_index, digest)
"""


@dataclass(frozen=True, slots=True)
class RolloutCounts:
    """Outcomes of one policy on one problem set, in the fields of `estimators.Counts`. Arrays have shape (P,)."""

    problem_ids: tuple[str, ...]
    correct_P: NDArray[np.int64]
    """Rollouts with outcome CORRECT."""
    total_P: NDArray[np.int64]
    """All verified rollouts, VERIFIER_ERROR included."""
    unknown_P: NDArray[np.int64]
    """Rollouts with outcome VERIFIER_ERROR."""


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """One answer to one problem, and how often a policy gave it."""

    canonical: str | None
    """Equal answers are equal strings; None collects the rollouts without an answer."""
    count: int
    correct: int
    """How many of them have the outcome CORRECT: all or none, unless a verifier is inconsistent."""
    unknown: int
    """How many of them have the outcome VERIFIER_ERROR."""


@dataclass(frozen=True, slots=True)
class TokenTotals:
    """What a policy's rollouts cost and how they look. NaN where there are none, or where one of them does not say."""

    rollouts: int
    completion_tokens: float
    prompt_tokens: float
    """Counted once per rollout, as an engine without prefix sharing would pay; NaN where any is unknown (0)."""
    truncated_share: float
    """Share of rollouts that reached max_tokens."""
    mean_length: float
    """Completion tokens per rollout."""
    mean_entropy: float
    """Nats per token, pooled: sum of entropies / sum of tokens."""


def counts(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> RolloutCounts:
    """Outcome counts per problem, in the order of `problem_ids`."""
    table = query(
        f"""select problem_id, count(*) filter (outcome = 'correct') as correct, count(*) as total,
            count(*) filter (outcome = 'verifier_error') as unknown from {VERIFIED} group by problem_id""",
        _origin_parameters(origin, n) * 2,
    )
    rows = _rows(table, problem_ids)
    return RolloutCounts(tuple(problem_ids), *(_column(table, name, rows) for name in ("correct", "total", "unknown")))


def answers(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> list[tuple[AnswerCount, ...]]:
    """Answer histograms per problem, in the order of `problem_ids`; most frequent answer first, ties by text."""
    table = query(
        f"""select problem_id, canonical, count(*) as count, count(*) filter (outcome = 'correct') as correct,
            count(*) filter (outcome = 'verifier_error') as unknown from {VERIFIED} group by problem_id, canonical
            order by problem_id, count desc, canonical nulls last""",
        _origin_parameters(origin, n) * 2,
    )
    found: dict[str, list[AnswerCount]] = {problem_id: [] for problem_id in problem_ids}
    for row in table.to_pylist():
        problem_id = row.pop("problem_id")
        if problem_id in found:
            found[problem_id].append(AnswerCount(**row))
    return [tuple(found[problem_id]) for problem_id in problem_ids]


def outcomes(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> dict[str, int]:
    """Rollouts by outcome; outcomes that did not occur are 0."""
    table = query(
        f"select outcome, count(*) as count from {VERIFIED} where problem_id in (select unnest(?)) group by outcome",
        [*_origin_parameters(origin, n) * 2, list(problem_ids)],
    )
    found = {row["outcome"]: row["count"] for row in table.to_pylist()}
    return {outcome.value: found.get(outcome.value, 0) for outcome in Outcome}


def totals(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> TokenTotals:
    """Token totals over the rollouts of these problems."""
    table = query(
        f"""select count(*) as rollouts, sum(completion_tokens) as tokens, sum(prompt_tokens) as prompts,
            count(*) filter (completion_tokens is null) as no_tokens, count(*) filter (prompt_tokens = 0) as no_prompts,
            count(*) filter (entropies is null) as no_entropies, count(*) filter (stop_reason = 'length') as truncated,
            sum(list_sum(entropies)) as entropy
            from rollouts where {_ORIGIN} and problem_id in (select unnest(?))""",
        [*_origin_parameters(origin, n), list(problem_ids)],
    )
    row: dict[str, Any] = table.to_pylist()[0]
    number = row["rollouts"]
    tokens = math.nan if row["no_tokens"] or not number else float(row["tokens"])
    pooled = number and not row["no_entropies"] and tokens > 0
    return TokenTotals(
        rollouts=number,
        completion_tokens=tokens,
        prompt_tokens=math.nan if row["no_prompts"] or not number else float(row["prompts"]),
        truncated_share=row["truncated"] / number if number else math.nan,
        mean_length=tokens / number if number else math.nan,
        mean_entropy=float(row["entropy"]) / tokens if pooled else math.nan,
    )


def cut_short(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None, max_tokens: int) -> int:
    """Rollouts that were cut before max_tokens, by a context or by a cap of a server's own."""
    table = query(
        f"""select count(*) as cut from rollouts where {_ORIGIN} and problem_id in (select unnest(?))
            and stop_reason = 'length' and completion_tokens < ?""",
        [*_origin_parameters(origin, n), list(problem_ids), max_tokens],
    )
    return int(table["cut"][0].as_py())


def contents(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> Contents:
    """What was drawn, without the texts: hashes, lengths and log-probabilities of whole completions."""
    table = query(
        f"""select hash(problem_id) as problem, sample_index, hash(text, token_ids, stop_reason) as content,
            greatest(coalesce(completion_tokens, 0), length(text) // {CHARACTERS}) as length,
            case when len(logprobs) > 0 and {MOST_CHARACTERS} * len(logprobs) >= length(text)
                then list_sum(logprobs::double[]) end as logprob
            from rollouts where {_ORIGIN} and problem_id in (select unnest(?))""",
        [*_origin_parameters(origin, n), list(problem_ids)],
    )
    return Contents(
        problem=table["problem"].to_numpy(),
        index=table["sample_index"].to_numpy().astype(np.int64),
        content=table["content"].to_numpy(),
        length=table["length"].to_numpy().astype(np.int64),
        logprob=table["logprob"].to_numpy().astype(np.float64),
    )


def distinct(query: Query, origin: Origin, problem_ids: Sequence[str], n: int | None) -> Distinct:
    """How many different completions each problem has, in the order of `problem_ids`."""
    table = query(
        f"""select problem_id, count(*) as rollouts, count(distinct text) as texts,
            count(distinct hash(text, token_ids, stop_reason)) as draws
            from rollouts where {_ORIGIN} group by problem_id""",
        _origin_parameters(origin, n),
    )
    rows = _rows(table, problem_ids)
    return Distinct(*(_column(table, name, rows) for name in ("rollouts", "texts", "draws")))


def indices(query: Query, origin: Origin, n: int) -> dict[str, set[int]]:
    """Sample indices below n that are there, by problem."""
    table = query(
        f"select problem_id, list(sample_index) as there from rollouts where {_ORIGIN} group by problem_id",
        _origin_parameters(origin, n),
    )
    return {row["problem_id"]: set(row["there"]) for row in table.to_pylist()}


def _rows(table: pa.Table, problem_ids: Sequence[str]) -> NDArray[np.int64]:
    """Where each problem is in the table; behind its end for one that it lacks."""
    place = {problem_id: i for i, problem_id in enumerate(table["problem_id"].to_pylist())}
    return np.array([place.get(problem_id, len(place)) for problem_id in problem_ids], dtype=np.int64)


def _column(table: pa.Table, name: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A column of counts at these rows, 0 behind the end."""
    return np.append(table[name].to_numpy().astype(np.int64), np.int64(0))[rows]


def _origin_parameters(origin: Origin, n: int | None) -> list[Any]:
    return [origin.policy, origin.policy_digest, origin.sampling_digest, NO_LIMIT if n is None else n]
