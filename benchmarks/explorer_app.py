"""The explorer app on a million rollouts, in a real browser: first view, filters, page turns, and the app's memory.

    python benchmarks/explorer_store.py runs/million && python benchmarks/explorer_app.py runs

Times are those a person waits: from the click to the moment the address says what is shown (the views publish it when
they have drawn). Aims: first view under 3 s, a filter or a page turn under 1 s at the 95th percentile, memory of the
server under 1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import Page, sync_playwright

RESULT = Path(__file__).parent / "results" / "explorer_app.json"
SLOW = 120_000
LENGTHS = range(12, 42, 2)
"""Least lengths, in tokens, that are asked for one after the other: as many filters."""
TURNS = 15


def timed(page: Page, act: Any, said: str) -> float:
    """Seconds from an act to the address that holds `said`."""
    start = time.perf_counter()
    act()
    page.wait_for_function(f"() => location.search.includes({said!r})", timeout=SLOW)
    return time.perf_counter() - start


def measure(base: str, run: str, path: str) -> dict[str, Any]:
    """Waits of one visit."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1366, "height": 1000})
        page.set_default_timeout(SLOW)
        page.goto(f"{base}/provenance?run={run}")  # the server has opened the run, as at a second visit
        page.wait_for_selector("h1")
        start = time.perf_counter()
        page.goto(f"{base}/?run={run}")
        page.wait_for_selector(".js-plotly-plot .main-svg")
        first = time.perf_counter() - start
        page.goto(f"{base}/rollouts?run={run}")
        page.wait_for_selector('[data-testid="stPagination"]')
        turns = []
        for number in range(2, TURNS + 2):
            button = page.get_by_test_id("stPaginationNext")
            turns.append(timed(page, button.click, f"page={number}"))
        box = page.get_by_label("Tokens from")
        filters = []
        for least in LENGTHS:
            box.fill(str(least))
            filters.append(timed(page, lambda: box.press("Enter"), f"min-tokens={least}"))
        browser.close()
    return {"first_view": first, "page_turns": turns, "filters": filters}


def main(runs: Path, run: str) -> None:
    """Serve, measure, write the result."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        sys.exit("no Chromium here; name one by the environment variable CHROMIUM.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(runs), "--port", str(port)]
    server = subprocess.Popen([*command, "--address", "127.0.0.1"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    next(line for line in server.stdout if "http://127.0.0.1" in line)
    try:
        found = measure(f"http://127.0.0.1:{port}", run, path)
        peak = psutil.Process(server.pid).memory_info().rss / 2**20
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    waits = {name: np.percentile(found[name], [50, 95]).tolist() for name in ("page_turns", "filters")}
    result = {
        "first_view_seconds": found["first_view"],
        **{f"{name}_seconds": {"median": a, "p95": b, "n": len(found[name])} for name, (a, b) in waits.items()},
        "server_mb": peak,
        "aims": {"first_view_seconds": 3, "p95_seconds": 1, "server_mb": 1500},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="a directory with the run of a million rollouts")
    parser.add_argument("--run", default="million", help="its name there")
    asked = parser.parse_args()
    main(asked.runs, asked.run)
