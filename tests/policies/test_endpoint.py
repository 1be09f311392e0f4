"""Endpoints against a fake server that speaks OpenAI's protocol over real HTTP; test_real_servers.py has real ones.

The fake is for faults that a real server shows only on bad days.
"""

from __future__ import annotations

import json
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import Answer, FakeServer, fine

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.figures.caption import caption_lines
from s2l_lab.figures.numbers import numbers
from s2l_lab.passk import PasskRequest, run_passk
from s2l_lab.policies import Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.endpoint import EndpointPolicy
from s2l_lab.policies.endpoint_server import KEY_VARIABLE, connect
from s2l_lab.problems import Problem
from s2l_lab.rollouts.repeats import RepeatedRolloutsError

PROBLEMS = [Problem.make(f"{i}+{i}=", str(2 * i), "math", "test", {}) for i in range(4)]
SAMPLING = SamplingParams(max_tokens=8)


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


NEUTRAL = {
    "temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "frequency_penalty": 0.0,
    "presence_penalty": 0.0, "max_tokens": 8, "stop": None, "n": 1,
}  # fmt: skip


@pytest.mark.parametrize("owner", ["vllm", "sglang", "llamacpp", "someone"])
@pytest.mark.filterwarnings("ignore:.*server defaults unknown")
def test_what_is_neutral_is_sent_all_the_same(server: FakeServer, owner: str) -> None:
    server.owner = owner
    sample(policy_of(server), range(1))
    assert len(server.requests) == len(PROBLEMS)
    for sent in server.requests:
        assert {name: sent[name] for name in NEUTRAL} == NEUTRAL
        assert 0 <= sent["seed"] < (2**32 - 1 if owner == "llamacpp" else 2**63)


def test_a_server_of_no_known_kind_gives_text_and_refuses_what_it_may_drop(server: FakeServer) -> None:
    server.owner = "someone"
    policy = policy_of(server)
    with pytest.warns(UserWarning, match="server defaults unknown for: top_k, min_p, repetition_penalty") as told:
        completion = next(iter(sample(policy, range(9)).values()))
    assert len([w for w in told if w.category is UserWarning]) == 1
    assert policy.remarks() == ("server defaults unknown for: top_k, min_p, repetition_penalty",)
    assert completion.token_ids is None
    assert completion.tokens == completion.counted_tokens == 2
    assert completion.logprobs is None  # of which distribution?
    assert not {"return_token_ids", "add_special_tokens"} & set(server.requests[0])
    seen = len(server.requests)
    for params in (SamplingParams(top_k=20), SamplingParams(min_p=0.1)):
        with pytest.raises(PolicyError, match="no part of OpenAI's protocol"):
            policy.sample([Draws(PROBLEMS[0], (0,))], params)
    assert len(server.requests) == seen


# What servers refuse. Each fake answers in the words of the server that it is named after.

Refuse = Callable[[list[str]], tuple[int, bytes]]
"""Field names that the server does not have, in the order sent, to (status, body)."""


def like_openai(names: list[str]) -> tuple[int, bytes]:
    message = f"Unrecognized request argument{'s' * (len(names) > 1)} supplied: {', '.join(sorted(names))}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return 400, json.dumps({"error": error}).encode()


def like_openai_one_by_one(names: list[str]) -> tuple[int, bytes]:
    message = f"Unknown parameter: '{names[0]}'."
    error = {"message": message, "type": "invalid_request_error", "param": names[0], "code": "unknown_parameter"}
    return 400, json.dumps({"error": error}).encode()


def like_fastapi(names: list[str]) -> tuple[int, bytes]:
    """Beside each field at fault, the whole request is told again."""
    whole = dict.fromkeys([*NEUTRAL, "logprobs"])
    detail = [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": whole}
        for name in names
    ]
    return 422, json.dumps({"detail": detail}).encode()


