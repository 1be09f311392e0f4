"""The teaching file and the trainer are one method: equal losses and gradients on the same rollouts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import explorer, s2l, trained

from s2l_lab.training.advantages import mixed_advantages
from s2l_lab.training.schedule import explorer_slots

SOURCE = Path(__file__).parents[2] / "experiments" / "minimal_s2lpo.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("minimal_s2lpo", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


minimal = load()


def test_it_is_short_and_without_trl() -> None:
    text = SOURCE.read_text()
    assert len(text.splitlines()) < 200
    assert "trl" not in text
    assert "s2l_lab.training import" not in text


@pytest.mark.parametrize("correction", ["none", "behaviour", "behaviour_sequence", "truncated", "masked"])
def test_losses_and_gradients_are_the_trainers(tmp_path: Path, correction: str) -> None:
    """Two passes over each round, so that the learner now is not the learner at generation."""
    trainer = s2l(
        tmp_path,
        given=explorer(),
        correction=correction,
        schedule="constant",
        explorer_fraction=0.5,
        explorer_temperature=1.3,
        explorer_weight_floor=0.0,
        num_iterations=2,
        max_steps=4,
    )
    compute, pairs = trainer._compute_loss, []

    def compared(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        loss = compute(model, inputs)
        batch = minimal.Batch(
            prompt_BL=inputs["prompt_ids"],
            prompt_mask_BL=inputs["prompt_mask"],
            completion_BT=inputs["completion_ids"],
            mask_BT=inputs["completion_mask"],
            explorer_B=inputs["explorer"],
            behaviour_BT=inputs["behaviour_logps"],
            advantages_B=inputs["advantages"],
        )
        logps = minimal.token_logps(model, batch)
        old, kept = inputs["old_per_token_logps"], inputs["ref_per_token_logps"]
        own = minimal.loss_of(logps, old, kept, batch, correction)
        parameters = list(model.parameters())
        theirs = torch.autograd.grad(loss, parameters, retain_graph=True)
        ours = torch.autograd.grad(own, parameters)
        pairs.append((own.item(), loss.item(), ours, theirs))
        return loss

    trainer._compute_loss = compared
    trained(trainer)
    assert len(pairs) == 4
    assert max(abs(loss) for _, loss, _, _ in pairs) > 1e-3
    for own, loss, ours, theirs in pairs:
        assert own == pytest.approx(loss, abs=2e-6)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, atol=1e-5, rtol=1e-3)


def test_schedule_and_baseline_are_the_same() -> None:
    found = [minimal.explorer_slots(i) for i in range(1, 8)]
    assert found == [explorer_slots(minimal.G, minimal.T_MIX, i) for i in range(1, 8)]
    rewards = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    assert torch.allclose(minimal.advantages(rewards), mixed_advantages(rewards).flatten(), atol=1e-6)


def test_its_sampler_draws_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two small rounds run; the log-probabilities of the draws are those of the model that drew."""
    minimal.PROBLEMS, minimal.ROUNDS, minimal.MAX_TOKENS, minimal.G = 2, 2, 20, 4
    minimal.train("truncated")
    assert len(capsys.readouterr().out.splitlines()) == 3
    model = minimal.AutoModelForCausalLM.from_pretrained(minimal.TINY / "60k").eval()
    tokenizer = minimal.AutoTokenizer.from_pretrained(minimal.TINY / "60k")
    problems = list(minimal.countdown_benchmark(2, split="train").problems)
    generator = torch.Generator().manual_seed(1)
    batch, _ = minimal.explore_and_exploit((model, model), tokenizer, problems, 2, generator)
    with torch.no_grad():
        again = minimal.token_logps(model, batch) * batch.mask_BT
    assert torch.allclose(again, batch.behaviour_BT, atol=1e-4)
