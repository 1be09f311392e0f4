"""Templates: the exact text, with every special token once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tiny_checkpoints import write_tokenizer

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import PRESETS, SamplingParams, sampling_params
from s2l_lab.policies.templates import bind_template
from s2l_lab.problems import Problem
from s2l_lab.problems.countdown import countdown_benchmark

if TYPE_CHECKING:
    from pathlib import Path

PROBLEM = Problem.make("what is 3*4?", "12", "math", "test", {})


def tokenizer(directory: Path, **how: Any) -> Any:
    from transformers import AutoTokenizer

    write_tokenizer(directory, **how)
    return AutoTokenizer.from_pretrained(directory)


def test_raw_is_the_problem_and_nothing_else(tmp_path: Path) -> None:
    assert bind_template("raw", tokenizer(tmp_path), "p").render(PROBLEM) == PROBLEM.prompt
    assert bind_template("raw", None, "p").render(PROBLEM) == PROBLEM.prompt


@pytest.mark.parametrize(("name", "suffix"), [("chat", ""), ("chat-no-think", " /no_think"), ("chat-think", " /think")])
def test_chat_templates_write_one_user_message_and_open_the_answer(tmp_path: Path, name: str, suffix: str) -> None:
    text = bind_template(name, tokenizer(tmp_path), "p").render(PROBLEM)
    assert text == f"<|start|>user\nwhat is 3*4?{suffix}<|end|>\n<|start|>assistant\n"


@pytest.mark.parametrize("name", ["raw", "chat"])
def test_a_bos_stands_once_at_the_start(tmp_path: Path, name: str) -> None:
    """Llama's tokenizer adds a BOS and its chat template writes one: encoding the chat text as usual gives two."""
    chat_template = "<|bos|>{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    llama_like = tokenizer(tmp_path, adds_bos=True, chat_template=chat_template)
    ids = llama_like(bind_template(name, llama_like, "p").render(PROBLEM), add_special_tokens=False)["input_ids"]
    assert ids[0] == llama_like.bos_token_id
    assert ids.count(llama_like.bos_token_id) == 1


def test_a_prompt_does_not_change_overnight(tmp_path: Path) -> None:
    """Llama 3.2's template writes today's date unless it is told one."""
    dated = "{% if not date_string %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}{{ date_string }} x"
    assert bind_template("chat", tokenizer(tmp_path, chat_template=dated), "p").render(PROBLEM) == "26 Jul 2024 x"


def test_countdown_compact_needs_no_tokenizer_and_a_countdown_problem() -> None:
    template = bind_template("countdown-compact", None, "p")
    problem = countdown_benchmark(1).problems[0]
    numbers, target = problem.metadata["numbers"], problem.metadata["target"]
    assert template.render(problem) == " ".join(map(str, sorted(numbers))) + f"={target}\n"
    with pytest.raises(UsageError, match="Countdown problems only"):
        template.render(PROBLEM)


def test_digests_tell_prompts_apart(tmp_path: Path) -> None:
    plain, other = tokenizer(tmp_path / "a"), tokenizer(tmp_path / "b", chat_template="{{ messages[0]['content'] }}")
    llama_like = tokenizer(tmp_path / "c", adds_bos=True)
    bound = [("raw", plain), ("chat", plain), ("chat-think", plain), ("chat-no-think", plain), ("chat", other)]
    bound += [("raw", llama_like), ("countdown-compact", plain)]
    assert len({bind_template(name, t, "p").digest for name, t in bound}) == len(bound)
    assert bind_template("raw", plain, "p").digest == bind_template("raw", other, "q").digest


def test_what_cannot_be_rendered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean chat-no-think"):
        bind_template("chat-nothink", None, "p")
    with pytest.raises(PolicyError, match=r"no chat template.*--template raw"):
        bind_template("chat", tokenizer(tmp_path, chat_template=None), "p")
    with pytest.raises(PolicyError, match="needs the model's tokenizer"):
        bind_template("chat", None, "p")


def test_presets_are_the_paper_s() -> None:
    assert sampling_params("think") == SamplingParams(temperature=0.6, top_p=0.95, top_k=20)
    assert sampling_params("nothink") == SamplingParams(temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
    assert sampling_params() == SamplingParams(temperature=1.0)
    assert set(PRESETS) == {"default", "think", "nothink"}


def test_what_is_asked_for_wins_over_the_preset() -> None:
    params = sampling_params("nothink", top_p=0.5, max_tokens=7, seed=9)
    assert (params.temperature, params.top_p, params.presence_penalty) == (0.7, 0.5, 1.5)
    assert (params.max_tokens, params.seed) == (7, 9)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"top_p": 0.0}, "top_p is 0.0; it is a number above 0, up to 1"),
        ({"temperature": -1}, "temperature is -1; it is a number from 0, up to 10"),
        ({"top_kk": 3}, "Did you mean top_k"),
    ],
)
def test_values_out_of_range_are_named(chosen: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        sampling_params("default", **chosen)
    assert says in str(caught.value)


@pytest.mark.parametrize("stop", [("",), ("a", ""), ("\udcff",)])
def test_stop_strings_that_no_text_or_every_text_holds_are_refused(stop: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="stop string"):
        SamplingParams(stop=stop)
    with pytest.raises(UsageError, match="stop string"):
        sampling_params(stop=stop)


@pytest.mark.parametrize("stop", ["\n", " ", "\t", "\u00e9", "\n\n"])
def test_white_space_may_end_a_completion(stop: str) -> None:
    assert sampling_params(stop=(stop,)).stop == (stop,)


def test_an_unknown_preset_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match="Did you mean nothink"):
        sampling_params("no-think")
