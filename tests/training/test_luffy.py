"""LUFFY's shaping, f(pi) = pi / (pi + gamma) in place of the ratio, against closed forms and a softmax of its own.

The objective of an explorer token is f(pi) A, unclipped, so its gradient is gamma pi / (pi + gamma)^2 A grad log pi
(arXiv 2504.14945). Everything is taken through TRL's own loss, min(ratio A', clip(ratio) A').
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_training import explorer, grpo, losses, s2l, trained

from s2l_lab.training.correction import Corrected, correct
from s2l_lab.training.metrics import ExplorerTokens

CLIP = (0.2, 0.2, 3.0)
HALF = {"schedule": "constant", "explorer_fraction": 0.5}
LUFFY = {**HALF, "correction": "luffy"}

probabilities = st.floats(1e-6, 1 - 1e-6)
gammas = st.floats(1e-3, 1e3)
advantages = st.sampled_from([-2.0, -0.5, 0.5, 2.0])


def loss_of(
    logps_BT: torch.Tensor, advantage: float, gamma: float, explorer_B: list[bool], old_BT: torch.Tensor | None = None
) -> tuple[torch.Tensor, Corrected]:
    """TRL's clipped loss, summed over the tokens."""
    old_BT = logps_BT.detach() if old_BT is None else old_BT
    nan, ones = torch.full_like(old_BT, math.nan), torch.ones_like(old_BT)
    found = correct("luffy", logps_BT, old_BT, nan, torch.tensor(explorer_B), ones, 1.0, gamma)
    low, high, delta = CLIP
    ratio, weighted = torch.exp(logps_BT - found.denominator_BT), found.weight_BT * advantage
    return -torch.min(ratio.clamp(max=delta) * weighted, ratio.clamp(1 - low, 1 + high) * weighted).sum(), found


@settings(max_examples=200)
@given(p=probabilities, gamma=gammas, advantage=advantages)
def test_value_and_gradient_are_the_closed_forms(p: float, gamma: float, advantage: float) -> None:
    logps = torch.tensor([[math.log(p)]], dtype=torch.float64, requires_grad=True)
    loss, found = loss_of(logps, advantage, gamma, [True])
    (gradient,) = torch.autograd.grad(loss, logps)
    assert loss.item() == pytest.approx(-advantage * p / (p + gamma), rel=1e-9)
    assert gradient.item() == pytest.approx(-advantage * gamma * p / (p + gamma) ** 2, rel=1e-9)
    assert found.slope_BT is not None
    assert -advantage * found.slope_BT.item() == pytest.approx(gradient.item(), rel=1e-9, abs=1e-15)


@settings(max_examples=60)
@given(
    logits=st.lists(st.floats(-4, 4), min_size=3, max_size=6),
    token=st.integers(0, 2),
    gamma=gammas,
    advantage=advantages,
)
def test_through_a_softmax_it_is_the_gradient_of_the_shaped_probability(
    logits: list[float], token: int, gamma: float, advantage: float
) -> None:
    """Independent of any log-probability: f of the softmax itself, differentiated by autograd."""
    mine = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    loss, _ = loss_of(torch.log_softmax(mine, 0)[token].reshape(1, 1), advantage, gamma, [True])
    theirs = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    probability = torch.softmax(theirs, 0)[token]
    (-advantage * probability / (probability + gamma)).backward()
    (gradient,) = torch.autograd.grad(loss, mine)
    torch.testing.assert_close(gradient, theirs.grad, rtol=1e-7, atol=1e-12)


@given(p=probabilities, advantage=advantages)
def test_a_large_gamma_leaves_the_unclipped_probability(p: float, advantage: float) -> None:
    """gamma f(x) -> x: the importance ratio to a writer of probability 1."""
    gamma = 1e9
    logps = torch.tensor([[math.log(p)]], dtype=torch.float64, requires_grad=True)
    loss, _ = loss_of(logps, advantage, gamma, [True])
    (gradient,) = torch.autograd.grad(loss, logps)
    assert gamma * loss.item() == pytest.approx(-advantage * p, rel=1e-6)
    assert gamma * gradient.item() == pytest.approx(-advantage * p, rel=1e-6)


