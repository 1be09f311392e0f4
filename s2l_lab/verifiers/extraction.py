r"""Where a completion's final answer stands: one rule for all verifiers but the paper's own, under a name.

`strict`, which is meant where nothing is said, reads marked answers only. Of what stands outside drafts (`drafts.py`),
the last stretch that holds one of these:

1. the last box (`boxes.py`);
2. else the last line with `####`, unless the line is a heading: words at its beginning and text below it;
3. else the last `Answer:`, alone or emphasised, in any of a few languages and with either colon; a line that says only
   "Final Answer" as a heading; the answer may stand on the lines below, as a formula, a fenced block or a list;
4. else the last `####` heading after all.

What stands in a fenced block of code counts only where nothing stands outside it. There is no "last line" and no "last
number" rule, and nothing searches for the gold answer: each of those turns wrong completions into right ones, the more
often the larger k is. The name `lenient` (`lenient.py`) asks for less, and its verdicts are of a version of
their own. Every step takes time linear in the text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from s2l_lab.verifiers.boxes import last_boxed
from s2l_lab.verifiers.drafts import final_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Extraction = Literal["strict", "lenient"]
"""The names of the rules by which an answer is found in a text."""

_HASHES = re.compile(r"(?<!#)####(?!#)([^\n]*)")
_HEADING = re.compile(r"[*_`\s]*(?:[^\W\d_]{2,}|[0-9]{1,2}[.)]\s+[^\W\d_]{2,})")
_LETTER_BEFORE = r"(?<![^\W\d_])"
_WORD = (
    rf"(?:{_LETTER_BEFORE}(?:answers?|ans|antwort|(?:réponse|respuesta|risposta|resposta)(?:\sfinale?)?|ответ)(?![^\W\d_])"
    rf"|答案[是为為]?|答え|答|정답|{_LETTER_BEFORE}답)"
)
_MARKER = re.compile(
    rf"{_WORD}[ \t]*(?:\([^()\n]{{0,40}}\))?[*_`\"'}} \t]{{0,8}}(?:</\w{{1,9}}>)?[*_ \t]{{0,4}}[:：]"
    rf"|^[ \t>]*(?:\#{{1,6}}|\*\*|__)[ \t*_]*(?:the[ \t]+)?(?:final[ \t]+|最终)?{_WORD}[ \t*_]*$",
    re.IGNORECASE | re.MULTILINE,
)
_TAGGED = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_NEXT = re.compile(r"\s*([^\n]*)")
_BULLET = re.compile(r"[ \t]*[-*•+][ \t]+([^\n]*)(?:\n|\Z)")
_SENTENCE_END = re.compile(
    r"(?<=[0-9$})\]%*])\.[*_`]{0,2}\s(?=\s{0,9}[^\W\d_a-z])|。|\b(?:because|since)\b"
    r"|(?<=[0-9$})\]%*]);\s(?=\s{0,9}(?!or\b|and\b)[^\W\d_]{2,}(?![\w(]))"
)
_LEAD = re.compile(
    r"\A(?:[\s*_`:：]|#{1,6}\s|</\w{1,9}>)+(?:(?:(?:so|thus|hence|therefore),?\s)?(?:the\s)?(?:final\s)?answer\sis:?\s)?"
    r"|\A(?:(?:so|thus|hence|therefore),?\s)?(?:the\s)?(?:final\s)?answer\sis:?\s",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"\A(?:about|around|approximately|approx\.?|roughly|exactly|precisely)\s+(?=[-+−$\\€£¥]{0,3}\.?[0-9])",
    re.IGNORECASE,
)
_CLOSING_TAG = re.compile(
    r"(?:</\w{1,12}>|<br/?>|<(?:eos|eot|pad|endoftext|end_of_turn|end_of_text)>|<[|｜][\w▁]{1,20}[|｜]>|[✓✔✅☑]️?)\Z"
)
_QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'", "‘": "’"}
_DISPLAYS = {"\\[": "\\]", "\\(": "\\)", "$$": "$$"}


def extract_answer(text: str) -> str | None:
    """The final answer by the strict rule, without outer blanks and emphasis, or None where there is none."""
    return last_of_parts(text, lambda part: marked(part) or heading(part))


def last_of_parts(text: str, rule: Callable[[str], str | None]) -> str | None:
    """What `rule` finds in the last stretch outside drafts in which it finds anything."""
    return next((found for part in reversed(final_parts(text)) if (found := rule(part))), None)


def marked(part: str) -> str | None:
    """Rules 1 to 3: outside fenced code, else anywhere."""
    outside = without_code(part)
    return _marked(outside, part) or (None if outside is part else _marked(part, part))


def heading(part: str) -> str | None:
    """Rule 4."""
    return _last(
        _bare(match[1]) for match in reversed(list(_HASHES.finditer(part))) if not _MARKER.search(match.group())
    )


def says_exactly(text: str, gold: str) -> bool:
    """Whether the answer's line holds `gold` to the letter, whatever the rules would leave out or cut off.

    The line is that of the last marker or `####`, and only where the strict rule reads that line.
    """
    wanted = gold.strip()
    if not wanted or wanted not in text:
        return False
    rest = last_of_parts(text, _last_line_of_a_mark) or ""
    return wanted in (rest, rest.lstrip("*_ \t")) and _bare(rest) == (extract_answer(text) or "")


def _last_line_of_a_mark(part: str) -> str | None:
    """What stands behind the last `####` or marker in its line."""
    ends = [match.start(1) for match in _HASHES.finditer(part)] + [match.end() for match in _MARKER.finditer(part)]
    return part[max(ends) :].split("\n", 1)[0].strip() if ends else None


def last_tagged(text: str) -> str | None:
    """Content of the last `<answer>...</answer>`, the form in which reasoning-gym asks for answers."""
    return _last(match[1].strip() for match in reversed(list(_TAGGED.finditer(text))))


def without_code(part: str) -> str:
    """The text with the insides of fenced blocks blanked, in the same places; the text itself where there are none."""
    fences = list(_FENCE.finditer(part))
    pieces, at = [], 0
    for i in range(0, len(fences), 2):
        stop = fences[i + 1].start() if i + 1 < len(fences) else len(part)
        pieces += [part[at : fences[i].end()], " " * (stop - fences[i].end())]
        at = stop
    return "".join([*pieces, part[at:]]) if fences else part


def said_after(part: str, at: int, until: int) -> str | None:
    """What is said from `at` to `until`: the rest of the line or, where that is empty, what the lines below say."""
    start, stop = _line(part, at, until)
    if "\n" in part[at:start] or not _bare(part[start:stop]):
        start, stop = _line(part, start if "\n" in part[at:start] else stop, until)
        items = []
        at_bullet = start
        while bullet := _BULLET.match(part, at_bullet, until):
            items.append(_bare(bullet[1]))
            at_bullet = bullet.end()
        if any(items):
            return ", ".join(filter(None, items))
        start += 2 * part.startswith("> ", start)
    return _block(part, start, stop, until)


def _line(part: str, at: int, until: int) -> tuple[int, int]:
    """Where the next characters that are no blanks begin, and where their line ends."""
    line = _NEXT.match(part, at, until)
    return (until, until) if line is None else line.span(1)


def _marked(searched: str, part: str) -> str | None:
    """Boxes, `####` lines and markers that are seen in `searched`; the words after a marker are those of `part`."""
    if found := last_boxed(searched):
        return _undelimited(found)
    text_ends = len(searched.rstrip())
    hashes = (
        _bare(match[1])
        for match in reversed(list(_HASHES.finditer(searched)))
        if not _MARKER.search(match.group()) and not (_is_heading(searched, match) and match.end() < text_ends)
    )
    markers = list(_MARKER.finditer(searched))
    ends = [*(match.start() for match in markers[1:]), len(part)][: len(markers)]
    pairs = list(zip(markers, ends, strict=True))[::-1]
    return _last(hashes) or _last(said_after(part, match.end(), until) for match, until in pairs)


def _last(found: Iterator[str | None]) -> str | None:
    return next((answer for answer in found if answer), None)


def _is_heading(text: str, hashes: re.Match[str]) -> bool:
    """Whether a `####` begins its line and words follow it."""
    at_line_start = not text[text.rfind("\n", 0, hashes.start()) + 1 : hashes.start()].strip()
    return at_line_start and _HEADING.match(hashes[1]) is not None


def _block(part: str, start: int, stop: int, until: int) -> str | None:
    """The displayed formula or fenced block that begins at `start`, else the line up to `stop`."""
    line = part[start:stop].lstrip(" \t*_`")
    start = stop - len(line)
    for opening, closing in _DISPLAYS.items():
        if line.startswith(opening):
            end = part.find(closing, start + 2, until)
            if end >= 0 and not part[end + 2 : max(stop, end + 2)].strip(" \t*_.,;"):
                return _bare(" ".join(part[start + 2 : end].split()))
    if fence := _FENCE.match(part, part.rfind("\n", 0, start) + 1):
        closing_fence = _FENCE.search(part, min(fence.end() + 1, until), until)
        if closing_fence:
            return _bare(" ".join(part[fence.end() : closing_fence.start()].split()))
    return _bare(line)


def _bare(answer: str) -> str:
    """The answer of a line: up to a reason or another sentence, without emphasis, quotes and punctuation around it."""
    answer = _HEDGE.sub("", _without_outside(_LEAD.sub("", answer, count=1)))
    cut = _SENTENCE_END.search(answer)
    if cut and cut.start():
        answer = _without_outside(answer[: cut.start()].rstrip(" \t,;(–—-"))
    return "" if not answer.strip(".…?") else answer


def _undelimited(content: str) -> str:
    r"""The content without `\( \)`, `\[ \]` or `$$` around the whole."""
    for opening, closing in _DISPLAYS.items():
        inner = content[2:-2]
        if len(content) > 4 and content.startswith(opening) and content.endswith(closing) and opening not in inner:
            return inner.strip()
    return content


def _without_outside(answer: str) -> str:
    """Without emphasis, tags, quotes, one full stop or comma, a brace of the command around it, and delimiters."""
    answer = answer.strip(" \t\r\n*`_")
    while tag := _CLOSING_TAG.search(answer[-24:]):
        answer = answer[: len(answer) - len(tag.group())].rstrip(" *`_")
    if answer[-1:] in set(".,;。") and answer[-2:-1] != ".":
        answer = answer[:-1].rstrip(" *`_")
    if answer.startswith("}"):
        answer = answer[1:].lstrip(" *`_")
    if answer.endswith("}") and not answer.endswith("\\}") and answer.count("}") > answer.count("{"):
        answer = answer[:-1].rstrip()
    if len(answer) > 2 and _QUOTES.get(answer[0]) == answer[-1]:
        answer = answer[1:-1].strip()
    return _undelimited(answer)
