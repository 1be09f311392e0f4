"""What the sampler promises off the CPU, checked on the device at hand: run it where a GPU is.

    python benchmarks/gpu_check.py [--model DIR] [--device cuda] [--compile]

It has never been run on a GPU. On a CPU it checks itself. Prompts of four lengths share a batch that is refilled (its
memory is cut to a few rollouts), and then:

1. log-probabilities are those of a plain pass over prompt and completion, within 1e-3 nats;
2. every rollout is the one that its problem draws alone, or its tokens part where the two differ by rounding (counted);
3. bits are refused off the CPU.

`--compile` runs the model's forward pass through torch.compile, with shapes that may change. Exits with 1 on a failure.
"""

from __future__ import annotations

import argparse
import time
import warnings
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from s2l_lab.errors import PolicyError
from s2l_lab.policies import Completion, SamplingParams
from s2l_lab.policies.keyed_sampler.sampler import Sampler
from s2l_lab.policies.waves import Prompted

EMBEDDED = Path(str(resources.files("s2l_lab.policies.tiny"))) / "tiny" / "2m"
TOLERANCE = 1e-3
SAMPLING = SamplingParams(max_tokens=48)
Drawn = dict[tuple[str, int], Completion]


def run(sampler: Sampler, requests: list[Prompted]) -> Drawn:
    return {(d.problem_id, d.index): d.completion for d in sampler.sample(requests, SAMPLING, "check")}


@torch.inference_mode()
def largest_gap(model: Any, requests: list[Prompted], drawn: Drawn) -> float:
    """Nats between the sampler's log-probabilities and those of a plain pass."""
    gaps = []
    for request in requests:
        for index in request.indices:
            completion = drawn[request.problem_id, index]
            ids = torch.tensor([[*request.prompt_ids, *map(int, completion.token_ids)]], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, len(request.prompt_ids) - 1 : -1].double()
            drawn_T = ids[0, len(request.prompt_ids) :]
            plain_T = logits.log_softmax(-1).gather(-1, drawn_T[:, None])[:, 0]
            gaps.append(float((plain_T.cpu() - torch.from_numpy(completion.logprobs)).abs().max()))
    return max(gaps)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=EMBEDDED)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    plain = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    if options.compile:
        model.compile(dynamic=True)
    words = range(5, min(len(tokenizer), 500))
    requests = [
        Prompted(f"p{i}", tuple(words[(7 * i + j * j) % len(words)] for j in range(6 + 9 * (i % 4))), tuple(range(24)))
        for i in range(12)
    ]
    warnings.simplefilter("error", UserWarning)  # falling back to waves of one length is a failure here
    sampler = Sampler(model, tokenizer, "check", exact=False)
    row_bytes, token_bytes = sampler._cache_bytes
    few = 60 * (row_bytes + 2 * token_bytes * 96 + 40 * model.config.vocab_size)
    start = time.perf_counter()
    together = run(Sampler(model, tokenizer, "check", exact=False, memory_budget=few), requests)
    seconds = time.perf_counter() - start
    alone = {key: completion for request in requests for key, completion in run(sampler, [request]).items()}
    gap = largest_gap(plain, requests, together)
    parted = sum(together[key].token_ids.tolist() != alone[key].token_ids.tolist() for key in together)
    tokens = sum(len(c.token_ids) for c in together.values())
    print(f"{options.device}: {tokens / seconds:.0f} tokens/s; log-probabilities {gap:.1e} nats from a plain pass")
    print(f"{parted} of {len(together)} rollouts part from those drawn alone")
    if options.device != "cpu":
        try:
            Sampler(model, tokenizer, "check", exact=True)
        except PolicyError as refusal:
            print(refusal)
        else:
            raise SystemExit("bits were promised off the CPU")
    if gap > TOLERANCE or parted > len(together) // 20:
        raise SystemExit("failed")


if __name__ == "__main__":
    main()