def like_vllm_of_2025(names: list[str]) -> tuple[int, bytes]:
    """The validation error as Python text inside JSON."""
    errors = [{"type": "extra_forbidden", "loc": ("body", name), "input": {"top_p": 1.0}} for name in names]
    return 400, json.dumps({"object": "error", "message": str(errors), "param": None, "code": 400}).encode()


def without(lacked: set[str], refuse: Refuse) -> Answer:
    """A server that has all fields but these."""

    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if names := [name for name in payload if name in lacked]:
            status, body = refuse(names)
            return status, {}, body
        return fine(payload, before)

    return answer


@pytest.mark.parametrize("refuse", [like_openai, like_openai_one_by_one, like_fastapi, like_vllm_of_2025])
@pytest.mark.filterwarnings("ignore:.*server defaults unknown")
def test_refused_neutral_fields_are_left_out_and_remarked(server: FakeServer, refuse: Refuse) -> None:
    server.owner = "organization-owner"
    lacked = {"top_k", "min_p", "repetition_penalty", "logprobs"}
    server.answer = without(lacked, refuse)
    policy = policy_of(server)
    drawn = sample(policy)
    assert len(drawn) == 20
    assert policy.remarks()[-1] == "server defaults unknown for: top_k, min_p, repetition_penalty"
    assert len(policy.remarks()) == 1
    taken = [request for request in server.requests if not lacked & set(request)]
    assert len(taken) == 20
    assert all({"top_p", "frequency_penalty", "presence_penalty", "seed", "max_tokens"} <= set(r) for r in taken)
    seen = len(server.requests)
    sample(policy, range(5, 8))
    assert len(server.requests) == seen + 12  # learned for good


@pytest.mark.filterwarnings("ignore:.*server defaults unknown")
def test_a_server_that_lacks_a_field_of_openai_is_remarked_for_it(server: FakeServer) -> None:
    """As one that wants either temperature or top_p."""
    server.answer = without({"top_p", "frequency_penalty"}, like_openai_one_by_one)
    policy = policy_of(server)
    completion = next(iter(sample(policy, range(2)).values()))
    assert policy.remarks()[-1] == "server defaults unknown for: top_p, frequency_penalty"
    assert completion.logprobs is None


def test_sglang_spells_all_tokens_minus_one(server: FakeServer) -> None:
    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if payload["top_k"] == 0:
            return 400, {}, b'{"object": "error", "message": "top_k must be -1 (disable) or at least 1, got 0."}'
        return fine(payload, before)

    server.owner, server.answer = "sglang", answer
    policy = policy_of(server)
    assert len(sample(policy)) == 20
    assert {r["top_k"] for r in server.requests} == {0, -1}
    assert policy.remarks() == ()
    sample(policy, range(1), SamplingParams(top_k=20, max_tokens=8))
    assert server.requests[-1]["top_k"] == 20


@pytest.mark.parametrize("refuse", [like_openai, like_openai_one_by_one, like_fastapi, like_vllm_of_2025])
def test_a_refused_field_that_shapes_the_draws_is_an_error_by_its_name(server: FakeServer, refuse: Refuse) -> None:
    server.answer = without({"presence_penalty"}, refuse)
    with pytest.raises(PolicyError, match=r"does not take presence_penalty = 1\.5, so it cannot sample as asked"):
        sample(policy_of(server), range(1), SamplingParams(presence_penalty=1.5, max_tokens=8))


def test_a_refusal_that_names_no_such_field_is_an_error(server: FakeServer) -> None:
    said = b'{"error": {"message": "maximum context length is 16 tokens, reduce max_tokens", "param": "max_tokens"}}'
    server.answer = lambda _payload, _before: (400, {}, said)
    with pytest.raises(PolicyError, match=r"status 400.*maximum context length"):
        sample(policy_of(server), range(1))
    assert len(server.requests) <= len(PROBLEMS)


# What servers say of themselves.

