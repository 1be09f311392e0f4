"""Our sampler against `model.generate` at its best batch size, tokens per second, T = 1, no truncation.

    python benchmarks/sampler.py [--model DIR] [--problems 64] [--rollouts 64 256] [--tokens 160] [--rounds 3]
        [--batches 128 256 512 1024] [--ways generate apart merged]

The model is the embedded family's largest member on Countdown problems with its own template, or a chat model in DIR
on four kinds of reasoning-gym problems in turn, whose prompts differ in length, with the model's own template.
`generate` gets what it does best: problems sorted by prompt length (so there is next to no padding), fused attention,
and the batch size that won a sweep over a quarter of the problems. Then three ways in turn: generate, our sampler with
a row per rollout (`merge=False`), and our sampler as it is, one forward per distinct prefix. A token counts once, its
EOS included. Aims: 2x without merging and 4x with it for the embedded family; for a chat model 1x at N = 8 and 2x at
N = 64.

How much merging saves is the model's, not ours: the report holds the share of forward rows that are left. Writes
results/sampler.json, one entry per model: medians over the rounds, of tokens per second and of the ratios. On a machine
that others use at the same time, the ratios of CPU time are the ones to read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from results_file import keep, machine, results_path
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.policies import SamplingParams
from s2l_lab.policies.keyed_sampler.packed_linear import pack_linears
from s2l_lab.policies.keyed_sampler.sampler import Sampler
from s2l_lab.policies.stopping import eos_ids
from s2l_lab.policies.tiny.prompt import render_compact
from s2l_lab.policies.waves import Prompted
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.problems.gym import gym_benchmark

if TYPE_CHECKING:
    from collections.abc import Callable


class Speed(NamedTuple):
    """Drawn tokens per second."""

    wall: float
    cpu: float
    """Of all threads: what counts where other work shares the machine."""


GYM = ("gsm_symbolic", "leg_counting", "chain_sum", "letter_counting")
EMBEDDED = Path(str(resources.files("s2l_lab.policies.tiny"))) / "tiny" / "2m"


class Generate:
    """transformers' own sampling loop over all rollouts, `batch` rows at a time."""

    def __init__(self, directory: Path, prompts: list[Prompted], tokens: int) -> None:
        self._model, self._tokens = load(directory), tokens
        tokenizer = AutoTokenizer.from_pretrained(directory)
        self._eos = sorted(eos_ids(self._model, tokenizer))
        self._pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self._eos[0]
        self._prompts = sorted(prompts, key=lambda p: len(p.prompt_ids))
        self.batch = 1

    @torch.inference_mode()
    def __call__(self) -> int:
        rows = [p.prompt_ids for p in self._prompts for _ in p.indices]
        return sum(self._batch(rows[i : i + self.batch]) for i in range(0, len(rows), self.batch))

    def _batch(self, rows: list[tuple[int, ...]]) -> int:
        length, pad = max(map(len, rows)), self._pad
        ids = torch.tensor([[pad] * (length - len(r)) + list(r) for r in rows])
        mask = torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows])
        drawn = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=self._tokens,
            eos_token_id=self._eos,
            pad_token_id=pad,
        )[:, length:]
        ended = torch.isin(drawn, torch.tensor(self._eos)).int()
        return int(torch.where(ended.any(1), ended.argmax(1) + 1, drawn.shape[1]).sum())


class Ours:
    """Our sampler; counts forward rows on the side."""

    def __init__(self, directory: Path, prompts: list[Prompted], tokens: int, merge: bool) -> None:
        model = load(directory)
        pack_linears(model)
        self._sampler = Sampler(model, AutoTokenizer.from_pretrained(directory), "benchmark", merge=merge)
        self._prompts, self._tokens, self._seed, self.rows = prompts, tokens, 0, 0
        model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, _model: Any, _args: Any, kwargs: Any) -> None:
        self.rows += kwargs["input_ids"].shape[0]

    def __call__(self) -> int:
        self._seed += 1
        sampling = SamplingParams(max_tokens=self._tokens, seed=self._seed)
        draws = self._sampler.sample(self._prompts, sampling, "benchmark")
        return sum(len(d.completion.token_ids) for d in draws if d.completion.token_ids is not None)


