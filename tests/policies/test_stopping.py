"""Stop strings are found in the text, wherever tokens fall, and only where they end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from s2l_lab.policies.stopping import StopStrings, token_mask

PIECES = ["<eos>", "a", "b", "ab", "ba", "aab", "\n", "c\n"]


@pytest.fixture(scope="module")
def pieces() -> PreTrainedTokenizerFast:
    """Tokens of several characters, so that a stop string can begin or end inside one."""
    tokenizer = Tokenizer(models.WordLevel({p: i for i, p in enumerate(PIECES)}, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


@pytest.fixture(scope="module")
def byte_level() -> PreTrainedTokenizerFast:
    """One token per byte: characters outside ASCII take several tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def stop_position(tokenizer: PreTrainedTokenizerFast, ids: list[int], strings: list[str]) -> int | None:
    """Our answer, token by token as a sampler asks: the length at which the completion ends."""
    stops = StopStrings(tokenizer, strings, len(tokenizer))
    for n in range(1, len(ids) + 1):
        if stops.may_complete_V[ids[n - 1]] and stops.completed(np.array(ids[:n], np.int32)):
            return n
    return None


@given(
    ids=st.lists(st.integers(0, len(PIECES) - 1), max_size=30),
    strings=st.lists(st.text("abc\n", min_size=1, max_size=5), min_size=1, max_size=3),
)
@example(ids=[1, *[0] * 8, 2], strings=["ab"])  # special tokens have no text
@settings(max_examples=200, deadline=None)
def test_equals_decoding_everything_at_every_token(
    pieces: PreTrainedTokenizerFast, ids: list[int], strings: list[str]
) -> None:
    texts = ["".join(PIECES[i] for i in ids[:n] if i) for n in range(len(ids) + 1)]
    expected = next((n for n, text in enumerate(texts) if any(s in text for s in strings)), None)
    assert stop_position(pieces, ids, strings) == expected
    if expected is not None:
        text = StopStrings(pieces, strings, len(PIECES)).text(np.array(ids[:expected], np.int32))
        assert text == min((texts[expected].split(s)[0] for s in strings), key=len)


@pytest.mark.parametrize("stop", ["é", "né", "日本", "→ 4"])
def test_characters_of_several_tokens(byte_level: PreTrainedTokenizerFast, stop: str) -> None:
    before, after = "x" * 40 + " ünder 語", "tail"
    ids = byte_level(before + stop + after)["input_ids"]
    end = len((before + stop).encode())
    assert stop_position(byte_level, ids, [stop]) == end
    assert StopStrings(byte_level, [stop], 256).text(np.array(ids[:end], np.int32)) == before


def test_most_tokens_cost_nothing(byte_level: PreTrainedTokenizerFast) -> None:
    assert int(StopStrings(byte_level, ["\n\n"], 256).may_complete_V[:128].sum()) < 70  # one ASCII byte and raw bytes
    assert not StopStrings(byte_level, [], 256).may_complete_V.any()


def test_ids_outside_the_vocabulary_are_no_eos() -> None:
    assert token_mask({1, 7}, 4).tolist() == [False, True, False, False]
