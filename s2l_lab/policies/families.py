"""Families: which models belong together, where their weights are, and at which revision.

The registry is `families.toml` beside this file; a user's own file has the same keys. Loading one opens no model and
touches no network. Members run from small to large. What would surprise: `Family.members` holds every member, but
`Family.select(None)` gives the family's *default* ones (for `qwen3` the paper's four sizes), and Base and post-trained
models are families of their own (`qwen3`, `qwen3-post`), since a curve that mixes them compares training, not size.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from s2l_lab.errors import DataError, UsageError, unknown_name
from s2l_lab.plans import read_plan
from s2l_lab.policies.engines import ENGINE_OF_SOURCE
from s2l_lab.policies.gguf_file import SUFFIX, is_gguf
from s2l_lab.policies.packages import PACKAGE, PackageFile
from s2l_lab.policies.templates import Arguments, Prompting, is_template_file, no_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_HUB_ID = r"[\w.-]+/[\w.-]+(@[\w./-]+)?"
_HINT = "A family file of your own works too: --family PATH.toml; single models: --policy NAME=PATH_OR_HUB_ID."
EMBEDDED = "embedded:"
OLLAMA = "ollama:"


class Card(BaseModel):
    """Sampling parameters that a model's card recommends; None where it names none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=0)
    min_p: float | None = Field(default=None, ge=0, le=1)
    presence_penalty: float | None = Field(default=None, allow_inf_nan=False)

    @property
    def values(self) -> dict[str, float]:
        """The parameters that are named."""
        return self.model_dump(exclude_none=True)


class Member(BaseModel):
    """One model of a family, or one that a user named: what is needed to find it, and how it is prompted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    """The policy's name in tables, figures and draw keys: the same weights under two names are drawn independently."""
    source: str = Field(min_length=1)
    """`embedded:FAMILY/MEMBER`, a directory, a GGUF file, `package:NAME==VERSION/FILE`, a hub id, an endpoint's address
    (http...) or `scripted:SPEC`."""
    revision: str | None = None
    """Commit hash on the hub; a branch, or None, is resolved to a commit when the member is opened. `sha256:...` is the
    fingerprint of a directory's files, or a GGUF file's SHA-256; other files are refused."""
    packaged: str | None = Field(default=None, pattern=f"^{PACKAGE}")
    """A package that carries the model as a GGUF file, for where the hub's is not to be had: `package:...`."""
    packaged_revision: str | None = Field(default=None, pattern="^sha256:[0-9a-f]{64}$")
    license: str | None = None
    parameters: int | None = Field(default=None, ge=1)
    """All parameters, tied embeddings once; None where nobody said."""
    template: str | None = None
    """A name or a Jinja file; None is `chat` where the tokenizer has a chat template, else `raw`
    (opening.choose_template)."""
    template_text: str | None = None
    """Content of the Jinja file, where a stored run has kept it; else it is read when the member is opened."""
    system: str | None = None
    """Text of the system message."""
    instruction: str | None = None
    """What is said below the problem on how to answer: `auto`, `none`, `boxed`, `answer` or a text; None leaves it to
    the caller."""
    template_args: Arguments = Field(default_factory=no_arguments)
    """Variables of the chat template by name, as enable_thinking."""
    kind: Literal["base", "post-trained"] = "base"
    sampling: Card | None = None
    """What its card recommends; None is the family's."""

    @property
    def embedded(self) -> bool:
        """True if the weights are inside this package."""
        return self.source.startswith(EMBEDDED)

    @property
    def prompting(self) -> Prompting:
        """How it is prompted where nothing else is asked for."""
        return Prompting(**{name: getattr(self, name) for name in Prompting.model_fields})


