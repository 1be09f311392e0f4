"""A metric of training over optimiser steps: a panel per arm, a line per source, bands over seeds.

Arms are told apart by their panels and sources by their colours, so that a source looks alike wherever it stands. What
one arm does is compared with a reference arm that is drawn faint behind every other panel. All panels share both axes.
Numbers arrive as bands and are drawn as they stand; the axis is the lines', and a band of few seeds that reaches far
beyond them is cut by it, which the panel says. Background and text are left to who shows the figure, a page in
the reader's colours or a print.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2l_lab.figures.dots import reading
from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS, translucent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2l_lab.training.results import StepCurve

BOTH = "both sources"
"""Name of a line that tells no source from the other."""
COLOURS = SOURCE_COLOURS | {BOTH: "#8a6a8f"}
COLUMNS = 2
PANEL_HEIGHT = 230
TITLE_CHARACTERS = 66
BAND_ROOM = 0.5
"""Of the lines' own range, what bands may take of the axis above the lines, and below."""
CUT = "bands cut at the axis"
CUT_WORDS = "Bands that reach beyond the axis are cut; the CSV has them whole."


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """One arm."""

    name: str
    """Plain text."""
    lines: Mapping[str, StepCurve]
    """By source (`explorer`, `learner`), or BOTH."""


def run_curves_figure(panels: Sequence[CurvePanel], y_title: str, reference: str | None = None) -> Any:
    """The plotly Figure. `reference` is the name of the panel that stands faint in the others; None draws none."""
    from plotly.subplots import make_subplots

    columns = min(COLUMNS, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    ends = readable_range([band for panel in panels for band in panel.lines.values()])
    titles = [panel_title(panel.name, panel.lines, ends) for panel in panels]
    figure = make_subplots(
        rows,
        columns,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=titles,
        horizontal_spacing=0.05,
        vertical_spacing=min(0.2, 76 / (PANEL_HEIGHT * rows)),
    )
    behind = next((panel for panel in panels if panel.name == reference), None)
    said: set[str] = set()
    for i, panel in enumerate(panels):
        at = {"row": i // columns + 1, "col": i % columns + 1}
        if behind is not None and behind is not panel:
            for source, band in behind.lines.items():
                draw_line(figure, at, band, f"{behind.name}: {source}", FAINT, said, width=1.3, dash="dot")
        for source, band in panel.lines.items():
            draw_band(figure, at, band, COLOURS[source])
            draw_line(figure, at, band, source, COLOURS[source], said)
    figure.update_layout(
        height=PANEL_HEIGHT * rows + 90,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"t": 86, "l": 60, "r": 20, "b": 50},
        hovermode="closest",
    )
    figure.update_xaxes(title_text="optimiser steps", row=rows)
    figure.update_yaxes(title_text=markup(y_title), col=1)
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
    """A line for the caption of a figure in which the axis cuts a band."""
    return [CUT_WORDS] if any(CUT in (note.text or "") for note in figure.layout.annotations) else []


def draw_line(
    figure: Any,
    at: Mapping[str, int],
    band: StepCurve,
    name: str,
    colour: str,
    said: set[str],
    *,
    width: float = 2.2,
    dash: str = "solid",
    mode: str = "",
) -> None:
    """A line with what each of its points says; `said` are the names that the legend has, `name` joins them."""
    hover = [
        f"<b>{markup(name)}</b><br>step {step}: {reading(value, low, high)}<br>{markup(band.method)}"
        for step, value, low, high in zip(band.step_S, band.value_S, band.lower_S, band.upper_S, strict=True)
    ]
    figure.add_scatter(
        x=band.step_S.tolist(),
        y=gaps(band.value_S),
        mode=mode or ("lines+markers" if len(band.step_S) <= 20 else "lines"),
        line={"color": colour, "width": width, "dash": dash},
        marker={"color": colour, "size": 5},
        name=markup(name),
        legendgroup=markup(name),
        showlegend=name not in said,
        hoverinfo="text",
        hovertext=hover,
        **at,
    )
    said.add(name)


def draw_band(figure: Any, at: Mapping[str, int], band: StepCurve, colour: str) -> None:
    """The interval over seeds where there is one."""
    there = np.isfinite(band.lower_S) & np.isfinite(band.upper_S)
    if not there.any():
        return
    steps = band.step_S[there].tolist()
    figure.add_scatter(
        x=[*steps, *steps[::-1]],
        y=[*band.upper_S[there].tolist(), *band.lower_S[there][::-1].tolist()],
        fill="toself",
        fillcolor=translucent(colour, 0.16),
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
        **at,
    )


def gaps(values: NDArray[np.float64]) -> list[float | None]:
    """Values with undefined ones as gaps in the line."""
    return [float(value) if np.isfinite(value) else None for value in values]
