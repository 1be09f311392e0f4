"""The ids that are trained on are the ids that are sampled from, where a tokenizer has a BOS of its own."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
from datasets import Dataset
from llama_like import PROBLEMS, write_llama_like
from tiny_training import MEMBER, Overheard, config, trained
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.errors import PolicyError
from s2l_lab.policies import ModelShape, SamplingParams, open_policy
from s2l_lab.policies.endpoint import EndpointPolicy, Server
from s2l_lab.policies.templates import bind_template, encode_prompt
from s2l_lab.rollouts import RolloutStore
from s2l_lab.training import S2LPOTrainer
from s2l_lab.training.bank import RolloutBank, fill_bank
from s2l_lab.training.opening import LearnerFiles, fill_plan_bank, training_problems
from s2l_lab.training.plan import plan_of
from s2l_lab.training.retokenised import RetokenisedExplorer
from s2l_lab.training.rewards import problem_rows
from s2l_lab.verifiers import Outcome, Verdict

HALF = {"schedule": "constant", "explorer_fraction": 0.5, "max_steps": 1}
TEMPLATES = ("raw", "chat")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama_like(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other ids, and another BOS."""
    return write_llama_like(tmp_path_factory.mktemp("foreign"), bos="<s>", backwards=True)


def reward(completions: Any, **_: Any) -> list[float]:
    """Of texts and of messages alike."""
    return [float(len(str(completion)) % 3) for completion in completions]


def render(checkpoint: Path, template: str) -> Any:
    return bind_template(template, AutoTokenizer.from_pretrained(checkpoint), "learner").render


def rows(checkpoint: Path, template: str) -> dict[str, list[str]]:
    return problem_rows(PROBLEMS, render(checkpoint, template))


def trainer(checkpoint: Path, out: Path, given: Any, columns: dict[str, Any], **changes: Any) -> S2LPOTrainer:
    return S2LPOTrainer(
        AutoModelForCausalLM.from_pretrained(checkpoint),
        reward,
        config(out, **{**HALF, "max_completion_length": 8, **changes}),
        Dataset.from_dict(columns),
        processing_class=AutoTokenizer.from_pretrained(checkpoint),
        explorer=given,
    )


def trained_prompts(trainer: S2LPOTrainer) -> set[tuple[tuple[int, ...], bool]]:
    """Prompt ids of the round's rows, and whose rows they are."""
    trained(trainer)
    (batch,) = trainer._buffered_inputs
    owners = batch["explorer"].tolist() if "explorer" in batch else [False] * len(batch["prompt_ids"])
    pairs = zip(batch["prompt_ids"], batch["prompt_mask"].bool(), owners, strict=True)
    return {(tuple(ids[mask].tolist()), owner) for ids, mask, owner in pairs}


def sampled_prompts(checkpoint: Path, template: str) -> list[tuple[int, ...]]:
    """What a sampler of this checkpoint gives to the model. One BOS each, at the start."""
    policy = open_policy(f"sampler={checkpoint}", template=template)
    found = [policy.encode(problem) for problem in PROBLEMS]  # type: ignore[attr-defined]
    bos = policy.tokenizer.bos_token_id  # type: ignore[attr-defined]
    assert all(ids[0] == bos and ids.count(bos) == 1 for ids in found)
    return found


@pytest.mark.parametrize("template", TEMPLATES)
def test_learner_and_explorer_rows(tmp_path: Path, checkpoint: Path, template: str) -> None:
    given = Overheard(open_policy(f"e={checkpoint}", template=template))
    found = trained_prompts(trainer(checkpoint, tmp_path, given, rows(checkpoint, template)))
    expected = sampled_prompts(checkpoint, template)
    assert found == {(ids, owner) for ids in expected for owner in (True, False)}
    ((requests, _),) = given.heard
    assert {request.prompt_ids for request in requests} == set(expected)


@pytest.mark.parametrize("template", TEMPLATES)
def test_grpo_rows(tmp_path: Path, checkpoint: Path, template: str) -> None:
    found = trained_prompts(trainer(checkpoint, tmp_path, None, rows(checkpoint, template), explorer_fraction=0.0))
    assert found == {(ids, False) for ids in sampled_prompts(checkpoint, template)}


def test_rows_of_messages(tmp_path: Path, checkpoint: Path) -> None:
    """Those are TRL's to encode, and the chat template's."""
    messages = [[{"role": "user", "content": problem.prompt}] for problem in PROBLEMS]
    found = trained_prompts(trainer(checkpoint, tmp_path, None, {"prompt": messages}, explorer_fraction=0.0))
    assert found == {(ids, False) for ids in sampled_prompts(checkpoint, "chat")}


def filled(checkpoint: Path, root: Path, template: str) -> Path:
    return fill_bank(
        root,
        open_policy(f"e={checkpoint}", template=template),
        PROBLEMS,
        SamplingParams(max_tokens=8),
        4,
        verify=lambda items: [Verdict(Outcome.NO_ANSWER, None, None) for _ in items],
        verifier_version="none-1",
    )


