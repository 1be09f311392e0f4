"""The two studies of arms, from plan to result, on two small members: what must hold whatever the numbers are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from s2l_lab.errors import UsageError
from s2l_lab.studies.contrast_arms import ContrastArms, contrast_arms, open_for_scoring
from s2l_lab.studies.contrast_plan import ContrastPlan
from s2l_lab.studies.matching import MATCHED
from s2l_lab.studies.persistence import Persistence, persistence
from s2l_lab.studies.policy_share import policy_share
from s2l_lab.studies.study import DETAILS
from s2l_lab.studies.traces import GreedyTraces

PLAN = ContrastPlan(
    learner="tiny-60k",
    explorers=("tiny-360k",),
    problems=6,
    rollouts=8,
    validation_problems=6,
    validation_rollouts=8,
    max_tokens=60,
)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Everything in this file runs in one folder of its own, where `runs/` goes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("contrast"))
        yield


@pytest.fixture(scope="module")
def arms(folder: None) -> ContrastArms:
    return contrast_arms(PLAN)


@pytest.fixture(scope="module")
def found(arms: ContrastArms) -> Persistence:
    return persistence(arms)


def test_every_arm_of_the_argument_is_there_with_its_role(arms: ContrastArms) -> None:
    assert arms.learner.arm.name == "tiny-60k"
    roles = [arm.role for arm in arms.others]
    assert roles[:2] == ["explorer", "temperature"]
    reached = [m.matched for m in arms.matches if np.isfinite(m.result.temperature) and m.result.temperature != 1.0]
    assert roles[2:] == reached
    assert [m.matched for m in arms.matches] == list(MATCHED)
    for arm in arms.all:
        sets = arm.arm.rollout_sets()
        assert [len(s) for s in sets] == [PLAN.rollouts] * PLAN.problems
        assert arm.arm.request.sampling.temperature == pytest.approx(arm.temperature)
    digests = {(a.arm.origin.policy_digest, a.arm.origin.sampling_digest) for a in arms.all}
    assert len(digests) == len({(a.arm.member.name, a.temperature) for a in arms.all})


def test_a_caption_says_n_and_the_interval_first_and_how_it_was_made_last(arms: ContrastArms) -> None:
    counts, how = arms.about("95 % CI over problems", "a command", "an embedder")
    assert counts == "countdown: n = 6 problems, N = 8 rollouts per problem and arm; 95 % CI over problems."
    learner = arms.learner.arm
    verified = f"Verifier {learner.verifier_version}; data {learner.benchmark.digest}"
    assert how.startswith(f"{DETAILS}sampling T 1 unless said, top-p 1, top-k off, at most 60 tokens, seed 0; matched ")
    assert how.endswith(f"; an embedder; {verified}; made by: a command")


def test_the_learner_is_the_null_of_persistence(found: Persistence) -> None:
    null = found.rows[0]
    assert (null.role, null.kl.value, null.persistent_drift.value) == ("learner", 0.0, 0.0)
    assert null.variance_ratio.value == pytest.approx(null.variance_ratio_m.value, abs=1e-6)  # d is 0, so e is m
    assert (null.autocovariance_d.value[np.isfinite(null.autocovariance_d.value)] == 0).all()
    assert null.variance_ratio_own is None


def test_every_other_arm_diverges_and_temperatures_are_also_scored_at_their_own(found: Persistence) -> None:
    for row in found.rows[1:]:
        assert row.kl.value > 0
        assert (row.variance_ratio_own is None) == (row.role == "explorer")
        assert row.variance_ratio.value[0] == pytest.approx(1.0)  # q = 1: each square over itself
        assert row.n_rollouts == PLAN.problems * PLAN.rollouts
        bounds = row.score_covariance
        assert (np.abs(bounds.covariance.value) <= bounds.cauchy_schwarz).all()


def test_survival_begins_at_1_falls_and_names_its_trace(found: Persistence) -> None:
    for row in found.rows:
        names = [survival.trace for survival in row.survival]
        assert names == (["tiny-60k", "tiny-360k"] if row.role == "explorer" else ["tiny-60k"])
        for survival in row.survival:
            assert survival.curve.value[0] == 1.0
            assert (np.diff(survival.curve.value) <= 1e-12).all()
            assert survival.curve.n[0] == PLAN.problems


def test_a_greedy_trace_has_no_luck(arms: ContrastArms) -> None:
    policy = open_for_scoring(arms.learner.arm, PLAN)
    try:
        one, other = (
            GreedyTraces.of(
                policy, arms.learner.arm.benchmark.problems, PLAN.sampling().model_copy(update={"seed": seed})
            )
            for seed in (0, 1)
        )
    finally:
        policy.close()
    assert all((a == b).all() for a, b in zip(one.token_ids_P, other.token_ids_P, strict=True))


def test_policy_share_has_a_row_for_every_arm_and_no_size_effect_without_seeds(arms: ContrastArms) -> None:
    result = policy_share(arms, None)
    assert [row.name for row in result.rows] == [a.arm.name for a in arms.others]
    assert set(result.rows[0].features) == {"answers", "strategies", "tokens"}  # no embedder was given
    assert set(result.split_halves) == {"answers", "strategies", "tokens"}
    assert result.sizes == ()
    hotter = next(row for row in result.rows if row.role == "temperature")
    assert hotter.features["tokens"].share.n_problems == PLAN.problems


def test_what_makes_no_sense_is_refused_when_the_plan_is_made() -> None:
    with pytest.raises(ValidationError, match="a policy adds nothing to itself"):
        ContrastPlan(learner="tiny-2m", explorers=("tiny-2m",))
    with pytest.raises(ValidationError, match="problems they are used on"):
        ContrastPlan(validation="countdown")
    with pytest.raises(ValidationError, match="temprature"):
        ContrastPlan.model_validate({"temprature": 1.2})


def test_unknown_members_and_families_without_a_recipe_are_refused_before_anything_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="tiny-2m"):
        contrast_arms(PLAN.model_copy(update={"learner": "tiny-3m"}))
    assert list(tmp_path.iterdir()) == []
