"""Whole or absent: a file of a run directory is written to a temporary name, fsynced, renamed, its folder fsynced.

After a kill at any moment, or a power cut, a reader finds the old content or the new one. A full disk, a quota, a
read-only mount come out as one clear error; the temporary file is removed and what stood there before still stands.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from s2l_lab.errors import S2LError

TEMPORARY_SUFFIX = ".tmp"

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file-size limit is hit",
}


class WriteError(S2LError):
    """A file of the run directory could not be written; nothing that was written before is touched."""


def write_error(path: Path, cause: OSError) -> WriteError:
    """The message for a failed write: what failed, what is kept, what to do next."""
    reason = _FULL.get(cause.errno or 0, cause.strerror or str(cause))
    free = ""
    with contextlib.suppress(OSError):
        free = f" ({shutil.disk_usage(path.parent).free / 2**20:.1f} MB free there)"
    return WriteError(
        f"cannot write {path}: {reason}{free}. Everything written before is kept and whole; "
        f"make room or mend the cause, and give the same command again: it goes on from there."
    )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` at the end of the block, or leaves `path` as it was. Raises WriteError."""
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    except OSError as cause:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise write_error(path, cause) from cause


def make_folder(path: Path) -> None:
    """Create a folder (and its parents) that is still there after a power cut. Raises WriteError."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        path.mkdir(exist_ok=True)
        _fsync_folder(path.parent)
    except OSError as cause:
        raise write_error(path, cause) from cause


def append_line(path: Path, line: str) -> None:
    """Append one line to a log. A line torn by an earlier kill is closed first, so it spoils only itself."""
    try:
        with path.open("ab+") as file:
            torn = False
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
            file.write((b"\n" if torn else b"") + line.encode() + b"\n")
    except OSError as cause:
        raise write_error(path, cause) from cause


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
