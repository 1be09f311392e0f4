"""The arms of a sweep before seeds: the product of the factors' levels, then further arms, as changes of one base.

A change is a nested table that is merged over the base: tables key by key, everything else (lists too) replaced whole.
Two factors may not set one key to different values: the order of the factors in the file would decide which wins, and
the arm's name would claim a level that it does not have.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

JOINT = " / "
"""Between the level names in the name of an arm."""


@dataclass(frozen=True, slots=True)
class Change:
    """One arm, without its seed."""

    name: str
    levels: dict[str, str]
    """Factor -> level; empty for an arm outside the product."""
    values: dict[str, Any]
    """Values that are merged over the base plan."""


def product_of(factors: Mapping[str, Mapping[str, Any]], where: str) -> tuple[Change, ...]:
    """Every combination of levels, the last factor fastest. Raises UsageError where two levels set one key apart."""
    if not factors:
        return ()
    return tuple(
        _combine(dict(zip(factors, levels, strict=True)), factors, where)
        for levels in itertools.product(*factors.values())
    )


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` over `base`; neither is touched."""
    values = dict(base)
    for key, value in change.items():
        inner = values.get(key)
        values[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return values


def _combine(levels: dict[str, str], factors: Mapping[str, Mapping[str, Any]], where: str) -> Change:
    values: dict[str, Any] = {}
    set_by: dict[tuple[str, ...], tuple[str, Any]] = {}
    for factor, level in levels.items():
        for path, value in _leaves(factors[factor][level]):
            other, other_value = set_by.setdefault(path, (f"{factor}.{level}", value))
            if other_value != value:
                raise UsageError(
                    f"{where}: [factors.{other}] sets {'.'.join(path)} to {other_value!r} and "
                    f"[factors.{factor}.{level}] to {value!r}. Let one factor set it, or write these arms as [[arm]]."
                )
        values = merged(values, factors[factor][level])
    return Change(JOINT.join(levels.values()), levels, values)


def _leaves(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value
