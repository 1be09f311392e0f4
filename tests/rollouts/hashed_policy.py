"""What the store's tests share: a policy whose every token, logprob and entropy is a hash of its key, and a verifier.

It meets the real protocol, needs no model, and gives every kind of completion: with and without a temperature-1 column,
empty, truncated, with NaN entropies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2l_lab.policies import Completion, Draw, Draws, SamplingParams, StopReason
from s2l_lab.problems import Problem
from s2l_lab.rollouts import RolloutStore, RunManifest
from s2l_lab.verifiers import Outcome, Verdict

VERSION = "hash-1/π:2"
"""A verifier version with characters that a folder name cannot hold."""
IDENTITY: dict[str, Any] = {"benchmark": "numbers", "sampling": {"temperature": 1.0, "top_k": None}}
SAMPLING = SamplingParams()


def problems(number: int) -> list[Problem]:
    return [Problem.make(f"Say {i}.", str(i), "exact", "numbers", {"i": i, "note": None}) for i in range(number)]


@dataclass(frozen=True)
class HashedPolicy:
    name: str = "hashed"
    engine: str = "scripted"
    shape: None = None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]

    def prompt(self, problem: Problem) -> str:
        return f"<|{self.name}|>{problem.prompt}"

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        for request in requests:
            for index in request.indices:
                yield self.draw(request.problem, index)

    def draw(self, problem: Problem, index: int) -> Draw:
        seed = hashlib.sha256(f"{self.name} {problem.id} {index}".encode()).digest()
        rng = np.random.default_rng(list(seed))
        length = int(rng.integers(0, 12))
        entropies = rng.random(length).astype(np.float16)
        entropies[rng.random(length) < 0.1] = np.nan
        completion = Completion(
            text=f"{rng.integers(0, 3)} é",
            token_ids=rng.integers(0, 2**31 - 1, length).astype(np.int32),
            logprobs=-rng.random(length).astype(np.float32),
            logprobs_t1=None if index % 2 else np.zeros(length, np.float32),
            entropies=entropies,
            stop_reason=StopReason.LENGTH if length == 11 else StopReason.EOS,
            prompt_tokens=7,
        )
        return Draw(problem.id, index, completion)

    def close(self) -> None:
        pass


def verify(items: Sequence[tuple[Problem, Completion]]) -> list[Verdict]:
    return [_verdict(problem, completion) for problem, completion in items]


def _verdict(problem: Problem, completion: Completion) -> Verdict:
    if completion.stop_reason == StopReason.LENGTH:
        return Verdict(Outcome.TRUNCATED, None, None, "cut")
    answer = completion.text.split()[0]
    if completion.token_ids is not None and len(completion.token_ids) == 10:
        return Verdict(Outcome.VERIFIER_ERROR, answer, answer, "hung")
    return Verdict(Outcome.CORRECT if answer == problem.answer else Outcome.INCORRECT, answer, answer)


def manifest(**config: Any) -> RunManifest:
    return RunManifest.of_this_process(config, device="cpu", seeds={"run": 0}, verifier_version=VERSION)


def writer(path: Path, **options: Any) -> RolloutStore:
    return RolloutStore.open(path, manifest(), IDENTITY, **options)


def content(path: Path, version: str | None = VERSION) -> list[dict[str, Any]]:
    """Everything that a run holds, by key, with NaN as text so that equal contents are equal lists."""
    with RolloutStore(path) as store:
        rows = store.read(version=version).to_pylist()
    for row in rows:
        row["entropies"] = [str(value) for value in row["entropies"]] if row["entropies"] is not None else None
    return rows
