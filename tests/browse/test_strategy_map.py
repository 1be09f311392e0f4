"""The strategy map: every completion is in it once, places are those of the embeddings, signs are fixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_store import LATER, VERSION, N, make

from s2l_lab.browse import rollout_pages
from s2l_lab.browse import strategy_map as module
from s2l_lab.browse.rollout_pages import read_rollout
from s2l_lab.browse.store import open_store
from s2l_lab.browse.strategy_map import strategy_map
from s2l_lab.errors import DataError
from s2l_lab.studies.vectors import EmbeddingFacts


def by_letters(texts, embedder, folder):  # an embedder that can be checked by hand: counts of three letters
    distinct = list(dict.fromkeys(texts))
    nan = np.full(3, np.nan, np.float32)
    vectors = {t: np.array([t.count(c) for c in "ae7"], np.float32) if t else nan for t in distinct}
    return vectors, EmbeddingFacts(embedder, "digest", len(distinct), 1.0, sum(not t for t in distinct))


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "embed_texts", by_letters)


@pytest.mark.usefixtures("letters")
def test_every_completion_is_in_the_map_once(tmp_path: Path) -> None:
    known = make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    problem = next(iter(store.problems()))
    policies = ("tiny-60k", "tiny-2m")
    found = strategy_map(store, problem, policies, 10, "letters", tmp_path)
    mine = [one for one in known if one.problem_id == problem and one.policy in policies]
    assert len(mine) == 2 * N
    assert found.left_out == sum(not one.text for one in mine)
    assert sum(point.count for point in found.points) == found.n_rollouts == len(mine) - found.left_out
    for point in found.points:
        full = read_rollout(store, point.address)
        same = [o for o in mine if (o.policy, o.text, o.outcome) == (point.policy, full.text, point.outcome)]
        assert point.count == len(same)
        assert full.row.policy == point.policy


@pytest.mark.usefixtures("letters")
def test_outcomes_of_the_map_are_those_of_the_version_that_is_asked(tmp_path: Path) -> None:
    known = make(tmp_path / "run", later=True)
    store = open_store(tmp_path / "run")
    problem = next(iter(store.problems()))
    drawn = sorted(o.outcome for o in known if (o.policy, o.problem_id) == ("tiny-60k", problem) and o.text)
    for version, outcomes in ((VERSION, drawn), (LATER, ["correct"] * len(drawn)), (None, ["correct"] * len(drawn))):
        found = strategy_map(store, problem, ("tiny-60k",), 10, "letters", tmp_path, version=version)
        assert sorted(point.outcome for point in found.points for _ in range(point.count)) == outcomes


@pytest.mark.usefixtures("letters")
def test_texts_that_are_too_many_are_called_so_and_not_a_run_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    problem = next(iter(store.problems()))
    monkeypatch.setattr(rollout_pages, "EXPORT_BYTES", 1)
    with pytest.raises(DataError, match=r"of tiny-60k on .* MiB of text .* the first 1 fit\. Take fewer rollouts"):
        strategy_map(store, problem, ("tiny-60k",), 10, "letters", tmp_path)


@pytest.mark.usefixtures("letters")
def test_distances_of_the_map_are_those_of_the_embeddings_where_two_axes_hold_everything(tmp_path: Path) -> None:
    make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    problem = next(iter(store.problems()))
    found = strategy_map(store, problem, ("tiny-60k", "tiny-2m"), 10, "letters", tmp_path)
    assert 0 < sum(found.explained) <= 1 + 1e-9
    points = [(p, by_letters([read_rollout(store, p.address).text], "", tmp_path)[0]) for p in found.points]
    for p, of_p in points:
        for q, of_q in points:
            (a,), (b,) = of_p.values(), of_q.values()
            # A projection never lengthens.
            assert np.hypot(p.x - q.x, p.y - q.y) <= np.linalg.norm(a - b) + 1e-5
    again = strategy_map(store, problem, ("tiny-60k", "tiny-2m"), 10, "letters", tmp_path)
    assert again.points == found.points


def test_the_plane_of_points_in_a_plane_keeps_all_distances_and_its_signs() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 6))
    place, explained = module._plane(flat)
    assert sum(explained) == pytest.approx(1)
    for i in range(20):
        assert np.hypot(*(place - place[i]).T) == pytest.approx(np.linalg.norm(flat - flat[i], axis=1), abs=1e-9)
    order = rng.permutation(20)
    assert module._plane(flat[order])[0] == pytest.approx(place[order], abs=1e-9)


@pytest.mark.usefixtures("letters")
def test_one_completion_makes_no_map(tmp_path: Path) -> None:
    make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    with pytest.raises(DataError, match="a map needs two"):
        strategy_map(store, "no such problem", ("tiny-60k",), 10, "letters", tmp_path)
