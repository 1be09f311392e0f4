"""What does each arm add to the learner, beside what nulls and controls add? The figure and numbers of policy share.

Two blocks of panels, a column per feature. The share of every arm with the interval of split halves as a band and
accuracy beside it; and the size effect, whose interval is over pretrained models. Explorers have the colours of
members; everything made from the learner has the learner's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2l_lab.estimators.display import reading
from s2l_lab.figures.arms import GROUPS, arm_looks, arm_words, by_role, match_words
from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.between_panels import (
    decomposition_numbers,
    draw_contrast,
    feature_heads,
    p_text,
    share_dot,
)
from s2l_lab.figures.canvas import Canvas
from s2l_lab.figures.caption import wrapped
from s2l_lab.figures.dots import Dot, DotRow, draw_dots, ends_of, estimate_dot, height_of
from s2l_lab.figures.markup import markup
from s2l_lab.figures.numbers import study_numbers
from s2l_lab.figures.palette import member_colours
from s2l_lab.studies.between import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.figures.palette import Look
    from s2l_lab.studies.between import Feature
    from s2l_lab.studies.policy_share import PolicyShare, ShareRow, SizeRow

WIDTH = 1320
CAPTION_CHARACTERS = 204
LEFT = 298.0
PITCH = 206.0
PLOT = 140.0
LABEL_CHARACTERS = 42
HEAD = 74.0
"""Pixels from a block's title to its panels."""
GAP = 58.0


def policy_share_figure(result: PolicyShare, about: Sequence[str]) -> Any:
    """The plotly Figure. `about` ends the caption: data, n, N and the interval, then the details."""
    canvas = Canvas(
        WIDTH,
        f"What does each arm add to {result.learner}?",
        f"explorers in their own colours; what is made from {markup(result.learner)} in its colour: \u25c6 sibling, "
        "\u25b2 temperature, \u25a0 equal entropy, \u271a equal KL, \u2605 equal pass@1",
    )
    rows = by_role(result.rows)
    arms = list(zip(rows, arm_looks(result.learner, rows), strict=True))
    top = _draw_shares(canvas, result, arms, 84.0)
    _draw_sizes(canvas, result, top)
    lines = [*_caption(result), *about]
    return canvas.finish([markup(line) for line in wrapped(lines, CAPTION_CHARACTERS)])


def policy_share_numbers(result: PolicyShare, about: Sequence[str]) -> dict[str, Any]:
    """The study for programs: schema 1, plain JSON values, undefined is null beside its counts."""
    return study_numbers(
        "policy-share",
        about,
        learner={"policy": result.learner, "accuracy": result.learner_accuracy},
        arms=[
            {
                "arm": row.name,
                "words": arm_words(row),
                "role": row.role,
                "temperature": row.temperature,
                "matches": row.matches,
                "accuracy": row.accuracy,
                "features": {f: decomposition_numbers(found) for f, found in row.features.items()},
            }
            for row in result.rows
        ],
        split_halves=dict(result.split_halves),
        sizes=list(result.sizes),
        matches=list(result.matches),
    )


def _draw_shares(canvas: Canvas, result: PolicyShare, arms: Sequence[tuple[ShareRow, Look]], top: float) -> float:
    title = (
        f"Share of the diversity of an even mix with {result.learner} that lies between arm and {result.learner}; "
        "band: two halves of its own rollouts"
    )
    canvas.text(24, top, f"<b>{markup(title)}</b>", size=14)
    for column, feature in enumerate(FEATURES):
        rows = [
            _row(row, share_dot(arm_words(row), feature, found, look.colour, look.symbol), p_text(_p(row, feature)))
            for row, look in arms
            for found in (row.features.get(feature),)
        ]
        characters = 0 if column else LABEL_CHARACTERS
        null = result.split_halves.get(feature)
        corner = LEFT + PITCH * column, top + HEAD
        draw_contrast(canvas, corner, PLOT, feature, rows, null=null, label_characters=characters)
    accuracy = [
        _row(row, estimate_dot(f"{arm_words(row)}: pass@1", row.accuracy, look.colour, symbol=look.symbol))
        for row, look in arms
    ]
    learner = result.learner_accuracy
    axis = fine_axis([*ends_of(accuracy), learner.lower, learner.upper], most=4)
    corner = LEFT + PITCH * len(FEATURES), top + HEAD
    heads = "pass@1", "band: the learner"
    draw_dots(canvas, corner, PLOT, heads, accuracy, axis, rule=learner.value, band=(learner.lower, learner.upper))
    return top + HEAD + height_of(accuracy) + GAP


