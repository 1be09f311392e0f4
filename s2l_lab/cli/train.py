"""`s2l-lab train` and `s2l-lab bank`: a plan file with `key=value` changes over it, to a run directory or a bank."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from s2l_lab.training.plan import read_plan

ROOT = Path("runs") / "training"
"""Where run directories go, named by their plans' digests; banks lie beside them."""


def run(path: Path, changes: Sequence[str], *, out: Path | None, dry_run: bool) -> None:
    """Train, or with `dry_run` print the resolved plan."""
    plan = read_plan(path, changes)
    out = out or ROOT / plan.digest
    console = Console()
    if dry_run:
        plan.config(out)
        print(plan.model_dump_json(indent=1))
        console.print(Text(f"Run directory: {out}. Nothing was trained."), soft_wrap=True)
        return
    from s2l_lab.training.run import train

    first = os.environ.get("RANK", "0") == "0"

    def announce(line: str) -> None:
        if first:
            console.print(Text(line), soft_wrap=True)

    train(plan, out, command=shlex.join(["s2l-lab", *sys.argv[1:]]), announce=announce)
    announce(f"{out / 'report.json'}")


def bank(path: Path, changes: Sequence[str], *, root: Path) -> None:
    """Fill the bank that a plan draws from."""
    from s2l_lab.training.opening import fill_plan_bank

    plan = read_plan(path, changes)
    console = Console(stderr=True)
    with console.status("opening") as status:
        bank = fill_plan_bank(
            plan,
            plan.config(root / "bank"),
            root,
            progress=lambda state: status.update(f"{state.kept + state.sampled:,} of {state.wanted:,} rollouts"),
        )
    print(bank)
