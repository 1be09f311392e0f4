"""The scripted policy: known solve rates, no model. For calibration, documentation and tests.

Each draw is CORRECT with its problem's solve rate p, independently; else it is TRUNCATED or gives NO_ANSWER with the
script's rates, or a wrong answer. Completions are texts that the problem's verifier grades so: `#### expression` for
Countdown, `\\boxed{...}` for all other kinds. Draws come from draw keys, so they are the same whatever is sampled
beside them, and two names of one script are two independent policies with the same solve rates.

    scripted:beta(0.3,1)                          the law of solve rates over problems
    scripted:point(0.5);no_answer=0.1;truncated=0.05;wrong=3

Sampling parameters other than the seed do not shape the draws (there are no tokens), but they key them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.errors import UsageError, unknown_name
from s2l_lab.policies.draw_keys import rollout_keys, uniforms
from s2l_lab.policies.policy import Completion, Draw, Draws, SamplingParams, StopReason
from s2l_lab.policies.solve_rates import RateLaw, parse_solve_rates

if TYPE_CHECKING:
    from s2l_lab.problems import Problem


_POSITIONS = np.arange(3)
"""Token positions whose uniforms decide: solved or not; which way it failed; which wrong answer."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a scripted policy does."""

    solve_rates: RateLaw | Mapping[str, float]
    """A law, or problem id to rate; a problem that a mapping does not name is an error."""
    no_answer: float = 0.0
    """Share of the draws that are not correct which end without an answer."""
    truncated: float = 0.0
    """Share of the draws that are not correct which are cut at max_tokens."""
    wrong: int = 4
    """Number of different wrong answers per problem, equally likely. Fewer makes votes agree on an error."""

    def __post_init__(self) -> None:
        if not (self.no_answer >= 0 and self.truncated >= 0 and self.no_answer + self.truncated <= 1):
            raise UsageError(
                "a script's no_answer and truncated are shares of the failures: from 0, with a sum of 1 at most."
            )
        if self.wrong < 1:
            raise UsageError(f"a script needs at least one wrong answer, wrong={self.wrong} was given.")
        if isinstance(self.solve_rates, Mapping) and not all(0 <= p <= 1 for p in self.solve_rates.values()):
            raise UsageError("solve rates lie between 0 and 1.")

    def rate(self, problem: Problem) -> float:
        """The problem's solve rate. Raises UsageError for a problem that cannot be solved by script or is not named."""
        if not problem.answer:
            raise UsageError(
                f"a script cannot solve problem {problem.id} of {problem.source!r}: it has no gold answer."
            )
        if isinstance(self.solve_rates, RateLaw):
            return self.solve_rates.of(problem.id)
        if problem.id not in self.solve_rates:
            raise UsageError(f"the script names no solve rate for problem {problem.id} of {problem.source!r}.")
        return self.solve_rates[problem.id]

    @property
    def digest(self) -> str:
        """Identity of the script."""
        law = self.solve_rates.text if isinstance(self.solve_rates, RateLaw) else dict(self.solve_rates)
        return content_digest([law, self.no_answer, self.truncated, self.wrong])


def parse_script(spec: str) -> Script:
    """`LAW;option=number;...` (without the `scripted:`). Raises UsageError for what it does not understand."""
    law, *options = spec.split(";")
    chosen: dict[str, float] = {}
    known = ("no_answer", "truncated", "wrong")
    for option in options:
        name, _, value = option.partition("=")
        if name not in known:
            raise unknown_name("script option", name, known)
        if not re.fullmatch(r"\d+" if name == "wrong" else r"\d*\.?\d+", value):
            raise UsageError(f"script option {option!r}: {name} needs a {'whole ' if name == 'wrong' else ''}number.")
        chosen[name] = float(value)
    return Script(
        parse_solve_rates(law),
        no_answer=chosen.get("no_answer", 0.0),
        truncated=chosen.get("truncated", 0.0),
        wrong=int(chosen.get("wrong", 4)),
    )


