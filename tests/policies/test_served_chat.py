"""Chat servers: messages, thoughts beside answers, and what goes wrong; and several addresses of one model.

The shapes of the answers are those that llama.cpp's server (xllamacpp 2026.10) and `vllm serve` 0.31 gave.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import Answer, FakeServer, fine
from hypothesis import given
from hypothesis import strategies as st
from tiny_checkpoints import write_checkpoint

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.figures.numbers import numbers
from s2l_lab.passk import PasskRequest, run_passk
from s2l_lab.policies import Completion, Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.endpoint import EndpointPolicy
from s2l_lab.policies.endpoint_messages import chat_of, text_of_message
from s2l_lab.policies.endpoint_server import KEY_VARIABLE, connect, split_source
from s2l_lab.policies.templates import Prompting
from s2l_lab.problems import Problem
from s2l_lab.verifiers.drafts import final_parts

PROBLEMS = [Problem.make(f"{i}+{i}=", str(2 * i), "math", "test", {}) for i in range(4)]
SAMPLING = SamplingParams(max_tokens=64)
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"

LLAMA_CPP_IDS = [44, 373, 89, 94, 91, 46, 198, 10345, 284, 827, 30, 198, 9617, 373, 89, 94, 91, 46, 198, 198]
LLAMA_CPP_IDS += [504, 2988, 314, 216, 36, 30, 2]
"""`<think>\\nTwo and two.\\n</think>\\n\\nThe answer is 4.<|im_end|>` in SmolLM2's tokens."""

VLLM_IDS = [4590, 314, 957, 2275, 980, 42, 5713, 284, 827, 30, 3726, 314, 957, 2426, 42, 378, 2988, 314, 216, 36, 30, 2]
"""`Here is my thought process: Two and two. Here is my response: The answer is 4.<|im_end|>`, as its parser `granite`
reads it."""


def llama_cpp_thinks(payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
    entries = [{"id": i, "token": "", "bytes": [], "prob": 0.5, "top_probs": []} for i in LLAMA_CPP_IDS]
    message = {"role": "assistant", "content": "The answer is 4.", "reasoning_content": "Two and two.\n"}
    choice = {"finish_reason": "stop", "index": 0, "message": message, "logprobs": {"content": entries}}
    more = {"tokens": LLAMA_CPP_IDS, "stop_type": "eos", "generation_settings": {"seed": payload.get("seed", 0)}}
    usage = {"completion_tokens": 27, "prompt_tokens": 16, "total_tokens": 43}
    return 200, {}, json.dumps({"choices": [choice], "usage": usage, "__verbose": more}).encode()


def vllm_thinks(_payload: dict[str, Any], _before: int) -> tuple[int, dict[str, str], bytes]:
    message = {
        "role": "assistant", "content": " The answer is 4.", "refusal": None, "annotations": None, "audio": None,
        "function_call": None, "reasoning": " Two and two. ",
    }  # fmt: skip
    values = [{"token": "t", "logprob": -0.5, "bytes": [], "top_logprobs": []} for _ in VLLM_IDS]
    choice = {
        "index": 0, "message": message, "logprobs": {"content": values}, "finish_reason": "stop", "stop_reason": None,
        "token_ids": VLLM_IDS,
    }  # fmt: skip
    usage = {"prompt_tokens": 91, "total_tokens": 113, "completion_tokens": 22, "prompt_tokens_details": None}
    return 200, {}, json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode()


def message_of(message: dict[str, Any], finish: str = "stop", tokens: int | None = 2) -> Answer:
    usage = None if tokens is None else {"completion_tokens": tokens, "prompt_tokens": 4}
    body = {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]}
    return lambda _payload, _before: (200, {}, json.dumps(body | {"usage": usage}).encode())


