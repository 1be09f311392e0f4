"""The app in a browser whose reader prefers dark: no sheet of white, and text that can be read. `pytest -m browser`."""

from __future__ import annotations

import io

import pytest
from in_browser import RUN, SLOW, opened, settle
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from test_readable import DARK, MARK, TEXT, contrast, over

pytestmark = pytest.mark.browser

TRAINING = "run=training%2Fseed-0"
VIEWS = {
    "Family": f"/?{RUN}",
    "Rollouts": f"/rollouts?{RUN}&show=tokens",
    "Compare": f"/compare?{RUN}",
    "Diversity": f"/diversity?{RUN}&embedder=none&rollouts=8",
    "Training": f"/training?{TRAINING}",
    "Paper": f"/paper?{RUN}&item=fig2",
    "Provenance": f"/provenance?{RUN}",
}
WHITE = 0.02
"""Largest share of a page that may be as light as paper: letters, not sheets."""
TEXTS = """() => {
    const found = [];
    for (const one of document.querySelectorAll('[data-testid="stApp"] *')) {
        const drawn = one.namespaceURI.includes('svg');
        const asleep = 'canvas, [disabled], [data-testid="stPaginationEllipsis"]';
        if (drawn ? one.tagName !== 'text' : one.closest(asleep)) continue;
        if (![...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        const box = one.getBoundingClientRect(), style = getComputedStyle(one);
        if (!box.width || !box.height || style.visibility === 'hidden') continue;
        const above = [];
        let opacity = 1;
        for (let each = one; each; each = each.parentElement) {
            opacity *= getComputedStyle(each).opacity;
            if (!each.namespaceURI.includes('svg')) above.unshift(getComputedStyle(each).backgroundColor);
        }
        found.push([one.textContent.slice(0, 40), drawn ? style.fill : style.color, opacity, above]);
    }
    return found;
}"""
"""Of every text on the page: its beginning, its colour, its opacity, and the grounds below it, the deepest first."""


@pytest.fixture(params=VIEWS)
def view(request: pytest.FixtureRequest, browser: Browser, base: str) -> Page:
    """A view that has come to rest in a dark profile; what waits for a click has had it."""
    page, _ = opened(browser, base + VIEWS[request.param], color_scheme="dark")
    expect(page.get_by_role("heading", name=request.param, level=1)).to_be_visible(timeout=SLOW)
    if request.param == "Diversity":
        measured(page)
    if request.param in ("Family", "Diversity", "Training", "Paper"):
        page.locator(".js-plotly-plot .main-svg text").first.wait_for()
    settle(page)
    return page


def test_no_view_has_a_white_sheet_and_every_text_is_read(view: Page) -> None:
    """Printed figures stood on a dark page in white; a chosen segment and a shaded token had 3.7 to 1."""
    assert light_share(view) < WHITE
    for sheet in view.locator(".js-plotly-plot").all():
        sheet.scroll_into_view_if_needed()
        assert light_share(view) < WHITE
        assert contrast(str(sheet.locator(".main-svg").first.evaluate("one => one.style.background")), DARK) < 1.1
    faint = {text: round(ratio, 2) for text, ratio in ratios(view) if ratio < (MARK if text == "\u2013" else TEXT)}
    assert not faint


def test_primary_buttons_and_chips_are_read(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/diversity?{RUN}&part=map", color_scheme="dark")
    button = page.get_by_role("button", name="Make the map")
    button.wait_for()
    said = dict(ratios(page))
    assert min(said["Make the map"], said["tiny-60k"], said["Strategy map"]) >= TEXT
    assert contrast(button.evaluate("one => getComputedStyle(one).backgroundColor"), DARK) >= MARK


def test_a_figure_follows_the_reader_from_dark_to_light(browser: Browser, base: str) -> None:
    """A change of the theme runs no script; what a figure leaves open is drawn anew by the page."""
    page, _ = opened(browser, base + VIEWS["Diversity"], color_scheme="dark")
    measured(page)
    title = page.locator(".js-plotly-plot .infolayer text").first
    assert contrast(title.evaluate("one => getComputedStyle(one).fill"), DARK) >= TEXT
    page.emulate_media(color_scheme="light")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_have_css("background-color", "rgb(255, 255, 255)")
    assert contrast(title.evaluate("one => getComputedStyle(one).fill"), "#ffffff") >= TEXT


def test_hollow_dots_are_filled_with_the_page(browser: Browser, base: str) -> None:
    page, _ = opened(browser, base + VIEWS["Diversity"], color_scheme="dark")
    measured(page)
    dot = page.locator(".js-plotly-plot .scatterlayer path.point").first
    dot.evaluate("one => { one.style.fill = 'rgb(255, 255, 255)'; }")
    assert contrast(dot.evaluate("one => getComputedStyle(one).fill"), DARK) == pytest.approx(1)


def test_the_camera_of_a_printed_figure_is_seen(browser: Browser, base: str) -> None:
    """plotly's own grey had 1.7 to 1 on white, in a light page too."""
    page, _ = opened(browser, base + VIEWS["Family"], color_scheme="dark")
    page.get_by_text("PNG, SVG", exact=True).first.click()
    camera = page.locator("[role=dialog] .modebar-btn path").first
    camera.wait_for()
    assert contrast(camera.evaluate("one => getComputedStyle(one).fill"), "#ffffff") >= MARK


def measured(page: Page) -> None:
    """Ask for what is slow, unless it was measured before, and wait for its figure."""
    button = page.get_by_role("button", name="Measure")
    figure = page.locator(".js-plotly-plot .main-svg text").first
    button.or_(figure).first.wait_for()
    if button.count():
        button.click()
    figure.wait_for()


def light_share(page: Page) -> float:
    """Share of what is seen of the page that is nearly white."""
    counts = Image.open(io.BytesIO(page.screenshot())).convert("L").histogram()
    return sum(counts[245:]) / sum(counts)


def ratios(page: Page) -> list[tuple[str, float]]:
    """Every text of the page and its contrast with what lies below it."""
    found = []
    for text, colour, opacity, grounds in page.evaluate(TEXTS):
        below = "#ffffff"
        for ground in grounds:
            below = over(ground, below)
        found.append((text, contrast(colour, below, float(opacity))))
    return found
