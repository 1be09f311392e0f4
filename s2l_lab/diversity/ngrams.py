"""Self-BLEU: how far rollouts of one problem repeat each other's n-grams.

BLEU(o; R) = BP * exp(mean over n = 1..max_n of ln p_n), p_n = sum_g min(c_o(g), max_{r in R} c_r(g)) / #n-grams of o,
BP = exp(min(0, 1 - |r*| / |o|)) with r* the reference nearest in length, the shorter of two (Papineni et al. 2002).
Counts of 0 become 0.1 and a denominator is at least 1 (smoothing 1 of Chen and Cherry 2014, as in nltk's `method1`;
so an identical text of fewer than max_n tokens scores below 1). Without a common unigram BLEU is 0.

- `pairwise`: mean over ordered pairs i != j of BLEU(o_i; o_j). Probably the paper's Table 3 (0.31 to 0.35 at 64
  rollouts is too low for the other). A mean over pairs is the same for every m, exactly.
- `all`: mean over i of BLEU(o_i; all others) (Zhu et al. 2018, Texygen). It rises with the number of references and is
  therefore rarefied.

Both are exact and quick. For `all`, every n-gram keeps its largest and second largest count over rollouts: without its
owner the largest is one of the two. For `pairwise`, the t-th occurrence of g in a rollout is a thing of its own, and
min(a, b) = sum_t [a >= t][b >= t] makes the clipped overlaps of all pairs one product of a sparse 0/1 matrix with
itself.

What would surprise: an empty completion scores 0 against anything, another empty one too, and anything scores 0 against
it, as in nltk. Empty completions thus pass for diversity; their share stands beside the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from s2l_lab.diversity.metric import SUBSETS, Metric
from s2l_lab.diversity.rarefaction import check_subset, subset_mean
from s2l_lab.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Tokens = Sequence[int | str] | NDArray[np.integer]
    """One completion: token ids, or words."""

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

EPSILON = 0.1
"""Count that replaces a count of 0 (Chen and Cherry's smoothing 1)."""


def self_bleu(
    tokens_N: Sequence[Tokens],
    *,
    references: Literal["pairwise", "all"] = "pairwise",
    max_n: int = 4,
    m: int | None = None,
    rng: np.random.Generator | None = None,
    subsets: int = 8,
) -> float:
    """Self-BLEU of N completions (token ids or strings), from 0 (nothing shared) to 1.

    `all` is the mean over m-subsets, at most `subsets` of them, drawn with `rng`; `pairwise` is its own mean over
    m-subsets, so m, rng and subsets do not change it. NaN for fewer than two rollouts and for empty ones only.
    Raises UsageError for another kind of references, for max_n < 1, unless 2 <= m <= N, and where subsets are drawn
    without `rng`.
    """
    if references not in ("pairwise", "all"):
        raise unknown_name("kind of references", references, ("pairwise", "all"))
    check_order(max_n)
    n = len(tokens_N)
    if m is not None and m < 2:
        raise UsageError(f"Self-BLEU of m = {m} rollouts was asked; a rollout needs another as its reference.")
    if n < 2 or not any(len(tokens) for tokens in tokens_N):
        return float("nan")
    m = check_subset(m, n)
    if references == "pairwise":
        return float(pair_bleu(tokens_N, max_n)[~np.eye(n, dtype=bool)].mean())
    length_N, orders = gram_tables(tokens_N, max_n)
    return subset_mean(
        lambda index_m: float(_rest_bleu(orders, length_N, index_m).mean()), n, m, rng=rng, subsets=subsets
    )


def pair_bleu(tokens_N: Sequence[Tokens], max_n: int = 4) -> Floats:
    """BLEU(o_i; o_j) of all pairs, shape (N, N), in [0, 1]: the row is the hypothesis, the column its reference."""
    check_order(max_n)
    length_N, orders = gram_tables(tokens_N, max_n)
    matched = np.stack([_overlaps(table, length_N.size) for table in orders])
    return _bleu(matched, length_N[:, None], length_N[None, :])


def rest_bleu(tokens_N: Sequence[Tokens], max_n: int = 4) -> Floats:
    """BLEU(o_i; all others) of each of N >= 2 completions, shape (N,), in [0, 1]."""
    check_order(max_n)
    length_N, orders = gram_tables(tokens_N, max_n)
    return _rest_bleu(orders, length_N, np.arange(length_N.size))


def token_codes(tokens_N: Sequence[Tokens]) -> list[Ints]:
    """Completions with their tokens numbered 0, 1, ... by first appearance: equal tokens, equal numbers."""
    codes: dict[int | str, int] = {}
    return [np.array([codes.setdefault(t, len(codes)) for t in tokens], dtype=np.int64) for tokens in tokens_N]


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-grams of one order: one entry per (gram, rollout) that occurs, sorted by gram, then rollout."""

    order: int
    gram: Ints
    """Number of the n-gram, from 0 without gaps."""
    rollout: Ints
    count: Ints


def gram_tables(tokens_N: Sequence[Tokens], max_n: int) -> tuple[Ints, list[_Grams]]:
    """Lengths (N,), and the n-grams of orders 1 to max_n."""
    codes_N = token_codes(tokens_N)
    length_N = np.array([codes.size for codes in codes_N], dtype=np.int64)
    flat_R = np.concatenate([*codes_N, np.zeros(0, np.int64)])
    return length_N, list(_counted(flat_R, length_N, max_n))


def _counted(flat_R: Ints, length_N: Ints, max_n: int) -> Iterator[_Grams]:
    rollouts = max(length_N.size, 1)
    owner_R, end_R = np.repeat(np.arange(length_N.size), length_N), np.repeat(np.cumsum(length_N), length_N)
    symbols = int(flat_R.max(initial=0)) + 1
    start, gram = np.arange(flat_R.size), flat_R
    for order in range(1, max_n + 1):
        pair, count = np.unique(gram * rollouts + owner_R[start], return_counts=True)
        yield _Grams(order, pair // rollouts, pair % rollouts, count)
        longer = start + order < end_R[start]
        start = start[longer]
        _, gram = np.unique(gram[longer] * symbols + flat_R[start + order], return_inverse=True)


def _overlaps(table: _Grams, rollouts: int) -> Floats:
    """sum over n-grams of min(count in i, count in j), shape (N, N), by one product of 0/1 matrices."""
    from scipy.sparse import csr_array

    holders_G = np.bincount(table.gram)
    shared = holders_G[table.gram] > 1  # an n-gram of one rollout overlaps with nobody else
    owner = np.repeat(table.rollout[shared], table.count[shared])
    ends = np.cumsum(table.count[shared])
    occurrence = np.arange(owner.size) - np.repeat(ends - table.count[shared], table.count[shared])
    deepest = int(occurrence.max(initial=0)) + 1
    column = np.repeat(table.gram[shared], table.count[shared]) * deepest + occurrence
    names, column = np.unique(column, return_inverse=True)
    holds = csr_array((np.ones(owner.size, np.float64), (owner, column)), shape=(rollouts, names.size))
    overlap: Floats = (holds @ holds.T).toarray()
    np.fill_diagonal(overlap, np.bincount(table.rollout, table.count, rollouts))
    return overlap


def _rest_bleu(orders: list[_Grams], length_N: Ints, index_m: Ints) -> Floats:
    """BLEU of each chosen rollout against the other chosen ones, shape (m,)."""
    chosen_N = np.zeros(length_N.size, bool)
    chosen_N[index_m] = True
    matched = np.stack([_matched_by_rest(table, chosen_N)[index_m] for table in orders])
    length_m = length_N[index_m]
    return _bleu(matched, length_m, _nearest_length(length_m))


def _matched_by_rest(table: _Grams, chosen_N: NDArray[np.bool_]) -> Floats:
    """sum over n-grams of min(count in i, largest count in any other chosen rollout), shape (N,)."""
    kept = chosen_N[table.rollout]
    gram, owner, count = table.gram[kept], table.rollout[kept], table.count[kept]
    if not count.size:
        return np.zeros(chosen_N.size)
    starts = np.flatnonzero(np.diff(gram, prepend=-1))
    group = np.repeat(np.arange(starts.size), np.diff(starts, append=gram.size))
    largest = np.maximum.reduceat(count, starts)[group]
    at_top = count == largest
    second = np.maximum.reduceat(np.where(at_top, 0, count), starts)[group]
    alone_at_top = at_top & (np.add.reduceat(at_top.astype(np.int64), starts)[group] == 1)
    elsewhere = np.where(alone_at_top, second, largest)
    return np.bincount(owner, np.minimum(count, elsewhere), chosen_N.size).astype(np.float64)


def _nearest_length(length_N: Ints) -> Ints:
    """For each of N >= 2 lengths the nearest among the others, the shorter of two as near; shape (N,)."""
    order = np.argsort(length_N)
    sorted_N = length_N[order]
    far = int(sorted_N[-1]) * 4 + 4
    below = np.concatenate([[-far], sorted_N[:-1]])
    above = np.concatenate([sorted_N[1:], [far]])
    nearest = np.empty_like(length_N)
    nearest[order] = np.where(sorted_N - below <= above - sorted_N, below, above)
    return nearest


def _bleu(matched: Floats, length: Ints, reference: Ints) -> Floats:
    """BLEU from clipped matches by order (max_n, ...), lengths and reference lengths that broadcast to (...)."""
    orders = np.arange(1, len(matched) + 1).reshape(-1, *[1] * (matched.ndim - 1))
    grams = np.maximum(length - orders + 1, 1)
    log_precision = np.log(np.where(matched > 0, matched, EPSILON) / grams).mean(0)
    brevity = np.minimum(0.0, 1.0 - reference / np.maximum(length, 1))
    return np.where(matched[0] > 0, np.exp(brevity + log_precision), 0.0)


def check_order(n: int) -> None:
    if n < 1:
        raise UsageError(f"n-grams of order {n} were asked; the order must be at least 1.")


METRICS = (
    Metric(
        name="self_bleu",
        value=lambda s: self_bleu(s.token_ids),
        title="Self-BLEU, pairwise",
        level="text",
        up=False,
        most="1",
        span="0 to 1, lower is more diverse",
        measures="Mean BLEU-4 of one rollout's tokens against another's, over ordered pairs.",
        fooled_by="Length and shared boilerplate raise it; another wording of the same solution lowers it.",
        needs=("token ids",),
    ),
    Metric(
        name="self_bleu_all",
        value=lambda s: self_bleu(s.token_ids, references="all", m=s.m, rng=s.rng, subsets=SUBSETS),
        title="Self-BLEU, all references",
        level="text",
        up=False,
        most="1",
        span="0 to 1, lower is more diverse",
        measures="Mean BLEU-4 of each rollout against all m - 1 others at once (Texygen).",
        fooled_by="It rises with m and with length, towards 1 for any policy.",
        needs=("token ids",),
    ),
)
