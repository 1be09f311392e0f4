"""What goes in comes out: missing, NaN and zero stay apart, arrays keep their bits and types, text its characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, problems, verify, writer
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from s2l_lab.errors import PolicyError, S2LError, UsageError
from s2l_lab.policies import Completion, Draw, StopReason
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore
from s2l_lab.rollouts.columns import problems_of, problems_table, rollouts_of, rollouts_table, well_formed
from s2l_lab.rollouts.database import Database
from s2l_lab.rollouts.parquet import ROW_GROUP_BYTES, ROW_GROUP_ROWS
from s2l_lab.studies.arms import read_sets

ORIGIN = Origin("small", "a" * 16, "b" * 16)


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Equal to the bit, NaN included; None equals None alone."""
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def floats(dtype: type) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(dtype, 3, elements=st.sampled_from([0.0, -0.0, -1.5, np.nan, -np.inf]).map(dtype))


COMPLETIONS = st.builds(
    Completion,
    text=st.text(max_size=5),
    token_ids=st.none() | arrays.arrays(np.int32, 3),
    logprobs=st.none() | floats(np.float32),
    logprobs_t1=st.none() | floats(np.float32),
    entropies=st.none() | floats(np.float16),
    stop_reason=st.sampled_from(StopReason),
    prompt_tokens=st.integers(0, 9),
) | st.builds(
    Completion,
    text=st.just(""),
    token_ids=st.just(np.empty(0, np.int32)),
    logprobs=st.just(np.empty(0, np.float32)),
    logprobs_t1=st.none(),
    entropies=st.just(np.empty(0, np.float16)),
    stop_reason=st.just(StopReason.STOP),
    prompt_tokens=st.just(0),
)


@settings(deadline=None, max_examples=30)
@given(st.lists(COMPLETIONS, max_size=4))
def test_completions_survive_the_table(completions: list[Completion]) -> None:
    draws = [Draw("p", index, completion) for index, completion in enumerate(completions)]
    back = rollouts_of(rollouts_table(ORIGIN, draws))
    assert [rollout.key for rollout in back] == [RolloutKey(ORIGIN, "p", index) for index in range(len(draws))]
    for before, rollout in zip(completions, back, strict=True):
        after = rollout.completion
        assert (after.text, after.stop_reason, after.prompt_tokens) == (
            before.text,
            before.stop_reason,
            before.prompt_tokens,
        )
        for name in ("token_ids", "logprobs", "logprobs_t1", "entropies"):
            assert same(getattr(after, name), getattr(before, name)), name


def completion(logprobs: list[float] | None, entropies: list[float] | None) -> Completion:
    return Completion(
        "x",
        None,
        None if logprobs is None else np.array(logprobs, np.float32),
        None,
        None if entropies is None else np.array(entropies, np.float16),
        StopReason.EOS,
        0,
    )


def test_missing_nan_and_zero_stay_apart_on_disk_and_in_duckdb(tmp_path: Path) -> None:
    given_values = [(None, None), ([np.nan], [np.nan]), ([0.0], [0.0]), ([], [])]
    with writer(tmp_path / "run") as store:
        store.append([Draw("p", i, completion(*values)) for i, values in enumerate(given_values)], ORIGIN)
        (batch,) = store.unverified(VERSION)
        table = store.read(["sample_index", "logprobs", "entropies", "completion_tokens"])
        kinds = store.duckdb().sql(
            "select logprobs is null, len(entropies), isnan(entropies[1]), entropies[1] = 0 "
            "from rollouts order by sample_index"
        )
        assert kinds.fetchall() == [
            (True, None, None, None),
            (False, 1, True, False),
            (False, 1, False, True),
            (False, 0, None, None),
        ]
    for (logprobs, entropies), rollout in zip(given_values, batch, strict=True):
        expected = completion(logprobs, entropies)
        assert same(rollout.completion.logprobs, expected.logprobs)
        assert same(rollout.completion.entropies, expected.entropies)
    assert table["sample_index"].to_pylist() == [0, 1, 2, 3]
    assert table["completion_tokens"].to_pylist() == [None] * 4
    assert table["logprobs"].is_null().to_pylist() == [True, False, False, False]


