"""Verdict: what a verifier says of one completion.

Unscored is not wrong: a verifier that times out, crashes or cannot read the *gold* answer says VERIFIER_ERROR, and the
estimators draw bounds for it. Some of these causes pass (a killed process, a time-out on a busy machine), so such
rollouts are verified again by the next call; a gold answer that cannot be graded stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The category of a verdict."""

    CORRECT = "correct"  # the extracted answer solves the problem; counts 1
    INCORRECT = "incorrect"  # an answer was extracted and it does not; counts 0
    NO_ANSWER = "no_answer"  # the completion ended by itself without an answer in a known form; counts 0
    TRUNCATED = "truncated"  # max_tokens was reached before an answer; counts 0
    VERIFIER_ERROR = "verifier_error"  # not known: time-out, crash, or a gold answer that cannot be read


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verifier's record of one completion."""

    outcome: Outcome
    answer: str | None
    """The extracted answer as it stands in the text; None where there is none."""
    canonical: str | None
    """The answer in the form in which equal answers are equal strings (Countdown: the solution class; maths: an
    exact form; choice: the letter). Votes and diversity count these. None where there is no answer."""
    detail: str = ""
    """Why, in a few words, where the outcome alone does not say it."""


def may_pass(detail: str) -> bool:
    """Whether asking again can give another verdict than VERIFIER_ERROR, from its detail.

    Where the cause lies in the problem, the detail names the gold answer.
    """
    return "gold answer" not in detail
