"""Endpoints against a fake server that speaks OpenAI's protocol over real HTTP, and against a real vLLM server.

The fake exists for faults that a real server shows only on bad days; what it answers is made from the request alone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import write_checkpoint

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.endpoint import KEY_VARIABLE, EndpointPolicy, connect
from s2l_lab.problems import Problem

PROBLEMS = [Problem.make(f"{i}+{i}=", str(2 * i), "math", "test", {}) for i in range(4)]
SAMPLING = SamplingParams(max_tokens=8)
Answer = Callable[[dict[str, Any], int], tuple[int, dict[str, str], bytes]]
"""(request, how many came before) to (status, headers, body)."""


def fine(payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
    """A completion that depends on prompt and seed alone."""
    choice = {
        "text": f"{payload['prompt']} {payload['seed'] % 97}",
        "finish_reason": "stop",
        "logprobs": {"token_logprobs": [-0.5, -0.25]},
    }
    if payload.get("return_token_ids"):
        choice |= {"token_ids": [5, 1], "stop_reason": None}
    body = {"choices": [choice], "usage": {"completion_tokens": 2, "prompt_tokens": 4}}
    return 200, {}, json.dumps(body).encode()


class FakeServer:
    """An HTTP server on a free port of this machine; `answer` decides what /completions says."""

    def __init__(self) -> None:
        self.answer: Answer = fine
        self.owner = "vllm"
        self.models = ["m"]
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.peak = 0
        self._open, self._lock = 0, threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Quiet."""

            def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                fake.keys.append(self.headers.get("Authorization"))
                data = [{"id": model, "owned_by": fake.owner} for model in fake.models]
                known = self.path == "/v1/models"
                self._reply(200 if known else 404, {}, json.dumps({"data": data}).encode())

            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    before = len(fake.requests)
                    fake.requests.append(payload)
                    fake._open += 1
                    fake.peak = max(fake.peak, fake._open)
                status, headers, body = fake.answer(payload, before)
                with fake._lock:
                    fake._open -= 1
                if status == 0:  # hang up in the middle of an answer
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self._reply(status, headers, body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


def policy_of(fake: FakeServer, name: str = "e") -> EndpointPolicy:
    """The policy as `open_policy` makes it, but with waits between attempts that a test can afford."""
    server = connect(fake.address, backoff_s=0.001)
    return EndpointPolicy(name, server, lambda p: p.prompt, "raw", complete_prompt=False)


def sample(policy: Any, indices: range = range(5), sampling: SamplingParams = SAMPLING) -> dict[tuple[str, int], Any]:
    draws = list(policy.sample([Draws(p, tuple(indices)) for p in PROBLEMS], sampling))
    by_key = {(draw.problem_id, draw.index): draw.completion for draw in draws}
    assert len(by_key) == len(draws)
    return by_key


def test_every_draw_is_one_request_with_its_own_seed(server: FakeServer) -> None:
    policy = open_policy(f"e={server.address}", template="raw")
    drawn = sample(policy)
    assert set(drawn) == {(p.id, i) for p in PROBLEMS for i in range(5)}
    assert len(server.requests) == 20
    assert {r["n"] for r in server.requests} == {1}
    seeds = sorted(r["seed"] for r in server.requests)
    assert len(set(seeds)) == 20
    assert 0 <= seeds[0] <= seeds[-1] < 2**63
    assert min(np.diff(seeds)) > 1000  # neighbouring seeds would give overlapping noise in vLLM
    assert {r["prompt"] for r in server.requests} == {p.prompt for p in PROBLEMS}


def test_a_draw_depends_on_its_key_alone(server: FakeServer) -> None:
    whole = sample(policy_of(server))
    part = sample(policy_of(server), range(3, 5))
    assert {k: c.text for k, c in part.items()} == {k: whole[k].text for k in part}
    other_name = sample(policy_of(server, "f"))
    assert {k: c.text for k, c in other_name.items()} != {k: c.text for k, c in whole.items()}


def test_sampling_parameters_reach_the_server(server: FakeServer) -> None:
    sampling = SamplingParams(
        temperature=0.7, top_p=0.8, top_k=20, min_p=0.1, presence_penalty=1.5, max_tokens=9, stop=("\n",)
    )
    completion = next(iter(sample(policy_of(server), range(1), sampling).values()))
    sent = server.requests[0]
    expected = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "min_p": 0.1, "presence_penalty": 1.5, "max_tokens": 9}
    assert {name: sent[name] for name in [*expected, "stop"]} == {**expected, "stop": ["\n"]}
    assert completion.logprobs is None  # before or after truncation? the server does not say
    assert completion.stop_reason is StopReason.EOS


