r"""The gold answer of a row, in the forms in which benchmark files keep it.

Maths: a plain answer; a worked solution that ends in `#### 18` (openai/gsm8k); a worked solution with its answer in a
box (MATH). A text that reads like a worked solution and marks no answer is refused: taken whole it would grade every
rollout wrong, in silence. Multiple choice: a label, an option's text, or the place in a list counted from 0 (MMLU).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from s2l_lab.digest import content_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOX = re.compile(r"\\(?:f?boxed|fbox|framebox)(?![A-Za-z])\s*(?:(\{)|([A-Za-z\d])(?![A-Za-z\d]|[.,]\d))?")
"""A box: in braces, or of one letter or digit as TeX reads `\\boxed 5`."""
_THOUSANDS = re.compile(r"-?\$?-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_FORMULA = re.compile(r"\$[^$]*\$|\\(?:text|mathrm|textbf)\s*\{[^}]*\}")
_WORD = re.compile(r"(?<![\\\w])[^\W\d_]{2,}(?!\w)")
_MOST_WORDS = 12
"""Words outside formulas; the gold answers of MATH-500 and OlympiadBench have two at most."""
_IN_A_SENTENCE = 5
_LABEL = re.compile(r"\(?([A-Za-z])[).:]?")
_NO_ANSWER = re.compile(r"None|(?i:nan|null|n/a|not ?found|proof)")
"""What tables write where there is no answer; `proof` and `notfound` are those of NuminaMath-1.5."""
_AROUND = re.compile(r"\banswer\s*(?:is\b|[:=])|<<[^<>]*=[^<>]*>>", re.IGNORECASE)
"""Words around an answer, and the calculator's notes in the solutions of gsm8k."""
_COMPUTED = re.compile(r"\d\s*[-+*/×÷]\s*\$?\d[\d.,]*\s*=")
"""A calculation and what it gives, as `3 + 4 =`."""
_LISTED = re.compile(r"""\[\s*["'].*\]|\{\s*["'].*\}""", re.DOTALL)
"""A list of texts or an object that was written out as text."""
_ONE_LISTED = re.compile(r"""\[\s*'([^'"\\]+)'\s*\]""")


class RowFaultError(ValueError):
    """Why a row is no problem."""


@dataclass(frozen=True, slots=True)
class Gold:
    """A gold answer as it was read."""

    text: str
    form: str = ""
    """How it was read, where it does not stand alone: `after ####`."""


