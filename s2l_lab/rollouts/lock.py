"""One writer at a time: an advisory lock that dies with its process.

`flock` belongs to the open file, so the kernel frees it at exit, at kill -9 and at a power cut; a lock file that merely
*exists* means nothing. A forked child (a worker pool) inherits the open file and would keep the lock alive after its
parent was killed, so children close it. The file's text says who holds it; it is for messages only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import sys
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path

from s2l_lab.errors import S2LError
from s2l_lab.rollouts.durable import write_error

_PATIENCE = 4
"""Tries, 50 ms apart: `holder` may hold a shared lock for a moment."""

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class RunLockedError(S2LError):
    """Another process is writing to this run directory."""


class WriterLock:
    """The right to write to a run directory, from construction to `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises RunLockedError, naming the holder."""
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as cause:
            raise write_error(path, cause) from cause
        if not _try_lock(self._descriptor):
            os.close(self._descriptor)
            raise RunLockedError(
                f"{path.parent} is being written by {_read(path) or 'another process'}. One writer at a time: wait for "
                f"it, stop it, or give --out another directory (reading is always possible)."
            )
        me = {
            "process": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(sys.argv)[:500],
        }
        # A full disk must not keep a run from being opened: the text is a courtesy.
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps(me).encode(), 0)
        _held.add(self)

    def fileno(self) -> int:
        """The open file. A program that is started with it (`pass_fds`) shares the lock, which lasts until both end."""
        if self._descriptor is None:
            raise ValueError("the lock was released")
        return self._descriptor

    def release(self) -> None:
        """Give the lock back. Safe to call twice."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def forget(self) -> None:
        """In a forked child: close the inherited file, which leaves the parent's lock in place."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def holder(path: Path) -> str | None:
    """Who holds the lock at `path` now, in words; None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path) or "another process"
    finally:
        os.close(descriptor)
    return None


def _try_lock(descriptor: int) -> bool:
    for attempt in range(_PATIENCE):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05 if attempt < _PATIENCE - 1 else 0)
        else:
            return True
    return False


def _read(path: Path) -> str:
    """`process 12 on host since 10:00 (command)`, or nothing where the text is missing or half written."""
    try:
        who = json.loads(path.read_text())
        return f"process {who['process']} on {who['host']} since {who['since']} ({who['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()


os.register_at_fork(after_in_child=_forget_all)