def said(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
    """By text and by chat: what depends on prompt and seed alone."""
    if "messages" not in payload:
        return fine(payload, before)
    told = payload["messages"][-1]["content"]
    return message_of({"content": f"{told} {payload.get('seed', 0) % 97}"})(payload, before)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    fake.routes, fake.answer, fake.owner = {CHAT, TEXT}, said, "llamacpp"
    yield fake
    fake.close()


def drawn(policy: Any, indices: range = range(1), sampling: SamplingParams = SAMPLING) -> dict[Any, Completion]:
    draws = policy.sample([Draws(problem, tuple(indices)) for problem in PROBLEMS], sampling)
    return {(draw.problem_id, draw.index): draw.completion for draw in draws}


def fast(source: str, template: str = "chat") -> EndpointPolicy:
    """A chat policy whose waits between attempts a test can afford."""
    server = connect(source, backoff_s=0.001)
    return EndpointPolicy("e", server, str, "", complete_prompt=False, chat=chat_of(template, "e", Prompting()))


# Which route, and what is sent.


THINKS = "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking %}<think>{% endif %}"


@pytest.mark.parametrize("source", ["{}", "chat:{}"])
def test_a_variable_that_the_server_s_template_does_not_read_is_refused(server: FakeServer, source: str) -> None:
    server.props = {"chat_template": THINKS}
    asked = source.format(server.address)
    with pytest.raises(UsageError, match=r"server's chat template does not read 'zork'.*reads: enable_thinking"):
        open_policy(f"e={asked}", prompting=Prompting(template_args={"zork": 1}))
    policy = open_policy(f"e={asked}", prompting=Prompting(template_args={"enable_thinking": False}))
    drawn(policy)
    assert server.requests[-1]["chat_template_kwargs"] == {"enable_thinking": False}
    assert policy.remarks() == ()
    policy.close()


@pytest.mark.parametrize("name", ["messages", "add_generation_prompt"])
def test_what_a_prompt_is_made_from_is_not_the_user_s_to_set_on_a_server(server: FakeServer, name: str) -> None:
    with pytest.raises(UsageError, match=rf"'{name}' is what the prompt is made from"):
        open_policy(f"e={server.address}", prompting=Prompting(template_args={name: False}))


@pytest.mark.parametrize("props", [None, {}, {"chat_template": "{% only_the_server_reads this %}"}])
def test_a_template_that_cannot_be_seen_is_said(server: FakeServer, props: dict[str, Any] | None) -> None:
    server.props = props
    with pytest.warns(UserWarning, match="reads enable_thinking cannot be seen"):
        policy = open_policy(f"e={server.address}", prompting=Prompting(template_args={"enable_thinking": False}))
    assert any("enable_thinking" in remark for remark in policy.remarks())
    policy.close()


@pytest.mark.parametrize(
    ("prefix", "template", "routes", "path"),
    [
        ("", None, {CHAT, TEXT}, CHAT),
        ("", None, {TEXT}, TEXT),
        ("", "raw", {CHAT, TEXT}, TEXT),
        ("", "chat", {CHAT, TEXT}, CHAT),
        ("", "chat-no-think", {CHAT}, CHAT),
        ("chat:", None, {CHAT, TEXT}, CHAT),
        ("text:", None, {CHAT, TEXT}, TEXT),
        ("text:", "raw", {TEXT}, TEXT),
    ],
)
def test_the_route_is_what_the_server_has_unless_it_is_named(
    server: FakeServer, prefix: str, template: str | None, routes: set[str], path: str
) -> None:
    server.routes = routes
    policy = open_policy(f"e={prefix}{server.address}", template=template)
    assert len(drawn(policy)) == len(PROBLEMS)
    asked = [(p, r) for p, r in zip(server.paths, server.requests, strict=True) if "seed" in r]
    assert {p for p, _ in asked} == {path}
    assert len(asked) == len(PROBLEMS)
    suffix = " /no_think" if template == "chat-no-think" else ""
    told = {r["messages"][-1]["content"] if path == CHAT else r["prompt"] for _, r in asked}
    assert told == {problem.prompt + suffix for problem in PROBLEMS}


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_server_without_a_chat_template_gets_text(server: FakeServer, status: int) -> None:
    """In the words of vLLM, whose base models have the route and no template."""
    words = b"As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template"
    server.answer = lambda payload, before: (status, {}, words) if "messages" in payload else fine(payload, before)
    drawn(open_policy(f"e={server.address}"))
    assert server.paths[-1] == TEXT
    with pytest.raises(PolicyError, match=rf"refused a request with status {status}"):
        drawn(open_policy(f"e=chat:{server.address}"))


def test_templates_that_do_not_fit_the_route_are_refused(server: FakeServer) -> None:
    with pytest.raises(UsageError, match=r"template raw writes text, and this route takes chat messages"):
        open_policy(f"e=chat:{server.address}", template="raw")
    for prefix in ("text:", ""):
        server.routes = {TEXT}
        with pytest.raises(PolicyError, match=r"needs the model's tokenizer, or a server that takes chat messages"):
            open_policy(f"e={prefix}{server.address}", template="chat")


def test_with_a_tokenizer_our_own_template_goes_as_token_ids(server: FakeServer, tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "c")
    policy = open_policy(f"e={server.address}", tokenizer=directory)
    assert policy.prompt(PROBLEMS[0]).startswith("<|start|>user\n0+0=<|end|>")
    drawn(policy)
    assert set(server.paths) == {TEXT}
    assert all(isinstance(request["prompt"], list) for request in server.requests)


def test_messages_of_a_problem_are_sent_as_they_stand(server: FakeServer) -> None:
    told = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]
    problem = Problem.make("1+1?", "2", "math", "test", {"messages": told})
    policy = open_policy(f"e=chat:{server.address}", template="chat-think")
    list(policy.sample([Draws(problem, (0,))], SAMPLING))
    assert server.requests[-1]["messages"] == [told[0], {"role": "user", "content": "1+1? /think"}]
    assert told[1]["content"] == "1+1?"
    assert json.loads(policy.prompt(problem)) == server.requests[-1]["messages"]


