"""What the tests of the Diversity, Training and Paper views share: the app on a directory of runs, at an address."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import s2l_lab.app
from s2l_lab.app.parts.address import view_file

APPS = Path(__file__).parents[2] / "apps"
SAMPLE = APPS / "sample"
SOURCES = sorted(Path(s2l_lab.app.__file__).parent.glob("*/[a-z]*.py"))
"""Views and parts."""
PASSK = "passk-tiny-countdown"
RUNS = ("training/seed-0", "training/seed-1")


def sample(place: Path) -> Path:
    """A copy of the bundled runs that a test may damage."""
    shutil.copytree(SAMPLE, place, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return place


def open_view(monkeypatch: pytest.MonkeyPatch, runs: Path, view: str, **address: Any) -> AppTest:
    """The view as a new visitor sees it who follows a link with these parameters (`_` in a name is `-`)."""
    monkeypatch.setenv("S2L_LAB_RUNS", str(runs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(runs / "no-run-cache"))
    app = AppTest.from_file(str(APPS / "dashboard.py"), default_timeout=600)
    for name, value in address.items():
        app.query_params[name.replace("_", "-")] = value
    app.switch_page(view_file(view)).run()
    return app


def address_of(app: AppTest) -> dict[str, list[str]]:
    """The URL."""
    found = app.query_params.items()
    return {name: [values] if isinstance(values, str) else list(values) for name, values in found}


def press(app: AppTest, label: str) -> AppTest:
    """Press the one button with this label."""
    (button,) = [button for button in app.button if button.label == label]
    return button.click().run()


def said(app: AppTest) -> str:
    """All words on the page that are not in tables."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    return "\n".join(element.value for kind in kinds for element in kind)


def sound(app: AppTest) -> AppTest:
    """The app, once it is seen that the page drew without an error."""
    assert not app.exception, [error.message for error in app.exception]
    assert not app.error, [error.value for error in app.error]
    return app


def figures(app: AppTest) -> int:
    """Plotly figures on the page."""
    return len(app.get("plotly_chart"))
