"""How a trainer is made: what may be given as `explorer`, arguments as in TRL, and the model card that it writes."""

from __future__ import annotations

import doctest
import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import MEMBER, Overheard, config, dataset, explorer, flat, learner, losses, reward, s2l, trained
from transformers import AutoModelForCausalLM, Qwen3ForCausalLM
from trl import GRPOConfig, GRPOTrainer

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.policies import SamplingParams
from s2l_lab.training import FunctionExplorer, LearnerCopy, RolloutBank, S2LPOTrainer
from s2l_lab.training.alternate import train_alternate
from s2l_lab.training.budget import FlopsBudget

HALF = {"schedule": "constant", "explorer_fraction": 0.5, "explorer_weight_floor": 0.0}
EOS = 1


def test_its_arguments_are_trls_and_the_explorer() -> None:
    ours, theirs = (dict(inspect.signature(t.__init__).parameters) for t in (S2LPOTrainer, GRPOTrainer))
    added = ours.pop("explorer")
    assert (added.kind, added.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert [(p.name, p.kind, p.default) for p in ours.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]
    assert all(f"{name}:" in S2LPOTrainer.__doc__ or f"{name}," in S2LPOTrainer.__doc__ for name in [*ours][1:])


def test_the_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(S2LPOTrainer, "S2LPOTrainer", globs={})
    assert len(example.examples) > 5
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.mark.parametrize("given", ["tiny-60k", f"tiny-60k={MEMBER}"])
def test_a_name_is_the_policy_that_it_opens(tmp_path: Path, given: str) -> None:
    """The same draws, and so the same run to the bit, as the policy that open_policy gives for that name."""
    runs = []
    for one in (given, Overheard(explorer(given))):
        trainer = s2l(tmp_path, given=one, correction="truncated", max_steps=2, **HALF)
        runs.append((trained(trainer).parameters[-1], losses(trainer)))
    assert torch.equal(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]


@pytest.mark.parametrize("given", [str(MEMBER), MEMBER])
def test_a_directory_is_named_by_its_last_part(tmp_path: Path, given: Any) -> None:
    trainer = s2l(tmp_path, given=given, max_steps=1, **HALF)
    assert trainer.explorer.name == "60k"
    trained(trainer)
    assert trainer.cost.explorer.tokens > 0


def test_a_model_explores_with_the_tokenizer_of_its_files(tmp_path: Path) -> None:
    """The learner's own weights in another object: their probabilities are the learner's, and they never move."""
    model = learner()
    before = flat(model)
    trainer = s2l(tmp_path, given=model, correction="behaviour", max_steps=2, **HALF)
    recorder = trained(trainer)
    first = next(entry for entry in trainer.state.log_history if "explorer/ratio" in entry)
    assert first["explorer/ratio"] == pytest.approx(1, abs=1e-5)
    assert torch.equal(flat(model), before)
    assert not torch.equal(recorder.parameters[-1], before)
    assert trainer.cost.explorer.flops > 0


class Function:
    """Completions of three tokens, drawn by the seed that it is given; remembers what it was asked."""

    def __init__(self, *, logprobs: bool) -> None:
        self.logprobs, self.asked = logprobs, []

    def __call__(self, prompts: list[list[int]], sampling: SamplingParams) -> Any:
        self.asked.append((prompts, sampling))
        generator = torch.Generator().manual_seed(sampling.seed)
        rows = [[*torch.randint(5, 15, (2,), generator=generator).tolist(), EOS] for _ in prompts]
        return (rows, [[-1.0] * 3 for _ in prompts]) if self.logprobs else rows


def test_a_function_fills_the_explorers_slots(tmp_path: Path) -> None:
    function = Function(logprobs=True)
    trainer = s2l(tmp_path, given=function, correction="truncated", explorer_temperature=0.5, **HALF)
    trained(trainer)
    assert len(function.asked) == 3
    for prompts, sampling in function.asked:
        assert len(prompts) == 4
        assert prompts[0] == prompts[1] != prompts[2] == prompts[3]
        assert (sampling.temperature, sampling.max_tokens) == (0.5, 12)
    assert len({sampling.seed for _, sampling in function.asked}) == 3
    assert trainer.cost.explorer.tokens == 3 * 4 * 3
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert not any(name.endswith("flops") and "explorer" in name for entry in logged for name in entry)
    assert "unknown" in trainer.cost.summary()
    with pytest.raises(UsageError, match="cannot be counted against a budget"):
        FlopsBudget(trainer, 1e9)


def test_a_function_that_says_its_size_is_counted(tmp_path: Path) -> None:
    shape = explorer().shape
    trainer = s2l(tmp_path, given=FunctionExplorer(Function(logprobs=True), shape=shape), max_steps=1, **HALF)
    trained(trainer)
    assert trainer.cost.relative_rollout_compute == pytest.approx(1), "the learner's own size"


def test_a_run_with_a_function_that_draws_by_its_seed_resumes_to_the_same_run(tmp_path: Path) -> None:
    settings: dict[str, Any] = {**HALF, "save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    whole = s2l(tmp_path / "whole", given=Function(logprobs=False), **settings)
    expected = trained(whole)
    resumed = s2l(tmp_path / "resumed", given=Function(logprobs=False), **settings)
    found = trained(resumed, resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-1"))
    assert losses(resumed) == losses(whole)
    assert torch.equal(found.parameters[-1], expected.parameters[-1])


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (lambda prompts, sampling: [[5, EOS]] * (len(prompts) - 1), PolicyError, "returned 3 completions; a list of 4"),
        (lambda prompts, sampling: ["3*7=21"] * len(prompts), PolicyError, "returned text"),
        (lambda prompts, sampling: None, PolicyError, "returned NoneType"),
        (lambda prompts, sampling: [[10_000]] * len(prompts), PolicyError, "embeddings for ids below"),
        (lambda prompts, sampling: [[5] * 13] * len(prompts), PolicyError, "completion of 13 tokens"),
        (lambda prompts, sampling: ([[5, EOS]] * 4, [[-1.0]] * 4), PolicyError, "one finite number for each token"),
        (lambda prompts, sampling: ([[5, EOS]] * 4, [[-1.0, -1.0]]), PolicyError, "1 lists of log-probabilities for 4"),
        (Function(logprobs=False), UsageError, "needs the explorer's log-probabilities"),
    ],
)
def test_what_a_function_gives_is_checked(tmp_path: Path, answer: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        trained(s2l(tmp_path, given=answer, correction="behaviour" if error is UsageError else "none", **HALF))


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (3, UsageError, "int is no explorer. Give a hub id"),
        (["tiny-60k"], UsageError, "list is no explorer"),
        (lambda prompts: prompts, UsageError, "function is no explorer"),
        (torch.nn.Linear(1, 1), UsageError, "Linear is no explorer"),
        (RolloutBank, UsageError, "the class RolloutBank is no explorer"),
        ("tiny-61k", UsageError, "Did you mean tiny-60k"),
        ("no/such/directory/here", UsageError, "there is no directory no/such/directory/here"),
        ("/none", UsageError, "there is no directory /none"),
        ("nobody-here/no-such-model", PolicyError, "neither in the hub's cache nor to be had"),
        ("s=scripted:point(0.5)", PolicyError, "gives text without token ids"),
    ],
)
def test_anything_else_is_refused_before_the_learner_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, error: type[Exception], says: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(error, match=says):
        S2LPOTrainer("never/loaded", reward, config(tmp_path), dataset(), explorer=given)


