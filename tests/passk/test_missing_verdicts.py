"""Rollouts without a verdict in a report: drawn as bounds, or left out where that is asked, and said either way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from s2l_lab.cli.app import app
from s2l_lab.errors import UsageError
from s2l_lab.figures.caption import caption_lines
from s2l_lab.figures.numbers import numbers
from s2l_lab.passk import PasskReport, PasskRequest, complete_run
from s2l_lab.passk.build import Reader, Sampled, compare_policies, policy_report
from s2l_lab.policies import Completion, Draw, SamplingParams, StopReason
from s2l_lab.problems import Benchmark, Problem
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore, RunManifest
from s2l_lab.verifiers import Outcome, Verdict, VerifierPool

SAMPLING, VERSION, N = SamplingParams(max_tokens=8), "countdown-1", 6
PROBLEMS = tuple(Problem.make(f"make {i}", f"{i}", "countdown", "test", {}) for i in range(3))
OUTCOMES = {  # by policy, a string a problem: R right, W wrong, - no verdict
    "small": ("RWWW-W", "------", "RRRRWW"),
    "large": ("RRRWWW", "RWWWWW", "RRRRR-"),
}
MEANS = {"R": Outcome.CORRECT, "W": Outcome.INCORRECT, "-": Outcome.VERIFIER_ERROR}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "run"
    manifest = RunManifest.of_this_process({}, device="none", seeds={"run": 0}, verifier_version=VERSION)
    with RolloutStore.open(path, manifest, {"benchmark": "countdown"}) as made:
        made.add_problems(list(PROBLEMS))
        for policy, by_problem in OUTCOMES.items():
            origin = Origin(policy, f"digest of {policy}", SAMPLING.digest)
            for problem, outcomes in zip(PROBLEMS, by_problem, strict=True):
                text = Completion("3+4", None, None, None, None, StopReason.EOS, 5)
                draws = [Draw(problem.id, i, text) for i in range(N)]
                made.append(draws, origin)
                rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in draws]
                given = [
                    Verdict(MEANS[o], None if o == "-" else o, None if o == "-" else f"= {o}", "looked at")
                    for o in outcomes
                ]
                made.append_verdicts(VERSION, rollouts, given)
    return path


def report(path: Path, *, leave_out: bool) -> PasskReport:
    benchmark = Benchmark("countdown", PROBLEMS, "countdown", None, {})
    sampled = [Sampled(Origin(name, f"digest of {name}", SAMPLING.digest), None) for name in OUTCOMES]
    with RolloutStore(path) as opened, VerifierPool() as pool:
        reader = Reader(opened, benchmark, N, VERSION, SAMPLING, N)
        if leave_out:
            reader = reader.without_unknown(sampled)
        return PasskReport(
            benchmark=benchmark.name, benchmark_digest=reader.benchmark.digest, provenance={}, verifier_version=VERSION,
            sampling=SAMPLING, interval="rollouts", n_problems=len(reader.problem_ids), n_rollouts=reader.largest_k,
            policies=tuple(policy_report(reader, one, pool) for one in sampled),
            comparisons=compare_policies(reader, sampled), unknown=reader.unknown, left_out=reader.left_out,
            command="s2l-lab passk", run_directory=path, sampled=0, seconds=0.0,
        )  # fmt: skip


def test_bounds_keep_every_problem_and_every_k(store: Path) -> None:
    seen = report(store, leave_out=False)
    small = seen.policies[0].curve_rollouts
    assert (seen.n_problems, seen.n_rollouts, small.k.size) == (3, 6, 6)
    assert np.isnan(small.value).any()
    assert small.bound_low[0] == pytest.approx((1 + 0 + 4) / 18)
    assert small.bound_high[0] == pytest.approx((2 + 6 + 4) / 18)
    assert "8 rollouts without a verdict (drawn as bounds)" in caption_lines(seen)[1]


def test_left_out_means_values_over_what_has_a_verdict_and_the_caption_says_so(store: Path) -> None:
    """The second problem has no verdict of `small` and leaves both; N is 5, the fewest verdicts."""
    seen = report(store, leave_out=True)
    small, large = (policy.curve_rollouts for policy in seen.policies)
    assert (seen.n_problems, seen.n_rollouts, seen.left_out) == (2, 5, (PROBLEMS[1].id,))
    assert small.k.tolist() == large.k.tolist() == [1, 2, 3, 4, 5]
    assert small.value[0] == pytest.approx((1 / 5 + 4 / 6) / 2)
    assert large.value[0] == pytest.approx((3 / 6 + 5 / 5) / 2)
    assert np.isfinite(small.value).all()
    assert seen.policies[0].maj[0][1].value == pytest.approx(small.value[0])
    assert seen.comparisons[0].value[0] == pytest.approx(large.value[0] - small.value[0])
    assert seen.policies[0].pass_hat_rollouts.value[0] == pytest.approx(small.value[0])
    assert seen.policies[1].cover.tau.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    words = caption_lines(seen)[1]
    assert "N = 5 rollouts per problem and policy with a verdict at least" in words
    assert "2 without one (and every rollout of 1, which had none) are left out as missing at random" in words
    written = numbers(seen)
    assert (written["unknown"], written["left_out"]) == ("missing-at-random", [PROBLEMS[1].id])


def test_where_every_rollout_has_its_verdict_the_option_changes_nothing(tmp_path: Path) -> None:
    command = ["passk", "--policy", "p=scripted:beta(0.5,1)", "--problems", "4", "-n", "6", "--json"]
    found = []
    for unknown in ("bounds", "missing-at-random"):
        done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run"), "--unknown", unknown])
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout))
    assert [one.pop("unknown") for one in found] == ["bounds", "missing-at-random"]
    keys = found[0].keys() - {"command", "sampled", "seconds"}
    assert {key: found[0][key] for key in keys} == {key: found[1][key] for key in keys}


def test_a_pool_of_another_extraction_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    """Its verdicts would be stored as those of the extraction that was asked for."""
    asked = PasskRequest(
        family=None,
        policies=("even=scripted:beta(1,1)",),
        problems=2,
        rollouts=2,
        extraction="lenient",
        out=tmp_path / "run",
    )
    with VerifierPool() as strict, pytest.raises(UsageError, match="strict extraction and the request by lenient"):
        complete_run(asked, pool=strict)
    assert not (tmp_path / "run").exists()
    with VerifierPool(extraction="lenient") as lenient:
        assert len(complete_run(asked, pool=lenient).origins) == 1
