"""Plots for notebooks: results of the estimators in, one Plotly figure out. They use the drawing of the other figures.

Every figure gives its n and what its intervals are over. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.errors import UsageError
from s2l_lab.estimators.estimate import Comparison, Curve
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import crossing_words, interval_words, wrapped
from s2l_lab.figures.differences import difference_title, draw_difference, reach
from s2l_lab.figures.markup import markup
from s2l_lab.figures.palette import INK, SHADES, member_colours
from s2l_lab.figures.panel import Axis, log2_axis
from s2l_lab.figures.passk import curve_axis, curve_ends, draw_passk, label_curves

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 760
COLUMNS = 3
"""Differences in a row."""
CELL = 18
"""Side of a solve rate's square in pixels."""


def plot_passk(curves: Mapping[str, Curve] | Curve, title: str = "pass@k") -> Any:
    """Plot pass@k over k (log scale), with the interval of each curve as a ribbon. Returns a Plotly Figure.

    `curves` maps names to results of `pass_at_k_curve`, small members first (larger members are darker and bluer). A
    single Curve is allowed too. The caption gives n, N and what the intervals are over. Raises UsageError if there is
    no curve, or if a value is not a Curve.

    >>> import s2l_lab as s2l
    >>> curve = s2l.pass_at_k_curve([3, 0, 60], 64)
    >>> figure = s2l.plot_passk({"1.7B": curve})
    >>> figure.layout.meta["title"]
    'pass@k'
    """
    named = {"pass@k": curves} if isinstance(curves, Curve) else dict(curves)
    for name, curve in named.items():
        if not isinstance(curve, Curve):
            raise UsageError(f"{name!r} is a {type(curve).__name__}; give the Curve of pass_at_k_curve.")
    if not named:
        raise UsageError("no curve was given; give {name: curve}, as from pass_at_k_curve.")
    colours = member_colours(list(named))
    n = dict.fromkeys(f"n = {c.n_problems} problems, N = {c.n_rollouts} rollouts per problem" for c in named.values())
    canvas = Canvas(WIDTH, title, "; ".join(n))
    largest = max(int(c.k[-1]) for c in named.values())
    x, y = log2_axis(largest, "k (log scale)"), curve_axis(curve_ends(named))
    panel = canvas.panel((72, 104, 520, 370), "", "", x, y)
    draw_passk(panel, named, colours)
    label_curves(panel, named, colours)
    about = dict.fromkeys(interval_words(c.level, c.interval, c.n_clusters) for c in named.values())
    return canvas.finish([markup(line) for line in wrapped([f"Ribbons: {'; '.join(about)}."], 110)])