def test_every_sampling_field_goes_by_chat_too(server: FakeServer) -> None:
    drawn(open_policy(f"e=chat:{server.address}"))
    text = open_policy(f"e=text:{server.address}")
    drawn(text)
    chat = next(r for r in server.requests if "messages" in r and "seed" in r)
    plain = next(r for r in server.requests if "prompt" in r)
    aside = {"messages", "prompt", "seed", "logprobs", "top_logprobs"}
    assert {k: v for k, v in chat.items() if k not in aside} == {k: v for k, v in plain.items() if k not in aside}
    assert (chat["logprobs"], chat["top_logprobs"]) == (True, 1)
    assert 0 <= chat["seed"] < 2**32 - 1


def test_the_route_is_part_of_the_identity(server: FakeServer) -> None:
    digests = {open_policy(f"e={p}:{server.address}", template=t).digest for p, t in (
        ("chat", None), ("chat", "chat-think"), ("text", None),
    )}  # fmt: skip
    assert len(digests) == 3
    assert open_policy(f"e={server.address}").digest == open_policy(f"e=chat:{server.address}").digest


def test_newer_models_of_openai_want_another_name_for_the_length(server: FakeServer) -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."

    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if "max_tokens" in payload:
            return 400, {}, json.dumps({"error": {"message": words, "param": "max_tokens"}}).encode()
        return said(payload, before)

    server.answer = answer
    assert len(drawn(open_policy(f"e={server.address}"))) == 4
    assert server.requests[-1]["max_completion_tokens"] == 64


# What an answer says.


@pytest.mark.parametrize(("owner", "answer"), [("llamacpp", llama_cpp_thinks), ("vllm", vllm_thinks)])
def test_a_thought_comes_before_the_answer_as_a_draft_and_counts(
    server: FakeServer, owner: str, answer: Answer
) -> None:
    server.owner, server.answer = owner, answer
    policy = open_policy(f"e=chat:{server.address}")
    completion = next(iter(drawn(policy).values()))
    assert completion.text == "<think>\nTwo and two.\n</think>\n\nThe answer is 4."
    assert [part.strip() for part in final_parts(completion.text)] == ["", "The answer is 4."]
    assert completion.token_ids is not None
    assert completion.token_ids.tolist() == (LLAMA_CPP_IDS if owner == "llamacpp" else VLLM_IDS)
    assert completion.logprobs is not None
    assert len(completion.logprobs) == completion.tokens
    assert completion.stop_reason is StopReason.EOS
    assert completion.prompt_tokens == (16 if owner == "llamacpp" else 91)
    assert any("thoughts came apart" in remark for remark in policy.remarks())


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
@pytest.mark.parametrize("content", [None, ""])
@pytest.mark.parametrize(("finish", "reason"), [("length", StopReason.LENGTH), ("stop", StopReason.EOS)])
def test_a_thought_without_an_answer_stays_open(
    server: FakeServer, key: str, content: str | None, finish: str, reason: StopReason
) -> None:
    server.owner = "vllm"
    server.answer = message_of({"content": content, key: "It is \\boxed{4}"}, finish, 64)
    completion = next(iter(drawn(open_policy(f"e=chat:{server.address}")).values()))
    assert completion.text == "<think>\nIt is \\boxed{4}\n"
    assert final_parts(completion.text) == []
    assert completion.stop_reason is reason
    assert completion.tokens == 64


