"""The recipe of the embedded family: three sizes of Qwen3 on Countdown traces, at two sizes of data.

`tiny` is data-limited: its largest member sees every trace many times and becomes sharp. `tiny-rich` is the same
recipe with more problems. Within a family every member sees the same examples in the same order, as often and under
the same schedule; only width, depth and peak learning rate differ.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from s2l_lab.digest import content_digest
from s2l_lab.errors import unknown_name
from s2l_lab.problems.countdown import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Member:
    """One size. Heads are 32 wide at every size, since vLLM on a CPU supports none narrower."""

    size: str
    width: int
    layers: int
    heads: int
    mlp_width: int
    peak_learning_rate: float


MEMBERS = (
    Member("60k", width=48, layers=2, heads=2, mlp_width=128, peak_learning_rate=6e-3),
    Member("360k", width=96, layers=3, heads=3, mlp_width=288, peak_learning_rate=4e-3),
    Member("2m", width=192, layers=4, heads=6, mlp_width=576, peak_learning_rate=2e-3),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What every member of a family has in common."""

    problems: int
    """Distinct training problems, each with one trace."""
    steps: int
    batch: int = 64
    """Examples in a step."""
    warmup: int = 100
    """Steps of linear warm-up, before the cosine to 0."""
    weight_decay: float = 0.01
    gradient_clip: float = 1.0

    def learning_rate(self, peak: float, step: int) -> float:
        """At a step counted from 0."""
        if step < self.warmup:
            return peak * (step + 1) / self.warmup
        return peak * 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(self.steps - self.warmup, 1)))


RECIPES = {"tiny": Recipe(problems=10_000, steps=2_000), "tiny-rich": Recipe(problems=50_000, steps=2_000)}


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training run is."""

    member: str
    step: int
    steps: int
    loss: float
    """Of this step's batch, nats per token."""
    seconds: float


def recipe_digest(recipe: Recipe, member: Member) -> str:
    """Identity of everything but the seed that decides a member's weights on a given machine."""
    return content_digest([VERSION, asdict(recipe), asdict(member)])


def train_family(
    name: str,
    out_dir: Path,
    seed: int = 0,
    members: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[Path]:
    """Train a family from its recipe and write one checkpoint directory per member, with family.json beside them.

    name: a key of RECIPES; members: sizes as `60k` (None: all). Returns the directories `out_dir/name/size`.
    family.json: sizes, hashes, recipe, seed and final loss (mean of the last 50 steps); members that it already lists
    and that are not trained now stay in it. Raises UsageError for an unknown family or member.
    """
    if name not in RECIPES:
        raise unknown_name("embedded family", name, RECIPES)
    sizes = {member.size: member for member in MEMBERS}
    wanted = list(sizes) if members is None else list(members)
    for size in wanted:
        if size not in sizes:
            raise unknown_name(f"member of {name}", size, sizes)
    from s2l_lab.policies.tiny.data import examples, tokenised
    from s2l_lab.policies.tiny.training import store, train_member

    recipe = RECIPES[name]
    data = tokenised(examples(seed), recipe.problems)
    directories = []
    for member in (sizes[size] for size in wanted):
        directory = out_dir / name / member.size
        losses: list[float] = []
        model = train_member(recipe, member, data, seed, _recorder(losses, progress))
        facts = {"final_loss": sum(losses[-50:]) / len(losses[-50:]), **store(model, directory)}
        facts |= {"recipe": asdict(recipe), "member": asdict(member), "seed": seed}
        _record(out_dir / name / "family.json", member, {"recipe_digest": recipe_digest(recipe, member), **facts})
        directories.append(directory)
    return directories


def _recorder(losses: list[float], progress: Callable[[Progress], None] | None) -> Callable[[Progress], None]:
    def record(now: Progress) -> None:
        losses.append(now.loss)
        if progress is not None:
            progress(now)

    return record


def _record(path: Path, member: Member, facts: dict[str, object]) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[member.size] = facts
    ordered = {m.size: known[m.size] for m in MEMBERS if m.size in known}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
