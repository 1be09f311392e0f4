"""The decisions of a figure as tables, from its numbers.json: each claim of training, and each crossing of Figure 2.

Figure, terminal, app and READMEs show them in these words. A file of another release may lack what is read here, so
nothing is taken for granted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.numbers import plain
from s2l_lab.figures.tables import Strong, table, texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.figures.tables import Table
    from s2l_lab.training.results import ClaimResult


def claim_numbers(claims: Sequence[ClaimResult]) -> list[dict[str, Any]]:
    """The claims for programs: what is said, the difference that was found, the decision."""
    values = [
        {"claim": claim_words(claim), "difference": claim.difference, "verdict": claim.decision} for claim in claims
    ]
    return list(plain(values))


def claims_table(claims: Sequence[Mapping[str, Any]]) -> Table:
    """A row for each claim; the reason of a decision stands below it."""
    rows = [
        (str(claim.get("claim")), difference_words(claim.get("difference")), _decision(claim.get("verdict") or {}))
        for claim in claims
    ]
    return table("", texts("claim", "difference, 95 % over seeds and problems", "verdict"), rows)


def crossings_table(panels: Sequence[Mapping[str, Any]]) -> Table:
    """For each panel of Figure 2: where the curves cross in the paper's picture, and what our band says."""
    rows = []
    for panel in panels:
        paper, pair = panel.get("paper"), " against ".join(map(str, panel.get("pair") or ()))
        sizes = f"{paper.get('small')} against {paper.get('large')}: " if isinstance(paper, dict) else ""
        words = f"{sizes}{panel.get('paper_crossing')}", f"{pair}: {panel.get('crossing_words')}"
        rows.append((str(panel.get("panel")), *words))
    return table("does the smaller member overtake?", texts("panel", "paper (picture, no interval)", "ours"), rows)


def claim_words(claim: ClaimResult) -> str:
    """The claim with k and benchmark where they are not plain from its text."""
    plan = claim.plan
    at = [f"pass@{plan.k}"] if f"pass@{plan.k}" not in plan.text else []
    at += [f"step {plan.step}"] if plan.step is not None else []
    at += [plan.benchmark] if plan.benchmark is not None and plan.benchmark not in plan.text else []
    return f"{plan.text} ({', '.join(at)})" if at else plan.text


def difference_words(found: Any) -> str:
    """A difference with its interval and seeds, as "+.012 [\u2212.003, +.027], 5 seeds"; a dash where there is none."""
    if not isinstance(found, dict):
        return "\u2013"
    seeds = found.get("n_seeds") or 1
    words = signed_reading(*(found.get(name) for name in ("value", "lower", "upper")))
    return f"{words}, {seeds} seed{'s' if seeds != 1 else ''}"


def signed_reading(value: Any, lower: Any, upper: Any) -> str:
    """A difference with its interval, as "+.012 [\u2212.003, +.027]"."""
    ends = (signed(lower), signed(upper))
    return f"{signed(value)} (no interval)" if "\u2013" in ends else f"{signed(value)} [{', '.join(ends)}]"


def signed(value: Any) -> str:
    """A share's difference to three digits, as "+.012"; a dash for what is no number."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "\u2013"
    text = f"{abs(value):.3f}"
    return ("\u2212" if value < 0 else "+") + (text[1:] if text.startswith("0.") else text)


def _decision(verdict: Mapping[str, Any]) -> Strong:
    return Strong("\n".join([str(verdict.get("decision")), *([str(verdict["why"])] if verdict.get("why") else [])]))
