"""What flags say of prompts, as fields of a request: a system message from a file, arguments of a template by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORDS = {"true": True, "false": False, "none": None, "null": None}
_FILE = re.compile(r"\S+\.(?:txt|md|jinja|j2|prompt)")


def prompting_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request for --system and --template-arg. Raises UsageError for what they cannot mean."""
    system = fields.get("system")
    return {
        "system": None if system is None else system_text(system),
        "template_args": template_arguments(fields.get("template_args") or ()),
    }


def system_text(given: str) -> str:
    """The text that is given, or that of the file of this name."""
    try:
        path = Path(given).expanduser()
        there = path.is_file()
    except (OSError, ValueError, RuntimeError):  # too long for a name, or none that a file can have
        there = False
    if there:
        try:
            text = path.read_text(encoding="utf-8-sig").strip()
        except (OSError, ValueError) as cause:
            reason = (cause.strerror if isinstance(cause, OSError) else None) or "it is not text in UTF-8"
            raise UsageError(f"--system {given}: the file cannot be read: {reason}.") from cause
    elif _FILE.fullmatch(given):
        raise UsageError(f"--system {given}: there is no such file. Give a file that is there, or the text itself.")
    else:
        text = given
    if not text.strip():
        raise UsageError("--system is empty. Leave it out for no system message.")
    return text


def template_arguments(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as values: true, false, none, numbers, else text. Raises UsageError for another form."""
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--template-arg {text!r} is not NAME=VALUE, as enable_thinking=false.")
        if name in found:
            raise UsageError(f"--template-arg gives {name} twice. Give it once.")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"[+-]?\d+\.\d*|[+-]?\.\d+", text) else text
