"""The order of policies on every page: small to large as far as a run says, and numbers in names as numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

SOURCES = ("explorer", "learner")


def in_order(names: Collection[str], known: Sequence[str]) -> tuple[str, ...]:
    """`names` in the order of `known` (a run's configuration lists policies small to large), then explorer, learner,
    then the rest with `step-20` before `step-100`."""
    places = {name: place for place, name in enumerate(dict.fromkeys([*known, *SOURCES]))}
    return tuple(sorted(names, key=lambda name: (places.get(name, len(places)), _natural(name), name)))


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(digits[:18] or -1)) for text, digits in re.findall(r"(\D*)([0-9]*)", name)]
