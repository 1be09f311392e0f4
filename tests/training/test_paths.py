"""Ways to train that the laws do not take: adapters, bf16, gradient checkpointing, trackers, vLLM on either side.

vLLM for the learner needs a GPU; what is held here is the seam to TRL, with a fake in the place of its engine.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from tiny_training import (
    config,
    dataset,
    explorer,
    flat,
    learner,
    losses,
    prompts,
    reward,
    s2l,
    tokenizer,
    trained,
)
from transformers import TrainerCallback

from s2l_lab.policies import open_policy
from s2l_lab.training import S2LPOTrainer
from s2l_lab.training.explorer import PolicyExplorer

HALF = {"schedule": "constant", "explorer_fraction": 0.5, "explorer_weight_floor": 0.0}


# Adapters.


def with_adapters(output_dir: Path, **changes: Any) -> S2LPOTrainer:
    """An S2LPOTrainer that makes adapters of rank 4 for the tiny member."""
    return S2LPOTrainer(
        learner(),
        reward,
        config(output_dir, **{**HALF, **changes}),
        dataset(),
        processing_class=tokenizer(),
        explorer=explorer(),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )


def test_adapters_are_trained_on_a_frozen_base_and_saved(tmp_path: Path) -> None:
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2, "beta": 0.1, "correction": "behaviour"}
    trainer = with_adapters(tmp_path, **settings)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    trained(trainer)
    after = dict(trainer.model.named_parameters())
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved
    assert all("lora" in name for name in moved)
    assert trainer.ref_model is None, "the reference is the base: adapters switched off"
    everything = sum(p.numel() for p in after.values())
    assert trainer._learner_shape.parameters == everything, "a forward pass multiplies by adapters too"

    again = PeftModel.from_pretrained(learner(), tmp_path / "checkpoint-2")
    ids = tokenizer()(prompts(1)[0], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        trained_logits = trainer.model.eval()(input_ids=ids).logits
        assert torch.equal(again.eval()(input_ids=ids).logits, trained_logits)
        assert not torch.equal(learner().eval()(input_ids=ids).logits, trained_logits)


def test_adapters_resume_to_the_same_losses(tmp_path: Path) -> None:
    settings = {"save_strategy": "steps", "save_steps": 1, "max_steps": 2}
    whole = with_adapters(tmp_path, **settings)
    expected = trained(whole)
    resumed = with_adapters(tmp_path / "resumed", **settings)
    found = trained(resumed, resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert losses(resumed) == losses(whole)
    assert torch.equal(found.parameters[-1], expected.parameters[-1])


# bf16 and gradient checkpointing.


def watched(model: Any, seen: list[torch.dtype]) -> Any:
    """The model, with the type of a layer's every output whose gradient is wanted in `seen`."""

    def watch(module: Any, given: Any, output: torch.Tensor) -> None:
        if output.requires_grad:
            seen.append(output.dtype)

    model.model.layers[0].mlp.gate_proj.register_forward_hook(watch)
    return model


