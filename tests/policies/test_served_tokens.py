"""Served models with a tokenizer at hand: prompts and completions as token ids, and whose log-probabilities they are.

The shapes of the answers are those of `vllm serve` 0.31 and of llama.cpp's server (xllamacpp 2026.10).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import FakeServer
from tiny_checkpoints import write_checkpoint, write_tokenizer
from transformers import AutoTokenizer

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.figures.numbers import numbers
from s2l_lab.passk import PasskRequest, run_passk
from s2l_lab.policies import Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.checkpoint import Checkpoint
from s2l_lab.policies.endpoint import TokenEndpointPolicy
from s2l_lab.policies.families import Member
from s2l_lab.policies.model_shape import shape_of
from s2l_lab.policies.served_files import shape_in
from s2l_lab.policies.tokenizers import PROBE
from s2l_lab.policies.waves import Prompted
from s2l_lab.problems import Problem
from s2l_lab.training.explorer import PromptPolicy

LOGITS = np.array([0.3, 2.0, -1.0, 1.1, 0.0, -2.0, 0.5])
"""Of the one position that the fake's model knows, over ids 0 to 6; it draws [5, 1], 1 the EOS."""
DRAWN = (5, 1)
PROMPT = Prompted("a", (9, 10, 11), (0, 1, 2))
WARM = SamplingParams(temperature=0.7, max_tokens=8)


def log_softmax(temperature: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    scaled = LOGITS / temperature
    return scaled - np.log(np.exp(scaled).sum())


def like_vllm(payload: dict[str, Any], *, processed: bool) -> dict[str, Any]:
    """`vllm serve`, with and without --logprobs-mode processed_logprobs."""
    values = log_softmax(payload["temperature"] if processed else 1.0)
    drawn = DRAWN[: payload["max_tokens"]]
    given = {
        "token_logprobs": [float(values[i]) for i in drawn],
        "top_logprobs": [{f"t{i}": float(values[i]), "t1": float(values[1])} for i in drawn],
    }
    choice = {
        "index": 0,
        "text": " five",
        "logprobs": given,
        "finish_reason": "stop" if len(drawn) == 2 else "length",
        "stop_reason": 1 if len(drawn) == 2 else None,
        "token_ids": list(drawn),
        "prompt_token_ids": payload["prompt"],
    }
    usage = {"prompt_tokens": len(payload["prompt"]), "completion_tokens": len(drawn)}
    return {"model": "m", "choices": [choice], "usage": usage}


def like_llama_cpp(payload: dict[str, Any], *, stopped: bool = False) -> dict[str, Any]:
    """It lists no log-probability of the tokens of a stop string that it met, but their ids elsewhere."""
    after = payload.get("post_sampling_probs")
    values = log_softmax(payload["temperature"] if after else 1.0)
    entries = [
        {"id": i, "token": f"t{i}", "bytes": [], **({"prob": math.exp(values[i])} if after else {"logprob": values[i]})}
        for i in DRAWN
    ]
    content = entries[:-1] if stopped else entries
    choice = {"index": 0, "text": " five", "logprobs": {"content": content}, "finish_reason": "stop"}
    more = {"tokens": list(DRAWN), "stop_type": "word" if stopped else "eos", "generation_settings": {}}
    usage = {"prompt_tokens": len(payload["prompt"]), "completion_tokens": 2}
    return {"choices": [choice], "usage": usage, "__verbose": more}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("served") / "checkpoint")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def serve(fake: FakeServer, owner: str, answer: Any, directory: Path) -> TokenEndpointPolicy:
    fake.owner = owner
    fake.answer = lambda payload, _before: (200, {}, json.dumps(answer(payload)).encode())
    policy = open_policy(f"e={fake.address}", template="raw", tokenizer=directory)
    assert isinstance(policy, TokenEndpointPolicy)
    return policy


