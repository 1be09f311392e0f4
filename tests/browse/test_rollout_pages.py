"""Pages equal what plain Python says of the same rollouts, under every filter; and nothing a model wrote is SQL."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_store import LATER, ORDER, SAMPLING, VERSION, Known, completion, make, manifest, problems

from s2l_lab.browse.filters import OUTCOMES, SORTS, RolloutFilter
from s2l_lab.browse.rollout_pages import PREVIEW, answers, matching, page, read_rollout
from s2l_lab.browse.solve_rates import solve_rates
from s2l_lab.browse.store import BrowsedStore, open_store
from s2l_lab.errors import DataError
from s2l_lab.policies import Draw
from s2l_lab.rollouts import Origin, RolloutStore

IDS = [problem.id for problem in problems()]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[BrowsedStore, list[Known]]:
    path = tmp_path_factory.mktemp("pages") / "run"
    found = make(path, later=True)
    return open_store(path), found


FILTERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "policies": st.lists(st.sampled_from([*ORDER, "nobody", "'"]), unique=True, max_size=3).map(tuple),
        "problem": st.sampled_from([*IDS, "x' or 1=1"]),
        "outcomes": st.lists(st.sampled_from(OUTCOMES), unique=True, max_size=3).map(tuple),
        "source": st.sampled_from(["explorer", "learner"]),
        "min_tokens": st.integers(0, 5),
        "max_tokens": st.integers(5, 9),
        "answer": st.sampled_from(["", "= 1", "class 2", "' or '1'='1"]),
        "min_step": st.integers(0, 20),
        "max_step": st.integers(20, 30),
        "text": st.sampled_from(["", "MAKES", "%", "_", "äpfel", "<", "; drop table", "\u202e", "\x00", "'"]),
    },
)


def fits(one: Known, f: RolloutFilter) -> bool:
    step = 20 if one.policy == "step-20" else None
    ranged = f.min_step is not None or f.max_step is not None
    return (
        (not f.policies or one.policy in f.policies)
        and (f.problem is None or one.problem_id == f.problem)
        and (not f.outcomes or one.outcome in f.outcomes)
        and (f.source is None or (f.source == "learner" and one.policy == "step-20"))
        and (f.min_tokens is None or (one.tokens is not None and one.tokens >= f.min_tokens))
        and (f.max_tokens is None or (one.tokens is not None and one.tokens <= f.max_tokens))
        and (f.answer is None or _answers(one, f.answer))
        and (not ranged or (step is not None and (f.min_step or 0) <= step <= (f.max_step or 99)))
        and (f.text is None or f.text.lower() in one.text.lower())
    )


def _answers(one: Known, answer: str) -> bool:
    if answer == "":
        return one.outcome != "unverified" and one.answer is None
    return answer in (one.answer, one.canonical)


@given(FILTERS, st.sampled_from(SORTS))
def test_a_page_and_its_counts_are_what_enumeration_gives(
    known: tuple[BrowsedStore, list[Known]], values: dict[str, Any], sort: str
) -> None:
    store, rollouts = known
    filter = RolloutFilter(**values, version=VERSION, sort=sort, page_size=10)
    wanted = [one for one in rollouts if fits(one, filter)]
    pages = [page(store, filter.model_copy(update={"page": i + 1})) for i in range(max(1, -(-len(wanted) // 10)))]
    rows = [row for one in pages for row in one.rows]
    assert {(one.total, one.pages) for one in pages} == {(len(wanted), len(pages))}
    assert pages[0].by_outcome == {name: Counter(o.outcome for o in wanted)[name] for name in OUTCOMES}
    assert pages[0].by_policy == {name: Counter(o.policy for o in wanted)[name] for name in ORDER}
    key = [(row.policy, row.problem_id, row.sample_index) for row in rows]
    assert sorted(key) == sorted((o.policy, o.problem_id, o.index) for o in wanted)
    by_key = {(o.policy, o.problem_id, o.index): o for o in wanted}
    for row in rows:
        one = by_key[row.policy, row.problem_id, row.sample_index]
        assert (row.preview, row.outcome, row.answer, row.tokens) == (one.text, one.outcome, one.answer, one.tokens)
        assert row.mean_surprisal == pytest.approx(math.nan if one.surprisal is None else one.surprisal, nan_ok=True)
    _check_order(rows, sort)


def _check_order(rows: list[Any], sort: str) -> None:
    if sort == "key":
        places = [(ORDER.index(row.policy), IDS.index(row.problem_id), row.sample_index) for row in rows]
    else:
        by_length = sort in ("shortest", "longest")
        values = [row.tokens if by_length else row.mean_surprisal for row in rows]
        sign = 1 if sort in ("shortest", "least surprising") else -1
        last = [value is None or math.isnan(value) for value in values]
        places = [(gone, 0 if gone else sign * round(v, 5)) for gone, v in zip(last, values, strict=True)]
    assert places == sorted(places)


def test_the_page_beyond_the_last_is_the_last(known: tuple[BrowsedStore, list[Known]]) -> None:
    store, rollouts = known
    found = page(store, RolloutFilter(page=10**9, page_size=10))
    assert (found.filter.page, found.pages) == (-(-len(rollouts) // 10),) * 2
    assert len(found.rows) == len(rollouts) % 10 or 10
    assert page(store, RolloutFilter(problem="none", page=3)).filter.page == 1


def test_the_newest_version_counts_unless_one_is_named(known: tuple[BrowsedStore, list[Known]]) -> None:
    """Sorting by surprisal adds a column to the listing; the listing of another version once came without it."""
    store, rollouts = known
    for _ in range(2):
        for version, correct in ((LATER, len(rollouts)), (VERSION, sum(o.outcome == "correct" for o in rollouts))):
            found = page(store, RolloutFilter(version=version, sort="most surprising"))
            assert found.by_outcome["correct"] == correct
    assert page(store, RolloutFilter()).filter.version == LATER
    gone = page(store, RolloutFilter(version="never"))
    assert gone.by_outcome["unverified"] == gone.total == len(rollouts)
    assert "never" in gone.notes[0]


def test_what_the_run_does_not_have_is_said(known: tuple[BrowsedStore, list[Known]]) -> None:
    store, _ = known
    assert "no policy 'nobody'" in page(store, RolloutFilter(policies=("nobody",))).notes[0]
    assert "no problem 'none'" in page(store, RolloutFilter(problem="none")).notes[0]


def test_an_address_gives_the_rollout_whole(known: tuple[BrowsedStore, list[Known]]) -> None:
    store, _ = known
    for row in page(store, RolloutFilter(page_size=100)).rows:
        whole = read_rollout(store, row.address)
        assert whole.row == row
        assert whole.text == row.preview
        assert whole.prompt == f"make {whole.gold}"
        assert (whole.token_ids is None) == (row.tokens is None)
        if whole.token_ids is not None:
            assert whole.logprobs is not None
            assert whole.entropies is not None
            assert len(whole.token_ids) == len(whole.logprobs) == len(whole.entropies) == row.tokens


@pytest.mark.parametrize("address", ["", "x", f"{IDS[0]}.0123", f"{IDS[0]}.{0:016x}", "' or 1=1 --.0000000000000000"])
def test_an_address_that_leads_nowhere_is_refused(known: tuple[BrowsedStore, list[Known]], address: str) -> None:
    with pytest.raises(DataError, match="rollout"):
        read_rollout(known[0], address)


def test_an_export_holds_the_whole_selection(known: tuple[BrowsedStore, list[Known]], monkeypatch: Any) -> None:
    store, rollouts = known
    filter = RolloutFilter(policies=("tiny-2m",), version=VERSION, page_size=10, page=2)
    found = matching(store, filter)
    wanted = [one for one in rollouts if one.policy == "tiny-2m"]
    assert (found.total, found.table.num_rows, found.cut) == (len(wanted), len(wanted), False)
    assert Counter(found.table["text"].to_pylist()) == Counter(one.text for one in wanted)
    assert {"token_ids", "logprobs", "digest"}.isdisjoint(found.table.column_names)
    monkeypatch.setattr("s2l_lab.browse.rollout_pages.EXPORT_ROWS", 5)
    cut = matching(store, filter)
    assert (cut.total, cut.table.num_rows, cut.cut) == (len(wanted), 5, True)
    assert cut.table == found.table.slice(0, 5)
    assert cut.table["place"].to_pylist() == [1, 2, 3, 4, 5]
    assert set(cut.table["of"].to_pylist()) == {len(wanted)}


def test_an_export_is_bounded_by_what_its_texts_take(
    known: tuple[BrowsedStore, list[Known]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty thousand completions of 32,000 tokens are five gigabytes."""
    store, rollouts = known
    filter = RolloutFilter(version=VERSION)
    whole = matching(store, filter).table
    texts = [[row[name] or "" for name in ("text", "answer", "canonical", "detail")] for row in whole.to_pylist()]
    ends = np.cumsum([len("".join(row).encode()) for row in texts])
    for bound in (1, int(ends[6]), int(ends[6]) - 1, int(ends[-1]) - 1, int(ends[-1])):
        monkeypatch.setattr("s2l_lab.browse.rollout_pages.EXPORT_BYTES", bound)
        found = matching(store, filter)
        fit = max(1, sum(end <= bound for end in ends.tolist()))
        assert (found.table, found.total, found.cut) == (whole.slice(0, fit), len(rollouts), fit < len(rollouts))
    assert matching(store, RolloutFilter(problem="none")).table.num_rows == 0


