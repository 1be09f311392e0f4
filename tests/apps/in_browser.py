"""What the tests in a real browser share: a server on known runs, a Chromium, and pages in profiles of their own.

Chromium is the machine's own (CHROMIUM, or the first of chromium, chromium-browser, google-chrome on the path); it is
driven by Playwright's core, whose own browsers are not downloaded.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hostile_runs import hostile_runs
from opened_views import PASSK, SAMPLE
from playwright.sync_api import Browser, Download, Page, Playwright, sync_playwright

RUN = f"run={PASSK}"
SLOW = 120_000.0
"""Milliseconds that a step may take on a busy machine; nothing is asserted of time."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on a copy of the bundled runs and a hostile one."""
    runs = tmp_path_factory.mktemp("served") / "runs"
    shutil.copytree(SAMPLE, runs)
    hostile_runs(runs)
    yield from served(runs)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launched(playwright)
        yield started
        started.close()


def launched(playwright: Playwright) -> Browser:
    """The machine's own Chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next((found for name in names if (found := shutil.which(name))), None)
    assert path, "no Chromium here; install one, or name it by the environment variable CHROMIUM"
    flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    return playwright.chromium.launch(executable_path=path, args=flags)


def served(runs: Path) -> Iterator[str]:
    """The address of a server on these runs, whose cache lies beside them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(runs), "--port", str(port)]
    own = os.environ | {"XDG_CACHE_HOME": str(runs.parent / "cache")}
    server = subprocess.Popen([*command, "--address", "127.0.0.1"], stdout=subprocess.PIPE, text=True, env=own)
    assert server.stdout is not None
    next(line for line in server.stdout if "http://127.0.0.1" in line)
    yield f"http://127.0.0.1:{port}"
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)


def opened(browser: Browser, url: str, **profile: Any) -> tuple[Page, list[str]]:
    """A page in a profile of its own (`profile`: what else Playwright's context is told), settled, and the requests it
    makes to anywhere but the server."""
    page = browser.new_context(viewport={"width": 1366, "height": 1000}, accept_downloads=True, **profile).new_page()
    page.set_default_timeout(SLOW)
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if _outside(request.url, url) else None)
    page.goto(url)
    page.wait_for_selector("h1")
    settle(page)
    return page, outside


def from_disk(browser: Browser, file: Path) -> tuple[Page, list[str]]:
    """A file in a profile of its own that has no network, and all that it asks for besides itself."""
    page = browser.new_context(offline=True).new_page()
    page.set_default_timeout(SLOW)
    asked: list[str] = []
    own = ("data:", "blob:", file.as_uri())
    page.on("request", lambda request: None if request.url.startswith(own) else asked.append(request.url))
    page.goto(file.as_uri())
    return page, asked


def settle(page: Page) -> None:
    """Wait until no script runs and every figure is drawn: a click on a page that still moves can miss."""
    page.wait_for_function(
        """() => document.querySelector('[data-test-script-state="notRunning"]')
            && !document.querySelector('[data-testid="stSpinner"], [data-testid="stSkeleton"]')
            && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')]
                .every(figure => figure.querySelector('.main-svg'))"""
    )


def taken(page: Page, label: str, place: int = 0) -> Download:
    """What the button with this label gives, the `place`-th of its kind on the page."""
    with page.expect_download() as download:
        page.get_by_text(label, exact=True).nth(place).click()
    return download.value


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def _outside(url: str, base: str) -> bool:
    return not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != urlsplit(base).netloc