@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.tuples(probabilities, st.floats(-1, 1)), min_size=3, max_size=3), min_size=2, max_size=2),
    advantage=advantages,
)
def test_the_learners_rows_are_those_of_no_correction_to_the_bit(rows: Any, advantage: float) -> None:
    values = torch.tensor(rows, dtype=torch.float32)
    logps, old = values[..., 0].log(), values[..., 0].log() + values[..., 1]

    def by(correction: Any, explorer_B: list[bool]) -> list[torch.Tensor]:
        now = logps.clone().requires_grad_()
        ones = torch.ones_like(now)
        found = correct(correction, now, old, old * math.nan, torch.tensor(explorer_B), ones, 1.0)
        ratio, weighted = torch.exp(now - found.denominator_BT), found.weight_BT * advantage
        loss = -torch.min(ratio * weighted, ratio.clamp(0.8, 1.2) * weighted)
        (gradient,) = torch.autograd.grad(loss.sum(), now)
        return [loss.detach(), gradient]

    for mine, plain in zip(by("luffy", [False, False]), by("none", [False, False]), strict=True):
        assert torch.equal(mine, plain)
    for mine, plain in zip(by("luffy", [True, False]), by("none", [True, False]), strict=True):
        assert torch.equal(mine[1], plain[1])


def test_the_logged_weight_is_the_mean_slope_and_nothing_counts_as_clipped() -> None:
    p, gamma = torch.tensor([[0.9, 0.1, 0.01]]), 0.1
    logps = p.log().requires_grad_()
    _, found = loss_of(logps, 1.0, gamma, [True])
    ones = torch.ones_like(p)
    tokens = ExplorerTokens.of(logps, found, ones[:, :1], torch.tensor([True]), ones, CLIP)
    assert tokens.weight == pytest.approx((gamma * p / (p + gamma) ** 2).mean().item())
    logged = tokens.metrics()
    assert logged["explorer/ratio"] == logged["explorer/gradient_positive"] == 1


def test_training_by_it_equals_a_loss_written_out_by_hand(tmp_path: Path) -> None:
    """One step of the trainer from texts without log-probabilities, against the same rollouts' shaped loss."""
    seen: list[Any] = []

    def says(prompts: list[list[int]], sampling: Any) -> list[list[int]]:
        return [[3 + (i + j) % 5 for j in range(4)] for i, _ in enumerate(prompts)]

    trainer = s2l(tmp_path, given=says, **LUFFY, max_steps=1, beta=0.0, lr_scheduler_type="constant", logging_steps=1)
    inner = trainer._compute_loss

    def watched(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        batch = {name: value.clone() if torch.is_tensor(value) else value for name, value in inputs.items()}
        loss = inner(model, inputs)
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
        width = batch["completion_ids"].size(1)
        logits = model(input_ids=ids, attention_mask=attention).logits[:, -width - 1 : -1]
        logps = torch.log_softmax(logits.float(), -1).gather(2, batch["completion_ids"][..., None])[..., 0]
        ratio, p = torch.exp(logps - logps.detach()), torch.exp(logps)
        objective = torch.where(batch["explorer"][:, None], p / (p + 0.1), ratio) * batch["advantages"][:, None]
        mask = batch["completion_mask"]
        expected = -(objective * mask).sum() / mask.sum()
        parameters = list(model.parameters())
        pairs = [torch.autograd.grad(one, parameters, retain_graph=True) for one in (loss, expected)]
        seen.append((loss.item(), expected.item(), *(torch.cat([g.flatten() for g in gs]) for gs in pairs)))
        return loss

    trainer._compute_loss = watched
    trained(trainer)
    ((loss, expected, gradient, by_hand),) = seen
    assert loss == pytest.approx(expected, rel=1e-5)
    assert gradient.norm() > 0
    torch.testing.assert_close(gradient, by_hand, rtol=1e-4, atol=1e-7)


def test_without_explorer_slots_it_is_grpo_to_the_bit(tmp_path: Path) -> None:
    ours = s2l(tmp_path / "a", explorer_fraction=0.0, correction="luffy")
    a = trained(ours)
    theirs = grpo(tmp_path / "b", explorer_fraction=0.0)
    b = trained(theirs)
    assert losses(ours) == losses(theirs)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters, b.parameters, strict=True))


def test_a_confident_learner_is_never_stopped_for_a_small_slope(tmp_path: Path) -> None:
    """A gamma so small that every slope lies below the floor: the floor is about weights, and this is none."""
    trainer = s2l(
        tmp_path,
        given=explorer(),
        **LUFFY,
        correction_gamma=1e-6,
        explorer_weight_floor=0.5,
        explorer_top_p=0.9,  # no probability of the explorer's is asked for
        max_steps=1,
    )
    trained(trainer)
    assert 0 < trainer.state.log_history[0]["explorer/weight"] < 0.5
