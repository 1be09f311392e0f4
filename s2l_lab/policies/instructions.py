r"""The instruction that tells a policy how to give its answer, so that the verifier can find it.

By default (`auto`) the one that the problem's verifier needs is added where the prompt names no form yet: `\boxed{}`
for maths, a line `Answer: X` for text. Countdown, reasoning-gym and multiple-choice problems carry theirs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2l_lab.errors import UsageError

if TYPE_CHECKING:
    from s2l_lab.problems import Problem, VerifierKind

BOXED = r"Put your final answer within \boxed{}."
ANSWER = 'End with a line of the form "Answer: X", where X is the final answer.'
NAMED = {"boxed": BOXED, "answer": ANSWER}
NEEDED: dict[VerifierKind, str] = {"math": BOXED, "exact": ANSWER}
"""What `auto` adds, by verifier; the problems of the other ones say in their own words how to answer."""

_FORM = re.compile(
    r"\\f?boxed|<answer>|\banswer\s*:|####\s*(?:[-$\d<\[{]|(?:your\s+|the\s+)?(?:final\s+)?(?:answer|expression|result)\b)",
    re.IGNORECASE,
)
"""A form that the strict extraction reads, named in a prompt or shown in its examples."""


def names_a_form(text: str) -> bool:
    """Whether a prompt says, or shows, how the answer is to be given."""
    return _FORM.search(text) is not None


def checked_instruction(text: str) -> str:
    """An instruction as it is asked for: `auto`, `none`, `boxed`, `answer` or a text. Raises UsageError for no text."""
    if not text.strip():
        raise UsageError("the instruction is empty; give auto, none, boxed, answer or the text itself.")
    return text


def needed(problem: Problem, prompt: str) -> str:
    """What `auto` adds to this problem, whose prompt without it is `prompt`; empty for nothing."""
    return "" if names_a_form(prompt) else NEEDED.get(problem.kind, "")