def load(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def prompts_of(directory: Path, problems: int, rollouts: int) -> list[Prompted]:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    if directory == EMBEDDED:
        chosen = list(countdown_benchmark(problems).problems)
        texts = [render_compact(p) for p in chosen]
    else:
        kinds = [gym_benchmark(name, -(-problems // len(GYM))).problems for name in GYM]
        chosen = [problem for group in zip(*kinds, strict=True) for problem in group][:problems]
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": p.prompt}], add_generation_prompt=True, tokenize=False
            )
            for p in chosen
        ]
    ids = [tuple(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in texts]
    return [Prompted(p.id, i, tuple(range(rollouts))) for p, i in zip(chosen, ids, strict=True)]


def measure(run: Callable[[], int]) -> Speed:
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = run()
    return Speed(tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu))


def compare(directory: Path, rollouts: int, options: argparse.Namespace) -> dict[str, Any]:
    problems, tokens = options.problems, options.tokens
    prompts = prompts_of(directory, problems, rollouts)
    lengths = sorted(len(p.prompt_ids) for p in prompts)
    generate = Generate(directory, prompts, tokens)
    trial = Generate(directory, prompts[: max(1, problems // 4)], tokens)
    made: dict[str, Any] = {"generate": generate}
    made |= {name: Ours(directory, prompts, tokens, name == "merged") for name in ("apart", "merged")}
    sweep: dict[int, Speed] = {}
    for batch in options.batches:
        if len(options.batches) > 1:
            trial.batch = batch
            sweep[batch] = measure(trial)
            print(f"  generate, batch {batch:5}{sweep[batch].wall:21.0f} tokens/s", flush=True)
    generate.batch = max(sweep, key=lambda batch: sweep[batch].cpu, default=options.batches[0])
    ways: dict[str, Callable[[], int]] = {name: made[name] for name in options.ways}
    speeds: dict[str, list[Speed]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            speeds[name].append(measure(way))
    found = {
        "problems": problems,
        "rollouts": rollouts,
        "tokens": tokens,
        "prompt_tokens": [lengths[0], lengths[-1]],
        "rounds": options.rounds,
        "generate_sweep": {batch: speed.wall for batch, speed in sweep.items()},
        "generate_batch": generate.batch,
        "tokens_per_second": {name: statistics.median(s.wall for s in speeds[name]) for name in ways},
        "ratio_to_generate": {name: ratio(speeds, name, "wall") for name in ways},
        "cpu_ratio_to_generate": {name: ratio(speeds, name, "cpu") for name in ways},
    }
    if {"apart", "merged"} <= ways.keys():
        found["forward_rows_left_by_merging"] = made["merged"].rows / made["apart"].rows
    return found


def ratio(speeds: dict[str, list[Speed]], name: str, clock: str) -> float:
    """Median over rounds of this way's speed over generate's."""
    pairs = zip(speeds[name], speeds["generate"], strict=True)
    return statistics.median(getattr(a, clock) / getattr(b, clock) for a, b in pairs)


LABELS = {"generate": "generate", "apart": "ours, a row per rollout", "merged": "ours"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=EMBEDDED)
    parser.add_argument("--name", help="of the model in the report; by default that of its directory")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--rollouts", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 256, 512, 1024])
    parser.add_argument("--ways", nargs="+", choices=list(LABELS), default=list(LABELS))
    options = parser.parse_args()
    results = []
    for rollouts in options.rollouts:
        print(f"{options.problems} problems x {rollouts} rollouts", flush=True)
        result = compare(options.model, rollouts, options)
        results.append(result)
        for name in options.ways:
            print(
                f"  {LABELS[name]:24}{result['tokens_per_second'][name]:15.0f} tokens/s"
                f"{result['ratio_to_generate'][name]:8.2f} x{result['cpu_ratio_to_generate'][name]:8.2f} x in CPU time",
                flush=True,
            )
        if "forward_rows_left_by_merging" in result:
            print(f"  merging leaves {result['forward_rows_left_by_merging']:.0%} of the rows")
    name = options.name or ("tiny-2m" if options.model == EMBEDDED else options.model.name)
    path = results_path("sampler")
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    versions = machine("numpy", "torch", "transformers", threads=torch.get_num_threads())
    keep("sampler", report | {name: {"results": results, "machine": versions}})


if __name__ == "__main__":
    main()