def test_answers_are_counted_by_policy(known: tuple[BrowsedStore, list[Known]]) -> None:
    store, rollouts = known
    wanted = Counter((o.policy, o.canonical) for o in rollouts if o.problem_id == IDS[1] and o.outcome != "unverified")
    found = answers(store, IDS[1], VERSION)
    assert {(row.policy, row.canonical): row.count for row in found} == wanted
    assert [row.count for row in found] == sorted(wanted.values(), reverse=True)
    for row in found:
        assert read_rollout(store, row.example, VERSION).row.canonical == row.canonical


def test_a_long_text_is_shown_by_its_beginning(tmp_path: Path) -> None:
    long = "long \U0001f600" * 400_000
    with RolloutStore.open(tmp_path / "run", manifest(), {}) as store:
        store.append([Draw("p", 0, completion(np.random.default_rng(0), long))], Origin("a", "b", "c"))
    shown = open_store(tmp_path / "run")
    (row,) = page(shown, RolloutFilter()).rows
    assert (row.preview, row.characters) == (long[:PREVIEW], len(long))
    assert read_rollout(shown, row.address).text == long


def test_what_is_written_meanwhile_is_shown(tmp_path: Path) -> None:
    rng, origin = np.random.default_rng(0), Origin("a", "b", SAMPLING.digest)
    with RolloutStore.open(tmp_path / "run", manifest(), {}) as writer:
        store = open_store(tmp_path / "run")
        empty = page(store, RolloutFilter())
        assert (empty.total, empty.pages, empty.rows) == (0, 1, ())
        for i in range(20):
            writer.append([Draw("p", i, completion(rng, f"text {i}"))], origin)
            assert page(store, RolloutFilter()).total == i + 1
        assert [row.preview for row in page(store, RolloutFilter(text="TEXT 1")).rows][:2] == ["text 1", "text 10"]