def test_explorers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = learner()
    with pytest.raises(UsageError, match="model and explorer are one object"):
        s2l(tmp_path, given=model, model=model)
    nameless = Qwen3ForCausalLM(model.config)
    nameless.config.name_or_path = ""
    with pytest.raises(PolicyError, match="explorer's tokenizer cannot be loaded"):
        s2l(tmp_path, given=nameless)
    (tmp_path / "half").mkdir()
    with pytest.raises(PolicyError, match=r"lacks a whole config\.json, tokenizer files"):
        s2l(tmp_path, given=str(tmp_path / "half"))
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "parts.json").write_text("{}")
    with pytest.raises(UsageError, match=r"holds rollouts, and no model. .*RolloutBank\(path, render\)"):
        s2l(tmp_path, given=str(tmp_path / "bank"))


@pytest.mark.parametrize("load", [str, AutoModelForCausalLM.from_pretrained])
def test_an_explorer_whose_files_have_another_tokenizer_is_refused(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    other = shutil.copytree(MEMBER, tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    ids = tokenizer["model"]["vocab"]
    ids["3"], ids["7"] = ids["7"], ids["3"]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    with pytest.raises(PolicyError, match="explorer other has another tokenizer than the learner"):
        s2l(tmp_path, given=load(other))


@pytest.mark.parametrize("given", [LearnerCopy(), "tiny-60k", 3])
def test_an_explorer_that_would_never_be_asked_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(UsageError, match="plain GRPO, which never asks the explorer"):
        s2l(tmp_path, given=given, explorer_fraction=0.0)
    with pytest.raises(UsageError, match="plain GRPO, which never asks the explorer"):
        train_alternate(config(tmp_path, explorer_fraction=0.0), learner(), None, reward, dataset(), given)


# Made as TRL makes its trainers.


@pytest.mark.parametrize("model", ["tiny-60k", str(MEMBER)])
def test_a_learner_by_name_is_the_model_that_it_names(tmp_path: Path, model: str) -> None:
    settings = config(tmp_path, explorer_fraction=0.0, max_steps=1)
    runs = [S2LPOTrainer(given, reward, settings, dataset()) for given in (model, learner())]
    assert torch.equal(flat(runs[0].model), flat(runs[1].model))
    assert runs[0].processing_class.get_vocab() == runs[1].processing_class.get_vocab()


def test_without_args_it_is_the_papers_run_in_a_folder_named_as_trl_names_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model, name in (("tiny-360k", "tiny-360k-S2L-PO"), (learner(), "60k-S2L-PO")):
        trainer = S2LPOTrainer(model, reward, train_dataset=dataset(), explorer="tiny-60k")
        assert Path(trainer.args.output_dir) == Path(name)
        assert (trainer.args.num_generations, trainer.args.explorer_fraction) == (16, 1.0)
    with pytest.raises(UsageError, match=r"explorer_fraction=1 needs explorer="):
        S2LPOTrainer(learner(), reward, train_dataset=dataset())
    with pytest.raises(UsageError, match=r"needs args=S2LPOConfig\(\.\.\.\), GRPOConfig was given"):
        S2LPOTrainer(learner(), reward, GRPOConfig(str(tmp_path), use_cpu=True, bf16=False), dataset())


def test_the_model_card_names_the_method_and_its_paper(tmp_path: Path) -> None:
    trainer = s2l(tmp_path, given=explorer(), save_strategy="steps", save_steps=1, max_steps=1, **HALF)
    trained(trainer)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    title = "Smaller Models are Natural Explorers for Policy-Level Diversity in GRPO"
    assert f"trained with S2L-PO, a method introduced in [{title}](https://huggingface.co/papers/2605.30789)" in card
    assert "Cite S2L-PO as:" in card
    assert "eprint    = {arXiv:2605.30789}" in card
    assert "- s2l-po" in card
    assert "DeepSeekMath" not in card
