"""When a run stops and when it warns, in training itself; partial checkpoints; costs by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import explorer, learner, losses, reward, s2l, trained

from s2l_lab.errors import PolicyError, UsageError
from s2l_lab.estimators.compute import rollout_flops, update_flops
from s2l_lab.policies import Completion, ModelShape, StopReason
from s2l_lab.training.cost import Cost
from s2l_lab.training.explorer import ExplorerRollout, Request, check_rollouts, rollout_of
from s2l_lab.training.perturbed import PrunedLayers, RoundedWeights, WeightNoise
from s2l_lab.training.stops import SILENT_ROUNDS, SilenceWatch, TrainingStoppedError, last_whole_checkpoint

HALF = {"schedule": "constant", "explorer_fraction": 0.5}


def test_a_round_with_too_many_unscored_rollouts_stops_and_names_the_checkpoint(tmp_path: Path) -> None:
    """8 rollouts a round; the verifier fails on one of them (12.5 %) in the third round."""
    calls = []

    def failing(completions, **_: Any) -> list[float | None]:
        calls.append(1)
        scores: list[float | None] = list(reward(completions))
        if len(calls) == 3:
            scores[5] = None
        return scores

    settings = {"save_strategy": "steps", "save_steps": 1, **HALF}
    with pytest.raises(TrainingStoppedError, match=r"round 3: 12.5% .* at most 5% .*checkpoint-2"):
        trained(s2l(tmp_path, given=explorer(), reward_funcs=failing, **settings))


def test_a_few_unscored_rollouts_are_left_out(tmp_path: Path) -> None:
    def failing(completions, **_: Any) -> list[float | None]:
        return [None, *reward(completions)[1:]]

    trainer = s2l(tmp_path, given=explorer(), reward_funcs=failing, max_steps=1, per_device_train_batch_size=32, **HALF)
    trained(trainer)
    assert trainer.state.log_history[0]["unscored"] == 1 / 32


@pytest.mark.parametrize("fraction", [0.0, 0.5])
def test_a_loss_that_is_not_finite_stops_before_it_is_applied(tmp_path: Path, fraction: float) -> None:
    """Rewards cannot do it (TRL sets their NaN to 0), so the model's log-probabilities are broken."""
    trainer = s2l(tmp_path, given=explorer() if fraction else None, schedule="constant", explorer_fraction=fraction)
    original = type(trainer)._get_per_token_logps_and_entropies

    def broken(*args: Any, **kwargs: Any) -> Any:
        logps, *rest = original(trainer, *args, **kwargs)
        return logps * torch.nan, *rest

    trainer._get_per_token_logps_and_entropies = broken
    with pytest.raises(TrainingStoppedError, match="after optimiser step 0 is not finite"):
        trained(trainer)


def test_a_correction_that_silences_the_explorer_stops(tmp_path: Path) -> None:
    """An explorer at T = 5 draws tokens that the learner would not: their sequence ratios vanish."""
    settings = {"correction": "behaviour_sequence", "explorer_temperature": 5.0, **HALF}
    with pytest.raises(
        TrainingStoppedError, match=r"round 1: correction 'behaviour_sequence' .* explorer_weight_floor"
    ):
        trained(s2l(tmp_path, given=explorer(), **settings))
    silent = s2l(tmp_path, given=explorer(), **{**settings, "explorer_weight_floor": 0.0})
    trained(silent)
    assert len(losses(silent)) == 3


@pytest.mark.parametrize(
    ("mean", "why"), [(0.0, "too hard"), (1.0, "equally good"), (math.nan, "no rollout was scored")]
)
def test_many_silent_rounds_warn_once_with_the_reason(mean: float, why: str) -> None:
    watch = SilenceWatch()
    for _ in range(SILENT_ROUNDS - 1):
        watch.see(1.0, mean)
    watch.see(0.5, mean)
    for _ in range(SILENT_ROUNDS - 1):
        watch.see(1.0, mean)
    with pytest.warns(UserWarning, match=why):
        watch.see(1.0, mean)


