"""Same-size siblings: members of the embedded family pretrained from other seeds.

Is an explorer's part in the diversity of a mix due to its being *small*, or merely to its being *another model*? Only
models of the learner's own size, trained alike from other seeds (other data, other initial weights), can tell. They do
not ship with the package: the recipe makes them, once per folder, and what is there is used again if its recipe is
today's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.policies.families import load_family
from s2l_lab.policies.tiny.recipe import MEMBERS, RECIPES, PretrainingProgress, recipe_digest
from s2l_lab.rollouts.durable import make_folder, replacing

FOLDER = Path("runs") / "pretrained"


def sibling_name(member: str, seed: int) -> str:
    """The name of a member pretrained from another seed; seed 0 is the member that ships."""
    return member if seed == 0 else f"{member}-seed{seed}"


def pretrained_siblings(
    family: str,
    seeds: Sequence[int],
    folder: Path = FOLDER,
    *,
    announce: Callable[[str], None] = lambda _: None,
    progress: Callable[[PretrainingProgress], None] | None = None,
) -> Path:
    """A family file of all members of `family` pretrained from `seeds`, training those that are missing.

    The file is FOLDER/FAMILY-seeds.toml; it lists members from small to large, as `tiny-2m-seed1`. Raises UsageError
    for a family that has no recipe, and for seed 0, which is the one that ships.
    """
    if family not in RECIPES:
        raise unknown_name("embedded family", family, RECIPES, "Only embedded families have a recipe to train from.")
    if 0 in seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"pretraining seeds {list(seeds)} were given; siblings need distinct seeds other than 0.")
    for seed in seeds:
        missing = [m.size for m in MEMBERS if not _current(family, m.size, folder / f"seed{seed}")]
        if missing:
            announce(f"training {', '.join(missing)} of {family} from seed {seed} (minutes; once)")
            from s2l_lab.policies.tiny.training import train_family

            train_family(family, folder / f"seed{seed}", seed=seed, members=missing, progress=progress)
    return _write_family(family, seeds, folder)


def _current(family: str, size: str, out_dir: Path) -> bool:
    """Whether this member is there, made by today's recipe."""
    member = next(m for m in MEMBERS if m.size == size)
    try:
        facts = json.loads((out_dir / family / "family.json").read_text(encoding="utf-8"))[size]
    except (OSError, ValueError, KeyError):
        return False
    there = (out_dir / family / size / "model.safetensors").is_file()
    return there and facts["recipe_digest"] == recipe_digest(RECIPES[family], member)


def _write_family(family: str, seeds: Sequence[int], folder: Path) -> Path:
    shipped = load_family(family)
    lines = [
        "[[family]]",
        f'name = "{family}-seeds"',
        f'description = "{family} pretrained from other seeds"',
        f'template = "{shipped.template}"',
        f"max_tokens = {shipped.max_tokens}",
        "members = [",
    ]
    for member, size in zip(shipped.members, MEMBERS, strict=True):
        for seed in seeds:
            name, source = sibling_name(member.name, seed), f"seed{seed}/{family}/{size.size}"
            lines.append(f'  {{name = "{name}", source = "{source}", parameters = {member.parameters}}},')
    make_folder(folder)
    path = folder / f"{family}-seeds.toml"
    with replacing(path) as stream:
        stream.write("\n".join([*lines, "]", ""]).encode())
    return path
