"""The README blocks of training, from the committed results of the figures and tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from readme_studies import cell, estimate, experiment, table

from s2l_lab.browse.made_figures import OLD_RULES, by_old_rules
from s2l_lab.figures.claim_tables import claims_table
from s2l_lab.figures.registry import FIGURES

NAMES = tuple(name for name, figure in FIGURES.items() if figure.kind == "training")
"""Figures and tables that have results."""


def main_comparison() -> str:
    """GRPO and S2L-PO alone, of Figure 4."""
    return result("fig4", ("GRPO", "S2L-PO 360k"))


def result(name: str, arms: tuple[str, ...] = ()) -> str:
    """Every arm (or these) at the end of training, its paired differences to the baseline, its compute; then the
    verdicts about them."""
    found = experiment(name)
    ks = found["plan"]["end_k"]
    baseline = found["plan"]["baseline"]
    head = ["arm", "seeds", *(f"pass@{k}" for k in ks), *(f"pass@{k} less {baseline}'s" for k in ks), "rollout compute"]
    rows = [
        ["*before training*", "", *(_at(found["before"], k) for k in ks), *("" for _ in ks), ""],
        *(_row(arm, ks, baseline) for arm in found["arms"] if not arms or arm["arm"] in arms),
    ]
    asked = {claim["text"]: {claim["arm"], claim["against"]} for claim in found["plan"]["claim"]}
    verdicts = "\n".join(
        f"- {row.cells[0]}: {cell(row.cells[-1])}"
        for row, names in zip(claims_table(found["claims"]).rows, asked.values(), strict=True)
        if not arms or names <= set(arms)
    )
    facts = " ".join(line for line in found["about"] if not line.startswith("Made by"))
    old = by_old_rules(found)
    intervals = (
        "over training seeds and problems (crossed) for levels, over training seeds (paired) for differences"
        if old
        else "over training seeds and problems (crossed), for levels and for paired differences"
    )
    about = (
        f"pass@k with 95 % CI {intervals}. Rollout compute: counted FLOPs relative to GRPO's on the same rollouts, and "
        f"the explorer's share of it. {facts} Made by `{found['command']}`."
    )
    return "\n\n".join([table(head, rows), about, *([OLD_RULES] if old else ()), verdicts])


def _row(arm: dict[str, Any], ks: list[int], baseline: str) -> list[str]:
    seeds = len(arm["finished_seeds"])
    owed = f" of {seeds + len(arm['owed_seeds'])}" if arm["owed_seeds"] else ""
    differences = [_at(arm["difference_to_baseline"], k, "+") for k in ks]
    cost = arm["cost"]
    compute = "–" if cost is None else f"{cost['relative']:.2f}, {cost['explorer_share']:.0%}"
    ends = [_at(arm["end"], k) for k in ks]
    return [arm["arm"], f"{seeds}{owed}", *ends, *([""] * len(ks) if arm["arm"] == baseline else differences), compute]


def _at(listed: list[dict[str, Any]], k: int, sign: str = "") -> str:
    return next((estimate(entry["estimate"], sign=sign) for entry in listed if entry["k"] == k), "–")


BLOCKS: dict[str, Callable[[], str]] = {
    "training": main_comparison,
    **{name: partial(result, name) for name in NAMES},
}


def training_rows(found: dict[str, Any]) -> list[list[str]]:
    """The trainer's part of the table of speed."""
    step, memory = found["step_at_fraction_0"]["ratio"], found["peak_memory"]["ratio"]
    generation = ", ".join(
        f"{one['problems'] * found['group']} rollouts {_ends(one['measured_over_predicted'])}"
        for one in found["generation_at_fraction_half"]
    )
    return [
        [f"a step at explorer fraction 0 over TRL's own, {step['n']} pairs", _ends(step), "1.03x", "training.py"],
        ["generation at fraction .5 over what FLOPs predict, a round of", generation, "0.85x to 1.15x", "training.py"],
        [
            "peak memory with an explorer over TRL's, its weights apart",
            f"{memory['value']:.2f}x ({memory['least']:.2f} to {memory['greatest']:.2f})",
            "1.05x",
            "training.py",
        ],
    ]


def app_row(found: dict[str, Any]) -> list[str]:
    """The explorer app in a browser."""
    views = [found["first_view_seconds"][server]["median"] for server in ("cold", "warm")]
    waits = [found[f"{what}_seconds"]["p95"] for what in ("page_turns", "filters", "openings")]
    first, p95 = (", ".join(f"{seconds:.{digits}f} s" for seconds in s) for s, digits in ((views, 1), (waits, 2)))
    return [
        "app on 1,000,000 rollouts, in the browser: first view of a new server, second visit (each in a new profile); "
        "page turn, filter, next rollout (p95); peak memory",
        f"{first}; {p95}; {found['server_mb']:.0f} MB",
        "3 s; 1 s; 1,500 MB",
        "explorer_app.py",
    ]


def _ends(found: dict[str, Any]) -> str:
    return f"{found['value']:.2f}x [{found['lower']:.2f}, {found['upper']:.2f}]"