@pytest.mark.parametrize("template", TEMPLATES)
def test_bank_rows(tmp_path: Path, checkpoint: Path, template: str) -> None:
    path = filled(checkpoint, tmp_path / "banks", template)
    given = RolloutBank(path, render(checkpoint, template))
    found = trained_prompts(trainer(checkpoint, tmp_path / "run", given, rows(checkpoint, template)))
    expected = sampled_prompts(checkpoint, template)
    assert found == {(ids, owner) for ids in expected for owner in (True, False)}
    with RolloutStore(path) as store:
        lengths = {
            (r["problem_id"], r["prompt_tokens"]) for r in store.read(["problem_id", "prompt_tokens"]).to_pylist()
        }
    assert lengths == {(problem.id, len(ids)) for problem, ids in zip(PROBLEMS, expected, strict=True)}


def test_a_bank_of_other_prompts_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    """By the tokenizer and by the problems it would fit; its rollouts continue another text."""
    given = RolloutBank(filled(checkpoint, tmp_path / "banks", "raw"), render(checkpoint, "chat"))
    with pytest.raises(PolicyError, match=r"was sampled after a prompt of \d+ tokens .* the template that the learner"):
        trainer(checkpoint, tmp_path / "run", given, rows(checkpoint, "chat"))


class Asked(RetokenisedExplorer):
    """Remembers which ids its policy was given."""

    def _draws(self, prompts: Any, texts: Any) -> Any:
        self.encoded = [self._encoded(self._policy.tokenizer, text) for text in texts]  # type: ignore[attr-defined]
        return super()._draws(prompts, texts)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("other", ["foreign", "checkpoint"])
def test_retokenised_rows(
    tmp_path: Path, checkpoint: Path, template: str, other: str, request: pytest.FixtureRequest
) -> None:
    """Learner's ids are trained on; the explorer reads what it would as a sampler: its own BOS once, no second one."""
    directory = request.getfixturevalue(other)
    given = Asked(open_policy(f"e={directory}", template="raw"))
    found = trained_prompts(trainer(checkpoint, tmp_path, given, rows(checkpoint, template)))
    assert found == {(ids, owner) for ids in sampled_prompts(checkpoint, template) for owner in (True, False)}
    assert set(given.encoded) == set(sampled_prompts(directory, template))


def test_a_server_adds_the_bos_itself(tmp_path: Path, checkpoint: Path) -> None:
    asked: list[str] = []

    def answer(call: httpx.Request) -> httpx.Response:
        asked.append(json.loads(call.content)["prompt"])
        choice = {"text": "7", "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice], "usage": {"completion_tokens": 1}})

    server = Server("http://served/v1", "m", False, httpx.Client(transport=httpx.MockTransport(answer)), 0.001)
    policy = EndpointPolicy("served", server, lambda problem: problem.prompt, "raw", complete_prompt=False)
    shape = ModelShape(6_000, 5_000, 16, 40, 1, 1, 16)
    trained(trainer(checkpoint, tmp_path, RetokenisedExplorer(policy, shape=shape), rows(checkpoint, "raw")))
    assert set(asked) == {problem.prompt for problem in PROBLEMS}


def test_prompts_without_the_bos_are_trained_on_as_they_stand_and_said_so(tmp_path: Path, checkpoint: Path) -> None:
    bare = {"prompt": [problem.prompt for problem in PROBLEMS]}
    with pytest.warns(UserWarning, match=r"puts '<\|bos\|>' before a text, and a prompt .* does not begin with it"):
        found = trained_prompts(trainer(checkpoint, tmp_path, None, bare, explorer_fraction=0.0))
    expected = sampled_prompts(checkpoint, "raw")
    assert found == {(ids[1:], False) for ids in expected}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        trained(trainer(checkpoint, tmp_path, None, rows(checkpoint, "raw"), explorer_fraction=0.0))


@pytest.mark.parametrize("template", [None, "raw", "chat"])
def test_a_plan_prompts_its_learner_and_its_bank_alike(tmp_path: Path, checkpoint: Path, template: str | None) -> None:
    """By the learner's template, which is chat where nobody names one and the tokenizer can."""
    found = planned(tmp_path, f"learner={checkpoint}", f"explorer={checkpoint}", template)
    assert found == (template or "chat")


def test_an_explorers_own_template_is_not_its_banks(tmp_path: Path) -> None:
    """tiny-60k by its name is prompted in `countdown-compact`, the same files as a directory are in `raw`."""
    assert planned(tmp_path, f"learner={MEMBER}", "explorer=tiny-60k", None) == "raw"


def planned(root: Path, learner: str, explorer: str, template: str | None) -> str:
    """Fill the bank of a plan, and hold its prompts against the learner's; the learner's template."""
    values = {
        "learner": {"member": learner} | ({"template": template} if template else {}),
        "explorer": {"kind": "bank", "member": explorer, "rollouts": 2},
        "problems": {"count": 2},
        "training": {"max_steps": 1, "max_completion_length": 4, "num_generations": 2},
    }
    plan = plan_of(values, "given")
    with RolloutStore(fill_plan_bank(plan, plan.config(root / "unused"), root)) as store:
        held = store.read(["problem_id", "prompt_tokens"]).to_pylist()
    files = LearnerFiles.of(plan)
    lengths = {
        problem.id: len(encode_prompt(files.tokenizer, files.template.render(problem)))
        for problem in training_problems(plan).problems
    }
    assert {(row["problem_id"], row["prompt_tokens"]) for row in held} == set(lengths.items())
    return files.template.name
