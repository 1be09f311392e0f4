"""The order of policies wherever they are listed: small to large as far as a run says, numbers in names as numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SOURCES = ("explorer", "learner")


def in_order(names: Collection[str], config: Mapping[str, Any]) -> list[str]:
    """`names` as the run's configuration lists its policies (small to large), then explorer, learner, then the rest
    with `step-20` before `step-100`."""
    listed = config.get("policies", {})
    known = [*(listed if isinstance(listed, dict) else ()), *SOURCES]
    places = {name: place for place, name in enumerate(dict.fromkeys(known))}
    return sorted(names, key=lambda name: (places.get(name, len(places)), _natural(name), name))


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(digits[:18] or -1)) for text, digits in re.findall(r"(\D*)([0-9]*)", name)]
