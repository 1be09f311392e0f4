"""Finding run directories."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from s2l_lab.rollouts.parts import LEDGER

_DEPTH = 4
"""Levels of folders below the given one; a run directory is not looked into."""


def is_run(path: Path) -> bool:
    """True if a run was begun here, readable or not."""
    return (path / LEDGER).is_file()


def run_folders(directory: Path) -> Iterator[Path]:
    """Every run directory below `directory` (or that directory), by path."""
    start = len(directory.parts)
    for folder, folders, files in os.walk(directory):
        path = Path(folder)
        if LEDGER in files:
            folders.clear()
            yield path
        elif len(path.parts) - start >= _DEPTH:
            folders.clear()
        else:
            folders[:] = sorted(name for name in folders if not name.startswith("."))
