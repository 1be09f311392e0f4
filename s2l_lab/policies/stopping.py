"""When a completion ends: the EOS set and stop strings.

A stop string is looked for in the text, since it may straddle tokens or begin inside one. Decoding a whole completion
for every token would cost the square of its length, so a new token is first asked whether its own text could hold the
last character of a stop string at all, then only the last few tokens are decoded, and the whole text once, on a hit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_SLACK = 8  # tokens more than a stop string has bytes: special tokens and partial characters add no text


def eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The EOS set of a checkpoint, for samplers, trainer and explorers alike: every id that generation_config.json,
    config.json or the tokenizer names.

    The union, since a chat model's turn ends at an id that only one of the three may name; an id too many is rarely
    drawn, and one too few lets a completion run on past its end.
    """
    ids: set[int] = set()
    for holder in (getattr(model, "generation_config", None), model.config, tokenizer):
        value = getattr(holder, "eos_token_id", None)
        ids.update([value] if isinstance(value, int) else value or [])
    return frozenset(ids)


def token_mask(ids: Iterable[int], vocabulary: int) -> NDArray[np.bool_]:
    """(V,) True at these ids."""
    mask = np.zeros(vocabulary, dtype=bool)
    mask[[i for i in ids if i < vocabulary]] = True
    return mask


class StopStrings:
    """Finds stop strings in growing completions. One object per tokenizer, vocabulary size and set of strings."""

    def __init__(self, tokenizer: Any, strings: Sequence[str], vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._strings = tuple(strings)
        self._window = max((len(s.encode()) for s in strings), default=0) + _SLACK
        self.may_complete_V = np.zeros(vocabulary, dtype=bool)
        if strings:
            last = {s[-1] for s in strings}
            known = range(min(vocabulary, len(tokenizer)))
            texts = decode(tokenizer, [[i] for i in known])
            # U+FFFD: a byte of a longer character, whose text shows only beside its neighbours.
            self.may_complete_V[: len(texts)] = [not last.isdisjoint(t) or "\ufffd" in t for t in texts]

    def completed(self, token_ids: NDArray[np.int32]) -> bool:
        """True if the text of these tokens (T,) holds a stop string that ends in the last token."""
        window = self._decode(token_ids[-self._window :])
        return any(s in window for s in self._strings) and self._first(self._decode(token_ids)) is not None

    def text(self, token_ids: NDArray[np.int32]) -> str:
        """The decoded text up to the earliest stop string, or all of it."""
        text = self._decode(token_ids)
        return text[: self._first(text)]

    def _first(self, text: str) -> int | None:
        starts = [start for s in self._strings if (start := text.find(s)) >= 0]
        return min(starts, default=None)

    def _decode(self, token_ids: NDArray[np.int32]) -> str:
        return decode(self._tokenizer, token_ids[None])[0]


def decode(tokenizer: Any, token_ids_BT: Any) -> list[str]:
    """The texts of B rows of token ids, special tokens left out and nothing tidied up: what the model wrote."""
    texts: list[str] = tokenizer.batch_decode(
        token_ids_BT, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return texts
