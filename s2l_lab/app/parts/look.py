"""What colours and signs mean, the same on every page.

Members of a family (size is shade) and the two sources take the colours of `s2l_lab.figures.palette`. An outcome is
never told by colour alone: its sign stands with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS, member_colours

OUTCOME_SIGNS = {
    "correct": "\u2713",
    "incorrect": "\u2717",
    "no_answer": "\u2205",
    "truncated": "\u2026",
    "verifier_error": "!",
    "unverified": "?",
}
OUTCOME_WORDS = {
    "correct": "The verifier found the extracted answer equal to the gold answer.",
    "incorrect": "An answer was found, and it is not the gold answer.",
    "no_answer": "The completion ended by itself without an answer that the verifier could find.",
    "truncated": "The completion reached its largest length before it gave an answer.",
    "verifier_error": "The verifier failed or ran out of time: neither right nor wrong, counted apart.",
    "unverified": "No verdict of this verifier version is stored.",
}
OUTCOME_BADGES = {
    "correct": "green",
    "incorrect": "red",
    "no_answer": "gray",
    "truncated": "orange",
    "verifier_error": "violet",
    "unverified": "gray",
}
"""Streamlit's names of badge colours."""
NEUTRAL = FAINT


def outcome_label(outcome: str) -> str:
    """Sign and word."""
    return f"{OUTCOME_SIGNS.get(outcome, '')} {outcome.replace('_', ' ')}".strip()


def policy_colours(policies: Sequence[str]) -> dict[str, str]:
    """Colour of each policy: sources by their scale, the rest by size, smallest first."""
    others = [name for name in policies if name not in SOURCE_COLOURS]
    return member_colours(others) | {name: SOURCE_COLOURS[name] for name in policies if name in SOURCE_COLOURS}
