"""Multiple choice: the letter that a completion commits to.

A letter counts only where it stands as an answer; a capital A inside a sentence is an article, not choice A. In this
order: what `extract_answer` finds; "answer is B" where the letter ends its clause (the last one); a letter alone on the
last line, or on the first; the one letter that lines of the form "B. library" begin with. A completion that repeats all
options and chooses none has no answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2l_lab.verifiers.extraction import extract_answer
from s2l_lab.verifiers.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

LABELS = ("A", "B", "C", "D", "E")
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\b")
_AROUND = " \t\r*_`$()[]{}.:"
"""What Markdown, LaTeX and punctuation put around a letter."""


def verify_choice(text: str, gold: str, labels: Sequence[str] = LABELS) -> Verdict:
    """Whether the letter of `text` is `gold`. NO_ANSWER where there is none; a gold answer that is none of the labels
    is VERIFIER_ERROR."""
    if gold not in labels:
        why = f"the gold answer {gold!r} is none of the labels {', '.join(labels)}"
        return Verdict(Outcome.VERIFIER_ERROR, None, None, why)
    letter = chosen_letter(text, labels)
    if letter is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return Verdict(Outcome.CORRECT if letter == gold else Outcome.INCORRECT, letter, letter)


def chosen_letter(text: str, labels: Sequence[str] = LABELS) -> str | None:
    """The label that the completion answers with, or None. What stands before `</think>` is not looked at."""
    text = text.rpartition("</think>")[2]
    one = "|".join(map(re.escape, labels))
    option = re.compile(rf"[*_`$(\[ \t]*({one})[*_`$]*(?:[.:)\]]|[ \t]*$)")
    extracted = _COMMAND.sub("", extract_answer(text) or "")
    found = _alone(extracted, labels) or _first_group(option.match(extracted))
    if found:
        return found
    clause = re.compile(
        rf"(?i:\banswer\s+is)\b:?[*_`$(\[\s]*({one})(?![\w'])[*_`$)\]]*(?=[.,;:!\n]|$|\s(?:because|since)\b)"
    )
    said: list[str] = clause.findall(text)
    if said:
        return said[-1]
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    begun = {match.group(1) for match in map(option.match, lines) if match}
    return _alone(lines[-1], labels) or _alone(lines[0], labels) or (begun.pop() if len(begun) == 1 else None)


def _alone(fragment: str, labels: Sequence[str]) -> str | None:
    bare = _COMMAND.sub("", fragment).strip(_AROUND)
    return bare if bare in labels else None


def _first_group(match: re.Match[str] | None) -> str | None:
    return match.group(1) if match else None
