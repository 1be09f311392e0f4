"""Laws of S2LPOTrainer against TRL's GRPOTrainer, on the smallest embedded member."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import Overheard, Recorder, dataset, explorer, flat, grpo, learner, losses, s2l, trained
from transformers import TrainerCallback

from s2l_lab.training import LearnerCopy, PrunedLayers, RoundedWeights, WeightNoise

CORRECTIONS = ("none", "behaviour", "behaviour_sequence", "truncated", "masked")
HALF = {"schedule": "constant", "explorer_fraction": 0.5, "explorer_weight_floor": 0.0}


class Buffers(TrainerCallback):
    """The batches that TRL trains on, after its shuffle and its split, of every round."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.seen: list[list[dict[str, Any]]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.seen.append([dict(batch) for batch in self.trainer._buffered_inputs])


def with_buffers(trainer: Any) -> Buffers:
    buffers = Buffers()
    buffers.trainer = trainer
    trainer.add_callback(buffers)
    return buffers


@functools.cache
def reference(**changes: Any) -> tuple[Recorder, list[float]]:
    trainer = grpo(Path("/nonexistent"), **changes)
    return trained(trainer), losses(trainer)


def assert_equal_runs(found: tuple[Recorder, list[float]], expected: tuple[Recorder, list[float]]) -> None:
    assert found[1] == expected[1], "losses"
    for a, b in zip(found[0].parameters, expected[0].parameters, strict=True):
        assert torch.equal(a, b), "parameters"
    for a, b in zip(found[0].states, expected[0].states, strict=True):
        assert torch.equal(a[0], b[0]), "torch's RNG"
        assert a[1] == b[1], "Python's RNG"
        assert (a[2] == b[2]).all(), "NumPy's RNG"


