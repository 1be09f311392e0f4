"""`s2l-lab dashboard`: the explorer app in a browser, on a runs directory, for this machine alone unless told.

Streamlit runs in this process, from whatever directory, with what the app's own configuration says given as flags: no
usage statistics, error pages without source code, the colours of light and dark. Whoever runs `streamlit run` in a
checkout has the same, from the same file. It lies beside the app, which lies beside this package in a checkout and
inside it when installed.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import threading
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import s2l_lab
from s2l_lab.errors import UsageError

ADDRESS, PORT = "localhost", 8501
MOST_PORT = 65_535


def run(directory: Path | None = None, port: int = PORT, address: str = ADDRESS) -> None:
    """Serve the app until it is interrupted. Raises UsageError without streamlit, and for a port that is taken.

    `directory` None lets the app choose: S2L_LAB_RUNS, else ./runs, else the small runs that ship with it. A directory
    that does not exist is no error: the app says so, and shows those.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise UsageError("the dashboard needs streamlit: pip install 's2l-lab[app]'.")
    _check_port(address, port)
    from streamlit.web import cli

    sys.argv = ["streamlit", *arguments(app_file(), directory, port, address)]
    # A browser needs a second for its own part before it asks for the page.
    threading.Thread(target=_import_ahead, daemon=True).start()
    cli.main()


def _import_ahead() -> None:
    """Import the slow modules that the first page needs."""
    import pandas  # noqa: F401
    import scipy.special  # noqa: F401

    import s2l_lab.browse.family_curves  # noqa: F401


def arguments(app: Path, directory: Path | None, port: int, address: str) -> list[str]:
    """Streamlit's command line: the app's configuration, and what only this command knows."""
    own = {"server.address": address, "server.port": str(port), "server.fileWatcherType": "none"}
    flags = [f"--{name}={value}" for name, value in (configuration(app) | own).items()]
    return ["run", str(app), *flags, *(["--", "--runs", str(directory)] if directory is not None else [])]


def configuration(app: Path) -> dict[str, str]:
    """The options of the configuration file that ships with the app, by their full names. Raises UsageError without
    one."""
    path = app.parent.parent / ".streamlit" / "config.toml"
    try:
        return dict(_options(tomllib.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing from this installation; install s2l-lab again.") from None


def _options(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The options of a TOML table and its subtables: dotted names, and values in the form of a command line."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _options(value, f"{above}{name}.")
        else:
            yield above + name, str(value).lower() if isinstance(value, bool) else str(value)


def app_file() -> Path:
    """The entry file of the app, in a checkout or an installed package. Raises UsageError if it is missing."""
    package = Path(s2l_lab.__file__).parent
    for folder in (package / "apps", package.parent / "apps"):
        if (folder / "dashboard.py").is_file():
            return folder / "dashboard.py"
    raise UsageError(f"the app is missing from this installation ({package / 'apps'}); install s2l-lab again.")


def _check_port(address: str, port: int) -> None:
    if not 1 <= port <= MOST_PORT:
        raise UsageError(f"--port {port}: a port is a number from 1 to {MOST_PORT}.")
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as test:
            if os.name == "posix":
                test.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            test.bind(place)
    except OSError as cause:
        raise UsageError(f"cannot serve at {address}:{port} ({cause.strerror}); choose another --port.") from cause
