"""`s2l-lab` as its users meet it, in a process of its own or in this one, where nothing is imported anew."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from s2l_lab.cli import main

COLUMNS = "80"


def own_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory and a process of its own, without a hub."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "COLUMNS": COLUMNS}
    code = "from s2l_lab.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def this_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same through the same entry point, without a start of Python. A bug's exception passes through."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["s2l-lab", *arguments])
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        patch.setenv("COLUMNS", COLUMNS)
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())