LLAMA_CPP_SETTINGS: dict[str, Any] = {
    "dynatemp_range": 0.0, "dynatemp_exponent": 1.0, "top_n_sigma": -1.0, "xtc_probability": 0.0,
    "xtc_threshold": 0.10000000149011612, "typical_p": 1.0, "repeat_last_n": 64, "repeat_penalty": 1.0,
    "frequency_penalty": 0.0, "dry_multiplier": 0.0, "dry_base": 1.75, "mirostat": 0, "mirostat_tau": 5.0,
    "adaptive_target": -1.0, "n_keep": 0, "ignore_eos": False, "stream": False, "logit_bias": [], "n_probs": 0,
    "min_keep": 0, "grammar": "",
}  # fmt: skip
"""From the answer of a llama.cpp server (xllamacpp 2026.10)."""


def like_llama_cpp(**changes: Any) -> Answer:
    """An answer of its server: the settings as float32, 32 bits of the seed, an EOS counted."""

    def answer(payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
        asked = ("top_k", "presence_penalty", "max_tokens", "samplers")
        settings = {
            **LLAMA_CPP_SETTINGS,
            **{name: payload[name] for name in asked},
            **{name: float(np.float32(payload[name])) for name in ("temperature", "top_p", "min_p")},
            "seed": payload["seed"] % 2**32,
            "stop": payload["stop"] or [],
            "n_predict": payload["max_tokens"],
            **changes,
        }
        body = {
            "choices": [{"text": f"{payload['seed']}", "index": 0, "logprobs": None, "finish_reason": "stop"}],
            "model": payload["model"],
            "system_fingerprint": "b6100-fake",
            "object": "text_completion",
            "usage": {"completion_tokens": 5, "prompt_tokens": 4, "total_tokens": 9},
            "__verbose": {"generation_settings": settings, "stop": True, "stop_type": "word", "truncated": False},
        }
        return 200, {}, json.dumps(body).encode()

    return answer


def test_a_llama_cpp_server_is_asked_for_everything_and_believed(server: FakeServer) -> None:
    server.owner, server.answer = "llamacpp", like_llama_cpp()
    policy = policy_of(server)
    sampling = SamplingParams(temperature=0.7, top_p=0.9, top_k=40, min_p=0.05, max_tokens=8, stop=("\n",))
    for params in (SAMPLING, sampling):
        drawn = sample(policy, sampling=params)
        assert {c.stop_reason for c in drawn.values()} == {StopReason.STOP}
        assert {c.tokens for c in drawn.values()} == {5}
    assert policy.remarks() == ("system_fingerprint b6100-fake",)
    sent = server.requests[-1]
    assert sent["samplers"] == ["penalties", "temperature", "min_p", "top_k", "top_p"]
    assert (sent["repeat_penalty"], sent["typical_p"], sent["xtc_probability"], sent["verbose"]) == (1, 1, 0, True)
    with pytest.raises(PolicyError, match="presence penalty counts the tokens of the prompt"):
        policy.sample([Draws(PROBLEMS[0], (0,))], SamplingParams(presence_penalty=1))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"top_k": 40}, "top_k = 40, asked: 0"),
        ({"temperature": 0.800000011920929}, "temperature = 0.8.*, asked: 1.0"),
        ({"top_p": 0.949999988079071, "min_p": 0.05}, r"min_p = 0\.05, asked: 0\.0; top_p = 0\.9.*, asked: 1\.0"),
        ({"repeat_penalty": 1.1}, "repeat_penalty = 1.1, asked: 1.0"),
        ({"typical_p": 0.9}, "typical_p = 0.9"),
        ({"mirostat": 2}, "mirostat = 2"),
        ({"ignore_eos": True}, "ignore_eos = True"),
        ({"seed": 4294967295}, "seed = 4294967295"),
        ({"max_tokens": 4}, "max_tokens = 4, asked: 8"),
        ({"n_predict": 4}, "n_predict = 4, asked: 8"),
        ({"stop": ["</s>"]}, r"stop = \['</s>'\]"),
        ({"samplers": ["top_k", "temperature"]}, "samplers = "),
        ({"logit_bias": [{"bias": -1.0, "token": 3}]}, "logit_bias = "),
    ],
)
def test_a_setting_that_is_echoed_otherwise_is_refused_by_name(
    server: FakeServer, changes: dict[str, Any], says: str
) -> None:
    server.owner, server.answer = "llamacpp", like_llama_cpp(**changes)
    with pytest.raises(PolicyError, match=f"did not sample as asked .*{says}"):
        sample(policy_of(server), range(1))


