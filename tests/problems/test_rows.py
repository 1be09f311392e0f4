"""Problem files, the good and every bad one: each fault is named with its line, all at once."""

import json
from pathlib import Path

import pytest

from s2l_lab.errors import DataError, UsageError
from s2l_lab.problems import load_benchmark

GOOD = [{"question": "1+1?", "answer": "2"}, {"problem": "2+2?", "solution": 4}, {"prompt": "3+3?", "answer": 6.5}]
CHOICE = {"question": "Where?", "choices": {"label": ["A", "B", "C"], "text": ["x", "y", "z"]}, "answerKey": "B"}


@pytest.fixture
def write(tmp_path):
    """A problem file from rows (objects or raw text) or bytes."""

    def make(content: bytes | list[object]) -> Path:
        path = tmp_path / "mine.jsonl"
        if isinstance(content, list):
            lines = [row if isinstance(row, str) else json.dumps(row) for row in content]
            content = "".join(line + "\n" for line in lines).encode()
        path.write_bytes(content)
        return path

    return make


def test_any_file_of_questions_and_answers(write):
    benchmark = load_benchmark(write(GOOD))
    assert [(p.prompt, p.answer) for p in benchmark.problems] == [("1+1?", "2"), ("2+2?", "4"), ("3+3?", "6.5")]
    assert (benchmark.name, benchmark.kind, benchmark.answer_space) == ("mine", "math", None)
    assert len(benchmark.provenance["sha256"]) == 64


def test_answer_comes_before_solution_and_long_texts_are_left_out_of_the_metadata(write):
    row = {"question": "q", "solution": "long " * 100, "answer": "5", "level": 3, "notes": {"a": 1}}
    (problem,) = load_benchmark(write([row])).problems
    assert problem.answer == "5"
    assert problem.metadata == {"level": 3}


def test_blank_lines_and_a_missing_final_newline_are_no_fault(write):
    assert (
        len(
            load_benchmark(
                write(b'\xef\xbb\xbf{"question": "a", "answer": "1"}\n\n  \n{"question": "b", "answer": "2"}')
            ).problems
        )
        == 2
    )


def test_chat_prompts_of_one_message(write):
    row = {"prompt": [{"role": "user", "content": "Solve it."}], "answer": "34"}
    assert load_benchmark(write([row])).problems[0].prompt == "Solve it."


def test_choice_problems_get_the_papers_prompt(write):
    benchmark = load_benchmark(write([CHOICE]))
    (problem,) = benchmark.problems
    assert benchmark.kind == "choice"
    assert problem.answer == "B"
    assert problem.metadata["labels"] == ["A", "B", "C"]
    assert problem.prompt == "Where?\nA. x\nB. y\nC. z\nAnswer with only the letter (A, B, or C)."


def test_a_file_may_name_its_verifier(write):
    assert load_benchmark(write([{"question": "q", "answer": "Paris", "kind": "exact"}])).kind == "exact"


BAD = {
    "duplicate": ([*GOOD, {"question": "1+1?", "answer": "3"}], ["line 4: the same problem as line 1"]),
    "no question": ([{"text": "1+1?", "answer": "2"}], ["line 1: no problem text", "question, problem, prompt"]),
    "no answer": ([GOOD[0], {"question": "x"}], ["line 2: no answer"]),
    "empty answer": ([{"question": "x", "answer": "  "}], ["line 1: 'answer' is empty"]),
    "null answer": ([{"question": "x", "answer": None}], ["line 1: 'answer' is empty or not text"]),
    "true as answer": ([{"question": "x", "answer": True}], ["line 1: 'answer' is empty or not text"]),
    "empty question": ([{"question": "", "answer": "1"}], ["line 1: 'question' is empty"]),
    "two chat messages": ([{"prompt": [{"content": "a"}, {"content": "b"}], "answer": "1"}], ["line 1: 'prompt'"]),
    "not JSON": (["{'question': 1}", GOOD[0]], ["line 1: not JSON", "column 2"]),
    "not an object": (["[1, 2]"], ["line 1: a JSON list"]),
    "unknown kind": ([{"question": "x", "answer": "1", "kind": "magic"}], ["line 1: 'kind' is 'magic'", "exact"]),
    "a kind that needs more": ([{"question": "x", "answer": "1", "kind": "countdown"}], ["line 1: 'kind'"]),
    "answer no label": ([CHOICE | {"answerKey": "D"}], ["line 1: the answer 'D' is none of the labels A, B, C"]),
    "choices of unequal length": ([CHOICE | {"choices": {"label": ["A"], "text": ["x", "y"]}}], ["line 1: 'choices'"]),
    "labels twice": ([CHOICE | {"choices": {"label": ["B", "B"], "text": ["x", "y"]}}], ["line 1: 'choices'"]),
    "choices no list": ([CHOICE | {"choices": "x or y", "kind": "choice"}], ["line 1: 'choices'"]),
    "one choice": ([CHOICE | {"choices": ["x"]}], ["line 1: 'choices'"]),
    "several faults": ([{"question": "x"}, GOOD[0], {"answer": "1"}], ["2 line(s)", "line 1:", "line 3:"]),
    "broken UTF-8": (
        b'{"question": "a", "answer": "1"}\n{"question": "\xff", "answer": "1"}\n',
        ["line 2: broken UTF-8 at byte 15"],
    ),
    "torn last line": (b'{"question": "a", "answer": "1"}\n{"question": "b", "ans', ["line 2: the last line is torn"]),
    "empty file": (b"", ["holds no problems"]),
    "blank file": (b"\n  \n", ["holds no problems"]),
    "two kinds": ([GOOD[0], CHOICE], ["mixes problems", "choice and math"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(write, name):
    content, expected = BAD[name]
    path = write(content)
    with pytest.raises(DataError) as error:
        load_benchmark(path)
    message = str(error.value)
    assert str(path) in message
    for part in expected:
        assert part in message


def test_many_faults_are_counted_and_the_first_shown(write):
    with pytest.raises(DataError, match=r"30 line\(s\).*line 1: .*; and 22 more"):
        load_benchmark(write([{"answer": "1"}] * 30))


@pytest.mark.parametrize("path", ["nowhere.jsonl", "./file.csv", "dir/other"])
def test_a_file_that_is_not_there(path):
    with pytest.raises(DataError, match="no problem file"):
        load_benchmark(path)


@pytest.mark.parametrize("n", [0, -1, 4])
def test_n_out_of_range(write, n):
    with pytest.raises(UsageError, match=f"has 3 problems, {n} were asked for"):
        load_benchmark(write(GOOD), n=n)


def test_a_smaller_benchmark_begins_a_larger_one(write):
    path = write(GOOD)
    assert load_benchmark(path, n=2).problems == load_benchmark(path).problems[:2]
    assert load_benchmark(path, n=2).provenance == load_benchmark(path).provenance


def test_ids_depend_on_content_and_not_on_place(write):
    first = load_benchmark(write(GOOD)).problems
    turned = load_benchmark(write(GOOD[::-1]))
    assert [p.id for p in turned.problems] == [p.id for p in first[::-1]]
    assert turned.provenance["sha256"] != load_benchmark(write(GOOD)).provenance["sha256"]
