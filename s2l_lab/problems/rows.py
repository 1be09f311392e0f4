"""From a row of a benchmark file to a Problem: every fault is named with its line.

The question is looked for in a few usual columns, the gold answer in a few others (`gold.py` reads it); `Columns` names
them where they are others. A row in which two of them say different things is refused, since a gold answer must not be
misread in silence. The question is taken as it stands; multiple-choice problems get the option lines and the one
instruction of the paper's CommonsenseQA prompt. A list of chat messages stays one, in the metadata.

Nothing is repaired in silence: a row that cannot be a problem is an error that names the line, and all faults of a file
are reported at once. No other column decides anything.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import DataError
from s2l_lab.problems.gold import (
    Gold,
    RowFaultError,
    choice_gold,
    is_a_place,
    is_label,
    is_missing,
    is_number,
    maths_gold,
    nested,
    options_of,
    same_answer,
    scalar_text,
    shuffled,
)
from s2l_lab.problems.problem import Problem, VerifierKind

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

PROMPT_FIELDS = ("question", "problem", "prompt", "messages")
ANSWER_FIELDS = ("answer", "answerKey", "final_answer", "reward_model.ground_truth")
WORKED_FIELD = "solution"
"""Where the answer is looked for in none of ANSWER_FIELDS."""
FILE_KINDS: tuple[VerifierKind, ...] = ("math", "choice", "exact")
"""What a row's own `kind` may be; the other verifiers need more than a file of questions and answers has."""
RESERVED = ("proof", "labels", "messages", "n_classes")
"""Metadata that decides something; a file's column of such a name is left out."""
ROLES = ("system", "developer", "user", "assistant")
_MOST_FAULTS = 8
_LONGEST_NOTE = 200
_OPTIONS_WRITTEN_OUT = re.compile(r"\s*(?:[\[{]|\(\s*['\"]|array\()|.*\b[Aa]\s*[).:].*\b[Bb]\s*[).:]", re.DOTALL)
"""Options as one text: a list that a table wrote out, or `a ) 38 , b ) 27` (MathQA)."""
_COLUMN_OF_AN_OPTION = re.compile(r"(?:(op|opt|option|choice|ending|sol)[ _]?)?([A-Ha-h]|(?<=.)[0-8])", re.IGNORECASE)
"""C-Eval's A to D, MedMCQA's opa to opd, WinoGrande's option1 and option2."""
_COLUMNS_OF_OPTIONS = ("options", "choices", "endings", "answer_choices", "candidates")
_GPQA = ("Question", "Correct Answer", "Incorrect Answer 1")


@dataclass(frozen=True, slots=True)
class FileRow:
    """One item as its file has it."""

    line: int
    """Line number in the file, counted from 1."""
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns that a caller names; dots lead into a column. None looks for the usual ones."""

    question: str | None = None
    answer: str | None = None


def read_jsonl(path: Path) -> list[FileRow]:
    """The rows of a JSONL file; blank lines are skipped. Raises DataError naming every line that is not an object."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read the problem file {path}: {error.strerror}. Give a readable JSONL file."
        ) from error
    rows = parse_jsonl(data, str(path))
    if not rows:
        raise DataError(f"{path} holds no problems. Each line must be a JSON object with a question and an answer.")
    return rows


def parse_jsonl(data: bytes, where: str) -> list[FileRow]:
    """`read_jsonl` of bytes that were read."""
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
    raise_faults(where, faults)
    return rows


def _parse_line(raw: bytes, unterminated: bool) -> dict[str, Any] | str:
    """The object on a line, or what is wrong with it."""
    try:
        value = loaded(raw)
    except UnicodeDecodeError as error:
        return f"broken UTF-8 at byte {error.start + 1} of the line; save the file as UTF-8"
    except UnreadableValueError as error:
        return str(error)
    except json.JSONDecodeError as error:
        if unterminated:
            return (
                "the last line is torn (the file was cut off while it was written); fetch it again or delete this line"
            )
        return f"not JSON ({error.msg} at column {error.colno})"
    return value if isinstance(value, dict) else f"a JSON {type(value).__name__}, not an object with fields"


class UnreadableValueError(ValueError):
    """JSON that cannot be read as what it says."""