class Family(BaseModel):
    """Models of one lineage, from small to large. They share a tokenizer; opening them checks that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAME)
    description: str = ""
    kind: Literal["base", "post-trained"] = "base"
    template: str | None = None
    """Prompt template of members that name none of their own: a name, or a Jinja file (relative to the family's)."""
    system: str | None = None
    instruction: str | None = None
    template_args: Arguments = Field(default_factory=no_arguments)
    max_tokens: int = Field(default=1024, ge=1)
    """Default length at which completions are cut."""
    sampling: Card | None = None
    """What the cards of its members recommend, for members that name nothing of their own. `--preset card` uses it."""
    default: tuple[str, ...] = ()
    """Names of the members that run when none is named; empty means all."""
    members: tuple[Member, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique_and_known(self) -> Family:
        names = [m.name for m in self.members]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"two members of family {self.name!r} are called {', '.join(twice)}; rename one")
        if unknown := [n for n in self.default if n not in names]:
            raise ValueError(f"default of family {self.name!r} names no member: {', '.join(unknown)}")
        sizes = [m.parameters for m in self.members if m.parameters is not None]
        if sizes != sorted(sizes):
            raise ValueError(f"members of family {self.name!r} do not run from small to large; reorder them")
        return self

    def select(self, names: Sequence[str] | None) -> tuple[Member, ...]:
        """The named members, or the default ones for None; always small to large. Raises UsageError for other names."""
        wanted = list(names) if names is not None else list(self.default)
        by_name = {m.name: m for m in self.members}
        for name in wanted:
            if name not in by_name:
                raise unknown_name(f"member of family {self.name}", name, by_name)
        return tuple(m for m in self.members if not wanted or m.name in wanted)


class _FamilyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    family: tuple[Family, ...] = Field(description="write [[family]], in two brackets")


def load_family(name_or_path: str | Path) -> Family:
    """A family of the registry, or the one family of a TOML file (anything that ends in .toml or is a file).

    Raises UsageError for an unknown name, and for a key or value of a file that is not allowed; DataError for a file
    that cannot be read or holds another number of families.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix != ".toml" and not path.is_file():
        families = {f.name: f for f in registry()}
        if str(name_or_path) not in families:
            raise unknown_name("family", str(name_or_path), families, _HINT)
        return families[str(name_or_path)]
    families_here = read_plan(path, _FamilyFile).family
    if len(families_here) != 1:
        raise DataError(f"{path} holds {len(families_here)} [[family]] tables; a family file holds exactly one.")
    family = _inherited(families_here[0])
    moved = [m.model_copy(update=_moved(path.parent, m)) for m in family.members]
    return family.model_copy(update={"members": tuple(moved)})


@cache
def registry() -> tuple[Family, ...]:
    """All families that are known by name, in the order of the file."""
    return tuple(map(_inherited, read_plan(Path(__file__).with_name("families.toml"), _FamilyFile).family))


def known_members() -> dict[str, Member]:
    """The members of all known families, by name."""
    return {member.name: member for family in registry() for member in family.members}


def default_max_tokens(name: str) -> int:
    """Where completions of a member of this name are cut by default: its family's, and 1024 for any other policy."""
    lengths = {member.name: family.max_tokens for family in registry() for member in family.members}
    return lengths.get(name, int(Family.model_fields["max_tokens"].default))


def find_member(name: str) -> Member:
    """A member of any family of the registry, by its name. Raises UsageError with the nearest names."""
    members = known_members()
    if name not in members:
        raise unknown_name("member", name, members, "Other models: a directory, a hub id as org/model, or NAME=SOURCE.")
    return members[name]


def parse_policy(text: str) -> Member:
    """`NAME=SOURCE` as a member.

    SOURCE is a directory, a GGUF file, a hub id (`org/model` or `org/model@revision`), a member's name (its pinned
    revision comes along), `package:NAME==VERSION/FILE`, an address (`http://host:port/v1`, with `#MODEL` where the
    server has several) or `scripted:SPEC`.
    """
    name, equals, source = text.partition("=")
    if not equals or not name or not source:
        raise UsageError(f"--policy {text!r} is not NAME=SOURCE. For example --policy mine=checkpoints/step-100.")
    if not re.match(_NAME, name):
        raise UsageError(f"--policy {text!r}: the name {name!r} may hold letters, digits, '.', '_' and '-' only.")
    if source.startswith((*ENGINE_OF_SOURCE, EMBEDDED)):
        return Member(name=name, source=source)
    if source.startswith(OLLAMA):
        raise start_ollama(name, source)
    if source.startswith(PACKAGE):
        PackageFile.of(source)
        return Member(name=name, source=source)
    directory = Path(source).expanduser()
    if directory.is_dir() or is_gguf(directory):
        return Member(name=name, source=str(directory))
    if directory.is_file():
        raise UsageError(
            f"--policy {text!r}: {source} is a file, but no GGUF file. SOURCE is a directory with config.json, "
            "tokenizer and *.safetensors, or one *.gguf file."
        )
    if source.lower().endswith(SUFFIX):
        raise UsageError(f"--policy {text!r}: there is no GGUF file {source}.")
    if re.fullmatch(_HUB_ID, source):
        hub_id, _, revision = source.partition("@")
        return Member(name=name, source=hub_id, revision=revision or None)
    known = known_members()
    if source in known:
        return known[source].model_copy(update={"name": name})
    raise unknown_name(
        "source",
        source,
        known,
        f"{source} is no directory or GGUF file either; hub ids look like org/model, scripts like scripted:SPEC.",
    )


def named_member(name: str) -> Member:
    """A member by name, NAME=SOURCE, or a directory, GGUF file or hub id alone, whose last part is then the name.

    A member's name comes before a directory of that name in the working directory; `./tiny-2m` is the directory.
    Raises UsageError for an unknown one.
    """
    directory = Path(name).expanduser()
    if "=" in name and not directory.exists() and not name.startswith((PACKAGE, OLLAMA)):
        return parse_policy(name)
    if name.startswith(tuple(ENGINE_OF_SOURCE)):
        raise UsageError(f"{name!r} is a source without a name. Give NAME={name}, where NAME is what tables show.")
    known = known_members()
    files = directory.exists() or name.lower().endswith(SUFFIX)
    if name not in known and (files or name.startswith((PACKAGE, OLLAMA)) or re.fullmatch(_HUB_ID, name)):
        last = directory.resolve().name if files else name.partition("@")[0].rpartition("/")[2]
        last = last[: -len(SUFFIX)] if last.lower().endswith(SUFFIX) else last.removeprefix(OLLAMA).partition(":")[0]
        if not re.match(_NAME, last):
            raise UsageError(f"{name!r} ends in {last!r}, which is no policy's name. Give NAME={name}.")
        return parse_policy(f"{last}={name}")
    return find_member(name)


def start_ollama(name: str, source: str) -> UsageError:
    """The error for `ollama:MODEL`: such a model is reached through Ollama's server."""
    model = source.removeprefix(OLLAMA) or "MODEL"
    return UsageError(
        f"{name}: a model of Ollama is sampled through its server. Start it with `ollama serve`, bring the model with "
        f"`ollama pull {model}`, then --policy {name}=http://localhost:11434/v1#{model}."
    )


def _inherited(family: Family) -> Family:
    """The family with its kind, card and what it says of prompts, given to the members that name none of their own."""
    inherited = ("template", "kind", "sampling", "system", "instruction", "template_args")
    own = {name: getattr(family, name) for name in inherited}
    members = [
        m.model_copy(update={k: v for k, v in own.items() if k not in m.model_fields_set}) for m in family.members
    ]
    return family.model_copy(update={"members": tuple(members)})


def _moved(base: Path, member: Member) -> dict[str, str]:
    """Paths of a family file, relative ones counted from it."""
    moved = {"source": _relative_to(base, member.source)}
    if member.template is not None and is_template_file(member.template):
        moved["template"] = str(base / Path(member.template).expanduser())
    return moved


def _relative_to(base: Path, source: str) -> str:
    directory = Path(source).expanduser()
    beside = base / directory
    if not directory.is_absolute() and (beside.is_dir() or source.lower().endswith(SUFFIX) or is_gguf(beside)):
        return source if source.startswith(PACKAGE) else str(beside)
    return str(directory) if source.startswith("~") else source
