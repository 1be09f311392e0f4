"""Verdicts that are missing end no call: what they leave open is said, and what may be known by now is asked again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from s2l_lab.figures.numbers import as_json, numbers
from s2l_lab.figures.passk import passk_figure
from s2l_lab.passk import PasskReport, PasskRequest, complete_run, run_passk
from s2l_lab.policies import Completion
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, RolloutStore, verify_unverified
from s2l_lab.verifiers import Outcome, Verdict, VerifierPool, verifier_version

N = 16


def request(tmp_path: Path, **changes: object) -> PasskRequest:
    """Two scripted policies on two problems."""
    rows = [{"question": f"name {gold}", "answer": gold, "kind": "exact"} for gold in ("east", "west")]
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields: dict[str, object] = {
        "family": None,
        "policies": ("low=scripted:point(0.2);no_answer=0.5", "high=scripted:point(0.6)"),
        "benchmark": str(path),
        "rollouts": N,
        "out": tmp_path / "run",
    }
    return PasskRequest.model_validate(fields | changes)


def spoil(wanted: PasskRequest, unknown: Sequence[int], detail: str = "the gold answer is unreadable") -> None:
    """Sample the run, and verify so many rollouts of each problem as errors, the rest as they are."""
    with VerifierPool(1, extraction="lenient") as pool:  # the rollouts alone are wanted of it
        done = complete_run(wanted.model_copy(update={"extraction": "lenient"}), pool=pool)
    place = {problem.id: i for i, problem in enumerate(done.plan.benchmark.problems)}
    seen: dict[str, int] = {}
    with VerifierPool(1) as pool, RolloutStore.reopen(wanted.run_directory, "any") as store:

        def verify(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
            verdicts = []
            for problem, completion in items:
                seen[problem.id] = seen.get(problem.id, 0) + 1
                if seen[problem.id] <= unknown[place[problem.id]]:
                    verdicts.append(Verdict(Outcome.VERIFIER_ERROR, None, None, detail))
                else:
                    verdicts.append(pool.verify(completion.text, problem.answer, problem.kind))
            return verdicts

        for origin in done.origins:
            seen.clear()
            verify_unverified(store, verify, verifier_version(done.plan.benchmark.kind), origin)


UNKNOWN = {"one": (0, N), "both": (N, N), "nearly": (N - 2, N - 3), "one-and-some": (N, 1), "single": (1, 0)}


@pytest.mark.parametrize(
    ("unknown", "interval"),
    [  # by default every table, with either interval in turn
        pytest.param(unknown, interval, id=f"{name}-{interval}", marks=[pytest.mark.slow] if (i + j) % 2 else [])
        for i, (name, unknown) in enumerate(UNKNOWN.items())
        for j, interval in enumerate(("rollouts", "problems"))
    ],
)
def test_a_run_with_unknown_verdicts_reports_its_curves_and_says_what_has_no_data(
    tmp_path: Path, unknown: tuple[int, int], interval: str
) -> None:
    wanted = request(tmp_path, interval=interval)
    spoil(wanted, unknown)
    report = run_passk(wanted)
    assert report.sampled == 0
    found = numbers(report)
    assert "NaN" not in as_json(found)
    passk_figure(report)
    for policy, record in zip(report.policies, found["policies"], strict=True):
        assert policy.outcomes["verifier_error"] == sum(unknown)
        curve = policy.curve_rollouts
        assert (curve.bound_low <= curve.bound_high).all()
        assert f"{sum(unknown)} of {2 * N} rollouts have no verdict" in policy.no_data["pass@k"]
        for measure, values in (
            ("pass@k", curve.value),
            ("pass^k", policy.pass_hat_rollouts.value),
            ("maj@k", np.array([estimate.value for _, estimate in policy.maj])),
            ("Cover@tau", policy.cover.smoothed[:-1]),
        ):
            assert np.isnan(values).any()
            assert measure in policy.no_data
        reach = N - max(unknown)
        guess = policy.guess_own
        if reach == 0:
            assert guess is None
        else:
            assert guess is not None
            np.testing.assert_array_equal(np.isnan(guess), np.arange(1, N + 1) > reach)
        assert ("guess of own answers" in policy.no_data) is (reach < N)
        assert record["no_data"] == policy.no_data


def test_what_agrees_whichever_way_the_missing_verdicts_fall_keeps_its_value(tmp_path: Path) -> None:
    """Bounds by hand: of pass^k and Cover@tau the value is what both ways give, else nothing."""
    wanted = request(tmp_path)
    spoil(wanted, (2, 0))
    for policy in run_passk(wanted).policies:
        with RolloutStore(wanted.run_directory) as store:
            (origin,) = (o for o in store.origins() if o.policy == policy.name)
            counts = store.counts(origin, verifier_version("exact"), [p.id for p in store.problems()], N)
        low, high = counts.correct_P, counts.correct_P + counts.unknown_P
        taus = policy.cover.tau
        cover = [(c[:, None] >= taus * N - 1e-9).mean(0) for c in (low, high)]
        np.testing.assert_allclose(policy.cover.plug_in, np.where(cover[0] == cover[1], cover[0], np.nan))
        assert np.isnan(policy.pass_hat_rollouts.value[0])
        assert policy.pass_hat_rollouts.value[-1] == 0


def test_a_report_without_missing_verdicts_has_no_such_words(tmp_path: Path) -> None:
    report = run_passk(request(tmp_path))
    assert [policy.no_data for policy in report.policies] == [{}, {}]


@pytest.mark.parametrize(
    "detail", ["no verdict in 30 s", pytest.param("the maths worker died (SIGKILL)", marks=pytest.mark.slow)]
)
def test_the_next_call_asks_again_by_itself_and_ends_where_one_call_would(tmp_path: Path, detail: str) -> None:
    wanted = request(tmp_path)
    spoil(wanted, (3, N), detail)
    said: list[str] = []
    report = run_passk(wanted, announce=said.append)
    assert said == [f"verifying {2 * (3 + N)} rollouts again that had no verdict"]
    direct = run_passk(wanted.model_copy(update={"out": tmp_path / "direct"}))
    assert content(report) == content(direct)
    said.clear()
    run_passk(wanted, announce=said.append)
    assert said == []


def test_what_lies_in_the_problem_is_not_asked_again_and_the_run_is_only_read(tmp_path: Path) -> None:
    wanted = request(tmp_path)
    spoil(wanted, (0, N))
    first = run_passk(wanted)
    assert all(policy.outcomes["verifier_error"] == N for policy in first.policies)
    with RolloutStore.reopen(wanted.run_directory, "any"):  # another writer: a call that wanted the lock would fail
        assert content(run_passk(wanted)) == content(first)


def test_where_another_process_writes_a_complete_run_is_reported_as_it_stands(tmp_path: Path) -> None:
    wanted = request(tmp_path)
    spoil(wanted, (3, 0), "no verdict in 30 s")
    with RolloutStore.reopen(wanted.run_directory, "any"):
        report = run_passk(wanted)
    assert [policy.outcomes["verifier_error"] for policy in report.policies] == [3, 3]


def test_lenient_verdicts_stand_beside_the_strict_ones_of_the_same_rollouts(tmp_path: Path) -> None:
    wanted = request(tmp_path)
    strict = run_passk(wanted)
    lenient = run_passk(wanted.model_copy(update={"extraction": "lenient"}))
    assert lenient.sampled == 0
    assert (strict.verifier_version, lenient.verifier_version) == (
        verifier_version("exact"),
        verifier_version("exact", "lenient"),
    )
    assert content(run_passk(wanted)) == content(strict)
    with RolloutStore(wanted.run_directory) as store:
        assert store.verifier_versions == [lenient.verifier_version, strict.verifier_version]
        origins: list[Origin] = store.origins()
        assert len(origins) == 2


def test_a_time_for_verdicts_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="verifier_timeout"):
        request(tmp_path, verifier_timeout=0)


def content(report: PasskReport) -> str:
    """Everything that a report says of its rollouts, as text."""
    of_the_call = ("command", "sampled", "seconds", "run_directory")
    return json.dumps({name: value for name, value in numbers(report).items() if name not in of_the_call})