def _draw_sizes(canvas: Canvas, result: PolicyShare, top: float) -> None:
    words = (
        f"Small, or merely different? between-part of a small model with one of {result.learner}'s size, minus that "
        "of two of its size; intervals over pretrained models"
    )
    canvas.text(24, top, f"<b>{markup(words)}</b>", size=14)
    if not result.sizes:
        canvas.text(24, top + 26, "No other pretraining seeds were given: the question stays open.", size=13)
        return
    explorers = list(dict.fromkeys(size.explorer for size in result.sizes))
    colours = member_colours([*explorers, result.learner])
    found = {(size.explorer, size.feature): size for size in result.sizes}
    for column, feature in enumerate(FEATURES):
        rows = [_size_row(found.get((name, feature)), name, colours[name]) for name in explorers]
        axis = fine_axis(ends_of(rows), hold=[0.0], most=4)
        corner = LEFT + PITCH * column, top + HEAD
        characters = 0 if column else LABEL_CHARACTERS
        draw_dots(canvas, corner, PLOT, feature_heads(feature), rows, axis, label_characters=characters, rule=0.0)


def _size_row(size: SizeRow | None, name: str, colour: str) -> DotRow:
    """An explorer's size effect; the text says p, or that so few models cannot tell."""
    nan = math.nan
    if size is None:
        return DotRow(name, (Dot(markup(name), nan, nan, nan, colour, "", absent="not recorded"),))
    effect = size.effect
    told = "cannot tell" not in effect.method
    hover = [
        f"<b>{markup(name)}, size effect on {size.feature}</b>",
        reading(effect.value, effect.lower, effect.upper),
        f"{100 * effect.level:.0f} % CI over models",
        effect.method,
        f"{effect.n_small} small and {effect.n_large} large models; least p {effect.least_p:.2g}",
    ]
    few = f"{effect.n_small} and {effect.n_large} models"
    dot = Dot(
        name=markup(f"{name}: size effect"),
        value=effect.value,
        lower=effect.lower,
        upper=effect.upper,
        colour=colour,
        hover="<br>".join(hover),
        absent=few,
    )
    return DotRow(name, (dot,), p_text(effect.p_value) if told else "cannot tell")


def _row(row: ShareRow, dot: Dot, text: str = "") -> DotRow:
    return DotRow(arm_words(row), (dot,), text, GROUPS[row.role])


def _p(row: ShareRow, feature: Feature) -> float:
    return row.features[feature].p_value if feature in row.features else math.nan


def _caption(result: PolicyShare) -> list[str]:
    """Caption lines that explain dots and p, and give the matched temperatures."""
    lines = [
        "Share: 0 for one policy under two names, 1 for two constant ones. p: one-sided permutation test of policies "
        "within problems, not corrected for arms and features. n: problems with two rollouts of both. Any two policies "
        "differ, and so does one policy at two temperatures: compare explorers with the controls.",
    ]
    if result.matches:
        lines.append(f"Matched temperatures of {result.learner}: {'; '.join(map(match_words, result.matches))}.")
    if result.sizes:
        effect = result.sizes[0].effect
        lines.append(
            f"Size effect: {effect.n_small} small and {effect.n_large} large pretrained models; p cannot be below "
            f"{effect.least_p:.2g}."
        )
    return lines
