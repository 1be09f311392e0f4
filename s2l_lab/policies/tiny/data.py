"""Training data of the embedded family: one trace per problem, so that data size has one meaning.

Example i is a function of (seed, i): the i-th problem of Countdown's training split and one trace of it. A recipe that
runs longer than its data shows the same traces again; nothing is redrawn, which is what *data-limited* means here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.policies.tiny.prompt import compact_prompt
from s2l_lab.policies.tiny.tokenizer import CONTEXT, EOS_ID, PAD_ID, tokenizer_json
from s2l_lab.policies.tiny.traces import draw_trace
from s2l_lab.problems.countdown import countdown_items

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Examples:
    """E examples as tokens, padded at the end."""

    tokens_ET: NDArray[np.int64]
    length_E: NDArray[np.int64]
    """Tokens of prompt, completion and EOS."""
    prompt_length_E: NDArray[np.int64]


def examples(seed: int) -> Iterator[tuple[str, str]]:
    """The endless stream of (prompt, completion)."""
    for i, item in enumerate(countdown_items("train", seed)):
        trace = draw_trace(item.whole_classes, f"{seed} {i}")
        yield compact_prompt(item.numbers, item.target), str(trace)


def tokenised(pairs: Iterator[tuple[str, str]], n: int) -> Examples:
    """The first n examples of a stream."""
    import json

    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json()))
    tokens_ET = np.full((n, CONTEXT), PAD_ID, dtype=np.int64)
    length_E, prompt_length_E = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for e, (prompt, completion) in enumerate(islice(pairs, n)):
        ids = [*tokenizer.encode(prompt).ids, *tokenizer.encode(completion).ids, EOS_ID]
        tokens_ET[e, : len(ids)] = ids
        length_E[e], prompt_length_E[e] = len(ids), len(tokenizer.encode(prompt).ids)
    return Examples(tokens_ET[:, : length_E.max()], length_E, prompt_length_E)
