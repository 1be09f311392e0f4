"""Gold answers in the forms in which people keep them: read rightly, or refused with the columns named."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from s2l_lab.errors import DataError, UsageError
from s2l_lab.problems import load_benchmark
from s2l_lab.problems.benchmarks import as_benchmark
from s2l_lab.problems.rows import FileRow, problems_of
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem, check_gold

WORKED = "Janet sells 16 - 3 - 4 = <<16-3-4=9>>9 eggs a day.\nShe makes 9 * 2 = $<<9*2=18>>18 a day."
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "2+2?"},
]
ARC = {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}
FORMS = {
    "openai/gsm8k": ({"question": "q", "answer": f"{WORKED}\n#### 18"}, "18"),
    "gsm8k, thousands": ({"question": "q", "answer": "so\n#### 1,072"}, "1072"),
    "a list after ####": ({"question": "q", "answer": "so\n#### 1,2"}, "1,2"),
    "dapo": (
        {
            "data_source": "math_dapo",
            "prompt": [{"role": "user", "content": "q"}],
            "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"},
            "extra_info": {"index": "9a9b"},
        },
        "34",
    ),
    "MATH": ({"problem": "q", "solution": r"We get $x=\boxed{\frac{1}{2}}$.", "level": "Level 2"}, r"\frac{1}{2}"),
    "MATH-500": ({"problem": "q", "solution": r"so $\boxed{4}$ and \boxed{5}", "answer": "5"}, "5"),
    "braces that are written out": ({"problem": "q", "solution": r"$\boxed{\{1, 2\}}$"}, r"\{1, 2\}"),
    "a short solution": ({"problem": "q", "solution": 4}, "4"),
    "an answer in words": ({"question": "q", "answer": "all even integers greater than two"}, None),
    "MMLU, counted from 0": ({"question": "q", "choices": ["0", "4", "2", "6"], "answer": 1}, "B"),
    "MMLU, a letter": ({"question": "q", "choices": ["w", "x", "y", "z"], "answer": "D"}, "D"),
    "MMLU, a small letter": ({"question": "q", "choices": ["w", "x"], "answer": "(b)"}, "B"),
    "an option's text": ({"question": "q", "choices": ["w", "x"], "answer": "x"}, "B"),
    "MMLU-Pro": ({"question": "q", "options": list("klmnopqrst"), "answer": "I", "answer_index": 8}, "I"),
    "ARC": ({"question": "q", "choices": ARC, "answerKey": "3"}, "3"),
    "options by label": ({"question": "q", "options": {"A": "w", "B": "x"}, "answer": "B"}, "B"),
    "options of another kind": ({"question": "q", "options": {"difficulty": "hard"}, "answer": "5"}, "5"),
    "no choices in a table": ({"question": "q", "choices": None, "answer": "5"}, "5"),
    "two columns that agree": ({"question": "q", "answer": "so\n#### 1,072", "final_answer": 1072.0}, "1072"),
    "one question in two columns": (
        {"question": "q", "prompt": [{"role": "user", "content": "q"}], "answer": "5"},
        "5",
    ),
    "NuminaMath, a conversation beside the question": (
        {"problem": "q", "solution": r"so \boxed{5}", "messages": [{"role": "user", "content": "r"}, MESSAGES[2]]},
        "5",
    ),
    "ARC, an option that reads like another's label": (
        {"question": "q", "choices": {"text": ["2", "1"], "label": ["1", "2"]}, "answerKey": "2"},
        "2",
    ),
    "options that are numbers": ({"question": "q", "options": {"A": 1, "B": 2.5}, "answer": "B"}, "B"),
    "lettered columns of other problems": ({"question": "q", "A": 3, "B": 4, "option1": "x", "answer": "7"}, "7"),
    "a box in a box": ({"problem": "q", "solution": r"so $\boxed{\boxed{5}}$"}, "5"),
    "a box without braces": ({"problem": "q", "solution": r"So $\boxed 5$."}, "5"),
    "a frame": ({"problem": "q", "solution": r"Thus \fbox{5}."}, "5"),
    "a row of a matrix before a brace": (
        {"problem": "q", "solution": r"$\boxed{\begin{pmatrix}{1}\\{2}\end{pmatrix}}$, so"},
        r"\begin{pmatrix}{1}\\{2}\end{pmatrix}",
    ),
    "a written list of one": ({"prompt": "q", "reward_model": {"ground_truth": r'["\\frac{1}{2}"]'}}, r"\frac{1}{2}"),
    "a list of one as Python writes it": ({"question": "q", "answer": "['3']"}, "3"),
    "equations": ({"question": "q", "answer": "f(2)=5, a_1=3, 2x+1=0 or 3x-2=0"}, None),
    "a problem's number": ({"problem": 12, "question": "q", "answer": "5"}, "5"),
}


@pytest.fixture
def write(tmp_path):
    """A problem file of rows; its ending says of which kind."""

    def make(rows: list[dict], name: str = "mine.jsonl") -> Path:
        path = tmp_path / name
        if path.suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return make


@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_the_gold_answer_of_every_form(write, form, ending):
    row, gold = FORMS[form]
    (problem,) = load_benchmark(write([row], f"mine.{ending}")).problems
    assert problem.answer == (row["answer"] if gold is None else gold)
    assert problem.prompt.startswith("q")


REFUSED = {
    "a worked solution without a mark": (
        {"question": "q", "answer": WORKED},
        ["'answer' reads like a worked", "--answer"],
    ),
    "one sentence": ({"question": "q", "answer": "We add them and so get 5."}, ["reads like a worked solution"]),
    "nothing after ####": ({"question": "q", "answer": "so\n####"}, ["no single answer after"]),
    "two boxes": ({"problem": "q", "solution": r"\boxed{1} or \boxed{2}"}, ["2 different boxes (1, 2)", "--answer"]),
    "an open box": ({"problem": "q", "solution": r"so \boxed{1"}, ["does not end"]),
    "two questions": ({"question": "q", "prompt": "r", "answer": "5"}, ["'question' and 'prompt'", "--question"]),
    "two answers": (
        {"question": "q", "answer": "5", "reward_model": {"ground_truth": "6"}},
        ["'answer' (5), 'reward_model.ground_truth' (6)", "--answer"],
    ),
    "place or option": ({"question": "q", "choices": ["1", "2", "3"], "answer": 2}, ["may be the option B or C"]),
    "counted from 1": ({"question": "q", "choices": ["w", "x"], "answer": 2}, ["counted from 0 to 1"]),
    "label or option": ({"question": "q", "choices": ["B", "A"], "answer": "A"}, ["may be the option B or A"]),
    "an answer that is no option": (
        {"question": "q", "choices": ["w", "x"], "answer": "y"},
        ["none of the labels A, B"],
    ),
    "an option twice": ({"question": "q", "choices": ["w", "w"], "answer": "w"}, ["may be the option A or B"]),
    "several answers": ({"question": "q", "answer": ["5", "6"]}, ["'answer' is empty or not text"]),
    "an object": ({"question": "q", "answer": {"aliases": ["a"], "value": "a"}}, ["aliases, value", "answer.aliases"]),
    "a list written out": ({"question": "q", "answer": '["3", "4"]'}, ["not one answer"]),
    "an array written out": ({"question": "q", "answer": "['3' '4']"}, ["not one answer"]),
    "an object written out": ({"question": "q", "answer": "{'value': 'a'}"}, ["not one answer"]),
    "no answer, as pandas says it": ({"question": "q", "answer": "nan"}, ["says that there is no answer"]),
    "no answer, as Python says it": ({"question": "q", "answer": "None"}, ["says that there is no answer"]),
    "NuminaMath-1.5, a proof": ({"problem": "q", "answer": "proof"}, ["says that there is no answer"]),
    "words around an answer": ({"question": "q", "answer": "The answer is 8"}, ["reads like a worked solution"]),
    "a label before an answer": ({"question": "q", "answer": "Answer: 8"}, ["reads like a worked solution"]),
    "a calculation in words": ({"question": "q", "answer": "He ran 3+4=7 miles."}, ["reads like a worked solution"]),
    "two calculations": ({"question": "q", "answer": "5 - 3 = $2; 9 * 2 = 18"}, ["reads like a worked solution"]),
    "calculator notes": ({"question": "q", "answer": "so <<2+3=5>>5 eggs"}, ["reads like a worked solution"]),
    "a box of part of a number": ({"problem": "q", "solution": r"So $\boxed 15$."}, ["a box that is empty"]),
    "a box in part of a box": ({"problem": "q", "solution": r"\boxed{x=\boxed{5}}"}, ["part of another"]),
    "a box before more in a box": ({"problem": "q", "solution": r"\boxed{\boxed{5}+1}"}, ["part of another"]),
    "MathQA": (
        {"question": "q", "options": "a ) 38 , b ) 27.675 , c ) 30", "answer": "a"},
        ["'options' holds options in a form that is not read", "'choices'"],
    ),
    "MMLU, written out by pandas": ({"question": "q", "choices": "['0' '4' '2']", "answer": "1"}, ["not read"]),
    "MMLU, written out by Python": ({"question": "q", "choices": "('0', '4')", "answer": 1}, ["not read"]),
    "ARC, written out": ({"question": "q", "choices": "{'text': array(['x']", "answerKey": "B"}, ["not read"]),
    "an empty option": ({"question": "q", "options": ["w", "", "y"], "answer": "A"}, ["'options' holds"]),
    "no option": ({"question": "q", "options": ["w", "x", None], "answer": "A"}, ["'options' holds"]),
    "options as objects": (
        {"question": "q", "options": [{"key": "A", "value": "w"}, {"key": "B", "value": "x"}], "answer": "B"},
        ["'options' holds"],
    ),
    "options by longer names": ({"question": "q", "options": {"opt1": "w", "opt2": "x"}, "answer": "opt2"}, ["holds"]),
    "HellaSwag": ({"question": "q", "endings": ["w", "x"], "answer": "1"}, ["'endings' holds options"]),
    "C-Eval": ({"question": "q", "A": "w", "B": "x", "answer": "B"}, ["'A' and 'B' seem to be the options"]),
    "MedMCQA": ({"question": "q", "opa": "w", "opb": "x", "answer": 1}, ["'opa' and 'opb' seem"]),
    "WinoGrande": ({"question": "q", "option1": "w", "option2": "x", "answer": "1"}, ["'option1' and 'option2' seem"]),
    "not a number": ({"question": "q", "answer": float("nan")}, ["'answer' is empty"]),
    "an assistant's turn last": ({"messages": MESSAGES[:3], "answer": "2"}, ["the last message must be the user's"]),
    "an unknown role": ({"messages": [{"role": "bot", "content": "a"}, MESSAGES[1]], "answer": "2"}, ["message 1"]),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_could_be_misread_is_refused(write, form):
    row, expected = REFUSED[form]
    with pytest.raises(DataError) as caught:
        load_benchmark(write([row]))
    for part in ("mine.jsonl: 1 line(s)", "line 1: ", *expected):
        assert part in str(caught.value)


def test_one_row_tells_that_the_numbers_of_a_file_are_places(write):
    rows = [
        {"question": "q", "choices": ["1", "2", "3"], "answer": 1},
        {"question": "r", "choices": ["x", "y"], "answer": 0},
    ]
    assert [p.answer for p in load_benchmark(write(rows)).problems] == ["B", "A"]
    with pytest.raises(DataError, match="may be the option A or B"):
        load_benchmark(write(rows[:1]))


def test_gpqa_s_right_option_stands_anywhere_and_always_in_the_same_place(write):
    rows = [
        {"Question": f"q{i}", "Correct Answer": "right", **{f"Incorrect Answer {j}": f"w{j}" for j in (1, 2, 3)}}
        for i in range(40)
    ]
    first, again = (load_benchmark(write(rows)).problems for _ in range(2))
    assert first == again
    assert {p.answer for p in first} == set("ABCD")
    assert all(f"{p.answer}. right" in p.prompt for p in first)


def test_named_columns_come_before_the_usual_ones_and_dots_lead_into_them(write):
    row = {"question": "no", "answer": "no", "text": "q", "a.b": "1", "meta": {"gold": {"value": "7"}}}
    path = write([row])
    (problem,) = load_benchmark(path, question="text", answer="meta.gold.value").problems
    assert (problem.prompt, problem.answer) == ("q", "7")
    assert load_benchmark(path, question="text", answer="a.b").problems[0].answer == "1"
    with pytest.raises(DataError, match=r"no answer in column 'meta.gold.name' \(there are: question, answer, text"):
        load_benchmark(path, answer="meta.gold.name")
    with pytest.raises(DataError, match="no column 'txt'"):
        load_benchmark(path, question="txt")
    with pytest.raises(UsageError, match="'aime24' is a known set"):
        load_benchmark("aime24", question="text")


@given(
    st.dictionaries(
        st.sampled_from(["proof", "labels", "messages", "source", "n_classes", "target", "id"]),
        st.text(min_size=1) | st.booleans() | st.integers(),
    )
)
def test_no_other_column_changes_a_verdict_or_a_problem(extra):
    plain, dressed = (
        problems_of([FileRow(1, {"question": "q", "answer": "5", **more})], name="x", where="x")[0]
        for more in ({}, {k: v for k, v in extra.items() if k != "messages"})
    )
    assert dressed.id == plain.id
    assert not {"proof", "labels", "n_classes"} & set(dressed.metadata)


def test_a_column_called_proof_is_graded_as_maths(write):
    row = {"question": "q", "answer": "5", "proof": "By induction.", "source": "TP_1", "labels": "ab"}
    benchmark = load_benchmark(write([row]))
    with VerifierPool(1) as pool:
        (verdict,) = pool.verify_many([VerifyItem(benchmark.problems[0], r"\boxed{5}", False)])
        assert verdict.outcome is Outcome.CORRECT
        assert not check_gold(benchmark, pool).refused


def test_the_question_is_taken_as_it_stands(write):
    text = "  Q: 1+1?\nA: 2\n\nQ: 2+2?\nA: "
    assert load_benchmark(write([{"question": text, "answer": "4"}])).problems[0].prompt == text


def test_messages_stay_messages_and_shape_the_problem_s_id(write):
    path = write([{"prompt": MESSAGES, "answer": "4"}, {"prompt": [*MESSAGES[1:]], "answer": "4"}])
    first, second = load_benchmark(path).problems
    assert first.metadata["messages"] == MESSAGES
    assert first.id != second.id
    assert first.prompt.startswith("[system]\nBe brief.\n\n[user]\n1+1?")


def test_the_provenance_says_where_answers_were_read(write):
    rows = [
        {"question": "q", "answer": "so\n#### 18"},
        {"question": "r", "answer": "5"},
        {"question": "s", "answer": 6},
    ]
    assert load_benchmark(write(rows)).provenance["answers"] == "answer (2), answer after #### (1)"


def test_csv_and_json_lines_by_another_name(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('question,answer\n2+2?,4\n"3, or 4?",7\n', encoding="utf-8")
    assert [(p.prompt, p.answer) for p in load_benchmark(table).problems] == [("2+2?", "4"), ("3, or 4?", "7")]
    table.write_text("question,answer\n2+2?,4\n3?\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3: not as many fields"):
        load_benchmark(table)
    lines = tmp_path / "t.json"
    lines.write_text('{"question": "q", "answer": "5"}\n{"question": "r", "answer": "6"}\n', encoding="utf-8")
    assert len(load_benchmark(lines).problems) == 2


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("t.json", b'[{"question": "q"', "is not JSON"),
        ("t.json", b"[1]", "row 1: not an object"),
        ("t.csv", b"question,answer\nq,\xff\n", "line 2: broken UTF-8"),
        ("t.csv", b"", "holds no problems"),
        ("t.csv", b"question,answer,answer\nq,5,6\n", "two columns 'answer'"),
        ("t.jsonl", b'{"question": "q", "answer": "5", "answer": "6"}\n', "line 1: 'answer' stands twice"),
        ("t.jsonl", b'{"question": "q", "answer": ' + b"1" * 5000 + b"}\n", "line 1: Exceeds the limit"),
        ("t.jsonl", b'{"question": "q", "answer": "5", "x": ' + b"[" * 100_000 + b"\n", "line 1: .*nested too deeply"),
        ("t.jsonl", b'{"question": "q", "answer": "\\ud800"}\n', "line 1: a text has half of a surrogate pair"),
        ("t.json", b'[{"question": "\\udc00", "answer": "5"}]', "half of a surrogate pair"),
    ],
)
def test_damaged_files(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        load_benchmark(tmp_path / name)


@pytest.mark.parametrize("listed", [np.array, tuple])
def test_rows_of_pandas_are_read_as_those_of_their_file(listed):
    """pandas gives a Parquet file's lists as arrays, and its numbers as NumPy's."""
    rows = [
        ({"question": "q", "choices": ["w", "x"], "answer": "B"}, {"choices": listed(["w", "x"])}),
        ({"question": "q", "choices": ["w", "x"], "answer": 1}, {"answer": np.int64(1)}),
        (
            {"question": "q", "choices": ARC, "answerKey": "3"},
            {"choices": {name: listed(texts) for name, texts in ARC.items()}},
        ),
        (
            {"prompt": [{"role": "user", "content": "q"}], "answer": "7"},
            {"prompt": listed([MESSAGES[1] | {"content": "q"}])},
        ),
        ({"question": "q", "final_answer": ["7"]}, {"final_answer": listed(["7"])}),
    ]
    for plain, changed in rows:
        assert as_benchmark([plain | changed]).problems == as_benchmark([plain]).problems


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@given(value=st.decimals(-900, 900, places=2))
def test_a_number_kept_in_few_bits_is_read_as_it_was_written(tmp_path_factory, kind, value):
    """Its nearest 64-bit number has other digits, which the verifier would grade by."""
    number = kind(value)
    assume(kind is np.float32 or abs(value) < 10)
    path = tmp_path_factory.mktemp("bits") / "mine.parquet"
    pq.write_table(
        pa.table({"question": ["q", "r"], "answer": pa.array([number, None], pa.from_numpy_dtype(kind))}), path
    )
    with pytest.raises(DataError, match="row 2: 'answer' is empty"):
        load_benchmark(path)
    pq.write_table(pa.table({"question": ["q"], "answer": pa.array([number], pa.from_numpy_dtype(kind))}), path)
    for read in (load_benchmark(path), as_benchmark([("q", number)])):
        assert float(read.problems[0].answer) == float(value)


@given(st.fractions().filter(lambda x: x.denominator < 10**6), st.sampled_from(["#### {}", r"so \boxed{{{}}}", "{}"]))
def test_a_number_is_read_as_itself_in_every_form(number, form):
    text = str(number) if number.denominator > 1 else str(int(number))
    (problem,) = as_benchmark([("q", form.format(text))]).problems
    assert Fraction(problem.answer) == number
