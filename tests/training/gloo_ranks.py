"""Two processes of one job over gloo, as `accelerate launch` and `torchrun` start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence


def run_two_ranks(*words: str) -> None:
    """Run `python WORDS` as rank 0 and rank 1; both must end well."""
    common = _environment()
    _all_end_well([_started(words, common | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"])


def run_forked_ranks(*words: str) -> None:
    """Run `python WORDS`, which calls `fork_ranks` when everything is imported: once, as that takes the longest."""
    _all_end_well([_started(words, _environment())])


def fork_ranks() -> Callable[[], None]:
    """From here on there are two processes, rank 0 and 1. Each calls what is returned at its end."""
    child = os.fork()
    rank = "0" if child else "1"
    os.environ |= {"RANK": rank, "LOCAL_RANK": rank}

    def end() -> None:
        if child:
            _, status = os.waitpid(child, 0)
            sys.exit(os.waitstatus_to_exitcode(status))

    return end


def _environment() -> dict[str, str]:
    """What both ranks are told."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "WORLD_SIZE": "2"}
    return common | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def _started(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _all_end_well(running: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output.decode()[-3000:]