@pytest.mark.filterwarnings("ignore:.*server defaults unknown")
@pytest.mark.parametrize("place", ["generation_settings", "sampling_params", None, "choice"])
@pytest.mark.parametrize("owner", ["someone", "vllm"])
def test_settings_are_found_wherever_an_answer_holds_them(server: FakeServer, place: str | None, owner: str) -> None:
    """A server of no known kind that echoes what it may have dropped leaves nothing in the dark."""

    def answer(told: dict[str, Any]) -> Answer:
        def told_answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
            _, _, raw = fine(payload, before)
            body = json.loads(raw)
            if place == "choice":
                body["choices"][0]["generation_settings"] = told
            else:
                body |= {place: told} if place else told
            return 200, {}, json.dumps(body).encode()

        return told_answer

    server.owner = owner
    server.answer = answer({"top_k": -1, "min_p": 0, "repetition_penalty": 1, "max_new_tokens": 8, "top_p": None})
    policy = policy_of(server)
    sample(policy, range(1))
    assert policy.remarks() == ()
    for told, says in (
        ({"top_k": 50}, "top_k = 50"),
        ({"temperature": 0.5}, "temperature"),
        ({"typical_p": 0.2}, "typ"),
    ):
        server.answer = answer(told)
        with pytest.raises(PolicyError, match=says):
            sample(policy_of(server), range(1))


def about_itself(**told: Any) -> Answer:
    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps(json.loads(fine(payload, before)[2]) | told).encode()

    return answer


def test_another_model_is_refused_and_a_version_of_the_asked_one_remarked(server: FakeServer) -> None:
    for echoed in ("m", "m-2024-07-18", "m:7b", "m@main"):
        server.answer = about_itself(model=echoed)
        policy = policy_of(server)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sample(policy, range(1))
        assert policy.remarks() == (() if echoed == "m" else (f"answered as model {echoed}",))
    for other in ("mistral", "n", ""):
        server.answer = about_itself(model=other)
        with pytest.raises(PolicyError, match=f"model = '{other}', asked: 'm'"):
            sample(policy_of(server), range(1))
    server.models, server.answer = ["models/m.gguf"], about_itself(model="m.gguf")
    with pytest.warns(UserWarning, match="answered as model m.gguf"):
        assert sample(policy_of(server), range(1))


def test_every_fingerprint_is_kept(server: FakeServer) -> None:
    policy = policy_of(server)
    for print_ in ("fp_a", "fp_b", "fp_a", None):
        server.answer = about_itself(system_fingerprint=print_)
        sample(policy, range(1))
    assert policy.remarks() == ("system_fingerprint fp_a", "system_fingerprint fp_b")


def test_more_tokens_than_asked_are_refused(server: FakeServer) -> None:
    server.answer = about_itself(usage={"completion_tokens": 9, "prompt_tokens": 4})
    server.owner = "someone"
    with pytest.raises(PolicyError, match="max_tokens: 9 tokens came, asked: at most 8"):
        sample(policy_of(server), range(1))


