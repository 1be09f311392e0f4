"""Every quirk of the paper's scorers, by golden case."""

import json
from pathlib import Path

import pytest

from s2l_lab.verifiers import Outcome, verify
from s2l_lab.verifiers.official import official_letter

HERE = Path(__file__).parent
EVALUATION = json.loads((HERE / "official_cases.json").read_text(encoding="utf-8"))
LETTERS = json.loads((HERE / "official_letter_cases.json").read_text(encoding="utf-8"))
REWARDS = json.loads((HERE / "official_reward_cases.json").read_text(encoding="utf-8"))
RULES = {"offline": "official-reward", "online": "official-online-reward"}


@pytest.mark.parametrize("case", EVALUATION, ids=lambda case: case["text"][:30])
def test_evaluation(case):
    verdict = verify(case["text"], case["gold"], "official")
    assert (verdict.outcome is Outcome.CORRECT) is case["correct"], case["source"]


@pytest.mark.parametrize("case", LETTERS, ids=lambda case: case["text"])
def test_choice_cascade(case):
    assert official_letter(case["text"]) == case["letter"], case["source"]


def test_choice_problems_are_graded_by_the_cascade():
    verdict = verify("A door turns.", "A", "official", metadata={"labels": ["A", "B"]})
    assert verdict.outcome is Outcome.CORRECT


@pytest.mark.parametrize("case", REWARDS, ids=lambda case: f"{case['rule']} {case['text'][:24]}")
def test_training_rewards(case):
    verdict = verify(case["text"], case["gold"], RULES[case["rule"]])
    assert (verdict.outcome is Outcome.CORRECT) is case["correct"], case["source"]


@pytest.mark.parametrize("kind", ["official", *RULES.values()])
def test_an_empty_gold_answer_is_unscored_since_it_is_a_substring_of_everything(kind):
    assert verify("Answer: 5", " ", kind).outcome is Outcome.VERIFIER_ERROR


@pytest.mark.parametrize("kind", ["official", *RULES.values()])
def test_empty_completions_have_no_answer(kind):
    assert verify("", "5", kind).outcome is Outcome.NO_ANSWER
    assert verify("", "5", kind, truncated=True).outcome is Outcome.TRUNCATED
