"""A number of training over optimiser steps, wherever it is drawn; and metrics: a panel per arm, a line per source.

Arms are told apart by their panels and sources by their colours, so that a source looks alike wherever it stands. What
one arm does is compared with a reference arm that is drawn faint behind every other panel. All panels share both axes.
Numbers arrive with their intervals and are drawn as they stand, undefined ones as gaps; the axis is the lines', and a
band of few seeds that reaches far beyond them is cut by it, which the panel says. Background and text are left to who
shows the figure, a page in the reader's colours or a print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.estimators.display import reading
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS
from s2l_lab.figures.panel import Traces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.figures.palette import Look
    from s2l_lab.figures.paper import PaperCurve
    from s2l_lab.training.results import StepCurve

BOTH = "both sources"
"""Name of a line that tells no source from the other."""
COLOURS = SOURCE_COLOURS | {BOTH: "#8a6a8f"}
COLUMNS = 2
PANEL_HEIGHT = 230
TITLE_CHARACTERS = 66
LEGEND_CHARACTERS = 90
FEW_STEPS = 20
"""Lines of up to so many points show them."""
BAND_ROOM = 0.5
"""Of the lines' own range, what bands may take of the axis above the lines, and below."""
CUT = "bands cut at the axis"
CUT_WORDS = "Bands that reach beyond the axis are cut; the CSV has them whole."


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """One arm."""

    name: str
    """Title of the panel, plain text."""
    lines: Mapping[str, StepCurve]
    """Curves by source (`explorer`, `learner`), or under BOTH."""


def run_curves_figure(panels: Sequence[CurvePanel], y_title: str, reference: str | None = None) -> Any:
    """The plotly Figure. `reference` is the name of the panel that stands faint in the others; None draws none."""
    ends = readable_range([curve for panel in panels for curve in panel.lines.values()])
    titles = [panel_title(panel.name, panel.lines, ends) for panel in panels]
    figure = step_panels(titles, markup(y_title), ends)
    behind = next((panel for panel in panels if panel.name == reference), None)
    said: set[str] = set()
    for i, panel in enumerate(panels):
        axes = Traces(figure, i + 1, legend=LEGEND_CHARACTERS)
        if behind is not None and behind is not panel:
            for source, curve in behind.lines.items():
                name = f"{behind.name}: {source}"
                draw_step_curve(axes, curve, name, FAINT, said=said, alpha=0, width=1.3, dash="dot")
        for source, curve in panel.lines.items():
            draw_step_curve(axes, curve, source, COLOURS[source], said=said)
    return figure


def draw_step_curve(
    axes: Traces,
    curve: StepCurve,
    name: str,
    colour: str,
    *,
    told: Sequence[str] | None = None,
    said: set[str] | None = None,
    alpha: float = 0.16,
    **look: Any,
) -> None:
    """A number over steps, the one way for page and print: the interval where there is one, and on it the line.

    `name` is plain text; `told` is what each point says (markup; None makes it from the curve). `said` are the names
    that the legend has, and `name` joins them. An `alpha` of 0 leaves the interval out; `look` is of the line.
    """
    if told is None:
        told = [
            f"<b>{markup(name)}</b><br>step {step}: {reading(value, low, high)}<br>{markup(curve.method)}"
            for step, value, low, high in curve.points
        ]
    if alpha and np.any(np.isfinite(curve.lower_S) & np.isfinite(curve.upper_S)):
        ribbon = f"{markup(name)}: interval"
        axes.ribbon(curve.step_S, (curve.lower_S, curve.upper_S), colour, alpha, name=ribbon, of=name)
    few = "lines+markers" if len(curve.step_S) <= FEW_STEPS else "lines"
    style = {"mode": few, "width": 2.2, "size": 5, "entry": said is not None and name not in said} | look
    axes.line(curve.step_S, curve.value_S, colour, told, name=markup(name), of=name, **style)
    if said is not None:
        said.add(name)


