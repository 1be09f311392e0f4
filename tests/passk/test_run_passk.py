"""The main job as laws: a call samples what is owed and no more, and what it reports depends on the rollouts alone."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.figures.numbers import numbers
from s2l_lab.passk import PasskReport, PasskRequest, make_plan, run_passk
from s2l_lab.policies import SamplingParams

OF_THE_CALL = ("command", "sampled", "seconds", "run_directory")


def request(out: Path, **changes: object) -> PasskRequest:
    """Two scripted policies on ten Countdown problems."""
    fields: dict[str, object] = {
        "family": None,
        "policies": ("low=scripted:beta(0.3,1)", "high=scripted:point(0.6)"),
        "problems": 10,
        "rollouts": 16,
        "out": out,
    }
    return PasskRequest.model_validate(fields | changes)


def content(report: PasskReport) -> str:
    """Everything that a report says of its rollouts, as text (so that NaN equals NaN)."""
    return json.dumps({k: v for k, v in numbers(report).items() if k not in OF_THE_CALL})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> PasskReport:
    """What the plain request reports of a run that it makes."""
    return run_passk(request(tmp_path_factory.mktemp("made") / "run"))


@pytest.fixture
def run(made: PasskReport, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(made.run_directory, tmp_path / "run"))


def test_a_second_call_samples_nothing_and_says_the_same(made: PasskReport, run: Path) -> None:
    first, second = made, run_passk(request(run))
    assert (first.sampled, second.sampled) == (2 * 10 * 16, 0)
    assert content(first) == content(second)


def test_a_top_up_samples_what_is_owed_and_ends_where_one_call_would(run: Path, tmp_path: Path) -> None:
    grown = run_passk(request(run, rollouts=40, problems=12))
    at_once = run_passk(request(tmp_path / "whole", rollouts=40, problems=12))
    assert grown.sampled == 2 * (12 * 40 - 10 * 16)
    assert content(grown) == content(at_once)


def test_a_larger_run_answers_for_a_smaller_n_and_fewer_problems(made: PasskReport, tmp_path: Path) -> None:
    run_passk(request(tmp_path / "large", rollouts=40, problems=12))
    part = run_passk(request(tmp_path / "large"))
    assert part.sampled == 0
    assert content(part) == content(made)


def test_a_policy_can_join_and_leave(tmp_path: Path) -> None:
    run_passk(request(tmp_path / "run", policies=("low=scripted:beta(0.3,1)",)))
    both = run_passk(request(tmp_path / "run"))
    one = run_passk(request(tmp_path / "run", policies=("high=scripted:point(0.6)",)))
    assert (both.sampled, one.sampled) == (10 * 16, 0)
    assert [policy.name for policy in one.policies] == ["high"]
    assert one.comparisons == ()


def test_another_policy_under_a_known_name_is_refused(run: Path) -> None:
    with pytest.raises(UsageError, match=r"another policy called high .*0\.6\) -> .*0\.7\)"):
        run_passk(request(run, policies=("high=scripted:point(0.7)",)))


def test_another_identity_is_refused_with_the_keys_that_differ(run: Path) -> None:
    with pytest.raises(UsageError, match=r"sampling\.seed: 0 -> 1"):
        run_passk(request(run, sampling=SamplingParams(seed=1)))


def test_fresh_keeps_the_old_run(run: Path) -> None:
    report = run_passk(request(run), fresh=True)
    assert report.sampled == 2 * 10 * 16
    assert len(list(run.parent.iterdir())) == 2


def test_a_plan_counts_what_a_run_then_samples(run: Path) -> None:
    grown = request(run, rollouts=24)
    assert make_plan(grown).owed == run_passk(grown).sampled == 2 * 10 * 8
    assert make_plan(grown).owed == 0
    assert make_plan(grown, fresh=True).owed == 2 * 10 * 24


def test_the_report_counts_every_rollout_once_and_agrees_with_itself(made: PasskReport) -> None:
    for policy in made.policies:
        assert sum(policy.outcomes.values()) == 10 * 16
        assert policy.curve_rollouts.value[0] == pytest.approx(policy.outcomes["correct"] / 160)
        np.testing.assert_array_equal(policy.curve_rollouts.value, policy.curve_problems.value)
        assert (np.diff(policy.curve_rollouts.value) >= -1e-12).all()
        assert (np.diff(policy.pass_hat_rollouts.value) <= 1e-12).all()
    assert {(c.a, c.b) for c in made.comparisons} == {("low", "high")}


def test_the_interval_chooses_what_is_drawn_and_nothing_else(made: PasskReport, run: Path) -> None:
    rollouts, problems = made, run_passk(request(run, interval="problems"))
    assert problems.sampled == 0
    assert numbers(rollouts)["curves"] != numbers(problems)["curves"]
    pairs = zip(rollouts.policies, problems.policies, strict=True)
    assert all(repr(dataclasses.asdict(a)) == repr(dataclasses.asdict(b)) for a, b in pairs)


def test_two_policies_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two policies are called twin"):
        make_plan(request(Path("unused"), policies=("twin=scripted:point(0.1)", "twin=scripted:point(0.2)")))


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to run"):
        PasskRequest(family=None)
