"""What all pools of this package are: context managers that end their workers."""

from __future__ import annotations

from typing import Self


class Pool:
    """Keeps workers until `close`, or until the end of a `with`."""

    def close(self) -> None:
        """End and reap all workers. Safe to call twice."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
