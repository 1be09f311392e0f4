"""Two short runs that log to trackio, in a process of their own: trackio reads its directory when it is imported.

Called as `trackers.py OUTPUT_DIR` with TRACKIO_DIR set. A connection to anything but this machine is an error.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

_connect = socket.socket.connect


def _to_this_machine(self: socket.socket, address: Any) -> None:
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise AssertionError(f"training wanted to talk to {address}")
    _connect(self, address)


def main(output_dir: Path) -> None:
    """A run of the trainer, and one of the alternate runner, under their own names in project `p`."""
    from tiny_training import config, dataset, explorer, learner, reward, s2l, tokenizer

    from s2l_lab.training.alternate import train_alternate

    options = {"report_to": "trackio", "project": "p"}
    s2l(
        output_dir,
        given=explorer(),
        schedule="constant",
        explorer_fraction=0.5,
        max_steps=2,
        run_name="trainer",
        **options,
    ).train()
    mix = config(output_dir, slot_rounding="released", mix_steps=3, run_name="alternate", **options)
    train_alternate(mix, learner(), tokenizer(), reward, dataset(), explorer())


if __name__ == "__main__":
    socket.socket.connect = _to_this_machine  # type: ignore[method-assign]
    main(Path(sys.argv[1]))