def loaded(data: bytes) -> Any:
    """What JSON says. Raises UnicodeDecodeError, json.JSONDecodeError, or UnreadableValueError for a name that stands
    twice in an object, half of a surrogate pair, a number of thousands of digits, and thousands of nested lists."""
    text = data.decode("utf-8-sig")
    try:
        value = json.loads(text, object_pairs_hook=_object)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnreadableValueError("a text has half of a surrogate pair (\\ud800 to \\udfff), no character") from None
    except RecursionError:
        raise UnreadableValueError("lists or objects are nested too deeply") from None
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        raise UnreadableValueError(str(error).partition(";")[0]) from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise UnreadableValueError(f"{twice!r} stands twice in one object")
    return found


def raise_faults(where: str, faults: Sequence[str], unit: str = "line") -> None:
    """One DataError for all faults of a file; nothing where there are none."""
    if not faults:
        return
    shown = "; ".join(faults[:_MOST_FAULTS])
    more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
    raise DataError(f"{where}: {len(faults)} {unit}(s) cannot be used. {shown}{more}. Mend or delete these {unit}s.")


def problems_of(
    rows: Iterable[FileRow],
    *,
    name: str,
    where: str,
    merge_duplicates: bool = False,
    columns: Columns = Columns(),
    unit: str = "line",
    known: bool = False,
    proofs: bool = False,
    forms: Counter[str] | None = None,
) -> list[Problem]:
    """The rows as problems, in order.

    `merge_duplicates` keeps the first of several rows with exactly the same prompt (as the paper's training set was
    deduplicated); otherwise equal prompts are a fault, since they would count one problem twice. `known` takes prompts
    without outer blanks, as the sets known by name always were; `proofs` takes answers as they stand. `forms` counts
    from where answers were read. Raises DataError naming every line that has no prompt, no answer, an unknown verifier
    kind, or a prompt seen before.
    """
    rows = list(rows)
    counts = any(_counts_places(row.fields, columns) for row in rows)
    problems, faults = [], []
    first_line: dict[str, int] = {}
    for row in rows:
        try:
            fields = _without_blanks(row.fields) if known else row.fields
            made, form = _problem(fields, name, columns, counts=counts, proofs=proofs)
        except RowFaultError as fault:
            faults.append(f"{unit} {row.line}: {fault}")
            continue
        first = first_line.setdefault(made.prompt, row.line)
        if first == row.line:
            problems.append(made)
            if forms is not None:
                forms[form] += 1
        elif not merge_duplicates:
            faults.append(f"{unit} {row.line}: the same problem as {unit} {first}")
    raise_faults(where, faults, unit)
    return problems


def _problem(fields: dict[str, Any], name: str, columns: Columns, *, counts: bool, proofs: bool) -> tuple[Problem, str]:
    """The problem of a row, and where its answer was read. Raises RowFaultError."""
    if columns == Columns() and all(field in fields for field in _GPQA):
        return _gpqa(fields, name)
    prompt_field, prompt, messages = _question(fields, columns.question)
    option_field = _option_field(fields)
    kind = _kind(fields, "math" if option_field is None else "choice")
    metadata: dict[str, Any] = {}
    if kind == "choice":
        column = option_field or "choices"
        options = options_of(column, fields.get(column))
        answer_field, gold = _answer(
            fields, columns.answer, lambda field, value: choice_gold(field, value, options, counts=counts)
        )
        prompt = choice_prompt(prompt, options.texts)
        metadata["labels"] = list(options.texts)
    else:
        plain = kind == "exact" or proofs
        answer_field, gold = _answer(fields, columns.answer, _plain_gold if plain else _maths_gold)
        if not plain:
            _refuse_lost_options(fields, answer_field, gold.text)
    if messages is not None:
        if kind == "choice":
            raise RowFaultError(f"{prompt_field!r} is a list of messages, and the options have no place in it")
        metadata["messages"] = messages
    used = {prompt_field, answer_field, "kind", option_field, *RESERVED}
    notes = {f: v for f, v in fields.items() if f not in used and _is_note(v)}
    form = f"{answer_field} {gold.form}".rstrip()
    return Problem.make(prompt, gold.text, kind, name, {**notes, **metadata}), form