def _columns(part: Path) -> list[Any]:
    group = pq.read_metadata(part).row_group(0)
    return [group.column(i) for i in range(group.num_columns)]


@pytest.fixture(params=["all", "text"])
def with_damage(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, str, int]:
    """A run, a part whose footer is whole and whose pages (all, or those of texts alone) are not, and the rollouts that
    are left."""
    make(tmp_path / "run")
    parts = sorted((tmp_path / "run" / "rollouts").glob("part-*.parquet"))
    rows = [pq.read_metadata(part).num_rows for part in parts]
    content = bytearray(parts[0].read_bytes())
    start, stop = 4, len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    if request.param == "text":
        (column,) = (c for c in _columns(parts[0]) if c.path_in_schema == "text")
        start = column.dictionary_page_offset or column.data_page_offset
        stop = start + column.total_compressed_size
    content[start:stop] = bytes(stop - start)
    parts[0].write_bytes(content)
    return tmp_path / "run", parts[0].name, sum(rows[1:])


def test_a_damaged_part_is_named_and_left_out(with_damage: tuple[Path, str, int]) -> None:
    path, name, left = with_damage
    store = open_store(path)
    whole = page(store, RolloutFilter(page_size=100))
    assert (whole.total, len(whole.rows), sum(whole.by_outcome.values())) == (left,) * 3
    assert page(store, RolloutFilter(sort="most surprising")).total == left
    assert [part for part in store.damaged() if part.endswith(name)]
    assert matching(store, RolloutFilter()).total == left


@pytest.mark.parametrize("content", [b"", b"no Parquet", None])
def test_without_the_file_of_problems_every_number_stays(tmp_path: Path, content: bytes | None) -> None:
    make(tmp_path / "run")
    store = open_store(tmp_path / "run")
    before, rates = page(store, RolloutFilter(page_size=100)), solve_rates(store)
    file = tmp_path / "run" / "problems.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9] if content is None else content)
    assert store.problems() == {}
    assert list(store.damaged()) == ["problems.parquet"]
    after, without = page(store, RolloutFilter(page_size=100)), solve_rates(store)
    assert (after.total, after.by_outcome, after.by_policy) == (before.total, before.by_outcome, before.by_policy)
    assert {row.address: row for row in after.rows} == {row.address: row for row in before.rows}
    order = [without.problem_ids.index(name) for name in rates.problem_ids]
    np.testing.assert_array_equal(without.correct_PM[order], rates.correct_PM)
    np.testing.assert_array_equal(without.total_PM[order], rates.total_PM)
    assert read_rollout(store, after.rows[0].address).prompt == ""
    file.write_bytes(whole)
    assert (len(store.problems()), store.damaged()) == (len(IDS), {})
