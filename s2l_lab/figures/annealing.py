"""The annealing schedule of training runs, and what of the explorer arrives in the update.

The explorer's share of a group's slots is planned; its share of the tokens is what a token-mean loss weighs by, and its
effective weight is that share times the mean factor before A grad log pi (correction weight times ratio, 0 where the
ratio is clipped). A schedule may say one half while the update hears nothing of the explorer; only the last line tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS
from s2l_lab.figures.run_curves import COLUMNS, PANEL_HEIGHT, TITLE_CHARACTERS, draw_band, draw_line

if TYPE_CHECKING:
    from s2l_lab.browse.explorer_weight import Annealing

PLANNED, SLOTS, TOKENS, EFFECTIVE = "planned slots", "slots", "tokens", "effective weight"
"""Names of the lines."""


def annealing_figure(arms: Sequence[Annealing]) -> Any:
    """The plotly Figure: a panel per arm, shares of 0 to 1 over optimiser steps."""
    from plotly.subplots import make_subplots

    columns = min(COLUMNS, max(1, len(arms)))
    rows = max(1, -(-len(arms) // columns))
    figure = make_subplots(
        rows,
        columns,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[markup(shortened(arm.name, TITLE_CHARACTERS)) for arm in arms],
        horizontal_spacing=0.05,
        vertical_spacing=min(0.16, 60 / (PANEL_HEIGHT * rows)),
    )
    said: set[str] = set()
    colour = SOURCE_COLOURS["explorer"]
    for i, arm in enumerate(arms):
        at = {"row": i // columns + 1, "col": i % columns + 1}
        _draw_plan(figure, at, arm, said)
        draw_line(figure, at, arm.slots, SLOTS, colour, said, mode="markers")
        draw_line(figure, at, arm.tokens, TOKENS, colour, said, width=1.6, dash="dot")
        draw_band(figure, at, arm.effective, colour)
        draw_line(figure, at, arm.effective, EFFECTIVE, colour, said, width=2.6)
    figure.update_layout(
        height=PANEL_HEIGHT * rows + 90,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"t": 70, "l": 60, "r": 20, "b": 50},
        hovermode="closest",
    )
    figure.update_xaxes(title_text="optimiser steps", row=rows)
    figure.update_yaxes(title_text="the explorer's share", rangemode="tozero", col=1)
    figure.update_annotations(font_size=13)
    return figure


def _draw_plan(figure: Any, at: dict[str, int], arm: Annealing, said: set[str]) -> None:
    steps, shares = arm.planned_step_R.tolist(), arm.planned_share_R.tolist()
    figure.add_scatter(
        x=steps,
        y=shares,
        mode="lines",
        line={"color": FAINT, "width": 1.6, "shape": "hv"},
        name=PLANNED,
        legendgroup=PLANNED,
        showlegend=PLANNED not in said,
        hoverinfo="text",
        hovertext=[
            f"<b>{PLANNED}</b><br>round {i + 1}, from step {step}: {share:.3g} of a group"
            for i, (step, share) in enumerate(zip(steps, shares, strict=True))
        ],
        **at,
    )
    said.add(PLANNED)
