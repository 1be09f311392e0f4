"""Verdicts per second: the pool against a plain math-verify loop in one process, and the cheap kinds beside them.

    python benchmarks/verdicts.py

Three sets of completions, all synthetic: `sampled` (20 problems x 64 rollouts whose answers repeat as a policy's do,
drawn by Zipf's law from 24 answers a problem), `whole` (the same with whole numbers, as AIME has) and `distinct` (400
completions, no two with one answer). The loop parses the gold answer once a problem, then parses and verifies every
completion under math-verify's own time limits. The pool is new in every round, timed with and without the start-up of
its processes. The contenders take turns; the best of three rounds counts. Writes results/verdicts.json.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np
from results_file import keep, machine

from s2l_lab.problems import Problem, load_benchmark
from s2l_lab.verifiers import VerifierPool, VerifyItem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS = 3
FORMS = (
    r"\frac{{{a}}}{{{b}}}",
    r"{a}\sqrt{{{b}}}",
    "{a}",
    r"{a}^{{2}}+{b}",
    r"({a},{b})",
    r"{a}x+{b}",
    r"{a}.5",
    r"\sqrt{{{b}}}-{a}",
)


def answer(i: int) -> str:
    """The i-th of many different answers in the forms that competition problems have."""
    return FORMS[i % len(FORMS)].format(a=i // len(FORMS) + 2, b=i % 89 + 3)


def completions(problems: int, rollouts: int, answers: int, answer: Callable[[int], str] = answer) -> list[VerifyItem]:
    """Completions whose answers repeat by Zipf's law; with one rollout per problem all are different."""
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, answers + 1)
    items = []
    for p in range(problems):
        problem = Problem.make(f"problem {p}", answer(p * answers), "math", "synthetic", {})
        for i in rng.choice(answers, size=rollouts, p=weights / weights.sum()):
            text = (
                f"We set up the equation and solve it. The final result is $\\boxed{{{answer(p * answers + int(i))}}}$."
            )
            items.append(VerifyItem(problem, text, truncated=False))
    return items


def plain_loop(items: Sequence[VerifyItem]) -> int:
    """math-verify as its README uses it."""
    from math_verify import parse, verify

    golds: dict[str, object] = {}
    right = 0
    for item in items:
        if item.problem.id not in golds:
            golds[item.problem.id] = parse(f"${item.problem.answer}$")
        right += verify(golds[item.problem.id], parse(item.text))
    return right


def in_pool(workers: int, items: Sequence[VerifyItem]) -> float:
    """Seconds without the start-up of the workers."""
    warm = [
        VerifyItem(Problem.make("w", str(i), "math", "synthetic", {}), f"#### {i}.0", False) for i in range(-300, -1)
    ]
    with VerifierPool(workers) as pool:
        pool.verify_many(warm)
        start = time.perf_counter()
        pool.verify_many(items)
        return time.perf_counter() - start


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def cold_pool(workers: int, items: Sequence[VerifyItem]) -> None:
    with VerifierPool(workers) as pool:
        pool.verify_many(items)


def race(items: Sequence[VerifyItem]) -> dict[str, float]:
    """Verdicts per second of each contender."""
    contenders: dict[str, Callable[[], float]] = {
        "math-verify loop, one process": lambda: timed(lambda: plain_loop(items)),
        "pool of 1": lambda: in_pool(1, items),
        "pool of 2": lambda: in_pool(2, items),
        "pool of 2, start-up included": lambda: timed(lambda: cold_pool(2, items)),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(ROUNDS):
        for name, seconds in contenders.items():
            best[name] = min(best[name], seconds())
    return {name: len(items) / seconds for name, seconds in best.items()}


def cheap() -> dict[str, float]:
    """Verdicts per second of the kinds that are checked in place."""
    countdown = load_benchmark("countdown", n=50).problems
    choice = Problem.make("q", "B", "choice", "synthetic", {"labels": ["A", "B", "C", "D", "E"]})
    work = "First we try a few sums, then a product.\n" * 8
    sets = {
        "countdown": [VerifyItem(p, f"{work}#### {p.answer}", False) for p in countdown for _ in range(40)],
        "choice": [VerifyItem(choice, f"{work}The answer is B.", False)] * 2_000,
        "official": [VerifyItem(p, f"{work}\\boxed{{{p.answer}}}", False) for p in countdown for _ in range(40)],
    }
    rates = {}
    with VerifierPool(1) as pool:
        for name, items in sets.items():
            kind = "official" if name == "official" else None
            rates[name] = len(items) / min(timed(lambda: pool.verify_many(items, kind)) for _ in range(ROUNDS))  # noqa: B023 - called at once
    return rates


def main() -> None:
    plain_loop(completions(2, 2, 4))  # import and first use
    sets = {
        "sampled": completions(20, 64, 24),
        "whole": completions(20, 64, 24, str),
        "distinct": completions(400, 1, 1),
    }
    results: dict[str, dict[str, float]] = {name: race(items) for name, items in sets.items()}
    for name, rates in results.items():
        loop = rates["math-verify loop, one process"]
        print(f"\n{name}: {len(sets[name]):,} completions, {len({i.text for i in sets[name]}):,} different")
        for contender, rate in rates.items():
            print(f"  {contender:<32} {rate:>9,.0f} verdicts/s {rate / loop:>7.2f} x")
    results["in place"] = cheap()
    print("\nchecked in place")
    for name, rate in results["in place"].items():
        print(f"  {name:<32} {rate:>9,.0f} verdicts/s")
    facts = machine("math-verify", "sympy", load_average=os.getloadavg()[0])
    keep("verdicts", {"machine": facts, "verdicts_per_second": results})


if __name__ == "__main__":
    main()
