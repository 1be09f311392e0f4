"""Compression ratio: how much shorter a compressor can say what the rollouts of a problem say (Shaib et al. 2024).

ratio = UTF-8 bytes of the completions, one after the other with newlines between, over their zlib bytes at level 9.
Higher is more repetitive.

What would surprise:

- Repetition inside one completion counts as much as repetition between them.
- zlib looks back 32 KiB. Completions are therefore sorted first: those that start alike stand side by side, and the
  value is a function of the set of completions, whatever order they came in.
- It has no value that means "nothing repeats": header and tables weigh on short texts (a few words come out below 1),
  and longer texts compress better. Compare at equal m and read the lengths beside it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from s2l_lab.diversity.metric import SUBSETS, Metric
from s2l_lab.diversity.rarefaction import check_subset, subset_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def compression_ratio(
    text_N: Sequence[str], m: int | None = None, *, rng: np.random.Generator | None = None, subsets: int = 8
) -> float:
    """Raw bytes over zlib bytes of N completions, above 0; the mean over m-subsets where m is given.

    NaN for no completion and for empty ones only; one completion has a ratio. Raises UsageError unless 1 <= m <= N,
    and where subsets are drawn without `rng`.
    """
    if not any(text_N):
        return float("nan")
    ordered = sorted(text.encode("utf-8", "surrogatepass") for text in text_N)

    def ratio(index_m: NDArray[np.int64]) -> float:
        chosen = [ordered[i] for i in index_m]
        raw = b"\n".join(chosen)
        return len(raw) / len(zlib.compress(raw, 9)) if any(chosen) else float("nan")

    return subset_mean(ratio, len(ordered), check_subset(m, len(ordered)), rng=rng, subsets=subsets)


METRICS = (
    Metric(
        name="compression",
        value=lambda s: compression_ratio(s.rollouts.text_N, s.m, rng=s.rng, subsets=SUBSETS),
        title="compression ratio",
        level="text",
        up=False,
        most="unbounded",
        span="about 1 and up, lower is more diverse",
        measures="Bytes of m completions over their bytes under zlib.",
        fooled_by="Length alone raises it: longer text compresses better whatever it says.",
    ),
)
