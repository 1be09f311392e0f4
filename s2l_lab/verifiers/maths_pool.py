"""Comparisons of mathematical answers, many at once, with an end to each.

Some expressions make a computer algebra system compute for ever or fill the memory, and its import takes a second: so
it runs in worker processes that are started when first needed, killed when one item takes too long (by its own
processor time first, by the wall clock last) or too much memory, and replaced. Such an item is an ERROR, never
"different".

Two whole numbers, which is all that AIME and most training sets have, are compared in place, as a worker would and a
hundred times faster. Equal (gold, answer) pairs are compared once in the life of the pool. What a comparison comes to
does not depend on the number of workers or on what stands beside it; only a death by someone else's signal is not
remembered.
"""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from s2l_lab.errors import UsageError
from s2l_lab.verifiers.maths_process import MathsComparison, MathsProcess, Status
from s2l_lab.verifiers.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 5.0
"""Processor time that one comparison may take, and a sixth of its wall clock; an ordinary one takes milliseconds."""
MEGABYTES = 1024
"""Memory that a worker may take; it needs 80."""
_PER_WORKER = 100
"""Comparisons that are worth another worker's second of start-up."""
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_MEMORY_EVERY = 0.05
"""Seconds between two looks at how large the busy workers are."""


def whole_numbers(gold: str, answer: str) -> MathsComparison | None:
    """The result where both are whole numbers in digits, else None."""
    if not (_WHOLE.fullmatch(gold) and _WHOLE.fullmatch(answer)):
        return None
    equal = int(gold) == int(answer)
    return MathsComparison(Status.EQUAL if equal else Status.DIFFERENT, str(int(answer)), "")


class MathsPool(Pool):
    """Worker processes for comparisons. A context manager; without `with`, call `close`."""

    def __init__(self, workers: int | None = None, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        """At most `workers` processes (None: one per core, at most 8); none is started yet."""
        if workers is not None and workers < 1:
            raise UsageError(f"a verifier pool needs at least 1 worker, {workers} were asked for.")
        self._size = workers or min(8, os.cpu_count() or 1)
        self._limits = (seconds, megabytes)
        self._workers: list[MathsProcess] = []
        self._known: dict[tuple[str, str], MathsComparison] = {}
        self._lock = threading.Lock()

    def compare(self, pairs: Sequence[tuple[str, str]]) -> list[MathsComparison]:
        """One result per (gold, answer), in order."""
        with self._lock:
            new = dict.fromkeys(pair for pair in pairs if pair not in self._known)
            self._known |= {pair: whole for pair in new if (whole := whole_numbers(*pair)) is not None}
            wanted = deque(pair for pair in new if pair not in self._known)
            passing: dict[tuple[str, str], MathsComparison] = {}
            try:
                self._work_off(wanted, passing)
            except BaseException:  # Ctrl-C included: a reply that comes later must not answer the next question
                self._end([worker for worker in self._workers if worker.question is not None])
                raise
            return [self._known.get(pair) or passing[pair] for pair in pairs]

    def _work_off(self, wanted: deque[tuple[str, str]], passing: dict[tuple[str, str], MathsComparison]) -> None:
        look_at = 0.0
        while wanted or any(worker.question for worker in self._workers):
            self._start(len(wanted))
            for worker in self._workers:
                if wanted and worker.question is None:
                    worker.ask(*wanted.popleft())
            busy = [worker for worker in self._workers if worker.question is not None]
            for worker in select.select(busy, [], [], _MEMORY_EVERY)[0]:
                pair, result = worker.question, worker.receive()
                if result is not None and pair is not None:
                    (passing if result.status is Status.DIED else self._known)[pair] = result
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + _MEMORY_EVERY
                for worker in busy:
                    worker.watch_memory()
            self._end([worker for worker in self._workers if worker.ended])

    def _start(self, waiting: int) -> None:
        """As many workers as the waiting questions are worth."""
        busy = sum(worker.question is not None for worker in self._workers)
        worth = busy + -(-waiting // _PER_WORKER)
        while len(self._workers) < min(self._size, worth):
            self._workers.append(MathsProcess(*self._limits))

    def _end(self, workers: Sequence[MathsProcess]) -> None:
        for worker in workers:
            self._workers.remove(worker)
            worker.close()

    def close(self) -> None:
        """End and reap all workers. Safe to call twice; the pool starts new ones when asked again."""
        self._end(list(self._workers))
