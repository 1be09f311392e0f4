"""Figures to disk: HTML always, PNG and SVG where a browser can be had.

The HTML holds plotly.js and opens without a network. The images are drawn by kaleido in a headless Chrome or Chromium,
both formats in one start of the browser. kaleido would fetch MathJax from a server before it draws; no figure of ours
holds a formula, so that is switched off and the images too are made offline. The browser runs without its sandbox
(choreographer's default, which lets it start as root in containers): it renders only what we wrote and escaped.

Every file is written beside its place and renamed over it: whole or absent.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from s2l_lab.rollouts.durable import make_folder, replacing

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_FORMATS = ("png", "svg")
PNG_SCALE = 2
"""Pixels of the PNG per pixel of the layout."""
RENDER_SECONDS = 60.0
STYLE = "body{margin:0;background:#fff;display:flex;justify-content:center}"
PAGE_CONFIG = {"displaylogo": False, "showSendToCloud": False}
"""plotly 7 has a button, on by default, that uploads the figure and its data to a server."""


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_figure` left on the disk."""

    paths: tuple[Path, ...]
    """Paths of the written files, the HTML first."""
    note: str
    """One line that says why images are missing and how to get them; empty where nothing is missing."""

    @property
    def lines(self) -> list[str]:
        """The paths, and the note if there is one."""
        return [*map(str, self.paths), *([self.note] if self.note else [])]


def write_with_numbers(figure: Any, numbers: str, stem: Path) -> Written:
    """`write_figure`, and the text of numbers.json beside it."""
    written = write_figure(figure, stem)
    return Written((*written.paths, replace_file(stem.with_name("numbers.json"), numbers.encode())), written.note)


def write_figure(figure: Any, stem: Path) -> Written:
    """Write `stem`.html and, where kaleido and a browser are found, `stem`.png and `stem`.svg.

    `figure` is a plotly Figure with layout.width and layout.height set. Images of an earlier call are removed when they
    cannot be renewed, so that the three files never show different data. Raises WriteError on a full or read-only disk.
    """
    make_folder(stem.parent)
    title = (figure.layout.meta or {}).get("title", stem.name)
    paths = [replace_file(stem.with_name(stem.name + ".html"), figure_page(figure, title).encode())]
    images, note = _images(figure)
    for suffix in IMAGE_FORMATS:
        path = stem.with_name(f"{stem.name}.{suffix}")
        if suffix in images:
            paths.append(replace_file(path, images[suffix]))
        else:
            path.unlink(missing_ok=True)
    return Written(tuple(paths), note)


def replace_file(path: Path, content: bytes) -> Path:
    """Put `content` at `path`, whole or not at all."""
    with replacing(path) as stream:
        stream.write(content)
    return path


def figure_page(figure: Any, title: str, style: str = STYLE, more: str = "") -> str:
    """A page with the figure and everything that it needs; `more` is HTML below it."""
    body = figure.to_html(full_html=False, include_plotlyjs=True, include_mathjax=False, config=PAGE_CONFIG)
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{style}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}{more}</body></html>\n'


def _images(figure: Any) -> tuple[dict[str, bytes], str]:
    """Image bytes by format, and the note for those that could not be made."""
    if importlib.util.find_spec("kaleido") is None:
        return {}, "no PNG and SVG: kaleido is not installed (pip install 's2l-lab[figures]')."
    from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError, KaleidoError

    try:
        return _render(figure), ""
    except ChromeNotFoundError:
        return {}, (
            "no PNG and SVG: no Chrome or Chromium found (install one, run `kaleido_get_chrome`, "
            "or set BROWSER_PATH to its program)."
        )
    except (BrowserFailedError, BrowserClosedError, KaleidoError, TimeoutError) as error:
        reason = " ".join(str(error).split())[:120] or "no reason given"
        return {}, f"no PNG and SVG: the browser failed ({type(error).__name__}: {reason}). The HTML is complete."


def _render(figure: Any) -> dict[str, bytes]:
    """All image formats from one start of the browser, in a thread of its own: a caller may have an event loop."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    import kaleido

    async def draw() -> dict[str, bytes]:
        drawn = {}
        async with kaleido.Kaleido(n=1, timeout=RENDER_SECONDS, mathjax=False) as browser:
            for suffix in IMAGE_FORMATS:
                size = {"width": figure.layout.width, "height": figure.layout.height, "scale": PNG_SCALE}
                drawn[suffix] = await browser.calc_fig(figure.to_dict(), opts={"format": suffix, **size})
        return drawn

    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, draw()).result()