@pytest.mark.parametrize("bf16", [False, True])
def test_bf16_is_autocast_around_float32_weights(tmp_path: Path, bf16: bool) -> None:
    """The learner as its own explorer: what bf16 changes of its probabilities is all that the ratio shows."""
    seen: list[torch.dtype] = []
    model = watched(learner(), seen)
    trainer = s2l(tmp_path, given=explorer(), model=model, correction="behaviour", bf16=bf16, max_steps=1, **HALF)
    start = flat(model)
    trained(trainer)
    assert set(seen) == {torch.bfloat16 if bf16 else torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not torch.equal(flat(model), start)
    (entry,) = [entry for entry in trainer.state.log_history if "explorer/ratio" in entry]
    assert entry["explorer/ratio"] == pytest.approx(1, abs=0.02 if bf16 else 1e-5)
    # Ratios within 1e-5 of 1 leave a share within 1e-10; bf16's cost some 1e-4 of it.
    assert (entry["explorer/ess"] == pytest.approx(1, abs=1e-8)) is not bf16


@pytest.mark.parametrize("correction", ["none", pytest.param("truncated", marks=pytest.mark.slow)])
def test_gradient_checkpointing_changes_no_loss_and_is_paid_for(tmp_path: Path, correction: str) -> None:
    runs = []
    for on in (False, True):
        seen: list[torch.dtype] = []
        trainer = s2l(
            tmp_path / str(on),
            given=explorer(),
            model=watched(learner(), seen),
            correction=correction,
            gradient_checkpointing=on,
            beta=0.0,
            **HALF,
        )
        runs.append((trained(trainer), losses(trainer), len(seen), trainer.cost.updates.flops))
    (plain, plain_losses, passes, flops), (checkpointed, its_losses, its_passes, its_flops) = runs
    assert its_losses == pytest.approx(plain_losses, abs=1e-6)
    torch.testing.assert_close(checkpointed.parameters[-1], plain.parameters[-1], atol=1e-5, rtol=1e-4)
    assert (passes, its_passes) == (3, 6), "one pass of each update, and the same again in its backward"
    assert its_flops == pytest.approx(flops * 4 / 3)


# Trackers.


@pytest.mark.slow  # 9 s of imports; tests/training/test_run.py holds what is logged to files
def test_trackio_keeps_the_metrics_on_this_machine(tmp_path: Path) -> None:
    """The trainer's run and the alternate runner's, each one run whose steps go on."""
    command = [sys.executable, str(Path(__file__).with_name("trackers.py")), str(tmp_path / "out")]
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / "trackio" / "p.db") as database:
        rows = database.execute("select run_name, metrics from metrics order by id").fetchall()
    logged: dict[str, list[dict[str, Any]]] = {}
    for name, values in rows:
        found = json.loads(values)
        if "train/loss" in found:
            logged.setdefault(name, []).append(found)
    assert [entry["train/global_step"] for entry in logged["trainer"]] == [1, 2]
    assert [entry["train/global_step"] for entry in logged["alternate"]] == list(range(1, 9))
    for entry in logged["trainer"]:
        assert entry["train/explorer/slots"] == 2
        assert {"train/explorer/reward", "train/learner/reward", "train/cost/explorer_share"} <= entry.keys()
    rounds = [entry["train/round"] for entry in logged["alternate"] if "train/round" in entry]
    assert rounds == [1, 2, 2, 3]


def test_tensorboard_writes_events_or_is_missed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tensorboard is no dependency: where it is not installed, the run does not start without it in silence."""
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    if find_spec("tensorboard") is None and find_spec("tensorboardX") is None:
        with pytest.raises(RuntimeError, match="requires tensorboard to be installed"):
            s2l(tmp_path, given=explorer(), report_to="tensorboard", **HALF)
        return
    trained(s2l(tmp_path, given=explorer(), report_to="tensorboard", max_steps=1, **HALF))
    assert list((tmp_path / "board").rglob("events.out.tfevents.*"))


# vLLM for the learner: TRL's seam, with a fake engine.

OFFSET = 0.05
"""How much less the fake engine says, in nats, of every token than the learner it samples from."""


class FakeVLLMGeneration:
    """What stands for TRL's VLLMGeneration. Samples from the learner; its log-probabilities are off by OFFSET."""

    def __init__(self, *, model: Any, max_completion_length: int, **_: Any) -> None:
        self.model, self.limit = model, max_completion_length
        self.generator = torch.Generator().manual_seed(0)
        self.synced = 0
        self.asked: list[tuple[int, int]] = []
        """(prompts, num_generations) of every call."""

    def sync_weights(self) -> None:
        self.synced += 1

    @torch.no_grad()
    def generate(self, prompts: Any, images: Any, num_generations: int, profiler: Any = None) -> tuple[Any, ...]:
        assert all(
            len(set(map(tuple, prompts[i : i + num_generations]))) == 1 for i in range(0, len(prompts), num_generations)
        )
        self.asked.append((len(prompts), num_generations))
        drawn = [self._draw(list(prompt)) for prompt in prompts]
        return prompts, [ids for ids, _ in drawn], [logps for _, logps in drawn], None

    def _draw(self, prompt: list[int]) -> tuple[list[int], list[list[float]]]:
        ids: list[int] = []
        logps: list[list[float]] = []
        training = self.model.training
        self.model.eval()
        while len(ids) < self.limit and ids[-1:] != [tokenizer().eos_token_id]:
            logits = self.model(input_ids=torch.tensor([prompt + ids])).logits[0, -1]
            token = int(torch.multinomial(logits.softmax(-1), 1, generator=self.generator))
            ids.append(token)
            logps.append([float(logits.log_softmax(-1)[token]) - OFFSET])
        self.model.train(training)
        return ids, logps


