"""Diversity reports and study results made from drawn rollouts by the real code: what pages and figures are tested on.

A rollout is an equation with one of a few strategies and one of a few wordings; larger policies are right more often
and vary less. Persistence rows are smooth made-up curves: the records are plain, and their statistics have tests of
their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2l_lab.diversity.over_problems import mean_over_problems
from s2l_lab.diversity.rollout_set import RolloutSet
from s2l_lab.diversity.size_effects import size_effect
from s2l_lab.diversity.validity import validity
from s2l_lab.estimators import Estimate, TemperatureMatch
from s2l_lab.policies import SamplingParams
from s2l_lab.studies.between import FEATURES, contrast, halves
from s2l_lab.studies.diversity import Between, DiversityReport, StepCoherence
from s2l_lab.studies.matching import Match
from s2l_lab.studies.persistence import Persistence, PersistenceRow
from s2l_lab.studies.policy_share import PolicyShare, ShareRow, SizeRow
from s2l_lab.studies.study import details
from s2l_lab.studies.traces import ByLag, ScoreCovariance, Survival
from s2l_lab.studies.vectors import EmbeddingFacts
from s2l_lab.studies.within import within

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2l_lab.diversity.validity import Validity
    from s2l_lab.studies.contrast_arms import Role
    from s2l_lab.studies.within import Vectors

FAMILY: Mapping[str, float] = {"tiny-60k": 0.45, "tiny-360k": 0.6, "tiny-2m": 0.8}
"""Chance of a correct rollout."""
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\x1b[31m"
ABOUT = (
    "countdown: n = 12 problems, N = 8 rollouts.",
    details("sampling T 1, top-p 1", "Verifier countdown-1", "data 3f8a09bc"),
)
WORDINGS = ("{a} + {b} = {c}", "take {a} and add {b} to get {c}", "{b} + {a} is {c}")


def rollout_sets(accuracy: float, problems: int, rollouts: int, rng: np.random.Generator) -> list[RolloutSet]:
    """One policy's rollouts; the first problem has none that is correct."""
    sets = []
    for p in range(problems):
        correct = rng.random(rollouts) < (0.0 if p == 0 else accuracy)
        kind = rng.integers(0, 3, rollouts)
        wording = rng.integers(0, 1 + round(2 * (1 - accuracy)), rollouts)
        wrong = rng.integers(100, 120, rollouts)
        answers = [f"s{k}" if c else str(w) for c, k, w in zip(correct, kind, wrong, strict=True)]
        texts = [
            WORDINGS[w].format(a=3 + k, b=p + 4, c=p + 7 + k) + f"\nanswer {answer}"
            for w, k, answer in zip(wording, kind, answers, strict=True)
        ]
        ids = tuple(np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts)
        length = np.array([len(text) + 1.0 for text in texts])
        unknown = np.zeros(rollouts, dtype=np.bool_)
        sets.append(
            RolloutSet(
                f"p{p}", tuple(texts), ids, length, tuple(answers), tuple(answers), correct, unknown, n_classes=5
            )
        )
    return sets


def text_vectors(sets: Mapping[str, Sequence[RolloutSet]], rng: np.random.Generator) -> Vectors:
    """A unit vector for every text."""
    texts = dict.fromkeys(text for one in sets.values() for s in one for text in s.text_N)
    found = {}
    for text in texts:
        direction = rng.normal(size=4) + np.array([2.0, 0, 0, 0])
        found[text] = (direction / np.linalg.norm(direction)).astype(np.float32)
    return found