@pytest.mark.parametrize("owner", ["vllm", "llamacpp"])
def test_prompts_go_as_ids_and_completions_come_as_ids(server: FakeServer, directory: Path, owner: str) -> None:
    answer = like_llama_cpp if owner == "llamacpp" else lambda p: like_vllm(p, processed=False)
    policy = serve(server, owner, answer, directory)
    assert isinstance(policy, PromptPolicy)
    draws = list(policy.sample_prompts([PROMPT], SamplingParams(max_tokens=8)))
    assert {(draw.problem_id, draw.index) for draw in draws} == {("a", 0), ("a", 1), ("a", 2)}
    assert {tuple(request["prompt"]) for request in server.requests} == {PROMPT.prompt_ids}
    assert len({request["seed"] for request in server.requests}) == 3
    assert not any("add_special_tokens" in request for request in server.requests)
    for draw in draws:
        assert draw.completion.token_ids is not None
        assert draw.completion.token_ids.tolist() == list(DRAWN)
        assert draw.completion.stop_reason is StopReason.EOS
        assert (draw.completion.tokens, draw.completion.prompt_tokens) == (2, 3)
        np.testing.assert_allclose(draw.completion.logprobs, log_softmax(1.0)[list(DRAWN)], rtol=1e-6)


def test_a_problem_is_encoded_as_the_engines_encode_it(server: FakeServer, directory: Path) -> None:
    problem = Problem.make("1+2=", "3", "math", "test", {})
    policy = serve(server, "vllm", lambda p: like_vllm(p, processed=False), directory)
    list(policy.sample([Draws(problem, (0,))], SamplingParams(max_tokens=8)))
    assert server.requests[0]["prompt"] == policy.tokenizer("1+2=", add_special_tokens=False)["input_ids"]


def test_vllm_is_told_every_id_that_ends_a_completion(server: FakeServer, tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "c")
    (directory / "generation_config.json").write_text('{"eos_token_id": [4, 3]}')
    policy = serve(server, "vllm", lambda p: like_vllm(p, processed=False), directory)
    list(policy.sample_prompts([PROMPT], SamplingParams(max_tokens=8)))
    assert policy.eos_ids > {3, 4}
    assert server.requests[0]["stop_token_ids"] == sorted(policy.eos_ids)


@pytest.mark.parametrize("sampling", [WARM, SamplingParams(top_k=3, max_tokens=8), SamplingParams(top_p=0.9)])
def test_two_requests_tell_raw_log_probabilities_which_are_refused_and_named(
    server: FakeServer, directory: Path, sampling: SamplingParams
) -> None:
    policy = serve(server, "vllm", lambda p: like_vllm(p, processed=False), directory)
    with pytest.raises(PolicyError, match=r"the model's own.*--logprobs-mode processed_logprobs"):
        policy.require_logprobs(sampling)
    assert len(server.requests) == 2
    assert {request["max_tokens"] for request in server.requests} == {1}
    (first, *_) = policy.sample_prompts([PROMPT], sampling)
    assert first.completion.logprobs is None
    np.testing.assert_allclose(first.completion.logprobs_t1, log_softmax(1.0)[list(DRAWN)], rtol=1e-6)
    assert len(server.requests) == 2 + 3
    plain = SamplingParams(max_tokens=8)
    policy.require_logprobs(plain)
    assert len(server.requests) == 5


def test_processed_log_probabilities_are_of_the_distribution_that_sampled(server: FakeServer, directory: Path) -> None:
    policy = serve(server, "vllm", lambda p: like_vllm(p, processed=True), directory)
    policy.require_logprobs(WARM)
    for draw in policy.sample_prompts([PROMPT], WARM):
        np.testing.assert_allclose(draw.completion.logprobs, log_softmax(0.7)[list(DRAWN)], rtol=1e-6)
        assert draw.completion.logprobs_t1 is None
    assert len(server.requests) == 2 + 3


def test_at_temperature_1_nothing_is_probed(server: FakeServer, directory: Path) -> None:
    policy = serve(server, "vllm", lambda p: like_vllm(p, processed=False), directory)
    policy.require_logprobs(SamplingParams(max_tokens=8))
    assert server.requests == []


