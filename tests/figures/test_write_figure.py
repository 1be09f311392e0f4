"""Files: self-contained HTML, images where they can be had and a way to them where not, nothing half or stale."""

import os
import re
import struct
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from synthetic_reports import synthetic_report

from s2l_lab.figures.passk import passk_figure
from s2l_lab.figures.write import PNG_SCALE, write_figure
from s2l_lab.rollouts.durable import WriteError

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def figure() -> Any:
    family = [(HOSTILE, 10**6, 0.5, 1.5), ("b", 10**7, 0.9, 1.5)]
    return passk_figure(synthetic_report(family, problems=20, rollouts=4, benchmark=HOSTILE))


class Tags(HTMLParser):
    """Start tags of a page with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_html_refers_to_nothing_outside_and_runs_nothing_from_a_name(
    figure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    (page,) = write_figure(figure, tmp_path / "deep" / "passk").paths
    text = page.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert {tag for tag, _ in tags.found} == {"html", "head", "meta", "title", "style", "body", "div", "script"}
    assert not any({"src", "href", "onerror"} & attributes.keys() for _, attributes in tags.found)
    assert "alert(1)</script>" not in text
    assert "Plotly.newPlot" in text
    assert re.search(r'"showSendToCloud":\s*false', text)  # plotly 7 offers an upload of figure and data by default


def test_without_kaleido_the_note_says_how_to_get_images(
    figure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    written = write_figure(figure, tmp_path / "f")
    assert [path.name for path in written.paths] == ["f.html"]
    assert "pip install 's2l-lab[figures]'" in written.note


@pytest.mark.parametrize(("browser", "said"), [("/nonexistent/browser", "BROWSER_PATH"), (sys.executable, "failed")])
def test_without_a_working_browser_old_images_go_and_the_note_says_why(
    figure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: str, said: str
) -> None:
    pytest.importorskip("kaleido", reason="the figures extra is not installed")
    (tmp_path / "f.png").write_bytes(b"the picture of an older report")
    monkeypatch.setenv("BROWSER_PATH", browser)
    written = write_figure(figure, tmp_path / "f")
    assert sorted(os.listdir(tmp_path)) == ["f.html"]
    assert said in written.note
    assert "\n" not in written.note


@pytest.mark.usefixtures("image_browser")
def test_images_have_the_figures_size_or_the_note_says_why_there_are_none(figure: Any, tmp_path: Path) -> None:
    written = write_figure(figure, tmp_path / "v0.1.passk")
    names = [path.name for path in written.paths]
    if written.note:
        assert names == ["v0.1.passk.html"]
        return
    assert names == ["v0.1.passk.html", "v0.1.passk.png", "v0.1.passk.svg"]
    png, svg = written.paths[1].read_bytes(), written.paths[2].read_text(encoding="utf-8")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    size = struct.unpack(">II", png[16:24])
    assert size == (figure.layout.width * PNG_SCALE, figure.layout.height * PNG_SCALE)
    assert svg.startswith("<svg")
    assert "<script" not in svg
    assert "<img" not in svg


def test_a_file_that_cannot_be_written_is_one_clear_error_and_leaves_nothing(figure: Any, tmp_path: Path) -> None:
    (tmp_path / "f.html").mkdir()
    with pytest.raises(WriteError, match="cannot write"):
        write_figure(figure, tmp_path / "f")
    assert os.listdir(tmp_path) == ["f.html"]
