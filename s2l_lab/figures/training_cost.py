"""What runs spent, a bar per run: FLOPs of the explorer's rollouts, the learner's rollouts and the updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import SOURCE_COLOURS

if TYPE_CHECKING:
    from s2l_lab.training.logged import CostRow

PART_COLOURS = {
    "explorer": SOURCE_COLOURS["explorer"],
    "learner": SOURCE_COLOURS["learner"],
    "updates": "#9ca3af",
}
PART_WORDS = {"explorer": "explorer's rollouts", "learner": "learner's rollouts", "updates": "updates"}
BAR = 34
LABEL_CHARACTERS = 54


def cost_figure(rows: Sequence[CostRow]) -> Any:
    """The plotly Figure; a part that is not known has no bar."""
    import plotly.graph_objects as go

    figure = go.Figure()
    places = list(range(len(rows)))
    for part, colour in PART_COLOURS.items():
        values = [row.flops[part] for row in rows]
        figure.add_bar(
            y=places,
            x=[value if math.isfinite(value) else None for value in values],
            orientation="h",
            name=PART_WORDS[part],
            marker={"color": colour},
            hoverinfo="text",
            hovertext=[
                f"<b>{markup(row.label)}</b><br>{PART_WORDS[part]}: {value:.3g} FLOPs, {row.tokens[part]:,.0f} tokens"
                for row, value in zip(rows, values, strict=True)
            ],
        )
    labels = [shortened(row.label + ("" if row.finished else " (so far)"), LABEL_CHARACTERS) for row in rows]
    figure.update_layout(
        barmode="stack",
        height=BAR * len(rows) + 120,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0, "traceorder": "normal"},
        margin={"t": 50, "l": 10, "r": 20, "b": 50},
    )
    figure.update_xaxes(title_text="FLOPs, counted", rangemode="tozero")
    figure.update_yaxes(
        tickvals=places, ticktext=[markup(label) for label in labels], autorange="reversed", automargin=True
    )
    return figure
