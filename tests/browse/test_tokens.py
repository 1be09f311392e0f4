"""Tokens spell their text; numbers stand with the tokens they are of; what is not stored is said, never made up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import SAMPLING, make, manifest
from tokenizers import Tokenizer, decoders, models

from s2l_lab.browse.decoding import decoder_of
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import FullRollout, page, read_rollout
from s2l_lab.browse.store import BrowsedStore, open_store
from s2l_lab.browse.tokens import (
    FORKING_SHARE,
    SCALE_NATS,
    colour_positions,
    forking_threshold,
    plain_temperature,
    strip,
)
from s2l_lab.errors import UsageError
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.policies.gguf_file import directory_of
from s2l_lab.rollouts import Origin, RolloutStore

WORDS = ["3", "+", "4", " makes ", "7"]
IDS = [7, 14, 8, 28, 11]
"""Of the embedded family's vocabulary."""


def stored(tmp_path: Path, texts: dict[str, tuple[str, list[int]]], **config: object) -> BrowsedStore:
    """A store with one rollout per policy: text and ids."""
    with RolloutStore.open(tmp_path / "run", manifest(**config), {}) as store:
        for place, (policy, (text, ids)) in enumerate(texts.items()):
            logprobs = -np.arange(1, len(ids) + 1, dtype=np.float32) - place
            entropies = np.arange(len(ids), dtype=np.float16) / 4
            done = Completion(text, np.array(ids, np.int32), logprobs, None, entropies, StopReason.EOS, 5)
            store.append([Draw("p", 0, done)], Origin(policy, f"digest {policy}", SAMPLING.digest))
    return open_store(tmp_path / "run")


def first(store: BrowsedStore, policy: str) -> FullRollout:
    return read_rollout(store, page(store, RolloutFilter(policies=(policy,))).rows[0].address)


@pytest.mark.parametrize("source", ["gone/model.gguf", "package:carried-model==1/model.gguf"])
def test_tokens_of_a_gguf_file_are_spelt_by_what_was_made_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sha256 = "0123456789abcdef" * 4
    made = directory_of(sha256)
    made.mkdir(parents=True)
    small = Tokenizer(models.WordLevel({"3": 7, "+": 14, "4": 8, "?": 0}, unk_token="?"))
    small.save(str(made / "tokenizer.json"))
    record = {"source": source, "revision": f"sha256:{sha256}"}
    store = stored(tmp_path, {"small": ("3+4", [7, 14, 8])}, policies={"small": record})
    decoder = decoder_of(store, "small")
    assert decoder is not None
    other = stored(tmp_path / "other", {"small": ("3", [7])}, policies={"small": record | {"revision": "sha256:12"}})
    assert decoder_of(other, "small") is None


def test_tokens_spell_the_text_and_carry_their_numbers(tmp_path: Path) -> None:
    store = stored(
        tmp_path, {"tiny-60k": ("".join(WORDS), [*IDS, 1])}, policies={"tiny-60k": {"source": "embedded:tiny/60k"}}
    )
    rollout = first(store, "tiny-60k")
    shown = strip(rollout, decoder_of(store, "tiny-60k"))
    assert [span.text for span in shown.spans] == [*WORDS, "<eos>"]
    assert [span.id for span in shown.spans] == [*IDS, 1]
    assert [span.surprisal for span in shown.spans] == [1, 2, 3, 4, 5, 6]
    assert [span.entropy for span in shown.spans] == [0, 0.25, 0.5, 0.75, 1, 1.25]
    assert all(math.isnan(span.surprisal_t1) for span in shown.spans)
    assert "temperature 1 are not stored" in " ".join(shown.notes)
    plain = strip(rollout, None, SAMPLING)
    assert [span.surprisal_t1 for span in plain.spans] == [1, 2, 3, 4, 5, 6]
    assert {span.text for span in plain.spans} == {None}
    assert "No tokenizer" in plain.notes[0]
    hot = strip(rollout, None, SAMPLING.model_copy(update={"temperature": 0.7}))
    assert all(math.isnan(span.surprisal_t1) for span in hot.spans)


@pytest.mark.parametrize("text", ["".join(WORDS), "3+4 made 7", "4"])
def test_the_first_tokens_are_those_of_the_whole_and_no_more_are_decoded(tmp_path: Path, text: str) -> None:
    store = stored(tmp_path, {"tiny-60k": (text, [*IDS, 1])}, policies={"tiny-60k": {"source": "embedded:tiny/60k"}})
    rollout, decoder = first(store, "tiny-60k"), decoder_of(store, "tiny-60k")
    assert decoder is not None
    whole = strip(rollout, decoder, SAMPLING)
    for most in range(1, len(IDS) + 3):
        decoded: list[int] = []

        def counted(ids: Sequence[int], decoded: list[int] = decoded) -> tuple[str, ...]:
            decoded.extend(ids)
            return decoder(ids)

        some = strip(rollout, counted, SAMPLING, most)
        assert some.spans == whole.spans[:most]
        assert some.forking_threshold == whole.forking_threshold
        assert decoded == [*IDS, 1][:most]
        # What comes later is not known to differ.
        spelled = "".join(WORDS[:most])
        assert ("do not spell" in " ".join(some.notes)) == (
            not text.startswith(spelled) and not spelled.startswith(text)
        )
    assert ("do not spell" in " ".join(whole.notes)) == (text != "".join(WORDS))


