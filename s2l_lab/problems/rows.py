"""From a row of a benchmark file to a Problem, and from a file to rows: every fault is named with its line.

Rows come from a JSONL file or from the hub's Parquet; both are dictionaries with a line number. The text of a problem
is taken as it stands in the row, since the paper adds no instruction to it; multiple-choice problems get the option
lines and the one instruction of the paper's CommonsenseQA prompt.

Nothing is repaired in silence: a row that cannot be a problem is an error that names the line, and all faults of a file
are reported at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError
from s2l_lab.problems.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PROMPT_FIELDS = ("question", "problem", "prompt")
ANSWER_FIELDS = ("answer", "answerKey", "final_answer", "solution")
FILE_KINDS = ("math", "choice", "exact")
"""What a row's own `kind` may be; the other verifiers need more than a file of questions and answers has."""
_MOST_FAULTS = 8
_LONGEST_NOTE = 200


@dataclass(frozen=True, slots=True)
class FileRow:
    """One item as its file has it."""

    line: int
    """Line number in the file, counted from 1."""
    fields: dict[str, Any]


def read_jsonl(path: Path) -> list[FileRow]:
    """The rows of a JSONL file; blank lines are skipped. Raises DataError naming every line that is not an object."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the problem file {path}: {error.strerror}. Give a readable JSONL file."
        ) from error
    rows, faults = [], []
    lines = data.split(b"\n")
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        torn = number == len(lines)
        parsed = _parse_line(raw, torn)
        if isinstance(parsed, str):
            faults.append(f"line {number}: {parsed}")
        else:
            rows.append(FileRow(number, parsed))
    raise_faults(str(path), faults)
    if not rows:
        raise DataError(f"{path} holds no problems. Each line must be a JSON object with a question and an answer.")
    return rows


def _parse_line(raw: bytes, unterminated: bool) -> dict[str, Any] | str:
    """The object on a line, or what is wrong with it."""
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return f"broken UTF-8 at byte {error.start + 1} of the line; save the file as UTF-8"
    except json.JSONDecodeError as error:
        if unterminated:
            return (
                "the last line is torn (the file was cut off while it was written); fetch it again or delete this line"
            )
        return f"not JSON ({error.msg} at column {error.colno})"
    return value if isinstance(value, dict) else f"a JSON {type(value).__name__}, not an object with fields"


def raise_faults(where: str, faults: Sequence[str]) -> None:
    """One DataError for all faults of a file; nothing where there are none."""
    if not faults:
        return
    shown = "; ".join(faults[:_MOST_FAULTS])
    more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    raise DataError(f"{where}: {len(faults)} line(s) cannot be used. {shown}{more}. Mend or delete these lines.")


def problems_of(rows: Iterable[FileRow], *, name: str, where: str, merge_duplicates: bool = False) -> list[Problem]:
    """The rows as problems, in order.

    `merge_duplicates` keeps the first of several rows with exactly the same prompt (as the paper's training set was
    deduplicated); otherwise equal prompts are a fault, since they would count one problem twice. Raises DataError
    naming every line that has no prompt, no answer, an unknown verifier kind, or a prompt seen before.
    """
    problems, faults = [], []
    first_line: dict[str, int] = {}
    for row in rows:
        try:
            made = _problem(row.fields, name)
        except _RowFaultError as fault:
            faults.append(f"line {row.line}: {fault}")
            continue
        first = first_line.setdefault(made.prompt, row.line)
        if first == row.line:
            problems.append(made)
        elif not merge_duplicates:
            faults.append(f"line {row.line}: the same problem as line {first}")
    raise_faults(where, faults)
    return problems


class _RowFaultError(ValueError):
    """Why a row is no problem."""


def _problem(fields: dict[str, Any], name: str) -> Problem:
    """The problem of a row. Raises _RowFaultError."""
    prompt_field, prompt = _text(fields, PROMPT_FIELDS, "problem text")
    answer_field, answer = _text(fields, ANSWER_FIELDS, "answer")
    kind = fields.get("kind", "choice" if "choices" in fields else "math")
    if kind not in FILE_KINDS:
        raise _RowFaultError(f"'kind' is {kind!r}, not one of {', '.join(FILE_KINDS)}")
    used = {prompt_field, answer_field, "kind", "choices"}
    metadata = {f: v for f, v in fields.items() if f not in used and _is_note(v)}
    if kind == "choice":
        options = _options(fields.get("choices"))
        if answer not in options:
            raise _RowFaultError(f"the answer {answer!r} is none of the labels {', '.join(options)}")
        prompt = choice_prompt(prompt, options)
        metadata["labels"] = list(options)
    return Problem.make(prompt, answer, kind, name, metadata)


def _text(fields: dict[str, Any], names: Sequence[str], what: str) -> tuple[str, str]:
    """The first of these fields that the row has, and its text without outer blanks: a string, a number as JSON writes
    it, or the content of a chat's one message."""
    field = next((name for name in names if name in fields), None)
    if field is None:
        raise _RowFaultError(f"no {what} (looked for {', '.join(names)})")
    value = fields[field]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0].get("content")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = json.dumps(value)
    if not isinstance(value, str) or not value.strip():
        raise _RowFaultError(f"{field!r} is empty or not text")
    return field, value.strip()


def _is_note(value: Any) -> bool:
    """Short scalars travel with the problem; whole solutions do not."""
    return isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _LONGEST_NOTE)


def _options(choices: Any) -> dict[str, str]:
    """Label to text, from the two parallel lists in which CommonsenseQA keeps its options."""
    labels, texts = (choices.get("label"), choices.get("text")) if isinstance(choices, dict) else (None, None)
    if isinstance(labels, list) and isinstance(texts, list) and len(labels) == len(texts) == len(set(labels)) >= 2:
        return {str(label): str(text) for label, text in zip(labels, texts, strict=True)}
    raise _RowFaultError("'choices' must be an object with equally long lists 'label' (all different) and 'text'")


def choice_prompt(question: str, options: dict[str, str]) -> str:
    """Question, option lines, and the instruction of the paper's CommonsenseQA evaluation."""
    labels = list(options)
    lines = "\n".join(f"{label}. {text}" for label, text in options.items())
    allowed = f"{', '.join(labels[:-1])}, or {labels[-1]}" if len(labels) > 2 else f"{labels[0]} or {labels[1]}"
    return f"{question}\n{lines}\nAnswer with only the letter ({allowed})."
