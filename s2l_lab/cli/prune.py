"""`s2l-lab families prune`: flags to a plan of healing, and one line for each stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from s2l_lab.errors import UsageError
from s2l_lab.training.healing import Healing
from s2l_lab.training.pruned_member import HealingPlan, make_pruned_member


def run(
    source: str,
    layers: str,
    out: Path,
    *,
    steps: int,
    benchmarks: tuple[str, ...],
    healing: Mapping[str, Any],
    data: Mapping[str, Any],
    seed: int,
    template: str | None,
    model_root: Path | None,
    data_root: Path | None,
) -> None:
    """Prune, heal where steps are asked for, and say how to use both members."""
    console = Console()
    plan = None
    if steps != 0:
        plan = HealingPlan(Healing(steps, seed=seed, **healing), benchmarks, **data)
    elif benchmarks or healing or data:
        raise UsageError("--heal-benchmark and its kin say how to heal; give --heal-steps too, 200 for example.")

    def announce(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    family = make_pruned_member(
        source,
        layers,
        out,
        plan,
        template=template,
        seed=seed,
        model_root=model_root,
        data_root=data_root,
        announce=announce,
    )
    small, large = family.members
    announce(f"{out}: {small.parameters:,} of {large.name}'s {large.parameters:,} parameters")
    announce(f"Sample both members with --family {out / 'family.toml'}")