@given(st.text(alphabet="<think>/x\n 4", min_size=1), st.text(alphabet="x4 \n", min_size=1))
def test_a_verifier_sees_the_answer_alone_whatever_was_thought(thought: str, answer: str) -> None:
    text = text_of_message({"content": answer, "reasoning": thought})
    assert text is not None
    assert "".join(final_parts(text)).strip() == answer.strip()
    assert thought.strip() in text


def test_a_run_is_graded_by_answers_and_not_by_thoughts(server: FakeServer, tmp_path: Path) -> None:
    """Half of the draws think the right answer and say a wrong one."""

    def answer(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        right = 2 * int(payload["messages"][-1]["content"].partition("+")[0])
        honest = payload["seed"] % 2
        thought = f"Perhaps \\boxed{{{right}}}. Number {payload['seed']}."
        spoken = f"\\boxed{{{right if honest else 77}}}"
        return message_of({"content": spoken, "reasoning_content": thought})(payload, before)

    server.answer = answer
    lines = [json.dumps({"prompt": p.prompt, "answer": p.answer}) for p in PROBLEMS]
    (tmp_path / "p.jsonl").write_text("\n".join(lines))
    request = PasskRequest(
        family=None,
        policies=(f"far=chat:{server.address}",),
        benchmark=str(tmp_path / "p.jsonl"),
        rollouts=16,
        sampling=SAMPLING,
        out=tmp_path / "run",
    )
    report = numbers(run_passk(request))
    honest = [request["seed"] % 2 for request in server.requests]
    assert 0 < sum(honest) < len(honest)
    assert report["policies"][0]["outcomes"]["correct"] == sum(honest)
    assert report["policies"][0]["outcomes"]["incorrect"] == len(honest) - sum(honest)


@pytest.mark.parametrize(
    ("message", "finish", "tokens", "says"),
    [
        ({"content": None}, "stop", None, "gave no completion"),
        ({"content": None}, "stop", 0, "gave no completion"),
        ({"content": [{"type": "text"}]}, "stop", 2, "gave no completion"),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", 2, "called a tool instead of answering"),
        ({"content": "x"}, "content_filter", 2, "content_filter"),
        ({"content": "x"}, "tool_calls", 2, "tool_calls"),
    ],
)
def test_what_is_no_answer_is_an_error(
    server: FakeServer, message: dict[str, Any], finish: str, tokens: int | None, says: str
) -> None:
    server.answer = message_of(message, finish, tokens)
    with pytest.raises(PolicyError) as caught:
        drawn(open_policy(f"e=chat:{server.address}"))
    assert says in str(caught.value)


def test_what_a_server_hides_is_an_empty_text_of_counted_tokens(server: FakeServer) -> None:
    server.answer = message_of({"content": None}, "length", 64)
    completion = next(iter(drawn(open_policy(f"e=chat:{server.address}")).values()))
    assert (completion.text, completion.tokens, completion.stop_reason) == ("", 64, StopReason.LENGTH)


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": None}, "x"])
def test_without_usage_the_length_is_unknown(server: FakeServer, usage: object) -> None:
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    server.answer = lambda _payload, _before: (200, {}, json.dumps({"choices": [choice], "usage": usage}).encode())
    completion = next(iter(drawn(open_policy(f"e=chat:{server.address}")).values()))
    assert (completion.text, completion.tokens, completion.prompt_tokens) == ("x", None, 0)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((307, {"Location": "http://elsewhere/v1"}, b""), r"status 307.*sends elsewhere \(http://elsewhere/v1\)"),
        ((401, {}, b"no key"), KEY_VARIABLE),
        ((403, {}, b"no key"), KEY_VARIABLE),
        ((200, {"Content-Type": "text/event-stream"}, b"data: {}"), "in pieces"),
        ((200, {}, b"<html>"), "did not answer in JSON"),
        ((200, {}, b'{"object": "error"}'), "gave no completion"),
        ((400, {}, b"the prompt is too long"), "status 400: the prompt is too long"),
        ((404, {}, b"no"), r"status 404.*text:http"),
        ((405, {}, b"no"), r"status 405.*text:http"),
        ((501, {}, b"no"), r"status 501.*text:http"),
    ],
)
def test_a_failure_is_one_clear_line(server: FakeServer, answer: tuple[int, dict[str, str], bytes], says: str) -> None:
    server.answer = lambda _payload, _before: answer
    with pytest.raises(PolicyError, match=says) as caught:
        drawn(fast(server.address))
    assert "\n" not in str(caught.value)


