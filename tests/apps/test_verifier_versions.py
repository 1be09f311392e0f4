"""One switch says whose verdicts are shown; every view of verdicts, its caption and its files follow it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_runs import KNOWN
from opened_views import PASSK, SAMPLE, address_of, open_view, said, sound
from small_store import LATER, VERSION, Known, make
from streamlit.testing.v1 import AppTest

from s2l_lab.app.parts.address import view_file

SWITCH = f"frame.verifier.{KNOWN}..widget"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Known]]:
    """A run whose later verifier found every rollout correct; what is known is of the earlier one."""
    place = tmp_path_factory.mktemp("versions")
    return place, make(place / KNOWN, later=True)


def words(app: AppTest) -> str:
    return said(app).replace("\\", "")


def correct(known: list[Known], version: str) -> int:
    return len(known) if version == LATER else sum(one.outcome == "correct" for one in known)


def heat(app: AppTest) -> dict[tuple[str, str], str]:
    """Of each square of the heat map: what is said of it."""
    (squares,) = json.loads(app.get("plotly_chart")[3].proto.spec)["data"]
    return dict(zip(map(tuple, squares["customdata"]), squares["hovertext"], strict=True))


def values(numbers: Any) -> Any:
    """Plotly's way with arrays, undone."""
    if isinstance(numbers, dict):
        return np.frombuffer(base64.b64decode(numbers["bdata"]), numbers["dtype"])
    return np.asarray(numbers, dtype=np.float64)


def shows(app: AppTest, view: str, known: list[Known], version: str) -> None:
    """The view shows this version's verdicts, and its captions name it and no other."""
    sound(app)
    assert f"Verifier {version};" in words(app)
    assert f"Verifier {({VERSION, LATER} - {version}).pop()};" not in words(app)
    count = correct(known, version)
    if view == "rollouts":
        (badge,) = [block.value for block in app.markdown if f"correct {count}]" in block.value]
        assert badge.startswith(":green")
    elif view == "family":
        counts = [int(hover.partition("<br>")[2].partition(" of ")[0]) for hover in heat(app).values()]
        assert sum(counts) == count
        curves, covers, difference = (json.loads(app.get("plotly_chart")[i].proto.spec)["data"] for i in range(3))
        for traces in (curves, covers):
            (line,) = [trace for trace in traces if trace.get("name") == "tiny-2m" and trace["mode"] != "none"]
            # Verdicts that are missing leave gaps, and no smoothed Cover@tau stands at tau = 1.
            assert (values(line["y"])[:-1] > 0.95).all() == (version == LATER)
        (line,) = [trace for trace in difference if trace.get("hoverinfo") == "text"]
        assert (values(line["y"]) == 0).all() == (version == LATER)
    elif view == "compare":
        (table,) = [frame.value for frame in app.dataframe if "correct" in frame.value.columns]
        assert table["correct"].all() == (version == LATER)


@pytest.mark.parametrize("view", ["family", "rollouts", "compare"])
def test_every_view_follows_the_switch_and_the_address(
    two: tuple[Path, list[Known]], view: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, known = two
    app = open_view(monkeypatch, place, view)
    shows(app, view, known, LATER)
    assert "verifier" not in address_of(app)
    shows(app.selectbox(key=SWITCH).set_value(VERSION).run(), view, known, VERSION)
    address = address_of(app)
    assert address["verifier"] == [VERSION]
    again = open_view(monkeypatch, place, view, **address)
    shows(again, view, known, VERSION)
    assert address_of(again) == address


def test_provenance_names_the_version_that_is_shown(
    two: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sound(open_view(monkeypatch, two[0], "provenance", verifier=VERSION))
    (facts,) = [frame.value for frame in app.dataframe if "fact" in frame.value.columns]
    assert facts.set_index("fact")["value"]["verifier"] == VERSION


def test_the_choice_stays_on_other_pages_until_an_address_says_otherwise(
    two: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, known = two
    app = open_view(monkeypatch, place, "family", verifier=VERSION)
    for view in ("rollouts", "compare", "family"):
        app.query_params.clear()  # as the sidebar's links do
        shows(app.switch_page(view_file(view)).run(), view, known, VERSION)
        assert address_of(app)["verifier"] == [VERSION]
    del app.query_params["verifier"]  # the browser went back
    shows(app.run(), "family", known, LATER)
    shows(app.selectbox(key=SWITCH).set_value(VERSION).run(), "family", known, VERSION)
    shows(app.selectbox(key=SWITCH).set_value(LATER).run(), "family", known, LATER)
    assert "verifier" not in address_of(app)


def test_another_version_is_of_the_same_page_and_the_same_open_rollout(
    two: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_view(monkeypatch, two[0], "rollouts", verifier=VERSION, page="2", page_size="10")
    app = sound(app.button(key="rollouts.next").click().run())
    address = address_of(app)
    assert address["page"] == ["2"]
    assert address["rollout"]
    sound(app.selectbox(key=SWITCH).set_value(LATER).run())
    assert address_of(app) == {name: values for name, values in address.items() if name != "verifier"}


def test_one_version_has_no_switch_and_a_version_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "rollouts", run=PASSK, verifier="countdown-0"))
    assert not any("erifier" in box.label for box in app.selectbox)
    assert "no verdicts of verifier version countdown-0" in words(app)
    assert address_of(app) == {"run": [PASSK]}
    assert not app.run().warning