def test_a_server_without_lists_of_likely_tokens_cannot_be_probed(server: FakeServer, directory: Path) -> None:
    def without(payload: dict[str, Any]) -> dict[str, Any]:
        answer = like_vllm(payload, processed=True)
        answer["choices"][0]["logprobs"] = None
        return answer

    policy = serve(server, "vllm", without, directory)
    with pytest.raises(PolicyError, match="gives no log-probabilities"):
        policy.require_logprobs(WARM)


def test_llama_cpp_gives_those_after_its_samplers(server: FakeServer, directory: Path) -> None:
    policy = serve(server, "llamacpp", like_llama_cpp, directory)
    policy.require_logprobs(WARM)
    for draw in policy.sample_prompts([PROMPT], WARM):
        np.testing.assert_allclose(draw.completion.logprobs, log_softmax(0.7)[list(DRAWN)], rtol=1e-5)
    assert len(server.requests) == 3


def test_after_a_stop_string_llama_cpp_gives_all_ids_and_not_all_log_probabilities(
    server: FakeServer, directory: Path
) -> None:
    policy = serve(server, "llamacpp", lambda p: like_llama_cpp(p, stopped=True), directory)
    for draw in policy.sample_prompts([PROMPT], SamplingParams(stop=("x",), max_tokens=8)):
        assert draw.completion.token_ids is not None
        assert draw.completion.token_ids.tolist() == list(DRAWN)
        assert draw.completion.logprobs is None
        assert draw.completion.stop_reason is StopReason.STOP


@pytest.mark.parametrize("ids", [[5], [5, 1, 1], ["5", "1"], None, 5])
def test_ids_that_do_not_cover_what_was_counted_are_not_kept(server: FakeServer, directory: Path, ids: object) -> None:
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        whole = like_vllm(payload, processed=False)
        whole["choices"][0]["token_ids"] = ids
        return whole

    policy = serve(server, "vllm", answer, directory)
    for draw in policy.sample_prompts([PROMPT], SamplingParams(max_tokens=8)):
        assert draw.completion.token_ids is None
        assert draw.completion.tokens == 2


def test_a_tokenizer_is_of_no_use_for_a_server_of_texts(server: FakeServer, directory: Path) -> None:
    with pytest.raises(PolicyError, match=r"neither a vLLM nor a llama\.cpp server"):
        serve(server, "someone", lambda p: like_vllm(p, processed=False), directory)


def test_every_address_is_probed_since_each_was_started_by_itself(directory: Path) -> None:
    modes = (True, False)
    fakes = [FakeServer() for _ in modes]
    try:
        for fake, processed in zip(fakes, modes, strict=True):
            fake.answer = lambda payload, _before, processed=processed: (
                200, {}, json.dumps(like_vllm(payload, processed=processed)).encode()
            )  # fmt: skip
        policy = open_policy(f"e={fakes[0].address},{fakes[1].address}", template="raw", tokenizer=directory)
        assert isinstance(policy, TokenEndpointPolicy)
        with pytest.raises(PolicyError, match="--logprobs-mode processed_logprobs"):
            policy.require_logprobs(WARM)
        assert [len(fake.requests) for fake in fakes] == [2, 2]
    finally:
        for fake in fakes:
            fake.close()


@pytest.mark.parametrize("owner", ["vllm", "llamacpp"])
def test_another_tokenizer_than_the_servers_is_refused(server: FakeServer, directory: Path, owner: str) -> None:
    spelled = AutoTokenizer.from_pretrained(directory)(PROBE, add_special_tokens=False)["input_ids"]
    server.owner = owner
    server.routes |= {"/tokenize"}
    server.answer = lambda _payload, _before: (200, {}, json.dumps({"tokens": spelled}).encode())
    assert open_policy(f"e={server.address}", template="raw", tokenizer=directory)
    assert server.requests[-1].get("prompt", server.requests[-1].get("content")) == PROBE
    server.answer = lambda _payload, _before: (200, {}, json.dumps({"tokens": [*spelled[:-1], 0]}).encode())
    with pytest.raises(PolicyError, match=r"--tokenizer is not that of m at .*served model's own tokenizer"):
        open_policy(f"e={server.address}", template="raw", tokenizer=directory)
    for silent in ((200, {}, b"{}"), (200, {}, b"<html>"), (404, {}, b"")):
        server.answer = lambda _payload, _before, silent=silent: silent
        assert open_policy(f"e={server.address}", template="raw", tokenizer=directory)


