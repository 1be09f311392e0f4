"""Plans: a TOML file with `key=value` settings over it, read into a typed model; what is wrong is said in one line.

Values are read as strictly as TOML writes them: a number in quotes is text, `true` is no number, and a key that the
model does not have is refused at any depth. The line for a fault names the file or the setting, the key with dots (list
entries are numbered from 0, as in settings), what was given and what is allowed. What is allowed is read from the
model's JSON schema, so a plan needs no words of its own; a field's `description` is added where there is one.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from s2l_lab.errors import DataError, UsageError, unknown_name

Plan = TypeVar("Plan", bound=BaseModel)
Place = tuple[str | int, ...]
"""The keys and list places that lead to a value."""
_LONGEST = 80
"""Characters of a given value that are shown."""


def read_plan(path: Path, kind: type[Plan], settings: Sequence[str] = (), home: str = "") -> Plan:
    """The plan of a TOML file, or of JSON in a file that ends in .json, with settings over it (`plan_of` says how).

    Raises DataError for a file that cannot be read, UsageError for a key, value or setting that is not allowed.
    """
    return plan_of(kind, read_values(path), str(path), settings, home)


def read_values(path: Path) -> dict[str, Any]:
    """The values of a TOML file, or of the JSON object in a file that ends in .json. Raises DataError for another."""
    form = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
        values = json.loads(text) if form == "JSON" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as cause:
        reason = (cause.strerror if isinstance(cause, OSError) else None) or cause
        raise DataError(f"{path} cannot be read as {form}: {reason}. Mend or name another file.") from cause
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no plan: a JSON object is expected.")
    return values


def plan_of(
    kind: type[Plan], values: Mapping[str, Any], where: str, settings: Sequence[str] = (), home: str = ""
) -> Plan:
    """A plan from nested values, with each `key=value` of `settings` over them; `values` stay as they are.

    Keys have dots (`explorer.member=tiny-60k`, `evaluation.0.rollouts=16`); one without a dot that is no field of the
    plan is looked for in its table `home`. Values are TOML, or else text. Raises UsageError that names every fault;
    `where` is what faults of `values` are named after.
    """
    whole = copy.deepcopy(values)
    set_by = {_set(whole, text, kind, home): text for text in settings}
    try:
        return kind.model_validate_json(json.dumps(whole, default=str), strict=True)
    except ValidationError as error:
        lines: dict[str, list[str]] = {}
        for place, words in faults(error, kind, whole):
            by = [text for parts, text in set_by.items() if place and all(map(str.__eq__, parts, map(str, place)))]
            lines.setdefault(f"setting {by[-1]!r}" if by else where, []).append(words)
        raise UsageError("; ".join(f"{at}: {'; '.join(found)}" for at, found in lines.items()) + ".") from error


def check_types(kind: type, values: Mapping[str, Any], where: str) -> None:
    """Raise UsageError where a value is none of its field's type; `kind` is a dataclass that checks none itself."""
    hints = get_type_hints(kind)
    given = {field.name: (hints[field.name], ...) for field in dataclasses.fields(kind) if field.name in values}
    config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())
    fields: Any = given
    plan_of(create_model(kind.__name__, __config__=config, **fields), values, where)


def faults(error: ValidationError, kind: type[BaseModel], values: Any) -> Iterator[tuple[Place, str]]:
    """Each place of `values` that a model did not take, and what is wrong there, in words without a full stop.

    The words begin with the place (`dotted`), unless it is the whole or a key that the whole does not have.
    """
    schema = kind.model_json_schema()
    found = [(_place(f["loc"], values, missing=f["type"] == "missing"), f) for f in error.errors()]
    places = {place for place, _ in found}
    seen: set[Place] = set()
    for place, fault in found:
        if fault["type"] in _SAID:
            yield place, f"{_prefix(place)}{fault['msg'].removeprefix('Value error, ')}".rstrip(".")
        elif place not in seen and not any(place == other[: len(place)] for other in places - {place}):
            # (Of a union's alternatives, the one that the value is meant as is the one that has a fault inside it.)
            seen.add(place)
            unknown = fault["type"] == "extra_forbidden" or fault["loc"][-1:] == (_KEY,)
            yield place, (_unknown(place, schema) if unknown else _not_allowed(place, values, schema)).rstrip(".")


def dotted(place: Place) -> str:
    """`evaluation.0.rollouts`."""
    return ".".join(map(str, place))


_SAID = ("value_error", "json_invalid", "string_unicode")
"""Faults that a validator of ours, or the reader of JSON, has said in words."""
_KEY = "[key]"
"""pydantic's mark of a key that is at fault, behind the key."""
_ABSENT = object()


def _unknown(place: Place, root: Mapping[str, Any]) -> str:
    known = {key for branch in _branches(_at(place[:-1], root)[0], root) for key in _keys(branch)}
    return f"{_prefix(place) if place[1:] else ''}{unknown_name('key', str(place[-1]), known)}"


def _not_allowed(place: Place, values: Any, root: Mapping[str, Any]) -> str:
    schema, description = _at(place, root)
    for part in place:
        values = values[int(part)] if isinstance(values, list | tuple) else values.get(part, _ABSENT)
    given = "missing" if values is _ABSENT else _short(values)
    hint = f": {description}" if description else ""
    return f"{dotted(place) or 'the whole'} is {given}; it is {_allowed(schema, root)}{hint}"


