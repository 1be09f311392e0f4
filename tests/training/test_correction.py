"""Corrections by hand: three tokens with pi / b of 1/2, 1 and 2, advantages +1 and -1.

Token losses are those of TRL, -min(r A', clip(r, .8, 1.2) A') with A' = weight * A, so a correction's effect on value
and gradient can be read off a table.
"""

from __future__ import annotations

import pytest
import torch

from s2l_lab.training.correction import Correction, correct, passes_gradient

LOW, HIGH = 0.2, 0.2
RATIOS = torch.tensor([0.5, 1.0, 2.0])
MASK = torch.ones(1, 3)
EXPLORER = torch.tensor([True])


def surrogate(
    correction: Correction, advantage: float, *, cap: float = 1.5, delta: float | None = None, explorer: bool = True
) -> tuple[list[float], list[float]]:
    """Loss of each token and its derivative by that token's log-probability."""
    behaviour = torch.log(torch.tensor([[0.2, 0.2, 0.2]]))
    logps = (behaviour + RATIOS.log()).requires_grad_()  # the learner now, which is the learner at generation
    rows = EXPLORER if explorer else ~EXPLORER
    found = correct(correction, logps, logps.detach(), behaviour, rows, MASK, cap)
    ratio = torch.exp(logps - found.denominator_BT)
    advantages = found.weight_BT * advantage
    clipped = ratio.clamp(1 - LOW, 1 + HIGH)
    ratio = ratio if delta is None else ratio.clamp(max=delta)
    loss = -torch.min(ratio * advantages, clipped * advantages)
    (gradient,) = torch.autograd.grad(loss.sum(), logps)
    return loss[0].tolist(), gradient[0].tolist()


@pytest.mark.parametrize(
    ("correction", "advantage", "losses", "gradients"),
    [
        # The ratio is 1 everywhere: the explorer's text as if the learner had written it.
        ("none", +1, [-1, -1, -1], [-1, -1, -1]),
        ("none", -1, [1, 1, 1], [1, 1, 1]),
        # Ratios .5, 1, 2. A = +1: 2 is clipped to 1.2, no gradient. A = -1: .5 is clipped to .8, no gradient; 2 is not.
        ("behaviour", +1, [-0.5, -1, -1.2], [-0.5, -1, 0]),
        ("behaviour", -1, [0.8, 1, 2], [0, 1, 2]),
        # The rollout's ratio is .5 * 1 * 2 = 1, for every token.
        ("behaviour_sequence", +1, [-1, -1, -1], [-1, -1, -1]),
        ("behaviour_sequence", -1, [1, 1, 1], [1, 1, 1]),
        # Weights min(ratio, 1.5) = .5, 1, 1.5; the surrogate's own ratio is 1.
        ("truncated", +1, [-0.5, -1, -1.5], [-0.5, -1, -1.5]),
        ("truncated", -1, [0.5, 1, 1.5], [0.5, 1, 1.5]),
        # Outside [1/1.5, 1.5] dropped: only the middle token is left.
        ("masked", +1, [0, -1, 0], [0, -1, 0]),
        ("masked", -1, [0, 1, 0], [0, 1, 0]),
    ],
)
def test_three_tokens_by_hand(correction: Correction, advantage: float, losses: list, gradients: list) -> None:
    found_losses, found_gradients = surrogate(correction, advantage)
    assert found_losses == pytest.approx(losses, abs=1e-6)
    assert found_gradients == pytest.approx(gradients, abs=1e-6)


@pytest.mark.parametrize("correction", ["none", "behaviour", "behaviour_sequence", "truncated", "masked"])
@pytest.mark.parametrize("advantage", [1.0, -1.0])
def test_learner_rows_are_never_corrected(correction: Correction, advantage: float) -> None:
    assert surrogate(correction, advantage, explorer=False) == surrogate("none", advantage)


def test_delta_bounds_negative_advantages() -> None:
    """A = -1, ratio 2, delta 1.5: loss 1.5 without gradient instead of 2 with."""
    losses, gradients = surrogate("behaviour", -1, delta=1.5)
    assert losses == pytest.approx([0.8, 1, 1.5])
    assert gradients == pytest.approx([0, 1, 0])


def test_a_sequence_ratio_is_clipped_as_a_whole() -> None:
    """Three tokens at ratio 2: the rollout's is 8. A = +1 is clipped to 1.2 and silent, A = -1 moves by 8 a token."""
    behaviour = torch.log(torch.tensor([[0.2, 0.2, 0.2, 0.9]]))
    logps = behaviour + torch.log(torch.tensor([[2.0, 2.0, 2.0, 7.0]]))
    mask = torch.tensor([[1.0, 1.0, 1.0, 0.0]])  # the last token is padding
    found = correct("behaviour_sequence", logps, logps, behaviour, EXPLORER, mask, 2.0)
    assert torch.exp(logps - found.denominator_BT)[0].tolist() == pytest.approx([8.0] * 4)


@pytest.mark.parametrize("advantage", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("delta", [None, 1.5, 3.0])
def test_passes_gradient_agrees_with_autograd(advantage: float, delta: float | None) -> None:
    ratio = torch.tensor([[0.1, 0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 1.4, 1.6, 2.9, 3.1]]).requires_grad_()
    upper = ratio if delta is None else ratio.clamp(max=delta)
    loss = -torch.min(upper * advantage, ratio.clamp(1 - LOW, 1 + HIGH) * advantage)
    (gradient,) = torch.autograd.grad(loss.sum(), ratio)
    found = passes_gradient(ratio.detach(), torch.full_like(ratio, advantage), LOW, HIGH, delta)
    assert torch.equal(found, gradient != 0)
