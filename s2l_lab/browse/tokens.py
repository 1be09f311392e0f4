"""A rollout token by token: text, surprisal, entropy, and where it might have gone otherwise.

Surprisal is -log p of the drawn token in nats, under the distribution that was sampled (after temperature and
truncation) and, where it was stored apart, under the plain model at temperature 1. Entropy is the plain model's, before
truncation. A *forking* token is one of the FORKING_SHARE of a completion's tokens with the highest entropy (Wang et al.
2025, arXiv 2506.01939, train on such tokens alone); the threshold is named in nats, and a completion that has no spread
of entropies has none. What is not stored is NaN, and a note says why; nothing is estimated here. The log-ratio of two
policies on the same tokens is `browse.log_ratio`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from s2l_lab.browse.decoding import Decoder
from s2l_lab.browse.rows import FullRollout
from s2l_lab.errors import unknown_name
from s2l_lab.policies import SamplingParams

Floats = NDArray[np.float64]
FORKING_SHARE = 0.2
Measure = Literal["surprisal", "surprisal_t1", "entropy", "log_ratio"]
MEASURES: dict[Measure, str] = {
    "surprisal": "Nats, -log p of the drawn token under the distribution that sampled it: how unlikely the draw was.",
    "surprisal_t1": "Nats, -log p of the drawn token under the plain model at temperature 1, nothing cut off.",
    "entropy": "Nats, the plain model's uncertainty about this token before it was drawn.",
    "log_ratio": "Nats, log p under this rollout's policy minus log p under the other; above 0: likelier here.",
}
SCALE_NATS: dict[Measure, float] = {"surprisal": 4.0, "surprisal_t1": 4.0, "entropy": 2.5, "log_ratio": 3.0}
"""Where a colour scale ends; one scale for all completions, so that shades compare."""


@dataclass(frozen=True, slots=True)
class Span:
    """One token. Numbers that are not stored are NaN."""

    text: str | None
    """Text of the token; None without a tokenizer, empty if a later token completes the character."""
    id: int | None
    surprisal: float
    surprisal_t1: float
    entropy: float
    forking: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """The tokens of a completion in order, or only the first ones."""

    spans: tuple[Span, ...]
    forking_threshold: float
    """Nats: forking tokens have at least this entropy, of all the completion's. NaN where there are none."""
    notes: tuple[str, ...]
    """What is missing and why, one sentence each."""


def strip(
    rollout: FullRollout,
    decoder: Decoder | None,
    sampling: SamplingParams | None = None,
    most: int | None = None,
) -> Strip:
    """The rollout's tokens, at most the first `most` (no more are decoded); no spans where token ids are not stored.

    `sampling` says how its policy was sampled: plainly at temperature 1, both surprisals are one, stored once.
    """
    if rollout.token_ids is None:
        return Strip((), math.nan, ("Its engine gave no token ids, so tokens cannot be told apart.",))
    length = len(rollout.token_ids)
    ids = rollout.token_ids[:most].tolist()
    notes = []
    texts: Sequence[str | None] = [None] * len(ids)
    if decoder is None:
        notes.append("No tokenizer of this policy is on this machine, so token texts are not known.")
    else:
        texts = decoder(ids)
        spelled = "".join(filter(None, texts))
        wanted = rollout.text if len(ids) == length else rollout.text[: len(spelled)]
        if not spelled.startswith(wanted):
            notes.append("The tokens do not spell the stored text; it was cleaned or cut when it was decoded.")
    surprisal = _negative(rollout.logprobs, length)
    one = plain_temperature(sampling) == 1
    surprisal_t1 = surprisal if one else _negative(rollout.logprobs_t1, length)
    if rollout.logprobs is None:
        notes.append("Log-probabilities are not stored (training keeps the explorer's alone).")
    elif rollout.logprobs_t1 is None and not one:
        notes.append("Log-probabilities at temperature 1 are not stored.")
    entropy = np.full(length, np.nan) if rollout.entropies is None else rollout.entropies.astype(np.float64)
    if rollout.entropies is None:
        notes.append("Entropies are not stored, so forking tokens are not known.")
    threshold = forking_threshold(entropy)
    numbers = (values_T[:most].tolist() for values_T in (surprisal, surprisal_t1, entropy))
    columns = zip(texts, ids, *numbers, strict=True)
    spans = tuple(Span(t, i, s, s1, e, forking=bool(e >= threshold)) for t, i, s, s1, e in columns)
    return Strip(spans, threshold, tuple(notes))


def plain_temperature(sampling: SamplingParams | None) -> float | None:
    """The temperature of sampling that neither truncates nor penalises; None for any other, and where it is unknown."""
    if sampling is None or not sampling.full_support or sampling.presence_penalty:
        return None
    return sampling.temperature


def forking_threshold(entropy_T: Floats) -> float:
    """The entropy from which a token is among the top FORKING_SHARE; NaN (no token) where all are equal or unknown."""
    known = np.sort(entropy_T[np.isfinite(entropy_T)])[::-1]
    if not known.size or known[0] == known[-1]:
        return math.nan
    count = max(1, math.floor(FORKING_SHARE * known.size))
    # Ties at the threshold would make more of them than the share: the threshold is then the next higher value.
    threshold = known[count - 1]
    if count < known.size and known[count] == threshold:
        above = known[known > threshold]
        threshold = above[-1] if above.size else threshold
    return float(threshold)


def colour_positions(values_T: Sequence[float] | Floats, measure: Measure) -> Floats:
    """Places on the measure's colour scale: 0 to 1, for a log-ratio -1 to 1; what lies beyond SCALE_NATS is cut there,
    NaN stays."""
    if measure not in get_args(Measure):
        raise unknown_name("measure", measure, get_args(Measure))
    low = -1.0 if measure == "log_ratio" else 0.0
    return np.clip(np.asarray(values_T, np.float64) / SCALE_NATS[measure], low, 1.0)


def _negative(values_T: NDArray[np.float32] | None, length: int) -> Floats:
    return np.full(length, np.nan) if values_T is None else 0.0 - values_T.astype(np.float64)
