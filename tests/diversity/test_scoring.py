"""Scoring: equal to what the sampler stored, to brute force, and to itself in any batch and order."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers import models as architectures

from s2l_lab.diversity import teacher_forcing
from s2l_lab.diversity.scoring import TokenScores, head_inputs, sampling_temperature, score
from s2l_lab.errors import DataError, PolicyError, UsageError
from s2l_lab.policies import Draws, SamplingParams, open_policy
from s2l_lab.problems.countdown import countdown_benchmark

if TYPE_CHECKING:
    from s2l_lab.policies.transformers_engine import TransformersPolicy

VOCABULARY = 29
FIELDS = TokenScores.__slots__


def random_model(name: str = "Qwen3Config", seed: int = 0, **changes: Any) -> Any:
    """A small causal LM whose distributions are far from uniform."""
    fields = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": None,
    }
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(getattr(architectures, name)(**{**fields, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn_like(parameter) * 1.5 / parameter.shape[1] ** 0.5)
        model.get_output_embeddings().weight.mul_(2)
    return model


def random_rollouts(seed: int = 0) -> tuple[list[tuple[int, ...]], list[np.ndarray]]:
    """Eleven rollouts: unequal prompts and completions, a repeat, and an empty completion."""
    rng = np.random.default_rng(seed)
    prompts = [tuple(rng.integers(0, VOCABULARY, rng.integers(1, 12)).tolist()) for _ in range(9)]
    completions = [rng.integers(0, VOCABULARY, rng.integers(1, 20)).astype(np.int32) for _ in range(9)]
    return [*prompts, prompts[3], (5,)], [*completions, completions[3], np.zeros(0, np.int32)]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@torch.inference_mode()
def logits_of(model: Any, prompt: tuple[int, ...], completion: np.ndarray) -> np.ndarray:
    """(T, V) by one forward pass over one rollout."""
    ids = torch.tensor([[*prompt, *completion.tolist()]])
    return model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double().numpy()


def brute_force(learner: Any, behaviour: Any, temperatures: tuple[float, float], rollout: Any) -> list[np.ndarray]:
    own = log_softmax(logits_of(learner, *rollout) / temperatures[0])
    b = log_softmax(logits_of(behaviour, *rollout) / temperatures[1])
    rows, tokens = np.arange(len(own)), rollout[1]
    return [
        own[rows, tokens],
        -(np.exp(own) * own).sum(1),
        -(np.exp(b) * own).sum(1),
        (np.exp(b) * (b - own)).sum(1),
        b[rows, tokens],
        -(np.exp(b) * b).sum(1),
    ]


def assert_close(a: TokenScores, b: TokenScores | list[np.ndarray], tolerance: float) -> None:
    for i, field in enumerate(FIELDS):
        other = getattr(b, field) if isinstance(b, TokenScores) else b[i]
        assert np.abs(getattr(a, field) - other).max(initial=0) <= tolerance, field


@functools.cache
def tiny(name: str) -> TransformersPolicy:
    return open_policy(name, engine="transformers")  # type: ignore[return-value]  # what this engine opens


@pytest.mark.parametrize("temperature", [1.0, 1.5])
def test_equal_to_what_the_sampler_stored(temperature: float) -> None:
    policy = tiny("tiny-60k")
    problems = {p.id: p for p in countdown_benchmark(4).problems}
    sampling = SamplingParams(max_tokens=80, temperature=temperature)
    draws = list(policy.sample([Draws(p, tuple(range(12))) for p in problems.values()], sampling))
    found = score(
        policy.model,
        [policy.encode(problems[d.problem_id]) for d in draws],
        [d.completion.token_ids for d in draws],
        behaviour_temperature=sampling_temperature(sampling),
        max_tokens_in_batch=600,
    )
    for scores, completion in zip(found, (d.completion for d in draws), strict=True):
        plain = completion.logprobs if completion.logprobs_t1 is None else completion.logprobs_t1
        assert scores.logprob == pytest.approx(plain, abs=1e-4)
        assert scores.behaviour_logprob == pytest.approx(completion.logprobs, abs=1e-4)
        assert scores.behaviour_entropy == pytest.approx(completion.entropies, abs=1e-2)
        assert len(scores.kl) == len(completion.token_ids)  # type: ignore[arg-type]  # this engine has ids
        if temperature == 1:
            assert np.array_equal(scores.cross_entropy, scores.entropy)
            assert not scores.kl.any()
        else:
            assert scores.kl.mean() > 0.01


@pytest.mark.parametrize("temperatures", [(1.0, 1.0), (1.0, 1.5), (0.7, 1.3), (1.4, 1.4)])
@pytest.mark.parametrize("own", [True, False])
def test_equal_to_brute_force(temperatures: tuple[float, float], own: bool) -> None:
    learner, behaviour = random_model(), random_model(seed=1, hidden_size=48, num_hidden_layers=1)
    rollouts = random_rollouts()
    found = score(
        learner,
        *rollouts,
        behaviour_model=None if own else behaviour,
        learner_temperature=temperatures[0],
        behaviour_temperature=temperatures[1],
    )
    for scores, rollout in zip(found, zip(*rollouts, strict=True), strict=True):
        assert_close(scores, brute_force(learner, learner if own else behaviour, temperatures, rollout), 1e-5)
        assert all(getattr(scores, field).dtype == np.float32 for field in FIELDS)
        assert (scores.kl >= 0).all()


def test_the_learner_named_as_behaviour_policy_is_on_policy() -> None:
    learner = random_model()
    for scores in score(learner, *random_rollouts(), behaviour_model=learner):
        assert np.array_equal(scores.cross_entropy, scores.entropy)
    copy = random_model()  # other tensors, equal weights
    for scores in score(learner, *random_rollouts(), behaviour_model=copy):
        # float32 log-probabilities of some nats, summed over the vocabulary: 1e-6 would be a few of their last bits.
        assert scores.cross_entropy == pytest.approx(scores.entropy, abs=1e-5)
        assert scores.kl == pytest.approx(np.zeros(len(scores.kl)), abs=1e-5)


NAMES: dict[str, dict[str, Any]] = {
    "Qwen3Config": {},
    "Gemma3TextConfig": {"sliding_window": 7, "layer_types": ["sliding_attention", "full_attention"]},
    "Lfm2Config": {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    "Gemma2Config": {"final_logit_softcapping": 2.0},
    "GraniteConfig": {"logits_scaling": 3.0},
}


@pytest.mark.parametrize("name", NAMES)
def test_batches_order_and_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (prompts, completions) = random_model(name, **NAMES[name]), random_rollouts()
    alone = [score(model, [p], [c], behaviour_temperature=1.2)[0] for p, c in zip(prompts, completions, strict=True)]
    rollout = prompts[0], completions[0]
    assert_close(alone[0], brute_force(model, model, (1.0, 1.2), rollout), 1e-5)
    order = np.random.default_rng(1).permutation(len(prompts))
    for max_tokens, entries in ((1, 2**22), (64, 2**22), (4096, 2**22), (4096, 3 * VOCABULARY)):
        monkeypatch.setattr(teacher_forcing, "_ENTRIES_CPU", entries)
        monkeypatch.setattr(teacher_forcing, "_LEAST_ROWS", 1)
        shuffled = score(
            model,
            [prompts[i] for i in order],
            [completions[i] for i in order],
            behaviour_temperature=1.2,
            max_tokens_in_batch=max_tokens,
        )
        for i, scores in zip(order, shuffled, strict=True):
            assert_close(scores, alone[i], 1e-5)


def test_equal_rollouts_run_once_and_batches_hold_what_they_may() -> None:
    prompts, completions = random_rollouts()
    planned = teacher_forcing.plan(prompts, completions, 40)
    assert planned.distinct_R == [0, 1, 2, 3, 4, 5, 6, 7, 8, 3, -1]
    assert sorted(m for batch in planned.batches for m in batch.member_B) == list(range(9))
    assert all(b.ids_BL.numel() <= 40 or len(b.member_B) == 1 for b in planned.batches)
    assert len(planned.batches) < 9
    moved = teacher_forcing.plan([(1, 2), (1,)], [np.array([3]), np.array([2, 3])], 40)
    assert moved.distinct_R == [0, 1]  # the same text, but not the same prompt


def test_head_inputs_make_the_logits() -> None:
    model, (prompts, completions) = random_model(), random_rollouts()
    weight_VD = model.get_output_embeddings().weight.detach().double().numpy()
    found = head_inputs(model, prompts, completions, temperature=1.5, max_tokens_in_batch=64)
    for inputs, prompt, completion in zip(found, prompts, completions, strict=True):
        assert inputs.prob_TV.shape == (len(completion), VOCABULARY)
        assert inputs.hidden_TD.shape == (len(completion), 32)
        product = np.exp(log_softmax(inputs.hidden_TD @ weight_VD.T / 1.5))
        assert inputs.prob_TV == pytest.approx(product, abs=1e-5)
        assert inputs.prob_TV == pytest.approx(
            np.exp(log_softmax(logits_of(model, prompt, completion) / 1.5)), abs=1e-5
        )


@pytest.mark.parametrize("name", ["Gemma2Config", "GraniteConfig"])
def test_a_model_that_does_more_to_its_logits_has_no_head_inputs(name: str) -> None:
    with pytest.raises(PolicyError, match="ForCausalLM does more to its logits"):
        head_inputs(random_model(name, **NAMES[name]), *random_rollouts())


@pytest.mark.parametrize(
    "truncating",
    [{"top_p": 0.9}, {"top_k": 5}, {"min_p": 0.1}, {"presence_penalty": 0.5}, {"temperature": 0.0}],
)
def test_policies_that_truncate_or_penalise_are_refused(truncating: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="cannot be scored: a policy that truncates"):
        sampling_temperature(SamplingParams(**truncating))  # type: ignore[arg-type]  # as a user gives them
    assert sampling_temperature(SamplingParams(temperature=0.7)) == 0.7


def test_rollouts_that_cannot_be_scored_are_refused() -> None:
    model = random_model()
    with pytest.raises(
        DataError, match=r"rollout 1 has no token ids, .* Sample it with the engine transformers or vllm"
    ):
        score(model, [(1,), (1,)], [np.array([2]), None])
    with pytest.raises(DataError, match="the prompt of rollout 0 has no tokens"):
        score(model, [()], [np.array([2])])
    with pytest.raises(UsageError, match="given: 1 and 0"):
        score(model, [(1,)], [])
    for bad in ([29], [3, -1]):
        with pytest.raises(DataError, match="the learner knows ids from 0 to 28"):
            score(model, [(1,)], [np.array(bad)])
    assert len(score(model, [(1,)], [np.zeros(64, np.int32)])[0].kl) == 64  # the last token is only predicted
    with pytest.raises(DataError, match="a rollout has 66 tokens with its prompt, and the learner's context is 64"):
        score(model, [(1,)], [np.zeros(65, np.int32)])
    assert score(model, [], []) == []


def test_models_that_cannot_score_are_refused() -> None:
    model, rollout = random_model(), ([(1,)], [np.array([2, 3])])
    with pytest.raises(PolicyError, match="the learner has 29 tokens and the behaviour policy 31"):
        score(model, *rollout, behaviour_model=random_model(vocab_size=31))
    with pytest.raises(UsageError, match="the behaviour policy is in training mode"):
        score(model, *rollout, behaviour_model=random_model().train())
    broken = random_model(seed=2)
    with torch.no_grad():
        broken.get_output_embeddings().weight[3] = torch.nan
    with pytest.raises(PolicyError, match="the behaviour policy gave NaN or infinite logits"):
        score(model, *rollout, behaviour_model=broken)
    with pytest.raises(PolicyError, match="the learner gave NaN or infinite logits"):
        score(broken, *rollout)
    with pytest.raises(PolicyError, match="the model gave NaN or infinite logits"):
        head_inputs(broken, *rollout)


def test_arguments_out_of_range_are_refused() -> None:
    model, rollout = random_model(), ([(1,)], [np.array([2, 3])])
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="behaviour_temperature"):
            score(model, *rollout, behaviour_temperature=bad)
        with pytest.raises(UsageError, match="learner_temperature"):
            score(model, *rollout, learner_temperature=bad)
        with pytest.raises(UsageError, match="temperature = "):
            head_inputs(model, *rollout, temperature=bad)
    with pytest.raises(UsageError, match="max_tokens_in_batch = 0"):
        score(model, *rollout, max_tokens_in_batch=0)