def test_a_directory_without_a_tokenizer_is_refused(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"--tokenizer .* is no directory"):
        open_policy(f"e={server.address}", tokenizer=tmp_path / "none")
    with pytest.raises(PolicyError, match=r"holds no tokenizer \(tokenizer\.json") as caught:
        open_policy(f"e={server.address}", tokenizer=tmp_path)
    assert "\n" not in str(caught.value)


def test_the_shape_is_known_without_weights(directory: Path, tmp_path: Path) -> None:
    """An empty model of the configuration has the size that the headers of the weights tell."""
    member = Member(name="m", source="here")
    whole = shape_of(Checkpoint(member, directory, ""))
    for tied in (True, False):
        config = json.loads((directory / "config.json").read_text()) | {"tie_word_embeddings": tied}
        (tmp_path / "config.json").write_text(json.dumps(config))
        bare = shape_in(member, tmp_path)
        assert bare is not None
        added = 0 if tied else whole.vocabulary * whole.width
        assert bare.parameters == whole.parameters + added
        assert bare.non_embedding_parameters == whole.non_embedding_parameters
        assert (bare.width, bare.layers, bare.heads, bare.head_dim) == (
            whole.width, whole.layers, whole.heads, whole.head_dim,
        )  # fmt: skip
    assert shape_in(member, directory) == whole


def test_without_a_configuration_no_shape_is_known(server: FakeServer, tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    policy = open_policy(f"e={server.address}", template="raw", tokenizer=tmp_path)
    assert policy.shape is None
    (tmp_path / "generation_config.json").write_text("[]")
    with pytest.raises(PolicyError, match="holds no JSON object"):
        open_policy(f"e={server.address}", template="raw", tokenizer=tmp_path)


def request_of(server: FakeServer, out: Path, tokenizer: Path | None, rollouts: int = 4) -> PasskRequest:
    return PasskRequest(
        family=None,
        policies=(f"far={server.address}",),
        problems=3,
        rollouts=rollouts,
        template="raw",
        sampling=SamplingParams(max_tokens=8),
        out=out,
        tokenizer=tokenizer,
        accept_repeats=True,
    )


def test_a_run_with_a_tokenizer_counts_the_flops_of_a_served_model(
    server: FakeServer, directory: Path, tmp_path: Path
) -> None:
    server.answer = lambda payload, _before: (200, {}, json.dumps(like_vllm(payload, processed=False)).encode())
    report = run_passk(request_of(server, tmp_path / "run", directory))
    (policy,) = report.policies
    shape = shape_of(Checkpoint(Member(name="m", source="here"), directory, ""))
    assert policy.shape == shape
    cost = numbers(report)["policies"][0]["cost"]
    assert cost["mean_length"] == 2
    # STATISTICS 5, by hand: two tokens a rollout at contexts of prompt + 1 and prompt + 2.
    assert cost["flops_per_rollout"] > 2 * 2 * (shape.non_embedding_parameters + shape.width * shape.vocabulary)
    seen = len(server.requests)
    again = run_passk(request_of(server, tmp_path / "run", directory))
    assert len(server.requests) == seen
    assert again.policies[0].shape == shape
    with pytest.raises(UsageError, match=r"another policy called far \(tokenizer: .* -> None\)"):
        run_passk(request_of(server, tmp_path / "run", None))


def test_a_tokenizer_without_a_served_model_is_refused(directory: Path, tmp_path: Path) -> None:
    request = PasskRequest(members=("tiny-60k",), problems=1, rollouts=2, out=tmp_path / "run", tokenizer=directory)
    with pytest.raises(UsageError, match="--tokenizer is for served models"):
        run_passk(request)
    assert not (tmp_path / "run").exists()
