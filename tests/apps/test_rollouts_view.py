"""The Rollouts view shows exactly the rollouts that its address says, whole, and nothing that a model wrote acts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hostile_runs import KNOWN, POLICY, TEXTS, hostile_runs, known_runs
from opened_views import address_of, open_view, said, sound
from small_store import ORDER, Known
from streamlit.testing.v1 import AppTest

from parts.safe import MOST, SHOWN, visible
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import page
from s2l_lab.browse.store import open_store


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Known]]:
    place = tmp_path_factory.mktemp("rollouts")
    return place, known_runs(place)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_runs(tmp_path_factory.mktemp("hostile"))


def rows(app: AppTest) -> list[dict[str, Any]]:
    """The list of rollouts."""
    (table,) = [frame.value for frame in app.dataframe if "completion" in frame.value.columns]
    return table.to_dict("records")


FILTERS = [
    ({}, lambda k: True),
    ({"outcome": ["correct", "unverified"]}, lambda k: k.outcome in ("correct", "unverified")),
    ({"policy": "tiny-2m", "min-tokens": "4"}, lambda k: k.policy == "tiny-2m" and (k.tokens or 0) >= 4),
    ({"text": "SCRIPT"}, lambda k: "script" in k.text.lower()),
    ({"source": "learner"}, lambda k: k.policy == "step-20"),
    ({"answer": ""}, lambda k: k.outcome != "unverified" and k.answer is None),
    ({"min-step": "21"}, lambda k: False),
]


@pytest.mark.parametrize(("address", "fits"), FILTERS)
def test_the_list_is_what_the_address_says(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch, address: dict[str, Any], fits: Any
) -> None:
    place, rollouts = known
    app = sound(open_view(monkeypatch, place, "rollouts", page_size="100", **address))
    wanted = [k for k in rollouts if fits(k)]
    assert f"**{len(wanted):,}** rollouts" in said(app)
    if wanted:
        shown = [(row["policy"], row["problem"], row["#"]) for row in rows(app)]
        assert sorted(shown) == sorted((k.policy, k.problem_id, k.index) for k in wanted)
        first = wanted[[(k.policy, k.problem_id, k.index) for k in wanted].index(shown[0])]
        assert visible(first.text) in [code.value for code in app.code] or not first.text
    asked = {name: [value] if isinstance(value, str) else value for name, value in address.items()}
    assert address_of(app) == asked | {"page-size": ["100"], "run": [KNOWN]}


def test_what_a_reader_chooses_stands_in_the_address_and_the_address_shows_it_again(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = known
    app = open_view(monkeypatch, place, "rollouts")
    app.multiselect(key="rollouts.policies").set_value(["tiny-60k"])
    app.selectbox(key="rollouts.page_size").set_value(10)
    sound(app.selectbox(key="rollouts.sort").set_value("longest").run())
    app.button(key="rollouts.next").click().run()
    sound(app.button(key="rollouts.next").click().run())
    address = address_of(app)
    store = open_store(place / KNOWN)
    third = page(store, RolloutFilter(policies=("tiny-60k",), sort="longest", page_size=10)).rows[2]
    assert address == {
        "run": [KNOWN], "policy": ["tiny-60k"], "sort": ["longest"], "page-size": ["10"], "rollout": [third.address],
    }  # fmt: skip
    again = sound(open_view(monkeypatch, place, "rollouts", **address))
    assert address_of(again) == address
    assert str(rows(again)) == str(rows(app))
    assert said(again) == said(app)
    assert [code.value for code in again.code] == [code.value for code in app.code]


def test_another_filter_starts_at_its_first_page_and_first_rollout(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_view(monkeypatch, known[0], "rollouts", page="3", page_size="10")
    assert address_of(app)["page"] == ["3"]
    app.button(key="rollouts.next").click().run()
    assert "rollout" in address_of(app)
    sound(app.multiselect(key="rollouts.policies").set_value(["tiny-60k"]).run())
    assert address_of(app) == {"run": [KNOWN], "policy": ["tiny-60k"], "page-size": ["10"]}


def test_what_an_address_cannot_say_is_reported_and_the_rest_counts(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sound(
        open_view(monkeypatch, known[0], "rollouts", bogus="1", min_tokens="x", policy="tiny-60k", page="99", show="?")
    )
    warned = [warning.value for warning in app.warning]
    assert len(warned) == 3
    for word in ("bogus", "min\\-tokens", "show"):
        assert sum(word in words for words in warned) == 1
    assert address_of(app) == {"run": [KNOWN], "policy": ["tiny-60k"], "page": ["2"]}
    assert not app.run().warning
    assert ORDER[0] in {row["policy"] for row in rows(app)}


def test_a_range_that_holds_nothing_is_said_and_left_out(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_view(monkeypatch, known[0], "rollouts", min_tokens="5")
    sound(app.number_input(key="rollouts.max_tokens").set_value(2).run())
    assert "holds nothing" in said(app)
    assert len(rows(app)) == 20


def test_a_rollout_that_is_gone_is_said_and_the_list_stays(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_view(monkeypatch, known[0], "rollouts", rollout="nothing.0123456789abcdef")
    assert not app.exception
    assert ["has no rollout" in error.value for error in app.error] == [True]
    assert len(rows(app)) == 20


@pytest.mark.parametrize("how", ["text", "tokens"])
def test_hostile_rollouts_are_text(hostile: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    app = sound(open_view(monkeypatch, hostile, "rollouts", show=how))
    for number, text in enumerate(TEXTS):
        if how == "text":
            assert visible(text[:SHOWN]).strip() in [code.value for code in app.code]
        assert POLICY not in said(app)
        unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", said(app))
        for raw in ("<script", "<img", "![", "](", ":red[", "<b>", "\u202e", "\x00"):
            assert raw not in unescaped
            assert all(raw not in block.value for block in app.get("html"))
        if number + 1 < len(TEXTS):
            sound(app.button(key="rollouts.next").click().run())


def test_two_megabytes_are_cut_until_asked_for(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_view(monkeypatch, hostile, "rollouts", sort="longest", text="a" * 500)
    assert max(len(code.value) for code in app.code) == SHOWN
    (more,) = [toggle for toggle in app.toggle if toggle.label == "Show all"]
    sound(more.set_value(True).run())
    assert max(len(code.value) for code in app.code) == MOST
    assert f"of {len(TEXTS[-1]):,} characters" in said(app)