def test_a_checkpoint_without_its_last_file_is_partial(tmp_path: Path) -> None:
    assert last_whole_checkpoint(tmp_path) is None
    for step, whole in ((2, True), (10, True), (12, False)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if whole:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-old").mkdir()
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


SHAPE = ModelShape(60_000, 50_000, 32, 40, 2, 1, 32)
SMALL = ModelShape(6_000, 5_000, 16, 40, 1, 1, 16)


def test_costs_by_hand() -> None:
    """Two rollouts of each source, prompt 10, completions 5; GRPO's would be four at the learner's price."""
    cost, lengths = Cost(), [(10, 5), (10, 5)]
    cost.add_rollouts(cost.learner, lengths, shape=SHAPE, learner=SHAPE, group_size=4, seconds=2.0)
    cost.add_rollouts(cost.explorer, lengths, shape=SMALL, learner=SHAPE, group_size=4, seconds=1.0)
    large = 2 * rollout_flops(SHAPE, 10, 5, rollouts_per_prefill=4)
    small = 2 * rollout_flops(SMALL, 10, 5, rollouts_per_prefill=4)
    assert cost.relative_rollout_compute == pytest.approx((large + small) / (2 * large))
    assert cost.explorer_share == pytest.approx(small / (large + small))
    assert (cost.explorer.tokens, cost.learner.tokens, cost.explorer.seconds) == (10, 10, 1.0)
    cost.add_updates([(10, 5)], shape=SHAPE, checkpointing=True, reference=True, old=False)
    assert cost.updates.flops == update_flops(SHAPE, 15, checkpointing=True, reference=True)
    assert Cost.from_dict(cost.to_dict()) == cost
    assert "rollout compute relative to GRPO: 0." in cost.summary()


def test_nothing_sampled_has_no_ratio() -> None:
    assert math.isnan(Cost().relative_rollout_compute)
    assert "cost/explorer_share" not in Cost().metrics()
    assert Cost().summary() == "no rollouts were sampled."


REQUEST = Request((1, 2), 1, 0, 1)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([[]], r"gave \[0\] rollouts, asked were \[1\]"),
        ([[ExplorerRollout((), ())]], "completion of 0 tokens"),
        ([[ExplorerRollout((3,) * 5, (-1.0,) * 5)]], r"5 tokens; 1 to 4"),
        ([[ExplorerRollout((9,), (-1.0,))]], "token id 9; .* below 9"),
        ([[ExplorerRollout((3,), (-math.inf,))]], "one finite number"),
        ([[ExplorerRollout((3, 4), (-1.0,))]], "one finite number"),
    ],
)
def test_what_an_explorer_gives_is_checked(answers: Any, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        check_rollouts("e", [REQUEST], answers, limit=4, vocabulary=9)


def test_texts_alone_are_no_rollouts() -> None:
    ids = np.array([1], dtype=np.int32)
    text_only = Completion("a", ids, None, None, None, StopReason.EOS, 1)
    with pytest.raises(PolicyError, match="without token ids and log-probabilities"):
        rollout_of("e", text_only)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: WeightNoise(0), "above 0"),
        (lambda: RoundedWeights(1), "2 to 16 bits"),
        (lambda: PrunedLayers((9,)).apply(_model(), 0), "cannot be left out"),
    ],
)
def test_perturbations_out_of_range_are_refused(make, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


def test_rounded_weights_have_so_many_values() -> None:
    model = _model()
    RoundedWeights(3).apply(model, 0)
    matrix = model.model.layers[0].mlp.up_proj.weight
    assert all(len(row.unique()) <= 7 for row in matrix)
    assert matrix.abs().amax() > 0


def test_noise_has_the_size_that_it_says() -> None:
    model, clean = _model(), _model()
    WeightNoise(0.1).apply(model, 3)
    a, b = model.model.layers[0].mlp.up_proj.weight, clean.model.layers[0].mlp.up_proj.weight
    assert float((a - b).square().mean().sqrt() / b.square().mean().sqrt()) == pytest.approx(0.1, rel=0.05)


def _model() -> Any:
    return learner().requires_grad_(False)
