r"""The extraction `lenient`: what a person would call answered, though no mark says so.

It is named, never the default, and its verdicts are of a version of their own: a looser rule finds more right answers
and takes more words for answers. Outside drafts, and in the last stretch that holds one of these:

1. what `strict` finds, but for `####` headings;
2. the last `<answer>...</answer>`;
3. the last "answer is X" (is, are, =, equals, should be ...; also in Chinese, German, French and Spanish). "Not X but
   Y" and "X? No, it is Y" are Y; "not X" alone says nothing, and neither does what the next sentence takes back or a
   clause that only speaks of the answer ("is found by adding");
4. of a completion that ended by itself: the last line where it is nothing but a number (with a unit of one word), a
   formula, `x =` either or a word in bold;
5. likewise the last number or formula in bold;
6. the `####` headings of `strict`.

Still there is no "last number" rule, and nothing searches for the gold answer.
"""

from __future__ import annotations

import re

from s2l_lab.verifiers.extraction import heading, last_of_parts, last_tagged, marked, said_after, without_code

_STATED = re.compile(
    r"(?:\b(?:final\s+)?(?:answers?|solution)(?:(?:\s+(?:to|of|for|we|you|here)\b[^.,:;?!\n]{0,60}?)?"
    r"\s+(?:is|are|equals?|(?:would|should|must|will)\s+be|comes\s+(?:out\s+)?to)\b|\s{0,9}=)"
    r"|\b(?:Antwort|Lösung)\s+(?:ist|lautet|wäre)|\b(?:réponse|respuesta|risposta)(?:\s+final)?\s+(?:est|es|è)\b"
    r"|答案(?:应该|應該|就)?(?:是|为|為|等于|(?=不是))|答えは)"
    r"(?:,?\s+(?:therefore|thus|then|hence|so|simply|just|clearly|indeed|also|equal\s+to|also|daher|donc))?,?\s*[:：]?",
    re.IGNORECASE,
)
_NOT_BUT = re.compile(
    r"(?:definitely\s+|certainly\s+|clearly\s+)?(?:(?:not|nicht)\b|不是)"
    r"(?:[^\n]{0,80}?(?:\bbut|\bsondern|而是|[,;]\s*it(?:\s+is|['’]s)\b)\s*(.*))?"
)
_NO_VALUE = re.compile(
    r"(?:obtained|found|given|got|calculated|determined|computed|derived|in|by|as|correct|wrong|incorrect|right|unknown"
    r"|unclear|\\boxed|\\fbox|that|what|below|above|shown|clear|to|your|their|my|expected|supposed|required|likely|probably|going)(?!\w)",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(
    r"[.!?](?:\s|\Z)|,\s+(?:which|so|as|and\s+(?:that|so)|where|but|not)\b|\s[–—]\s|\s(?:which|so\s+that)\b"
)
_LONGEST = 120
_CORRECTED = re.compile(
    r"[^?!\n]{0,120}?[.,?!\n]\s{1,9}(?:(?:wait|no|actually|sorry|oops)[\s,.!–—-]{1,9}){1,3}"
    r"(?:I\s+think\s+|in\s+fact\s+)?it(?:['’]s|\s+(?:is|equals|(?:should|must)\s+be))(?=\s)",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"[^?!\n]{0,120}?[.,?!\n]\s{0,9}(?:(?:but|no|wait|hmm|actually|sorry|oops)\b[\s,.!]{0,9}){0,3}"
    r"(?:that|this|it|which)(?:(?:['’]s|\s+(?:is|was|seems|looks|cannot\s+be|can['’]t\s+be))\s+"
    r"(?:not\s+(?:correct|right|true|possible)|wrong|incorrect|false|impossible)|\s+isn['’]t\s+(?:correct|right|true))\b"
    r"(?!\s+(?:to|for|that)\b)",
    re.IGNORECASE,
)

_DIGITS = r"[0-9](?:[0-9]|(?:[.,\s]|\\,|\{,\})(?=[0-9]))*"
_NUMBER = rf"[-+−±]?\s?\\?[$€£¥]?\s?[-−]?{_DIGITS}(?:\s?/\s?{_DIGITS})?(?:\s?\\?%)?"
_FORMULA = r"\$\$?[^$\n]{1,200}\$\$?|\\\([^\n]{1,200}?\\\)|\\\[[^\n]{1,200}?\\\]"
_VALUE = rf"(?:{_NUMBER}|{_FORMULA}|[A-Za-z]\s?=\s?{_NUMBER})"
_BARE_LINE = re.compile(rf"{_VALUE}(?:\s?[^\W\d_]{{1,12}})?")
_BOLD_LINE = re.compile(r"(?:\*\*|__)([^*\n]{1,80})(?:\*\*|__)")
_BOLD_VALUE = re.compile(rf"(?:\*\*|__)\s?({_VALUE}(?:\s[^\W\d_]{{1,12}})?)[.:]?\s?(?:\*\*|__)")
_DISPLAY_AT_END = re.compile(r"(?:\\\[|\$\$)([^$\[\]]{1,300}?)(?:\\\]|\$\$)[\s.*]*\Z")


def lenient_answer(text: str, *, cut: bool) -> str | None:
    """The final answer by the lenient rule; `cut` says that the completion was cut off. Linear in the text."""
    return last_of_parts(text, lambda part: _answer(part, cut=cut))


def _answer(part: str, *, cut: bool) -> str | None:
    found = marked(part) or last_tagged(part) or _stated(part)
    return found or (None if cut else _last_line(part)) or heading(part)


def _stated(part: str) -> str | None:
    """The last value that a clause says the answer is."""
    seen = without_code(part)
    matches = list(_STATED.finditer(seen))
    ends = [*(match.start() for match in matches[1:]), len(part)][: len(matches)]
    for match, until in list(zip(matches, ends, strict=True))[::-1]:
        corrected = _CORRECTED.match(seen, match.end(), until)
        if corrected and (found := _value(said_after(part, corrected.end(), until) or "")):
            return found
        if not _TAKEN_BACK.match(seen, match.end(), until) and (
            found := _value(said_after(part, match.end(), until) or "")
        ):
            return found
    return None


def _value(said: str) -> str | None:
    """What a clause states, without what follows; None where it states nothing."""
    if no := _NOT_BUT.match(said):
        said = no[1] or ""
    if end := _CLAUSE_END.search(said):
        said = said[: end.start()]
    said = said.strip(" \t*_`.,;:").removeprefix("simply ")
    return said if said and len(said) <= _LONGEST and not _NO_VALUE.match(said) else None


def _last_line(part: str) -> str | None:
    """What the last line is, or the last value in bold."""
    lines = without_code(part).split("\n")
    last = next((line.strip(" \t\r>") for line in reversed(lines) if line.strip()), "")
    bare = last.strip("*_` .").removeprefix("=").lstrip()
    if _BARE_LINE.fullmatch(bare):
        return bare
    if bold := _BOLD_LINE.fullmatch(last.rstrip(". ")):
        return bold[1].strip(" .:")
    if display := _DISPLAY_AT_END.search(part[-400:]):
        return " ".join(display[1].split())
    bolds = list(_BOLD_VALUE.finditer(part))
    return bolds[-1][1].strip(" .") if bolds else None
