"""`s2l-lab plan-power`: how many seeds, problems and rollouts a gain in pass@k needs before anyone samples."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from s2l_lab.cli.tables import in_terminal
from s2l_lab.errors import UsageError
from s2l_lab.estimators.components import Components, assumed_components, pilot_components
from s2l_lab.estimators.power import Claim, Clusters, Design, PowerPlan, plan_power
from s2l_lab.estimators.seeds import SEEDS_FOR_A_CLAIM
from s2l_lab.figures.markup import printable
from s2l_lab.figures.numbers import as_json, plain
from s2l_lab.figures.tables import Strong, Table, number, table
from s2l_lab.policies.solve_rates import parse_solve_rates

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = (5, 10, 20)
PROBLEMS = (30, 100, 300, 1_000)
ROLLOUTS = (16, 64, 256)
RATES = "beta(0.3,1)"
PROBLEM_SD, SEED_SD, RUN_SD = 0.3, 0.15, 0.3
"""Assumed spreads in logits: of a problem's gain, of a run's, and of what a run gains on one problem beyond both."""
_QUANTILES = 300


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumptions that are used without a pilot."""

    rates: str
    problem_sd: float
    seed_sd: float
    run_sd: float


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """The values of the flags; None stands for a default."""

    gain: float
    k: int
    claim: Claim
    seeds: Sequence[int] | None
    problems: Sequence[int] | None
    rollouts: Sequence[int] | None
    power: float
    level: float
    clusters: Clusters
    assumed: dict[str, Any]
    """The fields of Assumptions that were given."""
    baseline: Sequence[str]
    method: Sequence[str]


def run(request: PowerRequest, *, as_json_text: bool) -> None:
    """Print the plan as a table or as JSON. Raises UsageError for what cannot be planned."""
    components, source = _components(request)
    rollouts = request.rollouts or [n for n in ROLLOUTS if n >= request.k] or [request.k, 4 * request.k]
    if request.claim == "run" and request.seeds:
        raise UsageError("--seeds are for --claim training; a comparison of two policies has one run of each.")
    plan = plan_power(
        components,
        request.gain,
        claim=request.claim,
        seeds=request.seeds or SEEDS,
        problems=request.problems or PROBLEMS,
        rollouts=rollouts,
        clusters=request.clusters,
        power=request.power,
        level=request.level,
    )
    if as_json_text:
        print(as_json(_values(plan, components, source)), end="")
    else:
        _print(plan, components, source, Console(highlight=False))


def _components(request: PowerRequest) -> tuple[Components, str]:
    """The variance components, with their source in words."""
    if not 0 < request.gain < 1:
        raise UsageError(f"--gain {request.gain:g}: a gain is a difference in pass@k, as 0.05, above 0 and below 1.")
    if request.baseline or request.method:
        if request.assumed:
            raise UsageError("--baseline and --method measure the spreads; leave --rates and the --...-sd flags out.")
        from s2l_lab.cli.pilot import read_pilot

        pilot = read_pilot(request.baseline, request.method)
        seeds, problems = pilot.baseline[0].shape
        return (
            pilot_components(pilot.baseline, pilot.method, request.k),
            f"estimated from {seeds} {'pair' if seeds == 1 else 'pairs'} of runs on {problems:,} problems",
        )
    fields: dict[str, Any] = {"rates": RATES, "problem_sd": PROBLEM_SD, "seed_sd": SEED_SD, "run_sd": RUN_SD}
    assumed = Assumptions(**(fields | request.assumed))
    rates, weights = _quantiles(assumed.rates)
    components = assumed_components(
        rates,
        request.k,
        request.gain,
        weights=weights,
        problem_sd=assumed.problem_sd,
        seed_sd=assumed.seed_sd,
        interaction_sd=assumed.run_sd,
    )
    before = sum(w * (1 - (1 - p) ** request.k) for w, p in zip(weights, rates, strict=True))
    spreads = f"{number(assumed.problem_sd, 2)} by problem"
    if request.claim == "training":
        spreads += f", {number(assumed.seed_sd, 2)} by training run"
    return components, (
        f"assumed: solve rates {assumed.rates} (pass@{request.k} {number(before)} without the gain); spreads of "
        f"the gain in logits {spreads}, {number(assumed.run_sd, 2)} by run and problem"
    )


def _quantiles(text: str) -> tuple[list[float], list[float]]:
    """Solve rates of a distribution with their weights."""
    from scipy.special import betaincinv

    rates: list[float] = []
    weights: list[float] = []
    for part in parse_solve_rates(text).parts:
        size = 1 if part.b == 0 else _QUANTILES
        middles = [(i + 0.5) / size for i in range(size)]
        rates += [part.a] if part.b == 0 else [float(betaincinv(part.a, part.b, middle)) for middle in middles]
        weights += [part.weight / size] * size
    return rates, weights


