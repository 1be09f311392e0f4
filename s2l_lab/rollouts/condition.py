"""A SQL condition from outside, checked before it is run: it can filter rows by their columns, and nothing else.

DuckDB's own parser reads it, inside the very query that it will stand in, and the tree is walked: only columns,
constants, comparisons, `and`, `or`, `not`, `in`, `between`, `is null`, arithmetic and the functions of FUNCTIONS may be
there. A second statement, a subquery, a table, a file or a setting is none of these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb

from s2l_lab.errors import UsageError, unknown_name

FUNCTIONS = (
    *("+", "-", "*", "/", "//", "%", "abs", "round", "floor", "ceil", "least", "greatest"),
    *("~~", "!~~", "~~*", "!~~*", "regexp_matches", "regexp_full_match", "like_escape", "ilike_escape"),
    *("length", "lower", "upper", "trim", "contains", "starts_with", "prefix", "ends_with", "suffix", "||"),
    *("len", "array_length", "list_contains", "array_contains", "list_sum", "list_avg", "list_min", "list_max"),
)
"""What a condition may call; `~~` is LIKE and `~~*` ILIKE."""
_PARTS = ("COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "OPERATOR", "BETWEEN", "FUNCTION")
_SHELL = "select 1 from rollouts where ({}\n)"


def columns_of(condition: str, known: Sequence[str]) -> list[str]:
    """The columns that a condition reads, each once. Raises UsageError for anything but a filter over `known` ones."""
    if not isinstance(condition, str) or not condition.strip():
        raise UsageError(
            "where is empty; give a condition over the columns, as \"outcome = 'correct' and tokens < 100\"."
        )
    tree, plain = _tree(condition), _tree("true")
    where = tree.pop("where_clause", None)
    plain.pop("where_clause")
    if where is None or tree != plain:
        raise UsageError(
            f"where = {condition!r} is more than a condition. Give what stands after WHERE, and no clause."
        )
    read: dict[str, None] = {}
    for part in _parts_of(where):
        kind = part["class"]
        if kind not in _PARTS:
            raise UsageError(
                f"where = {condition!r} holds a {kind.lower()}, and a condition can only filter: columns, values, "
                "comparisons, and, or, not, in, between, is null, arithmetic and text functions."
            )
        if kind == "FUNCTION" and part["function_name"] not in FUNCTIONS:
            raise unknown_name("function in where", part["function_name"], FUNCTIONS)
        if kind == "COLUMN_REF":
            name = ".".join(part["column_names"])
            if name not in known:
                raise unknown_name(
                    "column in where", name, known, "Texts stand in single quotes, as policy = 'tiny-2m'."
                )
            read[name] = None
    return list(read)


def _tree(condition: str) -> dict[str, Any]:
    """The parsed query around a condition, without places in the text."""
    connection = duckdb.connect()
    try:
        row = connection.execute("select json_serialize_sql(?::varchar)", [_SHELL.format(condition)]).fetchone()
    finally:
        connection.close()
    told: dict[str, Any] = json.loads(row[0]) if row else {"error": True}
    if told["error"] or len(told["statements"]) != 1:
        why = str(told.get("error_message", "")).strip().splitlines() or [""]
        raise UsageError(
            f"where = {condition!r} is no SQL condition ({why[0]}). For example: tokens > 20 and outcome = 'correct'."
        )
    found: dict[str, Any] = _placeless(told["statements"][0]["node"])
    return found


def _placeless(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _placeless(value) for name, value in part.items() if not name.startswith("query_location")}
    return [_placeless(one) for one in part] if isinstance(part, list) else part


def _parts_of(part: Any) -> Iterator[dict[str, Any]]:
    """Every node of an expression, outermost first; the contents of constants are no nodes."""
    if isinstance(part, dict):
        if "class" in part:
            yield part
        if part.get("class") != "CONSTANT":
            for value in part.values():
                yield from _parts_of(value)
    elif isinstance(part, list):
        for value in part:
            yield from _parts_of(value)
