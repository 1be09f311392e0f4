"""RolloutSet: what diversity metrics see of one policy's rollouts of one problem. A plain record, no I/O.

Rollouts are distinct by key, never by text: honest repeats of a short answer stay. Token ids are without the EOS that
ends a completion, since every completion of a policy shares it; lengths count it, as everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.policies import StopReason
from s2l_lab.verifiers import Outcome
from s2l_lab.verifiers.official import official_extract, official_letter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RolloutSet:
    """N rollouts of one policy on one problem, in order of sample index."""

    problem_id: str
    text_N: tuple[str, ...]
    token_ids_N: tuple[NDArray[np.int32], ...] | None
    """Token ids of each completion, N arrays, without EOS; None where any completion came without ids."""
    length_N: NDArray[np.float64]
    """Number of tokens of each completion, (N,), EOS included; NaN where unknown."""
    canonical_N: tuple[str | None, ...]
    """Canonical answer of each rollout, N of them: equal answers are equal strings, None is no answer."""
    official_N: tuple[str | None, ...]
    """Answer of each rollout, N of them, as the paper's extractor reads it; every failure to find an answer may be a
    string of its own."""
    correct_N: NDArray[np.bool_]
    unknown_N: NDArray[np.bool_]
    """True where the verifier failed (VERIFIER_ERROR), (N,): neither correct nor wrong, in no correct-only metric."""
    n_classes: int | None = None
    """Number of solution classes that exist; None where strategies have no ground truth."""
    cluster: str | None = None
    """Name of the problem's cluster; None where problems stand alone."""

    def __len__(self) -> int:
        return len(self.text_N)

    def take(self, index_m: NDArray[np.int64]) -> RolloutSet:
        """The rollouts at these positions, in this order."""
        ids = None if self.token_ids_N is None else tuple(self.token_ids_N[i] for i in index_m)
        return RolloutSet(
            self.problem_id,
            tuple(self.text_N[i] for i in index_m),
            ids,
            self.length_N[index_m],
            tuple(self.canonical_N[i] for i in index_m),
            tuple(self.official_N[i] for i in index_m),
            self.correct_N[index_m],
            self.unknown_N[index_m],
            self.n_classes,
            self.cluster,
        )


def set_clusters(sets: Sequence[RolloutSet]) -> list[str] | None:
    """The cluster of every set's problem; None where they stand alone."""
    labels = [s.cluster for s in sets if s.cluster is not None]
    return labels if labels and len(labels) == len(sets) else None


def set_of_rows(
    problem_id: str, kind: str, n_classes: int | None, rows: Sequence[Mapping[str, Any]], cluster: str | None = None
) -> RolloutSet:
    """The verified rollouts of one problem as a set, from rows of a store: text, token_ids, stop_reason,
    completion_tokens, outcome and canonical, None where missing. `kind` is the problem's verifier kind, `cluster` the
    label of `problems.clusters`."""
    read = official_letter if kind == "choice" else official_extract
    ids = [_without_eos(row) for row in rows]
    return RolloutSet(
        problem_id=problem_id,
        text_N=tuple(row["text"] for row in rows),
        token_ids_N=None if any(i is None for i in ids) else tuple(i for i in ids if i is not None),
        length_N=np.array([np.nan if row["completion_tokens"] is None else row["completion_tokens"] for row in rows]),
        canonical_N=tuple(row["canonical"] for row in rows),
        official_N=tuple(read(row["text"]) for row in rows),
        correct_N=np.array([row["outcome"] == Outcome.CORRECT for row in rows]),
        unknown_N=np.array([row["outcome"] == Outcome.VERIFIER_ERROR for row in rows]),
        n_classes=n_classes,
        cluster=cluster,
    )


def _without_eos(row: Mapping[str, Any]) -> NDArray[np.int32] | None:
    if row["token_ids"] is None:
        return None
    ids = np.array(row["token_ids"], dtype=np.int32)
    return ids[:-1] if row["stop_reason"] == StopReason.EOS and ids.size else ids
