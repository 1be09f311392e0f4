"""Frames of a run are its store's rows under a notebook's names; conditions filter and do nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hashed_policy import SAMPLING, VERSION, HashedPolicy, problems, verify, writer
from hypothesis import given, settings
from hypothesis import strategies as st

from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.compare import compare
from s2l_lab.estimators.curve import pass_at_k_curve
from s2l_lab.figures.plots import plot_difference
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, RolloutStore, collect
from s2l_lab.rollouts.condition import FUNCTIONS, columns_of
from s2l_lab.rollouts.run import COLUMNS, WIDE, open_run

P, N = 5, 12
NAMES = {
    "problem": "problem_id",
    "policy": "policy",
    "sample": "sample_index",
    "text": "text",
    "tokens": "completion_tokens",
}
NAMES |= {"outcome": "outcome", "extracted": "answer", "canonical": "canonical", "stop_reason": "stop_reason"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two policies; the last three rollouts of the second one's problems have no verdict."""
    path = tmp_path_factory.mktemp("frames") / "run"
    with writer(path) as store:
        for name in ("small", "large"):
            collect(store, HashedPolicy(name), problems(P), N, SAMPLING, verify=verify, verifier_version=VERSION)
        policy = HashedPolicy("large")
        more = [policy.draw(problem, N + i) for problem in problems(P) for i in range(3)]
        store.append(more, Origin.of(policy, SAMPLING))
    return path


@pytest.fixture(scope="module")
def frame(path: Path) -> pd.DataFrame:
    return open_run(path).to_frame()


def test_a_frame_is_the_store_under_other_names(path: Path, frame: pd.DataFrame) -> None:
    assert list(frame.columns) == [name for name in COLUMNS if name not in WIDE]
    with RolloutStore(path) as store:
        stored = store.read([*NAMES.values()], version=VERSION).to_pandas()
        place = {problem.id: i for i, problem in enumerate(store.problems())}
    key = ["policy", "problem", "sample"]
    seen = frame[list(NAMES)].sort_values(key, ignore_index=True)
    expected = stored.rename(columns={v: k for k, v in NAMES.items()}).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(seen, expected[list(NAMES)], check_dtype=False)
    ordered = frame.assign(place=frame["problem"].map(place))
    for _, rows in ordered.groupby("policy"):
        assert rows[["place", "sample"]].to_numpy().tolist() == sorted(rows[["place", "sample"]].to_numpy().tolist())
    by_id = {problem.id: problem for problem in problems(P)}
    assert all(
        by_id[row.problem].prompt == row.question and by_id[row.problem].answer == row.answer
        for row in frame.itertuples()
    )


def test_columns_come_in_the_order_asked_and_wide_ones_only_then(path: Path) -> None:
    found = open_run(path).to_frame(["tokens", "logprobs", "problem"])
    assert list(found.columns) == ["tokens", "logprobs", "problem"]
    assert (found["logprobs"].map(len) == found["tokens"]).all()


def test_the_rendered_prompt_is_kept_once_and_stands_beside_every_rollout(path: Path, tmp_path: Path) -> None:
    found = open_run(path).to_frame(["policy", "question", "prompt"], where="prompt is not null")
    assert len(found) == 2 * P * N + 3 * P
    assert (found["prompt"] == "<|" + found["policy"] + "|>" + found["question"]).all()
    with RolloutStore(path) as store:
        assert store.prompts().num_rows == 2 * P
    before = Path(shutil.copytree(path, tmp_path / "before"))
    (before / "prompts.parquet").unlink()  # a run of before has none
    assert open_run(before).to_frame(["prompt"])["prompt"].isna().all()
    with writer(before) as store:
        collect(store, HashedPolicy("large"), problems(P), N + 4, SAMPLING, verify=verify, verifier_version=VERSION)
        assert store.prompts().num_rows == P
    (before / "prompts.parquet").write_bytes(b"torn")
    assert len(open_run(before).to_frame(["policy"]))
    with pytest.raises(DataError, match=r"prompts\.parquet cannot be read .* Remove it"):
        open_run(before).to_frame(["prompt"])