def test_an_explorer_has_the_sampling_of_its_own(tmp_path: Path) -> None:
    """A training run's learner at temperature 1 says nothing of how its explorer's surprisal at 1 can be had."""
    texts = {"explorer": ("x", [4]), "learner": ("x", [4])}
    cold = stored(tmp_path / "cold", texts, training={"temperature": 1.0, "explorer_temperature": 0.7})
    assert [plain_temperature(cold.sampling(policy)) for policy in texts] == [0.7, 1.0]
    explorer = first(cold, "explorer")
    assert math.isnan(strip(explorer, None, cold.sampling("explorer")).spans[0].surprisal_t1)
    hot = stored(tmp_path / "hot", texts, training={"temperature": 1.3})
    assert [plain_temperature(hot.sampling(policy)) for policy in texts] == [1.0, 1.3]
    assert strip(explorer, None, hot.sampling("explorer")).spans[0].surprisal_t1 == 1
    cut = stored(tmp_path / "cut", texts, training={"explorer_top_p": 0.95})
    assert [plain_temperature(cut.sampling(policy)) for policy in texts] == [None, 1.0]
    for words in ({"explorer_temperature": "?"}, {"temperature": "?"}):
        assert stored(tmp_path / str(words)[2:6], texts, training=words).sampling("explorer") is None
    named = stored(tmp_path / "named", texts, sampling=SAMPLING.model_dump(mode="json"))
    assert named.sampling("explorer") == SAMPLING
    assert stored(tmp_path / "none", texts).sampling("explorer") is None
    assert plain_temperature(None) is None
    assert plain_temperature(SAMPLING.model_copy(update={"presence_penalty": 0.5})) is None


def test_what_is_not_stored_is_said(tmp_path: Path) -> None:
    rollout = first(stored(tmp_path, {"a": ("x", [4])}), "a")
    assert strip(replace(rollout, token_ids=None), None).spans == ()
    bare = strip(replace(rollout, logprobs=None, entropies=None), lambda ids: ("other",) * len(ids))
    assert math.isnan(bare.spans[0].surprisal)
    assert not bare.spans[0].forking
    assert [word for word in ("do not spell", "Log-probabilities", "Entropies") if word in " ".join(bare.notes)] == [
        "do not spell",
        "Log-probabilities",
        "Entropies",
    ]


@given(st.lists(st.floats(0, 5) | st.just(math.nan), max_size=30))
def test_forking_tokens_are_the_most_uncertain_and_never_more_than_their_share(values: list[float]) -> None:
    entropy_T = np.array(values)
    threshold = forking_threshold(entropy_T)
    known = entropy_T[~np.isnan(entropy_T)]
    forking = entropy_T[entropy_T >= threshold]
    if math.isnan(threshold):
        assert known.size == 0 or known.min() == known.max()
        assert forking.size == 0
        return
    most = max(1, math.floor(FORKING_SHARE * known.size))
    assert forking.size >= 1
    assert forking.size <= most or (forking == known.max()).all()
    assert (known[known < threshold] <= forking.min()).all()


@given(st.lists(st.floats(-50, 50) | st.just(math.nan), max_size=9))
def test_colours_lie_on_one_scale(values: list[float]) -> None:
    for measure, low in (("surprisal", 0), ("entropy", 0), ("log_ratio", -1)):
        places = colour_positions(values, measure)
        for value, place in zip(values, places, strict=True):
            if math.isnan(value):
                assert math.isnan(place)
            else:
                assert place == min(max(value / SCALE_NATS[measure], low), 1)
    with pytest.raises(UsageError, match="measure"):
        colour_positions([], "beauty")  # type: ignore[arg-type]


@given(st.text(max_size=20))
def test_bytes_of_one_character_come_with_the_last_of_them(text: str) -> None:
    """A byte-level vocabulary splits characters: parts are empty, and nothing is lost or shown twice."""
    shown = _byte_decoder()
    assert "".join(shown(list(text.encode()))) == text
    assert len(shown(list(text.encode()))) == len(text.encode())


def _byte_decoder() -> object:
    import tempfile

    from s2l_lab.browse.decoding import _load

    tokenizer = Tokenizer(models.BPE({f"<0x{i:02X}>": i for i in range(256)}, [], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(str(path))
        decoder = _load(path, 0)
    assert decoder is not None
    return decoder


def test_a_tokenizer_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    assert decoder_of(store, "tiny-60k") is not None
    assert decoder_of(store, "step-20") is None
    assert decoder_of(store, "nobody") is None
    for source in ("no/such-model", "/nowhere", "http://localhost:1/v1", "embedded:tiny/none", "scripted:x"):
        other = stored(tmp_path / source.replace("/", "_"), {"a": ("x", [4])}, policies={"a": {"source": source}})
        assert decoder_of(other, "a") is None
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text("{}")
    broken = stored(tmp_path / "b", {"a": ("x", [4])}, policies={"a": {"source": str(tmp_path / "model")}})
    assert decoder_of(broken, "a") is None
