"""The strategy map: completions of one problem where their sentence embeddings put them, coloured by what is asked.

Position is likeness of wording and method together, and nothing else can be read off it: the two axes hold only part of
the variance, which their titles say. An outcome is the shape of a mark, so it is seen whatever the colours say.
Completions of one policy with one text are one mark; the more there are, the larger it is. Marks that overlap are seen
through each other's filling; a mark's edge is opaque, and has 3 to 1 on white and on near-black.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from s2l_lab.figures.markup import markup, shortened
from s2l_lab.figures.palette import FAINT, translucent

ColourBy = Literal["policy", "answer", "outcome"]
OUTCOME_SYMBOLS = {
    "correct": "circle",
    "incorrect": "x",
    "no_answer": "diamond-open",
    "truncated": "triangle-right-open",
    "verifier_error": "hexagram-open",
    "unverified": "square-open",
}
OUTCOME_COLOURS = {
    "correct": "#00997f",
    "incorrect": "#d4550f",
    "no_answer": "#6b7280",
    "truncated": "#9a7400",
    "verifier_error": "#8545cc",
    "unverified": "#6b7280",
}
ANSWER_COLOURS = ("#00997f", "#d4550f", "#3756d6", "#b5309a", "#0c90e9", "#9a7400", "#786363", "#8545cc")
"""Of the most frequent answers; what is rarer is grey."""
OTHER = "other answers"
OTHER_COLOUR = "#868d99"
NO_ANSWER = "no answer"
SMALLEST, LARGEST = 8.0, 30.0
"""Diameters in pixels of a completion that stands alone, and at most."""
EDGE = 1.5
FILLING = 0.55
"""Opacity of a closed mark within its edge."""
LABEL_CHARACTERS = 36


@dataclass(frozen=True, slots=True)
class MapPoint:
    """The completions of one policy with one text and one verdict."""

    x: float
    y: float
    policy: str
    answer: str | None
    """Canonical form of the answer; None for completions without one."""
    outcome: str
    count: int
    address: str
    """Address of the first rollout at this point."""
    preview: str


def strategy_map_figure(
    points: Sequence[MapPoint],
    explained: tuple[float, float],
    colour_by: ColourBy,
    policy_colours: Mapping[str, str],
) -> Any:
    """The plotly Figure. `explained` are the axes' shares of the variance. customdata of a mark is its address."""
    import plotly.graph_objects as go

    names = _categories(points, colour_by)
    colours = _colours(names, points, colour_by, policy_colours)
    figure = go.Figure()
    for category in dict.fromkeys(colours):
        chosen = sorted((p for p, name in zip(points, names, strict=True) if name == category), key=lambda p: -p.count)
        if not chosen:
            continue
        symbols = [OUTCOME_SYMBOLS.get(p.outcome, "square-open") for p in chosen]
        colour = colours[category]
        figure.add_scatter(
            x=[p.x for p in chosen],
            y=[p.y for p in chosen],
            mode="markers",
            name=markup(shortened(category, LABEL_CHARACTERS)),
            marker={
                "color": [colour if symbol.endswith("-open") else translucent(colour, FILLING) for symbol in symbols],
                "size": [min(LARGEST, SMALLEST * p.count**0.5) for p in chosen],
                "symbol": symbols,
                "opacity": 1,
                "line": {"width": EDGE, "color": colour},
            },
            # The mark that is read stands out by its size; plotly would let all others fade.
            selected={"marker": {"size": LARGEST}},
            unselected={"marker": {"opacity": 1}},
            customdata=[[p.address] for p in chosen],
            hoverinfo="text",
            hovertext=[_hover(p) for p in chosen],
        )
    figure.update_layout(
        height=560,
        xaxis_title=f"first component, {explained[0]:.0%} of the variance",
        yaxis_title=f"second component, {explained[1]:.0%} of the variance",
        legend={"orientation": "h", "y": -0.16, "x": 0, "itemsizing": "constant"},
        margin={"t": 30, "l": 60, "r": 20, "b": 60},
        hovermode="closest",
        clickmode="event+select",
    )
    figure.update_yaxes(scaleanchor="x", scaleratio=1)
    return figure


def _categories(points: Sequence[MapPoint], colour_by: ColourBy) -> list[str]:
    """The category that gives each mark its colour."""
    if colour_by == "policy":
        return [point.policy for point in points]
    if colour_by == "outcome":
        return [point.outcome for point in points]
    counts: dict[str, int] = {}
    for point in points:
        name = point.answer if point.answer is not None else NO_ANSWER
        counts[name] = counts.get(name, 0) + point.count
    frequent = sorted((n for n in counts if n != NO_ANSWER), key=lambda n: (-counts[n], n))[: len(ANSWER_COLOURS)]
    kept = {*frequent, NO_ANSWER}
    named = (point.answer if point.answer is not None else NO_ANSWER for point in points)
    return [name if name in kept else OTHER for name in named]


def _colours(
    names: Sequence[str], points: Sequence[MapPoint], colour_by: ColourBy, policy_colours: Mapping[str, str]
) -> dict[str, str]:
    """Colour of each category, in the order in which they are drawn and named."""
    if colour_by == "policy":
        return {name: colour for name, colour in policy_colours.items() if name in names}
    if colour_by == "outcome":
        return {name: colour for name, colour in OUTCOME_COLOURS.items() if name in names}
    counts: dict[str, int] = {}
    for name, point in zip(names, points, strict=True):
        counts[name] = counts.get(name, 0) + point.count
    frequent = sorted((n for n in counts if n not in (NO_ANSWER, OTHER)), key=lambda n: (-counts[n], n))
    greys = {OTHER: OTHER_COLOUR, NO_ANSWER: FAINT}
    return greys | dict(zip(frequent, ANSWER_COLOURS, strict=False))


def _hover(point: MapPoint) -> str:
    answer = NO_ANSWER if point.answer is None else point.answer
    lines = [
        f"<b>{markup(point.policy)}</b>, {markup(point.outcome.replace('_', ' '))}",
        f"answer: {markup(shortened(answer, 60))}",
        f"{point.count} completions with this text" if point.count > 1 else "1 completion",
        markup(shortened(" ".join(point.preview.split()), 90)),
    ]
    return "<br>".join(lines)
