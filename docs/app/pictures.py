"""Take the pictures of docs/app.md again, in a real browser on the runs that ship with the app:

    python docs/app/pictures.py

Needs the dev extra and a Chromium on the path (or named by the environment variable CHROMIUM).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
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
PORT = 8597


def main() -> None:
    """Serve a copy of the bundled runs and take one picture a view."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on the path; install one, or name it by the environment variable CHROMIUM")
    place = Path(tempfile.gettempdir(), "s2l-lab")  # the same in every picture
    shutil.rmtree(place, ignore_errors=True)
    try:
        runs = place / "runs"
        shutil.copytree(ROOT / "apps" / "sample", runs)
        command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(runs), "--port", str(PORT)]
        own = os.environ | {"XDG_CACHE_HOME": str(place)}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own)
        assert server.stdout is not None
        next(line for line in server.stdout if "http://" in line)
        try:
            take(chromium)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=60)
    finally:
        shutil.rmtree(place)


def take(chromium: str) -> None:
    """All pictures, from the server on PORT."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (address, height, scheme) in VIEWS.items():
            page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme=scheme)
            page.set_default_timeout(120_000)
            page.goto(f"http://127.0.0.1:{PORT}/{address}")
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


def settle(page: Page) -> None:
    """Wait until no script runs and every figure is drawn."""
    page.wait_for_function(
        """() => document.querySelector('[data-test-script-state="notRunning"]')
            && !document.querySelector('[data-testid="stSpinner"], [data-testid="stSkeleton"]')
            && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')]
                .every(figure => figure.querySelector('.main-svg'))"""
    )


if __name__ == "__main__":
    main()
