"""distinct-n: how many different n-grams the rollouts of one problem hold, over how many they hold (Li et al. 2016).

Rarefied exactly to m rollouts (`rarefaction`), since repeats between rollouts grow with their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.metric import Metric
from s2l_lab.diversity.ngrams import check_order, gram_tables
from s2l_lab.diversity.rarefaction import check_subset, seen_probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.diversity.ngrams import Tokens


def distinct_n(tokens_N: Sequence[Tokens], n: int, m: int | None = None) -> float:
    """Expected number of distinct n-grams in m of N completions, over m times the mean number of n-grams.

    Above 0, at most 1 (no n-gram twice). A ratio of two expectations, not the mean of ratios. NaN where no completion
    has n tokens. Raises UsageError for n < 1 and unless 1 <= m <= N.
    """
    check_order(n)
    length_N, orders = gram_tables(tokens_N, n)
    grams = orders[-1]
    if not grams.count.size:
        return float("nan")
    m = check_subset(m, length_N.size)
    holders_G = np.bincount(grams.gram)
    distinct = seen_probability(length_N.size, m)[holders_G].sum()
    return float(distinct / (m * grams.count.sum() / length_N.size))


METRICS = (
    Metric(
        name="distinct_4",
        value=lambda s: distinct_n(s.token_ids, 4, s.m),
        title="distinct-4",
        level="text",
        up=True,
        most="1",
        span="0 to 1",
        measures="Expected distinct token 4-grams among m rollouts over their expected number.",
        fooled_by="It falls with length and with m; numbers of the problem are counted as repeats.",
        needs=("token ids",),
    ),
)
