"""The app as a person meets it: a real server, a real Chromium, real clicks. `pytest -m browser tests/apps`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hostile_runs import HOSTILE, TEXTS
from in_browser import RUN, SLOW, opened, query, served, settle
from opened_views import PASSK, SAMPLE
from playwright.sync_api import Browser, Locator, Page, expect

from s2l_lab.browse.filters import RolloutFilter, to_query
from s2l_lab.browse.rollout_pages import page as page_of
from s2l_lab.browse.rollout_pages import read_rollout
from s2l_lab.browse.store import open_store

pytestmark = pytest.mark.browser

MAIN = '[data-testid="stMain"]'
VIEWS = ("Family", "Rollouts", "Compare", "Diversity", "Training", "Paper", "Provenance")


def test_a_first_visit_without_runs_finds_the_bundled_ones_and_every_view_opens(
    browser: Browser, tmp_path: Path
) -> None:
    for base in served(tmp_path / "nothing"):
        page, outside = opened(browser, base)
        assert "s2l-lab passk" in page.inner_text("body"), "it says how to make a run"
        for view in VIEWS:
            page.get_by_role("link", name=view, exact=True).click()
            page.wait_for_selector(f'h1:has-text("{view}")')
            settle(page)
            assert page.locator('[data-testid="stException"]').count() == 0
        assert not outside


def test_a_filter_chosen_by_hand_is_in_the_address_which_shows_the_same_elsewhere_and_back_takes_it_away(
    browser: Browser, base: str
) -> None:
    outcome, text = {"outcomes": ("incorrect",)}, {"text": "times"}
    steps = [RolloutFilter(**said) for said in ({}, outcome, outcome | text, outcome | text | {"page": 2})]
    page, _ = opened(browser, f"{base}/rollouts?{RUN}")
    lists(page, steps[0])
    page.get_by_role("combobox", name="Outcome").click()
    page.get_by_role("option", name=" incorrect").click()
    page.keyboard.press("Escape")
    lists(page, steps[1])
    page.get_by_label("Words in it").fill("times")
    page.keyboard.press("Enter")
    lists(page, steps[2])
    page.get_by_role("button", name="Page 2", exact=True).click()
    lists(page, steps[3])
    elsewhere, _ = opened(browser, page.url)
    lists(elsewhere, steps[3])
    words = page.inner_text(MAIN)
    expect(elsewhere.locator(MAIN)).to_have_text(words, use_inner_text=True, timeout=SLOW)
    for earlier in reversed(steps[:3]):
        page.go_back()
        lists(page, earlier)


def lists(page: Page, filter: RolloutFilter) -> None:
    """The address, the widgets, the count and the rows come to be those of a filter of the sample."""
    found = page_of(open_store(SAMPLE / PASSK), filter)
    address = urlencode({"run": PASSK} | to_query(filter), doseq=True)
    expect(page).to_have_url(re.compile(re.escape(f"/rollouts?{address}") + "$"), timeout=SLOW)
    expect(page.get_by_text(f"{found.total:,} rollouts", exact=True)).to_be_visible(timeout=SLOW)
    expect(page.get_by_label("Words in it")).to_have_value(filter.text or "", timeout=SLOW)
    # The table is drawn on a canvas; it stands inside it once more, for who cannot see.
    completions = page.locator('[data-testid="stDataFrame"] canvas td[aria-colindex="3"]')
    expect(completions).to_have_text([" ".join(row.preview.split()) for row in found.rows], timeout=SLOW)


def test_a_cell_of_the_heat_map_opens_its_rollouts(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/?{RUN}")
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length >= 4")
    heat = page.locator(".js-plotly-plot").last
    heat.scroll_into_view_if_needed()
    click_at(page, heat.locator(".scatterlayer path.point").nth(20))
    page.wait_for_url(re.compile("/rollouts"))
    settle(page)
    shown = query(page)
    assert shown["run"] == [PASSK]
    assert len(shown["policy"]) == len(shown["problem"]) == 1
    assert page.locator('[data-testid="stException"]').count() == 0


@pytest.mark.parametrize(("policy", "place"), [("tiny-60k", 0), ("tiny-360k", -1)])
def test_a_mark_of_the_strategy_map_reads_its_completion(browser: Browser, base: str, policy: str, place: int) -> None:
    """One policy, so no two marks have one place. The embedder is the one that is installed; nothing is fetched. Each
    mark in a visit of its own: two clicks as fast as a test's are a double click, which lets go of the mark."""
    page, outside = opened(browser, f"{base}/diversity?{RUN}&part=map&policy={policy}&map-rollouts=10")
    page.get_by_role("button", name="Make the map").click()
    marks = page.locator(".js-plotly-plot .scatterlayer path.point")
    marks.first.wait_for()
    addresses = page.evaluate("() => document.querySelector('.js-plotly-plot').data[0].customdata.map(at => at[0])")
    assert len(set(addresses)) == marks.count() > 1
    click_at(page, marks.nth(place))
    read = read_rollout(open_store(SAMPLE / PASSK), addresses[place]).text
    expect(page.locator('[data-testid="stCode"]').last).to_have_text(read, timeout=SLOW)
    expect(page).to_have_url(re.compile(f"rollout={re.escape(addresses[place])}"), timeout=SLOW)
    elsewhere, _ = opened(browser, page.url)  # the address opens it without a click, and a new click wins
    expect(elsewhere.locator('[data-testid="stCode"]').last).to_have_text(read, timeout=SLOW)
    other = 1 + place
    click_at(elsewhere, elsewhere.locator(".js-plotly-plot .scatterlayer path.point").nth(other))
    expect(elsewhere).to_have_url(re.compile(f"rollout={re.escape(addresses[other])}"), timeout=SLOW)
    expect(elsewhere.locator('[data-testid="stCode"]').last).to_have_text(
        read_rollout(open_store(SAMPLE / PASSK), addresses[other]).text, timeout=SLOW
    )
    elsewhere.context.close()
    page.get_by_role("link", name="Open in Rollouts").click()
    page.wait_for_selector('h1:has-text("Rollouts")')
    expect(page.locator('[data-testid="stCode"]').last).to_have_text(read, timeout=SLOW)
    assert query(page)["rollout"] == [addresses[place]]
    assert not outside


def click_at(page: Page, mark: Locator) -> None:
    """Click in the middle of a mark of a figure; what lies over the figure takes the click and gives it on. The page
    has come to rest before, and the figure has seen which mark the pointer is on."""
    settle(page)
    mark.scroll_into_view_if_needed()
    mark.element_handle().wait_for_element_state("stable")
    box = mark.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator(".js-plotly-plot .hoverlayer .hovertext").first.wait_for()
    page.mouse.down()
    page.mouse.up()


def test_hostile_rollouts_do_no_harm(browser: Browser, base: str) -> None:
    """Script tags, Markdown images, bidirectional and control characters, two megabytes."""
    page, outside = opened(browser, f"{base}/rollouts?run={HOSTILE}&show=text")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for place in range(len(TEXTS)):
        settle(page)
        assert page.evaluate("() => window.harm") is None
        strange = f'{MAIN} script, {MAIN} img[src*="invalid"], a[href^="javascript"]'
        assert page.locator(strange).count() == 0
        if place < len(TEXTS) - 1:
            page.get_by_text("Next", exact=True).first.click()
    assert not dialogs
    assert not outside