def synthetic_diversity(
    accuracy: Mapping[str, float] | None = None,
    *,
    problems: int = 12,
    rollouts: int = 8,
    embed: bool = True,
    benchmark: str = "countdown",
    command: str = "s2l-lab diversity --run runs/passk-tiny-countdown-3f8a09bc",
) -> DiversityReport:
    """The report of policies with these accuracies, small to large."""
    rng = np.random.default_rng(5)
    sets = {
        name: rollout_sets(right, problems, rollouts, rng)
        for name, right in (FAMILY if accuracy is None else accuracy).items()
    }
    vectors = text_vectors(sets, rng) if embed else None
    *others, reference = sets
    between = []
    for name in others:
        found = {f: contrast(sets[name], sets[reference], f, vectors, seed=0) for f in FEATURES}
        between.append(Between(name, {f: d for f, d in found.items() if d is not None}))
    null = {f: e for f in FEATURES if (e := halves(sets[reference], f, vectors, seed=0)) is not None}
    return DiversityReport(
        benchmark=benchmark,
        benchmark_digest="3f8a09bc12de4567",
        verifier_version="countdown-1",
        sampling=SamplingParams(temperature=0.7, top_p=0.8, top_k=20, max_tokens=128),
        n_problems=problems,
        n_rollouts=rollouts,
        within=within(sets, vectors),
        between=tuple(between),
        split_halves=null,
        coherence={name: coherence(i) for i, name in enumerate(sets)} if embed else {},
        embedding=EmbeddingFacts("minilm", "8ab19ddd902cdcf9", 1145, 0.987, 2) if embed else None,
        run_directory=Path("runs/passk-tiny-countdown-3f8a09bc"),
        command=command,
        seconds=1.5,
    )


def coherence(place: int) -> StepCoherence:
    """Numbers that tell policies and parts apart."""

    def estimate(value: float) -> Estimate:
        return Estimate(value, value - 0.01, value + 0.01, 0.95, "logit-t bootstrap", "problems", 12, 96)

    return StepCoherence(estimate(0.31 + place / 100), estimate(0.21 + place / 100), estimate(0.1))


ARMS: Sequence[tuple[str, Role, float, str | None, float]] = (
    ("tiny-60k", "explorer", 1.0, None, 0.45),
    ("tiny-360k", "explorer", 1.0, None, 0.6),
    ("tiny-2m-seed1", "sibling", 1.0, None, 0.8),
    ("tiny-2m-seed2", "sibling", 1.0, None, 0.78),
    ("tiny-2m at T = 1.5", "temperature", 1.5, None, 0.5),
    ("tiny-2m at T = 1.31", "entropy", 1.31, "tiny-60k", 0.6),
    ("tiny-2m at T = 1.62", "kl", 1.62, "tiny-60k", 0.5),
    ("tiny-2m at T = 1.23", "kl", 1.23, "tiny-360k", 0.7),
    ("tiny-2m at T = 1.4", "pass@1", 1.4, "tiny-360k", 0.6),
)
"""Name, role, temperature, the explorer it looks like, accuracy."""


def matches() -> tuple[Match, ...]:
    """One that was found, and one out of reach."""
    return (
        Match("tiny-60k", "kl", TemperatureMatch(1.62, 0.4, 0.403, 9)),
        Match("tiny-60k", "pass@1", TemperatureMatch(float("nan"), 0.01, 0.2, 2)),
    )


def synthetic_share(*, embed: bool = True, seeds: int = 2) -> PolicyShare:
    """All arms against the learner; `seeds` pretraining seeds of either size beside the shipped one."""
    rng = np.random.default_rng(6)
    reference = rollout_sets(0.8, 12, 8, rng)
    sets = {name: rollout_sets(right, 12, 8, rng) for name, *_, right in ARMS}
    vectors = text_vectors({**sets, "learner": reference}, rng) if embed else None
    rows = []
    for name, role, temperature, matched, _ in ARMS:
        found = {f: contrast(sets[name], reference, f, vectors, seed=0) for f in FEATURES}
        features = {f: d for f, d in found.items() if d is not None}
        rows.append(ShareRow(name, role, temperature, matched, features, _accuracy(sets[name])))
    null = {f: e for f in FEATURES if (e := halves(reference, f, vectors, seed=0)) is not None}
    return PolicyShare("tiny-2m", _accuracy(reference), tuple(rows), null, synthetic_sizes(seeds), matches())


def synthetic_sizes(seeds: int) -> tuple[SizeRow, ...]:
    """Size effects of both explorers in every feature."""
    rng, models = np.random.default_rng(8), 1 + seeds
    sizes = []
    for small in ("tiny-60k", "tiny-360k") if seeds else ():
        for feature in FEATURES:
            between_MM = np.abs(rng.normal(0.02, 0.004, (2 * models, 2 * models)))
            is_small = [True] * models + [False] * models
            sizes.append(SizeRow(small, feature, size_effect((between_MM + between_MM.T) / 2, is_small)))
    return tuple(sizes)


