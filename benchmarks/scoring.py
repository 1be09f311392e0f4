"""Scoring under a learner against a plain forward pass of its model over the same tokens in the same batches.

    python benchmarks/scoring.py [--rounds 3]

Two models, since the costs differ: the embedded family's largest member on 3,000 of its own rollouts of Countdown
problems (57 tokens in its vocabulary, so the trunk is all), and a random Qwen3 of width 256 with a vocabulary of 32,000
(the output layer is all, and scoring reads its logits several times more). The plain pass makes all logits and looks at
none; scoring makes those of completion tokens, their log-probabilities, entropies and cross-entropies. Timed in turn,
median CPU-time and wall-clock ratios over the rounds; aim: at least 0.5. For the record also with another behaviour
policy, which is a second model over the same tokens. Writes results/scoring.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from results_file import keep, machine
from transformers import Qwen3Config, Qwen3ForCausalLM

from s2l_lab.diversity.scoring import MAX_TOKENS_IN_BATCH, score
from s2l_lab.diversity.teacher_forcing import plan
from s2l_lab.policies import Draws, SamplingParams, open_policy
from s2l_lab.problems.countdown import countdown_benchmark

if TYPE_CHECKING:
    from collections.abc import Callable

ROLLOUTS = 3000
WIDE_ROLLOUTS = 300


class Case(NamedTuple):
    """A learner, another behaviour policy, and distinct rollouts."""

    name: str
    learner: Any
    behaviour: Any
    prompts: list[tuple[int, ...]]
    completions: list[np.ndarray]


class Seconds(NamedTuple):
    """Of one run."""

    wall: float
    cpu: float


def embedded() -> Case:
    learner, explorer = (open_policy(name, engine="transformers") for name in ("tiny-2m", "tiny-360k"))
    problems = {p.id: p for p in countdown_benchmark(100).problems}
    requests = [Draws(p, tuple(range(2 * ROLLOUTS // 100))) for p in problems.values()]
    drawn = {}
    for draw in explorer.sample(requests, SamplingParams(max_tokens=160)):
        ids = draw.completion.token_ids
        assert ids is not None  # this engine has them
        drawn[draw.problem_id, ids.tobytes()] = learner.encode(problems[draw.problem_id]), ids  # type: ignore[attr-defined]
    chosen = list(drawn.values())[:ROLLOUTS]
    models = learner.model, explorer.model  # type: ignore[attr-defined]  # what this engine opens
    return Case("tiny-2m", *models, [p for p, _ in chosen], [c for _, c in chosen])


def wide() -> Case:
    def model(seed: int) -> Any:
        torch.manual_seed(seed)
        config = Qwen3Config(
            vocab_size=32_000,
            hidden_size=256,
            intermediate_size=768,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=64,
            tie_word_embeddings=True,
        )
        return Qwen3ForCausalLM(config).eval()

    rng = np.random.default_rng(0)
    prompts = [tuple(rng.integers(0, 32_000, 20).tolist()) for _ in range(WIDE_ROLLOUTS)]
    completions = [rng.integers(0, 32_000, rng.integers(20, 80)).astype(np.int32) for _ in range(WIDE_ROLLOUTS)]
    return Case("random, width 256, vocabulary 32,000", model(0), model(1), prompts, completions)


@torch.inference_mode()
def plain(case: Case) -> None:
    for batch in plan(case.prompts, case.completions, MAX_TOKENS_IN_BATCH).batches:
        _ = case.learner(input_ids=batch.ids_BL, use_cache=False).logits


def measure(run: Callable[[], object]) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def compare(case: Case, rounds: int) -> dict[str, Any]:
    ways: dict[str, Callable[[], object]] = {
        "plain forward pass": lambda: plain(case),
        "learner alone": lambda: score(case.learner, case.prompts, case.completions),
        "learner and behaviour policy": lambda: score(
            case.learner, case.prompts, case.completions, behaviour_model=case.behaviour
        ),
    }
    seconds: dict[str, list[Seconds]] = {name: [] for name in ways}
    for round_ in range(rounds + 1):
        for name, way in ways.items():
            taken = measure(way)
            if round_:  # the first is for warming up
                seconds[name].append(taken)
    tokens = sum(map(len, case.completions))
    result = {
        "model": case.name,
        "rollouts": len(case.completions),
        "prompt_tokens": sum(map(len, case.prompts)),
        "completion_tokens": tokens,
        "completion_tokens_per_second": {
            name: tokens / statistics.median(s.wall for s in taken) for name, taken in seconds.items()
        },
        "speed_over_plain": {name: ratio(seconds, name, "wall") for name in ways},
        "speed_over_plain_cpu": {name: ratio(seconds, name, "cpu") for name in ways},
    }
    print(f"{case.name}: {len(case.completions):,} rollouts, {tokens:,} completion tokens")
    for name in ways:
        print(
            f"  {name:30}{result['completion_tokens_per_second'][name]:10,.0f} tokens/s"
            f"{result['speed_over_plain'][name]:8.2f} x{result['speed_over_plain_cpu'][name]:8.2f} x in CPU time",
            flush=True,
        )
    return result


def ratio(seconds: dict[str, list[Seconds]], name: str, clock: str) -> float:
    """Median over rounds of this way's speed over the plain pass's."""
    pairs = zip(seconds["plain forward pass"], seconds[name], strict=True)
    return statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    report = {
        "max_tokens_in_batch": MAX_TOKENS_IN_BATCH,
        "results": [compare(make(), rounds) for make in (embedded, wide)],
        "machine": machine("numpy", "torch", "transformers", threads=torch.get_num_threads()),
    }
    keep("scoring", report)


if __name__ == "__main__":
    main()
