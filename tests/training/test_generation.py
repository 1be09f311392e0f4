"""A checkpoint's generation_config.json names the ids that end a completion, and shapes nothing else in training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from test_paths import FakeVLLMGeneration
from tiny_training import MEMBER, config, dataset, losses, reward, tokenizer, trained
from transformers import AutoModelForCausalLM

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Draws, SamplingParams, open_policy
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.training import LearnerCopy, S2LPOTrainer

HALF = {"schedule": "constant", "explorer_fraction": 0.5}
GENERATION = "generation_config.json"
SETTINGS: dict[str, Any] = {
    "min_p": 0.4,
    "typical_p": 0.3,
    "epsilon_cutoff": 0.2,
    "eta_cutoff": 0.2,
    "top_h": 0.2,
    "repetition_penalty": 3.0,
    "encoder_repetition_penalty": 3.0,
    "no_repeat_ngram_size": 1,
    "bad_words_ids": [[5], [6]],
    "suppress_tokens": [5, 6, 7],
    "begin_suppress_tokens": [5, 6, 7],
    "sequence_bias": [[[5], 8.0]],
    "forced_bos_token_id": 5,
    "forced_eos_token_id": 1,
    "min_new_tokens": 12,
    "exponential_decay_length_penalty": [1, 4.0],
    "guidance_scale": 2.0,
    "num_beams": 3,
    "temperature": 0.2,
    "top_k": 2,
    "top_p": 0.3,
    "use_cache": False,
}
"""What a generation_config.json may hold."""


def checkpoint(directory: Path, generation: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The smallest member with these settings in generation_config.json, and these in config.json."""
    shutil.copytree(MEMBER, directory)
    for name, more in ((GENERATION, generation or {}), ("config.json", changes)):
        file = directory / name
        file.write_text(json.dumps(json.loads(file.read_text()) | more))
    return directory


def trainer(source: Path, out: Path, given: Any = None, **changes: Any) -> S2LPOTrainer:
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    plain = {} if given is not None else {"explorer_fraction": 0.0}
    options = config(out, **{"max_steps": 2, **plain, **changes})
    return S2LPOTrainer(model, reward, options, dataset(), processing_class=tokenizer(), explorer=given)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[float], torch.Tensor]:
    plain = trainer(MEMBER, tmp_path_factory.mktemp("plain"))
    recorder = trained(plain)
    return losses(plain), recorder.parameters[-1]


SUPPRESS = ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids"]
REST = [name for name in SETTINGS if name not in SUPPRESS]  # transformers refuses to force an id that is suppressed


@pytest.mark.parametrize("names", [SUPPRESS, REST, *(pytest.param([n], marks=pytest.mark.slow) for n in SETTINGS)])
def test_training_is_the_same_to_the_bit(
    tmp_path: Path, names: list[str], expected: tuple[list[float], torch.Tensor]
) -> None:
    """By default under all that may stand together."""
    settings = {name: SETTINGS[name] for name in names}
    source = checkpoint(tmp_path / "member", settings)
    found = trainer(source, tmp_path / "run")
    recorder = trained(found)
    assert losses(found) == expected[0]
    assert torch.equal(recorder.parameters[-1], expected[1])
    kept = {name: getattr(found.model.generation_config, name) for name in names}
    assert kept == settings, "a trained model is saved with its own"


def test_adapters_are_trained_on_neutral_rollouts_too(tmp_path: Path) -> None:
    from peft import LoraConfig

    found = []
    for place, generation in enumerate(({}, {"suppress_tokens": [5, 6, 7], "min_p": 0.4})):
        source = checkpoint(tmp_path / f"member-{place}", generation)
        one = S2LPOTrainer(
            AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32),
            reward,
            config(tmp_path / f"run-{place}", max_steps=2, explorer_fraction=0.0),
            dataset(),
            processing_class=tokenizer(),
            peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        trained(one)
        found.append(losses(one))
    assert found[0] == found[1]


