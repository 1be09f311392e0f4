"""Texts that others wrote, row by row: from a JSONL or Parquet file, a `datasets` directory or a Dataset in memory.

A row says which prompt its text answers, the text, and whether the text ended. The columns are those that people and
TRL's trainers use:

    prompt, problem, question     the prompt: text, or messages without the answer
    problem_id, question_id, id   or a name of the problem (the last two are read where there is no prompt)
    completion, response, text    the text that follows the prompt, or the assistant's message
    chosen                        the preferred answer of a preference dataset (`rejected` is not read)
    messages                      a whole conversation (so may `chosen` be): its last message is the answer
    label                         false for an answer that an unpaired preference dataset rejects
    finish_reason, stop_reason,   whether the text was cut; a row without them says that it ended, as finished
    truncated                     answers do

What is wrong with a row is said with its number, and nothing is repaired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2l_lab.digest import content_digest
from s2l_lab.errors import DataError
from s2l_lab.problems.files import read_parquet
from s2l_lab.problems.rows import FileRow, raise_faults, read_jsonl

PROMPT_FIELDS = ("prompt", "problem", "question")
NAME_FIELDS = ("problem_id", "question_id")
"""Of a dataset's own rows too. Beside a prompt a text's `question_id` may be of another file, so it is not read."""
TEXT_FIELDS = ("completion", "response", "text", "chosen", "messages")
CUT = ("length", "max_tokens", "max_length", "model_length")
"""Reasons why a text stops where the writer would have gone on."""
ENDED = ("stop", "eos", "eos_token", "end_turn", "stop_sequence")
_FORMS = "a .jsonl or .parquet file, or a directory of datasets.save_to_disk"

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TextRow:
    """One text."""

    number: int
    """Line of a JSONL file, else the row's number, from 1."""
    prompt: str | Messages | None
    """What it answers; None where the row has a name alone."""
    name: str | None
    """Of the problem."""
    text: str
    ended: bool
    rejected: bool = False
    """Whether its dataset says that the text is a bad one."""


@dataclass(frozen=True, slots=True)
class Texts:
    """All rows of a source."""

    name: str
    rows: tuple[TextRow, ...]

    @property
    def digest(self) -> str:
        """Identity of the rows, in order."""
        return content_digest(
            [[row.prompt, row.name, row.text, row.ended, *([True] if row.rejected else [])] for row in self.rows]
        )