def scalar_text(column: str, value: Any) -> str:
    """Text without outer blanks: a string, or a number as JSON writes it; a list of one is its entry.

    Raises RowFaultError.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if is_number(value):
        value = json.dumps(value)
    if not isinstance(value, str) or not value.strip():
        what = ""
        if isinstance(value, list) and value:
            what = f" (it is a list of {len(value)}; --answer names another column)"
        elif isinstance(value, dict) and value:
            names = list(value)
            what = f" (it is an object with {', '.join(names[:5])}; dots lead into it, as {column}.{names[0]})"
        raise RowFaultError(f"{column!r} is empty or not text{what}")
    return value.strip()


def is_number(value: Any) -> bool:
    """Whether it is a number that a file can mean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_missing(value: Any) -> bool:
    """Whether a column is there without anything in it, as a table writes gaps."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def maths_gold(column: str, text: str) -> Gold:
    """The final answer of a text. Raises RowFaultError where none, or more than one, is marked in worked words."""
    text = _unlisted(column, text)
    if "####" in text:
        last = text.rpartition("####")[2].strip()
        if not last or "\n" in last:
            raise RowFaultError(f"{column!r} has no single answer after its last ####; name another column by --answer")
        return Gold(last.replace(",", "") if _THOUSANDS.fullmatch(last) else last, "after ####")
    boxes = _boxes(column, text)
    if len(set(boxes)) > 1:
        raise RowFaultError(
            f"{column!r} has {len(set(boxes))} different boxes ({', '.join(boxes[:3])}); name another column by "
            "--answer"
        )
    if boxes:
        return Gold(boxes[0], "in its box")
    if _NO_ANSWER.fullmatch(text):
        raise RowFaultError(
            f"{column!r} is {text!r}, which says that there is no answer; leave the row out, or give it the kind "
            "'exact' if that text is the answer"
        )
    if _is_worked(text):
        raise RowFaultError(
            f"{column!r} reads like a worked solution, and no final answer is marked in it (by #### or \\boxed{{}}); "
            "name the column of the final answer by --answer"
        )
    return Gold(text)


def _is_worked(text: str) -> bool:
    """Whether a text is made of words, as a solution is and an answer is not."""
    words = len(_WORD.findall(_FORMULA.sub(" ", text)))
    lines = "\n" in text and "\\begin" not in text
    sentence = words >= _IN_A_SENTENCE and text.endswith(".")
    calculations = len(_COMPUTED.findall(text))
    calculated = calculations > 1 or (calculations == 1 and words > 1)
    return lines or words >= _MOST_WORDS or sentence or calculated or _AROUND.search(text) is not None


def _unlisted(column: str, text: str) -> str:
    """The one text of a list that was written out (`["3"]`), or the text. Raises RowFaultError for more."""
    if not _LISTED.fullmatch(text):
        return text
    if one := _ONE_LISTED.fullmatch(text):
        return one[1].strip()
    try:
        entries = json.loads(text)
    except ValueError:
        entries = None
    if isinstance(entries, list) and len(entries) == 1 and isinstance(entries[0], str) and entries[0].strip():
        return entries[0].strip()
    raise RowFaultError(f"{column!r} is a list or an object written out as text, not one answer; name another column")


def same_answer(a: str, b: str) -> bool:
    """Whether two columns say the same, up to blanks, dollars and how a number is written."""
    return _plain(a) == _plain(b)


def _plain(text: str) -> str | float:
    bare = re.sub(r"[\s$]", "", text)
    try:
        number = float(bare.replace(",", "") if _THOUSANDS.fullmatch(bare) else bare)
    except ValueError:
        return bare
    return number if math.isfinite(number) else bare


def _boxes(column: str, text: str) -> list[str]:
    """What stands in the boxes of a text, in order, braces matched."""
    found, end = [], 0
    for box in _BOX.finditer(text):
        if box.start() < end:
            continue
        inside, end = _boxed(column, text, box)
        while (inner := _BOX.match(inside)) is not None:
            text_of_inner, inner_end = _boxed(column, inside, inner)
            if inner_end < len(inside):
                break
            inside = text_of_inner
        if _BOX.search(inside):
            raise RowFaultError(f"{column!r} has a box that is part of another; name another column by --answer")
        found.append(inside)
    return found


def _boxed(column: str, text: str, box: re.Match[str]) -> tuple[str, int]:
    """What stands in a box, and where the box ends."""
    if box[2] is not None:
        return box[2], box.end()
    depth, at = int(box[1] is not None), box.end()
    while depth and at < len(text):
        escaped = text[at] == "\\"
        depth += (text[at] == "{") - (text[at] == "}")
        at += 1 + escaped
    inside = text[box.end() : at - 1].strip()
    if depth or at > len(text) or not inside:
        raise RowFaultError(f"{column!r} has a box that is empty or does not end; name another column by --answer")
    return inside, at


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a multiple-choice problem."""

    texts: dict[str, str]
    """By label, in order."""
    numbered: bool
    """True if they come as a list, whose places an answer may count."""


