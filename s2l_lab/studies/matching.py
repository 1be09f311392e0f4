"""Controls that the paper lacks: the learner at the temperature where it looks like the explorer.

An explorer differs from the learner in how random it is, in how far it is from the learner, and in how often it is
right. Each of the three can be had from the learner itself by temperature alone, which is token noise by the paper's
own account. So the learner is given the temperature of

- equal *entropy*: sum H / sum T of the policy's own rollouts, nats per token;
- equal *KL*: sum KL(b || learner at T = 1) / sum T along b's own rollouts, nats per token;
- equal *pass@1*.

What an explorer has beyond these controls is not explained by entropy, distance or accuracy. Temperatures are found on
validation problems and used on test problems; achieved values are reported, NaN where out of reach. The search climbs a
ladder from T = 1 until the target lies between two rungs and bisects there: hot policies ramble to max_tokens, so the
far end of a wide bracket would cost more than all the rest. What was found is kept, and both studies use it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from s2l_lab.digest import content_digest
from s2l_lab.diversity.scoring import score
from s2l_lab.estimators import TemperatureMatch, match_temperature, pooled_entropy
from s2l_lab.policies import Draws, SamplingParams, StopReason
from s2l_lab.rollouts.durable import make_folder, replacing
from s2l_lab.verifiers import Outcome, VerifierPool, VerifyItem

if TYPE_CHECKING:
    from s2l_lab.policies import Completion
    from s2l_lab.policies.transformers_engine import TransformersPolicy
    from s2l_lab.problems import Benchmark, Problem

Matched = Literal["entropy", "kl", "pass@1"]
MATCHED: tuple[Matched, ...] = get_args(Matched)
RUNGS = (0.5, 0.7, 1.0, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0)
"""Temperatures at which the search looks before it bisects."""
FOLDER = Path("runs") / "matches"
TOLERANCE: Mapping[Matched, float] = {"entropy": 0.01, "kl": 0.02, "pass@1": 0.03}
"""Largest difference from the target, relative to it; sampling noise on validation problems is of this size."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Entropy, KL and pass@1 of a policy at a temperature on the validation problems."""

    entropy: float
    kl: float
    pass1: float

    def __getitem__(self, matched: Matched) -> float:
        return {"entropy": self.entropy, "kl": self.kl, "pass@1": self.pass1}[matched]


@dataclass(frozen=True, slots=True)
class Match:
    """The temperature at which the learner equals an explorer in one quantity."""

    explorer: str
    matched: Matched
    result: TemperatureMatch


