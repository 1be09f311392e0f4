"""The terminal tables of a pass@k report. They fit 80 columns and say in plain ASCII what the figure says.

Four tables, since one would need 200 columns: pass@k, votes and cover, cost, and every pair's difference.
Policy names are shown as text: no markup and no escape sequence in them takes effect.
"""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from s2l_lab.figures.caption import caption_lines, crossing_words
from s2l_lab.figures.markup import printable
from s2l_lab.figures.passk import chosen_curve
from s2l_lab.verifiers import is_lenient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s2l_lab.estimators import Comparison, CoverCurve, Curve
    from s2l_lab.passk.report import PasskReport, PolicyReport

TAUS = (0.1, 0.5, 0.9)
"""Solve rates near which the table shows Cover@tau; numbers.json has all."""
MOST_KS = 5
SILENT_SHARE = 0.2
"""Share of a policy's rollouts without an answer above which a line says so."""
PRIOR = "*: above N/2 the interval leans on a prior over solve rates; N >= 4k frees it."


def print_passk(report: PasskReport, console: Console) -> None:
    """Print the report: tables, then the caption that makes the numbers readable on their own."""
    console.print(passk_tables(report))


def passk_tables(report: PasskReport) -> RenderableType:
    """The tables and their caption as one rich renderable."""
    tables = [_passk(report), _measures(report), _cost(report)] + ([_differences(report)] if report.comparisons else [])
    parts: list[RenderableType] = [part for table in tables for part in (table, Text())]
    lines = caption_lines(report) + ([PRIOR] if _leans_on_prior(report) else []) + no_data_lines(report)
    loud = [Text(line, style="bold red") for line in silent_lines(report)]
    return Group(*parts, *(Text(printable(line), style="dim") for line in lines), *loud)


def no_data_lines(report: PasskReport) -> list[str]:
    """What has no value, by policy and reason."""
    lines = []
    for policy in report.policies:
        for reason in dict.fromkeys(policy.no_data.values()):
            measures = ", ".join(name for name, why in policy.no_data.items() if why == reason)
            lines.append(f"No data for {policy.name}: {measures} ({reason}).")
    return lines


def silent_lines(report: PasskReport) -> list[str]:
    """`silent_line` of the policies that have one."""
    run, version = report.run_directory, report.verifier_version
    lines = (silent_line(policy.name, policy.outcomes, run, version) for policy in report.policies)
    return [line for line in lines if line]


def silent_line(policy: str, outcomes: Mapping[str, int], run: Path, verifier: str) -> str | None:
    """A line where more than a fifth of a policy's rollouts count as wrong for want of an answer, and what to do."""
    total = sum(outcomes.values())
    cut, silent = outcomes.get("truncated", 0), outcomes.get("no_answer", 0)
    if not total or (cut + silent) / total <= SILENT_SHARE:
        return None
    advice = [f"raise --max-tokens ({cut / total:.0%} were cut before an answer)"] if cut else []
    if silent:
        looser = f"see what a looser rule finds with s2l-lab verify --run {shlex.quote(str(run))} --extraction lenient"
        advice.append(
            ("look at some of them with s2l-lab dashboard" if is_lenient(verifier) else looser)
            + f" ({silent / total:.0%} ended without an answer in a known form)"
        )
    return printable(
        f"WARNING: {(cut + silent) / total:.0%} of {policy}'s {total:,} rollouts have no answer and count as wrong. "
        f"Before reading its curve, {'; '.join(advice)}."
    )


def shown_ks(n_rollouts: int) -> list[int]:
    """The k of the table: powers of four up to N, and N itself; at most five."""
    ks = sorted({4**i for i in range(n_rollouts.bit_length()) if 4**i <= n_rollouts} | {n_rollouts})
    return ks if len(ks) <= MOST_KS else [ks[0], *ks[1 - MOST_KS :]]


def number(value: float, digits: int = 3, sign: str = "") -> str:
    """`value` without its leading zero, as .731 (`sign` is `+` to show it always); a dash where it is undefined."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def amount(count: float) -> str:
    """A large count in three digits, as 1.93M."""
    if not math.isfinite(count):
        return "-"
    rounded = float(f"{count:.3g}")
    power = min(int(math.log10(rounded)) // 3, 6) if rounded >= 1 else 0
    return f"{rounded / 1000**power:.3g}{['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"


def _grid(title: str, first: str, width: int) -> Table:
    """An empty table: its title, and its first column with that many characters for names."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(first, overflow="fold", min_width=min(width, 12), max_width=width)
    return table


