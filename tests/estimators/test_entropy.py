"""Equal entropy: a policy that is the other one at another temperature is found."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2l_lab.errors import UsageError
from s2l_lab.estimators import match_both, match_temperature, pooled_entropy

LOGITS = np.random.default_rng(0).normal(0, 2, (50, 20))


def entropy_of(logits: np.ndarray, noise: float = 0.0) -> object:
    """Mean entropy over 50 states at a temperature; `noise` scatters each measurement."""
    rng = np.random.default_rng(1)

    def measure(temperature: float) -> float:
        scaled = logits / temperature
        p = np.exp(scaled - scaled.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return float(-(p * np.log(np.maximum(p, 1e-300))).sum(1).mean() * (1 + noise * rng.standard_normal()))

    return measure


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_a_policy_that_is_the_other_at_another_temperature_is_found_to_2_percent(factor: float) -> None:
    a, b = entropy_of(LOGITS), entropy_of(LOGITS / factor)  # b at 1 is a at `factor`
    both = match_both(a, b, 1.0, 1.0, tolerance=0.001)  # type: ignore[arg-type]  # closures
    assert both.a_as_b.temperature == pytest.approx(factor, rel=0.02)
    assert both.b_as_a.temperature == pytest.approx(1 / factor, rel=0.02)
    assert both.a_as_b.achieved == pytest.approx(both.a_as_b.target, rel=0.001)
    assert both.a_as_b.evaluations <= 20


def test_own_temperatures_set_the_targets() -> None:
    a = entropy_of(LOGITS)
    both = match_both(a, a, 0.7, 1.3, lowest=0.2, highest=2.0)  # type: ignore[arg-type]  # closures
    assert both.a_as_b.temperature == pytest.approx(1.3, rel=0.02)
    assert both.b_as_a.temperature == pytest.approx(0.7, rel=0.02)


def test_noise_in_the_measurement_is_survived() -> None:
    target = entropy_of(LOGITS)(1.4)  # type: ignore[operator]  # a closure
    seen = match_temperature(entropy_of(LOGITS, noise=0.003), target)  # type: ignore[arg-type]  # a closure
    assert seen.temperature == pytest.approx(1.4, rel=0.03)


def test_out_of_reach_is_nan_with_the_nearest_value() -> None:
    high = match_temperature(entropy_of(LOGITS), math.log(20) + 1)  # type: ignore[arg-type]  # a closure
    assert math.isnan(high.temperature)
    assert high.achieved == pytest.approx(entropy_of(LOGITS)(3.0))  # type: ignore[operator]  # a closure
    assert high.evaluations == 2
    low = match_temperature(entropy_of(LOGITS), 1.0, lowest=2.0, highest=3.0)  # type: ignore[arg-type]  # a closure
    assert math.isnan(low.temperature)
    assert low.achieved == pytest.approx(entropy_of(LOGITS)(2.0))  # type: ignore[operator]  # a closure


def test_tolerance_is_met_and_the_bracket_is_checked() -> None:
    rough = match_temperature(entropy_of(LOGITS), 1.5, tolerance=0.2)  # type: ignore[arg-type]  # a closure
    fine = match_temperature(entropy_of(LOGITS), 1.5, tolerance=1e-4)  # type: ignore[arg-type]  # a closure
    assert rough.evaluations < fine.evaluations
    assert abs(fine.achieved - 1.5) <= 1.5e-4
    with pytest.raises(UsageError, match="0 < lowest < highest"):
        match_temperature(entropy_of(LOGITS), 1.5, lowest=2.0, highest=1.0)  # type: ignore[arg-type]  # a closure


def test_pooling_weights_tokens_not_rollouts() -> None:
    seen = pooled_entropy([np.array([1.0, 1.0, 1.0, 1.0], np.float16), np.array([0.0], np.float16)])
    assert seen.per_token == pytest.approx(4 / 5)  # the mean of per-rollout means would say 1/2
    assert seen.per_sequence == pytest.approx(2.0)
    assert (seen.n_rollouts, seen.n_tokens) == (2, 5)
    empty = pooled_entropy([])
    assert math.isnan(empty.per_token)
    assert empty.n_tokens == 0
