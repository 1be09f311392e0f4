"""Scoring: what the learner, and the behaviour policy that sampled them, say of every token of stored rollouts.

One teacher-forced pass over the data (teacher_forcing.py). With pi_L the learner and b the behaviour policy's
*sampling* distribution, softmax(logits / temperature), at the state s_t before token a_t, in nats (STATISTICS 7):

    logprob        log pi_L(a_t|s_t)                    behaviour_logprob   log b(a_t|s_t)
    entropy        H_L = -sum pi_L log pi_L             behaviour_entropy   H_b
    cross_entropy  CE = -sum b log pi_L                 kl                  KL(b || pi_L) = CE - H_b

temporal.py splits surprisal by them. On policy (no behaviour model, equal temperatures) CE is H_L to the bit and KL is
0: b is then not computed twice.

A behaviour policy that truncates or penalises is refused: b would be 0 where the learner is not, or depend on the
completion so far, and the split's null no longer holds. `sampling_temperature` is where a run's parameters are checked.
Everything is float32 log-softmax of the model's logits; a model in half precision still has its own rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from s2l_lab.diversity.teacher_forcing import Batch, Scored, by_rollout, chunks, plan, refuse_bad
from s2l_lab.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2l_lab.policies import SamplingParams

Float32 = NDArray[np.float32]

MAX_TOKENS_IN_BATCH = 4096


@dataclass(frozen=True, slots=True)
class TokenScores:
    """Scores of one rollout's T completion tokens, EOS included: arrays (T,) in nats. Empty for an empty completion."""

    logprob: Float32
    """Log-probability of each token under the learner, (T,), in nats, at most 0."""
    entropy: Float32
    """Entropy of the learner's distribution at each token, (T,), in nats, at least 0."""
    cross_entropy: Float32
    """Mean surprisal under the learner of a token drawn from the behaviour policy, (T,), in nats."""
    kl: Float32
    """KL(behaviour || learner) at each token, (T,), in nats, at least 0."""
    behaviour_logprob: Float32
    """Log-probability of each token under the distribution that sampled it, (T,), in nats, at most 0."""
    behaviour_entropy: Float32


def sampling_temperature(sampling: SamplingParams) -> float:
    """The temperature of a behaviour policy that can be scored. UsageError for one that truncates or penalises."""
    if sampling.full_support and not sampling.presence_penalty:
        return sampling.temperature
    raise UsageError(
        f"rollouts sampled with temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, top_k "
        f"{sampling.top_k}, min_p {sampling.min_p:g} and presence_penalty {sampling.presence_penalty:g} cannot be "
        "scored: a policy that truncates gives no probability to tokens that the learner allows, and one that "
        "penalises changes with what it has said, so surprisal has another mean than the cross-entropy scored here. "
        "Sample with top_p 1, top_k 0, min_p 0, no penalty and a temperature above 0."
    )


def score(
    learner_model: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[NDArray[np.integer] | None],
    *,
    behaviour_model: Any = None,
    behaviour_temperature: float = 1.0,
    learner_temperature: float = 1.0,
    max_tokens_in_batch: int = MAX_TOKENS_IN_BATCH,
) -> list[TokenScores]:
    """Score completions (T,) after their templated prompts; the result is in the order given.

    Models are loaded causal LMs in evaluation mode that share a tokenizer (the caller checks; vocabulary sizes are
    checked here). `behaviour_model` None: the learner itself sampled, at `behaviour_temperature`. Memory grows with
    `max_tokens_in_batch`, results do not change with it but for rounding.

    Raises UsageError for a temperature not above 0, DataError for missing token ids, ids outside the vocabulary and
    rollouts beyond a model's context, PolicyError for different vocabularies and for NaN or infinite logits.
    """
    for name, temperature in (("behaviour", behaviour_temperature), ("learner", learner_temperature)):
        if not 0 < temperature < np.inf:
            raise UsageError(f"{name}_temperature = {temperature:g} was asked; it must be above 0 and finite.")
    planned = plan(prompt_ids, completion_ids, max_tokens_in_batch)
    models = [Scored(learner_model, "learner")]
    if behaviour_model is not None and behaviour_model is not learner_model:
        models.append(Scored(behaviour_model, "behaviour policy"))
        _require_one_vocabulary(*models)
    for model in models:
        model.check(planned.batches)

    @torch.inference_mode()
    def run(batch: Batch) -> Float32:
        parts = []
        for logits, token_N in chunks(models, batch):
            parts.append(_scores(logits, token_N, learner_temperature, behaviour_temperature))
        score_CN: Float32 = torch.cat(parts, 1).cpu().numpy()
        refuse_bad(score_CN[:2], "learner")
        refuse_bad(score_CN, "behaviour policy")
        return score_CN

    return [TokenScores(*columns) for columns in by_rollout(planned, run, np.zeros((6, 0), np.float32))]


