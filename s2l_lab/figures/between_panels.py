"""Between: a policy's share against a reference, by feature; for the diversity page and policy share.

The null that a reader trusts is drawn as a band: what the share of the reference's own rollouts, split at random into
halves, comes to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2l_lab.figures.axes import fine_axis
from s2l_lab.figures.dots import Dot, DotRow, draw_dots, ends_of, estimate_dot
from s2l_lab.figures.markup import markup
from s2l_lab.studies.between import FEATURE_TITLES, FEATURE_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.diversity.decomposition import Decomposition
    from s2l_lab.estimators import Estimate
    from s2l_lab.figures.canvas import Canvas
    from s2l_lab.studies.between import Feature


def feature_heads(feature: Feature) -> tuple[str, str]:
    """Markup: the feature, and the rollouts it is taken over."""
    return FEATURE_TITLES[feature], FEATURE_WORDS[feature].rpartition(", ")[2]


def draw_contrast(
    canvas: Canvas,
    corner: tuple[float, float],
    width: float,
    feature: Feature,
    rows: Sequence[DotRow],
    *,
    null: Estimate | None = None,
    label_characters: int = 0,
) -> None:
    """A feature's panel: a rule at 0, and the interval of the split halves `null` as a band."""
    band = None if null is None else (null.lower, null.upper)
    axis = fine_axis([*ends_of(rows), *(band or ())], hold=[0.0], most=4)
    draw_dots(
        canvas,
        corner,
        width,
        feature_heads(feature),
        rows,
        axis,
        label_characters=label_characters,
        rule=0.0,
        band=band,
    )


def share_dot(name: str, feature: Feature, found: Decomposition | None, colour: str, symbol: str = "circle") -> Dot:
    """The share as a dot; `name` is plain text."""
    what = f"{name}: {FEATURE_TITLES[feature]}, share"
    return _absent(what, colour) if found is None else _dot(what, found, found.share, colour, symbol)


def p_text(p: float) -> str:
    """A p value as markup; empty if nothing was tested."""
    return f"p {p:.2g}" if math.isfinite(p) else ""


def decomposition_numbers(found: Decomposition) -> dict[str, Any]:
    """A decomposition for numbers.json: a is the reference, b the added policy."""
    return {
        "share": found.share,
        "between": found.between,
        "within_policy": found.within_b,
        "within_reference": found.within_a,
        "cross": found.cross,
        "null": {"mean": found.null_mean, "upper": found.null_upper},
        "p": found.p_value,
        "n": found.n_problems,
        "n_rollouts_policy": found.n_b,
        "n_rollouts_reference": found.n_a,
        "between_P": found.between_P,
    }


def _dot(what: str, found: Decomposition, shown: Estimate, colour: str, symbol: str) -> Dot:
    why = "all alike" if found.n_problems else "n = 0"
    return estimate_dot(what, shown, colour, symbol=symbol, why=why)


def _absent(what: str, colour: str) -> Dot:
    nan = math.nan
    return Dot(markup(what), nan, nan, nan, colour, "", absent="not recorded")
