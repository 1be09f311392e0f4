"""How records of numbers show themselves: a line for the console, a table for a notebook, a pandas frame.

A number never stands without its interval and its n, also where a record is merely printed. pandas is imported when a
frame is asked for. Names come from outside and are escaped in HTML.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

NOT_IN_NUMBERS = {"numbers": False}
"""Metadata of a field that is kept for showing: numbers.json has what it holds in another place."""
SHOWN = 3
"""Rows of a record that the console line has."""


def named_in_numbers(name: str) -> dict[str, str]:
    """Metadata of a field that numbers.json has under another name."""
    return {"numbers": name}


class Displayed:
    """A record that has `to_frame()`, a console line and an HTML table; a subclass says its title, rows and notes."""

    __slots__ = ()

    def _columns(self) -> dict[str, Any]:
        """The frame's columns by name, of equal length."""
        raise NotImplementedError

    def _title(self) -> str:
        """What it is; empty where the name of the class says it."""
        return ""

    def _rows(self) -> list[tuple[str, str]]:
        """Label and reading of every row of the table, in order."""
        raise NotImplementedError

    def _few(self, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The rows of the console line."""
        return rows if len(rows) <= SHOWN else [rows[0], rows[len(rows) // 2], rows[-1]]

    def _notes(self) -> list[str]:
        """What the intervals are about, and n."""
        raise NotImplementedError

    def to_frame(self) -> pd.DataFrame:
        """The record as a pandas DataFrame, one row a number; what holds for all numbers stands in every row."""
        import pandas as pd

        return pd.DataFrame(self._columns())

    def __repr__(self) -> str:
        said = ", ".join(f"{label}: {value}" if label else value for label, value in self._few(self._rows()))
        title = " ".join(filter(None, [type(self).__name__, self._title()]))
        return f"<{title}: {'; '.join([said, *self._notes()])}>"

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><td style="text-align:left">{escape(label)}</td><td>{escape(value)}</td></tr>'
            for label, value in self._rows()
        )
        title = " ".join(filter(None, [type(self).__name__, self._title()]))
        return f"<table><caption>{escape('; '.join([title, *self._notes()]))}</caption>{body}</table>"


def reading(value: float, lower: float, upper: float, *, signed: bool = False) -> str:
    """A value with its ends to three digits, as "0.731 [0.7, 0.76]"; a dash where it is undefined, with the ends where
    rollouts without a verdict leave it open between them. `signed` is for differences."""
    form = "+.3g" if signed else ".3g"
    known = math.isfinite(lower) and math.isfinite(upper)
    ends = f" [{lower:{form}}, {upper:{form}}]" if known else ""
    if not math.isfinite(value):
        return f"\u2013{ends}"
    return f"{value:{form}}{ends or ' (no interval)'}"


def about_interval(level: float, resampled: str, clusters: int | None = None) -> str:
    """As "95% CI over problems": what was resampled."""
    return f"{100 * level:.4g}% CI over {resampled}" + ("" if clusters is None else f" ({clusters} clusters)")


def spread_of_k(ks: Sequence[int]) -> list[int]:
    """Places in increasing `ks` of the powers of two and of the last one: the rows of a table."""
    return [i for i, k in enumerate(ks) if k & (k - 1) == 0 or i == len(ks) - 1]
