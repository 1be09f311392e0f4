"""Which rollouts of a bank may be drawn: the explorer without its diversity (the paper's Table 4), and its placebo.

Table 4 of arXiv 2605.30789 filters the small model's rollouts "until its metrics match the large model's"; how is not
published. A filter that moves the correct rate or the number of rollouts also moves the rewards' variance, and with it
every advantage. So here both are held: of a problem's N rollouts n = floor(N / 2) are kept, with each class of outcome
(correct; every failure; VERIFIER_ERROR, which is neither) in its own proportion.

- *Rounding*: n_c = floor(s_c + u) - floor(s_{c-1} + u), where s_c is the sum of n N_c / N over the classes up to c, and
  u is uniform and keyed by bank and problem. Every n_c is n N_c / N rounded down or up, they sum to n, and over
  problems the correct rate is unbiased. (Always rounding up would double the rate of problems solved once.)
- `diversity_removed`: a subset with these counts and a low mean edit distance over its pairs (without EOS). For each
  rollout, take the n_c nearest to it in every class; of these N subsets the least diverse; then exchange a kept rollout
  for one of its class that is not, the best exchange first, until none lowers the sum. Deterministic, and a local
  optimum: on 48 problems with 14 rollouts each it was the least of all 45 times, and else at most 4 % above it.
- `placebo`: a random subset with the same counts, keyed as u is. What halving a bank does, without removing diversity.

What would surprise: kept rollouts change when a bank is filled further, as its draws do. What is removed is diversity
*within* the explorer: a kept cluster may be far from the learner; training logs the learner's log-probability of
explorer tokens. `selection_report` says how much was removed, and whether the learner's own level was reached.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.diversity import edit_distances
from s2l_lab.errors import DataError, UsageError, unknown_name
from s2l_lab.policies import StopReason
from s2l_lab.verifiers import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.rollouts import RolloutStore


Select = Literal["all", "diversity_removed", "placebo"]
"""All rollouts; the control of Table 4; the same number dropped at random."""

COLUMNS = ("problem_id", "sample_index", "token_ids", "stop_reason")
"""Of the store, what choosing looks at; `outcome` comes with a verifier version."""

StoredRollout = Mapping[str, Any]
"""A rollout of a bank, with the columns that choosing looks at."""


def keep(select: Select, rows_N: Sequence[StoredRollout], key: str) -> tuple[int, ...]:
    """Positions, ascending, of the rollouts of one problem that may be drawn; all N, or floor(N / 2).

    `rows_N` hold COLUMNS and `outcome`; `key` is of bank and problem (`bank_key`). Raises UsageError for an unknown
    `select` and for fewer than two rollouts, DataError for a rollout without a verdict.
    """
    check_select(select)
    if select == "all":
        return tuple(range(len(rows_N)))
    if len(rows_N) < 2:
        raise UsageError(
            f"{select!r} keeps half of a problem's rollouts, and the bank holds {len(rows_N)} of problem "
            f"{rows_N[0]['problem_id'] if rows_N else '?'}. Fill it to n=2 or more."
        )
    class_N = np.array([_class(row) for row in rows_N])
    draw = hashlib.blake2b(key.encode(), digest_size=16, person=b"bank selection")
    rng = np.random.default_rng(int.from_bytes(draw.digest(), "little"))
    count_C = proportional(np.bincount(class_N, minlength=3), len(rows_N) // 2, float(rng.random()))
    if select == "placebo":
        chosen = [rng.permutation(np.flatnonzero(class_N == c))[:count] for c, count in enumerate(count_C)]
        return tuple(sorted(int(i) for part in chosen for i in part))
    return least_diverse(edit_distances([tokens(row) for row in rows_N]), class_N, count_C)


def check_select(select: str) -> None:
    """Raises UsageError for a name that is none."""
    if select not in get_args(Select):
        raise unknown_name("selection of a bank's rollouts", select, get_args(Select))


def proportional(total_C: NDArray[np.int64], n: int, uniform: float) -> NDArray[np.int64]:
    """n rollouts spread over classes of sizes `total_C`, (C,) counts: each its exact share rounded down or up.

    With `uniform` drawn from [0, 1) the mean count is the exact share (systematic sampling).
    """
    # Whole parts apart: whole shares stay whole, and the sum n, whatever floats do.
    ends = np.concatenate([[0], np.cumsum(total_C)])
    whole, rest = np.divmod(ends * n, ends[-1])
    return np.diff(whole + np.floor(rest / ends[-1] + uniform).astype(np.int64))


def least_diverse(
    distance_NN: NDArray[np.float64], class_N: NDArray[np.int64], count_C: NDArray[np.int64]
) -> tuple[int, ...]:
    """Positions, ascending, of count_C[c] members of each class c with a low sum of distances over all their pairs.

    Sum of the best star, then exchanges within a class until none lowers it (see the module).
    """
    members = [np.flatnonzero(class_N == c) for c in range(len(count_C))]
    stars = [
        np.concatenate(
            [part[np.argsort(near_N[part], kind="stable")[:n]] for part, n in zip(members, count_C, strict=True)]
        )
        for near_N in distance_NN
    ]
    sums = [round(float(distance_NN[np.ix_(star, star)].sum()), 9) for star in stars]
    kept_N = np.zeros(len(class_N), bool)
    kept_N[stars[int(np.argmin(sums))]] = True
    same_NN = class_N[:, None] == class_N
    while True:
        to_kept_N = distance_NN @ kept_N
        # Row leaves, column enters: what the sum over pairs gains.
        gain_NN = to_kept_N[None, :] - distance_NN - to_kept_N[:, None]
        gain_NN = np.where(kept_N[:, None] & ~kept_N[None, :] & same_NN, gain_NN, np.inf)
        leaves, enters = np.unravel_index(int(np.argmin(gain_NN)), gain_NN.shape)
        if not gain_NN[leaves, enters] < -1e-9:
            return tuple(int(i) for i in np.flatnonzero(kept_N))
        kept_N[leaves], kept_N[enters] = False, True


def bank_key(store: RolloutStore) -> str:
    """What a bank's rollouts are, for keyed choices: policy, sampling and its seed; not how far it is filled."""
    (origin,) = store.origins()
    return content_digest([origin.policy_digest, origin.sampling_digest, store.config["sampling"]["seed"]])


def verdict_version(store: RolloutStore) -> str:
    """The verifier version whose verdicts choose: the latest. Raises DataError where there is none."""
    versions = store.verifier_versions
    if not versions:
        raise DataError(f"{store.path} holds no verdicts, by which to choose rollouts. `s2l-lab bank` makes them.")
    return versions[-1]


def tokens(row: StoredRollout) -> NDArray[np.int32]:
    """(T,) token ids without the EOS that ended them."""
    ids = np.array(row["token_ids"], np.int32)
    return ids[:-1] if row["stop_reason"] == StopReason.EOS and len(ids) else ids


def _class(row: StoredRollout) -> int:
    if row["outcome"] is None:
        raise DataError(
            f"rollout {row['sample_index']} of problem {row['problem_id']} has no verdict, by which to choose. "
            "`s2l-lab bank` with the same plan verifies what is owed."
        )
    return {Outcome.CORRECT: 0, Outcome.VERIFIER_ERROR: 2}.get(Outcome(row["outcome"]), 1)
