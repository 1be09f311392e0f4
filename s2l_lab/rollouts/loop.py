"""The collect loop: sample what is owed, store it within seconds, verify it meanwhile.

The calling thread only runs the policy. One recorder thread takes the draws, writes them as a part every
FLUSH_SECONDS, or when FLUSH_ROLLOUTS have come, and verifies in between; so a kill loses seconds of finished draws
even while the engine is busy with a long batch, an interrupt never falls into a write (Python gives it to the main
thread), and verifying overlaps sampling. What a slow verifier cannot keep up with is not held in memory: it is read
back from the store and verified at the end, like the rollouts that an interrupted session left unverified.

All owed draws are asked of the engine at once, since it alone knows its best batches; `Policy.sample` yields them as
they finish.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from s2l_lab.errors import PolicyError, S2LError
from s2l_lab.policies import Completion, Draw, Draws, Policy, Remarking, SamplingParams
from s2l_lab.problems import Problem
from s2l_lab.rollouts.repeats import FirstBatch, is_greedy, settle
from s2l_lab.rollouts.rollout import Origin, Rollout, RolloutKey
from s2l_lab.rollouts.store import RolloutStore
from s2l_lab.verifiers import Outcome, Verdict

FLUSH_SECONDS = 3.0
FLUSH_ROLLOUTS = 4096
VERIFY_ROLLOUTS = 1024
"""Per call of the verifier: enough for its pool, few enough that a flush is never long overdue."""
BACKLOG_ROLLOUTS = 16_384
"""Stored rollouts that wait in memory for the verifier; what is beyond waits in the store."""

Verify = Callable[[Sequence[tuple[Problem, Completion]]], list[Verdict]]
"""One verdict for each completion, in the same order."""


class InterruptedRunError(S2LError):
    """Sampling was stopped by the user (Ctrl-C); everything that was finished is stored."""

    exit_status = 130


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the collection of one policy is."""

    policy: str
    wanted: int
    """Number of rollouts asked for in total."""
    kept: int
    """Rollouts that were there before this session."""
    sampled: int
    """Number of rollouts sampled in this session."""
    verified: int
    """Number of rollouts verified in this session."""
    tokens: int
    """Completion tokens of this session, where the engine tells them."""
    seconds: float
    """Seconds since sampling began."""

    @property
    def tokens_per_second(self) -> float:
        """Of this session; NaN before the first."""
        return self.tokens / self.seconds if self.tokens and self.seconds else math.nan

    @property
    def seconds_left(self) -> float:
        """At this session's rate; NaN before the first rollout."""
        left = self.wanted - self.kept - self.sampled
        return self.seconds * left / self.sampled if self.sampled else 0.0 if left == 0 else math.nan


@dataclass(frozen=True, slots=True)
class Retried:
    """What asking again for verdicts came to."""

    tried: int
    """Rollouts with a VERIFIER_ERROR that were verified again."""
    still: dict[str, int]
    """Those that are VERIFIER_ERROR still, by cause."""

    @property
    def settled(self) -> int:
        """Those that have a verdict now."""
        return self.tried - sum(self.still.values())


def collect(
    store: RolloutStore,
    policy: Policy,
    problems: Sequence[Problem],
    n: int,
    sampling: SamplingParams,
    *,
    verify: Verify,
    verifier_version: str,
    progress: Callable[[Progress], None] = lambda _: None,
    flush_rollouts: int = FLUSH_ROLLOUTS,
    accept_repeats: bool = False,
) -> Progress:
    """Bring a policy to n verified rollouts per problem: sample what is owed, verify what is unverified.

    VERIFIER_ERRORs of earlier calls whose cause may have passed are verified again first, once.

    `progress` is called from the recorder's thread, after every handful of draws. Whatever ends this call, every draw
    that the policy had yielded is stored first. Raises InterruptedRunError on Ctrl-C, PolicyError if the policy yields
    a draw that nobody asked for or leaves one out, WriteError on a full disk, and whatever policy and verifier raise.
    `flush_rollouts` bounds the rollouts of one part.

    Rollouts that cannot be independent draws (see `repeats`) raise RepeatedRolloutsError: before sampling where they
    are there already, after the first batch where it shows, else at the end. `accept_repeats` keeps them with a remark.
    """
    store.add_problems(problems)
    origin = Origin.of(policy, sampling)
    owed = store.owed(problems, origin, n)
    if owed:
        store.add_prompts(policy, origin, problems)
    ids = list(dict.fromkeys(problem.id for problem in problems))
    wanted = len(ids) * n
    recorder = _Recorder(
        store,
        origin,
        verify=verify,
        version=verifier_version,
        wanted=wanted,
        owed=owed,
        progress=progress,
        flush_rollouts=flush_rollouts,
        remarks=policy.remarks if isinstance(policy, Remarking) else tuple,
        first_batch=None if accept_repeats or is_greedy(sampling) else FirstBatch(store, origin, len(ids), sampling),
    )
    settle(store, origin, ids, n, sampling, accept=accept_repeats)
    try:
        verify_errors_again(store, verify, verifier_version, origin, passing=True)
        if owed:
            recorder.run(policy, owed, sampling)
            settle(store, origin, ids, n, sampling, accept=accept_repeats)
        verify_unverified(store, verify, verifier_version, origin, progress=recorder.count_verified)
    except KeyboardInterrupt:
        kept = wanted - sum(len(draws.indices) for draws in store.owed(problems, origin, n))
        raise InterruptedRunError(
            f"interrupted: {kept} of {wanted} rollouts of {policy.name} are kept in {store.path}; the same command "
            f"goes on from there."
        ) from None
    return recorder.progress()


