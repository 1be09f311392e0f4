"""Take the pictures of docs/app.md again, in a real browser on the runs that ship with the app:

    python docs/app/pictures.py

Needs the dev extra and a Chromium on the path (or named by the environment variable CHROMIUM).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tests" / "apps"))
from in_browser import launched, served, settle  # noqa: E402 - what drives the browser stands with the tests

RUN = "run=passk-tiny-countdown"
VIEWS = {
    "family": (f"?{RUN}", 1560, "light"),
    "rollouts": (f"rollouts?{RUN}", 1330, "light"),
    "dark": (f"rollouts?{RUN}", 1330, "dark"),
    "compare": (f"compare?{RUN}", 1500, "light"),
    "diversity": (f"diversity?{RUN}", 1180, "light"),
    "training": ("training", 900, "light"),
    "paper": ("paper", 980, "light"),
    "provenance": (f"provenance?{RUN}", 860, "light"),
}
"""By picture: the address, the height of the window, light or dark."""


def main() -> None:
    """Serve a copy of the bundled runs and take one picture a view."""
    place = Path(tempfile.gettempdir(), "s2l-lab")  # the same in every picture
    shutil.rmtree(place, ignore_errors=True)
    try:
        shutil.copytree(ROOT / "apps" / "sample", place / "runs")
        for base in served(place / "runs"):
            with sync_playwright() as playwright:
                take(launched(playwright), base)
    finally:
        shutil.rmtree(place)


def take(browser: Browser, base: str) -> None:
    """All pictures, from the server at `base`."""
    for name, (address, height, scheme) in VIEWS.items():
        page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme=scheme)
        page.set_default_timeout(120_000)
        page.goto(f"{base}/{address}")
        page.wait_for_selector("h1")
        settle(page)
        button = page.get_by_role("button", name="Measure")
        if button.count():
            button.click()
            button.wait_for(state="detached")
            settle(page)
        page.screenshot(path=HERE / f"{name}.png")
        print(f"{name}.png")
        page.close()
    browser.close()


if __name__ == "__main__":
    main()