@pytest.mark.parametrize(
    ("grouping", "correction"),
    [  # by default every correction, with either grouping in turn
        pytest.param(grouping, correction, marks=[pytest.mark.slow] if (i + j) % 2 else [])
        for i, grouping in enumerate(("mixed", "split"))
        for j, correction in enumerate(CORRECTIONS)
    ],
)
def test_explorer_fraction_0_is_grpo_to_the_bit(tmp_path: Path, grouping: str, correction: str) -> None:
    trainer = s2l(tmp_path, explorer_fraction=0.0, grouping=grouping, correction=correction)
    assert_equal_runs((trained(trainer), losses(trainer)), reference())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_iterations": 2, "max_steps": 4},
        {"gradient_accumulation_steps": 2, "steps_per_generation": 4, "per_device_train_batch_size": 4},
    ],
)
def test_it_is_grpo_where_a_generation_serves_several_updates(tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer = s2l(tmp_path, explorer_fraction=0.0, correction="behaviour", **changes)
    assert_equal_runs((trained(trainer), losses(trainer)), reference(**changes))


def test_after_the_mix_it_is_grpo_again(tmp_path: Path) -> None:
    """The batches of rounds without explorer slots hold nothing of ours."""
    trainer = s2l(tmp_path, given=explorer(), mix_steps=2)
    buffers = with_buffers(trainer)
    trained(trainer)
    assert ["explorer" in batches[0] for batches in buffers.seen] == [True, False, False]
    assert ["old_per_token_logps" in batches[0] for batches in buffers.seen] == [False] * 3


@pytest.mark.parametrize("changes", [{}, {"steps_per_generation": 2, "per_device_train_batch_size": 4}])
def test_roles_survive_the_shuffle(tmp_path: Path, changes: dict[str, Any]) -> None:
    given = Overheard(explorer())
    trainer = s2l(tmp_path, given=given, **{**HALF, "explorer_fraction": 0.75}, **changes)
    buffers = with_buffers(trainer)
    trained(trainer)
    per_round = trainer.args.steps_per_generation
    for round_index, (requests, answers) in enumerate(given.heard):
        assert [request.count for request in requests] == [3, 3]
        assert [request.round for request in requests] == [round_index + 1] * 2
        said = {
            (request.prompt_ids, rollout.token_ids): rollout.logprobs
            for request, group in zip(requests, answers, strict=True)
            for rollout in group
        }
        rows = [row for batch in buffers.seen[per_round * round_index] for row in unpadded(batch)]
        by_explorer = [row for row in rows if row["explorer"]]
        assert len(rows) == 8
        assert len(by_explorer) == 6
        for row in by_explorer:
            assert row["logps"] == pytest.approx(said[row["prompt"], row["completion"]])
        assert all(not any(row["logps"]) for row in rows if not row["explorer"])


def unpadded(batch: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    return [
        {
            "prompt": tuple(batch["prompt_ids"][i][batch["prompt_mask"][i].bool()].tolist()),
            "completion": tuple(batch["completion_ids"][i][batch["completion_mask"][i].bool()].tolist()),
            "logps": batch["behaviour_logps"][i][batch["completion_mask"][i].bool()].tolist(),
            "explorer": bool(batch["explorer"][i]),
        }
        for i in range(len(batch["explorer"]))
    ]


def test_rollouts_stand_in_the_explorers_slots(tmp_path: Path) -> None:
    """A reward that knows who sampled: with G = 4 and Gw = 2, slots 1 and 3 are the explorer's."""
    given, seen = Overheard(explorer()), []

    def by_place(completion_ids, **_: Any) -> list[float]:
        seen.append([tuple(ids) for ids in completion_ids])
        return [float(i % 2) for i in range(len(completion_ids))]

    trained(s2l(tmp_path, given=given, reward_funcs=by_place, **HALF))
    for rows, (_, answers) in zip(seen, given.heard, strict=True):
        drawn = [rollout.token_ids for group in answers for rollout in group]
        assert [rows[i] for i in range(8) if i % 4 in (1, 3)] == drawn


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_explorer_never_moves_and_the_learner_does(tmp_path: Path, correction: str) -> None:
    policy = explorer()
    model = policy._sampler._model  # type: ignore[attr-defined]
    before, start = flat(model), flat(learner())
    trainer = s2l(tmp_path, given=policy, correction=correction, **HALF)
    recorder = trained(trainer)
    assert torch.equal(flat(model), before)
    assert not torch.equal(recorder.parameters[-1], start)


@pytest.mark.parametrize("perturbation", [WeightNoise(0.1), PrunedLayers((1,)), RoundedWeights(4)])
def test_a_perturbed_copy_is_frozen_and_another_policy(tmp_path: Path, perturbation: Any) -> None:
    copy = LearnerCopy(perturbation)
    trainer = s2l(tmp_path, given=copy, correction="truncated", **HALF)
    before = flat(copy.model)
    assert len(before) != len(flat(trainer.model)) or not torch.equal(before, flat(trainer.model))
    trained(trainer)
    assert torch.equal(flat(copy.model), before)
    assert all(entry["explorer/ratio"] == pytest.approx(1) for entry in logged(trainer))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_behaviour_with_the_learner_as_explorer_has_ratio_1(tmp_path: Path, temperature: float) -> None:
    trainer = s2l(
        tmp_path,
        given=LearnerCopy(),
        correction="behaviour",
        temperature=temperature,
        explorer_temperature=temperature,
        **HALF,
    )
    buffers = with_buffers(trainer)
    trained(trainer)
    for entry in logged(trainer):
        assert entry["explorer/ratio"] == pytest.approx(1, abs=1e-5)
        assert entry["explorer/ess"] == pytest.approx(1, abs=1e-5)
    assert len(buffers.seen) == 3


def test_the_learner_at_another_temperature_is_another_policy(tmp_path: Path) -> None:
    trainer = s2l(tmp_path, given=LearnerCopy(), correction="behaviour", explorer_temperature=1.5, **HALF)
    trained(trainer)
    assert all(abs(entry["explorer/ratio"] - 1) > 1e-3 for entry in logged(trainer))


def logged(trainer: Any) -> list[dict[str, float]]:
    return [entry for entry in trainer.state.log_history if "explorer/ratio" in entry]


@pytest.mark.parametrize("grouping", ["mixed", "split"])
def test_advantages_sum_to_zero_where_they_should(tmp_path: Path, grouping: str) -> None:
    trainer = s2l(tmp_path, given=explorer(), grouping=grouping, **HALF)
    buffers = with_buffers(trainer)
    trained(trainer)
    for batches in buffers.seen:
        for batch in batches:
            assert abs(float(batch["advantages"].sum())) < 1e-4
            if grouping == "split":
                assert abs(float(batch["advantages"][batch["explorer"]].sum())) < 1e-4
    sources = [abs(entry["explorer/advantage"]) for entry in logged(trainer)]
    assert (max(sources) < 1e-5) == (grouping == "split")  # float32 sums of advantages of about 1


@pytest.mark.parametrize("fraction", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_a_run_resumed_in_its_second_epoch_sees_the_same_prompts(tmp_path: Path, fraction: float) -> None:
    """TRL alone sees the first epoch's order again. Four rounds an epoch, checkpoint after the fifth."""
    settings: dict[str, Any] = {"save_strategy": "steps", "save_steps": 5, "max_steps": 7, "learning_rate": 1e-5}
    settings |= {"schedule": "constant", "explorer_fraction": fraction}
    given = explorer() if fraction else None
    whole = s2l(tmp_path / "whole", given=given, **settings)
    expected = trained(whole)
    resumed = s2l(tmp_path / "resumed", given=given, **settings)
    found = trained(resumed, resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-5"))
    assert losses(resumed) == losses(whole)
    assert torch.equal(found.parameters[-1], expected.parameters[-1])


@pytest.mark.parametrize("correction", ["behaviour", pytest.param("truncated", marks=pytest.mark.slow)])
def test_a_resumed_run_is_an_uninterrupted_one(tmp_path: Path, correction: str) -> None:
    """Losses, parameters, rounds and cost, from a checkpoint in the middle of the mix."""
    settings = {"correction": correction, "save_strategy": "steps", "save_steps": 2, "max_steps": 4, "mix_steps": 4}
    whole = s2l(tmp_path / "whole", given=explorer(), **settings)
    expected = trained(whole)
    resumed = s2l(tmp_path / "resumed", given=explorer(), **settings)
    found = trained(resumed, resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert losses(resumed) == losses(whole)
    assert torch.equal(found.parameters[-1], expected.parameters[-1])
    assert [e["round"] for e in resumed.state.log_history if "round" in e] == [1, 2, 3, 4]
    assert resumed.cost.explorer.tokens == whole.cost.explorer.tokens
    assert resumed.cost.grpo_rollout_flops == pytest.approx(whole.cost.grpo_rollout_flops)


def test_small_only_needs_no_learner_rollouts_and_repeats(tmp_path: Path) -> None:
    runs = []
    for name in "ab":
        trainer = s2l(tmp_path / name, given=explorer(), schedule="constant", explorer_fraction=1.0)
        runs.append((trained(trainer), losses(trainer)))
        assert trainer.cost.learner.tokens == 0
        assert trainer.cost.relative_rollout_compute == 1, "an explorer of the learner's size saves nothing"
        assert trainer.cost.explorer_share == 1
    assert_equal_runs(runs[0], runs[1])


def test_evaluation_is_the_learners_alone(tmp_path: Path) -> None:
    given = Overheard(explorer())
    trainer = s2l(tmp_path, given=given, per_device_eval_batch_size=8, **HALF)
    trained(trainer)
    calls = len(given.heard)
    measured = trainer.evaluate(dataset())
    assert len(given.heard) == calls
    assert "eval_reward" in measured
