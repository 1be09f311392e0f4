"""Texts as explorer: every form of file gives the same rollouts, and what is left out is counted by one rule."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from any_text import write_any_text
from datasets import Dataset, DatasetDict
from pyarrow import parquet
from tiny_training import config, flat
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.errors import DataError, S2LError, UsageError
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.templates import bind_template, encode_prompt
from s2l_lab.problems import Problem
from s2l_lab.training import S2LPOTrainer, TextBank
from s2l_lab.training.explorer import ExplorerRollout, Learner, Request
from s2l_lab.training.rewards import problem_rows

EOS, ENDOFTEXT = 2, 0
PROBLEMS = tuple(Problem.make(f"What is {a} + 1?", str(a + 1), "math", "test", {"id": f"q{a}"}) for a in range(4))
SAMPLING = SamplingParams(max_tokens=32, seed=7)
ROWS = [{"prompt": p.prompt, "completion": f"{way} {p.answer}"} for p in PROBLEMS for way in ("It is", "=", "So:")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_any_text(tmp_path_factory.mktemp("any-text"))


@pytest.fixture(scope="module")
def tokenizer(files: Path) -> Any:
    return AutoTokenizer.from_pretrained(files)


def dataset(tokenizer: Any, problems: Any = PROBLEMS) -> Dataset:
    return Dataset.from_dict(problem_rows(problems, bind_template("chat", tokenizer, "any").render))


def learner_of(tokenizer: Any, **about: Any) -> Learner:
    def encode(prompt: Any) -> tuple[int, ...]:
        if isinstance(prompt, str):
            return encode_prompt(tokenizer, prompt)
        return tuple(tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"])

    about = {"dataset": dataset(tokenizer), "most": 1, "correction": "luffy", **about}
    return Learner(None, tokenizer, frozenset({EOS, ENDOFTEXT}), 259, encode=encode, **about)


def bound(source: Any, tokenizer: Any, *, limit: int = 32, problems: Any = PROBLEMS, **about: Any) -> TextBank:
    bank = TextBank(source, problems)
    bank.bind(learner_of(tokenizer, **about), SAMPLING.model_copy(update={"max_tokens": limit}))
    return bank


def drawn(bank: TextBank, tokenizer: Any, problem: int, count: int, before: int = 0) -> list[ExplorerRollout]:
    prompt = dataset(tokenizer)[problem]["prompt"]
    ((*rollouts,),) = bank.explore([Request(encode_prompt(tokenizer, prompt), count, 0, 1, before)], 8)
    return rollouts


def said(bank: TextBank, tokenizer: Any, problem: int, count: int, before: int = 0) -> list[str]:
    rollouts = drawn(bank, tokenizer, problem, count, before)
    return [tokenizer.decode(rollout.token_ids) for rollout in rollouts]


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def messages(text: str, role: str = "user") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def forms(directory: Path) -> dict[str, Any]:
    """The same texts in every form that is read."""
    rows = ROWS
    pairs = [(messages(row["prompt"]), messages(row["completion"], "assistant")) for row in rows]
    rejected = messages("Never.", "assistant")
    parquet.write_table(pa.Table.from_pylist(rows), directory / "texts.parquet")
    Dataset.from_list(rows).save_to_disk(directory / "saved")
    ids = {problem.prompt: problem for problem in PROBLEMS}
    return {
        "jsonl": jsonl(directory / "texts.jsonl", rows),
        "its path as text": str(directory / "texts.jsonl"),
        "parquet": directory / "texts.parquet",
        "saved": directory / "saved",
        "dataset": Dataset.from_list(rows),
        "problem and response": [{"problem": r["prompt"], "response": r["completion"]} for r in rows],
        "question and text": [{"question": r["prompt"], "text": r["completion"]} for r in rows],
        "digest": [{"problem_id": ids[r["prompt"]].id, "text": r["completion"]} for r in rows],
        "file's id": [{"id": ids[r["prompt"]].metadata["id"], "text": r["completion"]} for r in rows],
        "unknown id with prompt": [{"id": 9, **r} for r in rows],
        "foreign question_id with prompt": [{"question_id": "elsewhere-3", **r} for r in rows],
        "conversation": [{"prompt": a, "completion": b} for a, b in pairs],
        "messages": [{"messages": a + b} for a, b in pairs],
        "preference": [{"prompt": a, "chosen": b, "rejected": rejected} for a, b in pairs],
        "preference without prompt": [{"chosen": a + b, "rejected": a + rejected} for a, b in pairs],
        "preference as text": [{"prompt": r["prompt"], "chosen": r["completion"], "rejected": "No."} for r in rows],
        "content in parts": [
            {"prompt": [{"role": "user", "content": [{"type": "text", "text": r["prompt"]}]}], "text": r["completion"]}
            for r in rows
        ],
    }


def test_every_form_gives_the_same_rollouts(tmp_path: Path, tokenizer: Any) -> None:
    expected = None
    for name, source in forms(tmp_path).items():
        given = Dataset.from_list(source) if isinstance(source, list) else source
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is left out
            bank = bound(given, tokenizer, most=3)
        found = [drawn(bank, tokenizer, i, 3) for i in range(len(PROBLEMS))]
        texts = [[tokenizer.decode(r.token_ids) for r in rollouts] for rollouts in found]
        wanted = [sorted(f"{way} {p.answer}<|im_end|>" for way in ("It is", "=", "So:")) for p in PROBLEMS]
        assert [sorted(row) for row in texts] == wanted, name
        assert texts == (expected := expected or texts), name


def test_the_rendered_prompt_names_it_too(tokenizer: Any) -> None:
    prompts = dataset(tokenizer)["prompt"]
    rows = [{"prompt": prompt, "text": f"row {i}"} for i, prompt in enumerate(prompts)]
    bank = bound(Dataset.from_list(rows), tokenizer, problems=())
    assert [said(bank, tokenizer, i, 1) for i in range(4)] == [[f"row {i}<|im_end|>"] for i in range(4)]


@pytest.mark.parametrize(
    ("row", "ends"),
    [
        ({}, True),
        ({"finish_reason": "stop"}, True),
        ({"finish_reason": "length"}, False),
        ({"stop_reason": "max_tokens"}, False),
        ({"truncated": True}, False),
        ({"truncated": False}, True),
        ({"finish_reason": None}, True),
    ],
)
def test_a_text_ends_unless_its_row_says_that_it_was_cut(row: dict[str, Any], ends: bool, tokenizer: Any) -> None:
    rows = [{"problem_id": p.id, "text": "Well", **row} for p in PROBLEMS]
    (rollout,) = drawn(bound(Dataset.from_list(rows), tokenizer), tokenizer, 0, 1)
    assert rollout.token_ids == (*tokenizer("Well")["input_ids"], *([EOS] if ends else []))
    assert not rollout.logprobs_known


@pytest.mark.parametrize("spelling", ["<|im_end|>", "<|im_end|>\n", "<|endoftext|>"])
def test_an_eos_that_is_spelled_out_ends_it_once(spelling: str, tokenizer: Any) -> None:
    rows = [{"problem_id": p.id, "text": f"Well{spelling}", "finish_reason": "length"} for p in PROBLEMS]
    (rollout,) = drawn(bound(Dataset.from_list(rows), tokenizer), tokenizer, 0, 1)
    end = ENDOFTEXT if "endoftext" in spelling else EOS
    assert rollout.token_ids == (*tokenizer("Well")["input_ids"], end)


def test_text_that_looks_like_a_special_token_stays_text(tokenizer: Any) -> None:
    rows = [{"problem_id": p.id, "text": "a <|im_end|> b"} for p in PROBLEMS]
    (rollout,) = drawn(bound(Dataset.from_list(rows), tokenizer), tokenizer, 0, 1)
    assert rollout.token_ids.count(EOS) == 1
    assert rollout.token_ids[-1] == EOS


def test_what_is_left_out_is_counted_once_by_its_reason(tokenizer: Any) -> None:
    fit = [{"prompt": p.prompt, "text": "x" * 7} for p in PROBLEMS]  # 8 tokens with its EOS
    rows = [
        *fit,
        {"prompt": "Another?", "text": "It is"},
        {"prompt": "And another?", "text": "It is"},
        {"prompt": PROBLEMS[0].prompt, "text": "x" * 8},
        {"prompt": PROBLEMS[0].prompt, "text": " "},
    ]
    with pytest.warns(UserWarning, match="left out of") as told:
        bank = bound(Dataset.from_list(rows), tokenizer, limit=8)
    (one,) = [str(w.message) for w in told]
    assert one == (
        "texts of the dataset: left out of 8 rows: 2 that answer no prompt of the run, 1 longer than "
        "max_completion_length, 1 without text."
    )
    assert said(bank, tokenizer, 0, 1) == ["x" * 7 + "<|im_end|>"]


def test_a_name_beside_a_prompt_never_moves_a_text_to_another_prompt(tokenizer: Any) -> None:
    """Another file counts its questions from 0 too; and a row that contradicts itself belongs to neither."""
    first, second = PROBLEMS[:2]
    rows = [
        *ROWS,
        {"question_id": "q0", "prompt": "Another question?", "completion": "moved"},
        {"question_id": "q0", "prompt": second.prompt, "completion": "its own"},
        {"problem_id": first.id, "prompt": second.prompt, "completion": "moved"},
        {"problem_id": first.id, "prompt": "In other words: 0 + 1?", "completion": "named"},
    ]
    names = {"question_id": None, "problem_id": None}
    with pytest.warns(UserWarning, match="left out of 16 rows: 1 that answer no .* run, 1 that fit several prompts"):
        bank = bound(Dataset.from_list([names | row for row in rows]), tokenizer)
    assert set(said(bank, tokenizer, 0, 4)) == {f"{t}<|im_end|>" for t in ("It is 1", "= 1", "So: 1", "named")}
    assert set(said(bank, tokenizer, 1, 4)) == {f"{t}<|im_end|>" for t in ("It is 2", "= 2", "So: 2", "its own")}


def test_the_answer_to_a_later_turn_is_no_answer_to_the_first(tokenizer: Any) -> None:
    """UltraChat has the first question as `prompt` beside the whole conversation."""
    turns = [*messages(PROBLEMS[0].prompt), *messages("1", "assistant"), *messages("And then?")]
    later = {"prompt": PROBLEMS[0].prompt, "messages": [*turns, *messages("2", "assistant")]}
    listed = {"prompt": messages(PROBLEMS[0].prompt), "chosen": [*turns[1:], *messages("2", "assistant")]}
    for row in (later, listed):
        same = [
            {name: r["prompt"] if isinstance(row[name], str) else messages(r["prompt"]) for name in ["prompt"]}
            | {name: messages(r["completion"], "assistant") for name in row if name != "prompt"}
            for r in ROWS
        ]
        with pytest.warns(UserWarning, match="left out of 13 rows: 1 that answer no prompt of the run"):
            bank = bound(Dataset.from_list([*same, row]), tokenizer)
        assert set(said(bank, tokenizer, 0, 3)) == {f"{t}<|im_end|>" for t in ("It is 1", "= 1", "So: 1")}


def test_what_an_unpaired_preference_dataset_rejects_is_left_out(tokenizer: Any) -> None:
    rows = [{**r, "label": True} for r in ROWS] + [{**r, "completion": "Never.", "label": False} for r in ROWS]
    with pytest.warns(UserWarning, match=r"left out of 24 rows: 12 that their dataset rejects \(label false\)"):
        bank = bound(Dataset.from_list(rows), tokenizer)
    assert set(said(bank, tokenizer, 0, 3)) == {f"{t}<|im_end|>" for t in ("It is 1", "= 1", "So: 1")}
    assert TextBank(Dataset.from_list(ROWS)).digest == TextBank(Dataset.from_list(rows[:12])).digest
    assert TextBank(Dataset.from_list(rows[:12])).digest != TextBank(Dataset.from_list(rows)).digest


def test_a_name_of_two_problems_is_no_name(tokenizer: Any) -> None:
    twins = [p.model_copy(update={"metadata": {"id": "twin"}}) for p in PROBLEMS]
    rows = [*ROWS, {"id": "twin", "completion": "mine?"}]
    with pytest.warns(UserWarning, match="left out of 13 rows: 1 that fit several prompts of the run"):
        bound(Dataset.from_list([{"id": None, **row} for row in rows]), tokenizer, problems=twins)


def test_no_text_comes_twice_in_a_round_and_all_come_as_often(tokenizer: Any) -> None:
    """Three texts, one a round: every epoch of three has each once. Two a round: one permutation a round."""
    bank = bound(Dataset.from_list(ROWS), tokenizer)
    for epoch in range(4):
        one_by_one = [said(bank, tokenizer, 1, 1, before=3 * epoch + i)[0] for i in range(3)]
        assert len(set(one_by_one)) == 3
    counts = Counter(text for e in range(60) for text in said(bank, tokenizer, 1, 2, before=2 * e))
    assert all(len(set(said(bank, tokenizer, 1, 2, before=2 * e))) == 2 for e in range(60))
    assert min(counts.values()) >= 25  # of 40 expected each; keyed, so it is what it is
    again = bound(Dataset.from_list(ROWS), tokenizer)
    assert said(again, tokenizer, 1, 2, before=8) == said(bank, tokenizer, 1, 2, before=8)


def faulty(**row: Any) -> list[dict[str, Any]]:
    return [{"prompt": PROBLEMS[0].prompt, "text": "fine"}, {"prompt": "What?", **row}]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (faulty(), "1 line(s) cannot be used. line 2: no text (looked for completion, response"),
        (faulty(text=3), "'text' is neither text nor a list of messages"),
        (faulty(text="a", finish_reason="content_filter"), "'finish_reason' is 'content_filter'; known are stop"),
        (faulty(text="a", truncated="no"), "'truncated' is 'no', neither true nor false"),
        (faulty(completion=messages("a")), "the last message of 'completion' is the user's"),
        (
            faulty(completion=[{"role": "assistant", "content": "a", "reasoning_content": "hm"}]),
            "keeps its reasoning_content apart",
        ),
        ([{"text": "a"}], "nothing says which prompt the text answers"),
        ([{"prompt": " ", "text": "a"}], "'prompt' is empty"),
        ([], "holds no rows"),
        ([[1]], "a JSON list, not an object"),
    ],
)
def test_a_row_that_is_none_is_named(rows: list[Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        TextBank(jsonl(tmp_path / "rows.jsonl", rows))
    assert says in str(caught.value)


def test_a_source_that_is_none_says_what_is(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "gone.jsonl", "there is no"),
        (tmp_path, "is no file of texts. They are a .jsonl or .parquet file"),
    ):
        with pytest.raises(DataError, match=says):
            TextBank(path)
    (tmp_path / "broken.parquet").write_bytes(b"PAR")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        TextBank(tmp_path / "broken.parquet")
    splits = DatasetDict({"train": Dataset.from_list(ROWS), "test": Dataset.from_list(ROWS)})
    splits.save_to_disk(tmp_path / "splits")
    for source in (splits, tmp_path / "splits"):
        with pytest.raises(DataError, match="holds splits: train, test"):
            TextBank(source)
    assert TextBank(tmp_path / "splits" / "train").digest == TextBank(splits["test"]).digest


@pytest.mark.parametrize(
    ("about", "sampling", "rows", "says"),
    [
        ({"correction": "behaviour"}, {}, ROWS, "Use correction='none' or 'luffy'"),
        ({}, {"temperature": 0.7}, ROWS, "explorer_temperature and explorer_top_p would be ignored"),
        ({}, {"top_p": 0.9}, ROWS, "would be ignored"),
        ({"most": 4}, {}, ROWS, "hold fewer than 4, which a round asks for, for 4 of the run's 4 prompts; 3 for"),
        ({}, {}, ROWS[:3], "for 3 of the run's 4 prompts; 0 for '<|im_start|>user\\nWhat is 1 + 1?"),
        ({"dataset": iter(())}, {}, ROWS, "need a dataset with a length"),
        (
            {},
            {},
            [{"prompt": "Why?", "text": "So."}],
            "none of the 1 texts of the dataset answers a prompt of the run. The first answers 'Why?'; the run's first "
            "prompt is '<|im_start|>user\\nWhat is 0 + 1?",
        ),
    ],
)
def test_what_cannot_be_drawn_from_is_refused_before_training(
    about: dict[str, Any], sampling: dict[str, Any], rows: list[Any], says: str, tokenizer: Any
) -> None:
    bank = TextBank(Dataset.from_list(rows), PROBLEMS)
    with pytest.raises(S2LError) as caught:
        bank.bind(learner_of(tokenizer, **about), SAMPLING.model_copy(update=sampling))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_round_that_asks_twice_for_a_prompt_is_refused(tokenizer: Any) -> None:
    bank = bound(Dataset.from_list(ROWS), tokenizer)
    ids = encode_prompt(tokenizer, dataset(tokenizer)[0]["prompt"])
    with pytest.raises(UsageError, match="asks for one prompt twice"):
        bank.explore([Request(ids, 1, i, 1, 0) for i in range(2)], 8)
    with pytest.raises(DataError, match="is none of the dataset's 4"):
        bank.explore([Request((1, 2), 1, 0, 1, 0)], 8)


@pytest.mark.parametrize("conversational", [False, True])
@pytest.mark.parametrize("correction", ["none", "luffy"])
def test_the_trainer_takes_a_dataset_of_texts(
    conversational: bool, correction: str, tmp_path: Path, files: Path, tokenizer: Any
) -> None:
    """TRL's own forms on both sides: prompts as text or messages, an SFT set as explorer; a resumed run is whole."""
    prompts: list[Any] = [p.prompt for p in PROBLEMS]
    pairs = [{"prompt": row["prompt"], "completion": row["completion"]} for row in ROWS]
    if conversational:
        prompts = [messages(prompt) for prompt in prompts]
        pairs = [{"prompt": messages(r["prompt"]), "completion": messages(r["completion"], "assistant")} for r in ROWS]

    def trainer(folder: str, **changes: Any) -> S2LPOTrainer:
        settings = {
            "schedule": "constant",
            "explorer_fraction": 0.5,
            "correction": correction,
            "max_completion_length": 24,
            "max_steps": 4,
            **changes,
        }
        return S2LPOTrainer(
            AutoModelForCausalLM.from_pretrained(files, dtype=torch.float32),
            lambda completions, **_: [float(len(str(text)) % 3) for text in completions],
            config(tmp_path / folder, **settings),
            Dataset.from_dict({"prompt": prompts}),
            processing_class=tokenizer,
            explorer=Dataset.from_list(pairs),
        )

    whole = trainer("whole")
    whole.train()
    logged = [entry for entry in whole.state.log_history if "loss" in entry]
    assert len(logged) == 4
    assert all("explorer/reward" in entry for entry in logged)
    assert "cost/explorer/flops" not in logged[0] or logged[0]["cost/explorer/flops"] != 0
    first = trainer("resumed", max_steps=4, save_strategy="steps", save_steps=2)
    first.train()
    second = trainer("resumed", max_steps=4, save_strategy="steps", save_steps=2)
    second.train(resume_from_checkpoint=str(tmp_path / "resumed" / "checkpoint-2"))
    assert torch.equal(flat(second.model), flat(whole.model))