@pytest.mark.parametrize(("tokens", "told"), [(8, 0), (7, 1), (1, 1), (None, 0)])
def test_a_cut_short_of_max_tokens_is_the_servers_and_said_so_once(
    server: FakeServer, tokens: int | None, told: int
) -> None:
    """As llama.cpp does where prompt and completion fill its context."""
    choice = {"text": "x", "finish_reason": "length"}
    body = {"choices": [choice], "usage": {"completion_tokens": tokens, "prompt_tokens": 4}}
    server.owner = "sglang"
    server.answer = lambda _payload, _before: (200, {}, json.dumps(body).encode())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        drawn = sample(policy_of(server))
    assert {c.stop_reason for c in drawn.values()} == {StopReason.LENGTH}
    assert {c.tokens for c in drawn.values()} == {tokens}
    said = [str(w.message) for w in caught if w.category is UserWarning]
    assert [f"cut a completion at {tokens} tokens, short of max_tokens = 8" in line for line in said] == [True] * told


@pytest.mark.filterwarnings("ignore:.*server defaults unknown")
@pytest.mark.filterwarnings("ignore:.*the server cut")
def test_a_run_keeps_what_its_server_left_in_the_dark_and_the_caption_says_it(
    server: FakeServer, tmp_path: Path
) -> None:
    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        cut = payload["seed"] % 2
        choice = {"text": f"#### {payload['seed'] % 5}", "finish_reason": "length" if cut else "stop"}
        return 200, {}, json.dumps({"choices": [choice], "usage": {"completion_tokens": 6}}).encode()

    server.owner, server.answer = "someone", answer
    request = PasskRequest(
        family=None,
        policies=(f"far={server.address}",),
        problems=3,
        rollouts=8,
        template="raw",
        sampling=SAMPLING,
        out=tmp_path / "run",
    )
    first = run_passk(request)
    seen = len(server.requests)
    again = run_passk(request)
    assert len(server.requests) == seen
    cut = sum(r["seed"] % 2 for r in server.requests)
    for report in (first, again):
        caption = "\n".join(caption_lines(report))
        assert "far: server defaults unknown for: top_k, min_p, repetition_penalty." in caption
        assert f"far: {cut} rollouts were cut before 8 tokens by a context or a server's own cap" in caption
        policy = numbers(report)["policies"][0]
        assert policy["remarks"] == ["server defaults unknown for: top_k, min_p, repetition_penalty"]
        assert policy["cut_short"] == cut
        assert policy["cost"]["mean_length"] == 6
        assert all(1 <= texts <= 5 for texts in policy["distinct"]["texts_P"])
        assert "median number of different completions of a problem out of 8: far" in caption


def test_a_run_from_a_server_that_ignores_seeds_is_refused_before_it_is_whole(
    server: FakeServer, tmp_path: Path
) -> None:
    """Sixteen equal texts a problem."""

    def deaf(payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
        choice = {"text": f"{payload['prompt']} " + "so it goes " * 8, "finish_reason": "stop"}
        return 200, {}, json.dumps({"choices": [choice], "usage": {"completion_tokens": 30}}).encode()

    server.owner, server.answer = "llamacpp", deaf
    request = PasskRequest(
        family=None,
        policies=(f"far={server.address}",),
        problems=4,
        rollouts=16,
        template="raw",
        sampling=SamplingParams(max_tokens=64),
        out=tmp_path / "run",
    )
    for _ in range(2):
        with pytest.raises(RepeatedRolloutsError, match="far: all rollouts of a problem are one completion"):
            run_passk(request)
    report = run_passk(request.model_copy(update={"accept_repeats": True}))
    assert report.policies[0].distinct is not None
    assert report.policies[0].distinct.texts_P.tolist() == [1] * 4
    assert "far: repeats were accepted: all rollouts of a problem are one" in "\n".join(caption_lines(report))
    assert run_passk(request).policies[0].remarks == report.policies[0].remarks
    greedy = SamplingParams(max_tokens=64, temperature=0)
    report = run_passk(request.model_copy(update={"sampling": greedy, "out": tmp_path / "greedy"}))
    assert "Greedy decoding repeats one completion: N = 16" in "\n".join(caption_lines(report))


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


@pytest.mark.filterwarnings("ignore:.*the server cut")
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