class Validation:
    """The validation problems, and what policies look like on them; each policy and temperature is sampled once."""

    def __init__(
        self, benchmark: Benchmark, n: int, sampling: SamplingParams, learner: TransformersPolicy, pool: VerifierPool
    ) -> None:
        self._benchmark, self._n, self._sampling, self._learner, self._pool = benchmark, n, sampling, learner, pool
        self._seen: dict[tuple[str, float], Likeness] = {}

    def look(self, policy: TransformersPolicy, temperature: float) -> Likeness:
        """Sample N rollouts of every validation problem at this temperature and look at them."""
        key = policy.digest, temperature
        if key not in self._seen:
            self._seen[key] = self._sample(policy, temperature)
        return self._seen[key]

    def match(self, explorer: TransformersPolicy, explorer_temperature: float, matched: Matched) -> Match:
        """The learner's temperature; KL and pass@1 are looked for from T = 1 up, where they rise and fall."""
        sign = -1.0 if matched == "pass@1" else 1.0  # pass@1 falls with temperature, and bisection wants a rise

        def rising(temperature: float) -> float:
            return sign * self.look(self._learner, temperature)[matched]

        target = sign * self.look(explorer, explorer_temperature)[matched]
        if matched == "pass@1" and target == 0:  # any temperature that happens to solve nothing would do
            return Match(
                explorer.name, matched, TemperatureMatch(math.nan, 0.0, self.look(self._learner, 1.0).pass1, 1)
            )
        lowest, highest = _bracket(rising, target, RUNGS if matched == "entropy" else RUNGS[RUNGS.index(1.0) :])
        found = match_temperature(rising, target, lowest=lowest, highest=highest, tolerance=TOLERANCE[matched])
        result = TemperatureMatch(found.temperature, sign * found.target, sign * found.achieved, found.evaluations)
        return Match(explorer.name, matched, result)

    def key(self, explorers: Sequence[TransformersPolicy], explorer_temperature: float) -> str:
        """Digest of everything that the matches depend on."""
        policies = [self._learner.digest, *(explorer.digest for explorer in explorers)]
        sampling = self._sampling.model_dump(mode="json")
        rules = [RUNGS, dict(TOLERANCE)]
        return content_digest([policies, explorer_temperature, self._benchmark.digest, self._n, sampling, rules])

    def _sample(self, policy: TransformersPolicy, temperature: float) -> Likeness:
        sampling = self._sampling.model_copy(update={"temperature": temperature})
        problems = {problem.id: problem for problem in self._benchmark.problems}
        requests = [Draws(problem, tuple(range(self._n))) for problem in problems.values()]
        drawn = [(problems[draw.problem_id], draw.completion) for draw in policy.sample(requests, sampling)]
        completions = [completion for _, completion in drawn]
        entropies = [c.entropies for c in completions if c.entropies is not None]
        scores = score(
            self._learner.model,
            [self._learner.encode(problem) for problem, _ in drawn],
            [c.token_ids for c in completions],
            behaviour_model=policy.model,
            behaviour_temperature=temperature,
        )
        kl = sum(float(s.kl.sum(dtype=np.float64)) for s in scores) / sum(len(s.kl) for s in scores)
        return Likeness(pooled_entropy(entropies).per_token, kl, self._pass1(drawn))

    def _pass1(self, drawn: Sequence[tuple[Problem, Completion]]) -> float:
        items = [VerifyItem(problem, c.text, c.stop_reason is StopReason.LENGTH) for problem, c in drawn]
        outcomes = [verdict.outcome for verdict in self._pool.verify_many(items)]
        return float(np.mean([outcome is Outcome.CORRECT for outcome in outcomes]))


def _bracket(rising: Callable[[float], float], target: float, rungs: Sequence[float]) -> tuple[float, float]:
    """Neighbouring rungs with the target between them, from T = 1 outwards; the last two where it is out of reach."""
    at = rungs.index(1.0)
    step = 1 if rising(1.0) <= target else -1
    while 0 <= at + step < len(rungs):
        low, high = sorted((rungs[at], rungs[at + step]))
        if rising(low) <= target <= rising(high):
            return low, high
        at += step
    low, high = sorted((rungs[at], rungs[at - step]))
    return low, high


def find_matches(
    validation: Validation,
    explorers: Sequence[TransformersPolicy],
    explorer_temperature: float,
    announce: Callable[[str], None] = lambda _: None,
    folder: Path = FOLDER,
) -> tuple[Match, ...]:
    """Every explorer in every respect; from `folder` where they were found before."""
    path = folder / f"{validation.key(explorers, explorer_temperature)}.json"
    if path.is_file():
        rows = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Match(r["explorer"], r["matched"], TemperatureMatch(**_numbers(r["result"]))) for r in rows)
    found = []
    for explorer in explorers:
        for matched in MATCHED:
            match = validation.match(explorer, explorer_temperature, matched)
            found.append(match)
            announce(
                f"learner with the {matched} of {explorer.name}: T = {match.result.temperature:.3f} "
                f"({match.result.achieved:.4f} for {match.result.target:.4f})"
            )
    make_folder(folder)
    rows = [{"explorer": m.explorer, "matched": m.matched, "result": _nulls(asdict(m.result))} for m in found]
    with replacing(path) as stream:
        stream.write(json.dumps(rows, indent=1, allow_nan=False).encode())
    return tuple(found)


def _nulls(result: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in result.items()}


def _numbers(result: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in result.items()}
