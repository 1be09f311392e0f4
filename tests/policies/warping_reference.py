"""Sampling distributions by the definition, in plain Python: sets and sorted lists, no tensors, none of our code."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from s2l_lab.policies import SamplingParams


def probabilities(
    logits: Sequence[float], sampling: SamplingParams, held: Collection[int] = (), slack: float = 0.0
) -> list[float]:
    """The sampling distribution of one row. `slack` moves top_p, to see whether rounding decides."""
    penalised = [x - (sampling.presence_penalty if i in held else 0) for i, x in enumerate(logits)]
    top = max(penalised)
    if sampling.temperature == 0:
        return [float(i == penalised.index(top)) for i in range(len(logits))]
    weights = [math.exp((x - top) / sampling.temperature) for x in penalised]
    kept = {i for i, w in enumerate(weights) if w >= sampling.min_p * max(weights)}
    if sampling.top_k:
        descending = sorted((weights[i] if i in kept else 0.0 for i in range(len(weights))), reverse=True)
        kept &= {i for i, w in enumerate(weights) if w >= descending[min(sampling.top_k, len(weights)) - 1]}
    if sampling.top_p < 1:
        mass, total, nucleus = 0.0, sum(weights[i] for i in kept), set()
        for i in sorted(kept, key=lambda i: (-weights[i], -i)):
            if mass >= (sampling.top_p + slack) * total and nucleus:
                break
            nucleus.add(i)
            mass += weights[i]
        kept = nucleus
    total = sum(weights[i] for i in kept)
    return [w / total if i in kept else 0.0 for i, w in enumerate(weights)]
