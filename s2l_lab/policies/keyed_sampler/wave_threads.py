"""Waves side by side: small models on a CPU run as several waves of one thread each, not as one wave of several.

A step of a small model is hundreds of operations of some ten microseconds, and splitting each over threads puts a
barrier after each. On an idle machine that is as fast; beside a single busy process (verifiers are such) it was seen
twice as slow as whole waves, which wait for nobody, and beside several, twenty times. PyTorch releases Python's lock
inside every operation. And a wave then always has one PyTorch thread, so that a rollout's bits do not depend on the
number of cores.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAITING = 4096  # results that may wait for a slow reader before the threads pause
_PATIENCE = 0.1  # seconds between looks at whether the reader has left


def side_by_side(items: Iterator[Item], work: Callable[[Item], Iterator[Result]], threads: int) -> Iterator[Result]:
    """The results of work(item) for all items, as they come, from threads that each have one PyTorch thread.

    An exception of `work` is raised here, after the threads have stopped; a reader that leaves stops them too.
    """
    results: queue.Queue[Result | Future[None]] = queue.Queue(_WAITING)
    taking, leaving, started = threading.Lock(), threading.Event(), threading.Barrier(threads + 1)

    def run() -> None:
        torch.get_num_threads()  # a thread takes the default when it first asks, even after having set its own
        torch.set_num_threads(1)  # of this thread, and the default of threads to come: restored below
        started.wait()
        while not leaving.is_set():
            with taking:
                item = next(items, None)
            if item is None:
                return
            for result in work(item):
                while not _put(results, result):
                    if leaving.is_set():
                        return

    before = torch.get_num_threads()
    with ThreadPoolExecutor(threads) as pool:
        running = threads
        for _ in range(threads):
            pool.submit(run).add_done_callback(results.put)
        started.wait()
        torch.set_num_threads(before)
        try:
            while running:
                result = results.get()
                if isinstance(result, Future):
                    running -= 1
                    result.result()
                else:
                    yield result
        finally:
            leaving.set()
            while running:  # make room for the threads' last words
                running -= isinstance(results.get(), Future)


def _put(results: queue.Queue[Result | Future[None]], result: Result) -> bool:
    try:
        results.put(result, timeout=_PATIENCE)
    except queue.Full:
        return False
    return True