def _prefix(place: Place) -> str:
    return f"{dotted(place)}: " if place else ""


def _place(loc: Place, values: Any, missing: bool) -> Place:
    """A place without what pydantic adds to it: the names of a union's alternatives, and the mark of a key."""
    place: list[str | int] = []
    for i, part in enumerate(loc):
        if isinstance(values, Mapping) and (part in values or (missing and i == len(loc) - 1)):
            values = values.get(part)
        elif isinstance(values, list | tuple) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            continue
        place.append(part)
    return tuple(place)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


# The words for what is allowed, from JSON schema. `root` is the whole schema, which references point into.


def _branches(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alternatives of a schema without null, which TOML cannot write."""
    if "$ref" in schema:
        return _branches(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return [inner for branch in schema["anyOf"] for inner in _branches(branch, root)]
    return [] if schema.get("type") == "null" else [schema]


def _keys(branch: Mapping[str, Any]) -> Sequence[str]:
    """The keys of a table that has some to choose from."""
    keys: Sequence[str] = branch.get("properties") or branch.get("propertyNames", {}).get("enum", ())
    return keys


def _at(place: Place, root: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The schema at a place, and the description of the field that it belongs to."""
    schema, description = root, ""
    for part in place:
        inner: Any = {}
        for branch in _branches(schema, root):
            if part in branch.get("properties", {}):
                inner = branch["properties"][part]
                description = inner.get("description", "")
            elif isinstance(part, str):
                inner = branch.get("additionalProperties") or inner
            else:
                inner = dict(enumerate(branch.get("prefixItems", ()))).get(part) or branch.get("items") or inner
        schema = inner if isinstance(inner, dict) else {}
    return schema, description


def _allowed(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_one(branch, root) for branch in _branches(schema, root))) or "any value"


def _one(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if "enum" in schema or "const" in schema:
        return _choice([str(name) for name in schema.get("enum", [schema.get("const")])])
    if kind in ("integer", "number"):
        return f"a {'whole number' if kind == 'integer' else 'number'}{_range(schema)}"
    if kind == "array":
        return f"a list{_size(schema, 'Items')}{_entries(schema, root)}"
    if kind == "object":
        return f"a table{_size(schema, 'Properties')}{_columns(schema, root)}"
    if kind == "string":
        empty = " that is not empty" if schema.get("minLength") else ""
        pattern = f" that matches {schema['pattern']}" if "pattern" in schema else ""
        return "a path" if schema.get("format") == "path" else f"text{empty}{pattern}"
    return "true or false" if kind == "boolean" else "any value"


def _choice(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _range(schema: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "up to", "exclusiveMaximum": "below"}
    found = ", ".join(f"{word} {schema[name]:g}" for name, word in words.items() if name in schema)
    return f" {found}" if found else ""


def _size(schema: Mapping[str, Any], of: str) -> str:
    low, high = schema.get(f"min{of}"), schema.get(f"max{of}")
    if low is not None and low == high:
        return f" of {low}"
    return "" if low is None else f" of at least {low}"


def _entries(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        return f": {', '.join(_allowed(inner, root) for inner in schema['prefixItems'])}"
    return f", each {_allowed(schema['items'], root)}" if schema.get("items") else ""


def _columns(schema: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    keys, each = _keys(schema), schema.get("additionalProperties")
    named = f" with the keys {', '.join(keys)}" if keys else ""
    return f"{named}, each {_allowed(each, root)}" if isinstance(each, dict) and each else named


# Settings.


def _set(values: Any, text: str, kind: type[BaseModel], home: str) -> tuple[str, ...]:
    """Set one `key=value` in nested values, in place; its path. Raises UsageError for one that sets nothing."""
    key, equals, value = text.partition("=")
    parts = tuple(key.strip().split("."))
    if not equals or not all(parts):
        raise UsageError(f"{text!r} is no setting; write key=value, as explorer.member=tiny-60k.")
    if len(parts) == 1 and home and parts[0] not in kind.model_fields:
        parts = (home, *parts)
    at = values
    for i, part in enumerate(parts):
        if isinstance(at, list):
            if not part.isdecimal() or int(part) >= len(at):
                raise UsageError(
                    f"setting {text!r}: {dotted(parts[:i])} has {len(at)} entries, numbered from 0; {part} is none."
                )
            step: Any = int(part)
        elif isinstance(at, dict):
            step = part
        else:
            raise UsageError(
                f"setting {text!r}: {dotted(parts[:i])} is {_short(at)}, a single value with nothing inside; set "
                f"{dotted(parts[:i])} itself."
            )
        if i == len(parts) - 1:
            at[step] = _toml(value, text)
            break
        if isinstance(at, dict) and at.get(step) is None:
            at[step] = {}
        at = at[step]
    return parts


def _toml(value: str, setting: str) -> Any:
    """A value as TOML reads it, or else the text itself. Raises UsageError for text that is not Unicode."""
    try:
        value.encode()
        found = tomllib.loads(f"value = {value}")
    except UnicodeEncodeError as cause:
        raise UsageError(f"setting {setting!r} is not text in UTF-8.") from cause
    except (tomllib.TOMLDecodeError, RecursionError):
        return value
    return found["value"] if len(found) == 1 else value
