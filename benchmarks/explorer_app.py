"""The explorer app on a million rollouts, in a real browser: what a person waits for, and the memory of the server.

    python benchmarks/explorer_store.py runs/million && python benchmarks/explorer_app.py runs

First view: from the address to the first figure of Family, painted, in a browser profile that has nothing of the app.
Cold, the server was started for this visit and has opened nothing; warm, it is the server's second visit. The whole
view is there when Cover@tau, the crossings and the heat map stand as well. After it page turns, at both ends of the
list and in its middle; filters of every kind, one value after the other; and the next rollout of a page. A wait is from
the click, or the key that ends what was typed, until the address says the new state, the script behind the page has
ended and the browser has painted. Memory is the sum of the high-water marks of all processes of the server, an upper
bound of its peak, after everything above, the largest downloads and every view once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from explorer_store import POLICIES
from playwright.sync_api import Browser, Locator, Page, sync_playwright

RESULT = Path(__file__).parent / "results" / "explorer_app.json"
SLOW = 120_000
SERVERS = 7
"""Each started anew and visited twice."""
TURNS, FAR, MIDDLE = 25, 50_000, 25_000
"""Turns from the first page; the last page of a million rollouts at 20 a page, and one between."""
OPENINGS = 19
WORDS = ("1", "12", "+", "*", "= 2", "(3", "Let", "the", "answer", "7 - ", "99", "no such words")
ANSWERS = ("answer 1", "answer -1", "answer 2", "class 2", "class -3", "answer 7", "answer -9", "class 12", "answer 40")
LEAST, MOST = range(12, 32, 2), range(46, 36, -1)
"""Tokens from, and to."""
OUTCOMES = ("correct", "incorrect", "no answer", "truncated", "verifier error", "unverified")
SORTS = ("shortest", "longest", "most surprising", "least surprising", "key")
VIEWS = ("rollouts", "compare", "diversity", "training", "paper", "provenance", "")
OVER = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
FIGURE = ".js-plotly-plot .scatterlayer path.js-line"
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
AIMS = {"first_view_seconds": 3, "p95_seconds": 1, "server_mb": 1500}


def timed(page: Page, act: Callable[[], Any]) -> float:
    """Seconds from an act that changes the address to the page that it leads to."""
    before = page.evaluate("() => location.search")
    start = time.perf_counter()
    act()
    page.wait_for_function(f"before => location.search !== before && {OVER}", arg=before)
    page.evaluate(PAINTED)
    return time.perf_counter() - start


def first_view(browser: Browser, url: str) -> tuple[float, float]:
    """Seconds to the first figure, and to the whole view."""
    page = visit(browser)
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(FIGURE)
    page.evaluate(PAINTED)
    first = time.perf_counter() - start
    page.wait_for_function(f"() => {OVER}")
    page.evaluate(PAINTED)
    whole = time.perf_counter() - start
    page.context.close()
    return first, whole


def visit(browser: Browser) -> Page:
    page = browser.new_context(viewport={"width": 1366, "height": 1000}).new_page()
    page.set_default_timeout(SLOW)
    return page


def turns(page: Page, url: str) -> list[float]:
    """Forward from the first page, to the last and back from it, forward from the middle."""
    found = []
    at(page, url)
    found += [timed(page, page.get_by_test_id("stPaginationNext").click) for _ in range(TURNS)]
    found.append(timed(page, page.get_by_role("button", name=f"Page {FAR}", exact=True).click))
    found += [timed(page, page.get_by_test_id("stPaginationPrev").click) for _ in range(TURNS // 2)]
    at(page, f"{url}&page={MIDDLE}")
    found += [timed(page, page.get_by_test_id("stPaginationNext").click) for _ in range(TURNS // 2)]
    return found


def filters(page: Page, url: str) -> dict[str, list[float]]:
    """By kind. A list of names is filled one by one, so the last filter holds them all."""
    at(page, url)
    found = {
        "policy": several(page, "Policy", POLICIES) + several(page, "Policy", POLICIES[::-1]),
        "outcome": several(page, "Outcome", OUTCOMES) + several(page, "Outcome", OUTCOMES[::-1]),
        "problem": [chosen(page, "Problem", page.get_by_role("option").nth(place)) for place in range(10)],
    }
    reset(page)
    found["words in the text"] = [typed(page, "Words in it", words) for words in WORDS]
    reset(page)
    found["answer"] = [typed(page, "Answer", words) for words in ANSWERS]
    reset(page)
    found["answer"] += [timed(page, page.get_by_text("without an answer").click) for _ in range(2)]
    found["tokens from"] = [typed(page, "Tokens from", str(least)) for least in LEAST]
    found["tokens to"] = [typed(page, "Tokens to", str(most)) for most in MOST]
    reset(page)
    found["sort order"] = [chosen(page, "Sort", option(page, name)) for name in SORTS * 2]
    return found


def several(page: Page, label: str, names: Sequence[str]) -> list[float]:
    """These names added to a list, one after the other; none is left chosen."""
    found = []
    for name in names:
        found.append(chosen(page, label, option(page, name)))
        page.keyboard.press("Escape")
    reset(page)
    return found


def chosen(page: Page, label: str, wanted: Locator) -> float:
    """An option of a list that is opened for it."""
    page.get_by_role("combobox", name=label).click()
    return timed(page, wanted.click)


def option(page: Page, name: str) -> Locator:
    """By its name, before which an outcome has a sign."""
    return page.get_by_role("option", name=re.compile(rf"^(\S )?{re.escape(name)}$"))


def typed(page: Page, label: str, words: str) -> float:
    box = page.get_by_label(label, exact=True)
    box.fill(words)
    return timed(page, lambda: box.press("Enter"))


def reset(page: Page) -> None:
    timed(page, page.get_by_role("button", name="Reset").click)


def openings(page: Page, url: str) -> list[float]:
    """The next rollout of the page, through a page in the middle."""
    at(page, f"{url}&page={MIDDLE}")
    return [timed(page, page.get_by_text("Next", exact=True).first.click) for _ in range(OPENINGS)]


def at(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector('[data-testid="stPagination"]')
    page.wait_for_function(f"() => {OVER}")


@contextmanager
def served(runs: Path) -> Iterator[tuple[str, int]]:
    """A new server on these runs: its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "s2l_lab", "dashboard", "--runs", str(runs), "--port", str(port)]
    server = subprocess.Popen([*command, "--address", "127.0.0.1"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    next(line for line in server.stdout if "http://127.0.0.1" in line)
    try:
        yield f"http://127.0.0.1:{port}", server.pid
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)


def high_water(pid: int) -> float:
    """MiB: high-water marks of a process and of all that it started and that still run, summed."""
    tree = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    lines = [line for one in tree for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def waits(seconds: list[float]) -> dict[str, float]:
    median, p95 = np.percentile(seconds, [50, 95])
    return {"median": float(median), "p95": float(p95), "greatest": max(seconds), "n": len(seconds)}


def visits(seconds: list[float]) -> dict[str, float]:
    return {"median": float(np.median(seconds)), "least": min(seconds), "greatest": max(seconds), "n": len(seconds)}


def measure(browser: Browser, runs: Path, run: str) -> dict[str, Any]:
    """What is written."""
    views: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(SERVERS):
        with served(runs) as (base, _):
            for found in views.values():
                found.append(first_view(browser, f"{base}/?run={run}"))
    with served(runs) as (base, pid):
        page, rollouts = visit(browser), f"{base}/rollouts?run={run}"
        turned, kinds, read = turns(page, rollouts), filters(page, rollouts), openings(page, rollouts)
        for kind in ("Parquet", "CSV"):  # of the unfiltered list
            with page.expect_download() as download:
                page.get_by_text(kind, exact=True).first.click()
            download.value.path()
        for view in VIEWS:
            page.goto(f"{base}/{view}?run={run}")
            page.wait_for_selector("h1")
            page.wait_for_function(f"() => {OVER}")
        peak = high_water(pid)
    every = [seconds for found in kinds.values() for seconds in found]
    return {
        "first_view_seconds": {kind: visits([first for first, _ in found]) for kind, found in views.items()},
        "whole_view_seconds": {kind: visits([whole for _, whole in found]) for kind, found in views.items()},
        "page_turns_seconds": waits(turned),
        "filters_seconds": waits(every) | {"by_kind": {kind: waits(found) for kind, found in kinds.items()}},
        "openings_seconds": waits(read),
        "server_mb": peak,
        "percentiles": "numpy.percentile, linear between order statistics",
        "aims": AIMS,
    }


def main(runs: Path, run: str) -> None:
    """Serve, measure, write the result."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        sys.exit("no Chromium here; name one by the environment variable CHROMIUM.")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        result = measure(browser, runs, run)
        browser.close()
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="a directory with the run of a million rollouts")
    parser.add_argument("--run", default="million", help="its name there")
    asked = parser.parse_args()
    main(asked.runs, asked.run)
