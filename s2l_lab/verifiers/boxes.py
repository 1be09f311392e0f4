r"""Boxes in a text: `\boxed{7}`, `\fbox{7}`, `\framebox{7}`, and `\boxed 7` without braces.

The answer is the box that begins last (a nested box begins later than the one around it). Boxes that stand together as
one list, with only commas, "and" or "or" between them, are one answer: `$\boxed{3}$, $\boxed{5}$` is `3, 5`. Any other
word between two boxes retracts the first. A box that is struck through, follows "not" or is called wrong does not
count. Empty boxes are mostly an instruction repeated and do not count; a box whose
brace is never closed is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GROUP = r"\{(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,200}\}"
_PIECE = rf"(?:[0-9A-Za-z.,/^_:!=+*−-]|\\[A-Za-z]+|\\%|\([^()\s]{{0,50}}\)|{_GROUP})"
_COMMAND = r"\\(?:[dt]?frac|sqrt|pi|infty|text|mathrm|mathbf)(?![A-Za-z])"
_BARE = rf"[-+−]?(?:[0-9]|{_COMMAND}){_PIECE}{{0,200}}|[A-Za-z](?=[$.,;:)\]\n]|\\[\])]|\s*\Z)"
_TOKEN = re.compile(rf"\\(?:boxed|fbox|framebox)(?:\s*(?P<open>\{{)|[ \t]*(?P<bare>{_BARE}))|\\.|[{{}}]", re.DOTALL)
_BLANKS = re.compile(r"\s*")

_BETWEEN = r"(?:[\s$*~]|\\[()\[\],;:! ]|\\q?quad(?![A-Za-z]))*"
_AND = (
    r"(?:[,;，、；]|(?:and|or|und|oder|et|ou)\b|[和或及与]|\\(?:vee|lor)(?![A-Za-z])"
    r"|\\text\{[\s,~]*(?:and|or)[\s~]*\})"
)
_VARIABLE = r"([A-Za-z])(?:_\{?\w{1,9}\}?)?\s{0,9}=\s{0,9}"
_LIST = re.compile(rf"{_BETWEEN}{_AND}{_BETWEEN}(?:{_AND}{_BETWEEN})?(?:{_VARIABLE}[$\s]*)?")
_NAMED = re.compile(rf"{_VARIABLE}\Z")
_LONGEST_GAP = 80
_NOT = re.compile(r"(?:\bnot|n['’]t)(?:\s+(?:be|simply|just|equal\s+to))?[\s$*]{0,5}\Z", re.IGNORECASE)
_WRONG = re.compile(
    r"[$*]{0,4}\s{0,3}(?:is|was)\s+(?:wrong|incorrect|not\s+(?:correct|right|the\s+answer))\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a box stands: its command begins at `begin`, its content at `start` and ends at `stop`, itself at `end`."""

    begin: int
    start: int
    stop: int
    end: int


def last_boxed(text: str) -> str | None:
    """Content of the last box, or of the last list of boxes joined by `, `; None where there is no box.

    Escaped braces do not nest. Linear in the text.
    """
    boxes = [box for box in _boxes(text) if not _rejected(text, box)]
    if not boxes:
        return None
    first = len(boxes) - 1
    while first > 0 and _one_list(text, boxes[first - 1], boxes[first]):
        first -= 1
    return ", ".join(dict.fromkeys(text[box.start : box.stop].strip() for box in boxes[first:]))


def _boxes(text: str) -> list[_Box]:
    """All boxes that are closed and not empty, in the order in which they begin."""
    found = []
    opened: list[tuple[int, int] | None] = []  # for each open brace: (begin, start) of its box, or None for a plain one
    for token in _TOKEN.finditer(text):
        if token["bare"]:
            start, stop = token.span("bare")
            found.append(_Box(token.start(), start, start + len(token["bare"].rstrip(".,:;")), stop))
        elif token["open"]:
            opened.append((token.start(), token.end()))
        elif token.group() == "{":
            opened.append(None)
        elif token.group() == "}" and opened:
            box, stop = opened.pop(), token.start()
            if box is not None and _BLANKS.match(text, box[1]).end() < stop:  # type: ignore[union-attr]
                found.append(_Box(*box, stop, token.end()))
    return sorted(found, key=lambda box: box.begin)


def _rejected(text: str, box: _Box) -> bool:
    """Whether the words or the strokes beside a box take it back."""
    before = text[max(0, box.begin - 30) : box.begin]
    struck = before.rstrip(" $*").endswith("~~") and text[box.end : box.end + 6].lstrip(" $*").startswith("~~")
    return struck or _NOT.search(before) is not None or _WRONG.match(text, box.end) is not None


def _one_list(text: str, box: _Box, later: _Box) -> bool:
    """Whether only a comma, "and" or "or" stands between two boxes: `x =` too where the first is an x as well."""
    if not 0 < later.begin - box.end <= _LONGEST_GAP:
        return False
    between = text[box.end : later.begin]
    match = _LIST.fullmatch(between)
    if match is None or between.count("\n") > 1:
        return False
    named = _NAMED.search(text[max(0, box.begin - 30) : box.begin].rstrip("$ "))
    return match[1] is None or (named is not None and named[1] == match[1])
