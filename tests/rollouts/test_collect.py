"""The collect loop: samples what is owed and nothing else, verifies all, and keeps what it got whatever goes wrong."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, content, problems, verify, writer

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, Draw, Draws, SamplingParams
from s2l_lab.problems import Problem
from s2l_lab.rollouts import InterruptedRunError, Origin, Progress, RolloutStore, collect
from s2l_lab.verifiers import Verdict

ITEMS = problems(4)
IDS = [item.id for item in ITEMS]


@dataclass(frozen=True)
class Watched(HashedPolicy):
    """Notes what was asked of it."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        self.asked.extend((request.problem.id, index) for request in requests for index in request.indices)
        return super().sample(requests, sampling)


@dataclass(frozen=True)
class Failing(HashedPolicy):
    """After `good` draws raises `error`, or yields `extra`, or just ends."""

    good: int = 0
    error: type[BaseException] | None = None
    extra: Draw | None = None

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        for number, draw in enumerate(super().sample(requests, sampling)):
            if number == self.good:
                if self.error:
                    raise self.error("the engine fell over")
                if self.extra:
                    yield self.extra
                return
            yield draw


def run_collect(
    path: Path, policy: HashedPolicy, n: int, items: Sequence[Problem] = ITEMS, **options: object
) -> Progress:
    options = {"verify": verify, "verifier_version": VERSION, "flush_rollouts": 10, **options}
    with writer(path) as store:
        return collect(store, policy, items, n, SAMPLING, **options)  # type: ignore[arg-type]


def test_topping_up_samples_only_what_is_owed_and_equals_one_large_run(tmp_path: Path) -> None:
    grown, direct = Watched(), Watched()
    run_collect(tmp_path / "grown", grown, 16, ITEMS[:3])
    first = set(grown.asked)
    assert first == {(item.id, index) for item in ITEMS[:3] for index in range(16)}
    small = RolloutStore(tmp_path / "grown").counts(Origin.of(grown, SAMPLING), VERSION, IDS[:3], 16)
    grown.asked.clear()
    progress = run_collect(tmp_path / "grown", grown, 64)
    assert (progress.wanted, progress.kept, progress.sampled, progress.verified) == (256, 48, 208, 208)
    assert set(grown.asked) == {(item.id, index) for item in ITEMS for index in range(64)} - first
    assert len(grown.asked) == 208
    run_collect(tmp_path / "direct", direct, 64)
    assert content(tmp_path / "grown") == content(tmp_path / "direct")
    large = RolloutStore(tmp_path / "grown").counts(Origin.of(grown, SAMPLING), VERSION, IDS[:3], 16)
    assert large.correct_P.tolist() == small.correct_P.tolist()
    assert large.total_P.tolist() == [16] * 3


def test_a_second_call_asks_the_policy_for_nothing(tmp_path: Path) -> None:
    policy = Watched()
    run_collect(tmp_path / "run", policy, 8)
    policy.asked.clear()
    progress = run_collect(tmp_path / "run", policy, 8)
    assert policy.asked == []
    assert (progress.kept, progress.sampled, progress.seconds_left) == (32, 0, 0.0)
    assert math.isnan(progress.tokens_per_second)
    assert len(RolloutStore(tmp_path / "run").sessions) == 2


def test_progress_rises_to_the_end_and_metrics_tell_the_same(tmp_path: Path) -> None:
    seen: list[Progress] = []
    last = run_collect(tmp_path / "run", HashedPolicy(), 16, progress=seen.append)
    for name in ("sampled", "verified", "tokens", "seconds"):
        values = [getattr(progress, name) for progress in seen]
        assert values == sorted(values)
    assert seen[-1].sampled == seen[-1].verified == last.sampled == 64
    assert last.tokens == sum(row["completion_tokens"] for row in content(tmp_path / "run"))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["rollouts"] == lines[-1]["wanted"] == lines[-1]["verified_in_session"] == 64
    assert len(lines) > 3


def test_a_torn_line_in_the_metrics_spoils_only_itself(tmp_path: Path) -> None:
    with writer(tmp_path / "run") as store:
        store.log_metrics({"a": 1.0})
        with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
            file.write('{"a": 2')
        store.log_metrics({"a": math.nan, "b": "x"})
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert lines == ['{"a": 1.0}', '{"a": 2', '{"a": null, "b": "x"}']


