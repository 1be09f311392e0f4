r"""The two training rewards of arXiv 2605.30789's released code, re-implemented from a description of it.

Rollouts of the explorer are scored by one rule (`official-reward`) and rollouts of the learner by another
(`official-online-reward`), so that between the phases of a run the scorer changes too. Quirks, each with a golden case:

- offline: the *first* box up to its first closing brace, else the first `####` line, else the last number, else the
  whole text; the gold answer counts when it is a substring of that. The gold answer is put through the same
  normalisation (the description does not say which sides are; for the integer answers of the training set it makes no
  difference);
- online: only an "Answer:" line within the last 300 characters counts, `\boxed{}` is ignored, and the two sides must be
  equal strings after the normalisation of Lewkowycz et al. 2022 (Minerva), appendix D.1. Its reward is +1 or -1; here
  it is an outcome.
"""

from __future__ import annotations

import re

from s2l_lab.verifiers.verdict import Outcome, Verdict

_BOXED = re.compile(r"\\boxed\{([^}]+)\}")
_HASHES = re.compile(r"####[ \t]*([^\n]+)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ANSWER = re.compile(r"(?i)Answer\s*:\s*([^\n]+)")
_TAIL = 300


def verify_official_reward(text: str, gold: str) -> Verdict:
    """Grade as the released code grades an explorer's rollout."""
    if not gold.strip():
        return Verdict(Outcome.VERIFIER_ERROR, None, None, "the gold answer is empty")
    answer, wanted = offline_normal(text), offline_normal(gold)
    if not answer:
        return Verdict(Outcome.NO_ANSWER, None, None)
    return Verdict(Outcome.CORRECT if wanted in answer else Outcome.INCORRECT, answer, answer)


def offline_normal(text: str) -> str:
    """First box up to its first closing brace, first `####` line, last number, or all of it; in lower case."""
    closed = text[: text.rfind("}") + 1]  # beyond it no box is closed, and looking for it would take quadratic time
    for pattern, searched in ((_BOXED, closed), (_HASHES, text)):
        match = pattern.search(searched)
        if match:
            return match.group(1).strip().lower()
    numbers: list[str] = _NUMBER.findall(text)
    return numbers[-1] if numbers else text.strip().lower()


def verify_official_online_reward(text: str, gold: str) -> Verdict:
    """Grade as the released code grades a learner's rollout."""
    if not gold.strip():
        return Verdict(Outcome.VERIFIER_ERROR, None, None, "the gold answer is empty")
    marked: list[str] = _ANSWER.findall(text[-_TAIL:])
    if not marked:
        return Verdict(Outcome.NO_ANSWER, None, None)
    answer = minerva_normal(marked[-1])
    return Verdict(Outcome.CORRECT if answer == minerva_normal(gold) else Outcome.INCORRECT, marked[-1].strip(), answer)


_REPLACED = (
    *(("an ", ""), ("a ", ""), (".$", "$"), ("\\$", ""), ("\\ ", ""), (" ", ""), ("mbox", "text")),
    *((",\\text{and}", ","), ("\\text{and}", ","), ("\\text{m}", "\\text{}")),
)
_REMOVED = (
    *("square", "ways", "integers", "dollars", "mph", "inches", "ft", "hours", "km", "units", "\\ldots", "sue"),
    *("points", "feet", "minutes", "digits", "cents", "degrees", "cm", "gm", "pounds", "meters", "meals", "edges"),
    *("students", "childrentickets", "multiples"),
    *("\\text{s}", "\\text{.}", "\\text{\ns}", "\\text{}^2", "\\text{}^3", "\\text{\n}", "\\text{}"),
    *("\\mathrm{th}", "^\\circ", "^{\\circ}", "\\;", ",\\!", "{,}", '"', "\\dots"),
)
_REWRITTEN = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r".*?\$(.*?)\$.*", r"\1"),  # what stands in math mode
        (r"\\(?:text|textbf|overline|boxed)\{(.*?)\}", r"\1"),
        (r"frac([^{])(.)", r"frac{\1}{\2}"),
        (r"sqrt([^{])", r"sqrt{\1}"),
        (r"\$", ""),
    )
)


def minerva_normal(answer: str) -> str:
    """Lewkowycz et al. 2022, appendix D.1: right-hand side, without units, words and spacing, short LaTeX forms written
    out, thousands commas removed from whole numbers."""
    answer = answer.rpartition("=")[2]
    for old, new in _REPLACED:
        answer = answer.replace(old, new)
    for word in _REMOVED:
        answer = answer.replace(word, "")
    for pattern, by in _REWRITTEN:
        answer = pattern.sub(by, answer)
    without_commas = answer.replace(",", "")
    return (without_commas if without_commas.isdigit() else answer).strip()
