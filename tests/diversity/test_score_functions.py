"""Head score functions: equal to autograd's, uncorrelated on policy and not off it, within the bounds that hold."""

from __future__ import annotations

import functools

import markov_policy as chain
import numpy as np
import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from s2l_lab.diversity.score_functions import (
    Interference,
    LagCovariance,
    head_gradient,
    interference,
    projected_scores,
    relative_interference,
    score_covariance,
    score_gram,
)
from s2l_lab.diversity.scoring import head_inputs
from s2l_lab.diversity.survival import matched_length
from s2l_lab.diversity.theory_bounds import paper_bound, score_bound, vacuous_from
from s2l_lab.errors import DataError, UsageError
from s2l_lab.estimators.problem_interval import student_t

LEARNER = chain.policy(chain.LEARNER_VD)
BEHAVIOURS = {
    "on policy": LEARNER,
    "temperature": chain.policy(chain.LEARNER_VD, 1.5),
    "explorer": chain.policy(chain.EXPLORER_VD),
}
DIRECTION = np.random.default_rng(20).normal(size=chain.LEARNER_VD.shape)
BOUND = score_bound(float(np.linalg.norm(chain.FEATURES_SD, axis=1).max()), DIRECTION)
TRACE = np.array([2, 4, 2, 4, 2])


def z_of(estimate: object, null: float = 0.0) -> float:
    reach = (estimate.upper - estimate.lower) / 2  # type: ignore[attr-defined]
    error = reach / student_t(0.95, estimate.n_problems - 1)  # type: ignore[attr-defined]
    return (estimate.value - null) / error  # type: ignore[attr-defined]


@functools.cache
def chain_scores(name: str) -> tuple[chain.Rollouts, np.ndarray]:
    """Rollouts and z of every token, by the module itself: the chain's tokens are one long rollout to it."""
    drawn = chain.sample(BEHAVIOURS[name], problems=600, rollouts=50, seed=7)
    s = drawn.state_N
    return drawn, projected_scores(LEARNER[s], chain.FEATURES_SD[s], drawn.token_N, DIRECTION)


