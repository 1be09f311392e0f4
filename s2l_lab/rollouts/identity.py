"""A run directory holds rollouts of ONE identity: what must not change from call to call, and how a change is refused.

The caller says what the identity is (benchmark, sampling parameters, template, precision ...); everything else in its
configuration (number of rollouts, of problems, members, how things are shown) may differ from session to session.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s2l_lab.errors import UsageError

_ABSENT = "(absent)"


def refuse_changes(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise UsageError with exactly the keys (dotted where nested) whose values differ, old and new."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    lines = [
        f"  {key}: {before.get(key, _ABSENT)} -> {after.get(key, _ABSENT)}"
        for key in sorted({**before, **after})
        if before.get(key) != after.get(key)
    ]
    if lines:
        raise UsageError(
            f"{path} holds rollouts of another configuration:\n" + "\n".join(lines) + "\n"
            "Give the old values, or --out another directory, or --fresh to move this run aside and start anew."
        )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as JSON, so that null and absent, 1 and 1.0, 1 and "1" are told apart."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, sort_keys=True, ensure_ascii=False)