@dataclass(frozen=True, slots=True)
class ScriptedPolicy:
    """A policy whose solve rate on every problem is known."""

    name: str
    script: Script
    engine: str = "scripted"
    shape: None = None

    @property
    def digest(self) -> str:
        """Script and name: another name draws independently."""
        return content_digest(["scripted", self.name, self.script.digest])

    def prompt(self, problem: Problem) -> str:
        """The problem as it stands: a script reads no prompt."""
        return problem.prompt

    def sample(self, requests: Sequence[Draws], sampling: SamplingParams) -> Iterator[Draw]:
        """One draw per (problem, index), in the order asked."""
        rates = [self.script.rate(request.problem) for request in requests]
        return self._draws(requests, rates, sampling)

    def _draws(self, requests: Sequence[Draws], rates: Sequence[float], sampling: SamplingParams) -> Iterator[Draw]:
        digest, sampling_digest = self.digest, sampling.digest
        for request, rate in zip(requests, rates, strict=True):
            problem = request.problem
            keys_N2 = rollout_keys(sampling.seed, digest, sampling_digest, problem.id, request.indices)
            for index, (solved, failed, which) in zip(request.indices, uniforms(keys_N2, _POSITIONS), strict=True):
                yield Draw(problem.id, index, self._completion(problem, solved < rate, failed, which))

    def _completion(self, problem: Problem, solved: bool, failed: float, which: float) -> Completion:
        """The text of one outcome; `failed` and `which` are uniforms that choose among failures and wrong answers."""
        if solved:
            return _said(_answer(problem, problem.answer))
        if failed < self.script.truncated:
            return _said("I am still trying", StopReason.LENGTH)
        if failed < self.script.truncated + self.script.no_answer:
            return _said("I do not know.")
        return _said(_answer(problem, wrong_answer(problem, int(which * self.script.wrong))))

    def close(self) -> None:
        """Nothing to free."""


def wrong_answer(problem: Problem, i: int) -> str:
    """The i-th wrong answer of a problem, i from 0, in the form that its verifier reads; never the gold one."""
    if problem.kind == "countdown":
        return _wrong_expression(problem, i)
    if problem.kind == "choice":
        labels = [label for label in problem.metadata.get("labels", "ABCDE") if label != problem.answer.strip()]
        return str(labels[i % len(labels)])
    if problem.kind == "math":
        gold = problem.answer.replace(",", "").strip()
        return [str(n) for n in range(7_000_001, 7_000_003 + i) if str(n) != gold][i]
    return f"wrong {i}" if problem.answer.strip() != f"wrong {i}" else f"wrong {i}!"


def _wrong_expression(problem: Problem, i: int) -> str:
    """All the numbers, each once, but another value: signs by the bits of i, the first sum that misses the target."""
    numbers, target = [int(n) for n in problem.metadata["numbers"]], int(problem.metadata["target"])
    found: list[str] = []
    for bits in range(2 ** (len(numbers) - 1)):
        signs = [-1 if bits >> j & 1 else 1 for j in range(len(numbers) - 1)]
        if numbers[0] + sum(s * n for s, n in zip(signs, numbers[1:], strict=True)) != target:
            found.append(
                str(numbers[0])
                + "".join(f"{'+' if s > 0 else '-'}{n}" for s, n in zip(signs, numbers[1:], strict=True))
            )
    return found[i % len(found)]


def _answer(problem: Problem, answer: str) -> str:
    return f"#### {answer}" if problem.kind == "countdown" else f"\\boxed{{{answer}}}"


def _said(text: str, stop_reason: StopReason = StopReason.EOS) -> Completion:
    return Completion(
        text=text,
        token_ids=None,
        logprobs=None,
        logprobs_t1=None,
        entropies=None,
        stop_reason=stop_reason,
        prompt_tokens=0,
    )
