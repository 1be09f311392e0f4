r"""The evaluation scorer of arXiv 2605.30789, re-implemented from a description of its released code, quirks included.

It exists to be compared with: `s2l-lab verify --compare official` shows which verdicts flip and what that does to a
curve. Never use it to report results. What would surprise a reader:

- the boxed pattern stops at the first closing brace, so `\boxed{\frac{14}{3}}` gives `\frac{14` and a perfect model
  gets 79.4 % on MATH-500;
- a `\frac` anywhere in the text comes before an "Answer:" line, and the last resort is the last line of the text;
- the gold answer counts as found when it is a *substring* of the prediction: gold 25 in `125`, gold 3 in `2\sqrt{3}`;
- brackets at the ends are stripped and thousands commas removed by deleting commas, so `(1,2)` equals `12`;
- a capital letter that stands alone anywhere is a choice, the article "A" included;
- a cut-off completion is graded like any other, and what stands inside `<think>` counts as much as what follows it.

Where the description leaves a detail open, the reading was taken that gives what the released scorer gives for perfect
answers: 397 of 500 boxed and 490 of 500 after "Answer:" on MATH-500, 500 and 666 of 1,177 on the OlympiadBench file.
`benchmarks/gold_check.py` measures them again.

The patterns take time linear in the text and match what the plain ones would: a number is never begun again inside its
own digits, and no pattern looks for a closing brace beyond the last one.
"""

from __future__ import annotations

import re

from s2l_lab.verifiers.verdict import Outcome, Verdict

_BOXED = re.compile(r"\\boxed\{([^}]+)\}")
_FRACTION = re.compile(r"\\frac\{")
_MARKED = re.compile(r"(?:Answer:|答案[:：]|final answer is)[ \t]*:?[ \t]*([^\n]+)", re.IGNORECASE)
_RATIO = re.compile(r"(?:-|(?<!\d))\d+\s*/\s*\d+")
_DECIMAL = re.compile(r"(?:-|(?<!\d))\d+\.\d+")
_INTEGER = re.compile(r"-?\d+")
_LETTER_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i:answer(?:\s+is)?)\s*(?::\s*)?\(?([A-E])\b",
        r"(?i:option|choice)\s*\(?([A-E])\b",
        r"\\boxed\{\s*([A-E])\s*\}",
        r"(?m:^)[^\S\n]*\(?([A-E])[).:\s]",
        r"\b([A-E])\b",
    )
)


def verify_official(text: str, gold: str, *, choice: bool = False) -> Verdict:
    """Grade as the paper's evaluation does. Only an empty completion has no answer; an empty gold answer, which would
    be a substring of everything, is VERIFIER_ERROR."""
    if not gold.strip():
        return Verdict(Outcome.VERIFIER_ERROR, None, None, "the gold answer is empty")
    answer = official_letter(text) if choice else official_extract(text)
    if answer is None:
        return Verdict(Outcome.NO_ANSWER, None, None)
    right = answer == gold.strip() if choice else official_equal(answer, gold)
    return Verdict(
        Outcome.CORRECT if right else Outcome.INCORRECT, answer, answer if choice else official_normal(answer)
    )


def official_extract(text: str) -> str | None:
    """Last box up to its first closing brace, last fraction, marked answer, ratio, decimal, integer, else last line."""
    closed = text[: text.rfind("}") + 1]
    boxed: list[str] = _BOXED.findall(closed)
    if boxed:
        return boxed[-1].strip()
    if fraction := _last_fraction(text):
        return fraction
    for pattern in (_MARKED, _RATIO, _DECIMAL, _INTEGER):
        found: list[str] = pattern.findall(text)
        if found:
            return found[-1].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None


def _last_fraction(text: str) -> str | None:
    r"""The last match of `\frac\{[^}]+\}\{[^}]+\}`, each closing brace looked for once."""
    last = None
    above = below = end = 0
    for head in _FRACTION.finditer(text):
        if head.start() < end:
            continue
        if above < head.end():
            above = text.find("}", head.end())
        if above < 0:
            break
        if above == head.end() or not text.startswith("{", above + 1):
            continue
        if below < above + 2:
            below = text.find("}", above + 2)
        if below < 0:
            break
        if below > above + 2:
            last, end = text[head.start() : below + 1], below + 1
    return last


def official_equal(answer: str, gold: str) -> bool:
    """Equal after normalisation, equal numbers to 1e-6, or the gold answer somewhere inside the answer."""
    a, g = official_normal(answer), official_normal(gold)
    if a == g:
        return True
    x, y = _number(a), _number(g)
    if x is not None and y is not None and abs(x - y) < 1e-6:
        return True
    return g in a


def official_normal(answer: str) -> str:
    """Lower case without blanks, backslashes, dollar signs, commas, outer brackets and trailing punctuation."""
    bare = re.sub(r"\s+", "", answer.lower()).replace("\\", "").replace("$", "")
    bare = re.sub(r"frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", bare).replace(",", "")
    if bare.startswith("(") and bare.endswith(")"):
        bare = bare[1:-1]
    return bare.rstrip(".,;:!?")


def _number(normal: str) -> float | None:
    """A ratio, a percentage or a decimal number."""
    try:
        if normal.endswith("%"):
            return float(normal[:-1]) / 100
        above, slash, below = normal.partition("/")
        return float(above) / float(below) if slash else float(normal)
    except (ValueError, ZeroDivisionError):
        return None


def official_letter(text: str) -> str | None:
    """First match of a cascade that ends with any capital letter that stands alone."""
    for pattern in _LETTER_PATTERNS:
        match = pattern.search(text)
        if match:
            return match.group(1)
    return None
