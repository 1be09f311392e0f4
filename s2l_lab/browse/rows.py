"""Row and FullRollout: a rollout as a list shows it and as it is read, and the address by which a link finds it.

An address names the problem and the rollout's 64-bit digest (of key and completion), so that a link shows the very
completion it was made for, or says that it is gone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2l_lab.errors import DataError
from s2l_lab.training.rounds import Rounds

_EVALUATED = re.compile(r"step-([0-9]{1,9})")
PREVIEW = 300
"""Characters of a completion that a row shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One rollout as a list shows it."""

    address: str
    """Address of the rollout for `read_rollout` and for URLs."""
    policy: str
    problem_id: str
    sample_index: int
    outcome: str
    """Outcome of the rollout, one of OUTCOMES."""
    answer: str | None
    canonical: str | None
    detail: str
    stop_reason: str
    tokens: int | None
    source: str | None
    """`explorer` or `learner`; None outside training."""
    step: int | None
    """Optimiser step that it was first trained on, or of the learner that was evaluated; None otherwise."""
    preview: str
    """The first PREVIEW characters of the completion."""
    characters: int
    """Length of the whole completion, in characters."""
    mean_surprisal: float
    """Mean surprisal per token in nats, under the distribution that sampled the tokens; NaN if unknown."""


@dataclass(frozen=True, slots=True)
class FullRollout:
    """One complete rollout. Arrays have shape (T,), or are None if they are not stored."""

    row: Row
    text: str
    token_ids: NDArray[np.int32] | None
    logprobs: NDArray[np.float32] | None
    """Log-probabilities in nats, under the distribution that sampled the tokens."""
    logprobs_t1: NDArray[np.float32] | None
    """Log-probabilities in nats at temperature 1; None if they equal `logprobs` or are not stored."""
    entropies: NDArray[np.float32] | None
    """(T,) entropy of each token's distribution in nats, before truncation."""
    prompt: str
    """The problem's text; empty where the store does not have the problem."""
    gold: str
    rendered: str = ""
    """The text that the completion continues; empty where the store does not have it."""


def row_of(values: dict[str, Any], rounds: Rounds | None) -> Row:
    """From columns of rollouts and verdicts, `preview`, `characters`, and `surprisal` or `logprobs`."""
    surprisal = values["surprisal"] if "surprisal" in values else _mean(values["logprobs"])
    return Row(
        address=address_of(values["problem_id"], values["digest"]),
        policy=values["policy"],
        problem_id=values["problem_id"],
        sample_index=values["sample_index"],
        outcome=values["outcome"] or "unverified",
        answer=values["answer"],
        canonical=values["canonical"],
        detail=values["detail"] or "",
        stop_reason=values["stop_reason"],
        tokens=values["completion_tokens"],
        source=source_of(values["policy"]),
        step=step_of(values["policy"], values["sample_index"], rounds),
        preview=values["preview"],
        characters=values["characters"],
        mean_surprisal=math.nan if surprisal is None else surprisal,
    )


def step_of(policy: str, sample_index: int, rounds: Rounds | None) -> int | None:
    """See `Row.step`."""
    return rounds.step(sample_index) if rounds is not None else evaluated_step(policy)


def _mean(logprobs: Sequence[float] | None) -> float | None:
    return -float(np.mean(logprobs)) if logprobs else None


def address_of(problem_id: str, digest: int) -> str:
    """The address of the rollout with this problem and digest."""
    return f"{problem_id}.{digest & (2**64 - 1):016x}"


def parsed(address: str) -> tuple[str, int]:
    """The problem id and digest of an address. Raises DataError for a text that is no address."""
    problem_id, _, digits = address.rpartition(".")
    if not re.fullmatch("[0-9a-f]{16}", digits):
        raise DataError(f"{address[:100]!r} is no address of a rollout; choose one in the list.")
    value = int(digits, 16)
    return problem_id, value - 2**64 if value >= 2**63 else value


def evaluated_step(policy: str) -> int | None:
    """The optimiser step in the name of an evaluated learner, `step-20`; None for another name."""
    match = _EVALUATED.fullmatch(policy)
    return int(match[1]) if match else None


def source_of(policy: str) -> str | None:
    """`explorer` or `learner` where a policy's name says it, an evaluated learner's included; else None."""
    if policy in ("explorer", "learner"):
        return policy
    return None if evaluated_step(policy) is None else "learner"