def read_texts(source: str | Path | Any) -> Texts:
    """The texts of a file, a directory, or rows that can be iterated (a `datasets.Dataset`).

    Raises DataError for a source that is none of these or has no rows, and naming every row that is none.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        name, where, rows = f"texts of {path.name}", str(path), _file_rows(path)
    else:
        name = where = "texts of the dataset"
        rows = _dataset_rows(source, where)
    found, faults = [], []
    for row in rows:
        try:
            found.append(_text_row(row))
        except _RowFaultError as fault:
            faults.append(f"{'line' if where.endswith('.jsonl') else 'row'} {row.line}: {fault}")
    raise_faults(where, faults)
    if not found:
        raise DataError(f"{where} holds no rows. Each has a prompt ({', '.join(PROMPT_FIELDS)}) and a text.")
    return Texts(name, tuple(found))


def is_texts(path: Path) -> bool:
    """Whether a path is a file or a directory that `read_texts` is for."""
    return path.suffix in (".jsonl", ".parquet") or _is_saved_dataset(path)


def _is_saved_dataset(path: Path) -> bool:
    return any((path / file).is_file() for file in ("state.json", "dataset_dict.json"))


def _file_rows(path: Path) -> Iterable[FileRow]:
    if not path.exists():
        raise DataError(f"there is no {path}. Texts are {_FORMS}.")
    if path.is_dir() and _is_saved_dataset(path):
        from datasets import load_from_disk

        return _dataset_rows(load_from_disk(str(path)), str(path))
    if path.suffix == ".jsonl" and path.is_file():
        return read_jsonl(path) if path.read_bytes().strip() else []
    if path.suffix == ".parquet" and path.is_file():
        return read_parquet(path)
    raise DataError(f"{path} is no file of texts. They are {_FORMS}.")


def _dataset_rows(dataset: Any, where: str) -> list[FileRow]:
    if isinstance(dataset, Mapping):  # DatasetDict
        raise DataError(f"{where} holds splits: {', '.join(map(str, dataset))}. Give one of them.")
    return [FileRow(i, dict(row)) for i, row in enumerate(dataset, start=1)]


class _RowFaultError(ValueError):
    """Why a row is no text."""


def _text_row(row: FileRow) -> TextRow:
    fields = {name: value for name, value in row.fields.items() if value is not None}
    field = next((name for name in TEXT_FIELDS if name in fields), None)
    if field is None:
        raise _RowFaultError(f"no text (looked for {', '.join(TEXT_FIELDS)})")
    before, text = _answer(field, fields[field])
    asked = next((name for name in PROMPT_FIELDS if name in fields), None)
    prompt = before if asked is None else _followed(_prompt(asked, fields[asked]), before)
    by = (*NAME_FIELDS, "id") if prompt is None else NAME_FIELDS[:1]
    names = [fields[name] for name in by if name in fields]
    if prompt is None and not names:
        known = ", ".join((*PROMPT_FIELDS, *NAME_FIELDS, "id"))
        raise _RowFaultError(f"nothing says which prompt the text answers (looked for {known})")
    rejected = fields.get("label") is False
    return TextRow(row.line, prompt, str(names[0]) if names else None, text, _ended(fields), rejected)


def _answer(field: str, value: Any) -> tuple[Messages | None, str]:
    """The messages before an answer, if it came with them, and its text."""
    if isinstance(value, str) and field != "messages":
        return None, value
    messages = _messages(field, value)
    last = messages[-1]
    if last["role"] != "assistant":
        raise _RowFaultError(f"the last message of {field!r} is the {last['role']}'s, and an answer is the assistant's")
    if reasoning := [name for name in ("reasoning_content", "reasoning", "thinking") if last.get(name)]:
        raise _RowFaultError(
            f"the answer in {field!r} keeps its {reasoning[0]} apart; write it into the content, as the model would"
        )
    return messages[:-1] or None, last["content"]


def _followed(prompt: str | Messages, before: Messages | None) -> str | Messages:
    """What an answer follows whose row has a prompt, and whose conversation has messages before the answer: these may
    repeat the prompt, or be further turns, and then the prompt alone is not what was answered (UltraChat)."""
    if before is None or prompt == before:
        return prompt
    if isinstance(prompt, str):
        turns = [message for message in before if message["role"] != "system"]
        return prompt if len(turns) == 1 else before
    return before if before[: len(prompt)] == prompt else [*prompt, *before]


def _prompt(field: str, value: Any) -> str | Messages:
    if isinstance(value, str):
        if not value.strip():
            raise _RowFaultError(f"{field!r} is empty")
        return value
    return _messages(field, value)


def _messages(field: str, value: Any) -> Messages:
    """A conversation whose contents are text."""
    if not isinstance(value, list) or not value or not all(isinstance(m, Mapping) and "role" in m for m in value):
        raise _RowFaultError(f"{field!r} is neither text nor a list of messages with role and content")
    return [{**message, "content": _content(field, message.get("content"))} for message in value]


def _content(field: str, content: Any) -> str:
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts: list[Any] = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = "".join(parts) if all(isinstance(part, str) for part in parts) else None
    if not isinstance(content, str):
        raise _RowFaultError(f"a message of {field!r} has a content that is no text")
    return content


def _ended(fields: Mapping[str, Any]) -> bool:
    truncated = fields.get("truncated", False)
    if not isinstance(truncated, bool):
        raise _RowFaultError(f"'truncated' is {truncated!r}, neither true nor false")
    for field in ("finish_reason", "stop_reason"):
        reason = fields.get(field, ENDED[0])
        if reason not in (*CUT, *ENDED):
            allowed = f"{', '.join(ENDED)} for a text that ended, {', '.join(CUT)} for one that was cut"
            raise _RowFaultError(f"{field!r} is {reason!r}; known are {allowed}")
        truncated = truncated or reason in CUT
    return not truncated
