"""VERIFIER_ERRORs replaced by verdicts: each rollout keeps exactly one, and everything else stays as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, content, problems, verify, writer
from killed_run import die_before

from s2l_lab.policies import Completion
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, RolloutStore, collect, verify_errors_again, verify_unverified
from s2l_lab.verifiers import Outcome, Verdict

ITEMS = problems(4)
OTHER = "other-1"
ORIGIN = Origin.of(HashedPolicy(), SAMPLING)


def settled(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
    """The verifier of the store's tests on a day when nothing hangs."""
    return [
        Verdict(Outcome.CORRECT, v.answer, v.canonical) if v.outcome is Outcome.VERIFIER_ERROR else v
        for v in verify(items)
    ]


def make(path: Path, n: int = 40) -> None:
    """A run in several parts, of two policies, verified under two versions."""
    with writer(path) as store:
        for policy in (HashedPolicy(), HashedPolicy("second")):
            for wanted in (n // 2, n):
                collect(store, policy, ITEMS, wanted, SAMPLING, verify=verify, verifier_version=VERSION)
        verify_unverified(store, verify, OTHER)


def errors(path: Path, version: str = VERSION) -> int:
    return sum(row["outcome"] == Outcome.VERIFIER_ERROR for row in content(path, version))


def check(before: list[dict[str, object]], after: list[dict[str, object]], *, all_settled: bool = True) -> None:
    """Same rows in the same order; only errors differ, and each of them has become a verdict (or not yet)."""
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if old["outcome"] != Outcome.VERIFIER_ERROR or (not all_settled and new == old):
            assert new == old
        else:
            assert new == {**old, "outcome": Outcome.CORRECT, "detail": ""}


def test_only_errors_of_the_version_and_the_origin_are_asked_again_and_each_rollout_keeps_one_verdict(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    make(run)
    before, other = content(run), content(run, OTHER)
    asked: list[int] = []

    def counting(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        asked.append(len(items))
        return settled(items)

    own = [row for row in before if row["policy"] == ORIGIN.policy and row["outcome"] == Outcome.VERIFIER_ERROR]
    with writer(run) as store:
        done = verify_errors_again(store, counting, VERSION, ORIGIN)
    assert (sum(asked), done.tried, done.settled, done.still) == (len(own), len(own), len(own), {})
    check(
        [row for row in before if row["policy"] == ORIGIN.policy], [r for r in content(run) if r["policy"] == "hashed"]
    )
    with writer(run) as store:
        verify_errors_again(store, settled, VERSION)
    check(before, content(run))
    assert content(run, OTHER) == other
    with RolloutStore(run) as store:
        assert store.sizes() == (len(before), {VERSION: len(before), OTHER: len(before)})
        assert store.verifier_versions == [VERSION, OTHER]
        assert store.damaged == {}


def test_an_error_that_stays_is_counted_by_its_cause_and_nothing_is_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    make(run)
    number = errors(run)
    files = sorted((p.name, p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file() and p.name != ".lock")
    with writer(run) as store:
        done = verify_errors_again(store, verify, VERSION)
    assert (done.tried, done.settled, done.still) == (number, 0, {"hung": number})
    assert sorted((p.name, p.stat().st_mtime_ns) for p in run.rglob("*") if p.is_file() and p.name != ".lock") == files


@pytest.mark.parametrize("detail", ["math-verify cannot read the gold answer", "the gold answer is a proof"])
def test_what_lies_in_the_problem_is_asked_again_only_when_told(tmp_path: Path, detail: str) -> None:
    run = tmp_path / "run"

    def unreadable(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        return [Verdict(Outcome.VERIFIER_ERROR, None, None, detail) for _ in items]

    with writer(run) as store:
        collect(store, HashedPolicy(), ITEMS, 5, SAMPLING, verify=unreadable, verifier_version=VERSION)
        assert store.number_of_errors(VERSION) == 20
        assert store.number_of_errors(VERSION, passing=True) == 0
        assert verify_errors_again(store, settled, VERSION, passing=True).tried == 0
        assert verify_errors_again(store, settled, VERSION).settled == 20


def test_the_next_collect_asks_once_for_what_failed_before(tmp_path: Path) -> None:
    run = tmp_path / "run"
    calls: list[int] = []

    def died(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        calls.append(len(items))
        return [Verdict(Outcome.VERIFIER_ERROR, None, None, "the maths worker died (SIGKILL)") for _ in items]

    for _ in range(3):
        with writer(run) as store:
            collect(store, HashedPolicy(), ITEMS, 5, SAMPLING, verify=died, verifier_version=VERSION)
    assert sum(calls) == 3 * 20
    with writer(run) as store:
        collect(store, HashedPolicy(), ITEMS, 10, SAMPLING, verify=settled, verifier_version=VERSION)
    with writer(tmp_path / "direct") as store:
        collect(store, HashedPolicy(), ITEMS, 10, SAMPLING, verify=settled, verifier_version=VERSION)
    assert content(run) == content(tmp_path / "direct")


def replace_and_die(run: Path, event: int) -> None:
    die_before(run, event)
    with writer(run) as store:
        verify_errors_again(store, settled, VERSION)
    os._exit(0)


@pytest.mark.parametrize("event", [6, 15, *(pytest.param(e, marks=pytest.mark.slow) for e in (3, 9, 12, 18, 21))])
def test_killed_at_any_step_every_rollout_has_one_verdict_and_the_next_call_goes_on(tmp_path: Path, event: int) -> None:
    run = tmp_path / "run"
    make(run, 20)
    before = content(run)
    child = subprocess.run([sys.executable, __file__, str(run), str(event)], check=False)
    assert child.returncode in (0, -signal.SIGKILL)
    check(before, content(run), all_settled=False)
    with writer(run) as store:
        verify_errors_again(store, settled, VERSION)
    check(before, content(run))


def test_a_damaged_part_is_left_out_and_the_others_are_replaced(tmp_path: Path) -> None:
    run = tmp_path / "run"
    make(run)
    whole = len(content(run))
    folder = next(place for place in (run / "verdicts").iterdir() if "hash" in place.name)
    part = sorted(folder.glob("part-*.parquet"))[0]
    data = bytearray(part.read_bytes())
    data[40:80] = bytes(40)
    part.write_bytes(data)
    with writer(run) as store:
        verify_errors_again(store, settled, VERSION)
        verify_unverified(store, settled, VERSION)
    rows = content(run)
    assert len(rows) == whole
    assert errors(run) == 0


if __name__ == "__main__":
    replace_and_die(Path(sys.argv[1]), int(sys.argv[2]))
