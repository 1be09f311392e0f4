"""What S2LPOTrainer relies on in TRL. A new TRL that breaks one of these is named here, before it trains wrongly."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
import trl
from tiny_training import explorer, grpo, s2l, trained
from trl import GRPOTrainer
from trl.trainer.utils import nanstd, shuffle_sequence_dict, split_tensor_dict

from s2l_lab.training import S2LPOTrainer
from s2l_lab.training.advantages import mixed_advantages

HALF = {"schedule": "constant", "explorer_fraction": 0.5}
OVERRIDDEN = (
    "_tokenize_prompts",
    "_generate_single_turn",
    "_calculate_rewards",
    "_generate_and_score_completions",
    "_get_per_token_logps_and_entropies",
    "_compute_loss",
)


def test_the_version() -> None:
    assert trl.__version__.startswith("1.16."), "the tests below were written against TRL 1.16"


def test_the_overridden_methods_are_these_and_have_these_arguments() -> None:
    own = {name for name in vars(S2LPOTrainer) if name in vars(GRPOTrainer) and callable(getattr(GRPOTrainer, name))}
    assert own - {"__init__", "__module__", "__doc__"} == set(OVERRIDDEN)
    expected = {
        "_tokenize_prompts": ["prompts"],
        "_generate_single_turn": ["prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"],
        "_calculate_rewards": ["inputs", "prompts", "completions", "completion_ids_list"],
        "_generate_and_score_completions": ["inputs"],
        "_compute_loss": ["model", "inputs"],
    }
    for name, arguments in expected.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters)[1:] == arguments


def test_rows_of_a_group_stand_together_and_whole(tmp_path: Path) -> None:
    seen: list[list[tuple[int, ...]]] = []

    class Watched(GRPOTrainer):
        def _generate_single_turn(self, prompt_ids, *args: Any, **kwargs: Any):
            seen.append([tuple(ids) for ids in prompt_ids])
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)

    trainer = grpo(tmp_path)
    trainer.__class__ = Watched
    trained(trainer)
    assert len(seen) == 3
    for rows in seen:
        assert len(rows) == 8
        assert len(set(rows[:4])) == len(set(rows[4:])) == 1


def test_the_batch_is_shuffled_and_split_with_what_is_added_to_it() -> None:
    batch = {
        "rows": torch.arange(8),
        "explorer": torch.arange(8) % 2 == 1,
        "behaviour_logps": torch.arange(8)[:, None].float(),
        "scalar": torch.tensor(3),
    }
    for part in split_tensor_dict(shuffle_sequence_dict(batch), 2):
        assert torch.equal(part["rows"] % 2 == 1, part["explorer"])
        assert torch.equal(part["rows"].float(), part["behaviour_logps"][:, 0])
        assert part["scalar"] == 3


def test_denominators_and_advantages_are_read_after_the_forward_pass(tmp_path: Path) -> None:
    """Both are made of the forward pass's log-probabilities; written into the batch then, they must still be used."""
    trainer = s2l(tmp_path, given=explorer(), correction="none", **HALF)
    trained(trainer)
    batch = trainer._buffered_inputs[0]
    del batch["explorer"]
    forward = GRPOTrainer._get_per_token_logps_and_entropies
    plain = trainer._compute_loss(trainer.model, dict(batch))

    def loss_with(**late: Any) -> torch.Tensor:
        inputs = dict(batch)

        def late_forward(*args: Any, **kwargs: Any) -> Any:
            result = forward(trainer, *args, **kwargs)
            inputs.update({name: make(result[0].detach(), inputs) for name, make in late.items()})
            return result

        trainer._get_per_token_logps_and_entropies = late_forward
        return GRPOTrainer._compute_loss(trainer, trainer.model, inputs)

    assert torch.equal(loss_with(), plain)
    policy_part = plain - loss_with(advantages=lambda logps, inputs: torch.zeros_like(logps))
    doubled = loss_with(advantages=lambda logps, inputs: 2 * inputs["advantages"][:, None].expand_as(logps))
    assert (doubled - plain).item() == pytest.approx(policy_part.item(), abs=1e-6), "(B, T) advantages"
    moved = loss_with(old_per_token_logps=lambda logps, inputs: logps - 0.1)
    assert not torch.equal(moved, plain), "old_per_token_logps"


def test_the_same_batch_serves_every_iteration_unchanged(tmp_path: Path) -> None:
    """What a pass writes for its own loss must not reach the next pass: the buffer's advantages stay (B,)."""
    trainer = s2l(tmp_path, given=explorer(), correction="truncated", num_iterations=2, max_steps=4, **HALF)
    trained(trainer)
    (batch,) = trainer._buffered_inputs
    assert batch["advantages"].shape == (8,)
    assert "old_per_token_logps" in batch, "with several updates TRL keeps the learner's log-probabilities"


def test_our_mixed_advantages_are_trls_to_the_bit(tmp_path: Path) -> None:
    trainer = s2l(tmp_path, given=explorer(), **HALF)
    trained(trainer)
    generator = torch.Generator().manual_seed(0)
    rewards = torch.rand(50, 4, generator=generator).round(decimals=1)
    rewards[torch.rand(50, 4, generator=generator) < 0.2] = torch.nan
    mean = torch.nanmean(rewards, dim=1, keepdim=True)
    theirs = torch.nan_to_num((rewards - mean) / (nanstd(rewards, dim=1)[:, None] + 1e-4), nan=0.0)
    assert torch.equal(mixed_advantages(rewards), theirs)
    logged = trainer._logs
    pairs = zip(logged["rewards"]["reward"], logged["advantages"], strict=True)
    found = torch.tensor(list(pairs))
    assert torch.equal(mixed_advantages(found[:, 0].view(-1, 4)).view(-1), found[:, 1])


def test_trainer_state_is_the_last_file_of_a_checkpoint(tmp_path: Path) -> None:
    trainer = s2l(tmp_path, given=explorer(), save_strategy="steps", save_steps=3, **HALF)
    trained(trainer)
    files = sorted((tmp_path / "checkpoint-3").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert files[-1].name == "trainer_state.json"
