"""Rarefaction: what a statistic would be for m rollouts, from N of them.

More rollouts show more distinct answers, so a count of what is distinct compares policies only at one number of
rollouts. Every function here gives the exact or simulated mean over all m-subsets of the N rollouts, which is unbiased
for what m fresh rollouts would show (Hurlbert 1971, Ecology 52, 577-586):

- distinct labels: sum over labels l of 1 - C(N - n_l, m) / C(N, m);
- plug-in entropy: a label's count in an m-subset is hypergeometric, so E[-x/m ln(x/m)] is summed exactly;
- any other statistic (Vendi, multi-reference BLEU): its mean over m-subsets drawn at random. Means over pairs need
  none: the mean over m-subsets of a mean over pairs is the mean over all pairs.

What would surprise: rollouts are told apart by their key, never by their text. Honest repeats of a short answer are
rollouts like any other and stay in N.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray


def check_subset(m: int | None, total: int) -> int:
    """m itself, or all `total` rollouts for None. UsageError unless 1 <= m <= total."""
    if m is None:
        return total
    if not 1 <= m <= total:
        raise UsageError(
            f"rarefaction to m = {m} of {total} rollouts was asked; m must lie between 1 and their number. "
            "Take the smallest number of rollouts in the table as m."
        )
    return m


def seen_probability(total: int, m: int) -> NDArray[np.float64]:
    """Probability that an m-subset of `total` rollouts holds a label that n of them have; shape (total + 1,), by n."""
    check_subset(m, total)
    drawn_earlier = np.arange(total)
    # C(N - n, m) / C(N, m) = product over j < n of (N - m - j) / (N - j): no binomial is ever formed.
    factors = np.maximum(total - m - drawn_earlier, 0) / (total - drawn_earlier)
    return 1.0 - np.concatenate([[1.0], np.cumprod(factors)])


def expected_distinct(count_L: ArrayLike, m: int) -> float:
    """Expected number of distinct labels among m rollouts, from the rollouts' counts per label (L,).

    Between 1 and min(L, m). Labels with count 0 add nothing. Raises UsageError for counts that are no counts, and
    unless 1 <= m <= N.
    """
    counts = _counts(count_L)
    return float(seen_probability(int(counts.sum()), m)[counts].sum())


def expected_entropy(count_L: ArrayLike, m: int) -> float:
    """Expected plug-in entropy, in nats, of the labels of m rollouts, from counts per label (L,).

    Between 0 and ln min(L, m). It is what m rollouts would show, not an estimate of the entropy itself, which every
    plug-in value understates. Raises UsageError as `expected_distinct` does.
    """
    from scipy.special import gammaln

    counts = _counts(count_L)
    total = int(counts.sum())
    check_subset(m, total)

    def log_binomial(n: NDArray[np.int64], k: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        value: NDArray[np.float64] = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
        return np.where(inside, value, -np.inf)

    size_U, labels_U = np.unique(counts[counts > 0], return_counts=True)
    drawn_X = np.arange(1, min(m, int(size_U[-1])) + 1)
    n_U1 = size_U[:, None]
    ways_UX = log_binomial(n_U1, drawn_X) + log_binomial(total - n_U1, m - drawn_X)
    law_UX = np.exp(ways_UX - log_binomial(np.array(total), np.array(m)))
    share_X = drawn_X / m
    return float(labels_U @ law_UX @ (-share_X * np.log(share_X))) + 0.0


def subset_mean(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    m: int,
    *,
    rng: np.random.Generator | None,
    subsets: int = 32,
) -> float:
    """Mean of a statistic over m-subsets of n rollouts; it is given sorted index arrays (m,).

    m = n gives the statistic of all; where at most `subsets` subsets exist, all are used and nothing is drawn;
    otherwise that many different ones are drawn, each as likely as any other. Subsets with NaN are left out; NaN if
    all are. Raises UsageError unless 1 <= m <= n and subsets >= 1, and where a draw is needed and `rng` is None.
    """
    check_subset(m, n)
    if subsets < 1:
        raise UsageError(f"subsets = {subsets} was asked; a mean needs at least one subset.")
    if comb(n, m) <= subsets:
        chosen = set(combinations(range(n), m))
    elif rng is None:
        raise UsageError(f"{m} of {n} rollouts are drawn at random: give rng, a numpy.random.Generator.")
    else:
        chosen = set()
        while len(chosen) < subsets:
            chosen.add(tuple(np.sort(rng.choice(n, m, replace=False)).tolist()))
    values = np.array([statistic(np.array(subset)) for subset in sorted(chosen)])
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def _counts(count_L: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(count_L)
    counts = given.astype(np.int64).ravel()
    if not np.array_equal(counts, given.ravel()) or (counts < 0).any():
        raise UsageError(f"counts per label must be whole numbers of at least 0; given: {given.ravel()[:8].tolist()}.")
    return counts