@pytest.mark.parametrize("good", [0, 7, 33])
def test_an_interrupt_keeps_every_draw_and_the_next_call_goes_on(tmp_path: Path, good: int) -> None:
    with pytest.raises(
        InterruptedRunError, match=rf"interrupted: {good} of 64 rollouts of hashed are kept.*goes on"
    ) as stop:
        run_collect(tmp_path / "run", Failing(good=good, error=KeyboardInterrupt), 16)
    assert stop.value.exit_status == 130
    assert len(content(tmp_path / "run")) == good
    watched = Watched()
    run_collect(tmp_path / "run", watched, 16)
    assert len(watched.asked) == 64 - good
    run_collect(tmp_path / "direct", HashedPolicy(), 16)
    assert content(tmp_path / "run") == content(tmp_path / "direct")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Failing(good=7, error=PolicyError), "the engine fell over"),
        (Failing(good=7), "57 of the rollouts that it was asked for missing"),
        (
            Failing(good=7, extra=HashedPolicy().draw(ITEMS[0], 99)),
            f"rollout 99 of problem {IDS[0]}, which was not asked",
        ),
        (
            Failing(good=7, extra=HashedPolicy().draw(ITEMS[0], 2)),
            f"rollout 2 of problem {IDS[0]}, which was not asked",
        ),
    ],
)
def test_a_failing_engine_is_named_and_its_good_draws_stay(tmp_path: Path, policy: Failing, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        run_collect(tmp_path / "run", policy, 16)
    assert len(content(tmp_path / "run")) == 7


def test_an_interrupt_while_the_last_verdicts_are_given_loses_nothing(tmp_path: Path) -> None:
    """The signal comes from the verifier's thread, and meets the main thread waiting for it."""

    def interrupting(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        os.kill(os.getpid(), signal.SIGINT)
        return verify(items)

    with pytest.raises(InterruptedRunError, match="64 of 64 rollouts"):
        run_collect(tmp_path / "run", HashedPolicy(), 16, verify=interrupting, flush_rollouts=64)
    assert len(content(tmp_path / "run")) == 64
    assert run_collect(tmp_path / "run", HashedPolicy(), 16).sampled == 0
    assert all(row["outcome"] for row in content(tmp_path / "run"))


@dataclass(frozen=True)
class Telling(HashedPolicy):
    """Says when its fifteenth draw has been taken."""

    fifteen: threading.Event = field(default_factory=threading.Event)

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        for number, draw in enumerate(super().sample(requests, sampling)):
            if number == 15:
                self.fifteen.set()
            yield draw


def test_draws_that_wait_behind_a_crashing_verifier_are_stored(tmp_path: Path) -> None:
    """Ten draws were flushed and are being verified; five more have been handed over when the verifier crashes."""
    policy = Telling()

    def crash(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        assert policy.fifteen.wait(60)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_collect(tmp_path / "run", policy, 16, verify=crash)
    assert len(content(tmp_path / "run")) >= 15


def test_a_crashing_verifier_loses_no_draw_and_what_it_owes_is_verified_by_the_next_call(tmp_path: Path) -> None:
    def crash(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_collect(tmp_path / "run", HashedPolicy(), 16, verify=crash, flush_rollouts=64)
    assert [row["outcome"] for row in content(tmp_path / "run")] == [None] * 64
    progress = run_collect(tmp_path / "run", HashedPolicy(), 16)
    assert (progress.kept, progress.sampled, progress.verified) == (64, 0, 64)
    run_collect(tmp_path / "direct", HashedPolicy(), 16)
    assert content(tmp_path / "run") == content(tmp_path / "direct")


def test_a_verifier_slower_than_the_policy_ends_with_every_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the backlog rollouts wait in the store: here all but the first flush do."""
    import s2l_lab.rollouts.loop as module

    monkeypatch.setattr(module, "BACKLOG_ROLLOUTS", 1)
    monkeypatch.setattr(module, "VERIFY_ROLLOUTS", 3)
    progress = run_collect(tmp_path / "run", HashedPolicy(), 16)
    assert progress.verified == 64
    assert all(row["outcome"] for row in content(tmp_path / "run"))


def test_a_verifier_is_given_each_completion_once_with_its_own_problem(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def watch(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
        seen.extend((problem.id, completion.text) for problem, completion in items)
        return verify(items)

    run_collect(tmp_path / "run", HashedPolicy(), 16, verify=watch)
    assert sorted(seen) == sorted((row["problem_id"], row["text"]) for row in content(tmp_path / "run"))
