r"""The process in which mathematical answers are compared.

A question is a line on standard input, `[gold, answer]` as JSON; the reply is two lines on standard output: `[status,
detail]`, then `[canonical, stays]`, so that a verdict survives an answer whose canonical form is what hangs. Without
`stays` the worker has grown too large and ends.

A comparison is, in this order: the gold answer repeated letter by letter (delimiters and blanks aside) is right
whatever it says; both are read (`maths_answer`) and compared exactly (`maths_equality`); what no reader knows is
compared by its spelling alone. A gold answer that cannot be read makes every other answer unknown, never wrong.

The kernel ends the process when an item takes too long (interval timers with their signals' default action), even where
Python never gets to run a handler, as in a long operation on big integers, and even when the parent is gone. One timer
counts the item's own processor time, so that a busy machine does not turn slow verdicts into unknown ones; the other,
wider one counts wall clock. Memory is watched by the parent, which kills; RLIMIT_AS is only the backstop behind it.

Started with `python -P -m s2l_lab.verifiers.maths_worker SECONDS MEGABYTES`; never imported by the parent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import signal
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

import psutil

from s2l_lab.verifiers import maths_answer
from s2l_lab.verifiers.maths_answer import Scalar
from s2l_lab.verifiers.maths_calculus import evaluated
from s2l_lab.verifiers.maths_equality import canonical_form, equal
from s2l_lab.verifiers.maths_number import RefusedError, has_infinity, is_undefined
from s2l_lab.verifiers.maths_process import READY, WALL_CLOCK, Status
from s2l_lab.verifiers.maths_spelling import literal

if TYPE_CHECKING:
    from s2l_lab.verifiers.maths_answer import Value

LONGEST_CANONICAL = 200


@lru_cache(maxsize=256)
def read(answer: str) -> tuple[Value, ...]:
    """The readings of an answer; none where it cannot be read."""
    return maths_answer.read(answer) or evaluated(answer)


def compare(gold: str, answer: str) -> tuple[Status, str]:  # noqa: PLR0911 - one return a kind
    """Whether `answer` is equal to `gold`, and why not known where it is not."""
    if literal(gold) == literal(answer):
        return Status.EQUAL, ""
    try:
        wanted, given = read(gold), read(answer)
        if wanted and given:
            if _is_undefined(given) and not _is_undefined(wanted) and not _is_infinite(wanted):
                return Status.DIFFERENT, ""
            return (Status.EQUAL if equal(wanted, given) else Status.DIFFERENT), ""
        if maths_answer.loose(gold) == maths_answer.loose(answer):
            return Status.EQUAL, ""
    except RefusedError as refused:
        return Status.ERROR, f"the values cannot be compared: {refused}"
    except Exception as error:  # noqa: BLE001 - an arithmetic library raises what it likes; such an item is unscored, not wrong
        return Status.ERROR, f"the comparison raised {type(error).__name__}"
    if not wanted:
        return Status.UNREADABLE_GOLD, "the gold answer cannot be read as mathematics"
    return Status.UNREADABLE, "the answer cannot be read as mathematics"


def _is_undefined(readings: tuple[Value, ...]) -> bool:
    """Whether an answer divides by 0."""
    return all(isinstance(value, Scalar) and is_undefined(value.node) for value in readings)


def _is_infinite(readings: tuple[Value, ...]) -> bool:
    return any(isinstance(value, Scalar) and has_infinity(value.node) for value in readings)


@lru_cache(maxsize=256)
def canonical(answer: str, gold: str | None = None) -> str:
    """The string that equal answers share, beside a gold answer without the unit and the name that it has too."""
    try:
        readings = read(answer)
        beside = read(gold) if gold is not None else ()
        if readings:
            return shortened(canonical_form(readings[0], without=beside[0] if beside else None))
    except Exception:  # noqa: BLE001 - as above; the spelling is a canonical form too, only less often a shared one
        pass
    return shortened(maths_answer.loose(answer))


def shortened(form: str) -> str:
    """At most LONGEST_CANONICAL characters; longer forms end in a digest of the whole."""
    if len(form) <= LONGEST_CANONICAL:
        return form
    return form[: LONGEST_CANONICAL - 17] + "#" + hashlib.sha256(form.encode()).hexdigest()[:16]


def canonical_of(status: Status, gold: str, answer: str) -> str:
    """The canonical form under a verdict: right answers share the gold answer's, wrong ones never have it."""
    if status is Status.EQUAL:
        return canonical(gold)
    form = canonical(answer, gold)
    return f"≠ {form}" if status is Status.DIFFERENT and form == canonical(gold) else form


def main(seconds: float, megabytes: int) -> None:
    """Answer questions until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (4 * megabytes << 20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.CRITICAL)
    sys.setrecursionlimit(5_000)  # trees are at most some hundred calls deep
    sys.set_int_max_str_digits(0)  # the readers bound what they convert
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