def _kind(fields: dict[str, Any], default: VerifierKind) -> VerifierKind:
    """The verifier that a row names, or the default."""
    named = fields.get("kind")
    if is_missing(named):
        return default
    if named not in FILE_KINDS:
        raise RowFaultError(f"'kind' is {named!r}, not one of {', '.join(FILE_KINDS)}")
    return FILE_KINDS[FILE_KINDS.index(named)]


def _question(fields: dict[str, Any], column: str | None) -> tuple[str, str, list[dict[str, str]] | None]:
    """The column of the question, its text as it stands, and its messages where it has several."""
    if column is not None:
        value = nested(fields, column)
        if is_missing(value):
            raise RowFaultError(f"no column {column!r} (there are: {', '.join(fields)})")
        return (column, *_prompt(column, value))
    there = {name: fields[name] for name in PROMPT_FIELDS if name in fields}
    if not there:
        raise RowFaultError(f"no problem text (looked for {', '.join(PROMPT_FIELDS)}; --question names another column)")
    said = {name: value for name, value in there.items() if isinstance(value, list) or _is_text(value)} or there
    if len(said) > 1:
        # A whole conversation, answer included, stands beside the question (NuminaMath, OpenR1-Math).
        said = {name: value for name, value in said.items() if not _is_answered(value)} or said
    read = {name: _prompt(name, value) for name, value in said.items()}
    if len({text.strip() for text, _ in read.values()}) > 1:
        raise RowFaultError(f"{_listed(read)} hold different texts; name the question's column by --question")
    name = next(iter(read))
    return (name, *read[name])


def _prompt(column: str, value: Any) -> tuple[str, list[dict[str, str]] | None]:
    """A text as it stands, or a list of chat messages: one is its text, several stay messages."""
    if isinstance(value, list):
        messages = _messages(column, value)
        if len(messages) == 1:
            return messages[0]["content"], None
        return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages), messages
    if is_number(value):
        value = json.dumps(value)
    if not _is_text(value):
        raise RowFaultError(f"{column!r} is empty or not text")
    return value, None


def _is_answered(value: Any) -> bool:
    """Whether it is a conversation that ends in the assistant's message."""
    last = value[-1] if isinstance(value, list) and value else None
    return isinstance(last, dict) and last.get("role") == "assistant"


def _messages(column: str, value: list[Any]) -> list[dict[str, str]]:
    """Chat messages with a role and a text each, the last one the user's."""
    found = []
    for number, one in enumerate(value, start=1):
        message = one if isinstance(one, dict) else {}
        role = message.get("role", "user" if len(value) == 1 else None)
        if role not in ROLES or not isinstance(message.get("content"), str):
            raise RowFaultError(
                f"{column!r}, message {number}: a message has a role ({', '.join(ROLES)}) and a content that is text"
            )
        found.append({"role": str(role), "content": str(message["content"])})
    if not found or found[-1]["role"] != "user" or not found[-1]["content"].strip():
        raise RowFaultError(f"{column!r}: the last message must be the user's, and not empty")
    return found


def _answer(fields: dict[str, Any], column: str | None, read: Callable[[str, Any], Gold]) -> tuple[str, Gold]:
    """The column of the gold answer, and what was read there."""
    if column is not None:
        value = nested(fields, column)
        if is_missing(value):
            raise RowFaultError(f"no answer in column {column!r} (there are: {', '.join(fields)})")
        return column, read(column, value)
    there = {name: nested(fields, name) for name in (*ANSWER_FIELDS, WORKED_FIELD)}
    said = {name: value for name, value in there.items() if not is_missing(value)}
    if len(said) > 1:
        said.pop(WORKED_FIELD, None)
    if not said:
        empty = next((name for name in there if name in fields), None)
        if empty is not None:
            raise RowFaultError(f"{empty!r} is empty or not text")
        looked = ", ".join((*ANSWER_FIELDS, WORKED_FIELD))
        raise RowFaultError(f"no answer (looked for {looked}; --answer names another column)")
    found = {name: read(name, value) for name, value in said.items()}
    first, gold = next(iter(found.items()))
    if not all(same_answer(gold.text, other.text) for other in found.values()):
        shown = ", ".join(f"{name!r} ({_short(other.text)})" for name, other in found.items())
        raise RowFaultError(f"{shown} hold different answers; name the gold answer's column by --answer")
    return first, gold


