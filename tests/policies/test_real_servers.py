"""Served models for real: llama.cpp's server and `vllm serve`, over HTTP, against plain forward passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from real_servers import RealServer, llama_cpp, vllm_serve
from tiny_checkpoints import write_checkpoint

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.endpoint import TokenEndpointPolicy
from s2l_lab.policies.endpoint_messages import text_of_message
from s2l_lab.policies.endpoint_server import connect
from s2l_lab.policies.endpoint_tokens import token_ids
from s2l_lab.policies.waves import Prompted
from s2l_lab.problems import Problem
from s2l_lab.verifiers.drafts import final_parts

if TYPE_CHECKING:
    from conftest import RealModel

QUESTIONS = ("What is 2+3?", "Tom has 4 apples and eats one. How many are left?", "Say yes.")
PROBLEMS = [Problem.make(text, "5", "math", "test", {}) for text in QUESTIONS]
SHORT = [Problem.make(f"{i}+{i}=", str(2 * i), "math", "test", {}) for i in range(4)]
PLAIN = SamplingParams(max_tokens=24)
WARM = SamplingParams(max_tokens=24, temperature=0.6, top_k=20)

THINKING = (
    "{%- for message in messages %}{{'<|im_start|>' + message.role + '\\n'}}"
    "{%- if message.role == 'assistant' and message.reasoning_content %}"
    "{{ '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}{%- endif %}"
    "{{ message.content + '<|im_end|>\\n'}}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{%- endif %}"
)
"""A chat template by which llama.cpp's server tells thoughts from answers."""


def draws_of(policy: Any, problems: list[Problem], n: int, sampling: SamplingParams) -> dict[Any, Completion]:
    draws = policy.sample([Draws(problem, tuple(range(n))) for problem in problems], sampling)
    return {(draw.problem_id, draw.index): draw.completion for draw in draws}


