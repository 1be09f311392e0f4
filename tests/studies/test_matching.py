"""Matched temperatures: a policy that is the other at another temperature is found, and then shares nothing with it."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from s2l_lab.diversity.decomposition import decompose
from s2l_lab.diversity.distances import label_distance
from s2l_lab.estimators import TemperatureMatch, match_temperature
from s2l_lab.policies import Draws, SamplingParams
from s2l_lab.policies.opening import open_policy
from s2l_lab.policies.transformers_engine import TransformersPolicy
from s2l_lab.problems.benchmarks import load_benchmark
from s2l_lab.studies.matching import MATCHED, RUNGS, Likeness, Match, Matched, Validation, _bracket, find_matches
from s2l_lab.verifiers import VerifierPool

HOTTER = 1.3
Named = namedtuple("Named", "name")
SAMPLING = SamplingParams(max_tokens=40)


@pytest.fixture(scope="module")
def learner() -> Iterator[TransformersPolicy]:
    policy = open_policy("tiny-60k")
    assert isinstance(policy, TransformersPolicy)
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def twin() -> Iterator[TransformersPolicy]:
    """The learner's weights under another name, so its draws are its own."""
    policy = open_policy("twin=tiny-60k", template="countdown-compact")
    assert isinstance(policy, TransformersPolicy)
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def validation(learner: TransformersPolicy) -> Iterator[Validation]:
    benchmark = load_benchmark("countdown-validation", n=12)
    with VerifierPool() as pool:
        yield Validation(benchmark, 24, SAMPLING, learner, pool)


@pytest.mark.parametrize("matched", ["kl", pytest.param("entropy", marks=pytest.mark.slow)])
def test_the_learner_at_another_temperature_is_found(
    validation: Validation, twin: TransformersPolicy, matched: Matched
) -> None:
    match = validation.match(twin, HOTTER, matched)
    assert match.explorer == "twin"
    assert match.result.temperature == pytest.approx(HOTTER, rel=0.05)
    assert match.result.achieved == pytest.approx(match.result.target, rel=0.05)


def test_at_its_own_temperature_the_learner_has_no_divergence(
    validation: Validation, learner: TransformersPolicy, twin: TransformersPolicy
) -> None:
    own = validation.look(learner, 1.0)
    assert own.kl == 0.0
    assert own.pass1 < 0.1
    hotter = validation.look(twin, HOTTER)
    assert hotter.kl > 0
    assert hotter.entropy > own.entropy
    assert validation.look(twin, HOTTER) is hotter, "each temperature is sampled once"


def test_a_pass_at_1_of_nothing_cannot_be_matched(validation: Validation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Validation, "look", lambda *_: Likeness(entropy=1.0, kl=0.5, pass1=0.0))
    match = validation.match(Named("hopeless"), 1.0, "pass@1")  # type: ignore[arg-type]
    assert np.isnan(match.result.temperature)
    assert match.result.target == 0.0


def test_pass_at_1_is_matched_although_it_falls_with_temperature(
    validation: Validation, twin: TransformersPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_: Validation, policy: TransformersPolicy, temperature: float) -> Likeness:
        return Likeness(entropy=1.0, kl=0.5, pass1=0.05 if policy is twin else 0.1 / temperature)

    monkeypatch.setattr(Validation, "look", look)
    result = validation.match(twin, 1.0, "pass@1").result
    assert result.temperature == pytest.approx(2.0, rel=0.05)  # .1 / T = .05
    assert (result.target, result.achieved) == (0.05, pytest.approx(0.1 / result.temperature))


def test_what_no_temperature_reaches_is_nan_with_the_nearest_end() -> None:
    low, high = _bracket(lambda t: t, 9.0, RUNGS)
    assert (low, high) == (2.5, 3.0)
    found = match_temperature(lambda t: t, 9.0, lowest=low, highest=high)
    assert np.isnan(found.temperature)
    assert found.achieved == 3.0


@pytest.mark.parametrize("target", [0.55, 0.99, 1.0, 1.1, 2.2, 2.999])
def test_the_bracket_holds_the_target_and_looks_no_further(target: float) -> None:
    looked: list[float] = []

    def rising(temperature: float) -> float:
        looked.append(temperature)
        return temperature

    low, high = _bracket(rising, target, RUNGS)
    assert low <= target <= high
    assert RUNGS.index(high) == RUNGS.index(low) + 1
    outermost = high if target >= 1 else low
    assert all(min(1.0, outermost) <= t <= max(1.0, outermost) for t in looked)


def test_matches_are_found_once_and_read_back(
    validation: Validation, twin: TransformersPolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = TemperatureMatch(float("nan"), 1.0, 0.5, 4)
    made: list[str] = []

    def match(self: Validation, explorer: TransformersPolicy, temperature: float, matched: Matched) -> Match:
        made.append(matched)
        return Match(explorer.name, matched, nowhere if matched == "kl" else TemperatureMatch(1.25, 2.0, 2.01, 7))

    monkeypatch.setattr(Validation, "match", match)
    first = find_matches(validation, [twin], HOTTER, folder=tmp_path)
    second = find_matches(validation, [twin], HOTTER, folder=tmp_path)
    assert made == list(MATCHED)
    assert repr(first) == repr(second)  # as text, so that NaN equals NaN
    find_matches(validation, [twin], 1.0, folder=tmp_path)
    assert len(made) == 2 * len(MATCHED), "another temperature of the explorer is another search"


def test_two_names_for_one_policy_at_one_temperature_share_nothing(
    learner: TransformersPolicy, twin: TransformersPolicy
) -> None:
    problems = load_benchmark("countdown", n=10).problems
    sampling = SAMPLING.model_copy(update={"temperature": HOTTER})
    texts = []
    for policy in (learner, twin):
        found: dict[str, list[str]] = {problem.id: [] for problem in problems}
        for draw in policy.sample([Draws(problem, tuple(range(16))) for problem in problems], sampling):
            found[draw.problem_id].append(draw.completion.text.partition("\n")[0])
        texts.append([found[problem.id] for problem in problems])
    distances = [label_distance([*a, *b]) for a, b in zip(*texts, strict=True)]
    result = decompose(distances, [16] * 10, rng=np.random.default_rng(0), permutations=199)
    assert texts[0] != texts[1]
    assert result.p_value > 0.01
    assert result.share.lower < 0 < result.share.upper