def _accuracy(sets: Sequence[RolloutSet]) -> Estimate:
    return mean_over_problems([float(s.correct_N.mean()) for s in sets], sum(map(len, sets)), bounds=(0.0, 1.0))


def by_lag(at: Sequence[int], value: Sequence[float], reach: float) -> ByLag:
    """A statistic with the same reach at every lag."""
    value_L = np.asarray(value, dtype=np.float64)
    at_L = np.asarray(at, dtype=np.int64)
    return ByLag(at_L, value_L, value_L - reach, value_L + reach, 1000 - at_L)


def estimate(value: float, reach: float) -> Estimate:
    """An estimate over 12 problems."""
    return Estimate(value, value - reach, value + reach, 0.95, "clustered delta method", "problems", 12, 96)


def synthetic_persistence(*, scores: bool = True, explorer: str = "tiny-60k") -> Persistence:
    """The learner, then every arm; persistence grows with the arm's place in the list."""
    arms = [("tiny-2m", "learner", 1.0, None, 0.8), *ARMS]
    rows = [_persistence_row(i, arm, scores) for i, arm in enumerate(arms)]
    first = rows[1]
    fields = {name: getattr(first, name) for name in PersistenceRow.__slots__} | {"name": explorer}
    rows[1] = PersistenceRow(**fields)
    return Persistence("tiny-2m", tuple(rows), matches())


def _persistence_row(i: int, arm: tuple[str, Role, float, str | None, float], scores: bool) -> PersistenceRow:
    name, role, temperature, matched, _ = arm
    horizons, lags, steps = [1, 2, 5, 10, 20, 40], [1, 2, 3, 5, 8, 13], np.arange(30)
    strength = 0.1 * i
    own = role in ("temperature", "entropy", "kl", "pass@1")
    leaving = 0.02 + 0.01 * i
    wobble = (1 - leaving) ** steps * (1 + 0.1 * np.sin(steps))
    survival = tuple(
        Survival(trace, by_lag(steps.tolist(), wobble.tolist(), 0.0), estimate(leaving, 0.003), (1 - leaving) ** steps)
        for trace in ("tiny-2m", name)
    )
    covariance = None
    if scores:
        values = by_lag(lags, [0.01 * i / lag for lag in lags], 0.002)
        covariance = ScoreCovariance(values, np.full(len(lags), 3.0 + i), 12.5, "a held-out mean score")
    return PersistenceRow(
        name=name,
        role=role,
        temperature=temperature,
        matches=matched,
        n_rollouts=96,
        n_tokens=3400,
        kl=estimate(0.03 * i, 0.01),
        drift=estimate(0.05 * i, 0.02),
        persistent_drift=estimate(0.048 * i, 0.01),
        variance_ratio=by_lag(horizons, [1 + strength * np.log(q) for q in horizons], 0.1),
        variance_ratio_m=by_lag(horizons, [1.0 + 0.001 * i] * len(horizons), 0.1),
        variance_ratio_own=by_lag(horizons, [1.01] * len(horizons), 0.1) if own else None,
        autocorrelation=by_lag(lags, [strength / lag for lag in lags], 0.01),
        autocovariance_d=by_lag(lags, [0.5 * strength / lag for lag in lags], 0.01),
        icc=estimate(0.01 * i, 0.004),
        survival=survival,
        score_covariance=covariance,
    )


def synthetic_validity() -> dict[str, Validity]:
    """A metric that follows strategies, one that follows phrasing, one that follows both, and one that never moves."""
    rng = np.random.default_rng(7)
    shape = (8, 3, 3, 2, 3)
    strategies, phrasing = np.arange(3.0)[None, :, None, None, None], np.arange(3.0)[None, None, :, None, None]
    noise = rng.normal(0, 0.2, shape)
    return {
        "unique_answers": validity(strategies + noise),
        "self_bleu": validity(-(phrasing + noise), up=False),
        "vendi": validity(strategies + phrasing + noise),
        "compression": validity(np.ones(shape)),
    }