def _passk(report: PasskReport) -> Table:
    table = _grid(f"pass@k on {printable(report.benchmark)}", "policy", 16)
    ks = shown_ks(report.n_rollouts)
    for k in ks:
        table.add_column(f"@{k}", justify="right", no_wrap=True)
    for policy in report.policies:
        curve = chosen_curve(policy, report.interval)
        table.add_row(Text(printable(policy.name)), *(_interval_cell(curve, k) for k in ks))
    guess = report.policies[0].guess_uniform
    if guess is not None:
        at = np.searchsorted(report.policies[0].curve_rollouts.k, ks)
        table.add_row(Text("uniform guess", style="dim"), *(Text(number(float(g)), style="dim") for g in guess[at]))
    return table


def _leans_on_prior(report: PasskReport) -> bool:
    return any("prior-dependent" in m for p in report.policies for m in chosen_curve(p, report.interval).method)


def _interval_cell(curve: Curve, k: int) -> Text:
    """Value over interval (`*`: it leans on a prior); where verdicts are missing, the two values it lies between."""
    at = int(np.searchsorted(curve.k, k))
    if not math.isfinite(curve.value[at]):
        low, high = number(float(curve.bound_low[at])), number(float(curve.bound_high[at]))
        return Text.assemble(f"{low} to {high}\n", ("unknowns", "dim"))
    prior = "*" if "prior-dependent" in curve.method[at] else ""
    return _cell(float(curve.value[at]), float(curve.lower[at]), float(curve.upper[at]), mark=prior)


def _measures(report: PasskReport) -> Table:
    """maj@k at its largest k, and Cover at three solve rates: smoothed, likeliest, and exact bounds."""
    table = _grid("maj@k; Cover@tau (C@: smoothed | NPMLE over exact bounds)", "policy", 16)
    votes = max((k for policy in report.policies for k, _ in policy.maj), default=0)
    tau = report.policies[0].cover.tau
    places = sorted({int(np.argmin(np.abs(tau - wanted))) for wanted in TAUS})
    for head in [*([f"maj@{votes}"] if votes else []), *(f"C@{number(float(tau[i]), 2)}" for i in places)]:
        table.add_column(head, justify="right", no_wrap=True)
    for policy in report.policies:
        maj = [_maj_cell(policy, votes)] if votes else []
        table.add_row(Text(printable(policy.name)), *maj, *(_cover_cell(policy.cover, i) for i in places))
    return table


def _maj_cell(policy: PolicyReport, votes: int) -> Text:
    found = [_cell(e.value, e.lower, e.upper) for k, e in policy.maj if k == votes]
    return found[0] if found else Text("-")


def _cover_cell(cover: CoverCurve, at: int) -> Text:
    points = f"{number(float(cover.smoothed[at]))} | {number(float(cover.npmle[at]))}"
    ends = f"[{number(float(cover.bounds_lower[at]), 2)}, {number(float(cover.bounds_upper[at]), 2)}]"
    return Text.assemble((points, "bold"), "\n", (ends, "dim"))


def _cost(report: PasskReport) -> Table:
    """Size, what the rollouts cost, and how many ended without an answer."""
    table = _grid("cost (length: tokens a rollout; cut: share cut at max tokens)", "policy", 16)
    for head in ("params", "length", "cut", "no answer", "tokens", "FLOPs/rollout"):
        table.add_column(head, justify="right", no_wrap=True)
    for policy in report.policies:
        rollouts = sum(policy.outcomes.values())
        shares = [policy.outcomes.get(o, 0) / rollouts if rollouts else math.nan for o in ("truncated", "no_answer")]
        cells = [
            amount(policy.shape.parameters) if policy.shape else "-",
            f"{policy.mean_length:.1f}" if math.isfinite(policy.mean_length) else "-",
            *(number(share) for share in shares),
            amount(policy.completion_tokens),
            amount(policy.flops_per_rollout),
        ]
        table.add_row(Text(printable(policy.name)), *(Text(cell) for cell in cells))
    return table


def _differences(report: PasskReport) -> Table:
    """One row a pair: larger minus smaller at k = 1 and k = N, and the verdict in words."""
    table = _grid("differences in pass@k, and whether the curves cross", "larger - smaller", 19)
    for k in (1, report.n_rollouts):
        table.add_column(f"@{k}", justify="right", no_wrap=True)
    table.add_column("verdict by the band", overflow="fold")
    for c in report.comparisons:
        ends = [_difference_cell(c, at) for at in (0, -1)]
        table.add_row(Text(printable(f"{c.b} - {c.a}")), *ends, Text(printable(crossing_words(c))))
    return table


def _difference_cell(comparison: Comparison, at: int) -> Text:
    c = comparison
    return _cell(float(c.value[at]), float(c.lower[at]), float(c.upper[at]), sign="+")


def _cell(value: float, lower: float, upper: float, sign: str = "", mark: str = "") -> Text:
    """A value over its interval."""
    ends = f"[{number(lower, 2, sign)}, {number(upper, 2, sign)}]{mark}"
    return Text.assemble((number(value, 3, sign), "bold"), "\n", (ends, "dim"))