def options_of(column: str, value: Any) -> Options:
    """Options from a list of texts, a mapping of labels to texts, or the two lists `label` and `text`.

    Raises RowFaultError.
    """
    if isinstance(value, list) and 2 <= len(value) <= len(ascii_uppercase):
        texts = [scalar_text(column, one) for one in value]
        return Options(dict(zip(ascii_uppercase, texts, strict=False)), numbered=True)
    if isinstance(value, dict):
        labels, listed = value.get("label"), value.get("text")
        if isinstance(labels, list) and isinstance(listed, list):
            if len(labels) == len(listed) == len(set(map(str, labels))) >= 2:
                pairs = zip(map(str, labels), map(str, listed), strict=True)
                return Options(dict(pairs), numbered=False)
        else:
            given = {k: v for k, v in value.items() if not is_missing(v)}
            if list(given) == list(ascii_uppercase[: len(given)]):
                given = {k: json.dumps(v) if is_number(v) else v for k, v in given.items()}
            if len(given) >= 2 and all(len(k) <= 2 and isinstance(v, str) for k, v in given.items()):
                return Options(given, numbered=False)
    raise RowFaultError(
        f"{column!r} must be a list of two options or more, a mapping of labels to options, or an object with equally "
        "long lists 'label' (all different) and 'text'"
    )


def choice_gold(column: str, value: Any, options: Options, *, counts: bool) -> Gold:
    """The label of the right option. `counts` says that the file's numbers are known to be places in the list.
    A column `answerKey` names a label wherever the options have labels of their own (ARC's 1 to 4).

    Raises RowFaultError for an answer that is no option, or may be two.
    """
    labels, text = list(options.texts), scalar_text(column, value)
    by_text = [label for label, option in options.texts.items() if option.strip() == text]
    by_label = [text] if text in options.texts else []
    if by_label and column == "answerKey" and not options.numbered:
        return Gold(text)
    dressed = _LABEL.fullmatch(text)
    if not by_label and dressed and dressed[1].upper() in options.texts:
        by_label = [dressed[1].upper()]
    by_place = []
    if options.numbered and re.fullmatch(r"\d{1,2}", text):
        if int(text) >= len(labels) and not by_text:
            raise RowFaultError(
                f"{column!r} is {text}, and the options are counted from 0 to {len(labels) - 1}; give labels, or "
                "numbers that count from 0"
            )
        by_place = labels[int(text) : int(text) + 1]
        if counts:
            return Gold(by_place[0], "counted from 0") if by_place else Gold(by_text[0], "an option's text")
    readings = {**dict.fromkeys(by_text, "an option's text"), **dict.fromkeys(by_place, "counted from 0")}
    readings |= dict.fromkeys(by_label, "")
    if len(readings) > 1:
        raise RowFaultError(
            f"{column!r} is {text!r}, which may be the option {' or '.join(readings)}; give the label of the right one"
        )
    if not readings:
        raise RowFaultError(f"the answer {text!r} is none of the labels {', '.join(labels)}")
    return Gold(*next(iter(readings.items())))


def is_label(text: str) -> bool:
    """Whether an answer reads like the label of an option: a letter, dressed or not."""
    return _LABEL.fullmatch(text) is not None


def is_a_place(value: Any, options: Options) -> bool:
    """Whether a number can only be a place in the list of options, as no option is written so."""
    return (
        options.numbered
        and isinstance(value, int)
        and not isinstance(value, bool)
        and 0 <= value < len(options.texts)
        and str(value) not in options.texts.values()
    )


def shuffled(question: str, right: str, wrong: list[str]) -> tuple[Options, str]:
    """Options that a file keeps right one first (GPQA), in an order of their own, and the right one's label."""
    texts = sorted([right, *wrong], key=lambda text: content_digest([question, text]))
    options = Options(dict(zip(ascii_uppercase, texts, strict=False)), numbered=False)
    return options, ascii_uppercase[texts.index(right)]


def nested(fields: Mapping[str, Any], column: str) -> Any:
    """The value of a column, whose name may have dots or lead into another column by them; None where it is not."""
    if column in fields:
        return fields[column]
    head, dot, rest = column.partition(".")
    while dot:
        inner = fields.get(head)
        if isinstance(inner, dict) and (found := nested(inner, rest)) is not None:
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None
