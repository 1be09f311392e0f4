"""What the tests of browse/ share: small stores whose rollouts are also at hand as plain records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2l_lab.policies import Completion, Draw, SamplingParams, StopReason
from s2l_lab.problems import Problem
from s2l_lab.rollouts import Origin, Rollout, RolloutKey, RolloutStore, RunManifest
from s2l_lab.verifiers import Outcome, Verdict

POLICIES = ("tiny-2m", "tiny-60k", "step-20")
"""The configuration names tiny-60k first, as the smaller."""
ORDER = ("tiny-60k", "tiny-2m", "step-20")
VERSION, LATER = "countdown-1", "countdown-2"
SAMPLING = SamplingParams(max_tokens=12)
TEXTS = (
    "3+4 makes 7",
    "<script>alert(1)</script>",
    "![x](http://example.invalid/a.png)",
    "100%_ sure",
    "it's; drop table rollouts; --",
    "ÄPFEL \u202e und\x00 Birnen",
    "",
)
N = 6


@dataclass(frozen=True)
class Known:
    """One stored rollout and what is to be said of it."""

    policy: str
    problem_id: str
    index: int
    text: str
    tokens: int | None
    surprisal: float | None
    outcome: str
    answer: str | None
    canonical: str | None


def problems(n: int = 4) -> list[Problem]:
    return [Problem.make(f"make {i}", f"{i}", "countdown", "test", {}) for i in range(n)]


def manifest(**config: object) -> RunManifest:
    return RunManifest.of_this_process(dict(config), device="none", seeds={"run": 0}, verifier_version=VERSION)


def completion(rng: np.random.Generator, text: str, *, bare: bool = False) -> Completion:
    length = int(rng.integers(1, 9))
    ids = rng.integers(3, 32, length).astype(np.int32)
    logprobs = -rng.exponential(1, length).astype(np.float32)
    if bare:
        return Completion(text, None, None, None, None, StopReason.EOS, 5)
    return Completion(text, ids, logprobs, None, rng.exponential(1, length).astype(np.float16), StopReason.EOS, 5)


def verdict(rng: np.random.Generator, version: str) -> Verdict:
    outcome = list(Outcome)[int(rng.integers(len(Outcome)))] if version == VERSION else Outcome.CORRECT
    if outcome in (Outcome.CORRECT, Outcome.INCORRECT):
        return Verdict(outcome, f"= {rng.integers(3)}", f"class {rng.integers(3)}", "looked at")
    return Verdict(outcome, None, None)


def make(path: Path, *, later: bool = False) -> list[Known]:
    """A store of three policies, 4 problems and N rollouts each in several parts; the last of every problem has no
    verdict. `later`: a second verifier version, under which all are correct."""
    rng = np.random.default_rng(7)
    config: dict[str, Any] = {"sampling": SAMPLING.model_dump(mode="json"), "benchmark": "countdown"}
    config["policies"] = {name: {"source": "embedded:tiny/60k"} for name in ORDER[:2]}
    known: list[Known] = []
    identity = {"benchmark": "countdown", "sampling": config["sampling"]}
    with RolloutStore.open(path, manifest(**config), identity) as store:
        store.add_problems(problems())
        for policy in POLICIES:
            origin = Origin(policy, f"digest of {policy}", SAMPLING.digest)
            for problem in problems():
                draws = [
                    Draw(problem.id, i, completion(rng, TEXTS[int(rng.integers(len(TEXTS)))], bare=i == 1))
                    for i in range(N)
                ]
                store.append(draws, origin)
                rollouts = [Rollout(RolloutKey(origin, d.problem_id, d.index), d.completion) for d in draws]
                given = [verdict(rng, VERSION) for _ in rollouts[:-1]]
                store.append_verdicts(VERSION, rollouts[:-1], given)
                if later:
                    store.append_verdicts(LATER, rollouts, [verdict(rng, LATER) for _ in rollouts])
                known += [_known(d, policy, v) for d, v in zip(draws, [*given, None], strict=True)]
    return known


def _known(draw: Draw, policy: str, found: Verdict | None) -> Known:
    done = draw.completion
    return Known(
        policy=policy,
        problem_id=draw.problem_id,
        index=draw.index,
        text=done.text,
        tokens=None if done.token_ids is None else len(done.token_ids),
        surprisal=None if done.logprobs is None else -float(np.mean(done.logprobs, dtype=np.float64)),
        outcome="unverified" if found is None else found.outcome.value,
        answer=None if found is None else found.answer,
        canonical=None if found is None else found.canonical,
    )