def covariances(name: str, lags: list[int]) -> list[LagCovariance]:
    drawn, z_N = chain_scores(name)
    matched = [matched_length(tokens, TRACE) for tokens in drawn.by_rollout(drawn.token_N)]
    return score_covariance(drawn.by_rollout(z_N), matched, drawn.problem_R, lags, BOUND)


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    """A random Qwen3 whose output layer is a matrix of its own."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=23,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        tie_word_embeddings=False,
        max_position_embeddings=64,
    )
    subject = Qwen3ForCausalLM(config).eval()
    with torch.no_grad():
        subject.lm_head.weight.mul_(20)
    return subject


PROMPT, COMPLETION = (3, 4, 5), np.array([7, 1, 7, 22, 0], np.int32)


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_equal_to_autograd_on_an_untied_model(model: Qwen3ForCausalLM, temperature: float) -> None:
    ids = torch.tensor([[*PROMPT, *COMPLETION]])
    logprob_TV = torch.log_softmax(model(input_ids=ids).logits[0, len(PROMPT) - 1 : -1] / temperature, -1)
    gradients = []
    for t, token in enumerate(COMPLETION):
        (gradient,) = torch.autograd.grad(logprob_TV[t, int(token)], model.lm_head.weight, retain_graph=True)
        gradients.append(gradient.double().numpy())
    u_TVD = np.array(gradients)
    prob_TV, hidden_TD = head_inputs(model, [PROMPT], [COMPLETION], temperature=temperature)[0]
    scale = np.linalg.norm(u_TVD, axis=(1, 2)).max()
    expected_TT = np.einsum("tvd,svd->ts", u_TVD, u_TVD)
    assert score_gram(prob_TV, hidden_TD, COMPLETION, temperature) == pytest.approx(expected_TT, abs=1e-5 * scale**2)
    direction_VD = np.random.default_rng(1).normal(size=u_TVD.shape[1:])
    z_T = projected_scores(prob_TV, hidden_TD, COMPLETION, direction_VD, temperature)
    assert z_T == pytest.approx((u_TVD * direction_VD).sum((1, 2)), abs=1e-5 * scale * np.linalg.norm(direction_VD))
    total_VD = head_gradient(prob_TV, hidden_TD, COMPLETION, temperature)
    assert total_VD == pytest.approx(u_TVD.sum(0), abs=1e-5 * scale)
    parts = interference(score_gram(prob_TV, hidden_TD, COMPLETION, temperature))
    assert parts.total == pytest.approx((u_TVD.sum(0) ** 2).sum(), rel=1e-5)
    assert parts.own == pytest.approx((u_TVD**2).sum(), rel=1e-5)
    assert parts.total == pytest.approx(parts.own + parts.cross)
    bound = score_bound(float(np.linalg.norm(hidden_TD, axis=1).max()), direction_VD, temperature)
    assert np.abs(z_T).max() <= bound


def test_the_bound_is_reached_by_no_less() -> None:
    """V = (e_0 - e_1) x^T / sqrt 2 has norm 1; pi sits on token 1 and token 0 is drawn: |z| = sqrt 2 * |h|, h = 3 x."""
    x = np.array([0.6, 0.8])
    direction_VD = np.outer([1, -1, 0], x) / np.sqrt(2)
    z_T = projected_scores(np.array([[0.0, 1.0, 0.0]]), 3 * x[None], [0], direction_VD, temperature=2.0)
    assert z_T[0] == pytest.approx(np.sqrt(2) * 3 / 2)
    assert score_bound(3.0, direction_VD, 2.0) == pytest.approx(z_T[0])


def test_scores_are_uncorrelated_on_policy_at_every_lag() -> None:
    for found in covariances("on policy", [1, 2, 3, 5, 8]):
        assert abs(z_of(found.covariance)) < 4
        assert found.n_pairs > 100_000


@pytest.mark.parametrize("name", ["temperature", "explorer"])
def test_they_are_correlated_off_policy_for_temperature_as_for_an_explorer(name: str) -> None:
    assert max(abs(z_of(found.covariance)) for found in covariances(name, [1, 2, 3])) > 6


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_bounds_hold_and_the_papers_is_the_weaker_one_beyond_a_fifth(name: str) -> None:
    for found in covariances(name, [1, 2, 5]):
        assert abs(found.covariance.value) <= min(found.paper_bound, found.cauchy_schwarz)
        assert found.paper_bound == pytest.approx(5 * BOUND**2 * found.mismatch.value)
        assert found.cauchy_schwarz == pytest.approx(BOUND**2)
        assert found.mismatch.value > 0.2
        assert found.paper_bound > found.cauchy_schwarz


def test_on_policy_steps_add_up_like_a_random_walk_and_off_policy_faster() -> None:
    ratio = {}
    for name, behaviour in BEHAVIOURS.items():
        drawn = chain.sample(behaviour, problems=200, rollouts=10, seed=8)
        parts = [
            interference(score_gram(LEARNER[s], chain.FEATURES_SD[s], a))
            for s, a in zip(drawn.by_rollout(drawn.state_N), drawn.by_rollout(drawn.token_N), strict=True)
        ]
        ratio[name] = relative_interference(parts, drawn.problem_R)
    assert abs(z_of(ratio["on policy"])) < 4
    assert ratio["temperature"].lower > 0.1
    assert ratio["explorer"].lower > 0.5


def test_relative_interference_pools_rollouts() -> None:
    """(2 + 0 + 4) / (1 + 2 + 5) of two problems."""
    parts = [Interference(3, 1, 2), Interference(2, 2, 0), Interference(9, 5, 4)]
    found = relative_interference(parts, [0, 0, 1])
    assert found.value == pytest.approx(6 / 8)
    assert (found.n_problems, found.n_rollouts) == (2, 3)
    assert np.isnan(relative_interference([], []).value)


def test_covariance_is_its_definition() -> None:
    """Sample covariances at each problem and position, weighted by the rollouts there, by loops."""
    rng = np.random.default_rng(9)
    z_R = [rng.normal(rng.integers(0, 3), 1, rng.integers(0, 7)) for _ in range(30)]
    problem_R, matched_R, lag = rng.integers(0, 4, 30), rng.integers(0, 5, 30), 2
    total, left, pairs = 0.0, 0, 0
    for problem in range(4):
        for t in range(7):
            here = [i for i in range(30) if problem_R[i] == problem and len(z_R[i]) > t + lag]
            if len(here) > 1:
                total += len(here) * np.cov([z_R[i][t] for i in here], [z_R[i][t + lag] for i in here])[0, 1]
                left += sum(bool(matched_R[i] < t + 1) for i in here)
                pairs += len(here)
    (found,) = score_covariance(z_R, matched_R, problem_R, [lag], 2.0)
    assert found.covariance.value == pytest.approx(total / pairs)
    assert found.mismatch.value == pytest.approx(left / pairs)
    assert (found.n_pairs, found.lag) == (pairs, lag)


def test_the_mismatch_is_that_of_the_earlier_token() -> None:
    """Two rollouts of three tokens, one follows the decode for one, one for all: at t = 1, 2 the share is 0, 1/2."""
    z_R = [np.array([1.0, 2.0, 0.0]), np.array([0.0, 1.0, 5.0])]
    by_lag = score_covariance(z_R, [1, 3], [0, 0], [1, 2], 1.0)
    assert [found.mismatch.value for found in by_lag] == pytest.approx([(0 + 1 / 2) / 2, 0])


def test_expectations_that_move_with_the_position_are_no_covariance() -> None:
    """z_t = t + noise: a mean over all positions would see a trend as covariance."""
    z_R = list(np.arange(10) + np.random.default_rng(2).normal(0, 0.1, (4000, 10)))
    (found,) = score_covariance(z_R, np.zeros(4000), np.arange(4000) // 8, [1], 1.0)
    assert abs(z_of(found.covariance)) < 4
    assert found.mismatch.value == 1


def test_no_pair_is_nan() -> None:
    alone = score_covariance([np.ones(3), np.ones(3)], [0, 0], [0, 1], [1], 1.0)[0]  # one rollout in each problem
    assert np.isnan(alone.covariance.value)
    assert np.isnan(alone.paper_bound)
    assert alone.n_pairs == 0
    assert np.isnan(score_covariance([np.ones(3)] * 2, [0, 0], [0, 0], [3], 1.0)[0].covariance.value)
    assert np.isnan(score_covariance([], [], [], [1], 1.0)[0].covariance.value)


@pytest.mark.parametrize(("hazard", "token"), [(0.02, 12), (0.01, 23), (0.05, 5), (0.001, 224)])
def test_where_the_papers_bound_says_nothing(hazard: float, token: int) -> None:
    assert vacuous_from(hazard) == token
    mismatch = [1 - (1 - hazard) ** t for t in (token - 1, token)]
    assert paper_bound(2.0, mismatch[0]) <= 4 < paper_bound(2.0, mismatch[1])


def test_bad_input() -> None:
    prob_TV, hidden_TD = np.full((2, 3), 1 / 3), np.ones((2, 4))
    with pytest.raises(UsageError, match="given: 2, 2 and 1"):
        score_gram(prob_TV, hidden_TD, [0])
    with pytest.raises(
        UsageError, match=r"a direction of shape \(4, 3\) was given; the output layer has shape \(3, 4\)"
    ):
        projected_scores(prob_TV, hidden_TD, [0, 1], np.ones((4, 3)))
    with pytest.raises(UsageError, match="each must be at least 1"):
        score_covariance([np.ones(2)], [0], [0], [0], 1.0)
    with pytest.raises(UsageError, match="one matched length per rollout"):
        score_covariance([np.ones(2)], [0, 1], [0], [1], 1.0)
    with pytest.raises(DataError, match="NaN"):
        score_covariance([np.array([np.nan])], [0], [0], [1], 1.0)
    for bad in (0.0, 1.0):
        with pytest.raises(UsageError, match="must lie between 0 and 1"):
            vacuous_from(bad)