def verify_unverified(
    store: RolloutStore,
    verify: Verify,
    version: str,
    origin: Origin | None = None,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Give a verdict of this version to every stored rollout (of one origin, or of all) without one. Returns how many.

    For rollouts that an interrupted session left, and for verifying a run anew with another verifier. `progress` gets
    the number of each batch.
    """
    problems = {problem.id: problem for problem in store.problems()}
    number = 0
    for batch in store.unverified(version, origin):
        for start in range(0, len(batch), VERIFY_ROLLOUTS):
            rollouts = batch[start : start + VERIFY_ROLLOUTS]
            verdicts = verify([(problems[r.key.problem_id], r.completion) for r in rollouts])
            number += store.append_verdicts(version, rollouts, verdicts)
            progress(len(rollouts))
    return number


def verify_errors_again(
    store: RolloutStore, verify: Verify, version: str, origin: Origin | None = None, *, passing: bool = False
) -> Retried:
    """Ask again for a verdict of this version on the stored rollouts (of one origin, or of all) that have a
    VERIFIER_ERROR, and store what it says in its place.

    `passing` asks only where the cause may have passed. Every other verdict stays as it is.
    """
    problems = {problem.id: problem for problem in store.problems()}
    tried, still = 0, Counter[str]()
    for batch in store.errors(version, origin, passing=passing):
        for start in range(0, len(batch), VERIFY_ROLLOUTS):
            rollouts = batch[start : start + VERIFY_ROLLOUTS]
            verdicts = verify([(problems[r.key.problem_id], r.completion) for r in rollouts])
            store.replace_errors(version, rollouts, verdicts)
            tried += len(rollouts)
            still.update(verdict.detail for verdict in verdicts if verdict.outcome is Outcome.VERIFIER_ERROR)
    return Retried(tried, dict(still))


class _Recorder:
    """Takes draws from the sampling thread; stores, verifies and reports them in its own."""

    def __init__(
        self,
        store: RolloutStore,
        origin: Origin,
        *,
        verify: Verify,
        version: str,
        wanted: int,
        owed: Sequence[Draws],
        progress: Callable[[Progress], None],
        flush_rollouts: int,
        remarks: Callable[[], tuple[str, ...]],
        first_batch: FirstBatch | None,
    ) -> None:
        self._store, self._origin, self._verify, self._version = store, origin, verify, version
        self._problems = {draws.problem.id: draws.problem for draws in owed}
        self._owed = {draws.problem.id: set(draws.indices) for draws in owed}
        self._report = progress
        self._wanted, self._kept = wanted, wanted - sum(len(draws.indices) for draws in owed)
        self._sampled = self._verified = self._tokens = 0
        self._flush_rollouts = flush_rollouts
        self._remarks, self._first_batch = remarks, first_batch
        self._remarked: set[str] = set()
        self._queue: queue.Queue[Draw | None] = queue.Queue(2 * flush_rollouts)
        """None only wakes the recorder up."""
        self._ending = threading.Event()
        """Set once nothing more will be queued."""
        self._draws: list[Draw] = []
        """Taken, not stored."""
        self._waiting: list[Rollout] = []
        """Stored, to be verified here."""
        self._verdicts: list[tuple[Rollout, Verdict]] = []
        """Given, not stored."""
        self._complete = False
        """Everything was sampled, so that it is worth waiting for the verifier."""
        self._start = self._flushed = time.monotonic()

    def run(self, policy: Policy, owed: Sequence[Draws], sampling: SamplingParams) -> None:
        """Sample in this thread, record in another; return when everything that was sampled is stored and verified."""
        with ThreadPoolExecutor(1, "recorder") as pool:
            recording = pool.submit(self._record)
            try:
                self._sample(policy, owed, sampling, recording)
            except KeyboardInterrupt:
                # Also while waiting for the last verdicts: store what there is, leave the rest to the next call.
                self._complete = False
                raise

    def _sample(self, policy: Policy, owed: Sequence[Draws], sampling: SamplingParams, recording: Future[None]) -> None:
        try:
            for draw in policy.sample(owed, sampling):
                self._check(draw)
                self._hand_over(draw, recording)
            self._check_all()
            self._complete = True
        finally:
            self._ending.set()
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)
            recording.result()

    def count_verified(self, number: int) -> None:
        """Note verdicts on rollouts of earlier sessions."""
        self._verified += number
        self._report(self.progress())

    def progress(self) -> Progress:
        """As of now."""
        seconds = time.monotonic() - self._start
        return Progress(
            self._origin.policy, self._wanted, self._kept, self._sampled, self._verified, self._tokens, seconds
        )

    def _check(self, draw: Draw) -> None:
        owed = self._owed.get(draw.problem_id, set())
        if draw.index not in owed:
            raise PolicyError(
                f"policy {self._origin.policy} yielded rollout {draw.index} of problem {draw.problem_id}, which was "
                f"not asked for or came twice. This is a defect of its engine; what came before is stored."
            )
        owed.remove(draw.index)

    def _check_all(self) -> None:
        left = sum(len(indices) for indices in self._owed.values())
        if left:
            raise PolicyError(
                f"policy {self._origin.policy} ended with {left} of the rollouts that it was asked for missing. What "
                f"it gave is stored; the same command asks for the rest."
            )

    def _hand_over(self, draw: Draw, recording: Future[None]) -> None:
        """Queue a draw; if the recorder has failed, raise what it raised."""
        while True:
            if recording.done():
                recording.result()
            try:
                return self._queue.put(draw, timeout=0.2)
            except queue.Full:
                continue

    def _record(self) -> None:
        try:
            ended = False
            while not ended:
                ended = self._take()
                if ended or self._due():
                    self._flush()
                if not ended:
                    self._verify_some()
            while self._complete and self._waiting:
                self._verify_some()
                if self._due():
                    self._flush()
            self._flush()
        finally:
            # After a verifier's failure: what was sampled is stored all the same. Otherwise nothing is left to do.
            self._take_ready()
            self._store_draws()

    def _take(self) -> bool:
        """Move draws from the queue, waiting for one unless there is work to do. True if there will be no more."""
        patience = 0.0 if self._waiting else max(0.0, self._flushed + FLUSH_SECONDS - time.monotonic())
        try:
            self._receive(self._queue.get(timeout=patience) if patience else self._queue.get_nowait())
        except queue.Empty:
            pass
        else:
            self._take_ready()
            self._report(self.progress())
        return self._ending.is_set() and self._queue.empty()

    def _take_ready(self) -> None:
        """Move what is in the queue now, up to a flush."""
        with contextlib.suppress(queue.Empty):
            while len(self._draws) < self._flush_rollouts:
                self._receive(self._queue.get_nowait())

    def _receive(self, draw: Draw | None) -> None:
        if draw is None:
            return
        self._draws.append(draw)
        self._sampled += 1
        self._tokens += draw.completion.tokens or 0

    def _due(self) -> bool:
        return len(self._draws) >= self._flush_rollouts or time.monotonic() - self._flushed >= FLUSH_SECONDS

    def _flush(self) -> None:
        """Draws first: a verdict without its rollout would count for nothing."""
        self._flushed = time.monotonic()
        if not (self._draws or self._verdicts):
            return
        draws = self._draws
        self._store_draws()
        if self._verdicts:
            rollouts, verdicts = zip(*self._verdicts, strict=True)
            self._store.append_verdicts(self._version, rollouts, verdicts)
            self._verdicts = []
        now = self.progress()
        self._store.log_metrics(
            {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "policy": now.policy,
                "rollouts": now.kept + now.sampled,
                "wanted": now.wanted,
                "verified_in_session": now.verified,
                "tokens_in_session": now.tokens,
                "tokens_per_second": now.tokens_per_second,
            }
        )
        if self._first_batch is not None:
            self._first_batch.see(draws)

    def _store_draws(self) -> None:
        if self._draws:
            for remark in self._remarks():  # first: no reader finds the draws without what is to be known of them
                if remark not in self._remarked:
                    self._store.remark(self._origin, remark)
                    self._remarked.add(remark)
            self._store.append(self._draws, self._origin)
            if len(self._waiting) < BACKLOG_ROLLOUTS:
                self._waiting += [
                    Rollout(RolloutKey(self._origin, draw.problem_id, draw.index), draw.completion)
                    for draw in self._draws
                ]
            self._draws = []

    def _verify_some(self) -> None:
        rollouts, self._waiting = self._waiting[:VERIFY_ROLLOUTS], self._waiting[VERIFY_ROLLOUTS:]
        if rollouts:
            verdicts = self._verify([(self._problems[r.key.problem_id], r.completion) for r in rollouts])
            self._verdicts += zip(rollouts, verdicts, strict=True)
            self.count_verified(len(rollouts))
