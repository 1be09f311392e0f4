"""SweepPlan: the SWEEP.toml that says which training runs belong together.

    name = "fig4"                            of the folder or file, unless given
    base = "../training/mini.toml"           a TrainingPlan, its path from this file; or [base] with the same contents
    seeds = [0, 1, 2]                        [training] seed, crossed with every arm
    [factors.method.GRPO]                    factor, level: the change of the base that the level is
    [[arm]]                                  an arm outside the product: name, change, seeds (if not the sweep's)
    [figure]                                 for whoever draws the sweep; not read here

Every arm is a whole TrainingPlan, and all are checked (their S2LPOConfig too) before anything starts. Two arms whose
plans have one digest are one run: GRPO crossed with explorers trains once. Arms come in order of seed, all arms of the
first seed, then of the second, so that a sweep which is stopped has as many seeds of every arm.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from s2l_lab.errors import S2LError, UsageError
from s2l_lab.plans import read_plan, read_values
from s2l_lab.sweeps.product import Change, merged, product_of
from s2l_lab.training.plan import TrainingPlan, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SCALES = ("mini", "paper", "sweep")
"""File names that say nothing about the sweep: it is named after the folder then."""


def _once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{list(seeds)} has one twice; a repeated run is no further seed")
    return seeds


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_once), Field(description="as seeds = [0, 1, 2]")
]
Values = dict[str, Any]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ArmTable(_Table):
    name: str = Field(min_length=1)
    seeds: Seeds | None = None
    change: Values = Field(default_factory=dict, description="as change = {training = {...}}")


class _SweepTable(_Table):
    name: str | None = Field(default=None, min_length=1)
    base: str | Values = Field(description="the path of a training plan from this file, or a table with its contents")
    seeds: Seeds = ()
    factors: dict[str, Annotated[dict[str, Values], Field(min_length=1)]] = Field(
        default_factory=dict, description="write [factors.FACTOR.LEVEL] for each level, and its changes below"
    )
    arm: tuple[_ArmTable, ...] = Field(default=(), description="write [[arm]], in two brackets")
    figure: Values = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeededArm:
    """One arm with one seed."""

    name: str
    levels: Mapping[str, str]
    """Factor -> level; empty for an arm outside the product."""
    seed: int
    plan: TrainingPlan

    @property
    def title(self) -> str:
        """As messages name it."""
        return f"{self.name}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep, checked."""

    name: str
    path: Path
    figure: Mapping[str, Any]
    runs: Mapping[str, tuple[SeededArm, ...]]
    """Plan digest -> the arms that are this run, in order of launching."""
    _arms: tuple[SeededArm, ...] = field(repr=False)

    def arms(self) -> tuple[SeededArm, ...]:
        """Every arm with every seed, in order of launching."""
        return self._arms


def read_sweep(path: Path) -> SweepPlan:
    """The sweep of a file. Raises DataError for a file that is none; UsageError for a key or value that is not allowed,
    which names the arm."""
    sweep = read_plan(path, _SweepTable)
    base = sweep.base if isinstance(sweep.base, dict) else read_values(path.parent / sweep.base)
    changes = [(change, sweep.seeds) for change in product_of(sweep.factors, str(path))]
    for arm in sweep.arm:
        changes.append((Change(arm.name, {}, arm.change), sweep.seeds if arm.seeds is None else arm.seeds))
    _check(changes, path)
    arms = [
        _arm(base, change, seed, path)
        for seed in dict.fromkeys([*sweep.seeds, *(s for _, own in changes for s in own)])
        for change, own in changes
        if seed in own
    ]
    _check_configs(arms, path)
    runs: dict[str, tuple[SeededArm, ...]] = {}
    for made in arms:
        runs[made.plan.digest] = (*runs.get(made.plan.digest, ()), made)
    name = sweep.name or (path.resolve().parent.name if path.stem in SCALES else path.stem)
    return SweepPlan(name, path, sweep.figure, runs, tuple(arms))


def _check(changes: list[tuple[Change, tuple[int, ...]]], path: Path) -> None:
    """What only all arms together can break."""
    if not changes:
        raise UsageError(f"{path} has no arm. Give [factors.FACTOR.LEVEL] tables, [[arm]] tables or both.")
    names = [change.name for change, _ in changes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path} has two arms of the name {name!r}; results could not be told apart. Rename one.")
    for change, own in changes:
        if not own:
            raise UsageError(f"{path}: arm {change.name!r} has no seed. Give seeds = [0, 1, 2] at the top of the file.")
        training = change.values.get("training")
        if isinstance(training, dict) and "seed" in training:
            raise UsageError(f"{path}: arm {change.name!r} sets training.seed; seeds are given by `seeds`.")


def _arm(base: Mapping[str, Any], change: Change, seed: int, path: Path) -> SeededArm:
    values = merged(merged(base, change.values), {"training": {"seed": seed}})
    return SeededArm(change.name, change.levels, seed, plan_of(values, f"{path}, arm {change.name!r}"))


def _check_configs(arms: Iterable[SeededArm], path: Path) -> None:
    """Build every arm's S2LPOConfig once, as for a machine without a GPU: a plan for another machine can be read here.

    transformers writes into the environment on the way, which no run may inherit from another: it is put back.
    """
    environment = dict(os.environ)
    try:
        for arm in {arm.name: arm for arm in arms}.values():
            here = {**arm.plan.training, "use_cpu": True, "bf16": False, "fp16": False, "report_to": "none"}
            try:
                arm.plan.model_copy(update={"training": here}).config(path.parent / "unused")
            except S2LError as error:
                raise UsageError(f"{path}, arm {arm.name!r}: {error}") from error
    finally:
        os.environ.clear()
        os.environ.update(environment)