class Rounds(TrainerCallback):
    """The batch of every round, and what was asked of the fake until then."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.batches = trainer, []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.batches.append(dict(self.trainer._buffered_inputs[0]))


def with_fake_vllm(output_dir: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Any, Rounds]:
    monkeypatch.setattr("trl.trainer.grpo_trainer.VLLMGeneration", FakeVLLMGeneration)
    trainer = s2l(output_dir, given=explorer(), use_vllm=True, **changes)
    rounds = Rounds(trainer)
    trainer.add_callback(rounds)
    trained(trainer)
    return trainer, rounds


@pytest.mark.parametrize("correction", ["none", "truncated"])
def test_trls_correction_for_vllm_is_for_the_learners_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, correction: str
) -> None:
    """TRL's default: rows by the ratio of learner to sampler over the whole rollout, dropped above 3. An explorer's
    rollout would be measured against the learner and dropped for being the explorer's."""
    trainer, rounds = with_fake_vllm(tmp_path, monkeypatch, correction=correction, **HALF)
    assert trainer.vllm_importance_sampling_correction
    assert trainer.vllm_importance_sampling_mode == "sequence_mask"
    assert len(rounds.batches) == 3
    for batch in rounds.batches:
        rows, mask = batch["explorer"], batch["completion_mask"].bool()
        sampled, ratio = batch["sampling_per_token_logps"], batch["importance_sampling_ratio"][:, 0]
        assert sampled[rows][mask[rows]].isnan().all()
        assert sampled[~rows][mask[~rows]].isfinite().all()
        assert torch.equal(ratio[rows], torch.ones(4))
        by_hand = torch.exp(OFFSET * mask[~rows].sum(dim=1))
        torch.testing.assert_close(ratio[~rows], by_hand.to(ratio), atol=1e-4, rtol=1e-4)
        assert (ratio[~rows] > 1.05).all()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["sampling/sampling_logp_difference/mean"] for entry in logged] == pytest.approx(
        [OFFSET] * 3, abs=1e-4
    )
    assert all(entry["explorer/weight"] > 0 for entry in logged)


def test_vllm_is_asked_for_the_learners_slots_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """G = 4, T_mix = 3: explorer slots 4, 2, 0 of two groups; weights are synced where it is asked."""
    trainer, rounds = with_fake_vllm(tmp_path, monkeypatch, mix_steps=3)
    fake = trainer.vllm_generation
    assert fake.asked == [(4, 2), (8, 4)]
    assert fake.synced == 2
    first, _, last = rounds.batches
    assert first["sampling_per_token_logps"][first["completion_mask"].bool()].isnan().all()
    assert torch.equal(first["importance_sampling_ratio"], torch.ones(8, 1))
    assert "explorer" not in last
    assert (last["importance_sampling_ratio"] > 1.05).all()
    assert all(torch.isfinite(torch.tensor(losses(trainer))))


# vLLM for the explorer.


@pytest.mark.vllm
def test_a_vllm_explorer_trains_a_learner_on_its_own_probabilities(tmp_path: Path) -> None:
    """The same weights on both sides: vLLM's probabilities are the learner's, up to its kernels' rounding."""
    policy = open_policy("tiny-60k", engine="vllm", dtype="float32")
    trainer = s2l(tmp_path, given=PolicyExplorer(policy), correction="behaviour", max_steps=1, **HALF)
    trained(trainer)
    again = s2l(tmp_path, given=PolicyExplorer(policy), correction="behaviour", max_steps=1, **HALF)
    trained(again)
    policy.close()
    (entry,) = [entry for entry in trainer.state.log_history if "explorer/ratio" in entry]
    assert entry["explorer/ratio"] == pytest.approx(1, abs=1e-3)
    assert entry["explorer/ess"] == pytest.approx(1, abs=1e-4)
    (one,), (other,) = trainer._buffered_inputs, again._buffered_inputs
    rows, its_rows = one["explorer"], other["explorer"]
    drawn = sorted(map(tuple, one["completion_ids"][rows].tolist()))
    assert drawn == sorted(map(tuple, other["completion_ids"][its_rows].tolist())), "draws are keyed"
    assert len(drawn) == 4
