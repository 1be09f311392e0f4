"""Tables as records, made once for every medium: a title, columns, rows of cells.

A table is made from the numbers that numbers.json holds, so one function serves a run that has just ended and a
committed result. Cells hold numbers with their intervals; the terminal (`cli.tables`), the page (`page_tables`), the
app and the READMEs each write them in their own way. Those of diversity and of the studies are in `study_tables`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TAUS = (0.1, 0.5, 0.9)
"""Solve rates near which the table shows Cover@tau; numbers.json has all."""
MOST_KS = 5


class Strong(str):
    """Text of a cell that stands out. As in every text, lines after the first are said in small."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its interval, as a cell. None where undefined."""

    value: float | None
    lower: float | None
    upper: float | None
    digits: int = 3
    """Number of decimals of the value."""
    ends: int | None = None
    """Number of decimals of the interval's ends; None lets the renderer choose."""
    sign: str = ""
    """`+` to show the sign of positive values too; empty otherwise."""
    percent: bool = False
    """Whether the value is a share to be written in percent."""
    mark: str = ""
    """Mark behind the interval, for example `*`."""
    about: tuple[str, ...] = ()
    """Further words on the number, such as its p and n."""
    n: int = 0
    """Number of problems behind the value."""


Cell = str | Number


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Texts stand at the left and may be folded, numbers at the right."""

    title: str
    text: bool = False
    width: int = 0
    """Maximum number of characters in a line of text; 0 for no limit."""


POLICY = Column("policy", text=True, width=16)


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row: a cell for each column, names first."""

    cells: tuple[Cell, ...]
    key: str = ""
    """Key of the row, for code that looks it up."""
    faint: bool = False
    """Whether the row is a reference rather than a result."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table for any medium. All texts are plain: who writes them escapes them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    stacked: bool = False
    """Whether intervals are written below their values if lines are short."""
    tight: bool = False
    """Whether columns are set close together if lines are short."""

    def only(self, *titles: str) -> Table:
        """The first column and those with these titles, in the table's order."""
        kept = [i for i, column in enumerate(self.columns) if not i or column.title in titles]
        rows = tuple(replace(row, cells=tuple(row.cells[i] for i in kept)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=rows)


@dataclass(frozen=True, slots=True)
class Printed:
    """What a terminal shows of a result."""

    tables: tuple[Table | str, ...]
    """A text stands where a table cannot be made, and says why."""
    lines: tuple[str, ...] = ()
    """Small print below them."""


def texts(*titles: str) -> tuple[Column, ...]:
    """Columns of texts."""
    return tuple(Column(title, text=True) for title in titles)


def table(
    title: str,
    heads: Sequence[str | Column],
    rows: Sequence[TableRow | Sequence[Cell]],
    *,
    stacked: bool = False,
    tight: bool = False,
) -> Table:
    """A table. Heads that are texts are those of numbers."""
    columns = tuple(head if isinstance(head, Column) else Column(head) for head in heads)
    return Table(
        title, columns, tuple(r if isinstance(r, TableRow) else TableRow(tuple(r)) for r in rows), stacked, tight
    )


def as_number(found: Mapping[str, Any] | None, digits: int = 3, **more: Any) -> Cell:
    """An estimate of numbers.json as a cell; a dash where there is none. `more` are fields of Number."""
    if found is None:
        return "-"
    return Number(found["value"], found["lower"], found["upper"], digits, n=found.get("n_problems", 0), **more)


def number(value: float | None, digits: int = 3, sign: str = "") -> str:
    """`value` without its leading zero, as .731 (`sign` is `+` to show it always); a dash where it is undefined."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("+-").startswith("0.") else text


def amount(count: float | None) -> str:
    """A large count in three digits, as 1.93M; a dash where it is undefined."""
    if count is None or not math.isfinite(count):
        return "-"
    rounded = float(f"{count:.3g}")
    power = min(int(math.log10(rounded)) // 3, 6) if rounded >= 1 else 0
    return f"{rounded / 1000**power:.3g}{['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"


def p_words(p: float) -> str:
    """A p-value, as "p .012"."""
    return "p < .001" if p <= 0.001 else f"p {number(p)}"


def passk_tables(found: Mapping[str, Any]) -> list[Table]:
    """The tables of a pass@k report's numbers: pass@k, votes and cover, cost, and every pair's difference.

    Four tables, since one would need 200 columns.
    """
    more = [_differences(found)] if found["differences"] else []
    return [passk_table(found, shown_ks(found["n_rollouts"])), _measures(found), _cost(found), *more]


def shown_ks(n_rollouts: int) -> list[int]:
    """The k of the table: powers of four up to N, and N itself; at most five."""
    ks = sorted({4**i for i in range(n_rollouts.bit_length()) if 4**i <= n_rollouts} | {n_rollouts})
    return ks if len(ks) <= MOST_KS else [ks[0], *ks[1 - MOST_KS :]]


def passk_table(found: Mapping[str, Any], ks: Sequence[int]) -> Table:
    """pass@k of every policy (`*`: its interval leans on a prior), and of a uniform guesser where there is one."""
    rows = [TableRow((one["policy"], *(_curve_cell(one, k) for k in ks))) for one in found["curves"]]
    guess = found["policies"][0]["guess"]
    if guess["uniform"] is not None:
        values = dict(zip(guess["k"], guess["uniform"], strict=True))
        rows.append(TableRow(("uniform guess", *(number(values[k]) for k in ks)), faint=True))
    return table(f"pass@k on {found['benchmark']['name']}", [POLICY, *(f"@{k}" for k in ks)], rows, stacked=True)


def _curve_cell(curve: Mapping[str, Any], k: int) -> Cell:
    """Where verdicts are missing, the two values that it lies between."""
    i = curve["k"].index(k)
    if curve["value"][i] is None:
        return f"{number(curve['bound_low'][i])} to {number(curve['bound_high'][i])}\nunknowns"
    mark = "*" if "prior-dependent" in curve["method"][i] else ""
    return Number(curve["value"][i], curve["lower"][i], curve["upper"][i], ends=2, mark=mark)


def _measures(found: Mapping[str, Any]) -> Table:
    """maj@k at its largest k, and Cover at three solve rates: smoothed, likeliest, and exact bounds."""
    policies = found["policies"]
    votes = max((one["k"] for policy in policies for one in policy["maj"]), default=0)
    tau: list[float] = policies[0]["cover"]["tau"]
    places = sorted({tau.index(min(tau, key=lambda t: abs(t - wanted))) for wanted in TAUS})
    rows = []
    for policy in policies:
        cover, maj = policy["cover"], next((one for one in policy["maj"] if one["k"] == votes), None)
        cells = [
            Strong(
                f"{number(cover['smoothed'][i])} | {number(cover['npmle'][i])}\n"
                f"[{number(cover['bounds_lower'][i], 2)}, {number(cover['bounds_upper'][i], 2)}]"
            )
            for i in places
        ]
        rows.append([policy["policy"], *([as_number(maj)] if votes else []), *cells])
    title = "maj@k; Cover@tau (C@: smoothed | NPMLE over exact bounds)"
    heads: list[str | Column] = [
        POLICY,
        *([f"maj@{votes}"] if votes else []),
        *(f"C@{number(tau[i], 2)}" for i in places),
    ]
    return table(title, heads, rows, stacked=True)


def _cost(found: Mapping[str, Any]) -> Table:
    """Size, what the rollouts cost, and how many ended without an answer."""
    rows = []
    for policy in found["policies"]:
        cost, outcomes = policy["cost"], policy["outcomes"]
        rollouts, length = sum(outcomes.values()), cost["mean_length"]
        shares = (outcomes.get(o, 0) / rollouts if rollouts else None for o in ("truncated", "no_answer"))
        rows.append(
            [
                policy["policy"],
                amount(policy["shape"]["parameters"]) if policy["shape"] else "-",
                "-" if length is None else f"{length:.1f}",
                *map(number, shares),
                amount(cost["completion_tokens"]),
                amount(cost["flops_per_rollout"]),
            ]
        )
    title = "cost (length: tokens a rollout; cut: share cut at max tokens)"
    return table(title, [POLICY, "params", "length", "cut", "no answer", "tokens", "FLOPs/rollout"], rows)


def _differences(found: Mapping[str, Any]) -> Table:
    """One row a pair: larger minus smaller at k = 1 and k = N, and the verdict in words."""
    rows = [
        [
            f"{one['b']} - {one['a']}",
            *(Number(one["value"][i], one["lower"][i], one["upper"][i], sign="+") for i in (0, -1)),
            crossing["words"],
        ]
        for one, crossing in zip(found["differences"], found["crossings"], strict=True)
    ]
    names, verdict = Column("larger - smaller", text=True, width=19), Column("verdict by the band", text=True)
    title = "differences in pass@k, and whether the curves cross"
    return table(title, [names, "@1", f"@{found['n_rollouts']}", verdict], rows, stacked=True)
