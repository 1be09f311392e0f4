"""What the app colours itself can be read on a light page and on a dark one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))

from contrast import DARK, MARK, PAGES, TEXT, THEME, contrast, over

from s2l_lab.browse.solve_rates import SolveRates

TEXTS = (THEME["light"]["textColor"], THEME["dark"]["textColor"])


def test_the_page_is_the_themes() -> None:
    from s2l_lab.app.parts.look import DARK_PAPER

    assert DARK_PAPER == DARK


@pytest.mark.parametrize(("page", "text"), zip(PAGES, TEXTS, strict=True))
def test_tokens_of_any_shade_are_read(page: str, text: str) -> None:
    """At an opacity of .78, which it was, orange on a dark page and blue on a light one leave text 3.7 to 1."""
    from s2l_lab.app.parts.tokens import _STRONGEST, HIGH, LOW

    for colour in (HIGH, LOW):
        ground = over(f"rgba({colour},{_STRONGEST})", page)
        assert contrast(text, ground) >= TEXT
        assert contrast(f"rgba({colour},{_STRONGEST})", page) >= 1.5, "and the shade is seen"


@pytest.mark.parametrize("page", PAGES)
def test_the_ends_of_the_solve_rates_have_forms_of_their_own(page: str) -> None:
    """A rate of 0 was a square in the clearest of the shades, which a low rate nearly was too."""
    from s2l_lab.app.parts.family_figures import heat_figure
    from s2l_lab.figures.palette import SHADES

    correct_PM, total_PM = np.array([[0, 1], [8, 0]]), np.array([[8, 8], [8, 0]])
    rates = SolveRates(("a", "b"), ("p", "q"), correct_PM, total_PM, np.zeros((2, 2), int), "1")
    (cells,) = heat_figure(rates).data
    forms = dict(
        zip(map(tuple, cells.customdata), zip(cells.marker.symbol, cells.marker.line.color, strict=True), strict=True)
    )
    none, some, every, unknown = (forms[cell] for cell in (("p", "a"), ("p", "b"), ("q", "a"), ("q", "b")))
    assert [symbol for symbol, _ in (none, some, every, unknown)] == ["circle", "square", "circle", "line-ew"]
    assert all(contrast(edge, page) >= MARK for _, edge in forms.values())
    clear, full = SHADES[0][1], SHADES[-1][1]
    assert contrast(clear, page) < 1.1, "a ring"
    assert contrast(full, page) >= MARK, "a disc"
    assert cells.unselected.marker.opacity == 1
