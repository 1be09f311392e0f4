"""Laws of the two baselines."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.errors import UsageError
from s2l_lab.training.advantages import EPSILON, mixed_advantages, split_advantages, zero_variance

NAN = math.nan
REWARDS = st.lists(st.sampled_from([0.0, 1.0, 0.5, NAN]), min_size=2, max_size=12)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float32)


def test_hand_numbers() -> None:
    """Rewards 1, 0, 0, 1: mean 1/2, sample deviation sqrt(4 * 1/4 / 3) = 0.57735."""
    expected = 0.5 / (math.sqrt(1 / 3) + EPSILON)
    assert mixed_advantages(row(1, 0, 0, 1))[0].tolist() == pytest.approx([expected, -expected, -expected, expected])
    assert mixed_advantages(row(1, 0, 0, 1), scale=False)[0].tolist() == [0.5, -0.5, -0.5, 0.5]


def test_split_groups_are_two_groups() -> None:
    """Explorer 1, 0 and learner 1, 1, 0: neither source hears of the other."""
    explorer = torch.tensor([[True, False, True, False, False]])
    found = split_advantages(row(1, 1, 0, 1, 0), explorer)[0]
    assert torch.equal(found[[0, 2]], mixed_advantages(row(1, 0))[0])
    assert torch.equal(found[[1, 3, 4]], mixed_advantages(row(1, 1, 0))[0])


@given(rewards=REWARDS, data=st.data())
def test_mixed_advantages_sum_to_zero_per_group_and_split_ones_per_source(rewards: list[float], data) -> None:
    sources = data.draw(st.lists(st.booleans(), min_size=len(rewards), max_size=len(rewards)))
    explorer, values = torch.tensor([sources]), row(*rewards)
    assert abs(float(mixed_advantages(values).sum())) < 1e-4
    found = split_advantages(values, explorer)
    assert abs(float(found[explorer].sum())) < 1e-4
    assert abs(float(found[~explorer].sum())) < 1e-4


@given(rewards=REWARDS)
def test_split_with_one_source_is_mixed(rewards: list[float]) -> None:
    values = row(*rewards)
    for explorer in (torch.zeros_like(values).bool(), torch.ones_like(values).bool()):
        assert torch.equal(split_advantages(values, explorer), mixed_advantages(values))


def test_unscored_rollouts_leave_the_baseline_and_get_nothing() -> None:
    found = mixed_advantages(row(1, NAN, 0))
    assert found[0, 1] == 0
    assert torch.equal(found[:, [0, 2]], mixed_advantages(row(1, 0)))
    assert mixed_advantages(row(NAN, NAN)).tolist() == [[0, 0]]


def test_a_lone_rollout_gets_zero_or_by_name_its_raw_reward() -> None:
    explorer = torch.tensor([[True, False, False]])
    assert split_advantages(row(1, 0, 1), explorer)[0, 0] == 0
    released = split_advantages(row(1, 0, 1), explorer, lone="released")
    assert released[0, 0] == 1
    assert torch.equal(released[0, 1:], mixed_advantages(row(0, 1))[0])


def test_zero_variance_counts_scored_rewards_only() -> None:
    rewards = torch.tensor([[1.0, 1.0, NAN], [0.0, 1.0, NAN], [NAN, NAN, NAN], [0.0, NAN, NAN]])
    assert zero_variance(rewards).tolist() == [True, False, True, True]


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean zero"):
        split_advantages(row(1, 0), torch.tensor([[True, False]]), lone="zeros")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="as many sources"):
        split_advantages(row(1, 0), torch.tensor([[True]]))
