"""The Rollouts view shows exactly the rollouts that its address says, whole, and nothing that a model wrote acts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_runs import KNOWN, POLICY, TEXTS, hostile_runs, known_runs
from opened_views import PASSK, SAMPLE, address_of, open_view, press, said, sound
from small_store import LATER, ORDER, SAMPLING, VERSION, Known, make, manifest, problems
from streamlit.testing.v1 import AppTest

from s2l_lab.app.parts.look import outcome_label
from s2l_lab.app.parts.safe import MOST, SHOWN, visible
from s2l_lab.app.parts.tokens import FEW
from s2l_lab.app.parts.tokens import MOST as MOST_TOKENS
from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.log_ratio import Scoring, log_ratio, scored
from s2l_lab.browse.rollout_pages import page, read_rollout
from s2l_lab.browse.store import open_store
from s2l_lab.browse.tokens import Strip, strip
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.rollouts import Origin, RolloutStore


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


def strip_of(app: AppTest) -> list[str]:
    """The tokens on the page, each as its element."""
    (block,) = [block.value for block in app.get("html") if 'class="tokens"' in block.value]
    return re.findall(r"<span[^>]*>", block)


def test_surprisal_at_1_is_shown_where_rollouts_were_drawn_at_1(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "rollouts", run=PASSK, show="tokens", colour="surprisal_t1"))
    assert not re.search("not stored|not known", said(app))
    tokens = strip_of(app)
    assert any("background" in token for token in tokens)
    numbers = [re.search(r"surprisal ([\d.]+), at T = 1 ([\d.]+)", token) for token in tokens]
    assert all(found and found[1] == found[2] for found in numbers)


def test_a_log_ratio_is_scored_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    address = {"run": PASSK, "policy": "tiny-60k", "show": "tokens", "colour": "log_ratio", "other": "tiny-360k"}
    app = sound(open_view(monkeypatch, SAMPLE, "rollouts", **address))
    assert "tiny-360k has not scored these tokens" in said(app).replace("\\", "")
    assert not any("log-ratio" in token for token in strip_of(app))
    sound(press(app, "Score"))
    store = open_store(SAMPLE / PASSK)
    row = page(store, RolloutFilter(policies=("tiny-60k",))).rows[0]
    asked = log_ratio(store, read_rollout(store, row.address), "tiny-360k")
    assert isinstance(asked, Scoring)
    wanted = scored(asked).values_T
    assert wanted is not None
    assert [re.search(r"log-ratio ([-+.\d]+)", token)[1] for token in strip_of(app)] == [f"{x:+.3f}" for x in wanted]  # type: ignore[index]
    assert any("background" in token for token in strip_of(app))
    again = sound(open_view(monkeypatch, SAMPLE, "rollouts", **address))
    assert strip_of(again) == strip_of(app)


def test_a_policy_whose_weights_are_not_here_offers_no_scoring(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = {"policy": "tiny-2m", "show": "tokens", "colour": "log_ratio", "other": "step-20"}
    app = sound(open_view(monkeypatch, known[0], "rollouts", **address))
    words = said(app).replace("\\", "")
    assert "step-20 did not draw these very tokens" in words
    assert "does not say where its weights are" in words
    assert "Score" not in [button.label for button in app.button]


def test_list_open_rollout_and_caption_are_of_one_verifier_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later verifier finds everything correct: an older one was chosen, and the open rollout had the newer's."""
    make(tmp_path / KNOWN, later=True)
    for address, version, outcome in (
        ({"verifier": VERSION, "outcome": "incorrect"}, VERSION, "incorrect"),
        ({"outcome": "correct"}, LATER, "correct"),
    ):
        app = sound(open_view(monkeypatch, tmp_path, "rollouts", **address))
        shown = page(open_store(tmp_path / KNOWN), RolloutFilter(outcomes=(outcome,), version=version))
        assert shown.total
        badges = [block.value.partition("-badge[")[2] for block in app.markdown]
        label = outcome_label(outcome)
        assert [badge for badge in badges if "correct" in badge] == [f"{label} {shown.total}]", f"{label}]"]
        answer = shown.rows[0]
        assert f"{answer.answer} (canonical: {answer.canonical})" in [text.value for text in app.text]
        assert f"Verifier {version};" in said(app).replace("\\", "")


def test_tokens_beyond_what_a_browser_can_draw_are_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    length = MOST_TOKENS + 5
    values = np.linspace(0.1, 2, length).astype(np.float32)
    ids = np.full(length, 7, np.int32)
    done = Completion("3" * length, ids, -values, None, values.astype(np.float16), StopReason.LENGTH, 5)
    (problem,) = problems(1)
    with RolloutStore.open(tmp_path / KNOWN, manifest(), {}) as store:
        store.add_problems([problem])
        store.append([Draw(problem.id, 0, done)], Origin("a", "digest", SAMPLING.digest))
    made: list[int] = []
    files: dict[str, Any] = {}

    def counted(*given: Any) -> Strip:
        made.append(len((found := strip(*given)).spans))
        return found

    monkeypatch.setattr("s2l_lab.app.parts.reader.strip", counted)
    monkeypatch.setattr("s2l_lab.app.parts.reader.export_table", lambda key, table, _: files.update({key: table}))
    app = sound(open_view(monkeypatch, tmp_path, "rollouts", show="tokens"))
    assert len(strip_of(app)) == FEW
    assert made == [FEW]  # all were once made anew each time that the page was drawn
    table = files["reader.tokens"]()
    assert [len(table), table[-1]["shown"]] == [length, float(values[-1])]
    assert f"The first {FEW:,} of {length:,} tokens; CSV and Parquet" in said(app).replace("\\", "")
    (more,) = [toggle for toggle in app.toggle if "tokens" in toggle.label]
    assert more.label == f"Show the first {MOST_TOKENS:,} tokens"
    sound(more.set_value(True).run())
    assert len(strip_of(app)) == MOST_TOKENS
    assert f"The first {MOST_TOKENS:,} of {length:,} tokens; CSV and Parquet" in said(app).replace("\\", "")
