"""One order of policies: whatever lists them, in a notebook, a study or the app, has them in the same places."""

from __future__ import annotations

from pathlib import Path

from hashed_policy import SAMPLING, VERSION, HashedPolicy, problems, verify, writer
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.browse.store import BrowsedStore
from s2l_lab.browse.store_facts import read_facts
from s2l_lab.rollouts import RolloutStore, collect
from s2l_lab.rollouts.order import in_order
from s2l_lab.rollouts.run import open_run
from s2l_lab.studies.diversity import origins_in_order

WANTED = ["explorer", "learner", "step-20", "step-100"]
NAMES = st.lists(st.sampled_from(["learner", "explorer", "step-20", "step-100", "a", "b10", "b9"]), unique=True)


@given(NAMES, NAMES)
def test_listed_names_come_first_in_their_order_and_every_name_once(names: list[str], listed: list[str]) -> None:
    found = in_order(names, {"policies": dict.fromkeys(listed)})
    assert sorted(found) == sorted(names)
    first = [name for name in listed if name in names]
    assert found[: len(first)] == first
    assert found == in_order(names[::-1], {"policies": dict.fromkeys(listed)})


def test_numbers_in_names_are_numbers_and_the_learner_follows_its_explorer() -> None:
    assert in_order({"step-100", "learner", "step-20", "explorer"}, {}) == [
        "explorer",
        "learner",
        "step-20",
        "step-100",
    ]
    assert in_order({"b", "a"}, {"policies": "damaged"}) == ["a", "b"]


def test_notebook_study_and_app_agree(tmp_path: Path) -> None:
    """A run that lists no policies, as one of training: a notebook had step-100 before step-20, the app after it."""
    path = tmp_path / "run"
    with writer(path) as store:
        for name in ("learner", "step-100", "explorer", "step-20"):
            collect(store, HashedPolicy(name), problems(2), 2, SAMPLING, verify=verify, verifier_version=VERSION)
    assert open_run(path).policies == WANTED
    assert list(read_facts(path).policies) == WANTED
    assert list(BrowsedStore(path).policies()) == WANTED
    with RolloutStore(path) as store:
        assert [origin.policy for origin in origins_in_order(store, WANTED[::-1], SAMPLING)] == WANTED
