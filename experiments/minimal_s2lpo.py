"""S2L-PO in one file: plain torch, the embedded family, Countdown, a CPU. No trainer, no batching tricks, no options.

    python experiments/minimal_s2lpo.py            about ten seconds

Algorithm 1 of arXiv 2605.30789. In round i of T_mix a frozen small explorer samples Gw of each group's G rollouts, with
Gw = ceil(G (T_mix - i)/(T_mix - 1)), and the learner the rest; all form one group with one baseline. One clipped
update with a KL term to the initial learner follows. After T_mix it is GRPO. `s2l_lab.training` is the same for
real runs: tests/training/test_minimal_s2lpo.py holds that both give equal losses and gradients on the same rollouts.

Axes: B rows = P problems x G slots, T completion tokens.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.problems import Problem
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.verifiers import Outcome, verify

TINY = Path(__file__).resolve().parents[1] / "s2l_lab" / "policies" / "tiny" / "tiny"
G, PROBLEMS, ROUNDS, T_MIX, MAX_TOKENS, LEARNING_RATE = 8, 8, 6, 4, 60, 5e-5
EPSILON, DELTA, BETA = 0.2, 3.0, 1e-3  # clip, dual clip, weight of the KL term
CAP = 2.0  # of the weights of `truncated` and `masked`


@dataclass
class Batch:
    """Rollouts of a round. Masks are 1 on real tokens; prompts are padded on the left, completions on the right."""

    prompt_BL: torch.Tensor
    prompt_mask_BL: torch.Tensor
    completion_BT: torch.Tensor
    mask_BT: torch.Tensor
    explorer_B: torch.Tensor  # True where the explorer sampled
    behaviour_BT: torch.Tensor  # log-probabilities of whoever sampled
    advantages_B: torch.Tensor


def explorer_slots(i: int) -> int:
    """Algorithm 1, with whole numbers: -(-a // b) is the ceiling of a / b."""
    return 0 if i > T_MIX else G if T_MIX == 1 else -(-G * (T_MIX - i) // (T_MIX - 1))


def advantages(rewards_PG: torch.Tensor) -> torch.Tensor:
    """Eq. 1: over the combined group, explorer's and learner's rollouts alike."""
    centred = rewards_PG - rewards_PG.mean(dim=1, keepdim=True)
    return (centred / (rewards_PG.std(dim=1, keepdim=True) + 1e-4)).flatten()


def token_logps(model: Any, batch: Batch) -> torch.Tensor:
    """(B, T) log-probabilities of the completions' tokens."""
    ids = torch.cat([batch.prompt_BL, batch.completion_BT], dim=1)
    attention = torch.cat([batch.prompt_mask_BL, batch.mask_BT], dim=1)
    logits = model(input_ids=ids, attention_mask=attention).logits[:, -batch.completion_BT.shape[1] - 1 : -1]
    return logits.log_softmax(-1).gather(-1, batch.completion_BT[..., None]).squeeze(-1)


def surrogate(
    logps: torch.Tensor, old: torch.Tensor, batch: Batch, correction: str
) -> tuple[torch.Tensor, torch.Tensor | float]:
    """(B, T) importance ratio and weight of every token. Only the explorer's rows are corrected."""
    rows, b, now = batch.explorer_B[:, None], batch.behaviour_BT, logps.detach()
    if correction == "behaviour":
        return torch.exp(logps - torch.where(rows, b, old)), 1.0
    if (
        correction == "behaviour_sequence"
    ):  # Eq. 2: the whole rollout's ratio; exp(logps - now) only carries the gradient
        whole = torch.exp(((now - b) * batch.mask_BT).sum(dim=1, keepdim=True))
        return torch.where(rows, whole * torch.exp(logps - now), torch.exp(logps - old)), 1.0
    ratio, weight = torch.exp(logps - old), torch.exp(old - b)
    if correction == "truncated":
        return ratio, torch.where(rows, weight.clamp(max=CAP), 1.0)
    if correction == "masked":
        return ratio, torch.where(rows, weight * ((weight >= 1 / CAP) & (weight <= CAP)), 1.0)
    return ratio, 1.0  # none: the explorer's text as if the learner had written it (the released code)


def loss_of(
    logps: torch.Tensor, old: torch.Tensor, reference: torch.Tensor, batch: Batch, correction: str
) -> torch.Tensor:
    """The clipped objective with dual clip and k3 KL, a mean over tokens. All log-probabilities are (B, T)."""
    ratio, weight = surrogate(logps, old, batch, correction)
    A = batch.advantages_B[:, None] * weight
    policy = torch.min(ratio.clamp(max=DELTA) * A, ratio.clamp(1 - EPSILON, 1 + EPSILON) * A)
    kl = torch.exp(reference - logps) - (reference - logps) - 1
    return ((BETA * kl - policy) * batch.mask_BT).sum() / batch.mask_BT.sum()


@torch.no_grad()
def sample(
    model: Any, prompt_BL: torch.Tensor, prompt_mask_BL: torch.Tensor, eos: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, MAX_TOKENS) token ids, their log-probabilities, and the mask up to the EOS; at temperature 1."""
    ids, attention, cache = prompt_BL, prompt_mask_BL, None
    tokens, logps, masks = [], [], []
    alive = torch.ones(len(ids), dtype=torch.long)
    step = ids
    for _ in range(MAX_TOKENS):
        out = model(input_ids=step, attention_mask=attention, past_key_values=cache, use_cache=True)
        cache, law = out.past_key_values, out.logits[:, -1].log_softmax(-1)
        token = torch.multinomial(law.exp(), 1, generator=generator)
        tokens.append(token)
        logps.append(law.gather(-1, token))
        masks.append(alive[:, None])
        step, attention = token, torch.cat([attention, alive[:, None]], dim=1)
        alive = alive * (token[:, 0] != eos)
    mask_BT = torch.cat(masks, dim=1)
    return torch.cat(tokens, dim=1) * mask_BT, torch.cat(logps, dim=1) * mask_BT, mask_BT


def explore_and_exploit(
    models: tuple[Any, Any], tokenizer: Any, problems: list[Problem], slots: int, generator: torch.Generator
) -> tuple[Batch, torch.Tensor]:
    """One round's rollouts by (explorer, learner) with their (P, G) rewards."""
    prompts = tokenizer([render_compact(p) for p in problems], return_tensors="pt", padding=True, padding_side="left")
    ids, attention = (prompts[name].repeat_interleave(G, dim=0) for name in ("input_ids", "attention_mask"))
    explorer_B = torch.tensor([(j + 1) * slots // G > j * slots // G for j in range(G)]).repeat(len(problems))
    tokens, logps, mask = (torch.zeros(len(ids), MAX_TOKENS, dtype=t) for t in (torch.long, torch.float, torch.long))
    for model, rows in zip(models, (explorer_B, ~explorer_B), strict=True):
        if rows.any():
            found = sample(model, ids[rows], attention[rows], tokenizer.eos_token_id, generator)
            tokens[rows], logps[rows], mask[rows] = found
    texts = [tokenizer.decode(row[m.bool()], skip_special_tokens=True) for row, m in zip(tokens, mask, strict=True)]
    rewards = torch.tensor([is_correct(text, problems[i // G]) for i, text in enumerate(texts)]).view(-1, G)
    return Batch(ids, attention, tokens, mask, explorer_B, logps, advantages(rewards)), rewards


def is_correct(text: str, problem: Problem) -> float:
    verdict = verify(text, problem.answer, "countdown", metadata=problem.metadata)
    return float(verdict.outcome is Outcome.CORRECT)


def train(correction: str = "none", seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(TINY / "60k")
    explorer = AutoModelForCausalLM.from_pretrained(TINY / "60k").eval()  # frozen: no optimiser ever sees it
    learner = AutoModelForCausalLM.from_pretrained(TINY / "360k").eval()  # eval: there is no dropout to switch on
    reference = copy.deepcopy(learner)
    optimiser = torch.optim.AdamW(learner.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    problems = list(countdown_benchmark(ROUNDS * PROBLEMS, split="train").problems)
    print("round  explorer slots  reward of explorer  of learner      loss")
    for i in range(1, ROUNDS + 1):
        here = problems[(i - 1) * PROBLEMS : i * PROBLEMS]
        batch, rewards = explore_and_exploit((explorer, learner), tokenizer, here, explorer_slots(i), generator)
        with torch.no_grad():
            kept = token_logps(reference, batch)
        logps = token_logps(learner, batch)
        loss = loss_of(
            logps, logps.detach(), kept, batch, correction
        )  # one update a round: the old learner is this one
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
        by = [rewards.flatten()[rows].mean().item() for rows in (batch.explorer_B, ~batch.explorer_B)]
        print(f"{i:5d} {explorer_slots(i):15d} {by[0]:19.3f} {by[1]:11.3f} {loss.item():9.5f}")


if __name__ == "__main__":
    train()
