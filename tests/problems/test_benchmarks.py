"""Benchmarks by name: the table, local files below a data root, the hub's file as its cache has it, and no hub."""

import json
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.problems import load_benchmark
from s2l_lab.problems.benchmarks import PROCEDURAL_DEFAULT
from s2l_lab.problems.catalog import BENCHMARKS, content_hash
from s2l_lab.problems.rows import FileRow, problems_of

OLYMPIAD = [
    {"question": "Find n.", "answer": "$2n$", "source": "OE_TO_maths_en_COMP"},
    {"question": "Prove it.", "answer": "Let n be ...", "source": "TP_TO_maths_en_COMP"},
    {"question": "Find m.", "answer": "3", "source": "OE_TO_maths_en_COMP"},
]


def put(root, name, rows):
    (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def cache(tmp_path, monkeypatch, name, rows):
    """Put a file where the hub's cache has the pinned revision of a benchmark (no network is asked then)."""
    source = BENCHMARKS[name]
    folder = tmp_path / "hub" / f"datasets--{source.repository.replace('/', '--')}" / "snapshots" / source.revision
    path = folder / source.file
    path.parent.mkdir(parents=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_revision_is_a_whole_commit_and_every_known_content_a_sha256(name):
    source = BENCHMARKS[name]
    assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
    assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in source.known_contents)


def test_olympiadbench_is_its_open_ended_items_and_proofs_have_a_name_of_their_own(tmp_path):
    put(tmp_path, "olympiadbench", OLYMPIAD)
    open_ended = load_benchmark("olympiadbench", data_root=tmp_path)
    proofs = load_benchmark("olympiadbench-proofs", data_root=tmp_path)
    assert [p.prompt for p in open_ended.problems] == ["Find n.", "Find m."]
    assert [p.prompt for p in proofs.problems] == ["Prove it."]
    assert proofs.problems[0].metadata["proof"] is True
    assert proofs.name == "olympiadbench-proofs"


def test_an_olympiad_file_without_proofs_says_so(tmp_path):
    put(tmp_path, "olympiadbench", OLYMPIAD[:1])
    with pytest.raises(DataError, match="holds no problem of benchmark 'olympiadbench-proofs'"):
        load_benchmark("olympiadbench-proofs", data_root=tmp_path)


def test_a_known_content_is_recognised_and_another_is_not(tmp_path, monkeypatch):
    put(tmp_path, "aime24", [{"question": "q", "answer": "204"}])
    first = load_benchmark("aime24", data_root=tmp_path)
    assert first.answer_space == 1000
    assert first.provenance["content"] == "not a known version"
    monkeypatch.setitem(BENCHMARKS["aime24"].known_contents, content_hash(first.problems), "the known one")
    assert load_benchmark("aime24", data_root=tmp_path).provenance["content"] == "the known one"
    put(tmp_path, "aime24", [{"question": "q", "answer": "205"}])
    assert load_benchmark("aime24", data_root=tmp_path).provenance["content"] == "not a known version"


def test_integer_answers_and_their_text_are_one_content(tmp_path):
    put(tmp_path, "aime25", [{"question": "q", "answer": 70}])
    as_number = load_benchmark("aime25", data_root=tmp_path)
    put(tmp_path, "aime25", [{"question": "q", "answer": "70"}])
    assert load_benchmark("aime25", data_root=tmp_path).provenance["sha256"] == as_number.provenance["sha256"]


def test_the_training_set_loses_exact_repeats_and_says_how_many(tmp_path):
    rows = [{"prompt": "p", "answer": "1"}, {"prompt": "q", "answer": "2"}, {"prompt": "p", "answer": "1"}]
    put(tmp_path, "dapo17k", rows)
    benchmark = load_benchmark("dapo17k", data_root=tmp_path)
    assert [p.prompt for p in benchmark.problems] == ["p", "q"]
    assert benchmark.provenance["merged_duplicates"] == "1"


def test_a_file_of_the_users_own_below_the_data_root(tmp_path):
    put(tmp_path, "homework", [{"question": "q", "answer": "1"}])
    assert load_benchmark("homework", data_root=tmp_path).name == "homework"


def test_a_data_root_without_the_file_lists_what_is_there(tmp_path):
    put(tmp_path, "aime25", [{"question": "q", "answer": "1"}])
    with pytest.raises(DataError, match=r"no aime24\.jsonl in the data root .*aime25\.jsonl"):
        load_benchmark("aime24", data_root=tmp_path)
    with pytest.raises(DataError, match="none"):
        load_benchmark("aime24", data_root=tmp_path / "nowhere")


def test_unknown_names_give_the_nearest_ones():
    with pytest.raises(UsageError, match=r"unknown benchmark 'aime42'.*Did you mean .*aime24.*path"):
        load_benchmark("aime42")


def test_a_seed_that_could_not_matter_is_refused(tmp_path):
    put(tmp_path, "aime24", [{"question": "q", "answer": "204"}])
    with pytest.raises(UsageError, match="seed 3 would change nothing"):
        load_benchmark("aime24", seed=3, data_root=tmp_path)


def test_countdown_by_name():
    benchmark = load_benchmark("countdown", n=2, seed=5)
    assert benchmark.kind == "countdown"
    assert benchmark.problems != load_benchmark("countdown", n=2, seed=6).problems
    assert len(load_benchmark("countdown").problems) == PROCEDURAL_DEFAULT


HUB_ROWS = {
    "gsm8k": ([{"question": "q", "answer": "2 * 36 = <<2*36=72>>1,072\n#### 1,072"}], "1072"),
    "dapo17k": (
        [{"prompt": [{"content": "Solve.", "role": "user"}], "reward_model": {"ground_truth": "34", "style": "rule"}}],
        "34",
    ),
    "olympiadbench": ([{"id": 1606, "question": "q", "final_answer": ["$1$", "$2$"], "solution": ["long"]}], "$1$,$2$"),
    "olympiadbench-proofs": ([{"id": 7, "question": "q", "final_answer": None, "solution": ["Let n"]}], "Let n"),
    "commonsenseqa": (
        [{"id": "x", "question": "q", "choices": {"label": ["A", "B"], "text": ["x", "y"]}, "answerKey": "B"}],
        "B",
    ),
    "math500": ([{"problem": "q", "solution": "so it is 3", "answer": "3", "level": 2, "unique_id": "x"}], "3"),
    "aime24": ([{"id": 60, "problem": "q", "solution": "204", "answer": "204", "url": "u", "year": "2024"}], "204"),
    "aime25": ([{"problem": "q", "answer": "70", "id": "0"}], "70"),
}


@pytest.mark.parametrize("name", HUB_ROWS)
def test_hub_rows_of_every_benchmark(tmp_path, monkeypatch, name):
    rows, answer = HUB_ROWS[name]
    cache(tmp_path, monkeypatch, name, rows)
    benchmark = load_benchmark(name)
    assert [p.answer for p in benchmark.problems] == [answer]
    assert benchmark.provenance["revision"] == BENCHMARKS[name].revision
    assert benchmark.provenance["repository"] == BENCHMARKS[name].repository


def test_every_benchmark_of_the_table_has_hub_rows_here():
    assert set(HUB_ROWS) == set(BENCHMARKS)


def test_hub_rows_of_another_form_are_a_clear_error(tmp_path, monkeypatch):
    cache(tmp_path, monkeypatch, "gsm8k", [{"question": "q", "target": "72"}])
    with pytest.raises(DataError, match="lack what benchmark 'gsm8k' expects"):
        load_benchmark("gsm8k")


def test_no_hub_is_one_message_with_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError) as error:
        load_benchmark("olympiadbench-proofs")
    message = str(error.value)
    for part in ("TP_TO_maths_en_COMP.parquet", "Hothan/OlympiadBench", "--data-root", "olympiadbench.jsonl"):
        assert part in message


def test_equal_prompts_of_two_rows_with_different_answers_keep_the_first():
    rows = [FileRow(1, {"question": "p", "answer": "1"}), FileRow(2, {"question": "p", "answer": "2"})]
    assert [p.answer for p in problems_of(rows, name="x", where="x", merge_duplicates=True)] == ["1"]


def test_local_files_need_neither_the_hub_nor_arrow(tmp_path):
    put(tmp_path, "aime24", [{"question": "q", "answer": "204"}])
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from s2l_lab.problems import load_benchmark\n"
        "load_benchmark('aime24', data_root=Path(sys.argv[1]))\n"
        "print(*sorted({'huggingface_hub', 'pyarrow', 'reasoning_gym', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
