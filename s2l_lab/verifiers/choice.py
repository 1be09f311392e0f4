r"""Multiple choice: the letter that a completion commits to.

A letter counts only where it stands as an answer; a capital A inside a sentence is an article, not choice A. In the
last stretch outside drafts that has one, and in this order: what `extract_answer` finds; "answer is B" where the letter
ends its clause (the last one); a letter alone on the last line, or on the first; the one letter that lines of the form
"B. library" begin with. A completion that repeats all options and chooses none has no answer.

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
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\b")
_AROUND = " \t\r*_`$()[]{}.:"
"""What Markdown, LaTeX and punctuation put around a letter."""
_CHOOSE = (
    r"(?:(?:choose|chose|select|selected|pick|picked|go\s+with|going\s+with|opt\s+for|prefer)"
    r"|(?:answer|option|choice)(?:\s+(?:is|would\s+be|should\s+be|must\s+be)|:)|答案(?:是|为|為)?|选择|选|選)"
)


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
    one = "|".join(map(re.escape, labels))
    option = re.compile(rf"[*_`$(\[ \t]*({one})[*_`$]*(?:[.:)\]]|[ \t]*$)")
    extracted = _COMMAND.sub("", extract_answer(part) or "")
    found = _alone(extracted, labels) or _first_group(option.match(extracted))
    if found:
        return found
    clause = re.compile(
        rf"(?i:\banswer\s+is)\b:?[*_`$(\[\s]*({one})(?![\w'])[*_`$)\]]*(?=[.,;:!\n]|$|\s(?:because|since)\b)"
    )
    said: list[str] = clause.findall(part)
    if said:
        return said[-1]
    lines = [line for line in part.splitlines() if line.strip()]
    if not lines:
        return None
    begun = {match.group(1) for match in map(option.match, lines) if match}
    return _alone(lines[-1], labels) or _alone(lines[0], labels) or (begun.pop() if len(begun) == 1 else None)


def _leaning(part: str, labels: Sequence[str]) -> str | None:
    """The letter that a person would read where the strict rule reads none."""
    tagged = last_tagged(part)
    if tagged and (letter := _alone(tagged, labels)):
        return letter
    one = "|".join(map(re.escape, labels))
    chosen = re.compile(
        rf"(?:(?<!not )(?<!n't )(?i:{_CHOOSE}\s{{0,9}}(?:the\s{{1,9}})?(?:answer|option|choice|letter)?\s?:?)"
        r"[*_`$\s]{0,9}"
        rf"(?:\(({one})\)(?!\s+(?:is|are|was)\b)|\[({one})\]"
        rf"|({one})(?![\w'])(?=[*_`$]*(?:[.,;:!。，\n]|$|\s(?:because|since|as|for)\b)))"
        rf"|(?:\(({one})\)|(?<!\w)({one}))[*_`$]*\s+(?i:is|seems|looks)\s+(?i:the\s+)?(?i:correct|right|best|answer))"
    )
    said: list[str] = [next(filter(None, match.groups())) for match in chosen.finditer(part)]
    if said:
        return said[-1]
    bold: list[str] = re.findall(rf"\*\*\s?\(?({one})(?:\*\*|[).:][^*\n]{{0,80}}\*\*)", part)
    return bold[-1] if bold else None


def _alone(fragment: str, labels: Sequence[str]) -> str | None:
    bare = _COMMAND.sub("", fragment).strip(_AROUND)
    return bare if bare in labels else None


def _first_group(match: re.Match[str] | None) -> str | None:
    return match.group(1) if match else None
