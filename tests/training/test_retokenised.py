"""Explorers whose text is spelled anew: a member with the vocabulary in another order, and an endpoint."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from tiny_training import MEMBER, dataset, explorer, learner, losses, prompts, s2l, tokenizer, trained
from transformers import AutoTokenizer

from s2l_lab.errors import PolicyError, S2LError, UsageError
from s2l_lab.policies import Completion, Draw, ModelShape, Policy, SamplingParams, StopReason, open_policy
from s2l_lab.policies.endpoint import EndpointPolicy
from s2l_lab.policies.endpoint_messages import chat_of
from s2l_lab.policies.endpoint_server import Server
from s2l_lab.policies.templates import Prompting
from s2l_lab.training.explorer import ExplorerRollout, Learner, PolicyExplorer, Request, check_rollouts
from s2l_lab.training.retokenised import RetokenisedExplorer

HALF = {"schedule": "constant", "explorer_fraction": 0.5}
SHAPE = ModelShape(6_000, 5_000, 16, 40, 1, 1, 16)
EOS = 1


def reversed_vocabulary(directory: Path) -> Path:
    """The smallest member with its vocabulary in reverse: id i of the one is V - 1 - i of the other."""
    model = learner()
    last = model.get_input_embeddings().weight.shape[0] - 1
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(model.get_input_embeddings().weight.flip(0))
        if model.get_output_embeddings().weight is not model.get_input_embeddings().weight:
            model.get_output_embeddings().weight.copy_(model.get_output_embeddings().weight.flip(0))
    for holder in (model.config, model.generation_config):
        holder.eos_token_id, holder.pad_token_id = last - EOS, last
    model.save_pretrained(directory)
    spelled = json.loads((MEMBER / "tokenizer.json").read_text())
    spelled["model"]["vocab"] = {token: last - i for token, i in spelled["model"]["vocab"].items()}
    for added in spelled["added_tokens"]:
        added["id"] = last - added["id"]
    (directory / "tokenizer.json").write_text(json.dumps(spelled))
    (directory / "tokenizer_config.json").write_text((MEMBER / "tokenizer_config.json").read_text())
    return directory


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """The language of `tiny`, in other ids."""
    return open_policy(f"reversed={reversed_vocabulary(tmp_path_factory.mktemp('reversed'))}", template="raw")


class Says:
    """A policy of texts alone, as an endpoint is: the i-th draw says the i-th text."""

    name, digest, engine, shape = "says", "says", "endpoint", None

    def __init__(self, *texts: tuple[str, StopReason]) -> None:
        self._texts = texts

    def sample(self, requests: Any, sampling: SamplingParams) -> Iterator[Draw]:
        for request in requests:
            for index in request.indices:
                text, stop = self._texts[index]
                yield Draw(request.problem.id, index, Completion(text, None, None, None, None, stop, 0))

    def close(self) -> None:
        """Nothing to free."""


def bound(policy: Any, max_tokens: int = 8, **about: Any) -> RetokenisedExplorer:
    found = RetokenisedExplorer(policy, shape=SHAPE)
    found.bind(Learner(None, tokenizer(), frozenset([EOS]), 32, **about), SamplingParams(max_tokens=max_tokens))
    return found


def ids(text: str) -> tuple[int, ...]:
    return tuple(tokenizer()(text, add_special_tokens=False)["input_ids"])


def ask(count: int, group: int = 0, text: str = "34") -> Request:
    return Request(ids(text), count, group, 1)


def logged(trainer: Any) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def test_the_explorers_text_is_trained_on_in_the_learners_tokens(tmp_path: Path, foreign: Policy) -> None:
    heard: list[list[list[ExplorerRollout]]] = []
    drawn: list[Draw] = []

    class Overheard(RetokenisedExplorer):
        def _draws(self, *given: Any) -> Any:
            for draw in super()._draws(*given):
                drawn.append(draw)
                yield draw

        def explore(self, requests: Any, group_size: int) -> Any:
            heard.append(super().explore(requests, group_size))
            return heard[-1]

    trainer = s2l(tmp_path, given=Overheard(foreign), max_steps=2, max_completion_length=64, **HALF)
    trained(trainer)
    rollouts = [rollout for answers in heard for group in answers for rollout in group]
    own = {d.completion.text: d.completion for d in drawn}
    assert len(rollouts) == 8
    assert len(set(own)) > 4
    for rollout in rollouts:
        completion = own[tokenizer().decode(rollout.token_ids, skip_special_tokens=True)]
        theirs = [len(tokenizer()) - 1 - int(i) for i in completion.token_ids]
        assert list(rollout.token_ids) == theirs, "one vocabulary in reverse: EOS included"
    assert {completion.stop_reason for completion in own.values()} >= {StopReason.EOS}
    (batch,) = trainer._buffered_inputs
    rows = batch["explorer"]
    assert batch["behaviour_logps"][rows][batch["completion_mask"][rows].bool()].isnan().all(), "unknown, not 0"
    for entry in logged(trainer):
        assert entry["explorer/ratio"] == pytest.approx(1), "the learner's own ratio, one update a generation"
        assert all(math.isfinite(value) for value in entry.values())


def test_its_prompts_are_the_learners_as_text(foreign: Policy) -> None:
    seen: list[Any] = []

    class Watched:
        name, digest, shape, eos_ids = "w", "w", foreign.shape, frozenset([30])
        tokenizer = foreign.tokenizer  # type: ignore[attr-defined]

        def sample_prompts(self, asked: Any, sampling: Any) -> Iterator[Draw]:
            seen.extend(asked)
            return foreign.sample_prompts(asked, sampling)  # type: ignore[attr-defined]

    bound(Watched()).explore([ask(2, text=text) for text in prompts(2)], 4)
    other = AutoTokenizer.from_pretrained(MEMBER)
    for prompted, text in zip(seen, prompts(2), strict=True):
        assert [31 - i for i in prompted.prompt_ids] == other(text)["input_ids"]


def test_draws_are_keyed(foreign: Policy) -> None:
    together = bound(foreign).explore([ask(2, group=0), ask(1, group=1)], 4)
    alone = bound(foreign).explore([ask(1, group=1)], 4)
    assert [r.token_ids for r in alone[0]] == [r.token_ids for r in together[1]]


def endpoint(asked: list[dict[str, Any]]) -> EndpointPolicy:
    """A server that answers every prompt with `3-4 is ` and a number of the request's seed, and ends."""

    def answer(request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)
        asked.append(payload)
        choice = {"text": f"3-4 is {payload['seed'] % 97}", "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice], "usage": {"completion_tokens": 5}})

    client = httpx.Client(transport=httpx.MockTransport(answer))
    server = Server("http://served/v1", "m", False, client, 0.001)
    return EndpointPolicy("served", server, lambda problem: problem.prompt, "raw", complete_prompt=False)


def test_an_endpoint_explores_through_it_alone(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    with pytest.raises(PolicyError, match=r"'served' gives text .* RetokenisedExplorer\(policy\), with correction"):
        PolicyExplorer(endpoint(asked))
    with pytest.raises(PolicyError, match=r"how large the model behind served .* shape=ModelShape"):
        RetokenisedExplorer(endpoint(asked))
    trainer = s2l(tmp_path, given=RetokenisedExplorer(endpoint(asked), shape=SHAPE), max_steps=2, **HALF)
    trained(trainer)
    assert {payload["prompt"] for payload in asked} <= set(dataset()["prompt"])
    assert len({payload["seed"] for payload in asked}) == len(asked) == 8
    (batch,) = trainer._buffered_inputs
    for place in batch["explorer"].nonzero():
        said = batch["completion_ids"][place][batch["completion_mask"][place].bool()].tolist()
        assert tuple(said[:4]) == ids("3-4 is ")
        assert said[-1] == EOS
    assert trainer.cost.explorer.tokens == sum(4 + len(str(p["seed"] % 97)) + 1 for p in asked)
    assert len(losses(trainer)) == 2


def test_a_server_of_messages_has_no_place_for_a_whole_prompt() -> None:
    asked: list[dict[str, Any]] = []
    server = endpoint(asked)._server
    chatting = EndpointPolicy(
        "served", server, str, "", complete_prompt=False, chat=chat_of("chat", "served", Prompting())
    )
    with pytest.raises(PolicyError, match=r"served is sent chat messages.*template='raw'"):
        RetokenisedExplorer(chatting, shape=SHAPE)
    assert asked == []


@pytest.mark.parametrize(
    ("text", "stop", "expected", "unspelled"),
    [
        ("3+4", StopReason.EOS, (*ids("3+4"), EOS), 0),
        ("3+4", StopReason.LENGTH, ids("3+4"), 0),
        ("12345678", StopReason.EOS, ids("12345678"), 0),  # no room for the EOS
        ("123456789", StopReason.EOS, ids("12345678"), 0),
        ("", StopReason.EOS, (EOS,), 0),
        ("4\N{LATIN SMALL LETTER E WITH ACUTE}2", StopReason.EOS, ids("4"), 1),  # 42 would be another answer
        ("4<eos>2", StopReason.EOS, ids("4"), 1),  # text, and `<` is no token
        ("\N{LATIN SMALL LETTER E WITH ACUTE}2", StopReason.LENGTH, (EOS,), 1),
    ],
)
def test_spelling_by_hand(text: str, stop: StopReason, expected: tuple[int, ...], unspelled: int) -> None:
    """Between two completions that can be spelled, so that the round goes on. At most 8 tokens."""
    fine = ("3", StopReason.EOS)
    one = bound(Says(fine, (text, stop), fine))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ((first, found, _),) = one.explore([ask(3)], 4)
    assert first.token_ids == (*ids("3"), EOS)
    assert found.token_ids == expected
    assert one.unspelled == len(caught) == unspelled
    check_rollouts("says", [ask(2)], [[first, found]], limit=8, vocabulary=32)


def test_text_that_looks_like_a_special_token_stays_text() -> None:
    """To a learner that has its characters. An EOS in the middle would be trained on as one."""
    wide = json.loads((MEMBER / "tokenizer.json").read_text())
    for character in "<eos>":
        wide["model"]["vocab"].setdefault(character, len(wide["model"]["vocab"]))
    spelling = type(tokenizer())(tokenizer_object=_fast(wide), unk_token="<unk>", eos_token="<eos>")
    one = RetokenisedExplorer(Says(("4<eos>2", StopReason.EOS)), shape=SHAPE)
    one.bind(Learner(None, spelling, frozenset([EOS]), 37), SamplingParams(max_tokens=8))
    ((found,),) = one.explore([ask(1)], 4)
    assert spelling.convert_ids_to_tokens(found.token_ids) == ["4", "<", "e", "o", "s", ">", "2", "<eos>"]
    assert one.unspelled == 0


def test_a_round_that_mostly_cannot_be_spelled_is_an_error() -> None:
    bad, fine = ("f(x)", StopReason.EOS), ("3", StopReason.EOS)
    with pytest.raises(PolicyError, match="2 of 3 completions of says"):
        bound(Says(bad, fine, bad)).explore([ask(3)], 4)


def test_prompts_that_cannot_be_said_are_refused(foreign: Policy) -> None:
    with pytest.raises(PolicyError, match="holds the learner's unknown token"):
        bound(foreign).explore([ask(1, text="3x4")], 4)
    narrow = json.loads((MEMBER / "tokenizer.json").read_text())
    narrow["model"]["vocab"]["no digit"] = narrow["model"]["vocab"].pop("3")

    class Narrow:
        name, digest, shape, eos_ids = "narrow", "n", foreign.shape, frozenset([30])
        tokenizer = type(foreign.tokenizer)(tokenizer_object=_fast(narrow), unk_token="<unk>")  # type: ignore[attr-defined]

        def sample_prompts(self, asked: Any, sampling: Any) -> Iterator[Draw]:
            raise AssertionError("nothing may be sampled from another prompt")

    with pytest.raises(PolicyError, match=r"narrow cannot spell a prompt: .*'34'"):
        bound(Narrow()).explore([ask(1)], 4)


def _fast(spelled: dict[str, Any]) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(spelled))


@pytest.mark.parametrize("correction", ["behaviour", "behaviour_sequence", "truncated", "masked"])
def test_corrections_are_refused(foreign: Policy, correction: Any) -> None:
    with pytest.raises(UsageError, match=f"correction '{correction}' .* Use correction='none'"):
        bound(foreign, correction=correction)


def test_nothing_is_trained_on_probabilities_that_nobody_knows(tmp_path: Path, foreign: Policy) -> None:
    with pytest.raises(S2LError):
        trained(s2l(tmp_path, given=RetokenisedExplorer(foreign), correction="behaviour", **HALF))


def test_another_tokenizer_is_still_refused_where_it_is_not_named(tmp_path: Path, foreign: Policy) -> None:
    with pytest.raises(PolicyError, match=r"another tokenizer .* RetokenisedExplorer\(policy\)"):
        s2l(tmp_path, given=foreign, **HALF)
    assert s2l(tmp_path, given=explorer(), **HALF).explorer is not None


@pytest.mark.parametrize(
    ("rollout", "says"),
    [
        (ExplorerRollout((3, 4), (math.nan, math.nan)), "one finite number"),
        (ExplorerRollout((3, 4), (math.nan, -1.0), logprobs_known=False), "NaN throughout"),
        (ExplorerRollout((3, 4), (math.nan,), logprobs_known=False), "NaN throughout"),
    ],
)
def test_unknown_log_probabilities_are_unknown_throughout_and_by_name(rollout: ExplorerRollout, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        check_rollouts("e", [ask(1)], [[rollout]], limit=4, vocabulary=32)
