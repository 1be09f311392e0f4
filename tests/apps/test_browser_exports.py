"""What a person takes away from the app by real clicks, opened again where there is neither app nor network."""

from __future__ import annotations

import csv
import struct
from itertools import dropwhile
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest
from hostile_runs import HOSTILE, TEXTS
from in_browser import RUN, SLOW, from_disk, opened, taken
from opened_views import PASSK, SAMPLE
from playwright.sync_api import Browser, Download, Page, expect

from s2l_lab.browse.provenance import provenance
from s2l_lab.browse.store import open_store

pytestmark = pytest.mark.browser

POLICIES = {"tiny-60k", "tiny-360k", "tiny-2m"}


def of_csv(download: Download) -> list[dict[str, str]]:
    """The rows of a CSV file, without its caption."""
    with Path(download.path()).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(dropwhile(lambda line: line.startswith("#"), stream)))


def rests_on_the_sample(words: str) -> bool:
    """Whether a caption says the sample's problems and the hash of its data."""
    about = provenance(open_store(SAMPLE / PASSK))
    return f"n = {about.n_problems} problems" in words and f"data {about.data_hash}" in words


def test_a_table_is_the_same_as_csv_and_as_parquet(browser: Browser, base: str) -> None:
    page, _ = opened(browser, f"{base}/rollouts?{RUN}&outcome=correct")
    rows = of_csv(taken(page, "CSV"))
    table = pq.read_table(taken(page, "Parquet").path())
    assert {row["policy"] for row in rows} == POLICIES
    assert page.get_by_text(f"{len(rows)} rollouts", exact=True).is_visible()
    assert str(table.schema.field("sample_index").type) == "int32", "numbers stay numbers"
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in table.to_pylist()
    ] == rows


def test_a_figure_is_drawn_in_this_browser_as_png_and_as_svg(browser: Browser, base: str) -> None:
    page, outside = opened(browser, f"{base}/?{RUN}")
    page.get_by_text("PNG, SVG", exact=True).first.click()
    png = Path(photographed(page, "png").path()).read_bytes()
    assert png.startswith(b"\x89PNG")
    page.locator("[role=dialog]").get_by_text("svg", exact=True).click()
    svg = ElementTree.parse(photographed(page, "svg").path()).getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join(svg.itertext())
    assert rests_on_the_sample(words)
    assert all(policy in words for policy in POLICIES)
    # One picture in two formats; bytes 16 to 24 of a PNG are its size.
    assert struct.unpack(">II", png[16:24]) == (float(svg.attrib["width"]), float(svg.attrib["height"]))
    assert not outside


def photographed(page: Page, kind: str) -> Download:
    """What the camera of the dialog's figure in this format saves."""
    with page.expect_download() as download:
        page.locator(f'[role=dialog] [class*="passk-print-{kind}"] .modebar-btn').click()
    assert download.value.suggested_filename == f"family-passk.{kind}"
    return download.value


def test_a_figures_page_draws_it_without_a_network(browser: Browser, base: str, tmp_path: Path) -> None:
    page, _ = opened(browser, f"{base}/?{RUN}")
    taken(page, "HTML").save_as(tmp_path / "figure.html")
    alone, asked = from_disk(browser, tmp_path / "figure.html")
    expect(alone.locator(".js-plotly-plot .legendtext")).to_have_count(len(POLICIES), timeout=SLOW)
    assert set(alone.locator(".js-plotly-plot .legendtext").all_text_contents()) == POLICIES
    assert rests_on_the_sample(alone.inner_text("body > p"))
    assert not asked


def test_a_report_holds_figures_and_tables_without_a_network(browser: Browser, base: str, tmp_path: Path) -> None:
    page, _ = opened(browser, f"{base}/?{RUN}")
    page.get_by_role("button", name="Report").wait_for()
    files = [taken(page, "CSV", place) for place in range(page.get_by_text("CSV", exact=True).count())]
    assert rests_on_the_sample(Path(files[0].path()).read_text(encoding="utf-8").partition('\r\n"')[0])
    firsts = {file.suggested_filename: [next(iter(row.values())) for row in of_csv(file)] for file in files}
    taken(page, "Report").save_as(tmp_path / "report.html")
    alone, asked = from_disk(browser, tmp_path / "report.html")
    # Two curves, a difference for each pair of three policies, the heat map.
    expect(alone.locator(".js-plotly-plot:has(.main-svg)")).to_have_count(6, timeout=SLOW)
    for name, caption in (("passk", "pass@k"), ("verdicts", "Verdicts"), ("solverates", "Solve rates")):
        assert sorted(first_cells(alone, caption)) == sorted(firsts[f"family-{name}.csv"])
    assert rests_on_the_sample(alone.text_content("footer"))
    assert not asked


def first_cells(page: Page, caption: str) -> list[str]:
    """The first column of a table of a static page."""
    table = page.locator("table").filter(has=page.get_by_text(caption, exact=True))
    return table.locator("tbody tr td:first-child").all_text_contents()


def test_hostile_rollouts_do_no_harm_in_what_is_taken_away(browser: Browser, base: str, tmp_path: Path) -> None:
    page, _ = opened(browser, f"{base}/rollouts?run={HOSTILE}&show=text")
    assert pq.read_table(taken(page, "Parquet").path())["text"].to_pylist() == list(TEXTS)
    taken(page, "Report").save_as(tmp_path / "report.html")
    alone, asked = from_disk(browser, tmp_path / "report.html")
    assert alone.locator("pre").count() == 2 * len(TEXTS), "problem and completion of each"
    assert alone.locator("script, img, a, body style").count() == 0
    assert alone.evaluate("() => window.harm") is None
    assert not asked
