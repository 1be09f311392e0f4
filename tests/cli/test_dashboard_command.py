"""`s2l-lab dashboard`: what it starts, for whom, and what it refuses before anything is started."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from s2l_lab.cli.dashboard import app_file, arguments, run
from s2l_lab.errors import UsageError


def test_the_app_serves_this_machine_alone_sends_nothing_and_gets_the_directory() -> None:
    words = arguments(app_file(), Path("some runs"), 8502, "localhost")
    assert words[:2] == ["run", str(app_file())]
    assert {"--server.address=localhost", "--browser.gatherUsageStats=false"} <= set(words)
    assert words[-3:] == ["--", "--runs", "some runs"]
    assert "--" not in arguments(app_file(), None, 8502, "localhost")


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(UsageError, match="a number from 1 to 65535"):
        run(None, port)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot serve at 127.0.0.1:{port}.*choose another --port"):
            run(None, port, "127.0.0.1")


def test_the_command_serves_and_ends_at_an_interrupt(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(tmp_path)]
    command += ["--port", str(port), "--address", "127.0.0.1"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        said = next(line for line in server.stdout if re.search(r"http://127\.0\.0\.1", line))
        assert str(port) in said
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=60) as answer:
            assert answer.read() == b"ok"
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    assert server.returncode is not None