def test_an_unverified_batch_can_be_stored_again_as_it_is(tmp_path: Path) -> None:
    """Reading back gives the same digest: no conflict, nothing new, and verdicts on it count."""
    items = problems(2)
    policy = HashedPolicy()
    origin = Origin.of(policy, SAMPLING)
    by_id = {item.id: item for item in items}
    with writer(tmp_path / "run") as store:
        store.append([policy.draw(item, index) for item in items for index in range(20)], origin)
        (batch,) = store.unverified(VERSION, origin)
        assert store.append([Draw(r.key.problem_id, r.key.index, r.completion) for r in batch], origin) == 0
        store.append_verdicts(VERSION, batch, verify([(by_id[r.key.problem_id], r.completion) for r in batch]))
        assert list(store.unverified(VERSION)) == []
        assert store.counts(origin, VERSION, list(by_id)).total_P.tolist() == [20, 20]


def test_lone_surrogates_are_stored_as_the_replacement_character_and_their_verdicts_count(tmp_path: Path) -> None:
    """An endpoint's JSON may hold half of a surrogate pair, which UTF-8 cannot: the run must not die of it."""
    bad = Completion("a\ud83dz 😀", None, None, None, None, StopReason.EOS, 0)
    item = problems(1)[0]
    with writer(tmp_path / "run") as store:
        store.append([Draw(item.id, 0, bad)], ORIGIN)
        verdict = verify([(item, bad)])
        store.append_verdicts(VERSION, [Rollout(RolloutKey(ORIGIN, item.id, 0), bad)], verdict)
        assert store.read(["text"])["text"].to_pylist() == ["a\ufffdz 😀"]
        assert store.counts(ORIGIN, VERSION, [item.id]).total_P.tolist() == [1]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_that_utf8_can_hold_is_not_changed(text: str) -> None:
    assert well_formed(text) == text


def test_arrays_of_different_lengths_are_the_engines_defect_and_stored_nowhere(tmp_path: Path) -> None:
    torn = Completion("x", np.zeros(3, np.int32), np.zeros(2, np.float32), None, None, StopReason.EOS, 0)
    with writer(tmp_path / "run") as store:
        with pytest.raises(PolicyError, match=r"different lengths: \{'token_ids': 3, 'logprobs': 2\}"):
            store.append([Draw("p", 0, torn)], ORIGIN)
        assert store.read().num_rows == 0


def test_row_groups_are_bounded_in_rows_and_in_bytes(tmp_path: Path) -> None:
    short = Completion("x", np.zeros(1, np.int32), None, None, None, StopReason.EOS, 0)
    tokens = 32_000
    long = Completion(
        "y" * tokens, np.zeros(tokens, np.int32), np.zeros(tokens, np.float32), None, None, StopReason.LENGTH, 0
    )
    with writer(tmp_path / "run") as store:
        store.append([Draw("p", index, short) for index in range(ROW_GROUP_ROWS + 5)], ORIGIN)
        store.append([Draw("q", index, long) for index in range(100)], ORIGIN)
    for part in (tmp_path / "run" / "rollouts").iterdir():
        meta = pq.read_metadata(part)
        groups = [meta.row_group(group) for group in range(meta.num_row_groups)]
        assert max(group.num_rows for group in groups) <= ROW_GROUP_ROWS
        # What is read back has buffers a little larger than what was measured when it was written.
        sizes = [pq.ParquetFile(part).read_row_group(group).nbytes for group in range(len(groups))]
        assert max(sizes) <= 1.1 * ROW_GROUP_BYTES
        assert len(groups) == 2


def test_problems_come_back_equal_and_in_order(tmp_path: Path) -> None:
    items = problems(5)
    assert problems_of(problems_table(items)) == items
    with writer(tmp_path / "run") as store:
        store.add_problems([items[3], items[1], items[3]])
        store.add_problems([items[1], items[0]])
        assert store.problems() == [items[3], items[1], items[0]]
    assert RolloutStore(tmp_path / "run").problems() == [items[3], items[1], items[0]]


