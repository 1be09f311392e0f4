"""Signals during a sweep. SIGTERM and a lost terminal are taken as Ctrl-C, so that processes end in order.

A shell starts background jobs with SIGINT ignored, and what is ignored is inherited: processes would then not hear the
sweep's SIGINT. A handler that does nothing is not inherited, and the sweep still ignores it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """KeyboardInterrupt on SIGINT, SIGTERM and SIGHUP, each unless it is ignored. Outside the main thread, nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        ignored = signal.getsignal(number) is signal.SIG_IGN
        if ignored and number != signal.SIGINT:
            continue
        before[number] = signal.signal(number, _nothing if ignored else _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _nothing(*_: Any) -> None:
    pass
