"""reasoning-gym's sets: items by address, refused sets, their own scorers."""

import inspect
import re
import sys

import pytest
import reasoning_gym
from reasoning_gym.factory import DATASETS

from s2l_lab.errors import UsageError
from s2l_lab.problems import load_benchmark
from s2l_lab.problems.gym import REFUSED, gym_entry
from s2l_lab.verifiers import Outcome, VerifierPool

SETS = ["chain_sum", "propositional_logic", "word_sorting", "simple_equations"]


@pytest.mark.parametrize("name", SETS)
def test_item_i_depends_on_seed_and_i_only(name):
    long, short = (load_benchmark(f"reasoning-gym:{name}", n=n, seed=3).problems for n in (6, 3))
    assert long[:3] == short


def test_neighbouring_seeds_share_no_items():
    a, b = ({p.id for p in load_benchmark("reasoning-gym:chain_sum", n=50, seed=s).problems} for s in (0, 1))
    assert len(a & b) <= 1  # reasoning-gym's own seeds 0 and 1 share 49 of 50
    plain = [reasoning_gym.create_dataset("chain_sum", seed=s, size=50) for s in (0, 1)]
    assert plain[0][1]["question"] == plain[1][0]["question"]


@pytest.fixture(scope="module")
def pool():
    with VerifierPool(workers=1) as shared:
        yield shared


@pytest.fixture(scope="module")
def grade(pool):
    return lambda problem, answer: pool.verify(
        f"<answer>{answer}</answer>", problem.answer, "reasoning_gym", metadata=problem.metadata
    )


@pytest.mark.parametrize("name", ["chain_sum", "word_sorting", "simple_equations"])
def test_gold_answers_are_correct_and_others_are_not(name, grade):
    for problem in load_benchmark(f"reasoning-gym:{name}", n=5).problems:
        assert grade(problem, problem.answer).outcome is Outcome.CORRECT
        assert grade(problem, "nonsense").outcome is Outcome.INCORRECT


def test_a_partial_score_is_not_correct(grade):
    (problem,) = load_benchmark("reasoning-gym:chain_sum", n=1).problems
    answer = f"perhaps {problem.answer} or 7"
    entry = gym_entry("chain_sum", 0, 0)
    assert 0 < reasoning_gym.get_score_answer_fn("chain_sum")(answer, entry) < 1
    assert grade(problem, answer).outcome is Outcome.INCORRECT


def test_sets_without_a_stored_answer_are_decided_by_their_checker(grade):
    (problem,) = load_benchmark("reasoning-gym:propositional_logic", n=1).problems
    assert problem.answer == ""
    example = gym_entry("propositional_logic", 0, 0)["metadata"]["example_answer"]
    assert grade(problem, example).outcome is Outcome.CORRECT


def test_an_item_that_another_version_would_make_differently_is_unscored(pool):
    (problem,) = load_benchmark("reasoning-gym:chain_sum", n=1).problems
    verdict = pool.verify("<answer>5</answer>", "another answer", "reasoning_gym", metadata=problem.metadata)
    assert verdict.outcome is Outcome.VERIFIER_ERROR
    assert "makes another item" in verdict.detail


def test_no_answer_and_truncation(pool):
    (problem,) = load_benchmark("reasoning-gym:chain_sum", n=1).problems
    for truncated, outcome in ((False, Outcome.NO_ANSWER), (True, Outcome.TRUNCATED)):
        verdict = pool.verify("hm", problem.answer, "reasoning_gym", metadata=problem.metadata, truncated=truncated)
        assert verdict.outcome is outcome


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_sets_say_why(name):
    with pytest.raises(UsageError, match=re.escape(REFUSED[name])):
        load_benchmark(f"reasoning-gym:{name}")


def test_every_scorer_that_evaluates_text_is_refused():
    """Guards against a later version: a scorer whose module calls eval or sympy's parse_expr must be refused, unless it
    is known to evaluate only what the set itself made."""
    own_text_only = {"number_sorting", "bitwise_arithmetic", "basic_arithmetic", "gsm_symbolic", "propositional_logic"}
    for name, (cls, _) in DATASETS.items():
        source = inspect.getsource(sys.modules[cls.__module__])
        if re.search(r"(?<![\w.])(eval|exec)\(|parse_expr\(", source):
            assert name in REFUSED or name in own_text_only, name


def test_small_sets_give_each_problem_once_and_say_when_there_are_no_more():
    problems = load_benchmark("reasoning-gym:propositional_logic", n=120).problems
    assert len({p.prompt for p in problems}) == 120
    assert max(p.metadata["index"] for p in problems) >= 120  # repeats were passed over
    with pytest.raises(UsageError, match=r"hold only 90 different problems, 100 were asked for.*at most 90"):
        load_benchmark("reasoning-gym:tower_of_hanoi", n=100)


def test_unknown_sets_give_the_nearest_names():
    with pytest.raises(UsageError, match="Did you mean chain_sum"):
        load_benchmark("reasoning-gym:chain_sun")
    with pytest.raises(UsageError, match="0 were asked for"):
        load_benchmark("reasoning-gym:chain_sum", n=0)