def _meets(row: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(row[name] in (value if isinstance(value, (list, range)) else [value]) for name, value in where.items())


def test_pages_are_slices_of_one_order_under_any_filter(tmp_path: Path) -> None:
    items, policy = problems(3), HashedPolicy()
    origin = Origin.of(policy, SAMPLING)
    with writer(tmp_path / "run") as store:
        for index in range(7):
            draws = [policy.draw(item, index) for item in items]
            store.append(draws, origin)
            rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in draws]
            if index:
                store.append_verdicts(
                    VERSION, rollouts, verify([(i, d.completion) for i, d in zip(items, draws, strict=True)])
                )
        names = ["problem_id", "sample_index", "text", "outcome"]
        everything = store.read(version=VERSION).to_pylist()
        for where in (
            {},
            {"problem_id": [items[0].id, items[2].id]},
            {"outcome": None},
            {"sample_index": []},
            {"sample_index": range(2, 5), "problem_id": [items[1].id]},
            {"sample_index": range(1, 7, 3), "outcome": "incorrect"},
            {"sample_index": range(3, 3)},
            {"stop_reason": "eos", "outcome": "incorrect"},
        ):
            whole = store.read(names, where, version=VERSION).to_pylist()
            keys = [(row["problem_id"], row["sample_index"]) for row in whole]
            assert set(keys) == {(r["problem_id"], r["sample_index"]) for r in everything if _meets(r, where)}
            assert keys == sorted(set(keys))
            pages = [store.read(names, where, version=VERSION, limit=9, offset=o).to_pylist() for o in (0, 9, 18)]
            assert [row for page in pages for row in page] == whole
            assert store.read(names, where, version=VERSION, offset=2).to_pylist() == whole[2:]
        assert {row["sample_index"] for row in store.read(names, {"outcome": None}, version=VERSION).to_pylist()} == {0}
        with pytest.raises(UsageError, match=r"unknown column 'txt'.*Did you mean text"):
            store.read(["txt"])
        with pytest.raises(UsageError, match="need a verifier version"):
            store.read(["text"], {"outcome": "correct"})
        with pytest.raises(UsageError, match="offset -1"):
            store.read(offset=-1)


def test_a_study_reads_the_rollouts_that_it_asks_for_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3 problems x 50 rollouts x 2 policies, 2 x 4 of one are asked: as many rows leave the query, and the sets are
    those of all rows read and sifted here."""
    items, policies = problems(3), [HashedPolicy("asked"), HashedPolicy("other")]
    with writer(tmp_path / "run") as store:
        for policy in policies:
            draws = [policy.draw(item, index) for index in range(50) for item in items]
            origin = Origin.of(policy, SAMPLING)
            store.append(draws, origin)
            rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in draws]
            by_id = {item.id: item for item in items}
            store.append_verdicts(VERSION, rollouts, verify([(by_id[d.problem_id], d.completion) for d in draws]))
        everything = store.read(version=VERSION).to_pylist()
        read, asked = Database.query, []

        def counting(self: Database, *arguments: Any, **options: Any) -> Any:
            asked.append(read(self, *arguments, **options))
            return asked[-1]

        monkeypatch.setattr(Database, "query", counting)
        sets = read_sets(store, Origin.of(policies[0], SAMPLING), VERSION, items[1:], 4)
        assert sum(table.num_rows for table in asked) == 2 * 4
    for item, found in zip(items[1:], sets, strict=True):
        rows = [r for r in everything if (r["policy"], r["problem_id"]) == ("asked", item.id) and r["sample_index"] < 4]
        assert found.text_N == tuple(row["text"] for row in rows)
        assert found.canonical_N == tuple(row["canonical"] for row in rows)
        assert found.correct_N.tolist() == [row["outcome"] == "correct" for row in rows]


def test_duckdb_shows_all_versions_and_the_problems(tmp_path: Path) -> None:
    item = problems(1)[0]
    draw = HashedPolicy().draw(item, 0)
    rollout = Rollout(RolloutKey(ORIGIN, item.id, 0), draw.completion)
    with writer(tmp_path / "run") as store:
        assert store.duckdb().sql("select count(*) from rollouts, verdicts, problems").fetchall() == [(0,)]
        store.add_problems([item])
        store.append([draw], ORIGIN)
        for version in ("it's 1", ".."):
            store.append_verdicts(version, [rollout], verify([(item, draw.completion)]))
        joined = "rollouts join verdicts using (digest) join problems on id = rollouts.problem_id"
        assert sorted(store.duckdb().sql(f"select version, prompt from {joined}").fetchall()) == [
            ("..", item.prompt),
            ("it's 1", item.prompt),
        ]


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    writer(tmp_path / "run").close()
    with pytest.raises(UsageError, match="reading only"):
        RolloutStore(tmp_path / "run").append([HashedPolicy().draw(problems(1)[0], 0)], ORIGIN)
    with pytest.raises(S2LError, match="is not a run directory"):
        RolloutStore(tmp_path)