def _plain_gold(column: str, value: Any) -> Gold:
    return Gold(scalar_text(column, value))


def _maths_gold(column: str, value: Any) -> Gold:
    return maths_gold(column, scalar_text(column, value))


def _gpqa(fields: dict[str, Any], name: str) -> tuple[Problem, str]:
    """GPQA keeps the right option in a column of its own."""
    question, right = (scalar_text(field, fields[field]) for field in _GPQA[:2])
    wrong = [scalar_text(f, v) for f, v in fields.items() if f.startswith("Incorrect Answer ") and not is_missing(v)]
    if len({right, *wrong}) <= len(wrong):
        raise RowFaultError("two of its options are equal")
    options, label = shuffled(question, right, wrong)
    prompt = choice_prompt(question, options.texts)
    return Problem.make(prompt, label, "choice", name, {"labels": list(options.texts)}), _GPQA[1]


def _counts_places(fields: dict[str, Any], columns: Columns) -> bool:
    """Whether this row shows that the file's answers are places in the list of options."""
    field = _option_field(fields)
    try:
        options = options_of(str(field), fields.get(str(field)))
    except RowFaultError:
        return False
    wanted = ANSWER_FIELDS if columns.answer is None else (columns.answer,)
    return any(is_a_place(nested(fields, name), options) for name in wanted)


def _without_blanks(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: v.strip() if name in PROMPT_FIELDS and isinstance(v, str) else v for name, v in fields.items()}


def _option_field(fields: dict[str, Any]) -> str | None:
    """The column of a multiple-choice problem's options. `options` may be anything else in a file of other problems."""
    if isinstance(fields.get("choices"), list | dict) and fields["choices"]:
        return "choices"
    try:
        options_of("options", fields.get("options"))
    except RowFaultError:
        return None
    return "options"


def _refuse_lost_options(fields: dict[str, Any], answer_field: str, gold: str) -> None:
    """Raises RowFaultError where an answer names an option, and the options are kept in a form that is not read: the
    problem would be asked without them."""
    label, place = is_label(gold), re.fullmatch(r"\d(?:\.0)?", gold) is not None
    for name, value in ((name, fields.get(name)) for name in _COLUMNS_OF_OPTIONS):
        written = isinstance(value, str) and _OPTIONS_WRITTEN_OUT.match(value)
        listed = isinstance(value, list) and (len(value) > 1 or (value and label))
        labelled = isinstance(value, dict) and (gold in value or {"A", "B"} <= set(map(str.upper, value)))
        if written or labelled or (listed and (label or place or name in ("options", "choices"))):
            raise RowFaultError(
                f"{name!r} holds options in a form that is not read, and {answer_field!r} is {_short(gold)!r}; give "
                "them as a list of texts or an object of labels and texts, in a column 'choices'"
            )
    series: dict[str, list[str]] = {}
    for name, value in fields.items():
        shape = _COLUMN_OF_AN_OPTION.fullmatch(name)
        if shape and name != answer_field and not is_missing(value):
            series.setdefault((shape[1] or "").lower(), []).append(name)
    for stem, names in series.items():
        if len(names) > 1 and (label or (place and stem)):
            raise RowFaultError(
                f"{answer_field!r} is {gold!r}, and {_listed(names)} seem to be the options; give them in one column "
                "'choices', as an object of labels and texts"
            )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _listed(names: Iterable[str]) -> str:
    return " and ".join(map(repr, names))


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _is_note(value: Any) -> bool:
    """Short scalars travel with the problem; whole solutions do not."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, int)) or (isinstance(value, str) and len(value) <= _LONGEST_NOTE)


def choice_prompt(question: str, options: dict[str, str]) -> str:
    """Question, option lines, and the instruction of the paper's CommonsenseQA evaluation."""
    labels = list(options)
    lines = "\n".join(f"{label}. {text}" for label, text in options.items())
    allowed = f"{', '.join(labels[:-1])}, or {labels[-1]}" if len(labels) > 2 else f"{labels[0]} or {labels[1]}"
    return f"{question}\n{lines}\nAnswer with only the letter ({allowed})."
