"""Edit diversity: the paper's Table 3, "Edit Div", the token-level difference between rollouts of one problem.

mean over pairs i < j of Levenshtein(o_i, o_j) / max(|o_i|, |o_j|), on tokens. The paper gives no normaliser; this one
keeps every pair in [0, 1]. A mean over pairs needs no rarefaction.

What would surprise: two unrelated texts come out near 0.8 and not 1, since common tokens line up by chance, and
nearer to 1 the larger the vocabulary: compare policies of one tokenizer. A pair of different lengths is at least
1 - short/long apart. Two empty completions are equal: distance 0.

rapidfuzz compares sequences of integers of any size, so ids are not squeezed into characters (which end at 0x10FFFF
and have a gap for surrogates); tokens are numbered anew for speed only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.metric import Metric
from s2l_lab.diversity.ngrams import token_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2l_lab.diversity.ngrams import Tokens


def edit_distances(tokens_N: Sequence[Tokens]) -> NDArray[np.float64]:
    """Levenshtein(o_i, o_j) / max(|o_i|, |o_j|) of all pairs, shape (N, N), each in [0, 1]; 0 for two empty ones."""
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    codes_N = [tuple(codes_T.tolist()) for codes_T in token_codes(tokens_N)]
    length_N = np.array([len(codes) for codes in codes_N])
    longer_NN = np.maximum(length_N[:, None], length_N)
    steps_NN = cdist(codes_N, codes_N, scorer=Levenshtein.distance, dtype=np.int64)
    distance_NN: NDArray[np.float64] = steps_NN / np.maximum(longer_NN, 1)
    return distance_NN


def edit_diversity(tokens_N: Sequence[Tokens]) -> float:
    """Mean over pairs of rollouts of their normalised Levenshtein distance, in [0, 1]; tokens are ids or strings.

    NaN for fewer than two rollouts, and where all completions are empty.
    """
    n = len(tokens_N)
    if n < 2 or not any(len(tokens) for tokens in tokens_N):
        return float("nan")
    return float(edit_distances(tokens_N).sum() / (n * (n - 1)))


METRICS = (
    Metric(
        name="edit_diversity",
        value=lambda s: edit_diversity(s.token_ids),
        title="edit diversity",
        level="text",
        up=True,
        most="1",
        span="0 to 1",
        measures="Mean Levenshtein distance of two rollouts' tokens, divided by the longer length.",
        fooled_by="Another wording or another order of the same steps counts as much as another solution.",
        needs=("token ids",),
    ),
)
