"""The Compare view: counts and lists equal the store's by enumeration, and its address shows it again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hostile_runs import HOSTILE, KNOWN, hostile_runs, known_runs
from opened_views import PASSK, SAMPLE, address_of, open_view, said, sound
from small_store import ORDER, Known
from streamlit.testing.v1 import AppTest

from s2l_lab.browse.rollout_pages import answers, read_rollout
from s2l_lab.browse.store import open_store


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Known]]:
    place = tmp_path_factory.mktemp("compare")
    return place, known_runs(place)


def words(app: AppTest) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", said(app))


@pytest.mark.parametrize("tau", [None, 40])
def test_lists_of_who_solves_what_are_the_stores(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch, tau: int | None
) -> None:
    place, rollouts = known
    a, b = ORDER[0], ORDER[2]
    rule = {} if tau is None else {"rule": "rate of at least tau", "tau_percent": str(tau)}
    app = sound(open_view(monkeypatch, place, "compare", policy=[a, b], **rule))

    def solves(policy: str, problem: str) -> bool:
        seen = [k.outcome == "correct" for k in rollouts if (k.policy, k.problem_id) == (policy, problem)][:-1]
        return any(seen) if tau is None else sum(seen) / len(seen) >= tau / 100

    problems = {k.problem_id for k in rollouts}
    only_a = sum(solves(a, problem) and not solves(b, problem) for problem in problems)
    only_b = sum(solves(b, problem) and not solves(a, problem) for problem in problems)
    assert f"**Only {a}**: {only_a} problems" in words(app)
    assert f"**Only {b}**: {only_b} problems" in words(app)
    assert f"n = {len(problems)} problems" in words(app)


def test_side_by_side_are_rollouts_of_one_problem_with_their_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    app = sound(open_view(monkeypatch, SAMPLE, "compare", run=PASSK, policy=["tiny-60k", "tiny-360k", "tiny-2m"]))
    store = open_store(SAMPLE / PASSK)
    address = address_of(app)
    (problem,) = address["problem"]
    shown = [read_rollout(store, address[f"rollout-{place}"][0]) for place in (1, 2, 3)]
    assert [one.row.policy for one in shown] == ["tiny-60k", "tiny-360k", "tiny-2m"]
    assert {one.row.problem_id for one in shown} == {problem}
    assert [one.text for one in shown] == [code.value for code in app.code][1:4]
    found = answers(store, problem)
    for policy in store.policies():
        counts = [row for row in found if row.policy == policy]
        correct, total = sum(row.correct for row in counts), sum(row.count for row in counts)
        assert f"{correct} of {total} correct: {correct / total:.0%}" in words(app)
    (table,) = [frame.value for frame in app.dataframe if "answer" in frame.value.columns]
    for policy in store.policies():
        assert table[policy].sum() == sum(row.count for row in found if row.policy == policy)


def test_the_address_shows_the_same_view(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_view(monkeypatch, SAMPLE, "compare", run=PASSK)
    first = address_of(app)["problem"]
    sound(app.button(key="compare.Next").click().run())
    box = app.selectbox(key="compare.rollout-2")
    box.set_value(box.options[5] if box.value != box.options[5] else box.options[6])
    app.segmented_control(key="compare.rule").set_value("rate of at least tau").run()
    sound(app.slider(key="compare.tau-percent").set_value(10).run())
    address = address_of(app)
    assert address["problem"] != first
    assert address["tau-percent"] == ["10"]
    again = sound(open_view(monkeypatch, SAMPLE, "compare", **address))
    assert address_of(again) == address
    assert said(again) == said(app)
    assert [code.value for code in again.code] == [code.value for code in app.code]


def test_one_policy_cannot_be_compared_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = sound(open_view(monkeypatch, hostile_runs(tmp_path), "compare", run=HOSTILE))
    assert "This run holds one policy" in said(app)


def test_hostile_texts_of_several_policies_are_text(
    known: tuple[Path, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, rollouts = known
    for problem in sorted({k.problem_id for k in rollouts}):
        app = sound(open_view(monkeypatch, place, "compare", run=KNOWN, problem=problem, policy=list(ORDER)))
        for block in app.get("html"):
            assert set(re.findall(r"</?([a-z]+)", block.value)) <= {"style", "div", "span"}