def test_a_server_of_chat_alone_is_named_where_text_is_asked_for(server: FakeServer) -> None:
    server.routes = {CHAT}
    with pytest.raises(PolicyError, match=r"status 404.*chat:http"):
        drawn(open_policy(f"e={server.address}", template="raw"))


def test_the_v1_of_an_address_may_be_left_out(server: FakeServer) -> None:
    bare = server.address.removesuffix("/v1")
    assert connect(bare).address == connect(bare + "/").address == server.address
    assert open_policy(f"e={bare}").digest == open_policy(f"e={server.address}").digest


# Several addresses.


@pytest.fixture
def pair() -> Iterator[tuple[FakeServer, FakeServer]]:
    fakes = FakeServer(), FakeServer()
    for fake in fakes:
        fake.routes, fake.answer, fake.owner = {CHAT, TEXT}, said, "llamacpp"
    yield fakes
    for fake in fakes:
        fake.close()


def test_requests_are_spread_and_the_draws_are_those_of_their_keys(pair: tuple[FakeServer, FakeServer]) -> None:
    a, b = pair
    gate = threading.Barrier(8, timeout=20)

    def together(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if before < 4:
            gate.wait()
        return said(payload, before)

    a.answer = b.answer = together
    both = fast(f"{a.address},{b.address}")
    spread = drawn(both, range(16))
    assert min(len(a.requests), len(b.requests)) >= 4
    assert len(a.requests) + len(b.requests) == 64
    alone = fast(a.address)
    alone.digest = both.digest  # the addresses are part of it
    assert {k: c.text for k, c in drawn(alone, range(16)).items()} == {k: c.text for k, c in spread.items()}


@pytest.mark.parametrize("status", [0, 500, 503])
def test_what_one_address_fails_another_answers(pair: tuple[FakeServer, FakeServer], status: int) -> None:
    a, b = pair
    both = fast(f"{a.address},{b.address}")
    a.answer = lambda _payload, before: said(_payload, before) if before < 3 else (status, {}, b"gone")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(drawn(both, range(16))) == 64
    told = [str(w.message) for w in caught if "its requests go to the others" in str(w.message)]
    assert told
    assert all(a.address in line for line in told)
    assert len(b.requests) >= 61


@pytest.mark.filterwarnings("ignore:.*its requests go to the others")
def test_when_all_addresses_fail_the_run_stops_and_names_them(pair: tuple[FakeServer, FakeServer]) -> None:
    a, b = pair
    both = fast(f"{a.address},{b.address}")
    a.answer = b.answer = lambda _payload, _before: (503, {}, b"gone")
    with pytest.raises(PolicyError, match=rf"{a.address} and {b.address}.* failed 6 times.*What was sampled is kept"):
        drawn(both)


def test_addresses_of_one_policy_serve_one_model(pair: tuple[FakeServer, FakeServer]) -> None:
    a, b = pair
    b.models = ["other"]
    with pytest.raises(UsageError, match=r"serves m \(llamacpp\) and .* serves other"):
        connect(f"{a.address},{b.address}")
    b.models, b.owner = ["m"], "vllm"
    with pytest.raises(UsageError, match=r"serves m \(llamacpp\) and .* serves m \(vllm\)"):
        connect(f"{a.address},{b.address}")
    a.models, b.models, b.owner = ["m", "n"], ["n", "k"], "llamacpp"
    assert connect(f"{a.address},{b.address}#n").model == "n"
    b.close()
    with pytest.raises(PolicyError, match=f"nobody answers at {b.address}"):
        connect(f"{a.address},{b.address}#n")


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("http://a/v1", (None, ("http://a/v1",), "")),
        ("chat:http://a/v1/#m/n", ("chat", ("http://a/v1",), "m/n")),
        ("text:http://a,https://b#m", ("text", ("http://a", "https://b"), "m")),
        ("http://a#m, http://b#m", (None, ("http://a", "http://b"), "m")),
    ],
)
def test_sources(source: str, parts: tuple[str | None, tuple[str, ...], str]) -> None:
    assert split_source(source) == parts


