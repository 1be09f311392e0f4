"""The letter of a completion, and what is no letter."""

import json
import time
from pathlib import Path

import pytest

from s2l_lab.verifiers import Outcome, verify
from s2l_lab.verifiers.choice import chosen_letter

CASES = json.loads((Path(__file__).parent / "choice_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:30])
def test_golden_letters(case):
    assert chosen_letter(case["text"]) == case["letter"], case["source"]


def test_gold_that_is_no_label_is_not_the_policys_fault():
    verdict = verify("B", "yes", "choice")
    assert verdict.outcome is Outcome.VERIFIER_ERROR
    assert "'yes'" in verdict.detail


def test_labels_come_from_the_problem():
    metadata = {"labels": ["P", "Q"]}
    assert verify("The answer is Q.", "Q", "choice", metadata=metadata).outcome is Outcome.CORRECT
    assert verify("The answer is B.", "Q", "choice", metadata=metadata).outcome is Outcome.NO_ANSWER


def test_long_runs_of_blanks_cost_nothing():
    text = ("answer is" + " " * 2_000) * 50 + "A" + "*" * 50_000 + "x"
    start = time.process_time()
    assert chosen_letter(text) is None
    assert time.process_time() - start < 5  # a pattern that backtracks needs hours; this takes milliseconds