def draw_paper_curve(axes: Traces, curve: PaperCurve, name: str, look: Look, **style: Any) -> None:
    """A curve of the paper over training, digitised and without an interval. `name` is plain text, `style` a line's."""
    told = [
        f"<b>{markup(curve.name)}</b><br>{step}k prompts: {value:.3f}, digitised; no interval"
        for step, value in zip(curve.step, curve.value, strict=True)
    ]
    style = {"mode": "lines+markers", "symbol": look.symbol, "name": markup(name), "of": name, "entry": True} | style
    axes.line(curve.step, curve.value, look.colour, told, **style)


def step_panels(titles: Sequence[str], y_title: str, ends: list[float] | None) -> Any:
    """A plotly Figure with a panel for each title (markup, as is that of y), over optimiser steps and on common axes;
    that of y has these ends."""
    from plotly.subplots import make_subplots

    columns = min(COLUMNS, max(1, len(titles)))
    rows = max(1, -(-len(titles) // columns))
    figure = make_subplots(
        rows,
        columns,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=titles,
        horizontal_spacing=0.05,
        vertical_spacing=min(0.2, 76 / (PANEL_HEIGHT * rows)),
    )
    figure.update_layout(
        height=PANEL_HEIGHT * rows + 90,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"t": 86, "l": 60, "r": 20, "b": 50},
        hovermode="closest",
    )
    figure.update_xaxes(title_text="optimiser steps", row=rows)
    figure.update_yaxes(title_text=y_title, col=1)
    figure.update_yaxes(range=ends)
    figure.update_annotations(font_size=13)
    return figure


def readable_range(bands: Iterable[StepCurve], more: Iterable[float] = ()) -> list[float] | None:
    """Ends of an axis on which these lines, and the values `more`, can be read: the lines have nearly half of it
    or more, and bands get what is left as far as they reach. None where no value is defined."""
    drawn = list(bands)
    lines = _finite([*(band.value_S for band in drawn), np.fromiter(more, float)])
    if not lines.size:
        return None
    low, high = float(lines.min()), float(lines.max())
    room = BAND_ROOM * ((high - low) or abs(high) or 1.0)
    reach = _finite([lines, *(end for band in drawn for end in (band.lower_S, band.upper_S))])
    low, high = max(low - room, float(reach.min())), min(high + room, float(reach.max()))
    pad = 0.06 * ((high - low) or abs(high) or 1.0)
    return [low - pad, high + pad]


def is_cut(band: StepCurve, ends: Sequence[float] | None) -> bool:
    """Whether the axis leaves out some of the band."""
    reach = _finite([band.lower_S, band.upper_S])
    return ends is not None and bool(((reach < ends[0]) | (reach > ends[1])).any())


def _finite(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    values = np.concatenate([np.zeros(0), *parts])
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def panel_title(name: str, lines: Mapping[str, StepCurve], ends: Sequence[float] | None) -> str:
    """The arm (plain text), and below it how many seeds its lines are of, and whether bands are cut; markup."""
    seeds = {line: band.n_seeds for line, band in lines.items() if band.step_S.size}
    counts = [f"{n} seed{'s' if n != 1 else ''}" for n in seeds.values()]
    if len(set(counts)) > 1:
        counts = [f"{line} {count}" for line, count in zip(seeds, counts, strict=True)]
    words = [", ".join(dict.fromkeys(counts)) or "no step in every seed"]
    words += [CUT] if any(is_cut(band, ends) for band in lines.values()) else []
    return f"{markup(shortened(name, TITLE_CHARACTERS))}<br><sup>{'; '.join(words)}</sup>"


def cut_words(figure: Any) -> list[str]:
    """The caption line for a figure whose axis cuts a band; empty for other figures."""
    return [CUT_WORDS] if any(CUT in (note.text or "") for note in figure.layout.annotations) else []
