"""Sample every member of both embedded families on validation and test problems and write the counts of every problem.

One entry of results.json per (policy, split, sampling). Entries that are there already, with the same weights and
sampling, are kept; so an interrupted run goes on, and `--policy NAME=DIRECTORY` adds further checkpoints.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from s2l_lab.policies import Draws, Policy, SamplingParams, StopReason, open_policy
from s2l_lab.policies.tiny.prompt import TEMPLATE
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.problems.problem import Benchmark
from s2l_lab.verifiers import Outcome, VerifyItem, verifier_version, verify_many

HERE = Path(__file__).parent
POLICIES = [f"{family}-{size}" for family in ("tiny", "tiny-rich") for size in ("60k", "360k", "2m")]
SAMPLINGS = {
    "T=1": SamplingParams(temperature=1.0, max_tokens=96),
    "T=.7, top-p .8": SamplingParams(temperature=0.7, top_p=0.8, max_tokens=96),
    "T=.6, top-p .95": SamplingParams(temperature=0.6, top_p=0.95, max_tokens=96),
}
PROBLEM_SETS = ("validation", "test", "fresh")
"""The first 100 problems of each held-out split, and test problems 101 to 400, which no earlier number rests on."""


def problem_set(name: str) -> Benchmark:
    if name == "validation":
        return countdown_benchmark(100, split="validation")
    test = countdown_benchmark(400)
    return replace(test, problems=test.problems[:100] if name == "test" else test.problems[100:])


def measure(policy: Policy, benchmark: Benchmark, sampling: SamplingParams, rollouts: int) -> dict[str, object]:
    """Counts of one policy on one benchmark, by problem in the benchmark's order."""
    requests = [Draws(problem, tuple(range(rollouts))) for problem in benchmark.problems]
    problem_of = {problem.id: problem for problem in benchmark.problems}
    started = time.monotonic()
    draws = list(policy.sample(requests, sampling))
    seconds = time.monotonic() - started
    verdicts = verify_many(
        [
            VerifyItem(problem_of[d.problem_id], d.completion.text, d.completion.stop_reason is StopReason.LENGTH)
            for d in draws
        ]
    )
    correct = dict.fromkeys(problem_of, 0)
    strategies: dict[str, set[str]] = {id: set() for id in problem_of}
    outcomes = dict.fromkeys(Outcome, 0)
    for draw, verdict in zip(draws, verdicts, strict=True):
        outcomes[verdict.outcome] += 1
        if verdict.outcome is Outcome.CORRECT:
            correct[draw.problem_id] += 1
            strategies[draw.problem_id].add(str(verdict.canonical))
    return {
        "correct": list(correct.values()),
        "rollouts": rollouts,
        "correct_strategies": [len(found) for found in strategies.values()],
        "outcomes": {outcome.value: n for outcome, n in outcomes.items()},
        "tokens": sum(len(d.completion.token_ids) for d in draws if d.completion.token_ids is not None),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=256)
    parser.add_argument("--policy", action="append", help="a member's name or NAME=DIRECTORY; default: all six")
    parser.add_argument("--split", action="append", choices=PROBLEM_SETS, help="default: validation and test")
    parser.add_argument("--sampling", action="append", choices=SAMPLINGS, help="default: all three")
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    args = parser.parse_args()
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"problems": {}, "runs": []}
    for name in args.policy or POLICIES:
        policy = open_policy(name, template=TEMPLATE)
        for split in args.split or PROBLEM_SETS[:2]:
            benchmark = problem_set(split)
            results["problems"][split] = [problem.id for problem in benchmark.problems]
            for label in args.sampling or SAMPLINGS:
                sampling = SAMPLINGS[label]
                key = {
                    "policy": policy.name,
                    "policy_digest": policy.digest,
                    "split": split,
                    "problem_set": benchmark.digest,
                    "sampling": label,
                    "sampling_digest": sampling.digest,
                    "verifier": verifier_version("countdown"),
                }
                if any(key.items() <= run.items() and run["rollouts"] == args.rollouts for run in results["runs"]):
                    continue
                run = key | measure(policy, benchmark, sampling, args.rollouts)
                results["runs"] = [r for r in results["runs"] if not same_cell(r, run)] + [run]
                args.out.write_text(json.dumps(results, indent=None) + "\n", encoding="utf-8")
                rate = sum(run["correct"]) / args.rollouts / len(benchmark.problems)
                print(f"{policy.name} {split} {label}: pass@1 {rate:.3f}, {run['seconds']} s", file=sys.stderr)
        policy.close()


def same_cell(a: dict[str, object], b: dict[str, object]) -> bool:
    """True for two measurements of one curve, of which the newer one counts."""
    return all(a[name] == b[name] for name in ("policy", "split", "sampling"))


if __name__ == "__main__":
    main()
