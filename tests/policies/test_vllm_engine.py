"""The contract of the vLLM engine, on a really started engine and a Qwen3-shaped checkpoint with random weights.

Run in the environment of an extra that ships vLLM: `pytest -m vllm`. The oracle is a forward pass of transformers:
distributions are computed, not sampled.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from tiny_checkpoints import write_checkpoint

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, Draws, Policy, SamplingParams, StopReason, open_policy
from s2l_lab.problems import Problem

pytestmark = pytest.mark.vllm

PROBLEMS = [Problem.make(text, "1", "math", "test", {}) for text in ("1+2=", "what is 3*4?", "7", "solve: (1)\n")]
PLAIN = SamplingParams(max_tokens=24, seed=5)
TRUNCATED = SamplingParams(max_tokens=24, temperature=0.7, top_p=0.8, top_k=20, presence_penalty=1.5)
Drawn = dict[tuple[str, int], Completion]


def sample(policy: Policy, sampling: SamplingParams = PLAIN, indices: range = range(64)) -> Drawn:
    draws = list(policy.sample([Draws(p, tuple(indices)) for p in PROBLEMS], sampling))
    assert len(draws) == len(PROBLEMS) * len(indices)
    return {(d.problem_id, d.index): d.completion for d in draws}


def same(a: Completion, b: Completion) -> bool:
    return a.text == b.text and np.array_equal(a.token_ids, b.token_ids) and a.stop_reason == b.stop_reason


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def other_engines(checkpoint: Path) -> dict[str, Drawn]:
    """The same draws from engines that were started and closed one after the other."""
    drawn = {}
    for run, name in (("another start", "a"), ("another name", "b")):
        policy = open_policy(f"{name}={checkpoint}", engine="vllm", template="raw")
        drawn[run] = sample(policy)
        policy.close()
        policy.close()
        with pytest.raises(PolicyError, match="was closed"):
            sample(policy)
    return drawn


@pytest.fixture(scope="module")
def policy(checkpoint: Path, other_engines: dict[str, Drawn]) -> Any:
    opened = open_policy(f"a={checkpoint}", engine="vllm", template="raw")
    yield opened
    opened.close()


class Oracle:
    """Exact distributions of the checkpoint by plain forward passes in float32."""

    def __init__(self, directory: Path) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)

    def logits(self, problem: Problem, token_ids: list[int]) -> NDArray[np.float64]:
        """Before each of the given tokens, and after the last."""
        import torch

        prompt = self.tokenizer(problem.prompt, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = self.model(torch.tensor([prompt + token_ids])).logits[0, len(prompt) - 1 :]
        return logits.double().numpy()


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def truncated_logprobs(logits_V: NDArray[np.float64], seen: set[int], sampling: SamplingParams) -> NDArray[np.float64]:
    """The definition, one token at a time: penalty, temperature, the k most likely, then their nucleus."""
    logits = logits_V.copy()
    logits[sorted(seen)] -= sampling.presence_penalty
    order = np.argsort(-logits, kind="stable")[: sampling.top_k]
    kept = np.exp(log_softmax(logits[order] / sampling.temperature))
    nucleus = order[: int((np.cumsum(kept) - kept < sampling.top_p).sum())]
    result = np.full(len(logits), -np.inf)
    result[nucleus] = log_softmax(logits[nucleus] / sampling.temperature)
    return result


@pytest.fixture(scope="module")
def oracle(checkpoint: Path) -> Oracle:
    return Oracle(checkpoint)


def test_two_starts_give_the_same_draws_and_two_names_do_not(policy: Policy, other_engines: dict[str, Drawn]) -> None:
    here = sample(policy)
    again, named = other_engines["another start"], other_engines["another name"]
    assert all(same(here[key], again[key]) for key in here)
    assert np.mean([same(here[key], named[key]) for key in here]) < 0.2


def test_a_draw_does_not_depend_on_what_else_is_asked_for(policy: Policy) -> None:
    whole, part = sample(policy), sample(policy, indices=range(40, 50))
    assert all(same(whole[key], part[key]) for key in part)
    (alone,) = policy.sample([Draws(PROBLEMS[2], (63,))], PLAIN)
    assert same(alone.completion, whole[PROBLEMS[2].id, 63])


def test_another_seed_gives_other_draws(policy: Policy) -> None:
    here, there = sample(policy), sample(policy, PLAIN.model_copy(update={"seed": 6}))
    assert np.mean([same(here[key], there[key]) for key in here]) < 0.2
    shifted = [same(here[p.id, i + 1], there[p.id, i]) for p in PROBLEMS for i in range(63)]
    assert np.mean(shifted) < 0.2  # seed + index would make these all equal


def test_logprobs_are_the_model_s(policy: Policy, oracle: Oracle) -> None:
    drawn = sample(policy)
    for problem in PROBLEMS:
        for index in range(16):
            completion = drawn[problem.id, index]
            ids = completion.token_ids.tolist()
            expected_TV = log_softmax(oracle.logits(problem, ids[:-1]))
            np.testing.assert_allclose(completion.logprobs, expected_TV[np.arange(len(ids)), ids], atol=1e-4)
            assert completion.logprobs_t1 is None  # identical


def test_logprobs_are_those_that_sampled_when_draws_are_truncated_and_penalised(policy: Policy, oracle: Oracle) -> None:
    drawn = sample(policy, TRUNCATED)
    for problem in PROBLEMS:
        for index in range(8):
            completion = drawn[problem.id, index]
            ids = completion.token_ids.tolist()
            logits_TV = oracle.logits(problem, ids[:-1])
            expected = [truncated_logprobs(logits_TV[t], set(ids[:t]), TRUNCATED)[ids[t]] for t in range(len(ids))]
            np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)
            assert completion.logprobs_t1 is None  # not known


@pytest.mark.parametrize("sampling", [PLAIN, TRUNCATED], ids=["plain", "truncated"])
def test_first_tokens_follow_the_distribution(policy: Policy, oracle: Oracle, sampling: SamplingParams) -> None:
    """Shared seeds would show here as the same token again and again."""
    n = 1500
    short = sampling.model_copy(update={"max_tokens": 1})
    p_values = []
    for problem in PROBLEMS:
        drawn = [d.completion.token_ids[0] for d in policy.sample([Draws(problem, tuple(range(n)))], short)]
        logits_V = oracle.logits(problem, [])[0]
        logprobs_V = log_softmax(logits_V) if sampling is PLAIN else truncated_logprobs(logits_V, set(), sampling)
        p_V, count_V = np.exp(logprobs_V), np.bincount(drawn, minlength=len(logits_V))
        assert count_V[p_V == 0].sum() == 0
        common = p_V * n >= 5
        counts, expected = count_V[common], p_V[common] * n
        if common.sum() < (p_V > 0).sum():  # the rare ones together
            counts, expected = np.append(counts, n - counts.sum()), np.append(expected, n - expected.sum())
        if len(counts) > 1:
            p_values.append(stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue)
    assert p_values
    assert min(p_values) > 0.001


def test_whole_completions_follow_the_transformers_engine(policy: Policy, checkpoint: Path) -> None:
    """Two engines, two sets of draws: lengths, texts and tokens of one law."""
    other = open_policy(f"t={checkpoint}", engine="transformers", template="raw")
    indices = range(200)
    a, b = sample(policy, PLAIN, indices), sample(other, PLAIN, indices)
    for problem in PROBLEMS:
        ours = [a[problem.id, i] for i in indices]
        theirs = [b[problem.id, i] for i in indices]
        assert stats.ks_2samp([len(c.token_ids) for c in ours], [len(c.token_ids) for c in theirs]).pvalue > 0.001
        totals = [[float(c.logprobs.sum()) for c in side] for side in (ours, theirs)]
        assert stats.ks_2samp(*totals).pvalue > 0.001
        assert {c.prompt_tokens for c in ours} == {c.prompt_tokens for c in theirs}
    other.close()


def test_texts_and_stop_reasons_are_those_of_the_transformers_engine(policy: Policy, checkpoint: Path) -> None:
    stopping = SamplingParams(max_tokens=16, stop=("9", "=="))
    tokenizer = Oracle(checkpoint).tokenizer
    seen: Counter[StopReason] = Counter()
    for sampling in (PLAIN, stopping):
        for completion in sample(policy, sampling).values():
            seen[completion.stop_reason] += 1
            ids = completion.token_ids.tolist()
            body = tokenizer.decode([i for i in ids if i != tokenizer.eos_token_id], skip_special_tokens=True)
            if completion.stop_reason is StopReason.EOS:
                assert ids[-1] == tokenizer.eos_token_id
                assert completion.text == body
            elif completion.stop_reason is StopReason.LENGTH:
                assert len(ids) == sampling.max_tokens
                assert completion.text == body
            else:
                assert body.startswith(completion.text)
                assert body[len(completion.text) :].startswith(stopping.stop)
                assert not any(stop in completion.text for stop in stopping.stop)
    assert min(seen.values()) > 0
    assert set(seen) == set(StopReason)


def test_greedy_is_the_mode_and_certain(policy: Policy, oracle: Oracle) -> None:
    drawn = sample(policy, SamplingParams(temperature=0, max_tokens=12), range(3))
    for problem in PROBLEMS:
        completion = drawn[problem.id, 0]
        ids = completion.token_ids.tolist()
        logits_TV = oracle.logits(problem, ids[:-1])
        assert ids == logits_TV.argmax(-1).tolist()
        assert not completion.logprobs.any()
        np.testing.assert_allclose(completion.logprobs_t1, log_softmax(logits_TV)[np.arange(len(ids)), ids], atol=1e-4)


def test_a_caller_may_stop_early_and_ask_again(policy: Policy) -> None:
    whole = sample(policy)
    draws = policy.sample([Draws(p, tuple(range(64))) for p in PROBLEMS], PLAIN)
    first = next(draws)
    draws.close()  # type: ignore[attr-defined]  # sample yields from a generator
    assert same(first.completion, whole[first.problem_id, first.index])
    assert all(same(whole[key], completion) for key, completion in sample(policy).items())


def test_what_does_not_fit_the_context_is_refused_before_sampling(policy: Policy) -> None:
    long = Problem.make("1" * 256, "1", "math", "test", {})
    with pytest.raises(PolicyError, match=r"256 tokens and the context is 256.*--max-model-len"):
        policy.sample([Draws(PROBLEMS[1], (0,)), Draws(long, (0,))], PLAIN)


def test_the_context_cuts_completions_as_max_tokens_does(policy: Policy) -> None:
    nearly_full = Problem.make("1" * 250, "1", "math", "test", {})
    draws = policy.sample([Draws(nearly_full, tuple(range(16)))], SamplingParams(max_tokens=100))
    cut = [d.completion for d in draws if d.completion.stop_reason is StopReason.LENGTH]
    assert cut
    assert {len(completion.token_ids) for completion in cut} == {6}


def test_shape_and_engine_are_known(policy: Policy) -> None:
    assert policy.engine == "vllm"
    assert policy.shape is not None
    assert (policy.shape.width, policy.shape.layers, policy.shape.heads, policy.shape.head_dim) == (64, 2, 2, 32)


def test_nan_weights_are_an_error_and_not_draws(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    directory = write_checkpoint(tmp_path / "nan")
    weights = load_file(directory / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    broken = open_policy(f"nan={directory}", engine="vllm", template="raw")
    try:
        with pytest.raises(PolicyError, match="NaN"):
            sample(broken, indices=range(2))
    finally:
        broken.close()


def test_a_checkpoint_that_vllm_cannot_run_is_named_with_the_reason(checkpoint: Path) -> None:
    with pytest.raises(PolicyError, match=r"vLLM .* cannot run .*max_model_len"):
        open_policy(f"a={checkpoint}", engine="vllm", max_model_len=100_000, template="raw")
