"""Laws of a container: what is put in is there once, whatever the order, the chunks and the merges in between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, content, problems, verify, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.errors import DataError
from s2l_lab.policies import Draw
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore
from s2l_lab.rollouts.parts import FAN_IN
from s2l_lab.verifiers import Outcome, Verdict

POLICY, OTHER = HashedPolicy("small"), HashedPolicy("large")
ITEMS = problems(3)
IDS = [problem.id for problem in ITEMS]


def origin(policy: HashedPolicy) -> Origin:
    return Origin.of(policy, SAMPLING)


def put(store: RolloutStore, policy: HashedPolicy, draws: list[Draw]) -> None:
    """Store and verify."""
    store.append(draws, origin(policy))
    rollouts = [Rollout(RolloutKey(origin(policy), d.problem_id, d.index), d.completion) for d in draws]
    by_id = {problem.id: problem for problem in ITEMS}
    store.append_verdicts(VERSION, rollouts, verify([(by_id[d.problem_id], d.completion) for d in draws]))


ALL = [(policy, i, index) for policy in (POLICY, OTHER) for i in range(3) for index in range(5)]


@st.composite
def chunked_keys(draw: st.DrawFn) -> list[list[tuple[HashedPolicy, int, int]]]:
    """All keys, some of them twice, in any order, cut into any chunks of one policy each."""
    twice = draw(st.lists(st.sampled_from(ALL), max_size=6))
    keys = draw(st.permutations([*ALL, *twice]))
    cuts = sorted(draw(st.sets(st.integers(1, len(keys) - 1), max_size=3)))
    chunks = [keys[a:b] for a, b in zip([0, *cuts], [*cuts, len(keys)], strict=True)]
    return [[key for key in chunk if key[0] is policy] for chunk in chunks for policy in (POLICY, OTHER)]


@settings(max_examples=4, deadline=None)
@given(chunked_keys())
def test_any_order_any_chunks_and_repeats_give_the_same_content(
    chunks: list[list[tuple[HashedPolicy, int, int]]],
) -> None:
    with TemporaryDirectory() as folder:
        mixed, plain = Path(folder) / "mixed", Path(folder) / "plain"
        with writer(mixed) as store:
            for chunk in chunks:
                if chunk:
                    put(store, chunk[0][0], [policy.draw(ITEMS[i], index) for policy, i, index in chunk])
        with writer(plain) as store:
            for policy in (POLICY, OTHER):
                put(store, policy, [policy.draw(ITEMS[i], index) for p, i, index in ALL if p is policy])
        assert content(mixed) == content(plain)
        assert len(content(plain)) == len(ALL)


@settings(max_examples=4, deadline=None)
@given(
    there=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 9))),
    asked=st.lists(st.integers(0, 2), min_size=1, unique=True),
    n=st.integers(1, 8),
)
def test_owed_and_there_are_disjoint_and_together_what_is_wanted(
    there: set[tuple[int, int]], asked: list[int], n: int
) -> None:
    with TemporaryDirectory() as folder, writer(Path(folder) / "run") as store:
        store.append([POLICY.draw(ITEMS[i], index) for i, index in there], origin(POLICY))
        store.append([OTHER.draw(ITEMS[0], 0)], origin(OTHER))  # another policy's rollouts owe nothing to this one
        owed = store.owed([ITEMS[i] for i in asked], origin(POLICY), n)
    keys = [(draws.problem.id, index) for draws in owed for index in draws.indices]
    stored = {(IDS[i], index) for i, index in there}
    wanted = {(IDS[i], index) for i in asked for index in range(n)}
    assert len(keys) == len(set(keys))
    assert set(keys) == wanted - stored
    assert all(draws.indices == tuple(sorted(draws.indices)) for draws in owed)
    assert [draws.problem.id for draws in owed] == [
        IDS[i] for i in asked if wanted - stored & wanted and any(key[0] == IDS[i] for key in wanted - stored)
    ]


@pytest.mark.parametrize("n", [1, 3, 64, 100, None])
def test_counts_answers_and_totals_equal_a_loop_over_the_records(tmp_path: Path, n: int | None) -> None:
    """Also of a run that holds more rollouts, more problems and another policy than are asked for."""
    draws = [POLICY.draw(problem, index) for problem in ITEMS for index in range(100)]
    ids = [IDS[2], IDS[0], "no such problem"]
    with writer(tmp_path / "run") as store:
        for start in range(0, len(draws), 90):
            put(store, POLICY, draws[start : start + 90])
        put(store, OTHER, [OTHER.draw(problem, index) for problem in ITEMS for index in range(100)])
        counts = store.counts(origin(POLICY), VERSION, ids, n)
        answers = store.answers(origin(POLICY), VERSION, ids, n)
        outcomes = store.outcomes(origin(POLICY), VERSION, ids, n)
        totals = store.totals(origin(POLICY), ids, n)
    by_id = {problem.id: problem for problem in ITEMS}
    taken = [d for d in draws if d.problem_id in ids and (n is None or d.index < n)]
    verdicts = [(d.problem_id, verify([(by_id[d.problem_id], d.completion)])[0]) for d in taken]
    for name, of in (
        ("correct_P", {Outcome.CORRECT}),
        ("total_P", set(Outcome)),
        ("unknown_P", {Outcome.VERIFIER_ERROR}),
    ):
        loop = [sum(1 for id, verdict in verdicts if id == wanted and verdict.outcome in of) for wanted in ids]
        assert getattr(counts, name).tolist() == loop
        assert getattr(counts, name).dtype == np.int64
    for problem_id, histogram in zip(ids, answers, strict=True):
        assert Counter({a.canonical: a.count for a in histogram}) == Counter(
            verdict.canonical for id, verdict in verdicts if id == problem_id
        )
        correct = sum(verdict.outcome == Outcome.CORRECT for id, verdict in verdicts if id == problem_id)
        assert sum(a.correct for a in histogram) == correct
        assert [a.count for a in histogram] == sorted((a.count for a in histogram), reverse=True)
    assert outcomes == {o.value: sum(verdict.outcome == o for _, verdict in verdicts) for o in Outcome}
    lengths = [len(d.completion.token_ids) for d in taken]
    assert totals.rollouts == len(taken)
    assert totals.completion_tokens == sum(lengths)
    assert totals.prompt_tokens == 7 * len(taken)
    assert totals.mean_length == pytest.approx(np.mean(lengths))
    assert totals.truncated_share == pytest.approx(np.mean([d.completion.stop_reason == "length" for d in taken]))
    entropy = np.concatenate([d.completion.entropies for d in taken]).astype(float)
    assert totals.mean_entropy == pytest.approx(entropy.mean(), nan_ok=True)


def test_no_rollouts_are_zeros_in_counts_and_nan_in_means(tmp_path: Path) -> None:
    with writer(tmp_path / "run") as store:
        counts = store.counts(origin(POLICY), VERSION, IDS, 4)
        totals = store.totals(origin(POLICY), IDS, 4)
        assert store.answers(origin(POLICY), VERSION, IDS, 4) == [(), (), ()]
    assert counts.total_P.tolist() == counts.correct_P.tolist() == [0, 0, 0]
    assert totals.rollouts == 0
    assert np.isnan([totals.completion_tokens, totals.mean_length, totals.mean_entropy, totals.truncated_share]).all()


def test_thousands_of_rollouts_in_small_flushes_end_in_few_parts(tmp_path: Path) -> None:
    flushes = FAN_IN + 3
    with writer(tmp_path / "run") as store:
        for flush in range(flushes):
            put(store, POLICY, [POLICY.draw(problem, flush) for problem in ITEMS])
    for folder in (tmp_path / "run" / "rollouts", *(tmp_path / "run" / "verdicts").iterdir()):
        assert len(list(folder.iterdir())) < FAN_IN
    rows = content(tmp_path / "run")
    assert len(rows) == len({(row["problem_id"], row["sample_index"]) for row in rows}) == 3 * flushes
    assert all(row["outcome"] is not None for row in rows)


def test_another_completion_under_a_stored_key_is_refused_and_nothing_of_the_batch_stays(tmp_path: Path) -> None:
    first, second = POLICY.draw(ITEMS[0], 0), POLICY.draw(ITEMS[0], 1)
    with writer(tmp_path / "run") as store:
        assert store.append([first], origin(POLICY)) == 1
        assert store.append([first, first], origin(POLICY)) == 0
        before = content(tmp_path / "run")
        for batch in (
            [second, Draw(first.problem_id, 0, second.completion)],
            [second, Draw(second.problem_id, 1, first.completion)],
        ):
            with pytest.raises(DataError, match=rf"two different completions.*{IDS[0]}"):
                store.append(batch, origin(POLICY))
        assert content(tmp_path / "run") == before


def test_another_verdict_of_one_version_on_one_rollout_is_refused(tmp_path: Path) -> None:
    draw = POLICY.draw(ITEMS[0], 0)
    rollout = Rollout(RolloutKey(origin(POLICY), draw.problem_id, 0), draw.completion)
    with writer(tmp_path / "run") as store:
        store.append([draw], origin(POLICY))
        right, wrong = Verdict(Outcome.CORRECT, "1", "1"), Verdict(Outcome.INCORRECT, "1", "1")
        assert store.append_verdicts("v1", [rollout], [right]) == 1
        assert store.append_verdicts("v1", [rollout], [right]) == 0
        with pytest.raises(DataError, match="two different verdicts of version 'v1'"):
            store.append_verdicts("v1", [rollout], [wrong])
        assert store.append_verdicts("v2", [rollout], [wrong]) == 1
        assert store.counts(origin(POLICY), "v1", IDS[:1]).correct_P.tolist() == [1]
        assert store.counts(origin(POLICY), "v2", IDS[:1]).correct_P.tolist() == [0]
        assert store.verifier_versions == ["v1", "v2"]
        with pytest.raises(DataError, match="0 verdicts on 1 rollouts"):
            store.append_verdicts("v1", [rollout], [])
