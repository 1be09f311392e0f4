"""Embeddings of a study's rollouts, by text, from one cache below the runs; and how much of the text they saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s2l_lab.diversity.embedding_cache import CachedEmbedder
from s2l_lab.diversity.embeddings import open_embedder

if TYPE_CHECKING:
    from s2l_lab.studies.within import Vectors

FOLDER = Path("runs") / "embeddings"
NO_EMBEDDER = "none"


@dataclass(frozen=True, slots=True)
class EmbeddingFacts:
    """Facts on the embeddings, for every number that was made from them."""

    embedder: str
    digest: str
    texts: int
    """Number of distinct texts."""
    share: float
    """Share of all tokens that were embedded, 0 to 1: below 1 is truncation. NaN where no text has a token."""
    empty: int
    """Number of texts without a token, which have no embedding and are left out."""


def embed_texts(
    texts: Iterable[str], embedder: str, folder: Path = FOLDER
) -> tuple[Vectors | None, EmbeddingFacts | None]:
    """Vectors by text, from the cache where they are there; (None, None) for the embedder `none`.

    Raises UsageError where the embedder cannot be opened.
    """
    if embedder == NO_EMBEDDER:
        return None, None
    distinct = list(dict.fromkeys(texts))
    cached = CachedEmbedder(open_embedder(embedder), folder)
    embedded = cached.embed(distinct)
    facts = EmbeddingFacts(embedder, cached.digest, len(distinct), embedded.share, embedded.empty)
    return dict(zip(distinct, embedded.vector_ND, strict=True)), facts


def embedding_words(facts: EmbeddingFacts | None) -> str:
    """The part of a caption's details on embeddings."""
    if facts is None:
        return "no embeddings, so embedding metrics are undefined"
    return (
        f"embeddings by {facts.embedder} ({facts.digest}), {facts.texts:,} distinct texts, {facts.share:.1%} of their "
        f"tokens embedded, {facts.empty} empty texts left out"
    )
