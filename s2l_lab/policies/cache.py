"""Where this package keeps what it made or fetched once: the folder of a user's caches.

`$XDG_CACHE_HOME/s2l-lab`, or `~/.cache/s2l-lab`: beside the hub's own cache. Everything in it can be removed at any
time; it is then made or fetched again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from s2l_lab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


def cache_root() -> Path:
    """The folder; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "s2l-lab"


@contextmanager
def made_whole(directory: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `directory` at the end and is removed where the filling fails.

    So `directory` is whole whenever it is there. Where another process has made it meanwhile, that one stays. Raises
    DataError where the cache cannot be written.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        filling = Path(tempfile.mkdtemp(prefix=".making-", dir=directory.parent))
    except OSError as error:
        raise DataError(
            f"the cache {directory.parent} cannot be written: {error.strerror or error}. Set XDG_CACHE_HOME to another "
            "directory."
        ) from error
    try:
        yield filling
        filling.chmod(0o755)  # mkdtemp's are for this user alone
        try:
            filling.rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(filling, ignore_errors=True)