TERMS = st.sampled_from(
    [
        ("tokens > 5", lambda f: f.tokens > 5),
        ("outcome = 'correct'", lambda f: f.outcome.eq("correct").fillna(False)),
        ("policy in ('small')", lambda f: f.policy == "small"),
        ("sample between 2 and 4", lambda f: f["sample"].between(2, 4)),
        ("question like '%3%'", lambda f: f.question.str.contains("3")),
        ("length(text) + 1 >= 4 and starts_with(text, '1')", lambda f: f.text.str.startswith("1")),
        ("outcome is null", lambda f: f.outcome.isna()),
    ]
)


@settings(max_examples=25)
@given(terms=st.lists(st.tuples(TERMS, st.booleans()), min_size=1, max_size=3), join=st.sampled_from(["and", "or"]))
def test_a_condition_filters_as_pandas_would(path: Path, frame: pd.DataFrame, terms: list, join: str) -> None:
    where = f" {join} ".join(
        f"{'not ' if turned else ''}(coalesced)".replace("coalesced", sql) for (sql, _), turned in terms
    )
    masks = []
    for (sql, keep), turned in terms:
        mask = keep(frame).astype(bool)
        # Of a missing outcome SQL knows neither that it is 'correct' nor that it is not.
        masks.append(~mask & ~(frame.outcome.isna() if sql.startswith("outcome =") else False) if turned else mask)
    wanted = np.logical_and.reduce(masks) if join == "and" else np.logical_or.reduce(masks)
    found = open_run(path).to_frame(["policy", "problem", "sample"], where=where)
    expected = frame.loc[wanted, ["policy", "problem", "sample"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("", "where is empty"),
        ("true; drop table rollouts", "no SQL condition"),
        ("true); copy rollouts to 'x.csv'; select (1", "no SQL condition"),
        ("true) union all select (1", "more than a condition"),
        ("true) group by (1", "more than a condition"),
        ("true) limit (1", "more than a condition"),
        ("problem in (select problem from rollouts)", "holds a subquery"),
        ("exists(from read_text('/etc/passwd'))", "holds a subquery"),
        ("text = (select content from read_text('/etc/passwd'))", "holds a subquery"),
        ("getenv('HOME') = 'x'", "unknown function in where 'getenv'"),
        ("current_setting('threads') > 0", "unknown function in where 'current_setting'"),
        ("nextval('s') > 0", "unknown function"),
        ("row_number() over () > 1", "holds a window"),
        ("count(*) > 1", "unknown function"),
        ("columns(*) = 1", "holds a star"),
        ("text = $1", "holds a parameter"),
        ("text = ?", "holds a parameter"),
        ("tokens > 'many'", "cannot be evaluated"),
        ("out = 'correct'", r"unknown column in where 'out'.*Known:.*outcome"),
        ('outcome = "correct"', r"unknown column in where 'correct'.*single quotes"),
        ("rollouts.text = 'a'", "unknown column"),
    ],
)
def test_a_condition_can_do_nothing_but_filter(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        open_run(path).to_frame(["problem"], where=where)
    assert not list(tmp_path.iterdir())


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_is_a_condition_over_the_columns_or_refused(text: str) -> None:
    try:
        read = columns_of(text, list(COLUMNS))
    except UsageError:
        return
    assert set(read) <= set(COLUMNS)


def test_every_function_that_is_allowed_exists() -> None:
    """A name that no release of DuckDB knows would be an allowance for whatever takes it one day."""
    import duckdb

    there = {row[0] for row in duckdb.connect().execute("select function_name from duckdb_functions()").fetchall()}
    assert set(FUNCTIONS) <= there


def test_only_the_asked_columns_are_read(path: Path, tmp_path: Path) -> None:
    """Noise in the stored texts is found by whoever reads texts, and by nobody else."""
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(path, copy)
    for part in (copy / "rollouts").glob("*.parquet"):
        group = pq.ParquetFile(part).metadata.row_group(0)
        text = next(group.column(i) for i in range(group.num_columns) if group.column(i).path_in_schema == "text")
        start = text.dictionary_page_offset or text.data_page_offset
        data = bytearray(part.read_bytes())
        data[start : start + text.total_compressed_size] = b"\xff" * text.total_compressed_size
        part.write_bytes(data)
    run = open_run(copy)
    short = run.to_frame(["problem", "outcome", "tokens"], where="tokens > 3")
    assert len(short) == len(open_run(path).to_frame(["problem"], where="tokens > 3"))
    with pytest.warns(UserWarning, match="damaged and left out: rollouts/part"):
        assert run.to_frame(["text"]).empty


def test_counts_are_the_stores(path: Path) -> None:
    found = open_run(path).counts()
    assert list(found.index.names) == ["policy", "problem"]
    with RolloutStore(path) as store:
        for origin in store.origins():
            counts = store.counts(origin, VERSION, [problem.id for problem in problems(P)])
            mine = found.loc[origin.policy]
            assert list(mine.index) == list(counts.problem_ids)
            for name in ("correct", "total", "unknown"):
                np.testing.assert_array_equal(mine[name], getattr(counts, f"{name}_P"))
    assert (found["total"] == N).all()
    assert found["cluster"].isna().all()


def test_clusters_come_with_the_counts_and_widen_what_rests_on_them(tmp_path: Path) -> None:
    """A curve over the problems of two templates, from a run alone: it was drawn problem by problem."""
    made = [
        Problem.make(f"Say {i}.", str(i), "exact", "numbers", {"cluster": i % 2} if i < 4 else {}) for i in range(5)
    ]
    with writer(tmp_path / "run") as store:
        for name in ("a", "b"):
            collect(store, HashedPolicy(name), made, 4, SAMPLING, verify=verify, verifier_version=VERSION)
    counts = open_run(tmp_path / "run").counts()
    labels = ["cluster 0", "cluster 1", "cluster 0", "cluster 1", f"problem {made[4].id}"]
    assert counts["cluster"].tolist() == labels * 2
    assert pass_at_k_curve(counts.loc["a"]).n_clusters == 3
    found = compare(counts)
    assert found.n_clusters == 3
    assert "over 3 clusters" in plot_difference(found).layout.annotations[-1].text


def test_a_problem_without_rollouts_stays_in_the_counts(tmp_path: Path) -> None:
    with writer(tmp_path / "run") as store:
        collect(store, HashedPolicy("a"), problems(2), 2, SAMPLING, verify=verify, verifier_version=VERSION)
        store.add_problems(problems(3))
    assert open_run(tmp_path / "run").counts()["total"].tolist() == [2, 2, 0]


def test_a_run_that_is_being_written_is_read_with_a_warning(tmp_path: Path) -> None:
    with writer(tmp_path / "run") as store:
        collect(store, HashedPolicy("a"), problems(2), 2, SAMPLING, verify=verify, verifier_version=VERSION)
        with pytest.warns(UserWarning, match="is being written by"):
            run = open_run(tmp_path / "run")
        assert len(run.to_frame(["problem"])) == 4
    assert repr(run).endswith(f"4 rollouts of 2 problems by a; verifier {VERSION}>")


def test_what_is_no_run_is_refused_with_the_way_out(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place, said in [
        (tmp_path / "none", "there is no"),
        (tmp_path / "file", "is a file"),
        (tmp_path, "there is none below it"),
        (path.parent, f"holds some: {path}"),
    ]:
        with pytest.raises(DataError, match=said):
            open_run(place)


@pytest.mark.parametrize(
    ("columns", "said"),
    [("text", "is one text"), ([], "at least one"), (["text"] * 2, "each once"), (["texts"], "unknown column 'texts'")],
)
def test_columns_are_a_list_of_known_names(path: Path, columns: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_run(path).to_frame(columns)
