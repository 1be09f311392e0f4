"""The annealing schedule of training runs, and what of the explorer arrives in the update.

The explorer's share of a group's slots is planned; its share of the tokens is what a token-mean loss weighs by, and its
effective weight is that share times the mean factor before A grad log pi (correction weight times ratio, 0 where the
ratio is clipped). A schedule may say one half while the update hears nothing of the explorer; only the last line tells.
It is over the steps where every seed has a weight; a ring is one seed, wherever that seed has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.palette import FAINT, SOURCE_COLOURS
from s2l_lab.figures.panel import Traces
from s2l_lab.figures.run_curves import (
    COLUMNS,
    LEGEND_CHARACTERS,
    draw_step_curve,
    panel_title,
    readable_range,
    step_panels,
)

if TYPE_CHECKING:
    from s2l_lab.training.explorer_weight import Annealing
    from s2l_lab.training.results import StepCurve

PLANNED, SLOTS, TOKENS, EFFECTIVE = "planned slots", "slots", "tokens", "effective weight"
ONE_SEED = "effective weight of one seed"
"""Names of the lines."""


def annealing_figure(arms: Sequence[Annealing]) -> Any:
    """The plotly Figure: a panel per arm, shares of 0 to 1 over optimiser steps."""
    planned = [share for arm in arms for share in arm.planned_share_R.tolist()]
    ends = readable_range([curve for arm in arms for curve in _curves(arm).values()], [0.0, *planned])
    titles = [panel_title(arm.name, _curves(arm), ends) for arm in arms]
    figure = step_panels(titles, "the explorer's share", ends)
    said: set[str] = set()
    colour = SOURCE_COLOURS["explorer"]
    for i, arm in enumerate(arms):
        at = {"row": i // COLUMNS + 1, "col": i % COLUMNS + 1}
        axes = Traces(figure, i + 1, legend=LEGEND_CHARACTERS)
        _draw_plan(figure, at, arm, said)
        draw_step_curve(axes, arm.slots, SLOTS, colour, said=said, alpha=0, mode="markers")
        draw_step_curve(axes, arm.tokens, TOKENS, colour, said=said, alpha=0, width=1.6, dash="dot")
        draw_step_curve(axes, arm.effective, EFFECTIVE, colour, said=said, width=2.6)
        _draw_seeds(figure, at, arm, said)
    return figure


def _curves(arm: Annealing) -> dict[str, StepCurve]:
    return {SLOTS: arm.slots, TOKENS: arm.tokens, EFFECTIVE: arm.effective}


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


def _draw_seeds(figure: Any, at: dict[str, int], arm: Annealing, said: set[str]) -> None:
    points = [
        (step, value, seed.seed)
        for seed in arm.seeds
        for step, value in zip(seed.step_S.tolist(), seed.value_S.tolist(), strict=True)
    ]
    if not points:
        return
    figure.add_scatter(
        x=[step for step, _, _ in points],
        y=[value for _, value, _ in points],
        mode="markers",
        marker={"symbol": "circle-open", "size": 9, "color": SOURCE_COLOURS["explorer"], "line": {"width": 1.6}},
        name=ONE_SEED,
        legendgroup=ONE_SEED,
        showlegend=ONE_SEED not in said,
        hoverinfo="text",
        hovertext=[f"<b>{EFFECTIVE}</b>, seed {seed}<br>step {step}: {value:.3g}" for step, value, seed in points],
        **at,
    )
    said.add(ONE_SEED)
