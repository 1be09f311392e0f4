"""The app as a person meets it: a real server, a real Chromium, real clicks. `pytest -m browser tests/apps`.

Chromium is the machine's own (CHROMIUM, or the first of chromium, chromium-browser, google-chrome on the path); it is
driven by Playwright's core, whose own browsers are not downloaded.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hostile_runs import HOSTILE, TEXTS, hostile_runs
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.browser

SAMPLE = Path(__file__).parents[2] / "apps" / "sample"
RUN = "run=passk-tiny-countdown"
VIEWS = ("Family", "Rollouts", "Compare", "Diversity", "Training", "Paper", "Provenance")
SLOW = 120_000.0
"""Milliseconds that a step may take on a busy machine; nothing is asserted of time."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a copy of the bundled runs and a hostile one."""
    runs = tmp_path_factory.mktemp("runs")
    shutil.copytree(SAMPLE, runs, dirs_exist_ok=True)
    hostile_runs(runs)
    yield from served(runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next((found for name in names if (found := shutil.which(name))), None)
    assert path, "no Chromium here; install one, or name it by the environment variable CHROMIUM"
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=flags)
        yield started
        started.close()


def served(runs: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(runs), "--port", str(port)]
    server = subprocess.Popen([*command, "--address", "127.0.0.1"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    next(line for line in server.stdout if "http://127.0.0.1" in line)
    yield f"http://127.0.0.1:{port}"
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)


def opened(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """A page in a profile of its own, settled, and the requests it makes to anywhere but the server."""
    page = browser.new_context(viewport={"width": 1366, "height": 1000}, accept_downloads=True).new_page()
    page.set_default_timeout(SLOW)
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if _outside(request.url, url) else None)
    page.goto(url)
    page.wait_for_selector("h1")
    settle(page)
    return page, outside


def settle(page: Page) -> None:
    busy = '[data-testid="stStatusWidget"], [data-testid="stSpinner"], [data-testid="stSkeleton"]'
    page.wait_for_function(f"() => !document.querySelector('{busy}')")


def _outside(url: str, base: str) -> bool:
    return not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != urlsplit(base).netloc


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


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


def test_a_filter_is_in_the_address_and_the_address_shows_the_same_elsewhere(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/rollouts?{RUN}")
    everything = page.inner_text('[data-testid="stMain"]')
    narrowed, _ = opened(browser, f"{base}/rollouts?{RUN}&outcome=correct&policy=tiny-2m")
    mine = narrowed.inner_text('[data-testid="stMain"]')
    assert mine != everything
    assert query(narrowed)["outcome"] == ["correct"]
    elsewhere, _ = opened(browser, narrowed.url)
    assert elsewhere.inner_text('[data-testid="stMain"]') == mine


def test_a_cell_of_the_heat_map_opens_its_rollouts(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/?{RUN}")
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot').length >= 4")
    heat = page.locator(".js-plotly-plot").last
    heat.scroll_into_view_if_needed()
    cell = heat.locator(".scatterlayer path.point").nth(20).bounding_box()
    assert cell is not None
    page.mouse.click(cell["x"] + cell["width"] / 2, cell["y"] + cell["height"] / 2)
    page.wait_for_url(re.compile("/rollouts"))
    settle(page)
    shown = query(page)
    assert shown["run"] == ["passk-tiny-countdown"]
    assert len(shown["policy"]) == len(shown["problem"]) == 1
    assert page.locator('[data-testid="stException"]').count() == 0


def test_a_table_and_a_picture_can_be_taken_away(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/?{RUN}")
    with page.expect_download() as download:
        page.get_by_text("CSV", exact=True).first.click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert {row["policy"] for row in rows} == {"tiny-60k", "tiny-360k", "tiny-2m"}
    page.get_by_text("PNG, SVG", exact=True).first.click()
    page.wait_for_selector("[role=dialog] .modebar-btn")
    with page.expect_download() as picture:
        page.locator("[role=dialog] .modebar-btn").first.click()
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")


def test_hostile_rollouts_do_no_harm(browser: Browser, base: str) -> None:
    """Script tags, Markdown images, bidirectional and control characters, two megabytes."""
    page, outside = opened(browser, f"{base}/rollouts?run={HOSTILE}&show=text")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for place in range(len(TEXTS)):
        settle(page)
        assert page.evaluate("() => window.harm") is None
        strange = '[data-testid="stMain"] script, [data-testid="stMain"] img[src*="invalid"], a[href^="javascript"]'
        assert page.locator(strange).count() == 0
        if place < len(TEXTS) - 1:
            page.get_by_text("Next", exact=True).first.click()
    assert not dialogs
    assert not outside
