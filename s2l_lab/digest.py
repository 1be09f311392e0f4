"""Content digests: the identity of everything that is looked up, resumed or compared.

A digest is the first 16 hex digits of the SHA-256 of canonical JSON (sorted keys, no spaces, NaN refused). The same
value gives the same digest on every machine, Python version and run.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def content_digest(value: Any) -> str:
    """16 hex digits that identify a JSON-like value. Raises TypeError or ValueError for what JSON cannot hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def content_seed(*about: Any) -> int:
    """A seed for what random numbers are drawn for, named by JSON-like values: the same name gives the same seed
    everywhere, and another name another one. Raises as `content_digest` does."""
    return int(content_digest(list(about)), 16)
