"""The Compare view: counts and lists equal the store's by enumeration, and its address shows it again."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hostile_runs import HOSTILE, KNOWN, hostile_runs, known_runs
from opened_views import PASSK, SAMPLE, address_of, open_view, said, sound
from scipy.stats import beta
from small_store import ORDER, SAMPLING, VERSION, Known, completion, manifest
from streamlit.testing.v1 import AppTest

from s2l_lab.browse.filters import RolloutFilter
from s2l_lab.browse.rollout_pages import answers, page, read_rollout
from s2l_lab.browse.store import open_store
from s2l_lab.policies import Draw
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore
from s2l_lab.verifiers import Outcome, Verdict

MANY, CORRECT = 130, 120


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Known]]:
    place = tmp_path_factory.mktemp("compare")
    return place, known_runs(place)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A run of two policies with MANY rollouts each of one problem, and their addresses by sample index. Rollout
    CORRECT of tiny-60k alone is correct."""
    place = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    problem = Problem.make("make 7", "7", "countdown", "test", {})
    config = {"policies": {name: {} for name in ORDER[:2]}, "sampling": SAMPLING.model_dump(mode="json")}
    with RolloutStore.open(place / "run", manifest(**config), {}) as store:
        store.add_problems([problem])
        for policy in ORDER[:2]:
            origin = Origin(policy, f"digest of {policy}", SAMPLING.digest)
            draws = [Draw(problem.id, i, completion(rng, f"{policy} says {i}")) for i in range(MANY)]
            store.append(draws, origin)
            rollouts = [Rollout(RolloutKey(origin, problem.id, draw.index), draw.completion) for draw in draws]
            right = [policy == "tiny-60k" and i == CORRECT for i in range(MANY)]
            given = [Verdict(Outcome.CORRECT if one else Outcome.INCORRECT, "7", "7") for one in right]
            store.append_verdicts(VERSION, rollouts, given)
    shown = open_store(place / "run")
    pages = [page(shown, RolloutFilter(page_size=100, page=i)) for i in (1, 2, 3)]
    rows = [row for one in pages for row in one.rows]
    return place, {name: [row.address for row in rows if row.policy == name] for name in ORDER[:2]}


def texts(app: AppTest) -> list[str]:
    """The two completions that are shown."""
    return [code.value for code in app.code][1:3]


def offered(app: AppTest, column: int) -> list[int]:
    """Sample indices in the list of a column."""
    return [int(option.partition(":")[0]) for option in app.selectbox(key=f"compare.rollout-{column}").options]


def test_a_correct_one_comes_first_however_late_it_was_drawn(
    many: tuple[Path, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first hundred were once looked through."""
    place, addresses = many
    app = sound(open_view(monkeypatch, place, "compare"))
    assert texts(app) == [f"tiny-60k says {CORRECT}", "tiny-2m says 0"]
    assert address_of(app)["rollout-1"] == [addresses["tiny-60k"][CORRECT]]
    assert (offered(app, 1), offered(app, 2)) == ([CORRECT, *range(100)], list(range(100)))
    assert "instead" not in words(app)


def test_a_link_to_a_late_rollout_shows_it(
    many: tuple[Path, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, addresses = many
    late = {"rollout_1": addresses["tiny-60k"][MANY - 1], "rollout_2": addresses["tiny-2m"][110]}
    app = sound(open_view(monkeypatch, place, "compare", **late))
    assert texts(app) == [f"tiny-60k says {MANY - 1}", "tiny-2m says 110"]
    assert "instead" not in words(app)
    again = sound(open_view(monkeypatch, place, "compare", **address_of(app)))
    assert (texts(again), address_of(again)) == (texts(app), address_of(app))


def test_a_link_to_what_the_policy_did_not_draw_is_said(
    many: tuple[Path, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, addresses = many
    other = addresses["tiny-60k"][3]
    for wrong in (other, other[:-16] + "0" * 16, other[:-16] + "no digits", "nothing"):
        app = sound(open_view(monkeypatch, place, "compare", rollout_2=wrong))
        assert texts(app)[1] == "tiny-2m says 0"
        assert f"tiny-2m did not draw on this problem, or that is gone: {wrong!r}" in words(app)
        assert "Rollout 0 is shown instead" in words(app)


def test_pages_of_a_list_hold_every_rollout_once(
    many: tuple[Path, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = many
    first = sound(open_view(monkeypatch, place, "compare"))
    second = sound(open_view(monkeypatch, place, "compare", page_2="2"))
    assert offered(first, 2) + offered(second, 2) == list(range(MANY))
    assert texts(second)[1] == "tiny-2m says 100"
    assert f"page 2 of 2 ({MANY} in all)" in second.selectbox(key="compare.rollout-2").label
    beyond = sound(open_view(monkeypatch, place, "compare", page_2="99"))
    assert (address_of(beyond), texts(beyond)) == (address_of(second), texts(second))


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
    lists = [frame.value for frame in app.dataframe if {"problem", a, b} <= set(frame.value.columns)]
    assert [len(table) for table in lists] == [count for count in (only_a, only_b) if count]
    for cell in (cell for table in lists for policy in (a, b) for cell in table[policy]):
        assert cell == with_interval(*map(int, re.findall(r"\d+", cell)[:2]))


def with_interval(correct: int, total: int) -> str:
    low, high = beta(correct + 0.5, total - correct + 0.5).ppf([0.025, 0.975])
    low, high = (low if correct else 0, high if correct < total else 1)
    return f"{correct} of {total} ({low:.0%} to {high:.0%})"


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
        drawn = [row for row in found if row.policy == policy]
        assert table[policy].sum() == sum(row.count for row in drawn)
        different = sum(row.correct > 0 for row in drawn)
        assert f"{policy} {different} in N = {sum(row.count for row in drawn)} verified rollouts" in words(app)


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
