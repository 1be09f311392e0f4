"""FLOPs by hand, pass@k at real k, and policies at equal compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import (
    Counts,
    equal_compute,
    flops_per_token,
    forward_flops,
    pass_at_k,
    pass_at_real_k,
    rollout_flops,
    update_flops,
)
from s2l_lab.policies import ModelShape


@dataclass(frozen=True)
class Matrices:
    """A one-layer model written out as its weight matrices, to count multiply-adds from."""

    width: int = 4
    heads: int = 2
    head_dim: int = 3
    hidden: int = 8
    vocabulary: int = 10

    def linear(self) -> list[tuple[int, int]]:
        inner = self.heads * self.head_dim
        attention = [(self.width, inner)] * 3 + [(inner, self.width)]
        mlp = [(self.width, self.hidden)] * 2 + [(self.hidden, self.width)]
        return attention + mlp


TINY = Matrices()
SHAPE = ModelShape(
    parameters=4 * 10 + 192, non_embedding_parameters=192, width=4, vocabulary=10, layers=1, heads=2, head_dim=3
)


def test_a_tiny_model_counted_by_hand() -> None:
    """192 = 4 * (4 x 6) + 3 * (4 x 8); 2 FLOPs per multiply-add, and q k and weights v over the context."""
    weights = sum(rows * columns for rows, columns in TINY.linear())
    assert weights == SHAPE.non_embedding_parameters == 192
    context = 5
    matrices = 2 * weights + 2 * TINY.width * TINY.vocabulary  # 384 + 80
    scores = 2 * TINY.heads * TINY.head_dim * context  # q . k
    mixed = 2 * TINY.heads * TINY.head_dim * context  # sum of weight * v
    assert flops_per_token(SHAPE, context) == matrices + scores + mixed == 464 + 24 * 5


def test_passes_sum_their_tokens() -> None:
    one_by_one = sum(flops_per_token(SHAPE, s) for s in range(1, 8))
    assert forward_flops(SHAPE, 7) == pytest.approx(one_by_one)
    # Prompt of 3, completion of 5: positions 1..3 and then 4..7, the fifth token being drawn and not fed.
    assert rollout_flops(SHAPE, 3, 5) == pytest.approx(one_by_one)
    prompt = sum(flops_per_token(SHAPE, s) for s in range(1, 4))
    assert rollout_flops(SHAPE, 3, 5, rollouts_per_prefill=4) == pytest.approx(one_by_one - prompt * 3 / 4)
    with pytest.raises(UsageError):
        rollout_flops(SHAPE, 0, 5)


def test_updates_cost_three_forwards_and_each_further_pass_one() -> None:
    forward = forward_flops(SHAPE, 6)
    assert update_flops(SHAPE, 6) == 3 * forward
    assert update_flops(SHAPE, 6, checkpointing=True) == 4 * forward
    assert update_flops(SHAPE, 6, reference=True) == 4 * forward
    assert update_flops(SHAPE, 6, checkpointing=True, reference=True, old_logprobs=True) == 6 * forward


def test_real_k_meets_whole_k_and_rises_between() -> None:
    rng = np.random.default_rng(0)
    total = rng.integers(20, 30, 40)
    correct = rng.binomial(total, rng.beta(0.3, 1, 40))
    np.testing.assert_allclose(pass_at_real_k(correct, total, range(1, 21)), pass_at_k(correct, total, range(1, 21)))
    fine = pass_at_real_k(correct, total, np.linspace(1, total.min(), 400))
    assert (np.diff(fine) >= -1e-12).all()
    assert pass_at_real_k([0], [20], 7.3)[0] == 0.0
    # Beyond N - c = 18 the last draws may still miss: continuous up to k = 19, where pass@k is 1.
    assert pass_at_real_k([2], [20], 18.0)[0] < pass_at_real_k([2], [20], 18.5)[0] < 1
    assert pass_at_real_k([20], [20], 1.0)[0] == 1.0
    # Rounding k to whole rollouts is what one does first; it is off by whole steps of the curve.
    assert pass_at_real_k([2], [20], 1.5)[0] == pytest.approx(0.148, abs=2e-3)
    with pytest.raises(UsageError, match="real k"):
        pass_at_real_k(correct, total, 0.5)


def counts(rates: np.ndarray, rollouts: int, seed: int, unknown: int = 0) -> Counts:
    correct = np.random.default_rng(seed).binomial(rollouts - unknown, rates)
    ids = tuple(f"p{i}" for i in range(rates.size))
    return Counts(ids, correct, np.full(rates.size, rollouts), np.full(rates.size, unknown))


RATES = np.random.default_rng(3).beta(0.5, 2, 50)


def test_a_budget_buys_each_policy_its_own_k() -> None:
    small, large = counts(RATES, 64, 0), counts(RATES, 64, 1)
    seen = equal_compute(small, large, 1e6, 4e6, rng=np.random.default_rng(0), budgets=9)
    np.testing.assert_allclose(seen.k_a, 4 * seen.k_b)
    np.testing.assert_allclose([seen.k_a[0], seen.k_a[-1], seen.k_b[0], seen.k_b[-1]], [4, 64, 1, 16])
    expected = pass_at_real_k(large.correct_P, large.total_P, seen.k_b) - pass_at_real_k(
        small.correct_P, small.total_P, seen.k_a
    )
    np.testing.assert_allclose(seen.value, expected, atol=1e-12)
    # Equal policies at a quarter of the draws: b is clearly behind, as equal k would hide.
    assert (seen.upper[:6] < 0).all()
    assert (seen.band_lower <= seen.lower).all()
    assert seen.budget.size == 9
    assert seen.n_problems == 50


def test_equal_cost_and_equal_counts_give_0_with_the_exact_paired_ends_and_unknown_rollouts_give_bounds() -> None:
    small = counts(RATES, 64, 0)
    same = equal_compute(small, small, 2.0, 2.0, rng=np.random.default_rng(0))
    assert (same.value == 0).all()
    np.testing.assert_allclose(same.upper, 1 - 0.025 ** (1 / RATES.size))
    lost = equal_compute(small, counts(RATES, 64, 0, unknown=2), 2.0, 2.0, rng=np.random.default_rng(0))
    assert np.isnan(lost.value[0])
    assert lost.lower[0] < lost.upper[0]


def test_seed_level_and_replicates_matter() -> None:
    def width(seed: int = 0, level: float = 0.95, replicates: int = 2_000) -> float:
        seen = equal_compute(
            counts(RATES, 64, 0), counts(RATES, 64, 1), 1.0, 3.0,
            rng=np.random.default_rng(seed), level=level, replicates=replicates,
        )  # fmt: skip
        return float((seen.band_upper - seen.band_lower).sum())

    assert width() == width()
    assert width(level=0.99) > width() > width(level=0.8)
    assert len({width(), width(seed=1), width(replicates=500)}) == 3


@pytest.mark.parametrize(("flops_a", "flops_b", "budgets"), [(1.0, 1e3, 8), (0.0, 1.0, 8), (1.0, 1.0, 1)])
def test_an_empty_range_of_budgets_is_refused(flops_a: float, flops_b: float, budgets: int) -> None:
    one = counts(RATES, 64, 0)
    with pytest.raises(UsageError, match="budget"):
        equal_compute(one, one, flops_a, flops_b, rng=np.random.default_rng(0), budgets=budgets)