def _scores(
    logits: list[torch.Tensor], token_N: torch.Tensor, learner_temperature: float, behaviour_temperature: float
) -> torch.Tensor:
    """(6, N) scores, in the order of TokenScores' fields."""
    at = token_N[:, None]
    tempered_NV = logits[0] / learner_temperature if learner_temperature != 1 else logits[0]
    learner_NV = torch.log_softmax(tempered_NV, -1)
    # softmax, not exp of log_softmax: on a CPU torch's exp is five times slower than its softmax.
    logprob_N = learner_NV.gather(1, at)[:, 0]
    entropy_N = -torch.linalg.vecdot(torch.softmax(tempered_NV, -1), learner_NV)
    if len(logits) == 1 and behaviour_temperature == learner_temperature:
        return torch.stack([logprob_N, entropy_N, entropy_N, torch.zeros_like(logprob_N), logprob_N, entropy_N])
    tempered_NV = logits[-1] / behaviour_temperature if behaviour_temperature != 1 else logits[-1]
    b_NV, log_NV = torch.softmax(tempered_NV, -1), torch.log_softmax(tempered_NV, -1)
    cross_N, own_N = -torch.linalg.vecdot(b_NV, learner_NV), -torch.linalg.vecdot(b_NV, log_NV)
    own_logprob_N = log_NV.gather(1, at)[:, 0]
    kl_N = torch.linalg.vecdot(b_NV, log_NV.sub_(learner_NV)).clamp_(min=0)  # one sum: CE - H_b would cancel
    return torch.stack([logprob_N, entropy_N, cross_N, kl_N, own_logprob_N, own_N])


def _require_one_vocabulary(learner: Scored, behaviour: Scored) -> None:
    if learner.vocabulary != behaviour.vocabulary:
        raise PolicyError(
            f"the learner has {learner.vocabulary} tokens and the behaviour policy {behaviour.vocabulary}: their "
            "distributions are over different tokens and cannot be compared. Take two members of one family."
        )


class HeadInputs(NamedTuple):
    """What the score functions of the output layer are made of, for one rollout of T tokens."""

    prob_TV: NDArray[np.float64]
    """Distribution pi(.|s_t) over the vocabulary at each token, (T, V), at the temperature asked for."""
    hidden_TD: NDArray[np.float64]
    """State h_t after the final norm, (T, D), which the output layer multiplies."""


def head_inputs(
    model: Any,
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[NDArray[np.integer] | None],
    *,
    temperature: float = 1.0,
    max_tokens_in_batch: int = MAX_TOKENS_IN_BATCH,
) -> list[HeadInputs]:
    """Probabilities and final states at every completion token, for score_functions.py; 8 T (V + D) bytes a rollout.

    Raises as `score` does, and PolicyError for a model whose logits are more than its output layer times h_t.
    """
    if not 0 < temperature < np.inf:
        raise UsageError(f"temperature = {temperature:g} was asked; it must be above 0 and finite.")
    planned = plan(prompt_ids, completion_ids, max_tokens_in_batch)
    scored = Scored(model, "model")
    scored.check(planned.batches)
    if not scored.plain_head:
        raise PolicyError(
            f"{type(model).__name__} does more to its logits than multiply its last state by the output layer, so the "
            "`head` gradient has another form. Score functions are for models with a plain output layer."
        )
    vocabulary, width = scored.output.weight.shape

    @torch.inference_mode()
    def run(batch: Batch) -> NDArray[np.float64]:
        states_ND = scored.states(batch)
        prob_NV = torch.softmax(scored.logits(states_ND).double() / temperature, -1)
        inputs: NDArray[np.float64] = torch.cat([prob_NV, states_ND.double()], 1).T.cpu().numpy()
        refuse_bad(inputs, "model")
        return inputs

    both_R = by_rollout(planned, run, np.zeros((vocabulary + width, 0)))
    return [HeadInputs(both_CT[:vocabulary].T, both_CT[vocabulary:].T) for both_CT in both_R]