def plot_difference(comparisons: Comparison | Sequence[Comparison]) -> Any:
    """Plot differences of pass@k over k, with interval, simultaneous band and crossing. Returns a Plotly Figure.

    `comparisons` is the result of `compare`: one Comparison, or several. Each gets a panel, all with the same scale.
    Raises UsageError if there is none.

    >>> import s2l_lab as s2l
    >>> found = s2l.compare({"1.7B": ([9, 0, 20, 12], 64), "8B": ([30, 0, 41, 11], 64)})
    >>> s2l.plot_difference(found).layout.meta["title"]
    'Difference of pass@k'
    """
    pairs = list(comparisons) if isinstance(comparisons, Sequence) else [comparisons]
    if not pairs or not all(isinstance(one, Comparison) for one in pairs):
        raise UsageError("plot_difference takes the result of compare: one Comparison, or several.")
    names = list(dict.fromkeys(name for one in pairs for name in (one.a, one.b)))
    colours, half = member_colours(names), reach(pairs)
    columns = min(COLUMNS, len(pairs))
    canvas = Canvas(max(WIDTH // 2 + 80, 366 * columns + 96), "Difference of pass@k")
    for place, one in enumerate(pairs):
        row, column = divmod(place, columns)
        box = (72.0 + 366 * column, 104.0 + 268 * row, 296.0, 150.0)
        x, y = log2_axis(int(one.k[-1])), Axis("difference", -half, half)
        draw_difference(canvas.panel(box, difference_title(one, colours), markup(crossing_words(one)), x, y), one)
    first = pairs[0]
    band = f"Light: {first.level:.0%} band, simultaneous over all k" + (" and pairs" if len(pairs) > 1 else "")
    lines = [
        f"{band}; darker: interval at each k. n = {first.n_problems} problems, N = {first.n_rollouts} rollouts; "
        f"{interval_words(first.level, first.resampled, first.n_clusters)}."
    ]
    return canvas.finish([markup(line) for line in wrapped(lines, 64 * columns)])


def plot_solve_rates(
    counts: pd.DataFrame | Mapping[str, tuple[Any, Any]], problems: Sequence[object] | None = None
) -> Any:
    """Plot the solve rate of every policy on every problem as a heat map, easiest problem first.

    `counts` is the result of `open_run(...).counts()` (index policy, problem; columns correct and total). It may also
    map names to (correct, total), arrays of shape (P,) over the same problems in the same order; total may be one
    number, and `problems` gives the names of the problems. Darker cells are solved more often (correct / total, from 0
    to 1). A cell without rollouts is empty. Rollouts without a verdict count as not solved. Raises UsageError if the
    lengths do not match.

    >>> import s2l_lab as s2l
    >>> figure = s2l.plot_solve_rates({"1.7B": ([3, 0, 60], 64), "8B": ([9, 2, 64], 64)})
    >>> figure.data[0].z[0]
    [0.9375, 0.046875, 0.0]
    """
    names, ids, rate_MP, hover = _rates(counts, problems)
    order = np.argsort(-np.nan_to_num(rate_MP).mean(0), kind="stable")
    wide, high = min(max(CELL * len(ids), 300), WIDTH - 250), max(CELL * len(names) * 1.5, 60)
    canvas = Canvas(WIDTH, "Solve rates", f"n = {len(ids)} problems, the easiest first")
    panel = canvas.panel(
        (150, 104, wide, high),
        "",
        "",
        Axis("problem (place in this order)", 0.5, len(ids) + 0.5),
        Axis("", -0.5, len(names) - 0.5, ticks=()),
    )
    panel.heat(rate_MP[:, order], [[row[i] for i in order] for row in hover], SHADES, title="solve rate")
    for place, name in enumerate(names):
        panel.note(0, (place + 0.5) / len(names), markup(name), xanchor="right", yanchor="middle", xshift=-8, color=INK)
    return canvas.finish(["Share of a problem's rollouts that are correct; hover for the counts."])


def _rates(counts: Any, problems: Sequence[object] | None) -> tuple[list[str], list[str], Any, list[list[str]]]:
    """Names (M), problem ids (P), rates (M, P) and hover texts (M, P)."""
    if hasattr(counts, "columns"):
        if not {"correct", "total"} <= set(counts.columns) or counts.index.nlevels != 2:
            raise UsageError("the frame is none of counts(): it needs the index (policy, problem) and correct, total.")
        table = {str(name): one.droplevel(0) for name, one in counts.groupby(level=0, sort=False)}
        ids = [str(problem) for problem in next(iter(table.values())).index] if table else []
        pairs = {name: (one["correct"].reindex(ids), one["total"].reindex(ids)) for name, one in table.items()}
    else:
        pairs = dict(counts)
        sizes = {len(pair[0]) for pair in pairs.values()} | (set() if problems is None else {len(problems)})
        if len(sizes) > 1:
            raise UsageError(f"policies and problems have different lengths ({sorted(sizes)}); give the same problems.")
        ids = [str(problem) for problem in (range(1, max(sizes, default=0) + 1) if problems is None else problems)]
    if not pairs or not ids:
        raise UsageError("no counts were given; give {name: (correct, total)}, or the frame of open_run(...).counts().")
    correct_MP = np.array([np.asarray(c, dtype=np.float64) for c, _ in pairs.values()])
    total_MP = np.array([np.broadcast_to(np.asarray(n, dtype=np.float64), len(ids)) for _, n in pairs.values()])
    rate_MP = np.divide(correct_MP, total_MP, out=np.full(correct_MP.shape, np.nan), where=total_MP > 0)
    hover = [
        [f"<b>{markup(name)}</b>, problem {markup(i)}<br>{c:.0f} of {n:.0f} correct" for i, c, n in cells]
        for name, cells in zip(pairs, map(lambda c, n: zip(ids, c, n, strict=True), correct_MP, total_MP), strict=True)
    ]
    return list(pairs), ids, rate_MP, hover
