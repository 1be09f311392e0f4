"""`s2l-lab dashboard`: what it starts, for whom, and what it refuses before anything is started."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest

from s2l_lab.cli.dashboard import app_file, arguments, configuration, run
from s2l_lab.errors import UsageError


def test_the_app_serves_this_machine_alone_sends_nothing_and_gets_the_directory() -> None:
    words = arguments(app_file(), Path("some runs"), 8502, "localhost")
    assert words[:2] == ["run", str(app_file())]
    assert {"--server.address=localhost", "--browser.gatherUsageStats=false"} <= set(words)
    assert words[-3:] == ["--", "--runs", "some runs"]
    assert "--" not in arguments(app_file(), None, 8502, "localhost")


def test_both_ways_of_starting_the_app_say_the_same() -> None:
    """The command once gave no colours, so that outside a checkout the app had Streamlit's own."""
    file = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    words = set(arguments(app_file(), None, 8502, "localhost"))
    said = {
        f"--{table}.{name}={str(value).lower() if isinstance(value, bool) else value}"
        for table in ("server", "browser", "runner", "client")
        for name, value in file[table].items()
    }
    colours = {
        f"--theme.{mode}.{name}={value}" for mode in ("light", "dark") for name, value in file["theme"][mode].items()
    }
    assert {"--server.address=localhost", "--theme.dark.primaryColor=" + file["theme"]["dark"]["primaryColor"]} <= words
    assert words - {"run", str(app_file()), "--server.port=8502", "--server.fileWatcherType=none"} == said | colours


def test_everything_in_the_configuration_is_an_option_that_streamlit_knows() -> None:
    from streamlit.config import get_config_options

    assert set(configuration(app_file())) <= set(get_config_options())


def test_an_installation_without_the_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.toml is missing.*install s2l-lab again"):
        arguments(tmp_path / "apps" / "dashboard.py", None, 8502, "localhost")


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