def test_plain_sampling_keeps_tokens_and_logprobs(server: FakeServer) -> None:
    completion = next(iter(sample(policy_of(server), range(1)).values()))
    np.testing.assert_array_equal(completion.token_ids, [5, 1])
    np.testing.assert_array_equal(completion.logprobs, np.float32([-0.5, -0.25]))
    assert completion.prompt_tokens == 4


def test_a_server_that_is_not_vllm_gives_text_and_refuses_what_it_may_drop(server: FakeServer) -> None:
    server.owner = "someone"
    policy = policy_of(server)
    completion = next(iter(sample(policy, range(1)).values()))
    assert completion.token_ids is None
    assert not {"top_k", "min_p", "return_token_ids", "add_special_tokens"} & set(server.requests[0])
    seen = len(server.requests)
    for params in (SamplingParams(top_k=20), SamplingParams(min_p=0.1)):
        with pytest.raises(PolicyError, match="no part of OpenAI's protocol"):
            policy.sample([Draws(PROBLEMS[0], (0,))], params)
    assert len(server.requests) == seen


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_a_passing_failure_is_tried_again_and_loses_nothing(server: FakeServer, status: int) -> None:
    server.answer = lambda payload, before: (
        fine(payload, before) if before % 3 else (status, {"Retry-After": "0"}, b"busy")
    )
    undisturbed = FakeServer()
    try:
        drawn = sample(policy_of(server))
        policy = policy_of(undisturbed)
        policy.digest = policy_of(server).digest  # the address is in the digest, and these are two addresses
        assert {k: c.text for k, c in drawn.items()} == {k: c.text for k, c in sample(policy).items()}
    finally:
        undisturbed.close()
    assert len(server.requests) > 20


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((503, {}, b"overloaded"), "failed 6 times, last with status 503: overloaded"),
        ((400, {}, b"prompt too long"), "refused a request with status 400: prompt too long"),
        ((200, {}, b"<html>"), "did not answer in JSON"),
        ((200, {}, b"[]"), "JSON object"),
        ((200, {}, b'{"choices": []}'), "gave no completion"),
        ((200, {}, b'{"choices": [{"text": null, "finish_reason": "stop"}]}'), "gave no completion"),
        (
            (200, {}, b'{"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"completion_tokens": 0}}'),
            "no completion",
        ),
        ((200, {}, b'{"choices": [{"text": "x", "finish_reason": "content_filter"}]}'), "content_filter"),
        ((200, {}, b'{"choices": [{"text": "x", "finish_reason": null}]}'), "None"),
    ],
)
def test_a_failure_is_an_error_and_never_an_empty_completion(
    server: FakeServer, answer: tuple[int, dict[str, str], bytes], says: str
) -> None:
    server.answer = lambda _payload, _before: answer
    with pytest.raises(PolicyError) as caught:
        sample(policy_of(server), range(1))
    assert says in str(caught.value)


def test_an_immediate_eos_is_a_completion(server: FakeServer) -> None:
    body = {"choices": [{"text": "", "finish_reason": "stop", "token_ids": [1]}], "usage": {"completion_tokens": 1}}
    server.answer = lambda _payload, _before: (200, {}, json.dumps(body).encode())
    completion = next(iter(sample(policy_of(server), range(1)).values()))
    assert (completion.text, completion.stop_reason) == ("", StopReason.EOS)


def test_stop_reasons(server: FakeServer) -> None:
    def cut(reason: str, stop: str | None) -> bytes:
        choice = {"text": "x", "finish_reason": reason, "token_ids": [5], "stop_reason": stop}
        return json.dumps({"choices": [choice], "usage": {"completion_tokens": 1}}).encode()

    stopping = SamplingParams(stop=("\n",))
    for reason, stop, expected in [
        ("length", None, StopReason.LENGTH), ("stop", "\n", StopReason.STOP), ("stop", None, StopReason.EOS),
    ]:  # fmt: skip
        body = cut(reason, stop)
        server.answer = lambda _payload, _before, body=body: (200, {}, body)
        assert {c.stop_reason for c in sample(policy_of(server), range(1), stopping).values()} == {expected}


