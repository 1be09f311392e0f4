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
from typing import TYPE_CHECKING, Any

from s2l_lab.errors import S2LError, UsageError, unknown_name
from s2l_lab.sweeps.product import Change, merged, product_of
from s2l_lab.training.plan import TrainingPlan, plan_of, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEYS = ("name", "base", "seeds", "factors", "arm", "figure")
ARM_KEYS = ("name", "seeds", "change")
SCALES = ("mini", "paper", "sweep")
"""File names that say nothing about the sweep: it is named after the folder then."""


@dataclass(frozen=True, slots=True)
class Arm:
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
    runs: Mapping[str, tuple[Arm, ...]]
    """Plan digest -> the arms that are this run, in order of launching."""
    _arms: tuple[Arm, ...] = field(repr=False)

    def arms(self) -> tuple[Arm, ...]:
        """Every arm with every seed, in order of launching."""
        return self._arms


def read_sweep(path: Path) -> SweepPlan:
    """The sweep of a file. Raises DataError for a file that is none; UsageError for a key or value that is not allowed,
    which names the arm."""
    values = read_toml(path)
    _known(values, KEYS, f"(in {path})")
    base = _base(values, path)
    seeds = _seeds(values.get("seeds"), str(path))
    changes = [(change, seeds) for change in product_of(_factors(values, path), str(path))]
    changes += [_further(arm, seeds, path) for arm in _tables(values.get("arm", []), f"{path}: [[arm]]")]
    _check(changes, path)
    arms = [
        _arm(base, change, seed, path)
        for seed in dict.fromkeys([*seeds, *(s for _, own in changes for s in own)])
        for change, own in changes
        if seed in own
    ]
    _check_configs(arms, path)
    runs: dict[str, tuple[Arm, ...]] = {}
    for arm in arms:
        runs[arm.plan.digest] = (*runs.get(arm.plan.digest, ()), arm)
    return SweepPlan(_name(values, path), path, values.get("figure", {}), runs, tuple(arms))


def _base(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    base = values.get("base")
    if isinstance(base, str):
        return read_toml(path.parent / base)
    if isinstance(base, dict):
        return base
    raise UsageError(
        f'{path} needs a base: base = "training.toml" (the path of a training plan from there) or a [base] table.'
    )


def _factors(values: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    factors = values.get("factors", {})
    for place, levels in [("", factors), *(factors.items() if isinstance(factors, dict) else ())]:
        named = f"{path}: factors{place and f'.{place}'}"
        if not isinstance(levels, dict) or (place and not levels):
            raise UsageError(f"{named} is no table of levels; write [factors.FACTOR.LEVEL] for each level.")
        for level, change in levels.items():
            if not isinstance(change, dict):
                raise UsageError(f"{named}.{level} is {change!r}; write [factors.FACTOR.LEVEL] and its changes below.")
    return dict(factors)


def _further(arm: Mapping[str, Any], seeds: tuple[int, ...], path: Path) -> tuple[Change, tuple[int, ...]]:
    _known(arm, ARM_KEYS, f"(in [[arm]] of {path})")
    name, change = arm.get("name"), arm.get("change", {})
    if not isinstance(name, str) or not name:
        raise UsageError(f'{path}: an [[arm]] has no name; write name = "...".')
    if not isinstance(change, dict):
        raise UsageError(f"{path}: the change of arm {name!r} is {change!r}; it is a table, as {{training = {{...}}}}.")
    own = _seeds(arm["seeds"], f"{path}, arm {name!r}") if "seeds" in arm else seeds
    return Change(name, {}, change), own


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


def _arm(base: Mapping[str, Any], change: Change, seed: int, path: Path) -> Arm:
    values = merged(merged(base, change.values), {"training": {"seed": seed}})
    return Arm(change.name, change.levels, seed, plan_of(values, f"{path}, arm {change.name!r}"))


def _check_configs(arms: Iterable[Arm], path: Path) -> None:
    """Build every arm's S2LPOConfig once, as for a machine without a GPU: a plan for another machine can be read here.

    transformers writes into the environment on the way, which no run may inherit from another: it is put back.
    """
    environment = dict(os.environ)
    try:
        for arm in {arm.name: arm for arm in arms}.values():
            here = {**arm.plan.training, "use_cpu": True, "bf16": False, "fp16": False, "report_to": "none"}
            try:
                arm.plan.model_copy(update={"training": here}).config(path.parent / "unused")
            except (S2LError, ValueError, ImportError) as error:
                raise UsageError(f"{path}, arm {arm.name!r}: {error}") from error
    finally:
        os.environ.clear()
        os.environ.update(environment)


def _seeds(given: Any, where: str) -> tuple[int, ...]:
    seeds = [] if given is None else given
    if not isinstance(seeds, list) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise UsageError(f"{where}: seeds is {given!r}; it is a list of whole numbers from 0, as [0, 1, 2].")
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{where}: seeds {given} has one twice; a repeated run is no further seed.")
    return tuple(seeds)


def _tables(given: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
        raise UsageError(f"{where} is a list of tables; write [[arm]], in two brackets.")
    return given


def _known(values: Iterable[str], keys: Iterable[str], hint: str) -> None:
    for key in values:
        if key not in keys:
            raise unknown_name("key", key, keys, hint)


def _name(values: Mapping[str, Any], path: Path) -> str:
    given = values.get("name", path.resolve().parent.name if path.stem in SCALES else path.stem)
    if not isinstance(given, str) or not given:
        raise UsageError(f"{path}: name is {given!r}; it is text.")
    return given
