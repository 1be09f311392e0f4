"""Every quirk of the paper's scorers, by golden case."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2l_lab.verifiers import Outcome, verify
from s2l_lab.verifiers.official import official_extract, official_letter
from s2l_lab.verifiers.official_rewards import offline_normal

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


PLAIN = (
    r"\\boxed\{([^}]+)\}",
    r"\\frac\{[^}]+\}\{[^}]+\}",
    r"(?i:Answer:|答案[:：]|final answer is)[ \t]*:?[ \t]*([^\n]+)",
    r"-?\d+\s*/\s*\d+",
    r"-?\d+\.\d+",
    r"-?\d+",
)
PLAIN_LETTERS = (
    r"(?i:answer(?:\s+is)?)\s*:?\s*\(?([A-E])\b",
    r"(?i:option|choice)\s*\(?([A-E])\b",
    r"\\boxed\{\s*([A-E])\s*\}",
    r"(?m:^)\s*\(?([A-E])[).:\s]",
    r"\b([A-E])\b",
)
PIECES = [
    r"\boxed{",
    r"\frac{",
    "}",
    "}{",
    "{",
    "1",
    "25",
    "-",
    "/",
    " ",
    "\n",
    ".",
    "Answer:",
    "answer is",
    ":",
    "A",
    "B",
    "(",
]
PIECES += ["B", "(", ")", "C.", "####", "x"]


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_the_linear_patterns_find_what_the_plain_ones_find(pieces):
    text = "".join(pieces)
    found = [matches[-1].strip() for pattern in PLAIN if (matches := re.findall(pattern, text))]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert official_extract(text) == (found[0] if found else lines[-1] if lines else None)
    letters = [match[1] for pattern in PLAIN_LETTERS if (match := re.search(pattern, text))]
    assert official_letter(text) == (letters[0] if letters else None)
    first = [match[1] for pattern in (PLAIN[0], r"####[ \t]*([^\n]+)") if (match := re.search(pattern, text))]
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    assert offline_normal(text) == (first[0] if first else numbers[-1] if numbers else text).strip().lower()
