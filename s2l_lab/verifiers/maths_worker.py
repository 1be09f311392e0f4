r"""The process in which math-verify runs: a question a line on standard input, two lines of reply on standard output.

A question is `[gold, answer]` as JSON. The first line of the reply is `[status, detail]`, the second `[canonical,
stays]`, so that a verdict survives an answer whose canonical form is what hangs; without `stays` the worker has grown
too large and ends.

math-verify's own time limits are off: they need the main thread and cannot interrupt a long operation on big integers.
Here the kernel ends the process when an item takes too long (interval timers with their signals' default action), even
where Python never gets to run a handler and even when the parent is gone. One timer counts the item's own processor
time, so that a busy machine does not turn slow verdicts into unknown ones; the other, wider one counts wall clock.
Memory is watched by the parent, which kills; RLIMIT_AS is only the backstop behind it, since sympy turns a MemoryError
into "different" here and there.

Both sides are read in the same way: as the content of `\boxed{}`, as LaTeX only. math-verify's search for plain
numbers, and its fall-back to comparing text, are off: the first is a last-number rule, the second would call a gold
answer that it cannot read correct.

Started with `python -P -m s2l_lab.verifiers.maths_worker SECONDS MEGABYTES`; never imported by the parent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import resource
import signal
import sys
from functools import lru_cache
from typing import Any, TextIO

import psutil
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Eq, Float, Rational, Symbol

from s2l_lab.verifiers.maths_process import READY, WALL_CLOCK, Status

LONGEST_CANONICAL = 200

_CONFIG = [LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False)]
_DELIMITERS = re.compile(r"(?<!\\)\$|\\[\[\]()]")


def bare(answer: str) -> str:
    r"""Without math delimiters (`$`, `\[ \]`, `\( \)`), Markdown emphasis around the whole and a final full stop."""
    return _DELIMITERS.sub(" ", answer).strip(" \t\r\n*").removesuffix(".").strip()


@lru_cache(maxsize=256)
def read(answer: str) -> Any | None:
    """The answer as a sympy object, or None where it cannot be read."""
    boxed = rf"\boxed{{{bare(answer)}}}"
    parsed = parse(boxed, _CONFIG, fallback_mode="no_fallback", parsing_timeout=None, raise_on_error=True)
    return parsed[0] if parsed else None


def compare(gold: str, answer: str) -> tuple[Status, str]:
    """Whether `answer` is mathematically equal to `gold`, and why not known where it is not.

    math-verify calls a comparison that raised "different"; here it is an error, since nobody knows.
    """
    try:
        wanted, given = read(gold), read(answer)
        if wanted is None:
            return Status.UNREADABLE_GOLD, "math-verify cannot read the gold answer"
        if given is None:
            return Status.UNREADABLE, "the answer cannot be read as mathematics"
        equal = verify(wanted, given, timeout_seconds=None, raise_on_error=True)
    except Exception as error:  # noqa: BLE001 - sympy raises what it likes, and every such item is unscored, not wrong
        return Status.ERROR, f"math-verify raised {type(error).__name__}"
    return (Status.EQUAL if equal else Status.DIFFERENT), ""


@lru_cache(maxsize=256)
def canonical(answer: str) -> str:
    """A string that is mostly the same for equal answers: sympy's form, evaluated, right-hand side of an assignment."""
    try:
        form = read(answer)
        if isinstance(form, Eq) and isinstance(form.lhs, Symbol):
            form = form.rhs
        if isinstance(form, Basic):
            form = form.doit()
        if isinstance(form, Basic):
            form = form.xreplace({f: Rational(str(f)) for f in form.atoms(Float)})
        text = "".join(bare(answer).split()) if form is None else str(form)
    except Exception:  # noqa: BLE001 - as above; the text itself is a canonical form, only less often a shared one
        text = "".join(bare(answer).split())
    return shortened(text)


def shortened(form: str) -> str:
    """At most LONGEST_CANONICAL characters; longer forms end in a digest of the whole."""
    if len(form) <= LONGEST_CANONICAL:
        return form
    return form[: LONGEST_CANONICAL - 17] + "#" + hashlib.sha256(form.encode()).hexdigest()[:16]


def canonical_of(status: Status, gold: str, answer: str) -> str:
    """The canonical form under a verdict: right answers share the gold answer's, wrong ones never have it."""
    if status is Status.EQUAL:
        return canonical(gold)
    form = canonical(answer)
    return f"≠ {form}" if status is Status.DIFFERENT and form == canonical(gold) else form


def main(seconds: float, megabytes: int) -> None:
    """Answer questions until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (4 * megabytes << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be read as a reply
    _reply(replies, READY)
    myself = psutil.Process()
    for line in sys.stdin:
        gold, answer = json.loads(line)
        _allow(seconds)
        status, detail = compare(gold, answer)
        _reply(replies, [status, detail])
        _allow(seconds)
        form = canonical_of(status, gold, answer)
        _allow(0)
        # Not ru_maxrss, which a process inherits through exec: under a large parent every worker would seem large.
        stays = myself.memory_info().rss < megabytes << 19  # half of the limit
        _reply(replies, [form, stays])
        if not stays:
            return


def _allow(seconds: float) -> None:
    """From now on so much processor time, and WALL_CLOCK times as much wall clock; 0 ends the limits."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_CLOCK * seconds)


def _reply(replies: TextIO, value: object) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