def _values(plan: PowerPlan, components: Components, source: str) -> dict[str, Any]:
    cheapest = plan.cheapest
    return dict(
        plain(
            {
                "schema": 1,
                "claim": plan.claim,
                "k": plan.k,
                "gain": plan.gain,
                "power": plan.power,
                "level": plan.level,
                "clusters": dataclasses.asdict(plan.clusters),
                "components": {
                    "source": source,
                    "seed_sd": math.sqrt(components.seed),
                    "problem_sd": math.sqrt(components.problem),
                    "interaction_sd": math.sqrt(components.interaction),
                    "rollout_sd": {n: math.sqrt(components.rollout_noise(n)) for n in _sizes(plan)},
                },
                "designs": [_design(one) for one in plan.designs],
                "cheapest": None if cheapest is None else _design(cheapest),
            }
        )
    )


def _design(one: Design) -> dict[str, Any]:
    return dataclasses.asdict(one) | {"total_rollouts": one.total_rollouts}


def _sizes(plan: PowerPlan) -> list[int]:
    return sorted({one.rollouts for one in plan.designs})


def _print(plan: PowerPlan, components: Components, source: str, console: Console) -> None:
    between = "two ways of training" if plan.claim == "training" else "two policies"
    lines = [
        f"A gain of {number(plan.gain)} in pass@{plan.k} between {between}, shown where its {plan.level:.0%} interval "
        f"lies above 0. Wanted power: {number(plan.power, 2)}.",
        f"Spreads {source}.",
        f"As SD of a difference in pass@{plan.k}: {_spreads(plan, components)}.",
    ]
    if plan.clusters.size > 1:
        lines.append(
            f"Problems come in clusters of {plan.clusters.size:g} with correlation {plan.clusters.correlation:g}: "
            f"design effect {plan.clusters.design_effect:.2f}."
        )
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)
    console.print(f"\npower (smallest gain shown with power {number(plan.power, 2)})", style="bold")
    console.print(in_terminal(_table(plan)))
    console.print()
    for line in _findings(plan):
        console.print(Text(printable(line)), soft_wrap=True)


def _spreads(plan: PowerPlan, components: Components) -> str:
    parts = [f"problems {number(math.sqrt(components.problem))}"]
    if plan.claim == "training":
        parts.insert(0, f"seeds {number(math.sqrt(components.seed))}")
        parts.append(f"seed by problem {number(math.sqrt(components.interaction))}")
    elif components.interaction > 0:
        parts = [f"problems {number(math.sqrt(components.problem + components.interaction))}"]
    noise = ", ".join(f"{number(math.sqrt(components.rollout_noise(n)))} at N = {n}" for n in _sizes(plan))
    return ", ".join([*parts, f"rollouts {noise}"])


def _table(plan: PowerPlan) -> Table:
    """Rows are problems and N, columns seeds; a cell is the power and the smallest gain that is shown."""
    seeds = sorted({one.seeds for one in plan.designs})
    found = {(one.seeds, one.problems, one.rollouts): one for one in plan.designs}
    rows = []
    for problems, rollouts in dict.fromkeys((one.problems, one.rollouts) for one in plan.designs):
        cells = [found[s, problems, rollouts] for s in seeds]
        texts = [f"{number(one.power, 2)} ({number(one.detectable)})" for one in cells]
        shown = [Strong(text) if one.power >= plan.power else text for text, one in zip(texts, cells, strict=True)]
        rows.append([f"{problems:,}", f"{rollouts:,}", *shown])
    return table("", ["problems", "N", *("power" if plan.claim == "run" else f"{s} seeds" for s in seeds)], rows)


def _findings(plan: PowerPlan) -> list[str]:
    cheapest = plan.cheapest
    lines = []
    if cheapest is not None:
        lines.append(f"Cheapest (fewest training runs, then rollouts): {_in_words(plan, cheapest)}.")
    else:
        best = max(plan.designs, key=lambda one: (one.power, -one.total_rollouts))
        which, flag = ("with ten seeds or more ", "--seeds, ") if plan.claim == "training" else ("", "")
        lines.append(
            f"No design {which}of this grid reaches power {number(plan.power, 2)}; the best one: "
            f"{_in_words(plan, best)}. Ask for larger {flag}--problems or --rollouts, or a larger gain."
        )
    if plan.claim == "training" and any(one.seeds < SEEDS_FOR_A_CLAIM for one in plan.designs):
        lines.append(f"Fewer than {SEEDS_FOR_A_CLAIM} seeds are a smoke result, whatever their power.")
    return lines


def _in_words(plan: PowerPlan, one: Design) -> str:
    seeds = f"{one.seeds} seeds of each method, " if plan.claim == "training" else ""
    return (
        f"{seeds}{one.problems:,} problems, N = {one.rollouts:,}; {one.total_rollouts:,} rollouts of both together, "
        f"power {number(one.power, 2)}"
    )
