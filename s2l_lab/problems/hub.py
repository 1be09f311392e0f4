"""One file of a hub dataset at a pinned revision, as rows.

huggingface_hub's own cache is used first, so a machine that has fetched a file once needs no network. Without the hub,
one message says which file is missing and how to point at a local copy.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError
from s2l_lab.problems.rows import FileRow, read_jsonl

if TYPE_CHECKING:
    from s2l_lab.problems.catalog import Source


def fetch_rows(name: str, source: Source) -> list[FileRow]:
    """The rows of a benchmark's hub file, converted to the fields that problems are made from.

    Raises DataError when neither the hub nor its cache has the file, or a row lacks what the benchmark's rows have.
    """
    path = _download(name, source)
    rows = read_jsonl(path) if path.suffix == ".jsonl" else _read_parquet(path)
    try:
        return [FileRow(row.line, source.convert(row.fields)) for row in rows]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{source.repository} at {source.revision[:8]}: rows of {source.file} lack what benchmark {name!r} expects "
            f"({type(error).__name__}: {error}). Clear this file from the hub cache, or give a local file."
        ) from error


def cached(source: Source) -> Path | None:
    """The file in the hub's cache; None if it is not there. No network is asked."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repository, source.file, revision=source.revision, repo_type="dataset")
    return Path(found) if isinstance(found, str) else None


def _download(name: str, source: Source) -> Path:
    import httpx
    from huggingface_hub import HfApi, hf_hub_download

    repository, file, revision = source.repository, source.file, source.revision
    if (here := cached(source)) is not None:
        return here
    try:
        # One short question first: a download without a network is retried for half a minute.
        HfApi().dataset_info(repository, revision=revision, timeout=10)
        return Path(hf_hub_download(repository, file, revision=revision, repo_type="dataset"))
    except (httpx.HTTPError, OSError) as error:
        local = f"{source.local or name}.jsonl"
        raise DataError(
            f"benchmark {name!r}: {file} of the dataset {repository} at revision {revision[:8]} is neither in the hub "
            f"cache nor reachable ({type(error).__name__}). Connect once to fetch it, or put {local} (one JSON object "
            "with question and answer a line) into a directory and pass --data-root DIR, or give that file's path as "
            "the benchmark."
        ) from error


def _read_parquet(path: Path) -> list[FileRow]:
    import pyarrow.parquet as pq

    records: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return [FileRow(i, record) for i, record in enumerate(records, start=1)]