def test_finished_draws_come_while_others_run_and_a_caller_may_stop(server: FakeServer) -> None:
    release = threading.Event()

    def one_hangs(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if payload["prompt"] == PROBLEMS[0].prompt:
            release.wait(20)
        return fine(payload, before)

    server.answer = one_hangs
    draws = policy_of(server).sample([Draws(p, (0,)) for p in PROBLEMS], SAMPLING)
    first = {next(draws).problem_id for _ in range(3)}
    assert first == {p.id for p in PROBLEMS[1:]}
    draws.close()  # type: ignore[attr-defined]  # sample yields from a generator
    release.set()


def test_requests_are_in_flight_together_but_not_without_bound(server: FakeServer) -> None:
    gate = threading.Barrier(8, timeout=20)

    def together(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if before < 8:
            gate.wait()
        return fine(payload, before)

    server.answer = together
    sample(policy_of(server), range(100))
    assert 8 <= server.peak <= 64


def test_models_are_chosen_by_name(server: FakeServer) -> None:
    server.models = ["a", "b"]
    with pytest.raises(UsageError, match=r"serves 2 models; name one as .*#MODEL: a, b"):
        connect(server.address)
    with pytest.raises(UsageError, match=r"does not serve 'c'\. It serves: a, b"):
        connect(f"{server.address}#c")
    assert connect(f"{server.address}#b").model == "b"


def test_nobody_there_and_a_wrong_path(server: FakeServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(PolicyError, match="nobody answers"):
        connect(f"http://127.0.0.1:{port}/v1")
    with pytest.raises(PolicyError, match="status 404"):
        connect(server.address + "/v2")


def test_the_key_is_sent_and_never_guessed(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for this server")
    connect(server.address)
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    connect(server.address)
    assert server.keys == [None, "Bearer secret"]


def test_chat_templates_need_a_tokenizer_that_is_not_there(server: FakeServer) -> None:
    server.owner = "someone"
    with pytest.raises(PolicyError, match="needs the model's tokenizer"):
        open_policy(f"e={server.address}", template="chat")


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real `vllm serve` on a small random checkpoint."""
    directory = write_checkpoint(tmp_path_factory.mktemp("served") / "checkpoint")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        str(directory),
        "--port",
        str(port),
    ]
    command += ["--host", "127.0.0.1", "--dtype", "float32", "--enforce-eager"]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    log = (directory.parent / "log").open("w")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 400
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the vLLM server did not start:\n{Path(log.name).read_text()[-4000:]}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


@pytest.mark.vllm
def test_a_real_vllm_server(vllm_server: str) -> None:
    """Same draws twice, seeds honoured, and each logprob is the model's own at temperature 1."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = open_policy(f"e={vllm_server}", template="raw")
    first, again = sample(policy, range(12)), sample(policy, range(12))
    assert {k: c.text for k, c in first.items()} == {k: c.text for k, c in again.items()}
    assert len({c.text for (problem, _), c in first.items() if problem == PROBLEMS[1].id}) > 6
    assert Counter(c.stop_reason for c in first.values())[StopReason.LENGTH] > 0
    directory = connect(vllm_server).model
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for problem in PROBLEMS:
        prompt = tokenizer(problem.prompt, add_special_tokens=False)["input_ids"]
        for index in range(12):
            completion = first[problem.id, index]
            assert completion.prompt_tokens == len(prompt)
            ids = torch.tensor([prompt + completion.token_ids.tolist()])
            with torch.no_grad():
                logprobs = model(ids).logits[0].log_softmax(-1)
            expected = logprobs[len(prompt) - 1 : -1].gather(1, ids[0, len(prompt) :, None])[:, 0].numpy()
            np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)
    with pytest.raises(PolicyError, match="status 400"):
        sample(policy, range(1), SamplingParams(max_tokens=100_000))