@pytest.mark.parametrize("source", ["http://a,b", "http://a,", "chat:http://a,http://a", "http://a#m,http://b#n"])
def test_sources_that_mean_nothing(source: str) -> None:
    with pytest.raises(UsageError):
        split_source(source)


def test_a_mistyped_address_does_not_keep_its_name(server: FakeServer, tmp_path: Path) -> None:
    """Neither one that is no address, nor one at which nobody answers: nothing was sampled there."""
    asked = {"family": None, "problems": 2, "rollouts": 2, "sampling": SAMPLING, "out": tmp_path / "run"}
    with pytest.raises(UsageError, match="is no address"):
        run_passk(PasskRequest(policies=(f"far={server.address},elsewhere",), **asked))
    assert not (tmp_path / "run").exists()
    server.routes = set()
    with pytest.raises(PolicyError, match="status 404"):
        run_passk(PasskRequest(policies=(f"far=text:{server.address}",), **asked))
    server.routes = {CHAT}
    report = run_passk(PasskRequest(policies=(f"far=chat:{server.address}",), **asked))
    assert report.n_rollouts == 2
    with pytest.raises(UsageError, match=r"holds rollouts of another policy called far"):
        run_passk(PasskRequest(policies=(f"far=text:{server.address}",), **asked))


def test_a_run_that_was_begun_with_text_goes_on_with_text(server: FakeServer, tmp_path: Path) -> None:
    """Its record says `raw`, as that of every served model did once; the server takes messages too."""
    asked = {"family": None, "policies": (f"far={server.address}",), "problems": 2, "sampling": SAMPLING}
    asked |= {"out": tmp_path / "run"}
    server.routes = {TEXT}
    run_passk(PasskRequest(rollouts=2, **asked))
    for name in ("config.json", "manifest.json"):
        file = tmp_path / "run" / name
        file.write_text(file.read_text().replace('"served"', '"raw"'))
    server.routes = {CHAT, TEXT}
    report = run_passk(PasskRequest(rollouts=4, **asked))
    assert report.n_rollouts == 4
    assert set(server.paths) == {TEXT}
    assert len(server.requests) == 2 * 4


def test_a_run_that_lost_its_server_goes_on_from_what_it_has(server: FakeServer, tmp_path: Path) -> None:
    """As a server that is killed in the middle; the answers that came before are in the store."""
    request = PasskRequest(
        family=None, policies=(f"far=chat:{server.address}",), problems=4, rollouts=16, sampling=SAMPLING,
        out=tmp_path / "run",
    )  # fmt: skip
    answered, last = threading.Semaphore(0), threading.Lock()

    def dies(payload: dict[str, Any], before: int) -> tuple[int, dict[str, str], bytes]:
        if before < 40:
            answered.release()
            return said(payload, before)
        with last:
            for _ in range(40):
                answered.acquire(timeout=20)
            answered.release(40)
        return 400, {}, b"shut down"

    server.answer = dies
    with pytest.raises(PolicyError, match="shut down"):
        run_passk(request)
    seen = len(server.requests)
    server.answer = said
    report = run_passk(request)
    assert report.policies[0].distinct is not None
    assert 64 - 40 <= len(server.requests) - seen < 64