def test_the_samplers_draw_the_same(tmp_path: Path) -> None:
    problems = countdown_benchmark(2).problems

    def drawn(source: Path) -> list[tuple[int, ...]]:
        policy = open_policy(f"one={source}", engine="transformers", template="countdown-compact")
        policy.digest = "one"  # type: ignore[misc]  # draws are keyed by it, and it holds the files' fingerprint
        requests = [Draws(problem, tuple(range(16))) for problem in problems]
        draws = policy.sample(requests, SamplingParams(max_tokens=20))
        return sorted((d.problem_id, d.index, *d.completion.token_ids.tolist()) for d in draws)  # type: ignore[union-attr]

    settings = {name: value for name, value in SETTINGS.items() if not name.startswith("forced")}
    assert drawn(checkpoint(tmp_path / "member", settings)) == drawn(MEMBER)


# Which ids end a completion.

SETS = [
    ({"eos_token_id": 1}, {"eos_token_id": [1, 9]}),
    ({"eos_token_id": [1, 9]}, {"eos_token_id": 1}),
    ({"eos_token_id": 9}, {"eos_token_id": 1}),
    ({"eos_token_id": [9, 1]}, {"eos_token_id": [9]}),
    ({"eos_token_id": None}, {"eos_token_id": 9}),
]
"""generation_config.json, config.json. The tokenizer's is 1; 9 is a digit, which is drawn often."""


@pytest.mark.parametrize(("generation", "model"), SETS)
def test_one_set_ends_completions_for_all(tmp_path: Path, generation: dict[str, Any], model: dict[str, Any]) -> None:
    """A checkpoint may explore for itself, and every completion ends at the first of its ids, whoever drew it."""
    source = checkpoint(tmp_path / "member", generation, **model)
    policy = open_policy(f"e={source}", template="countdown-compact")
    found = trainer(source, tmp_path / "run", policy, **HALF, max_steps=3)
    assert set(found.eos_token_ids) == policy.eos_ids == {1, 9}  # type: ignore[attr-defined]
    assert eos_ids(found.model, tokenizer()) == {1, 9}
    rows: list[tuple[list[int], bool]] = []
    found.on_round = lambda recorded: rows.extend((list(r.token_ids), r.source == "explorer") for r in recorded)
    found.train_dataset = found.train_dataset.add_column("problem_id", ["p"] * len(found.train_dataset))
    trained(found)
    for source_rows in ([ids for ids, own in rows if own], [ids for ids, own in rows if not own]):
        assert any(ids[-1] == 9 for ids in source_rows)
        assert all(len(ids) == 12 or ids[-1] in (1, 9) for ids in source_rows)
        assert not any({1, 9} & set(ids[:-1]) for ids in source_rows)


@pytest.mark.parametrize(("generation", "model"), SETS)
def test_a_copy_of_the_learner_ends_where_it_does(
    tmp_path: Path, generation: dict[str, Any], model: dict[str, Any]
) -> None:
    source = checkpoint(tmp_path / "member", generation, **model)
    assert len(losses(trained_one(source, tmp_path / "run", LearnerCopy()))) == 1


def trained_one(source: Path, out: Path, given: Any) -> S2LPOTrainer:
    one = trainer(source, out, given, **HALF, max_steps=1)
    trained(one)
    return one


def test_another_set_is_refused(tmp_path: Path) -> None:
    given = open_policy(f"e={checkpoint(tmp_path / 'e', eos_token_id=[1, 9])}", template="countdown-compact")
    with pytest.raises(PolicyError, match=r"ends completions at ids \[1, 9\] and the learner at \[1\]"):
        trainer(MEMBER, tmp_path / "run", given, **HALF)


def test_what_vllm_draws_past_an_eos_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine ends at the tokenizer's EOS and does not know that config.json names 9 as well."""
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", FakeVLLMGeneration)
    source = checkpoint(tmp_path / "member", eos_token_id=[1, 9])
    found = trainer(source, tmp_path / "run", use_vllm=True, max_steps=2)
    trained(found)
    (batch,) = found._buffered_inputs
    said = [
        ids[mask].tolist() for ids, mask in zip(batch["completion_ids"], batch["completion_mask"].bool(), strict=True)
    ]
    assert any(ids[-1] == 9 for ids in said)
    assert not any({1, 9} & set(ids[:-1]) for ids in said)
    assert batch["sampling_per_token_logps"].shape == batch["completion_ids"].shape
