"""From token ids to the text of each token, by the tokenizer file of the policy that drew them.

Only `tokenizer.json` is read, by the tokenizers package, from files that are on this machine: inside this package, in
the directory that the run names, or in the hub's cache. No model, no network, no code of a checkpoint. Tokens that
spell one character together (byte-level vocabularies) give their text with the last of them; the others are empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.store_facts import json_object
from s2l_lab.errors import S2LError
from s2l_lab.policies.checkpoint import HASHED
from s2l_lab.policies.families import EMBEDDED, named_member
from s2l_lab.policies.gguf_file import directory_of, made_from
from s2l_lab.policies.packages import PACKAGE
from s2l_lab.training.report import PLAN

TOKENIZER = "tokenizer.json"

Decoder = Callable[[Sequence[int]], tuple[str, ...]]
"""Token ids (T,) -> T texts."""


def decoder_of(store: BrowsedStore, policy: str) -> Decoder | None:
    """The decoder for a policy of the store; None where its tokenizer is not on this machine or not recorded."""
    for source, revision, root in _sources(store, policy):
        for path in _candidates(source, revision, root):
            if path.is_file() and (decoder := _load(path, path.stat().st_mtime_ns)) is not None:
                return decoder
    return None


def _sources(store: BrowsedStore, policy: str) -> list[tuple[str, str | None, Path | None]]:
    """(source, revision, model root) of the policy, or of one that shares its tokenizer."""
    config = store.config()
    root = _path(config.get("model_root"))
    record = (config.get("policies") or {}).get(policy)
    if isinstance(record, dict):
        return [(str(record.get("source")), record.get("revision"), root)]
    if "bank" in config:
        return _of_member(config["bank"], root)
    # Training: explorer and learner share the learner's tokenizer; an evaluation lies in the directory of its run.
    for plan in (config, json_object(store.path.parent / PLAN) or {}):
        learner = plan.get("learner")
        if isinstance(learner, dict):
            return _of_member(learner.get("member"), _path(plan.get("model_root")))
    return []


def _of_member(name: Any, root: Path | None) -> list[tuple[str, str | None, Path | None]]:
    """A member's name, or NAME=SOURCE; nothing where it is neither (any more)."""
    try:
        member = named_member(str(name))
    except S2LError:
        return []
    return [(member.source, member.revision, root)]


def _candidates(source: str, revision: str | None, root: Path | None) -> list[Path]:
    """Places where the tokenizer may be."""
    if source.startswith(EMBEDDED):
        place = str(resources.files("s2l_lab.policies.tiny"))
        return [Path(place) / source.removeprefix(EMBEDDED) / TOKENIZER]
    made = directory_of((revision or "").removeprefix(HASHED))  # from a GGUF file, where that is the source
    found = [Path(source) / TOKENIZER, *([made / TOKENIZER] if made_from(made) else [])]
    if root is not None:
        found += [root / source.rstrip("/").rpartition("/")[2] / TOKENIZER, root / source / TOKENIZER]
    if source.count("/") == 1 and not source.startswith(("/", ".", "~", PACKAGE)):
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(source, TOKENIZER, revision=revision)
        if isinstance(cached, str):
            found.append(Path(cached))
    return found


@lru_cache(maxsize=8)
def _load(path: Path, _changed: int) -> Decoder | None:
    """The decoder of a tokenizer file; None where it holds no tokenizer."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    except Exception as error:  # the package raises bare Exception for what is no tokenizer
        if type(error) is not Exception:
            raise
        return None

    def decode(token_ids: Sequence[int]) -> tuple[str, ...]:
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        return tuple(stream.step(tokenizer, int(token)) or "" for token in token_ids)

    return decode


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str) else None
