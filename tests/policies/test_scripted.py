"""Laws of scripted policies: rates come true, texts are graded as scripted, names are independent."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from s2l_lab.errors import UsageError
from s2l_lab.policies import Draws, SamplingParams, StopReason, open_policy
from s2l_lab.policies.scripted import Script, ScriptedPolicy, parse_script, wrong_answer
from s2l_lab.policies.solve_rates import parse_solve_rates
from s2l_lab.problems import Problem
from s2l_lab.problems.countdown import countdown_benchmark
from s2l_lab.verifiers import Outcome, VerifierPool, verify

SAMPLING = SamplingParams(seed=3)


def a_problem(kind: str = "exact", answer: str = "gold", prompt: str = "p") -> Problem:
    return Problem.make(prompt, answer, kind, "test", {})  # type: ignore[arg-type]  # a literal, by parametrisation


def completions(policy: ScriptedPolicy, problem: Problem, n: int, sampling: SamplingParams = SAMPLING):
    return [draw.completion for draw in policy.sample([Draws(problem, tuple(range(n)))], sampling)]


def solved(policy: ScriptedPolicy, problem: Problem, n: int, sampling: SamplingParams = SAMPLING) -> np.ndarray:
    gold = completions(ScriptedPolicy("gold", parse_script("point(1)")), problem, 1)[0].text
    return np.array([c.text == gold for c in completions(policy, problem, n, sampling)])


@pytest.mark.parametrize(
    "spec", ["beta(0.3,1)", "0.3*point(0)+0.7*beta(0.5,1)", "beta(0.1,3)", "0.5*point(0.02)+0.5*point(0.9)"]
)
def test_rates_follow_their_law(spec: str) -> None:
    law = parse_solve_rates(spec)
    rates = np.sort([law.of(f"problem {i}") for i in range(4000)])
    expected = {"beta(0.3,1)": 0.3 / 1.3, "0.3*point(0)+0.7*beta(0.5,1)": 0.7 / 3, "beta(0.1,3)": 0.1 / 3.1}
    mean = expected.get(spec, 0.46)
    assert abs(rates.mean() - mean) < 4 * rates.std() / np.sqrt(len(rates))
    if spec == "beta(0.3,1)":
        assert stats.kstest(rates, stats.beta(0.3, 1).cdf).pvalue > 0.001


@settings(max_examples=40, deadline=None)
@given(permille=st.integers(0, 1000), name=st.sampled_from(["a", "b", "c"]))
def test_the_share_of_correct_draws_is_the_solve_rate(permille: int, name: str) -> None:
    problem, p = a_problem(), permille / 1000
    policy = ScriptedPolicy(name, Script({problem.id: p}))
    n = 400
    count = int(solved(policy, problem, n).sum())
    assert stats.binomtest(count, n, p).pvalue > 1e-6


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("exact", "blue"), ("math", "25"), ("math", r"\frac{3}{4}"), ("math", "(1,2)"), ("choice", "B")],
)
def test_verifiers_grade_texts_as_scripted(kind: str, answer: str) -> None:
    problem = a_problem(kind, answer)
    policy = ScriptedPolicy("s", parse_script("point(0.5);no_answer=0.2;truncated=0.3"))
    texts = {(c.text, c.stop_reason) for c in completions(policy, problem, 200)}
    with VerifierPool(workers=1) as pool:
        outcomes = Counter(
            pool.verify(text, answer, problem.kind, truncated=stop is StopReason.LENGTH).outcome for text, stop in texts
        )
    assert outcomes == {Outcome.CORRECT: 1, Outcome.INCORRECT: 4, Outcome.NO_ANSWER: 1, Outcome.TRUNCATED: 1}


def test_countdown_texts_are_graded_as_scripted() -> None:
    for problem in countdown_benchmark(20).problems:
        right = completions(ScriptedPolicy("s", parse_script("point(1)")), problem, 1)[0]
        assert verify(right.text, problem.answer, "countdown", metadata=problem.metadata).outcome is Outcome.CORRECT
        wrong = {wrong_answer(problem, i) for i in range(4)}
        assert len(wrong) == 4
        for answer in wrong:
            verdict = verify(f"#### {answer}", problem.answer, "countdown", metadata=problem.metadata)
            assert verdict.outcome is Outcome.INCORRECT, (problem.metadata, answer, verdict)


def test_failures_split_as_scripted() -> None:
    policy = ScriptedPolicy("s", parse_script("point(0.5);no_answer=0.2;truncated=0.3;wrong=2"))
    drawn = completions(policy, a_problem(), 4000)
    shares = Counter(c.text for c in drawn)
    expected = {r"\boxed{gold}": 0.5, "I do not know.": 0.1, "I am still trying": 0.15}
    expected |= {r"\boxed{wrong 0}": 0.125, r"\boxed{wrong 1}": 0.125}
    assert set(shares) == set(expected)
    for text, share in expected.items():
        assert abs(shares[text] / 4000 - share) < 4 * np.sqrt(share * (1 - share) / 4000)


def test_a_draw_depends_on_its_key_alone() -> None:
    policy = ScriptedPolicy("s", parse_script("point(0.5)"))
    problems = [a_problem(prompt=str(i)) for i in range(5)]
    together = {
        (d.problem_id, d.index): d.completion.text
        for d in policy.sample([Draws(p, tuple(range(20))) for p in problems], SAMPLING)
    }
    for problem in reversed(problems):
        for index in (19, 3, 0):
            (draw,) = policy.sample([Draws(problem, (index,))], SAMPLING)
            assert draw.completion.text == together[problem.id, index]


def test_seed_and_sampling_parameters_key_the_draws() -> None:
    policy = ScriptedPolicy("s", parse_script("point(0.5)"))
    problem = a_problem()
    base = solved(policy, problem, 200)
    for other in (SamplingParams(seed=4), SamplingParams(seed=3, temperature=0.7)):
        assert 60 < (solved(policy, problem, 200, other) == base).sum() < 140
    assert (solved(policy, problem, 200) == base).all()


@pytest.mark.parametrize("repetitions", [50, pytest.param(150, marks=pytest.mark.slow)])
def test_two_names_of_one_script_are_independent_policies(repetitions: int) -> None:
    """Coupled draws make every comparison of the two say `equal`: p-values pile up at 1 instead of being uniform."""
    problems = [a_problem(prompt=str(i)) for i in range(30)]
    script = parse_script("0.2*point(0.1)+0.8*point(0.6)")
    requests, p_values = [Draws(problem, tuple(range(8))) for problem in problems], []
    variance = 2 * 8 * sum(script.rate(p) * (1 - script.rate(p)) for p in problems)
    for seed in range(repetitions):
        correct = [
            sum("gold" in draw.completion.text for draw in policy.sample(requests, SamplingParams(seed=seed)))
            for policy in (ScriptedPolicy("a", script), ScriptedPolicy("b", script))
        ]
        jitter = np.random.default_rng(seed).random() - 0.5  # a count is discrete: spread it over its unit
        p_values.append(2 * stats.norm.sf(abs(correct[0] - correct[1] + jitter) / np.sqrt(variance)))
    assert stats.kstest(p_values, "uniform").pvalue > 0.005


def test_the_same_script_has_the_same_rates_under_every_name() -> None:
    x, y = open_policy("x=scripted:beta(0.3,1)"), open_policy("y=scripted: beta(0.3, 1)")
    assert isinstance(x, ScriptedPolicy)
    assert isinstance(y, ScriptedPolicy)
    assert x.script.rate(a_problem()) == y.script.rate(a_problem())
    assert x.digest != y.digest


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("gamma(1,2)", "'gamma(1,2)' is not understood"),
        ("beta(0,1)", "above 0"),
        ("point(1.5)", "from 0 to 1"),
        ("0.3*point(0)+0.6*beta(1,1)", "sum to 1"),
        ("point(0.5);no_anwser=0.1", "Did you mean no_answer"),
        ("point(0.5);truncated=x", "needs a number"),
        ("point(0.5);wrong=1.5", "whole number"),
        ("point(0.5);truncated=0.7;no_answer=0.7", "sum of 1 at most"),
        ("point(0.5);wrong=0", "at least one"),
    ],
)
def test_what_is_no_script_is_refused_with_a_reason(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_policy(f"s=scripted:{spec}")
    assert says in str(caught.value)


def test_a_mapping_must_name_every_problem_before_anything_is_drawn() -> None:
    policy = ScriptedPolicy("s", Script({"other": 0.5}))
    with pytest.raises(UsageError, match="names no solve rate"):
        policy.sample([Draws(a_problem(), (0,))], SAMPLING)
