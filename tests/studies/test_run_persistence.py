"""The persistence of a stored run: on policy nothing persists, exactly; and what cannot be scored is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2l_lab.errors import S2LError, UsageError
from s2l_lab.passk import PasskRequest
from s2l_lab.passk.run import run_passk
from s2l_lab.policies import SamplingParams
from s2l_lab.studies.persistence import persistence_of_run


def sampled(path: Path, **sampling: float) -> Path:
    params = SamplingParams(max_tokens=40, **sampling)
    members = ("tiny-60k", "tiny-360k")
    run_passk(PasskRequest(members=members, problems=4, rollouts=4, sampling=params, out=path), command="test")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at T = 1 that the tests only read."""
    return sampled(tmp_path_factory.mktemp("persistence") / "run")


def test_the_learner_is_its_own_null_and_an_explorer_is_not(path: Path) -> None:
    found = persistence_of_run(path, problems=4, n=4)
    learner, explorer = found.result.rows
    assert (learner.name, learner.role, explorer.role) == ("tiny-360k", "learner", "explorer")
    assert (learner.n_rollouts, explorer.n_rollouts) == (16, 16)
    assert learner.kl.value == 0
    assert np.nan_to_num(learner.autocovariance_d.value).tolist() == [0.0] * len(learner.autocovariance_d.at)
    assert explorer.kl.value > 0.05
    assert {s.trace for s in explorer.survival} == {"tiny-360k", "tiny-60k"}
    other = persistence_of_run(path, learner="tiny-60k", problems=2, n=3)
    assert other.result.learner == "tiny-60k"
    assert [row.n_rollouts for row in other.result.rows] == [6, 6]


def test_at_another_temperature_the_learner_deviates_from_itself(tmp_path: Path) -> None:
    """Scores are the learner's at T = 1, so the run's own learner is no null: whoever shows it must say so."""
    found = persistence_of_run(sampled(tmp_path / "run", temperature=1.5), problems=4, n=4)
    learner = found.result.rows[0]
    assert (learner.role, learner.temperature) == ("learner", 1.5)
    assert learner.kl.value > 0


def test_one_policy_an_unknown_one_and_truncated_sampling_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only tiny-60k"):
        persistence_of_run(path, policies=["tiny-60k"])
    with pytest.raises(S2LError, match="tiny-2m"):
        persistence_of_run(path, learner="tiny-2m")
    with pytest.raises(UsageError, match="cannot be scored"):
        persistence_of_run(sampled(tmp_path / "other", top_p=0.9))
