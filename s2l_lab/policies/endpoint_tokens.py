"""Token ids and log-probabilities in a server's answer, in the shapes that vLLM and llama.cpp give them.

vLLM lists `token_ids` and `logprobs.token_logprobs`, each over the whole completion. llama.cpp lists the ids under
`__verbose.tokens` and, in `logprobs.content`, an id and a log-probability (`logprob`, or `prob` after the samplers) for
each; of a completion that met a stop string the latter lack the tokens of the string. What does not cover every token
that the server counted is not kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def token_ids(answer: Mapping[str, Any], choice: Mapping[str, Any], counted: int | None) -> NDArray[np.int32] | None:
    """(T,) ids of the completion, an EOS included; None if the server gave none, or another number than it counted."""
    more = answer.get("__verbose")
    for ids in (
        choice.get("token_ids"),
        more.get("tokens") if isinstance(more, dict) else None,
        [entry.get("id") for entry in _entries(choice)],
    ):
        if isinstance(ids, list) and ids and all(isinstance(i, int) for i in ids) and counted in (None, len(ids)):
            return np.asarray(ids, dtype=np.int32)
    return None


def logprobs(choice: Mapping[str, Any], length: int | None) -> NDArray[np.float32] | None:
    """(T,) nats of the drawn tokens; None unless the server gave a finite one for each of `length` tokens."""
    given = choice.get("logprobs")
    values: Any = given.get("token_logprobs") if isinstance(given, dict) else None
    if not isinstance(values, list):
        values = [_nats(entry) for entry in _entries(choice)]
    if len(values) != length or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        return None
    return np.asarray(values, dtype=np.float32)


def most_likely(choice: Mapping[str, Any]) -> float | None:
    """Nats of the most likely first token, from a list of the likely ones; None if the server gave no list."""
    given = choice.get("logprobs")
    lists = given.get("top_logprobs") if isinstance(given, dict) else None
    first = lists[0] if isinstance(lists, list) and lists else None
    return max(map(float, first.values()), default=None) if isinstance(first, dict) else None


def _entries(choice: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = choice.get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def _nats(entry: Mapping[str, Any]) -> Any:
    probability = entry.get("prob")
    if isinstance(probability, int | float) and probability > 0:
        return math.log(probability)
    return entry.get("logprob")
