"""The studies' two questions asked of frames: their numbers, their nulls, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from s2l_lab.diversity.measure import frame_sets
from s2l_lab.errors import DataError, UsageError
from s2l_lab.policies import open_policy
from s2l_lab.rollouts.sampled import sample
from s2l_lab.studies.between import contrast
from s2l_lab.studies.frames import persistence, policy_share

PROBLEMS, N = 8, 8


@pytest.fixture(scope="module")
def drawn() -> dict[str, pd.DataFrame]:
    """The smallest member, a learner, and the learner with another seed and at a higher temperature."""
    how = {"small": ("tiny-60k", {}), "learner": ("tiny-360k", {}), "again": ("tiny-360k", {"seed": 1})}
    how |= {"hot": ("tiny-360k", {"temperature": 1.5})}
    return {
        name: sample(policy, "countdown", N, first=PROBLEMS, sampling=chosen) for name, (policy, chosen) in how.items()
    }


@pytest.mark.parametrize("feature", ["answers", "tokens", pytest.param("embedding", marks=pytest.mark.slow)])
def test_a_share_is_the_decompositions(drawn: dict[str, pd.DataFrame], feature: str) -> None:
    found = policy_share(drawn["small"], drawn["learner"], feature)  # type: ignore[arg-type]  # a name of FEATURES
    assert (found.n_problems, found.n_rollouts) == (PROBLEMS, 2 * PROBLEMS * N)
    if feature != "embedding":
        sets = frame_sets(drawn["small"]), frame_sets(drawn["learner"])
        decomposed = contrast(*sets, feature, None, seed=1)  # type: ignore[arg-type]
        assert decomposed is not None
        assert found == decomposed.share
    # Problems are matched by id, in whatever order the rows stand.
    assert policy_share(drawn["small"][::-1], drawn["learner"], feature).value == pytest.approx(found.value)  # type: ignore[arg-type]


def test_a_learner_adds_nothing_to_itself_and_a_policy_of_other_answers_much(drawn: dict[str, pd.DataFrame]) -> None:
    null = policy_share(drawn["again"], drawn["learner"])
    assert null.lower < 0 < null.upper
    assert policy_share(drawn["small"].assign(canonical="one answer"), drawn["learner"]).lower > 0.2


def test_deviations_of_the_learner_do_not_last_and_those_of_temperature_do(drawn: dict[str, pd.DataFrame]) -> None:
    policy = open_policy("tiny-360k")
    own, hot, small = (persistence(drawn[name], policy) for name in ("learner", "hot", "small"))
    policy.close()
    assert own[1].value == hot[1].value == 1
    assert own[20].lower < 1 < own[20].upper
    assert hot[20].lower > 1
    assert small[20].lower > 1
    assert (small[20].n_problems, small[20].n_rollouts) == (PROBLEMS, PROBLEMS * N)
    np.testing.assert_equal(persistence(drawn["small"], "tiny-360k", [20])[20], small[20])


def test_what_cannot_be_compared_is_refused(drawn: dict[str, pd.DataFrame]) -> None:
    small, learner = drawn["small"], drawn["learner"]
    for call, error, said in [
        (lambda: policy_share(learner, learner), UsageError, "are the same rollouts"),
        (lambda: policy_share(small, learner, "words"), UsageError, "unknown feature 'words'"),  # type: ignore[arg-type]
        (lambda: policy_share(small[small.problem == small.problem[0]], learner), UsageError, "different problems"),
        (lambda: policy_share(small.assign(token_ids=None), learner, "tokens"), UsageError, "need token ids"),
        (lambda: persistence(small.assign(token_ids=None), "tiny-360k"), DataError, "token ids"),
        (lambda: persistence(small.drop(columns="metadata"), "tiny-360k"), UsageError, "lacks metadata"),
        (lambda: persistence(small, "tiny-360k", [0]), UsageError, "horizon 0"),
        (lambda: persistence(small, open_policy("x=scripted:beta(1,1)")), UsageError, "transformers engine"),
    ]:
        with pytest.raises(error, match=said):
            call()  # type: ignore[no-untyped-call]


def test_problems_of_one_template_are_resampled_together(drawn: dict[str, pd.DataFrame]) -> None:
    """Problems whose metadata name two clusters: persistence took each of them for evidence of its own."""

    def named(frame: pd.DataFrame) -> pd.DataFrame:
        cluster = {problem: place % 2 for place, problem in enumerate(dict.fromkeys(frame["problem"]))}
        pairs = zip(frame["metadata"], frame["problem"], strict=True)
        return frame.assign(metadata=[json.dumps(json.loads(text) | {"cluster": cluster[p]}) for text, p in pairs])

    found = persistence(named(drawn["small"]), "tiny-360k", [5])[5]
    assert "of 2 clusters" in found.method
    assert found.value == persistence(drawn["small"], "tiny-360k", [5])[5].value
    assert "of 2 clusters" in policy_share(named(drawn["small"]), named(drawn["learner"])).method
