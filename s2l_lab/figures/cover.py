"""The words and the hover text of Cover@tau, the same for print and for the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2l_lab.figures.markup import markup

if TYPE_CHECKING:
    from s2l_lab.estimators import CoverCurve

COVER_LINES = "solid smoothed, dashed NPMLE, dotted plug-in; ribbons: bounds"
"""Which line is which, in the width of a panel."""


def cover_words(level: float) -> str:
    """Explanation of the values of Cover@tau, for a caption: plain text."""
    return (
        "Cover@tau, the share of problems with a solve rate of at least tau: smoothed by a beta prior; NPMLE, the most "
        f"likely distribution of solve rates of any shape; bounds ({level:.0%}) for any distribution inside the DKW "
        "band of the counts."
    )


def cover_hover(name: str, cover: CoverCurve) -> list[str]:
    """One text per tau: every value with what it is."""
    return [
        f"<b>{markup(name)}</b><br>Cover@{tau:.3g} = {cover.smoothed[i]:.3f} smoothed "
        f"[{cover.smoothed_lower[i]:.3f}, {cover.smoothed_upper[i]:.3f}]"
        f"<br>{cover.npmle[i]:.3f} NPMLE, {cover.plug_in[i]:.3f} plug-in"
        f"<br>exact bounds [{cover.bounds_lower[i]:.3f}, {cover.bounds_upper[i]:.3f}]"
        f"<br>{100 * cover.level:.0f} % CI over problems"
        f"<br>n = {cover.n_problems} problems, N = {cover.n_rollouts}"
        for i, tau in enumerate(cover.tau)
    ]