class Forward:
    """Log-probabilities by a plain forward pass of transformers in float32."""

    def __init__(self, directory: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self._torch = torch
        self._model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()

    def chat(self, text: str) -> list[int]:
        said = [{"role": "user", "content": text}]
        rendered = self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])

    def logprobs(self, prompt: list[int], drawn: list[int], sampling: SamplingParams) -> Any:
        """(T,) of the drawn tokens after temperature and top-k."""
        torch = self._torch
        with torch.no_grad():
            logits = self._model(torch.tensor([prompt + drawn])).logits[0, len(prompt) - 1 : -1] / sampling.temperature
        if sampling.top_k:
            least = logits.topk(sampling.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        return logits.log_softmax(-1).gather(1, torch.tensor(drawn)[:, None])[:, 0].numpy()


@pytest.fixture(scope="module")
def forward(real_model: RealModel) -> Forward:
    return Forward(real_model.checkpoint)


@pytest.fixture(scope="module")
def llama(real_model: RealModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with llama_cpp(real_model.gguf, tmp_path_factory.mktemp("llama")) as server:
        yield server


def check_against(forward: Forward, drawn: dict[Any, Completion], sampling: SamplingParams, atol: float) -> None:
    """Ids are whole, they are the text, and their log-probabilities those of a forward pass, on average."""
    differences = []
    for problem in PROBLEMS:
        prompt = forward.chat(problem.prompt)
        for index in range(4):
            completion = drawn[problem.id, index]
            assert completion.token_ids is not None
            assert completion.logprobs is not None
            assert completion.prompt_tokens == len(prompt)
            ids = completion.token_ids.tolist()
            assert forward.tokenizer.decode(ids, skip_special_tokens=True).strip() == completion.text.strip()
            own = forward.logprobs(prompt, ids, sampling)
            # What quantised activations move over the edge of the top k has no probability by the forward pass.
            differences.append(np.abs(completion.logprobs - own)[np.isfinite(own)])
    values = np.concatenate(differences)
    assert len(values) > 0.95 * sum(len(d.token_ids) for d in drawn.values() if d.token_ids is not None)
    assert values.mean() < atol


@pytest.mark.real
@pytest.mark.parametrize("route", ["chat", "ids"])
@pytest.mark.parametrize("sampling", [PLAIN, WARM])
def test_llama_cpp_by_messages_and_by_ids(
    real_model: RealModel, llama: RealServer, forward: Forward, route: str, sampling: SamplingParams
) -> None:
    """The same prompt by either route; log-probabilities after the samplers, within .1 nat (it quantises)."""
    tokenizer = None if route == "chat" else real_model.checkpoint
    policy = open_policy(f"e={llama.address}", tokenizer=tokenizer)
    assert policy.prompt(PROBLEMS[0]).startswith("[{" if route == "chat" else "<|im_start|>")
    drawn = draws_of(policy, PROBLEMS, 4, sampling)
    assert {k: c.text for k, c in draws_of(policy, PROBLEMS, 4, sampling).items()} == {
        k: c.text for k, c in drawn.items()
    }
    assert len({c.text for c in drawn.values()}) > 6
    check_against(forward, drawn, sampling, 0.1)


@pytest.mark.real
def test_llama_cpp_takes_ids_as_the_learner_saw_them(real_model: RealModel, llama: RealServer) -> None:
    policy = open_policy(f"e={llama.address}", template="raw", tokenizer=real_model.checkpoint)
    assert isinstance(policy, TokenEndpointPolicy)
    assert policy.shape is not None
    assert policy.shape.parameters == 134_515_008
    policy.require_logprobs(WARM)
    ids = tuple(policy.tokenizer("The capital of France is", add_special_tokens=False)["input_ids"])
    (draw,) = policy.sample_prompts([Prompted("a", ids, (0,))], PLAIN)
    assert draw.completion.prompt_tokens == len(ids)


@pytest.mark.real
def test_llama_cpp_ends_at_stop_strings(llama: RealServer) -> None:
    drawn = draws_of(open_policy(f"e={llama.address}"), PROBLEMS, 4, SamplingParams(max_tokens=40, stop=(" ",)))
    stopped = [c for c in drawn.values() if c.stop_reason is StopReason.STOP]
    assert len(stopped) > 6
    for completion in stopped:
        assert " " not in completion.text
        assert completion.token_ids is not None
        assert completion.tokens == len(completion.token_ids)


@pytest.mark.real
def test_llama_cpp_gives_a_thought_apart(real_model: RealModel, tmp_path: Path) -> None:
    """The model does not think by itself: a grammar makes it say a thought and an answer."""
    grammar = r'root ::= "<think>\nTwo and two.\n</think>\n\nThe answer is 4."'
    asked = {"messages": [{"role": "user", "content": "What is 2+2?"}], "seed": 1, "grammar": grammar}
    told = {"logprobs": True, "top_logprobs": 1, "return_tokens": True, "verbose": True}
    with llama_cpp(real_model.gguf, tmp_path, THINKING) as server:
        connected = connect(server.address)
        whole = connected.post("/chat/completions", asked | told | {"max_tokens": 60})
        text = text_of_message(whole["choices"][0]["message"])
        assert text == "<think>\nTwo and two.\n</think>\n\nThe answer is 4."
        counted = whole["usage"]["completion_tokens"]
        ids = token_ids(whole, whole["choices"][0], counted)
        assert ids is not None
        assert len(ids) == counted
        cut = connected.post("/chat/completions", asked | told | {"max_tokens": 9})
        text = text_of_message(cut["choices"][0]["message"])
        assert text is not None
        assert text.startswith("<think>\nTwo")
        assert final_parts(text) == []


@pytest.mark.real
def test_one_of_two_servers_may_die(real_model: RealModel, tmp_path: Path) -> None:
    with ExitStack() as stack:
        a, b = (stack.enter_context(llama_cpp(real_model.gguf, tmp_path)) for _ in range(2))
        policy = open_policy(f"e={a.address},{b.address}")
        before = draws_of(policy, PROBLEMS, 4, PLAIN)
        requests = [Draws(problem, tuple(range(8))) for problem in PROBLEMS]
        draws = policy.sample(requests, PLAIN)
        first = next(draws)
        a.process.kill()
        with pytest.warns(UserWarning, match=rf"{a.address} fails .* its requests go to the others"):
            rest = list(draws)
        after = {(draw.problem_id, draw.index): draw.completion.text for draw in [first, *rest]}
        assert len(after) == 24
        assert {key: after[key] for key in before} == {key: c.text for key, c in before.items()}


# vLLM: a small random checkpoint, so that this runs wherever vLLM does.


@pytest.fixture(scope="module")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("served") / "checkpoint")


@pytest.fixture(scope="module", params=["raw_logprobs", "processed_logprobs"])
def vllm_server(
    request: pytest.FixtureRequest, random_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Address, and what its log-probabilities are."""
    mode: str = request.param
    with vllm_serve(random_checkpoint, tmp_path_factory.mktemp("log"), "--logprobs-mode", mode) as server:
        yield server.address, mode


@pytest.mark.vllm
def test_vllm_by_text(vllm_server: tuple[str, str], random_checkpoint: Path) -> None:
    """Same draws twice, seeds honoured, and each logprob is the model's own at temperature 1."""
    policy = open_policy(f"e={vllm_server[0]}", template="raw")
    plain = SamplingParams(max_tokens=8)
    first, again = (draws_of(policy, SHORT, 12, plain) for _ in range(2))
    assert {k: c.text for k, c in first.items()} == {k: c.text for k, c in again.items()}
    assert len({c.text for (problem, _), c in first.items() if problem == SHORT[1].id}) > 6
    assert Counter(c.stop_reason for c in first.values())[StopReason.LENGTH] > 0
    forward = Forward(random_checkpoint)
    for problem in SHORT:
        prompt = forward.tokenizer(problem.prompt, add_special_tokens=False)["input_ids"]
        for index in range(12):
            completion = first[problem.id, index]
            assert completion.token_ids is not None
            assert completion.prompt_tokens == len(prompt)
            expected = forward.logprobs(prompt, completion.token_ids.tolist(), plain)
            np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)
    with pytest.raises(PolicyError, match="status 400"):
        draws_of(policy, SHORT, 1, SamplingParams(max_tokens=100_000))


@pytest.mark.vllm
def test_vllm_by_ids_and_what_its_log_probabilities_are(vllm_server: tuple[str, str], random_checkpoint: Path) -> None:
    address, mode = vllm_server
    policy = open_policy(f"e={address}", template="raw", tokenizer=random_checkpoint)
    assert isinstance(policy, TokenEndpointPolicy)
    warm = SamplingParams(max_tokens=8, temperature=0.5)
    if mode == "raw_logprobs":
        with pytest.raises(PolicyError, match="--logprobs-mode processed_logprobs"):
            policy.require_logprobs(warm)
    else:
        policy.require_logprobs(warm)
    forward = Forward(random_checkpoint)
    prompt = forward.tokenizer("1+2=", add_special_tokens=False)["input_ids"]
    for draw in policy.sample_prompts([Prompted("a", tuple(prompt), (0, 1, 2, 3))], warm):
        completion = draw.completion
        assert completion.token_ids is not None
        drawn = completion.token_ids.tolist()
        values, given = (warm, completion.logprobs) if mode == "processed_logprobs" else (PLAIN, completion.logprobs_t1)
        np.testing.assert_allclose(given, forward.logprobs(prompt, drawn, values), atol=1e-4)
        assert (completion.logprobs is None) == (mode == "raw_logprobs")
        ends = [i for i, token in enumerate(drawn) if token in policy.eos_ids]
        assert ends in ([], [len(drawn) - 1])


@pytest.mark.vllm
def test_vllm_by_messages(vllm_server: tuple[str, str], random_checkpoint: Path) -> None:
    policy = open_policy(f"e={vllm_server[0]}")
    drawn = draws_of(policy, SHORT, 3, SamplingParams(max_tokens=8))
    forward = Forward(random_checkpoint)
    for problem in SHORT:
        prompt = forward.chat(problem.prompt)
        for index in range(3):
            completion = drawn[problem.id, index]
            assert completion.prompt_tokens == len(prompt)
            assert completion.token_ids is not None
            expected = forward.logprobs(prompt, completion.token_ids.tolist(), SamplingParams())
            np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)
