"""The errors that a user can mend.

Everything that a wrong request, a damaged file or a missing model can cause is raised as one of these, with a message
that says what was asked, what was given, what is allowed and what to do next. The command line prints the message
alone and exits with the class's status; any other exception is a defect of s2l-lab and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class S2LError(Exception):
    """Something failed in a way that the user can act on. Exit status 1."""

    exit_status = 1


class UsageError(S2LError):
    """The request itself is wrong: an unknown name, a value out of range, options that exclude each other. Status 2."""

    exit_status = 2


class DataError(S2LError):
    """A problem file, a store or a manifest cannot be read as what it claims to be."""


class PolicyError(S2LError):
    """A checkpoint, tokenizer or engine cannot be used: missing files, another vocabulary, NaN logits, no engine."""


def unknown_name(kind: str, given: str, known: Iterable[str], hint: str = "") -> UsageError:
    """The error for a name that is not in a closed list: it names the nearest ones, then all of them.

    `hint` is one more sentence on what to do when none of the known names is meant.
    """
    names = sorted(known)
    near = difflib.get_close_matches(given.lower(), names, n=3, cutoff=0.5)
    parts = [f"unknown {kind} {given!r}."]
    if near:
        parts.append(f"Did you mean {' or '.join(near)}?")
    parts.append(f"Known: {', '.join(names) or 'none'}.")
    if hint:
        parts.append(hint)
    return UsageError(" ".join(parts))
