r"""Multiple choice: the letter that a completion commits to.

A letter counts only where it stands as an answer; a capital A inside a sentence is an article, not choice A. In the
last stretch outside drafts that has one, and in this order: what `extract_answer` finds; "answer is B" where the letter
ends its clause (the last one); a letter alone on the last line, or on the first; the one letter that lines of the form
"B. library" begin with. A completion that repeats all options and chooses none has no answer, and neither has one
that names two letters together ("B or C"). A letter that is rejected ("B is wrong"), doubted, supposed or another's
("someone says the answer is B") is not chosen.

`lenient` looks further where that finds none: the last of `<answer>B</answer>`, "I would choose B", "the correct option
is (B)", "(B) is correct" and the like; then the last letter in bold.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from s2l_lab.verifiers.extraction import extract_answer, last_of_parts, last_tagged
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.verifiers.extraction import Extraction

LABELS = ("A", "B", "C", "D", "E")
_COMMAND = re.compile(
    r"\\(?:text(?:bf|rm|it|sf|tt|up)?|math(?:bf|rm|it|sf|tt)|rm|bf|q?quad)(?![A-Za-z])|\\[,;:!]|\\(?=\s)|~"
)
_AROUND = " \t\r*_`$()[]{}.:\"'“”‘’"
"""What Markdown, LaTeX, quotes and punctuation put around a letter."""
_CHOOSE = (
    r"(?:(?:choose|chose|select|selected|pick|picked|go\s+with|going\s+with|opt\s+for|prefer)"
    r"|(?:answer|option|choice|(?:right|correct|best)\s+one)(?:\s+(?:is|would\s+be|should\s+be|must\s+be)|:)"
    r"|答案(?:是|为|為)?|选择|选|選)"
)
_OPENING, _CLOSING = r"[*_`$(\[{\"'“‘ \t]*", r"[*_`$)\]}\"'”’]*"
_NAME = r"(?:(?i:the\s+)?(?i:option|choice|letter|answer)\s?:?\s?)?"

_CLAUSE = re.compile(r"[.,;:!?\n]|\b(?:so|therefore|thus|hence|then|but|because|since)\b", re.IGNORECASE)
_DOUBTED = re.compile(
    r"\b(?:if|suppos(?:e|ing)|assum(?:e|ing|ption)|unless|whether|imagine|pretend|deny|denies|disagree|false|wrong"
    r"|incorrect|untrue|impossible|unlikely|thought|never|doubtful|(?<!no )(?<!without )(?<!without a )doubt)\b"
    r"|(?:\bnot|n't|n’t|\bcannot)\s+(?:\w+\s+){0,2}?(?:true|sure|think|believe|say|claim|certain|possible|correct"
    r"|right|case|likely|agree|accept)\b"
    r"|(?<!\bI )\b(?:says?|said|claims?|claimed|thinks|believes)\b",
    re.IGNORECASE,
)
"""What a clause says before "the answer is B" where it does not answer with B."""
_NOT_MINE = re.compile(
    r"(?:\b(?:not|never|cannot)|n't|n’t)\s+(?:\w+\s+){0,2}\Z"
    r"|\b(?:people|some\w*|many|most|others?|they|he|she|students?|everyone|nobody|few|you\s+(?:might|may|could|can))\b",
    re.IGNORECASE,
)
"""What a clause says before "choose B" where others choose or nobody does."""
_TAKEN_BACK = re.compile(
    r"[*_`$)\]}\"'”’\s.,;:!–—-]*(?:(?:but|no|wait|hmm|actually)\b[\s,.]*){0,3}"
    r"(?:(?:that|this|it|which|(?:is|was)(?=\s))(?:['’]s|\s+(?:is|was|seems|looks|cannot\s+be|isn['’]t))?\s*"
    r"(?:not\s+(?:\w+\s+)?(?:correct|right|true|it|the\s+answer|possible)|wrong|false|incorrect|untrue|impossible)"
    r"\b(?!\s+(?:to|for|that)\b)|(?:is|was)(?:\s+not|n['’]t)\b|can(?:not|['’]t)\s+be\b)",
    re.IGNORECASE,
)
"""What stands behind a letter that is rejected."""
_NO = re.compile(r"[*_`$)\]]*\s*[:–—-]\s*(?:no|nope|false|wrong|incorrect)\b")
_REASON = re.compile(r"\b(?:as|for|while|but|not|unlike|whereas|because|since|both|neither)\b")


def verify_choice(
    text: str, gold: str, labels: Sequence[str] = LABELS, *, extraction: Extraction = "strict"
) -> Verdict:
    """Whether the letter of `text` is `gold`. NO_ANSWER where there is none; a gold answer that is none of the labels
    is VERIFIER_ERROR."""
    if gold not in labels:
        why = f"the gold answer {gold!r} is none of the labels {', '.join(labels)}"
        return Verdict(Outcome.VERIFIER_ERROR, None, None, why)
    letter = chosen_letter(text, labels, extraction=extraction)
    if letter is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return Verdict(Outcome.CORRECT if letter == gold else Outcome.INCORRECT, letter, letter)


def chosen_letter(text: str, labels: Sequence[str] = LABELS, *, extraction: Extraction = "strict") -> str | None:
    """The label that the completion answers with, or None."""
    letter = last_of_parts(text, partial(_committed, labels=labels))
    if letter is None and extraction == "lenient":
        letter = last_of_parts(text, partial(_leaning, labels=labels))
    return letter


def _committed(part: str, labels: Sequence[str]) -> str | None:
    """The letter by the strict rule."""
    found = (rule(part, labels) for rule in (_marked, _stated, _begun))
    return next((letter for letter in found if letter is not None), None) or None


def _marked(part: str, labels: Sequence[str]) -> str | None:
    """The letter of a marked answer; "" where that names two or rejects one."""
    one = "|".join(map(re.escape, labels))
    extracted = _COMMAND.sub(" ", extract_answer(part) or "")
    if found := _alone(extracted, labels):
        return found
    begins = re.compile(rf"{_NAME}{_OPENING}({one})(?![\w'’]){_CLOSING}(?:(?<=[)\]])|[.:,]|\s*$|\s+[–—-]\s|\s+\()")
    match = begins.match(extracted)
    return None if match is None else "" if _refused(extracted, match, labels) else match[1]


def _stated(part: str, labels: Sequence[str]) -> str | None:
    """The letter of the last "answer is B" that is meant; "" where that names two."""
    one = "|".join(map(re.escape, labels))
    clause = re.compile(
        rf"(?i:\banswer\s+is)\b:?[*_`$(\[\s]*({one})(?![\w'])[*_`$)\]]*(?=[.,;:!\n]|$|\s(?:because|since)\b)"
    )
    for match in reversed(list(clause.finditer(part))):
        if _another(part, match.end(1), labels):
            return ""
        if not (_DOUBTED.search(_clause_before(part, match.start())) or _TAKEN_BACK.match(part, match.end(1))):
            return match[1]
    return None


def _begun(part: str, labels: Sequence[str]) -> str | None:
    """A letter alone on the last line or the first, else the one with which lines begin."""
    lines = [line for line in part.splitlines() if line.strip()]
    option = re.compile(rf"[*_`$(\[ \t]*({'|'.join(map(re.escape, labels))})[*_`$]*(?:[.:)\]]|[ \t]*$)")
    begun = [(line, match) for line in lines if (match := option.match(line))]
    alone = _alone(lines[-1], labels) or _alone(lines[0], labels) if lines else None
    if alone or len({match[1] for _, match in begun}) != 1:
        return alone
    rejected = any(_refused(line, match, labels) or _NO.match(line, match.end(1)) for line, match in begun)
    return None if rejected else str(begun[0][1][1])


def _leaning(part: str, labels: Sequence[str]) -> str | None:
    """The letter that a person would read where the strict rule reads none."""
    one = "|".join(map(re.escape, labels))
    if (marked := extract_answer(part)) and (letter := _alone(marked.upper(), labels)):
        return letter
    tagged = last_tagged(part) or ""
    begins = re.match(rf"{_OPENING}({one})(?![\w'’]){_CLOSING}(?:(?<=[)\]])|[.:]|\s*$)", tagged)
    if begins and not _refused(tagged, begins, labels):
        return begins[1]
    chosen = re.compile(
        rf"(?:(?i:{_CHOOSE}\s{{0,9}}(?:the\s{{1,9}})?(?:answer|option|choice|letter)?\s?[:：]?)"
        r"[*_`$\s\"'“‘]{0,9}"
        rf"(?:\(({one})\)(?!\s+(?:is|are|was)\b)|\[({one})\]"
        rf"|({one})(?![\w'’]\w)(?=[*_`$\"'”’]*(?:[.,;:!。，\n]|$|\s(?:because|since|as|for)\b)))"
        rf"|(?:\(({one})\)|(?<!\w)({one}))[*_`$]*\s+(?i:is|seems|looks)\s+(?i:the\s+)?(?i:correct|right|best|answer))"
    )
    for match in reversed(list(chosen.finditer(part))):
        at = match.lastindex or 0
        if _another(part, match.end(at), labels):
            return None
        before = _clause_before(part, match.start())
        if not (_DOUBTED.search(before) or _NOT_MINE.search(before) or _TAKEN_BACK.match(part, match.end())):
            return match[at]
    bold: list[str] = re.findall(rf"\*\*\s?\(?({one})(?:\*\*|[).:][^*\n]{{0,80}}\*\*)", part)
    return bold[-1] if bold else None


def _refused(text: str, match: re.Match[str], labels: Sequence[str]) -> bool:
    """Whether the letter that begins the text is rejected by what follows it, or one of two."""
    return _TAKEN_BACK.match(text, match.end(1)) is not None or _another(text, match.end(1), labels)


def _another(text: str, at: int, labels: Sequence[str]) -> bool:
    """Whether another letter is chosen together with the one that ends at `at`: `B, C`, `(B) or (C)`, `B) and C)`."""
    one = "|".join(map(re.escape, labels))
    word = r"(?i:and/or|and|or|und|oder|et|ou)\b|[或和及与]"
    joined = re.compile(
        rf"{_CLOSING}(?:\s*(?:[,;/&+、，]\s*(?:{word})?|[.:]?\s*(?:{word}))\s*(?i:maybe\s|possibly\s|perhaps\s)?"
        rf"{_NAME}{_OPENING}(?:{one})(?![\w'’])(?!\s+[a-z])|\s*[(\[](?:{one})[)\]]|\s+(?:{one})\))"
    )
    if joined.match(text, at):
        return True
    gap = re.compile(rf"[^.!?\n]{{0,80}}?\s(?:and|or)\s+(?:\((?:{one})\)|(?:{one})\))").match(text, at)
    return gap is not None and not _REASON.search(gap.group())


def _clause_before(text: str, at: int) -> str:
    """What the clause that goes on at `at` has said."""
    before = text[max(0, at - 120) : at]
    ends = [match.end() for match in _CLAUSE.finditer(before)]
    return before[ends[-1] :] if ends else before


def _alone(fragment: str, labels: Sequence[str]) -> str | None:
    bare = _COMMAND.sub(" ", fragment).strip(_AROUND)
    return bare if bare in labels else None
